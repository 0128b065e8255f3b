"""What runs: Dagster's webserver, code server and daemon, the task of a run, and Metabase, on Fargate."""

from __future__ import annotations

import re
from typing import Any, cast

from aws_cdk import Aws, CfnParameter, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_servicediscovery as servicediscovery
from constructs import Construct

from shs_deploy import rights, sizes
from shs_deploy.accept import accept
from shs_deploy.commands import COMMANDS, RUN_CONTAINER, SETUP, gate_of_webserver
from shs_deploy.config import Config
from shs_deploy.data import LANDING, Data
from shs_deploy.database import TLS, retention
from shs_deploy.logins import change_every_month, make_before
from shs_deploy.metabase import SMTP_PORT, make_metabase
from shs_deploy.network import CODE_PORT, METABASE_PORT, WEB_PORT, Network
from shs_deploy.registry import Registry
from shs_deploy.right import Right, as_found, give

LISTING_MINUTES = 15
_DAGSTER_CONFIG = "/app/deploy/dagster.ecs.yaml"


class Services(Stack):
    """The cluster, its services and the task of a run.

    Attributes:
        network: where all of it is.
        log_groups: by the name of the task.
        services: by the name of the task; a run is none.
        secrets: by the name of the task, the ARNs of those secrets that it reads when it starts.
    """

    def __init__(
        self,
        scope: Construct,
        config: Config,
        network: Network,
        data: Data,
        registry: Registry,
        **options: Any,
    ) -> None:
        super().__init__(scope, f"{config.prefix}-services", **options)
        self.network = network
        self._config, self._data = config, data
        self.log_groups: dict[str, logs.LogGroup] = {}
        self.services: dict[str, ecs.FargateService] = {}
        self.secrets: dict[str, list[str]] = {}
        self._tag = CfnParameter(
            self,
            "ImageTag",
            description="Which version of the image runs; not said, it stays the last one",
            allowed_pattern="[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
        ).value_as_string
        self.cluster = self._make_cluster()
        self.names = servicediscovery.PrivateDnsNamespace(
            self, "Names", name=f"{config.prefix}.internal", vpc=network.vpc
        )
        self.run = self._make_run(registry.tracker, RUN_CONTAINER)
        self._make_run(registry.tracker, SETUP)
        self._make_dagster(registry.tracker)
        change_every_month(self, data, self._image(registry.tracker))
        make_metabase(self, config, data, registry.metabase)

    # --- the cluster ----------------------------------------------------------------------

    def _make_cluster(self) -> ecs.Cluster:
        insights = ecs.ContainerInsights
        is_watched = self._config.size.has_container_insights
        cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=self._config.prefix,
            vpc=self.network.vpc,
            container_insights_v2=insights.ENABLED if is_watched else insights.DISABLED,
            execute_command_configuration=ecs.ExecuteCommandConfiguration(
                logging=ecs.ExecuteCommandLogging.OVERRIDE,
                log_configuration=ecs.ExecuteCommandLogConfiguration(
                    cloud_watch_log_group=self.log_group("sessions")
                ),
            ),
        )
        if not is_watched:
            accept(
                cluster,
                "It would cost as much as the database; the alarms use metrics that are free.",
                "ECS4",
            )
        return cluster

    def log_group(self, name: str) -> logs.LogGroup:
        """Return the log of a task, made where it is not there yet."""
        if name in self.log_groups:
            return self.log_groups[name]
        group = logs.LogGroup(
            self,
            f"{name.capitalize()}Log",
            log_group_name=f"/{self._config.prefix}/{name}",
            retention=retention(self._config.size.log_days),
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.log_groups[name] = group
        return group

    # --- the tasks ------------------------------------------------------------------------

    def task(self, name: str, size: sizes.Task, given: list[Right]) -> ecs.FargateTaskDefinition:
        """Return a task definition with roles of its own: what its code may do, and what starts it."""
        principal = iam.ServicePrincipal(
            "ecs-tasks.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        )
        title = name.capitalize()
        role = iam.Role(self, f"{title}Role", assumed_by=principal, description=f"What {name} may do")
        give(role, given)
        starter = iam.Role(
            self, f"{title}Starter", assumed_by=principal, description=f"What ECS may do to start {name}"
        )
        give(starter, rights.open_secrets(self._data))
        task = ecs.FargateTaskDefinition(
            self,
            f"{title}Task",
            family=f"{self._config.prefix}-{name}",
            cpu=size.cpu,
            memory_limit_mib=size.memory,
            task_role=role,
            execution_role=starter,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        # A task that starts before it may read its secrets does not start.
        task.node.add_dependency(starter.node.find_child("DefaultPolicy"))
        return task

    def container(
        self,
        task: ecs.FargateTaskDefinition,
        name: str,
        image: ecs.ContainerImage,
        environment: dict[str, str],
        secrets: dict[str, ecs.Secret],
        **options: Any,
    ) -> ecs.ContainerDefinition:
        """Add what a task is for, and note which secrets it reads when it starts."""
        accept(task, "Nothing secret is in these variables; secrets come from Secrets Manager.", "ECS2")
        self.secrets[name] = sorted({re.sub(r":\w+::$", "", secret.arn) for secret in secrets.values()})
        return task.add_container(
            name,
            image=image,
            essential=True,
            environment=environment,
            secrets=secrets,
            logging=ecs.LogDrivers.aws_logs(stream_prefix=name, log_group=self.log_group(name)),
            linux_parameters=ecs.LinuxParameters(
                self, f"{name.capitalize()}Linux", init_process_enabled=True
            ),
            stop_timeout=Duration.seconds(120),
            **options,
        )

    def service(self, name: str, task: ecs.FargateTaskDefinition, **options: Any) -> ecs.FargateService:
        """Add a service that keeps a task running."""
        service = ecs.FargateService(
            self,
            f"{name.capitalize()}Service",
            service_name=name,
            cluster=self.cluster,
            task_definition=task,
            vpc_subnets=self.network.tasks,
            assign_public_ip=False,
            # A version that does not become healthy is taken back, and the deployment fails with it.
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            **options,
        )
        self.services[name] = service
        return service

    # --- Dagster --------------------------------------------------------------------------

    def _environment(self, run_task: str) -> dict[str, str]:
        """Return the variables of all four of our tasks."""
        warehouse = self._data.warehouse
        return {
            "AWS_REGION": Aws.REGION,
            "AWS_DEFAULT_REGION": Aws.REGION,
            "SHS_DATABASE_URL": f"postgresql://{warehouse.host}:5432/shs?{TLS}",
            "SHS_DAGSTER_CONFIG": _DAGSTER_CONFIG,
            "SHS_LOG_BUCKET": self._data.run_logs.bucket_name,
            "SHS_ECS_RUN_TASK": run_task,
            "SHS_ECS_RUN_CONTAINER": RUN_CONTAINER,
            "SHS_MAX_RUNS": str(self._config.size.max_runs),
        }

    def _environment_of_work(self) -> dict[str, str]:
        """Return the variables of those tasks that look at files, people and mail."""
        found = {
            "SHS_LANDING": f"s3://{self._data.landing.bucket_name}/{LANDING}",
            "SHS_DUE_DAY": str(self._config.due_day),
            "SHS_METABASE_URL": f"http://metabase.{self.names.namespace_name}:{METABASE_PORT}",
            "SHS_METABASE_PUBLIC_URL": f"https://{self._config.metabase_host}",
        }
        if self._config.mail:
            found |= {
                "SHS_SMTP_HOST": f"email-smtp.{Aws.REGION}.amazonaws.com",
                "SHS_SMTP_PORT": SMTP_PORT,
                "SHS_SMTP_TLS": "starttls",
                "SHS_SMTP_SENDER": self._config.mail.sender,
            }
        if self._config.notice_ok:
            found["SHS_NOTICE_OK"] = "on"
        if self._config.statement_links:
            found["SHS_STATEMENT_LINKS"] = f"{self._config.statement_links}h"
        return found

    def _secrets(self, *, has_mail: bool = False) -> dict[str, ecs.Secret]:
        login = self._data.warehouse_login.secret_arn
        found = {
            "SHS_DATABASE_USER": self.secret("WarehouseLogin", login, "username"),
            "SHS_DATABASE_PASSWORD": self.secret("WarehouseLogin", login, "password"),
        }
        if has_mail:
            found |= self.secrets_of_mail("SHS_SMTP_USER", "SHS_SMTP_PASSWORD")
        return found

    def secrets_of_mail(self, user: str, password: str) -> dict[str, ecs.Secret]:
        """Return user and password of the mail server by the names of two variables, if there is mail."""
        if self._data.mail is None:
            return {}
        arn = self._data.mail.secret.secret_arn
        return {user: self.secret("Smtp", arn, "username"), password: self.secret("Smtp", arn, "password")}

    def secret(self, name: str, arn: str, field: str | None = None) -> ecs.Secret:
        """Return a secret for a task; known by its ARN alone, so that its key is not told of our roles."""
        known = self.node.try_find_child(name) or secretsmanager.Secret.from_secret_complete_arn(
            self, name, arn
        )
        return ecs.Secret.from_secrets_manager(cast("secretsmanager.ISecret", known), field)

    def _image(self, repository: ecr.Repository) -> ecs.ContainerImage:
        return ecs.ContainerImage.from_ecr_repository(repository, self._tag)

    def _make_run(self, repository: ecr.Repository, name: str) -> ecs.FargateTaskDefinition:
        """Make the task of a run, or the same one with the password that sets Metabase up."""
        data = self._data
        task = self.task(
            name,
            self._config.size.run,
            [
                *rights.read_landing(data, self._config.statement_links),
                *rights.write_landing(data),
                *rights.keep_people(data),
                *rights.write_run_logs(data),
                *rights.know_run_task(),
            ],
        )
        replica = data.replica
        host = replica.attr_endpoint_address if replica else data.warehouse.host
        secrets = self._secrets(has_mail=True)
        if name == SETUP:
            secrets["SHS_METABASE_PASSWORD"] = self.secret("MetabaseAdmin", data.metabase_admin.secret_arn)
        self.container(
            task,
            name,
            self._image(repository),
            {
                **self._environment(f"{self._config.prefix}-{RUN_CONTAINER}"),
                **self._environment_of_work(),
                "SHS_SECRETS": f"aws-secretsmanager://{data.people}",
                "SHS_METABASE_USER": self._config.admin_mail,
                "SHS_METABASE_WAREHOUSE": f"{host}:5432",
            },
            secrets,
            command=COMMANDS[name],
        )
        return task

    def _make_dagster(self, repository: ecr.Repository) -> None:
        data, size, cluster = self._data, self._config.size, self._config.prefix
        self._dagster_service(
            "code",
            repository,
            size.code,
            [
                *rights.read_landing(data, self._config.statement_links),
                *rights.drain_arrivals(data),
                *rights.know_run_task(),
            ],
            {
                **self._environment_of_work(),
                "SHS_ARRIVALS_QUEUE": data.arrivals.queue_url,
                "SHS_LISTING_MINUTES": str(LISTING_MINUTES),
            },
            cloud_map_options=self.named("code"),
        )
        self._dagster_service(
            "webserver",
            repository,
            size.webserver,
            [*rights.read_run_logs(data), *rights.know_run_task(), *rights.end_runs(cluster)],
            gate_of_webserver(self._config),
            # Whom IAM lets, reaches the UI and the databases through it, without a bastion.
            enable_execute_command=True,
        )
        self._accept_sessions("webserver")
        self._make_daemon(repository)
        # Started before the code server answers, they look for it again only after a minute.
        for name in ("webserver", "daemon"):
            self.services[name].node.add_dependency(self.services["code"])

    def _accept_sessions(self, name: str) -> None:
        sessions = as_found(self, f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:")
        log_group = as_found(self, self.log_groups["sessions"].log_group_name)
        accept(
            self.services[name].task_definition.task_role,
            "Each session writes a log stream of its own.",
            f"IAM5[Resource::{sessions}{log_group}:*]",
        )

    def _make_daemon(self, repository: ecr.Repository) -> None:
        cluster = self._config.prefix
        launching = rights.launch_runs(
            cluster,
            f"{cluster}-{RUN_CONTAINER}",
            [self.run.task_role.role_arn, self.run.obtain_execution_role().role_arn],
            self.log_groups[RUN_CONTAINER].log_group_arn,
        )
        self._dagster_service(
            "daemon",
            repository,
            self._config.size.daemon,
            [*rights.know_run_task(), *rights.end_runs(cluster), *launching],
            # Two daemons at once would launch twice: the old one ends before the new one starts.
            min_healthy_percent=0,
            max_healthy_percent=100,
        )

    def _dagster_service(
        self,
        name: str,
        repository: ecr.Repository,
        size: sizes.Task,
        given: list[Right],
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        task = self.task(name, size, given)
        own = {"SHS_CODE_SERVER": f"code.{self.names.namespace_name}:{CODE_PORT}"} if name != "code" else {}
        container = self.container(
            task,
            name,
            self._image(repository),
            {**self._environment(self.run.task_definition_arn), **own, **(environment or {})},
            self._secrets(has_mail=name == "code"),
            command=COMMANDS[name],
            # ECS does not read the one of the image.
            health_check=ecs.HealthCheck(
                command=["CMD", "python", "-m", "shs_pipeline.system.health"],
                interval=Duration.seconds(30),
                timeout=Duration.seconds(15),
                retries=3,
                start_period=Duration.seconds(300),
            ),
        )
        if name == "code":
            make_before(self, self._data, container, self._image(repository))
        ports = {"webserver": WEB_PORT, "code": CODE_PORT}
        if name in ports:
            container.add_port_mappings(ecs.PortMapping(container_port=ports[name]))
        group = self.network.groups["runs" if name == "daemon" else name]
        options = {"min_healthy_percent": 100, "max_healthy_percent": 200, **options}
        self.service(name, task, desired_count=1, security_groups=[group], **options)

    def named(self, name: str) -> ecs.CloudMapOptions:
        """Return by which name the other tasks find a service."""
        return ecs.CloudMapOptions(
            name=name,
            cloud_map_namespace=self.names,
            dns_record_type=servicediscovery.DnsRecordType.A,
            dns_ttl=Duration.seconds(10),
        )
