"""Restart services when one of their secrets changes, because a task reads secrets only when it starts."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from shs_deploy.accept import accept, accept_lint
from shs_deploy.config import Config
from shs_deploy.services import Services

_CODE = Path(__file__).with_name("redeploy.py")


def redeploy_after_rotation(services: Services, config: Config) -> lambda_.Function:
    """Add the function that restarts services, called every ten minutes.

    That is soon enough: of a database, the login of before stays valid for a month (`logins.py`).
    """
    known = {name: services.secrets[name] for name in services.services}
    secrets = sorted({arn for arns in known.values() for arn in arns})
    function = _function(services, config, known, secrets)
    target = targets.LambdaFunction(function, retry_attempts=3, max_event_age=Duration.hours(1))
    events.Rule(
        services,
        "SecretsNowAndThen",
        description="Whether a secret has changed",
        schedule=events.Schedule.rate(Duration.minutes(10)),
        targets=[target],
    )
    return function


def _function(
    services: Services, config: Config, known: dict[str, list[str]], secrets: list[str]
) -> lambda_.Function:
    log_group = logs.LogGroup(
        services,
        "RedeployLog",
        log_group_name=f"/{config.prefix}/redeploy",
        retention=logs.RetentionDays.ONE_MONTH,
        removal_policy=RemovalPolicy.DESTROY,
    )
    role = _role(services, config, secrets, list(known), log_group)
    function = lambda_.Function(
        services,
        "Redeploy",
        description="Restarts services whose secrets have changed",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline(_CODE.read_text(encoding="utf-8")),
        environment={
            "CLUSTER": config.prefix,
            "SERVICES": services.to_json_string(known),
        },
        timeout=Duration.seconds(60),
        role=role,
        log_group=log_group,
    )
    resource = function.node.default_child
    assert resource
    accept_lint(resource, "The CDK says twice that the role comes first.", "W3005")
    accept(function, "It runs on the newest version of Python that is known to do what it does.", "L1")
    return function


def _role(
    services: Services, config: Config, secrets: list[str], names: list[str], log_group: logs.LogGroup
) -> iam.Role:
    role = iam.Role(
        services,
        "RedeployRole",
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        description="Permissions of the function that restarts services",
    )
    arn = f"arn:{Aws.PARTITION}:ecs:{Aws.REGION}:{Aws.ACCOUNT_ID}:service/{config.prefix}"
    role.add_to_policy(
        iam.PolicyStatement(
            sid="StartAnew",
            actions=["ecs:DescribeServices", "ecs:UpdateService"],
            resources=[f"{arn}/{name}" for name in names],
        )
    )
    role.add_to_policy(
        iam.PolicyStatement(sid="WhenChanged", actions=["secretsmanager:DescribeSecret"], resources=secrets)
    )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="Log",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[log_group.log_group_arn],
        )
    )
    return role
