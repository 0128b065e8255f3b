"""From a commit to what runs: test, build and push, deploy; whatever fails leaves the old version running."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from shs_deploy.accept import accept, accept_lint
from shs_deploy.config import Config
from shs_deploy.database import CERTIFICATES
from shs_deploy.registry import Registry
from shs_deploy.right import Right, as_found

SOURCE_KEY = "source.zip"
_DEPLOYED = ("network", "data", "registry", "services", "observation")
_QUALIFIER = "hnb659fds"  # of `cdk bootstrap`, unless told otherwise

_TEST = [
    "CI=1 make check",
    "CI=1 make test",
    "make pythons",
    "bash scripts/deploy_check.sh",
    "bash scripts/audit.sh",
]
_LOG_IN = 'aws ecr get-login-password | docker login --username AWS --password-stdin "$REGISTRY"'
# A tag never moves: built again, a version is what it was.
_IS_THERE = 'aws ecr describe-images --repository-name "{}" --image-ids "imageTag={}" >/dev/null 2>&1'
# Tasks cannot fetch it, and do not connect without it.
_HAS_CERTIFICATES = (
    'docker run --rm --network none --entrypoint python "$REGISTRY/$TRACKER:$TAG"'
    f" -c \"import ssl; ssl.create_default_context(cafile='{CERTIFICATES}')\""
)
_BUILD = " && ".join(
    [
        "bash deploy/rds_certificates.sh",
        'docker build --build-arg "REVISION=$TAG" --tag "$REGISTRY/$TRACKER:$TAG" .',
        _HAS_CERTIFICATES,
        'docker push "$REGISTRY/$TRACKER:$TAG"',
    ]
)
_COPY = " && ".join(
    [
        'docker pull "metabase/metabase:$METABASE_VERSION"',
        'docker tag "metabase/metabase:$METABASE_VERSION" "$REGISTRY/$METABASE:$METABASE_VERSION"',
        'docker push "$REGISTRY/$METABASE:$METABASE_VERSION"',
    ]
)
_IMAGES = [
    _LOG_IN,
    f"if ! {_IS_THERE.format('$TRACKER', '$TAG')}; then {_BUILD}; fi",
    f"if ! {_IS_THERE.format('$METABASE', '$METABASE_VERSION')}; then {_COPY}; fi",
]
_LOG_IN_TO_DOCKER_HUB = (
    'echo "$DOCKER_HUB_PASSWORD" | docker login --username "$DOCKER_HUB_USER" --password-stdin'
)


class Pipeline(Stack):
    """The pipeline, its builds, and where its sources come from."""

    def __init__(self, scope: Construct, config: Config, registry: Registry, **options: Any) -> None:
        super().__init__(scope, f"{config.prefix}-pipeline", **options)
        self._config, self._registry = config, registry
        self._projects: dict[str, codebuild.PipelineProject] = {}
        self._roles: list[iam.Role] = []
        self.key = kms.Key(
            self,
            "Key",
            alias=f"alias/{config.prefix}-pipeline",
            description="What the pipeline passes from step to step",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self._bucket = self._make_bucket()
        source = codepipeline.Artifact("source")
        read, self._tag = self._source(source)
        stages = [self._stage("Source", read), self._stage("Test", self._build_action("Test", source))]
        if config.needs_approval:
            stages.append(self._stage("Approve", actions.ManualApprovalAction(action_name="Approve")))
        stages += [
            self._stage("Image", self._build_action("Image", source)),
            self._stage("Deploy", self._build_action("Deploy", source)),
        ]
        pipeline = codepipeline.Pipeline(
            self,
            "Pipeline",
            pipeline_name=config.prefix,
            pipeline_type=codepipeline.PipelineType.V2,
            artifact_bucket=self._bucket,
            execution_mode=codepipeline.ExecutionMode.QUEUED,
            stages=stages,
        )
        self._accept_rights(pipeline)

    def _make_bucket(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Artifacts",
            bucket_name=f"{self._config.prefix}-pipeline-{Aws.ACCOUNT_ID}-{Aws.REGION}",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(90), noncurrent_version_expiration=Duration.days(30)
                )
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
        accept(bucket, "It holds our own sources for some weeks; CodePipeline tells who started what.", "S1")
        return bucket

    def _stage(self, name: str, action: codepipeline.IAction) -> codepipeline.StageProps:
        return codepipeline.StageProps(stage_name=name, actions=[action])

    def _source(self, output: codepipeline.Artifact) -> tuple[codepipeline.IAction, str]:
        """Return where the sources come from, and the variable that says which version they are."""
        repository = self._config.repository
        if repository is None:
            CfnOutput(self, "SourceUrl", value=f"s3://{self._bucket.bucket_name}/{SOURCE_KEY}")
            action: codepipeline.IAction = actions.S3SourceAction(
                action_name="Source",
                bucket=self._bucket,
                bucket_key=SOURCE_KEY,
                trigger=actions.S3Trigger.NONE,
                output=output,
            )
            return action, "#{codepipeline.PipelineExecutionId}"
        owner, _, name = repository.name.partition("/")
        connected = actions.CodeStarConnectionsSourceAction(
            action_name="Source",
            connection_arn=repository.connection_arn,
            owner=owner,
            repo=name,
            branch=repository.branch,
            output=output,
            variables_namespace="SourceVariables",
            role=self._role_of_connection(repository.connection_arn),
        )
        return connected, "#{SourceVariables.CommitId}"

    def _role_of_connection(self, arn: str) -> iam.Role:
        """Return the role that fetches a commit; the CDK's own knows the service by its old name only."""
        role = iam.Role(self, "SourceRole", assumed_by=iam.AccountRootPrincipal())
        use = [f"{service}:UseConnection" for service in ("codeconnections", "codestar-connections")]
        role.add_to_policy(iam.PolicyStatement(actions=use, resources=[arn]))
        self._roles.append(role)
        return role

    def _build_action(self, name: str, source: codepipeline.Artifact) -> actions.CodeBuildAction:
        make = {"Test": self._make_test, "Image": self._make_image, "Deploy": self._make_deploy}
        return actions.CodeBuildAction(
            action_name=name,
            project=make[name](),
            input=source,
            environment_variables={"TAG": codebuild.BuildEnvironmentVariable(value=self._tag)},
        )

    def _project(
        self,
        name: str,
        commands: list[str],
        *,
        minutes: int,
        is_privileged: bool = False,
        compute: codebuild.ComputeType = codebuild.ComputeType.SMALL,
        variables: dict[str, codebuild.BuildEnvironmentVariable] | None = None,
    ) -> codebuild.PipelineProject:
        group = logs.LogGroup(
            self,
            f"{name}Log",
            log_group_name=f"/{self._config.prefix}/pipeline/{name.lower()}",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        phases = {
            "install": {"runtime-versions": {"python": "3.12"}},
            "build": {"commands": ["set -e", *commands]},
        }
        project = codebuild.PipelineProject(
            self,
            name,
            project_name=f"{self._config.prefix}-{name.lower()}",
            encryption_key=self.key,
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=compute,
                privileged=is_privileged,
            ),
            environment_variables=variables,
            timeout=Duration.minutes(minutes),
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=group)),
            grant_report_group_permissions=False,
            build_spec=codebuild.BuildSpec.from_object({"version": "0.2", "phases": phases}),
        )
        self._projects[name] = project
        return project

    def _make_test(self) -> codebuild.PipelineProject:
        return self._project("Test", _TEST, minutes=180, compute=codebuild.ComputeType.MEDIUM)

    def _make_image(self) -> codebuild.PipelineProject:
        """Return the build that alone may push images."""
        of = codebuild.BuildEnvironmentVariable
        variables = {
            "DOCKER_BUILDKIT": of(value="1"),
            "REGISTRY": of(value=f"{Aws.ACCOUNT_ID}.dkr.ecr.{Aws.REGION}.{Aws.URL_SUFFIX}"),
            "TRACKER": of(value=self._registry.tracker.repository_name),
            "METABASE": of(value=self._registry.metabase.repository_name),
            "METABASE_VERSION": of(value=self._config.metabase_version),
        }
        commands = list(_IMAGES)
        hub = self._config.docker_hub_secret
        if hub:
            # Without an account, Docker Hub soon refuses what comes from addresses that many share.
            from_secret = codebuild.BuildEnvironmentVariableType.SECRETS_MANAGER
            variables["DOCKER_HUB_USER"] = of(value=f"{hub}:username", type=from_secret)
            variables["DOCKER_HUB_PASSWORD"] = of(value=f"{hub}:password", type=from_secret)
            commands.insert(0, _LOG_IN_TO_DOCKER_HUB)
        project = self._project("Image", commands, minutes=60, is_privileged=True, variables=variables)
        accept(project, "An image can only be built by an engine of its own.", "CB3")
        for repository in (self._registry.tracker, self._registry.metabase):
            repository.grant_pull_push(project)
            repository.grant(project, "ecr:DescribeImages")
        if hub and not hub.startswith("arn:"):
            secretsmanager.Secret.from_secret_name_v2(self, "DockerHub", hub).grant_read(project)
        return project

    def _make_deploy(self) -> codebuild.PipelineProject:
        """Return the build that deploys; what it may do, the roles of `cdk bootstrap` do for it."""
        config, prefix = self._config, self._config.prefix
        copies = ("copies",) if config.backup_region else ()
        stacks = " ".join(f"{prefix}-{name}" for name in (*copies, *_DEPLOYED))
        snapshot = f'bash deploy/snapshot_before.sh {prefix} "$METABASE_VERSION"'
        deploy = (
            f"bash deploy/cdk.sh deploy {stacks} --require-approval never --concurrency 1"
            f" -c name={config.name} -c environment={config.environment}"
            f' --parameters "{prefix}-services:ImageTag=$TAG"'
        )
        version = codebuild.BuildEnvironmentVariable(value=config.metabase_version)
        project = self._project(
            "Deploy", [snapshot, deploy], minutes=180, variables={"METABASE_VERSION": version}
        )
        roles = ("deploy-role", "file-publishing-role")
        regions = (Aws.REGION, *([config.backup_region] if config.backup_region else []))
        project.add_to_role_policy(
            iam.PolicyStatement(
                sid="DeployAsBootstrapSays",
                actions=["sts:AssumeRole"],
                resources=[
                    f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/cdk-{_QUALIFIER}-{role}-{Aws.ACCOUNT_ID}-{region}"
                    for region in regions
                    for role in roles
                ],
            )
        )
        self._let_take_snapshots(project)
        return project

    def _let_take_snapshots(self, project: codebuild.PipelineProject) -> None:
        """Let the deployment take a snapshot of Metabase's database, and nothing else of RDS."""
        at = f"arn:{Aws.PARTITION}:rds:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        name = f"{self._config.prefix}-metabase"
        snapshots = f"{at}:snapshot:{name}-before-*"
        taking = Right(
            ["rds:CreateDBSnapshot", "rds:DescribeDBSnapshots", "rds:AddTagsToResource"],
            [f"{at}:db:{name}", snapshots],
            "Each snapshot is named after the version that comes after it.",
        )
        looking = Right(
            ["ecs:DescribeTaskDefinition"],
            ["*"],
            "AWS knows this right for everything only; it changes nothing.",
        )
        for right in (taking, looking):
            project.add_to_role_policy(right.statement())
            right.accept_wildcards(project)

    def _accept_rights(self, pipeline: codepipeline.Pipeline) -> None:
        """Accept what the CDK's own rights for a pipeline hold."""
        resource = pipeline.node.default_child
        assert resource
        accept_lint(resource, "The CDK says twice that the role comes first.", "W3005")
        files = f"Resource::{as_found(self, self._bucket.bucket_arn)}/*"
        actions_on_it = ("s3:GetObject*", "s3:GetBucket*", "s3:List*", "s3:DeleteObject*", "s3:Abort*")
        on_key = ("kms:GenerateDataKey*", "kms:ReEncrypt*")
        for construct in (pipeline, *self._projects.values(), *self._roles):
            accept(
                construct,
                "Families of actions on the pipeline's own bucket and key, as the CDK grants them.",
                *(
                    f"IAM5[{finding}]"
                    for finding in (files, *(f"Action::{a}" for a in (*actions_on_it, *on_key)))
                ),
            )
        logs_of = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:/aws/codebuild/"
        for project in self._projects.values():
            own = f"{as_found(self, logs_of)}{as_found(self, project.project_name)}:*"
            accept(project, "Each build writes a log stream of its own.", f"IAM5[Resource::{own}]")
        accept(
            self._projects["Image"],
            "ecr:GetAuthorizationToken is known for everything only.",
            "IAM5[Resource::*]",
        )
