"""Where the images are: one repository for ours, one for the copy of Metabase's."""

from __future__ import annotations

from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from constructs import Construct

from shs_deploy.config import Config


class Registry(Stack):
    """Repositories whose tags never move, each image scanned when it comes.

    Metabase is copied here, since the tasks have no way to the registry that it comes from.
    """

    def __init__(self, scope: Construct, config: Config, **options: Any) -> None:
        super().__init__(scope, f"{config.prefix}-registry", **options)
        self.tracker = self._repository("Tracker", f"{config.prefix}/tracker", keep=30)
        self.metabase = self._repository("Metabase", f"{config.prefix}/metabase", keep=10)

    def _repository(self, construct: str, name: str, keep: int) -> ecr.Repository:
        return ecr.Repository(
            self,
            construct,
            repository_name=name,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            encryption=ecr.RepositoryEncryption.KMS,
            lifecycle_rules=[
                ecr.LifecycleRule(
                    rule_priority=1,
                    description="What no tag names",
                    tag_status=ecr.TagStatus.UNTAGGED,
                    max_image_age=Duration.days(7),
                ),
                ecr.LifecycleRule(
                    rule_priority=2,
                    description="Old versions",
                    tag_status=ecr.TagStatus.ANY,
                    max_image_count=keep,
                ),
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
