"""The databases' logins: made before anything starts that needs them, and changed every month.

Nothing works as the master user of RDS but these containers, which know its password; what they do is in
`shs_pipeline/database/owner_logins.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_secretsmanager as secretsmanager

from shs_deploy import rights, sizes
from shs_deploy.accept import accept
from shs_deploy.data import METABASE_OWNER, WAREHOUSE_OWNER, Data
from shs_deploy.database import TLS, Postgres
from shs_deploy.right import as_found

if TYPE_CHECKING:
    from shs_deploy.services import Services

LOGINS = "logins"
_PROGRAM = ["python", "-m", "shs_pipeline.database.owner_logins"]
_SIZE = sizes.Task(256, 512)
# Before the backup and the maintenance of the night, in the month's first one.
_WHEN = events.Schedule.cron(minute="0", hour="2", day="1")


@dataclass(frozen=True)
class _Server:
    name: str
    database: Postgres
    owner: str
    databases: str
    manages_roles: bool
    login: secretsmanager.Secret


def _servers(data: Data) -> list[_Server]:
    return [
        _Server("warehouse", data.warehouse, WAREHOUSE_OWNER, "shs,shs_dagster", True, data.warehouse_login),
        _Server("metabase", data.metabase_database, METABASE_OWNER, "metabase", False, data.metabase_login),
    ]


def make_before(
    services: Services, data: Data, container: ecs.ContainerDefinition, image: ecs.ContainerImage
) -> None:
    """Let a task make the logins of all databases before its container starts."""
    for server in _servers(data):
        made = _container(services, container.task_definition, server, image, "ensure")
        container.add_container_dependencies(
            ecs.ContainerDependency(container=made, condition=ecs.ContainerDependencyCondition.SUCCESS)
        )


def change_every_month(services: Services, data: Data, image: ecs.ContainerImage) -> None:
    """Add the task that changes the logins, and when it does."""
    task = services.task(LOGINS, _SIZE, rights.change_logins(data))
    warehouse, metabase = (_container(services, task, server, image, "rotate") for server in _servers(data))
    # One after the other: the task ends with the one that is essential.
    warehouse.add_container_dependencies(
        ecs.ContainerDependency(container=metabase, condition=ecs.ContainerDependencyCondition.COMPLETE)
    )
    network = services.network
    tasks = as_found(services, services.cluster.cluster_name)
    accept(task, "Nothing secret is in these variables; secrets come from Secrets Manager.", "ECS2")
    accept(
        task,
        "The tags of the task that the rule starts, whose name nobody knows before; as the CDK grants it.",
        f"IAM5[Resource::arn:<AWS::Partition>:ecs:<AWS::Region>:*:task/{tasks}/*]",
    )
    events.Rule(
        services,
        "ChangeLogins",
        description="The logins of the databases get new passwords",
        schedule=_WHEN,
        targets=[
            targets.EcsTask(
                cluster=services.cluster,
                task_definition=task,
                subnet_selection=network.tasks,
                security_groups=[network.groups["code"]],
                assign_public_ip=False,
                propagate_tags=ecs.PropagatedTagSource.TASK_DEFINITION,
            )
        ],
    )


def _container(
    services: Services,
    task: ecs.TaskDefinition,
    server: _Server,
    image: ecs.ContainerImage,
    what: str,
) -> ecs.ContainerDefinition:
    title = server.name.capitalize()
    administrator, login = server.database.secret_arn, server.login.secret_arn
    return task.add_container(
        f"{what}-{server.name}",
        image=image,
        essential=what == "rotate" and server.name == "warehouse",
        entry_point=_PROGRAM,
        command=[what],
        environment={
            "AWS_REGION": Aws.REGION,
            "LOGINS_URL": f"postgresql://{server.database.host}:5432/{server.databases.split(',')[0]}?{TLS}",
            "LOGINS_OWNER": server.owner,
            "LOGINS_DATABASES": server.databases,
            "LOGINS_MANAGES_ROLES": "true" if server.manages_roles else "false",
            "LOGINS_SECRET": login,
        },
        secrets={
            "LOGINS_ADMINISTRATOR": services.secret(f"{title}Administrator", administrator, "username"),
            "LOGINS_ADMINISTRATOR_PASSWORD": services.secret(
                f"{title}Administrator", administrator, "password"
            ),
            "LOGINS_USER": services.secret(f"{title}Login", login, "username"),
            "LOGINS_PASSWORD": services.secret(f"{title}Login", login, "password"),
        },
        logging=ecs.LogDrivers.aws_logs(stream_prefix=what, log_group=services.log_group(LOGINS)),
    )
