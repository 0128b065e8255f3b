"""What each task may do: what its code really calls, on what it calls it on."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws

from shs_deploy.data import LANDING, Data
from shs_deploy.right import Right, by_service, of_prefix

_ANY_FILE = "Files of any name are in this folder, and nothing else is."
_ANY_STATEMENT = "Each month has its folder of statements."
_ANY_RUN = "Each run is its own task, whose name is not known in advance."
_ALL_ONLY = "AWS knows this right for everything only; it tells names and changes nothing."


def read_landing(data: Data, link_hours: int = 0) -> list[Right]:
    """Return the rights to list the landing zone and read what lies in it, error workbooks included.

    Whoever signs a link lends out a right of their own. So what is read here is read by the task itself, and
    a link opens nothing but a statement, and no longer than it may.

    Args:
        link_hours: how long a link to a statement works; 0: none is signed.
    """
    below = of_prefix("", LANDING, f"{LANDING}/*")
    found = [
        Right(["s3:ListBucket"], [data.landing_arn], conditions=below),
        Right(
            ["s3:GetObject"],
            [f"{data.landing_arn}/{LANDING}/*"],
            _ANY_FILE,
            {"StringEquals": {"s3:authType": "REST-HEADER"}},
        ),
        Right(["kms:Decrypt"], [data.key.key_arn], conditions=by_service("s3")),
    ]
    if link_hours:
        of_links = {
            "StringEquals": {"s3:authType": "REST-QUERY-STRING"},
            # In milliseconds.
            "NumericLessThanEquals": {"s3:signatureAge": str(link_hours * 3_600_000)},
        }
        statements = f"{data.landing_arn}/{LANDING}/paid/*/statements/*"
        found.append(Right(["s3:GetObject"], [statements], _ANY_STATEMENT, of_links))
    return found


def write_landing(data: Data) -> list[Right]:
    """Return the rights to put and remove error workbooks, and to put what else the system makes."""
    # `.keep` stands for the folder of a month that is waited for; what admins dropped there is out of reach.
    places = ("rejected/*", "paid/*", "reference/current/*", "incoming/*/.keep", "START HERE.xlsx")
    rejected, *made = (f"{data.landing_arn}/{LANDING}/{place}" for place in places)
    return [
        Right(["s3:PutObject", "s3:DeleteObject"], [rejected], _ANY_FILE),
        Right(["s3:PutObject"], made, _ANY_FILE),
        Right(["kms:GenerateDataKey"], [data.key.key_arn], conditions=by_service("s3")),
    ]


def drain_arrivals(data: Data) -> list[Right]:
    """Return the rights to take notices of arrivals from their queue."""
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    return [Right(actions, [data.arrivals.queue_arn])]


def keep_people(data: Data) -> list[Right]:
    """Return the rights of `SHS_SECRETS`, on the secrets of people and no others."""
    actions = ("GetSecretValue", "CreateSecret", "PutSecretValue", "DeleteSecret")
    below = f"{_arn('secretsmanager')}:secret:{data.people}/*"
    return [
        Right([f"secretsmanager:{action}" for action in actions], [below], "Each person has a secret there."),
        Right(["secretsmanager:ListSecrets"], ["*"], _ALL_ONLY),
    ]


def change_logins(data: Data) -> list[Right]:
    """Return the rights to write the login in force into the secrets of the two databases."""
    secrets = [data.warehouse_login.secret_arn, data.metabase_login.secret_arn]
    return [
        Right(["secretsmanager:PutSecretValue"], secrets),
        Right(
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [data.key.key_arn],
            conditions=by_service("secretsmanager"),
        ),
    ]


def write_run_logs(data: Data) -> list[Right]:
    """Return the rights to keep what the steps of a run print."""
    return [
        Right(["s3:PutObject", "s3:GetObject"], [f"{data.run_logs_arn}/dagster/*"], _ANY_FILE),
        Right(["kms:Decrypt", "kms:GenerateDataKey"], [data.key.key_arn], conditions=by_service("s3")),
    ]


def read_run_logs(data: Data) -> list[Right]:
    """Return the rights to show what the steps of a run printed."""
    return [
        Right(["s3:ListBucket"], [data.run_logs_arn], conditions=of_prefix("dagster/*")),
        Right(["s3:GetObject"], [f"{data.run_logs_arn}/dagster/*"], _ANY_FILE),
        Right(["kms:Decrypt"], [data.key.key_arn], conditions=by_service("s3")),
    ]


def open_secrets(data: Data) -> list[Right]:
    """Return the right to open those secrets that ECS hands to a task; which ones, other rights say."""
    return [
        Right(["kms:Decrypt"], [data.key.key_arn], conditions=by_service("secretsmanager")),
        Right(["ecr:GetAuthorizationToken"], ["*"], "AWS knows this right for everything only."),
    ]


def know_run_task() -> list[Right]:
    """Return the right that `EcsRunLauncher` needs to be made at all."""
    return [Right(["ecs:DescribeTaskDefinition"], ["*"], _ALL_ONLY)]


def end_runs(cluster: str) -> list[Right]:
    """Return the rights to look at the tasks of the cluster and to end them."""
    within = {"ArnEquals": {"ecs:cluster": _cluster(cluster)}}
    return [Right(["ecs:DescribeTasks", "ecs:StopTask"], [_tasks(cluster)], _ANY_RUN, within)]


def launch_runs(cluster: str, family: str, roles: Sequence[str], log_group: str) -> list[Right]:
    """Return the rights to launch the run task, and only that one, and to read how it ended.

    Args:
        family: name of the run's task definition.
        roles: ARNs of the roles that the run's task gets.
        log_group: ARN of the log of runs.
    """
    definition = f"{_arn('ecs')}:task-definition/{family}:*"
    why = "While a version is being deployed, the daemon still launches the one before."
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    return [
        Right(["ecs:RunTask"], [definition], why, {"ArnEquals": {"ecs:cluster": _cluster(cluster)}}),
        Right(
            ["ecs:TagResource"],
            [_tasks(cluster)],
            _ANY_RUN,
            {"StringEquals": {"ecs:CreateAction": "RunTask"}},
        ),
        Right(["iam:PassRole"], roles, conditions=to_tasks),
        # How the launcher learns its own network, to give it to the run.
        Right(["ec2:DescribeNetworkInterfaces"], ["*"], _ALL_ONLY),
        Right(["logs:GetLogEvents"], [log_group]),
    ]


def _arn(service: str) -> str:
    return f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}"


def _cluster(name: str) -> str:
    return f"{_arn('ecs')}:cluster/{name}"


def _tasks(cluster: str) -> str:
    return f"{_arn('ecs')}:task/{cluster}/*"
