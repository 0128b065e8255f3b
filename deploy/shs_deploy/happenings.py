"""Events that AWS reports, forwarded to the topic: deployments, scans, databases, backups, logins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aws_cdk import Aws
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_rds as rds

from shs_deploy.config import Config
from shs_deploy.data import Data
from shs_deploy.logins import LOGINS
from shs_deploy.registry import Registry

if TYPE_CHECKING:
    from shs_deploy.observation import Observation

_OF_DATABASES = (
    "availability",
    "failover",
    "failure",
    "low storage",
    "maintenance",
    "notification",
    "read replica",
    "recovery",
)
# A backup of every night that begins and ends well.
_USUAL_BACKUPS = ["RDS-EVENT-0001", "RDS-EVENT-0002"]
_FAILED_JOBS = ["FAILED", "ABORTED", "EXPIRED", "PARTIAL"]


def tell_events(observation: Observation, config: Config, data: Data, registry: Registry) -> None:
    """Send to the topic what goes wrong without a number that an alarm could look at."""
    of_service = f"arn:{Aws.PARTITION}:ecs:{Aws.REGION}:{Aws.ACCOUNT_ID}:service/{config.prefix}/"
    _tell(
        observation,
        "DeploymentFailed",
        "A deployment was taken back",
        "aws.ecs",
        "ECS Deployment State Change",
        {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
        resources=events.Match.prefix(of_service),
    )
    _tell(
        observation,
        "PipelineFailed",
        "A version was not delivered",
        "aws.codepipeline",
        "CodePipeline Pipeline Execution State Change",
        {"pipeline": [config.prefix], "state": ["FAILED"]},
    )
    images = [registry.tracker.repository_name, registry.metabase.repository_name]
    found = {"CRITICAL": [{"numeric": [">", 0]}]}
    _tell(
        observation,
        "ImageVulnerable",
        "The scan of an image found something critical",
        "aws.ecr",
        "ECR Image Scan",
        {"repository-name": images, "finding-severity-counts": found},
    )
    _tell_of_logins(observation, config)
    _tell_of_databases(observation, data)
    _tell_of_backups(observation, data)


def _tell(
    observation: Observation,
    name: str,
    description: str,
    source: str,
    kind: str,
    detail: Mapping[str, Any],
    resources: list[str] | None = None,
) -> None:
    events.Rule(
        observation,
        name,
        description=description,
        event_pattern=events.EventPattern(
            source=[source], detail_type=[kind], detail=detail, resources=resources
        ),
        targets=[targets.SnsTopic(observation.topic)],
    )


def _tell_of_logins(observation: Observation, config: Config) -> None:
    _tell(
        observation,
        "LoginsNotChanged",
        "The logins of the databases could not be changed; the ones in force still work",
        "aws.ecs",
        "ECS Task State Change",
        {
            "group": [f"family:{config.prefix}-{LOGINS}"],
            "lastStatus": ["STOPPED"],
            "$or": [
                {"containers": {"exitCode": [{"anything-but": 0}]}},
                {"stopCode": ["TaskFailedToStart"]},
            ],
        },
    )


def _tell_of_databases(observation: Observation, data: Data) -> None:
    instances = [data.warehouse.instance, data.metabase_database.instance]
    if data.replica:
        instances.append(data.replica)
    subscription = rds.CfnEventSubscription(
        observation,
        "DatabaseEvents",
        sns_topic_arn=observation.topic.topic_arn,
        source_type="db-instance",
        source_ids=[instance.ref for instance in instances],
        event_categories=list(_OF_DATABASES),
        enabled=True,
    )
    # RDS tries the topic when the subscription is made.
    subscription.node.add_dependency(observation.topic.node.find_child("Policy"))


def _tell_of_backups(observation: Observation, data: Data) -> None:
    identifiers = [data.warehouse.identifier, data.metabase_database.identifier]
    _tell(
        observation,
        "DatabaseBackup",
        "RDS tells of a backup that did not go as every night",
        "aws.rds",
        "RDS DB Instance Event",
        {
            "SourceIdentifier": identifiers,
            "EventCategories": ["backup"],
            "EventID": [{"anything-but": _USUAL_BACKUPS}],
        },
    )
    for name, kind, source in (
        ("BackupFailed", "Backup Job State Change", "backupVaultArn"),
        ("CopyFailed", "Copy Job State Change", "sourceBackupVaultArn"),
    ):
        _tell(
            observation,
            name,
            "A backup or its copy in the second region failed",
            "aws.backup",
            kind,
            {"state": _FAILED_JOBS, source: [data.vault.backup_vault_arn]},
        )
