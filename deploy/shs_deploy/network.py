"""The network: nothing in it has a way to or from the internet but the load balancer.

Tasks and databases are in isolated subnets without a NAT. AWS services are reached by endpoints inside.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from shs_deploy.accept import accept, accept_lint
from shs_deploy.config import Config

HTTPS, POSTGRES, SMTP = ec2.Port.tcp(443), ec2.Port.tcp(5432), ec2.Port.tcp(587)
WEB_PORT, CODE_PORT, METABASE_PORT = 3000, 4000, 3000

_GROUPS = {
    "balancer": "The load balancer, the only part that the internet reaches",
    "webserver": "The UI of Dagster",
    "code": "The code server of Dagster",
    "runs": "The daemon of Dagster and the runs that it launches, which get its groups",
    "metabase": "Metabase",
    "warehouse": "The database of the warehouse and of Dagster",
    "metabase_database": "The application database of Metabase",
    "endpoints": "The endpoints of AWS services",
}
_TASKS = ("webserver", "code", "runs", "metabase")


class Network(Stack):
    """VPC, subnets, endpoints and who may talk to whom.

    Attributes:
        groups: the security groups by the names of `_GROUPS`.
    """

    def __init__(self, scope: Construct, config: Config, **options: Any) -> None:
        super().__init__(scope, f"{config.prefix}-network", **options)
        self._config = config
        self.vpc = self._make_vpc()
        self.tasks = ec2.SubnetSelection(subnet_group_name="tasks")
        self.databases = ec2.SubnetSelection(subnet_group_name="databases")
        self.groups = {name: self._group(name, text) for name, text in _GROUPS.items()}
        self._let_each_other_in()
        self._make_endpoints()
        self._show_where_tasks_are()

    def _make_vpc(self) -> ec2.Vpc:
        public, isolated = ec2.SubnetType.PUBLIC, ec2.SubnetType.PRIVATE_ISOLATED
        zones: dict[str, Any] = (
            {"availability_zones": list(self._config.zones)} if self._config.zones else {"max_azs": 2}
        )
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(self._config.cidr),
            nat_gateways=0,
            # It would bring a Lambda function with it; nothing here uses the default group.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="balancer", subnet_type=public, cidr_mask=26, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="tasks", subnet_type=isolated, cidr_mask=22),
                ec2.SubnetConfiguration(name="databases", subnet_type=isolated, cidr_mask=26),
            ],
            **zones,
        )
        if self._config.zones:
            for subnet in (*vpc.public_subnets, *vpc.isolated_subnets):
                resource = subnet.node.default_child
                assert resource
                accept_lint(resource, "The settings name these zones; others lack mail's endpoint.", "W3010")
        group = logs.LogGroup(
            self,
            "Flows",
            log_group_name=f"/{self._config.prefix}/network",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(group))
        return vpc

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            "".join(part.capitalize() for part in name.split("_")),
            vpc=self.vpc,
            description=description,
            allow_all_outbound=False,
        )

    def _let_each_other_in(self) -> None:
        balancer = self.groups["balancer"]
        for network in self._config.allowed_networks:
            balancer.add_ingress_rule(ec2.Peer.ipv4(network), HTTPS, "People")
            balancer.add_ingress_rule(ec2.Peer.ipv4(network), ec2.Port.tcp(80), "People, sent on to HTTPS")
        if "0.0.0.0/0" in self._config.allowed_networks:
            accept(
                balancer,
                "The environment's settings say in so many words that it is reached from everywhere.",
                "EC23",
            )
        pairs = [
            ("balancer", "metabase", ec2.Port.tcp(METABASE_PORT)),
            ("webserver", "code", ec2.Port.tcp(CODE_PORT)),
            ("runs", "code", ec2.Port.tcp(CODE_PORT)),
            ("runs", "metabase", ec2.Port.tcp(METABASE_PORT)),
            # The sensor of the notices asks for its version.
            ("code", "metabase", ec2.Port.tcp(METABASE_PORT)),
            ("webserver", "warehouse", POSTGRES),
            ("code", "warehouse", POSTGRES),
            ("runs", "warehouse", POSTGRES),
            ("metabase", "warehouse", POSTGRES),
            ("metabase", "metabase_database", POSTGRES),
            # Where the logins of both databases are made, before the code server starts.
            ("code", "metabase_database", POSTGRES),
            *((name, "endpoints", HTTPS) for name in _TASKS),
        ]
        if self._config.dagster_host:
            pairs.append(("balancer", "webserver", ec2.Port.tcp(WEB_PORT)))
        if self._config.mail:
            pairs += [(name, "endpoints", SMTP) for name in ("code", "runs", "metabase")]
        for from_, to, port in pairs:
            self._let(from_, to, port)
        # Their subnets have no way out but to S3, which has no group to name.
        for name in _TASKS:
            self.groups[name].add_egress_rule(ec2.Peer.any_ipv4(), HTTPS, "S3, by its gateway")
        if self._config.oidc:
            balancer.add_egress_rule(ec2.Peer.any_ipv4(), HTTPS, "The identity provider")

    def _let(self, from_: str, to: str, port: ec2.Port) -> None:
        self.groups[from_].add_egress_rule(self.groups[to], port, f"To {to}")
        self.groups[to].add_ingress_rule(self.groups[from_], port, f"From {from_}")

    def _show_where_tasks_are(self) -> None:
        """Show the networks to be named when a task is started by hand; `deploy/run.sh` reads one."""
        places = (("RunNetwork", "runs", "a run's task"), ("LoginsNetwork", "code", "the task logins"))
        for output, group, what in places:
            place = {
                "awsvpcConfiguration": {
                    "subnets": self.vpc.select_subnets(subnet_group_name="tasks").subnet_ids,
                    "securityGroups": [self.groups[group].security_group_id],
                    "assignPublicIp": "DISABLED",
                }
            }
            CfnOutput(self, output, value=self.to_json_string(place), description=f"Where {what} is put")

    def _make_endpoints(self) -> None:
        gateway = self.vpc.add_gateway_endpoint(
            "S3",
            service=ec2.GatewayVpcEndpointAwsService.S3,
            subnets=[self.tasks],
        )
        for statement in _what_s3_is_for():
            gateway.add_to_policy(statement)
        service = ec2.InterfaceVpcEndpointAwsService
        services = {
            "EcrApi": service.ECR,
            "EcrDocker": service.ECR_DOCKER,
            "Logs": service.CLOUDWATCH_LOGS,
            "SecretsManager": service.SECRETS_MANAGER,
            "Sqs": service.SQS,
            "Ecs": service.ECS,
            "Ec2": service.EC2,
            "SsmMessages": service.SSM_MESSAGES,
        }
        if self._config.mail:
            services["Smtp"] = service.EMAIL_SMTP
        subnets = self.vpc.select_subnets(subnet_group_name="tasks").subnets
        for name, of in services.items():
            self.vpc.add_interface_endpoint(
                name,
                service=of,
                open=False,
                private_dns_enabled=True,
                security_groups=[self.groups["endpoints"]],
                subnets=ec2.SubnetSelection(subnets=subnets[: self._config.size.endpoint_zones]),
            )


def _what_s3_is_for() -> list[iam.PolicyStatement]:
    """Return what may pass the gateway: the account's own buckets, and the layers of images.

    Whoever got into a task could otherwise carry data off to a bucket of their own.
    """
    anybody = iam.AnyPrincipal()
    return [
        iam.PolicyStatement(
            sid="OwnBuckets",
            principals=[anybody],
            actions=["s3:*"],
            resources=["*"],
            conditions={"StringEquals": {"aws:ResourceAccount": Aws.ACCOUNT_ID}},
        ),
        iam.PolicyStatement(
            sid="LayersOfImages",
            principals=[anybody],
            actions=["s3:GetObject"],
            resources=[f"arn:{Aws.PARTITION}:s3:::prod-{Aws.REGION}-starport-layer-bucket/*"],
        ),
    ]
