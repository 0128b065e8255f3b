"""Backups in a vault that nobody empties, and their copies in a second region.

RDS's own backups go back to any second of some days; these outlive them, an instance that was deleted, and
a person with too many rights.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_backup as backup
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from shs_deploy.accept import accept
from shs_deploy.config import Config

_DAILY_DAYS, _MONTHLY_DAYS = 35, 400
# Nothing is deleted from a vault before; whoever sets it lower has to lift the lock first.
_LEAST_DAYS = 30


class Copies(Stack):
    """What is in the second region: a key, and a vault to which backups are copied."""

    def __init__(self, scope: Construct, config: Config, **options: Any) -> None:
        super().__init__(scope, f"{config.prefix}-copies", termination_protection=True, **options)
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{config.prefix}-copies",
            description="Copies of the sales tracker's backups",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        _vault(self, f"{config.prefix}-copies", key)


class Backups(Construct):
    """The vault of this region and what is put into it, each night and once a month.

    Attributes:
        vault: from here copies go to the second region, if the settings name one.
    """

    def __init__(self, scope: Construct, config: Config, key: kms.IKey, resources: list[str]) -> None:
        super().__init__(scope, "Backups")
        self._config = config
        self.vault = _vault(self, config.prefix, key)
        plan = backup.BackupPlan(
            self,
            "Plan",
            backup_plan_name=config.prefix,
            backup_vault=self.vault,
            backup_plan_rules=[
                # After RDS's own backup of the night.
                self._rule("daily", events.Schedule.cron(minute="0", hour="5"), _DAILY_DAYS),
                self._rule("monthly", events.Schedule.cron(minute="0", hour="6", day="1"), _MONTHLY_DAYS),
            ],
        )
        plan.add_selection(
            "Selection",
            role=self._role(),
            resources=[backup.BackupResource.from_arn(arn) for arn in resources],
        )

    def _rule(self, name: str, schedule: events.Schedule, days: int) -> backup.BackupPlanRule:
        return backup.BackupPlanRule(
            rule_name=name,
            schedule_expression=schedule,
            start_window=Duration.hours(2),
            completion_window=Duration.hours(12),
            delete_after=Duration.days(days),
            copy_actions=self._copy_to_second_region(days),
        )

    def _copy_to_second_region(self, days: int) -> list[backup.BackupPlanCopyActionProps] | None:
        region = self._config.backup_region
        if not region:
            return None
        # By name, since the vault is in a stack of another region.
        name = f"{self._config.prefix}-copies"
        arn = f"arn:{Aws.PARTITION}:backup:{region}:{Aws.ACCOUNT_ID}:backup-vault:{name}"
        there = backup.BackupVault.from_backup_vault_arn(self, f"Copies{days}", arn)
        return [
            backup.BackupPlanCopyActionProps(destination_backup_vault=there, delete_after=Duration.days(days))
        ]

    def _role(self) -> iam.Role:
        managed = ("AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForS3Backup")
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("backup.amazonaws.com"),
            description="What AWS Backup may do to back up databases and files",
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    name if "S3" in name else f"service-role/{name}"
                )
                for name in managed
            ],
        )
        accept(
            role,
            "What AWS Backup needs is written by AWS; the selection names what it may be used on.",
            *(
                f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{path}]"
                for path in (f"service-role/{managed[0]}", managed[1])
            ),
        )
        return role


def _vault(scope: Construct, name: str, key: kms.IKey) -> backup.BackupVault:
    return backup.BackupVault(
        scope,
        "Vault",
        backup_vault_name=name,
        encryption_key=key,
        block_recovery_point_deletion=True,
        lock_configuration=backup.LockConfiguration(min_retention=Duration.days(_LEAST_DAYS)),
        removal_policy=RemovalPolicy.RETAIN,
    )
