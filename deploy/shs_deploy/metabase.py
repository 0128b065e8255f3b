"""Metabase: its task and its service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs

from shs_deploy.config import Config, address_of
from shs_deploy.data import Data
from shs_deploy.network import METABASE_PORT

if TYPE_CHECKING:
    from shs_deploy.services import Services

SMTP_PORT = "587"
# Java takes a quarter of a container by itself, too little with a connection per rep.
_HEAP = "-XX:MaxRAMPercentage=70"
# RDS's authorities, in Metabase's own image.
_CERTIFICATES = "/app/certs/rds-combined-ca-bundle.pem"


def make_metabase(services: Services, config: Config, data: Data, repository: ecr.Repository) -> None:
    """Add Metabase to the services."""
    task = services.task("metabase", config.size.metabase, [])
    login = data.metabase_login.secret_arn
    secrets = {
        "MB_DB_USER": services.secret("MetabaseLogin", login, "username"),
        "MB_DB_PASS": services.secret("MetabaseLogin", login, "password"),
        "MB_ENCRYPTION_SECRET_KEY": services.secret("MetabaseKey", data.metabase_key.secret_arn),
        **services.secrets_of_mail("MB_EMAIL_SMTP_USERNAME", "MB_EMAIL_SMTP_PASSWORD"),
    }
    place = f"jdbc:postgresql://{data.metabase_database.host}:5432/metabase"
    environment = {
        "MB_DB_TYPE": "postgres",
        "MB_DB_CONNECTION_URI": f"{place}?sslmode=verify-full&sslrootcert={_CERTIFICATES}",
        "MB_SITE_URL": f"https://{config.metabase_host}",
        "MB_REDIRECT_ALL_REQUESTS_TO_HTTPS": "false",
        "MB_LOAD_SAMPLE_CONTENT": "false",
        "MB_ANON_TRACKING_ENABLED": "false",
        "MB_CHECK_FOR_UPDATES": "false",
        # A rep's role may have 10 connections at once.
        "MB_JDBC_DATA_WAREHOUSE_MAX_CONNECTION_POOL_SIZE": "5",
        "JAVA_OPTS": _HEAP,
        "MB_PASSWORD_COMPLEXITY": "normal",
        "MB_PASSWORD_LENGTH": "12",
        **_mail(config),
    }
    image = ecs.ContainerImage.from_ecr_repository(repository, config.metabase_version)
    container = services.container(task, "metabase", image, environment, secrets)
    container.add_port_mappings(ecs.PortMapping(container_port=METABASE_PORT))
    service = services.service(
        "metabase",
        task,
        desired_count=config.size.metabase_count,
        security_groups=[services.network.groups["metabase"]],
        # Two versions at once on one application database would spoil it: the old one ends first.
        min_healthy_percent=0,
        max_healthy_percent=100,
        # A new version migrates its tables before it answers.
        health_check_grace_period=Duration.minutes(30),
        cloud_map_options=services.named("metabase"),
    )
    # The code server's task makes the logins of both databases before it starts.
    service.node.add_dependency(services.services["code"])


def _mail(config: Config) -> dict[str, str]:
    if config.mail is None:
        return {}
    return {
        "MB_EMAIL_SMTP_HOST": f"email-smtp.{Aws.REGION}.amazonaws.com",
        "MB_EMAIL_SMTP_PORT": SMTP_PORT,
        "MB_EMAIL_SMTP_SECURITY": "starttls",
        "MB_EMAIL_FROM_ADDRESS": address_of(config.mail.sender),
    }
