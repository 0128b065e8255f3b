"""An RDS PostgreSQL; AWS makes, keeps and changes the password of its administrator."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from constructs import Construct

from shs_deploy import sizes
from shs_deploy.accept import accept, accept_lint

VERSION = "16"
ADMINISTRATOR = "shs_master"
"""The master user of RDS, as whom nothing works but what makes the logins (`logins.py`)."""

CERTIFICATES = "/app/deploy/rds-certificates.pem"
"""RDS's authorities in our image; the build puts the file there (`deploy/rds_certificates.sh`)."""

TLS = f"sslmode=verify-full&sslrootcert={CERTIFICATES}"
"""How our tasks connect: encrypted, and to nobody but the server of that name."""

_ENGINE = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_16)
# Statements that wait or run long are written down; connections are not, there are too many.
_PARAMETERS = {"rds.force_ssl": "1", "log_min_duration_statement": "5000", "log_lock_waits": "1"}


class Postgres(Construct):
    """One database server, encrypted, backed up, not public, only with TLS.

    Written with the resource itself, since the construct above it does not know passwords that RDS
    manages. The administrator's is in a secret that RDS makes and changes every seven days.

    Attributes:
        secret_arn: of the administrator's secret, JSON with `username` and `password`.
        host: its address inside the network.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        identifier: str,
        database: str,
        size: sizes.Database,
        key: kms.IKey,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection,
        group: ec2.ISecurityGroup,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, name)
        self.identifier = identifier
        self.size = size
        self._key, self._group = key, group
        parameters = rds.ParameterGroup(
            self, "Parameters", engine=_ENGINE, description=f"{identifier}: TLS only", parameters=_PARAMETERS
        )
        self._subnets = rds.SubnetGroup(
            self,
            "Subnets",
            vpc=vpc,
            vpc_subnets=subnets,
            description=f"{identifier}: isolated subnets",
            removal_policy=RemovalPolicy.RETAIN,
        )
        self._parameter_group = parameters.bind_to_instance().parameter_group_name
        written = [self._log_group(kind, log_retention) for kind in ("postgresql", "upgrade")]
        self.instance = self._make(database)
        for log_group in written:
            self.instance.node.add_dependency(log_group)
        self.secret_arn = self.instance.attr_master_user_secret_secret_arn
        self.host = self.instance.attr_endpoint_address

    def _log_group(self, kind: str, retention: logs.RetentionDays) -> logs.LogGroup:
        """Make the place of a log before RDS does, which would keep it forever."""
        return logs.LogGroup(
            self,
            f"Log{kind.capitalize()}",
            log_group_name=f"/aws/rds/instance/{self.identifier}/{kind}",
            retention=retention,
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _make(self, database: str) -> rds.CfnDBInstance:
        instance = rds.CfnDBInstance(
            self,
            "Instance",
            db_instance_identifier=self.identifier,
            engine="postgres",
            engine_version=VERSION,
            auto_minor_version_upgrade=True,
            db_instance_class=self.size.instance,
            db_name=database,
            master_username=ADMINISTRATOR,
            manage_master_user_password=True,
            master_user_secret=rds.CfnDBInstance.MasterUserSecretProperty(kms_key_id=self._key.key_arn),
            allocated_storage=str(self.size.storage_gib),
            max_allocated_storage=self.size.most_storage_gib,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=self._key.key_arn,
            multi_az=self.size.is_multi_az,
            publicly_accessible=False,
            db_subnet_group_name=self._subnets.subnet_group_name,
            vpc_security_groups=[self._group.security_group_id],
            db_parameter_group_name=self._parameter_group,
            ca_certificate_identifier="rds-ca-rsa2048-g1",
            backup_retention_period=self.size.backup_days,
            preferred_backup_window="03:00-04:00",
            preferred_maintenance_window="sun:04:30-sun:05:30",
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=True,
            enable_cloudwatch_logs_exports=["postgresql", "upgrade"],
        )
        # Gone from the stack, it is still there.
        instance.apply_removal_policy(RemovalPolicy.RETAIN)
        self._accept(instance)
        return instance

    def _accept(self, instance: rds.CfnDBInstance) -> None:
        _accept_port(instance)
        accept_lint(instance, "16 is the newest 16.x to RDS; the rule takes it for the first one.", "W3691")
        if not self.size.is_multi_az:
            accept(
                instance, "The small size does with one zone; multi_az switches the second one on.", "RDS3"
            )

    def replica(self, instance_class: str) -> rds.CfnDBInstance:
        """Make a copy that can only be read and follows within moments."""
        replica = rds.CfnDBInstance(
            self,
            "Replica",
            db_instance_identifier=f"{self.identifier}-replica",
            source_db_instance_identifier=self.instance.ref,
            auto_minor_version_upgrade=True,
            db_instance_class=instance_class,
            db_parameter_group_name=self._parameter_group,
            storage_type="gp3",
            publicly_accessible=False,
            vpc_security_groups=[self._group.security_group_id],
            ca_certificate_identifier="rds-ca-rsa2048-g1",
            copy_tags_to_snapshot=True,
            deletion_protection=True,
        )
        replica.apply_removal_policy(RemovalPolicy.RETAIN)
        _accept_port(replica)
        accept(
            replica,
            "If lost, it is recreated from the first one, which has a second zone and backups.",
            "RDS3",
            "RDS13",
        )
        accept(replica, "A copy of an encrypted database is encrypted; RDS lets nobody say it.", "RDS2")
        return replica


def _accept_port(instance: rds.CfnDBInstance) -> None:
    accept(
        instance, "Only the groups of our tasks reach the port; another number would hide nothing.", "RDS11"
    )


def retention(days: int) -> logs.RetentionDays:
    """Return CloudWatch's word for so many days."""
    known: Sequence[tuple[int, logs.RetentionDays]] = (
        (30, logs.RetentionDays.ONE_MONTH),
        (90, logs.RetentionDays.THREE_MONTHS),
        (365, logs.RetentionDays.ONE_YEAR),
    )
    return next(word for number, word in known if number >= days)
