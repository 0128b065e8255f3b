"""All stacks of one environment, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import Tags, Validations
from cdk_nag import AwsSolutionsChecks

from shs_deploy.backup import Copies
from shs_deploy.config import Config, load_config
from shs_deploy.data import Data
from shs_deploy.front import Front
from shs_deploy.network import Network
from shs_deploy.observation import Observation
from shs_deploy.pipeline import Pipeline
from shs_deploy.registry import Registry
from shs_deploy.rotation import redeploy_after_rotation
from shs_deploy.services import Services

PROJECT = "sales-performance-tracker"

# How the CDK of today does it, where it would do as of old without being told.
FLAGS: Mapping[str, bool] = {
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/core:enablePartitionLiterals": True,
    "@aws-cdk/core:checkSecretUsage": True,
    "@aws-cdk/aws-codepipeline:crossAccountKeyAliasStackSafeResourceName": True,
    "@aws-cdk/aws-codepipeline:defaultPipelineTypeToV2": True,
    "@aws-cdk/aws-kms:reduceCrossAccountRegionPolicyScope": True,
    "@aws-cdk/aws-ecs:removeDefaultDeploymentAlarm": True,
}


def build_app(context: Mapping[str, Any] | None = None, outdir: str | None = None) -> cdk.App:
    """Return the app with the stacks of one environment; nothing is asked of AWS.

    Args:
        context: settings that go before those of the command line and the environment's file.
        outdir: where the templates are written by `synth`.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    app = cdk.App(context={**FLAGS, **(context or {})}, outdir=outdir, analytics_reporting=False)
    config = load_config(app.node.try_get_context)
    make_stacks(app, config)
    Tags.of(app).add("Project", PROJECT)
    Tags.of(app).add("Owner", config.owner)
    Tags.of(app).add("Environment", config.environment)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def make_stacks(app: cdk.App, config: Config) -> dict[str, cdk.Stack]:
    """Make the stacks, each from those that it stands on; return them by name."""
    title = f"Sales tracker, {config.environment}"
    network = Network(app, config, description=f"{title}: network", termination_protection=True)
    data = Data(app, config, network, description=f"{title}: files, databases, secrets, mail")
    registry = Registry(app, config, description=f"{title}: images")
    services = Services(app, config, network, data, registry, description=f"{title}: what runs")
    front = Front(services, config, network, data)
    redeploy = redeploy_after_rotation(services, config)
    observation = Observation(
        app, config, data, services, front, registry, redeploy, description=f"{title}: alarms"
    )
    pipeline = Pipeline(app, config, registry, description=f"{title}: from a commit to what runs")
    copies: dict[str, cdk.Stack] = {}
    if config.backup_region:
        there = cdk.Environment(region=config.backup_region)
        copies["copies"] = Copies(app, config, env=there, description=f"{title}: copies of the backups")
        # A copy needs the vault it goes to.
        data.add_stack_dependency(copies["copies"])
    return {
        **copies,
        "network": network,
        "data": data,
        "registry": registry,
        "services": services,
        "observation": observation,
        "pipeline": pipeline,
    }
