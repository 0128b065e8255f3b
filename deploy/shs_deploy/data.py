"""What must not be lost: the bucket with the files, its queue, the databases, the secrets, the mail."""

from __future__ import annotations

import json
import math
from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from shs_deploy import sizes
from shs_deploy.accept import accept
from shs_deploy.backup import Backups
from shs_deploy.config import Config
from shs_deploy.database import Postgres, retention
from shs_deploy.mail import MailIdentity
from shs_deploy.network import Network
from shs_deploy.right import Right, by_service, of_prefix

LANDING = "landing"
"""The folder of the landing zone in its bucket; `SHS_LANDING` is `s3://<bucket>/landing`."""

_EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
# Not `rejected/` and `paid/`, where the system itself writes.
_WATCHED = ("incoming", "reference")
_START_HERE = "START HERE.xlsx"
# What is paid is decided here.
_OF_FINANCE = ("reference/pay_periods.xlsx", "incoming/adjustments")
_DAYS_OF_YEAR = 365.25
WAREHOUSE_OWNER, METABASE_OWNER = "shs_owner", "metabase"
"""To whom the databases belong; two logins stand for each (`shs_pipeline/database/owner_logins.py`)."""


class Data(Stack):
    """Bucket, queue, databases, secrets, mail."""

    def __init__(self, scope: Construct, config: Config, network: Network, **options: Any) -> None:
        super().__init__(scope, f"{config.prefix}-data", termination_protection=True, **options)
        self._config, self._network = config, network
        self.key = self._make_key()
        self.access_logs = self._make_access_logs()
        self.dead_arrivals, self.arrivals = self._make_queues()
        self.landing = self._make_landing()
        self.run_logs = self._make_run_logs()
        self.warehouse = self._postgres("Warehouse", "warehouse", database="shs", size=config.size.warehouse)
        replica = config.size.replica
        self.replica = self.warehouse.replica(replica) if replica else None
        self.replica_size = sizes.Database(replica, config.size.warehouse.storage_gib, 0) if replica else None
        self.metabase_database = self._postgres(
            "MetabaseDatabase",
            "metabase",
            database="metabase",
            size=config.size.metabase_database,
        )
        self.metabase_key = self._secret(
            "MetabaseKey",
            "metabase-encryption-key",
            "Metabase's key for encrypting its connections' passwords. If it is lost, they must be "
            "recreated.",
        )
        self.metabase_admin = self._secret(
            "MetabaseAdmin",
            "metabase-admin",
            f"First password of Metabase's administrator {config.admin_mail}.",
        )
        self.warehouse_login = self._login("WarehouseLogin", "warehouse-login", WAREHOUSE_OWNER)
        self.metabase_login = self._login("MetabaseLogin", "metabase-login", METABASE_OWNER)
        self.mail = MailIdentity(self, config.prefix, config.mail, config.zone) if config.mail else None
        databases = (self.warehouse, self.metabase_database)
        backed_up = [self.landing_arn, *(database.instance.attr_db_instance_arn for database in databases)]
        self.vault = Backups(self, config, self.key, backed_up).vault
        self._make_policy_of_droppers()
        self._make_policy_of_finance()
        CfnOutput(self, "LandingUrl", value=f"s3://{self.landing.bucket_name}/{LANDING}")

    @property
    def landing_arn(self) -> str:
        """The landing bucket's ARN, written from its name."""
        return self._bucket_arn("landing")

    @property
    def run_logs_arn(self) -> str:
        """The ARN of the bucket with the logs of runs, written from its name."""
        return self._bucket_arn("run-logs")

    @property
    def people(self) -> str:
        """What the names of the secrets with people's passwords begin with."""
        return f"{self._config.prefix}/people"

    def _make_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{self._config.prefix}",
            description="Files, databases, backups and alarms of the sales tracker",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        # Alarms and rules write to the topic, which is encrypted with it; who may, says the topic's policy.
        for service in ("cloudwatch", "events", "events.rds"):
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                    actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                    resources=["*"],
                )
            )
        return key

    def _bucket_name(self, name: str) -> str:
        return f"{self._config.prefix}-{name}-{Aws.ACCOUNT_ID}-{Aws.REGION}"

    def _bucket_arn(self, name: str) -> str:
        return f"arn:{Aws.PARTITION}:s3:::{self._bucket_name(name)}"

    def _make_access_logs(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=self._bucket_name("access-logs"),
            # The load balancer can write with this encryption only.
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(self._config.size.log_days))],
            removal_policy=RemovalPolicy.RETAIN,
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("logdelivery.elasticloadbalancing.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects(f"balancer/AWSLogs/{Aws.ACCOUNT_ID}/*")],
            )
        )
        accept(bucket, "The other buckets log here; logging the log bucket would never end.", "S1")
        return bucket

    def _make_queues(self) -> tuple[sqs.Queue, sqs.Queue]:
        dead = sqs.Queue(
            self,
            "DeadArrivals",
            queue_name=f"{self._config.prefix}-arrivals-dead",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        arrivals = sqs.Queue(
            self,
            "Arrivals",
            queue_name=f"{self._config.prefix}-arrivals",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(4),
            visibility_timeout=Duration.minutes(5),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=10),
        )
        arrivals.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[arrivals.queue_arn],
                conditions={
                    # By name, since the bucket needs this policy before it can be made.
                    "ArnEquals": {"aws:SourceArn": self.landing_arn},
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                },
            )
        )
        return dead, arrivals

    def _make_landing(self) -> s3.Bucket:
        bucket = self._make_private(
            "Landing", "landing", _rules_of_landing(self._config.keep_years), versioned=True
        )
        resource = bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        # Written with the resource itself: the construct would bring a Lambda function with wide rights.
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[self._notice(event, folder) for folder in _WATCHED for event in _EVENTS]
        )
        # S3 tries the queue when the bucket is made.
        bucket.node.add_dependency(self.arrivals.node.find_child("Policy"))
        return bucket

    def _notice(self, event: str, folder: str) -> s3.CfnBucket.QueueConfigurationProperty:
        of_folder = s3.CfnBucket.FilterRuleProperty(name="prefix", value=f"{LANDING}/{folder}/")
        by_key = s3.CfnBucket.S3KeyFilterProperty(rules=[of_folder])
        return s3.CfnBucket.QueueConfigurationProperty(
            event=event,
            queue=self.arrivals.queue_arn,
            filter=s3.CfnBucket.NotificationFilterProperty(s3_key=by_key),
        )

    def _make_run_logs(self) -> s3.Bucket:
        expiry = s3.LifecycleRule(expiration=Duration.days(self._config.size.log_days))
        return self._make_private("RunLogs", "run-logs", [expiry])

    def _make_private(
        self, construct: str, name: str, rules: list[s3.LifecycleRule], *, versioned: bool | None = None
    ) -> s3.Bucket:
        """Return a bucket with our key, TLS only, closed to the public, its access logged."""
        return s3.Bucket(
            self,
            construct,
            bucket_name=self._bucket_name(name),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=versioned,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix=f"{name}/",
            lifecycle_rules=rules,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _postgres(self, construct: str, name: str, **options: Any) -> Postgres:
        group = "warehouse" if name == "warehouse" else "metabase_database"
        return Postgres(
            self,
            construct,
            identifier=f"{self._config.prefix}-{name}",
            key=self.key,
            vpc=self._network.vpc,
            subnets=self._network.databases,
            group=self._network.groups[group],
            log_retention=retention(self._config.size.log_days),
            **options,
        )

    def _login(self, construct: str, name: str, owner: str) -> secretsmanager.Secret:
        """Return the secret of the login in force, at first the first one of the owner's two."""
        return self._secret(
            construct,
            name,
            f"Login that works as {owner} at present; changed every month by the task logins.",
            template=json.dumps({"username": f"{owner}_a"}),
            why="The task logins changes it every month, without a function of Lambda.",
        )

    def _secret(
        self,
        construct: str,
        name: str,
        description: str,
        template: str | None = None,
        why: str = "Changing it would break Metabase, which keeps what was encrypted with it.",
    ) -> secretsmanager.Secret:
        """Return a secret with a random text, which is its password where it has a template of JSON."""
        second = self._config.backup_region
        secret = secretsmanager.Secret(
            self,
            construct,
            secret_name=f"{self._config.prefix}/{name}",
            description=description,
            encryption_key=self.key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=40,
                exclude_punctuation=True,
                require_each_included_type=True,
                secret_string_template=template,
                generate_string_key="password" if template else None,
            ),
            replica_regions=[secretsmanager.ReplicaRegion(region=second)] if second else None,
            removal_policy=RemovalPolicy.RETAIN,
        )
        accept(secret, why, "SMG4")
        return secret

    def _make_policy_of_droppers(self) -> None:
        """Make the rights of a person who drops files; to be attached to the company's own group or role.

        What is refused stays refused, whatever else is attached: Finance is for those who close months.
        """
        why = "A person drops and corrects files of any name in these folders, and in no other."
        self._make_policy(
            "DropFiles",
            "drop-files",
            "Drop files for the sales tracker, and read what was rejected",
            Right(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], self._below(*_WATCHED), why),
            Right(["s3:GetObject"], self._below("rejected", _START_HERE), why),
            Right(["s3:PutObject", "s3:DeleteObject"], self._below(*_OF_FINANCE), why, is_refused=True),
        )

    def _make_policy_of_finance(self) -> None:
        """Make the rights of a person who closes months, who may drop all other files, too."""
        why = "A person drops files of any name in these folders, closes months, and reads what was paid."
        self._make_policy(
            "Finance",
            "finance",
            "Close months, hand in adjustments, drop files, and read what was paid",
            Right(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], self._below(*_WATCHED), why),
            Right(["s3:GetObject"], self._below("rejected", "paid", _START_HERE), why),
        )

    def _below(self, *folders: str) -> list[str]:
        """Return what lies in folders of the landing zone; a file stands for itself."""
        names = (folder if folder.endswith(".xlsx") else f"{folder}/*" for folder in folders)
        return [f"{self.landing_arn}/{LANDING}/{name}" for name in names]

    def _make_policy(self, construct: str, name: str, description: str, *rights: Right) -> None:
        policy = iam.ManagedPolicy(
            self, construct, managed_policy_name=f"{self._config.prefix}-{name}", description=description
        )
        below = of_prefix("", LANDING, f"{LANDING}/*")
        key = [self.key.key_arn]
        for right in (
            Right(["s3:ListBucket"], [self.landing_arn], conditions=below),
            *rights,
            Right(["kms:Decrypt", "kms:GenerateDataKey"], key, conditions=by_service("s3")),
        ):
            policy.add_statements(right.statement())
            right.accept_wildcards(policy)


def _rules_of_landing(keep_years: int) -> list[s3.LifecycleRule]:
    """Return what happens to files with time: nothing, while they are the current version.

    What was overwritten or deleted is the record of what was once paid by. After a year it is put where it
    costs a fraction and can still be read at once.
    """
    classes = ((30, s3.StorageClass.INFREQUENT_ACCESS), (365, s3.StorageClass.GLACIER_INSTANT_RETRIEVAL))
    return [
        s3.LifecycleRule(
            id="superseded-and-deleted-versions",
            noncurrent_version_transitions=[
                s3.NoncurrentVersionTransition(storage_class=name, transition_after=Duration.days(days))
                for days, name in classes
            ],
            noncurrent_version_expiration=Duration.days(math.ceil(keep_years * _DAYS_OF_YEAR)),
            expired_object_delete_marker=True,
            abort_incomplete_multipart_upload_after=Duration.days(7),
        ),
        # Made by us from what is kept above.
        s3.LifecycleRule(
            id="error-workbooks",
            prefix=f"{LANDING}/rejected/",
            expiration=Duration.days(400),
            noncurrent_version_expiration=Duration.days(30),
        ),
    ]
