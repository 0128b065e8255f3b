"""Restarts services whose secrets have changed: a task reads its secrets when it starts, and never again.

This file is the code of a Lambda function; it may be no longer than 4096 characters.
"""

from __future__ import annotations

import json
import os
from typing import Any


def handler(event: object, context: object) -> list[str]:
    """Look at every service; called every ten minutes."""
    import boto3

    known = json.loads(os.environ["SERVICES"])
    return redeploy(boto3.client("ecs"), boto3.client("secretsmanager"), os.environ["CLUSTER"], known)


def redeploy(ecs: Any, secrets: Any, cluster: str, services: dict[str, list[str]]) -> list[str]:
    """Deploy those services again whose last deployment began before one of their secrets changed.

    Args:
        ecs, secrets: clients of boto3.
        services: by the name of a service, the ARNs of its secrets.

    Returns:
        The names of the restarted services.
    """
    changed = {
        arn: _changed(secrets, arn) for arn in sorted({arn for arns in services.values() for arn in arns})
    }
    started = []
    found = ecs.describe_services(cluster=cluster, services=sorted(services))["services"]
    for service in found:
        begun = max(deployment["createdAt"] for deployment in service["deployments"])
        if any(changed[arn] > begun for arn in services[service["serviceName"]]):
            ecs.update_service(cluster=cluster, service=service["serviceName"], forceNewDeployment=True)
            started.append(service["serviceName"])
    print(json.dumps({"started anew": started}))
    return started


def _changed(secrets: Any, arn: str) -> Any:
    said = secrets.describe_secret(SecretId=arn)
    return said.get("LastChangedDate") or said["CreatedDate"]
