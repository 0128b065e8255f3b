from __future__ import annotations

import json
import re

import pytest

from conftest import DEPLOY
from written import Json, Written, actions, every_text, may, several, text

OURS = ("webserver", "daemon", "code", "run", "setup")
ALL = (*OURS, "metabase", "logins")


def services(system: Written) -> dict[str, Json]:
    found = system.resources("AWS::ECS::Service", "services").values()
    return {one["Properties"]["ServiceName"]: one for one in found}


def test_each_service_and_the_run_have_a_task_with_roles_of_its_own(each: Written) -> None:
    tasks = [one["Properties"] for one in each.resources("AWS::ECS::TaskDefinition").values()]
    assert {task["Family"] for task in tasks} == {f"{each.prefix}-{name}" for name in ALL}
    roles = [text(task[kind]) for task in tasks for kind in ("TaskRoleArn", "ExecutionRoleArn")]
    assert len(set(roles)) == 2 * len(ALL)
    assert {task["NetworkMode"] for task in tasks} == {"awsvpc"}


def test_no_task_starts_before_it_may_read_its_secrets(each: Written) -> None:
    for name, task in each.resources("AWS::ECS::TaskDefinition").items():
        assert any(one.startswith(name[:-12]) and "StarterDefaultPolicy" in one for one in task["DependsOn"])


def test_no_task_has_an_address_of_the_internet(each: Written) -> None:
    assert set(services(each)) == {"webserver", "daemon", "code", "metabase"}
    for service in services(each).values():
        place = service["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert place["AssignPublicIp"] == "DISABLED"
        assert all("tasksSubnet" in text(subnet) for subnet in place["Subnets"])
        assert len(place["SecurityGroups"]) == 1


def test_a_version_that_does_not_become_healthy_is_taken_back(each: Written) -> None:
    for service in services(each).values():
        deployment = service["Properties"]["DeploymentConfiguration"]
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def test_two_daemons_never_run_at_once(each: Written) -> None:
    daemon = services(each)["daemon"]["Properties"]
    assert daemon["DesiredCount"] == 1
    assert daemon["DeploymentConfiguration"]["MaximumPercent"] == 100
    assert daemon["DeploymentConfiguration"]["MinimumHealthyPercent"] == 0


def test_daemon_and_webserver_start_after_the_code_server(each: Written) -> None:
    (code,) = [key for key in each.resources("AWS::ECS::Service") if key.startswith("CodeService")]
    for name in ("webserver", "daemon"):
        assert code in services(each)[name]["DependsOn"]


def test_only_into_the_webserver_can_a_session_be_opened(each: Written) -> None:
    open_to_sessions = {
        name for name, one in services(each).items() if one["Properties"].get("EnableExecuteCommand") is True
    }
    assert open_to_sessions == {"webserver"}
    for name in (*OURS, "metabase"):
        may_open = "ssmmessages:OpenDataChannel" in actions(each.statements(f"{name.capitalize()}Role"))
        assert may_open == (name == "webserver")
    (cluster,) = each.resources("AWS::ECS::Cluster").values()
    logged = cluster["Properties"]["Configuration"]["ExecuteCommandConfiguration"]
    assert logged["Logging"] == "OVERRIDE"
    assert "CloudWatchLogGroupName" in logged["LogConfiguration"]


def test_the_webserver_answers_to_the_name_of_its_rule_and_to_no_other(
    small: Written, medium: Written
) -> None:
    assert "SHS_DAGSTER_HOSTS" not in small.environment("webserver")
    (rule,) = [
        one["Properties"]
        for one in medium.resources("AWS::ElasticLoadBalancingV2::ListenerRule").values()
        if "authenticate-oidc" in str(one) and "dagster." in str(one["Properties"]["Conditions"])
    ]
    assert medium.environment("webserver")["SHS_DAGSTER_HOSTS"] in str(rule["Conditions"])


def test_all_our_tasks_have_one_image_in_the_version_that_the_deployment_names(each: Written) -> None:
    images = {text(each.container(name)["Image"]) for name in OURS}
    assert len(images) == 1
    assert images.pop().endswith(":<ImageTag>")
    assert "Default" not in each.templates["services"]["Parameters"]["ImageTag"]


def test_health_is_asked_of_each_service_of_ours(each: Written) -> None:
    for name in ("webserver", "daemon", "code"):
        assert each.container(name)["HealthCheck"]["Command"] == [
            "CMD",
            "python",
            "-m",
            "shs_pipeline.system.health",
        ]


def test_the_password_of_the_database_comes_from_its_secret_and_stands_in_no_variable(each: Written) -> None:
    for name in OURS:
        source = each.secrets(name)["SHS_DATABASE_PASSWORD"]
        assert "WarehouseLogin" in source
        assert source.endswith(":password::")
        assert each.secrets(name)["SHS_DATABASE_USER"] == source.replace(":password::", ":username::")
        assert re.match(r"postgresql://<[^@]*>:5432/shs\?", each.environment(name)["SHS_DATABASE_URL"])


def test_nothing_connects_to_a_database_without_knowing_it_by_its_certificate(each: Written) -> None:
    urls = [
        text(variable["Value"])
        for task in ALL
        for container in each.containers(task).values()
        for variable in container["Environment"]
        if "postgresql://" in text(variable["Value"])
    ]
    assert len(urls) == 10
    for url in urls:
        assert "?sslmode=verify-full&sslrootcert=/app/" in url


def test_no_secret_stands_among_the_variables(each: Written) -> None:
    for name in ALL:
        for container in each.containers(name).values():
            variables = {one["Name"] for one in container["Environment"]}
            given = {key for key in variables if "PASS" in key or key.endswith("_KEY")}
            assert given <= {"MB_PASSWORD_COMPLEXITY", "MB_PASSWORD_LENGTH"}


def test_each_task_gets_the_secrets_that_it_uses_and_no_others(small: Written, medium: Written) -> None:
    login = {"SHS_DATABASE_USER", "SHS_DATABASE_PASSWORD"}
    assert set(small.secrets("daemon")) == login
    assert set(small.secrets("code")) == login
    assert set(small.secrets("metabase")) == {"MB_DB_USER", "MB_DB_PASS", "MB_ENCRYPTION_SECRET_KEY"}
    mail = {"SHS_SMTP_USER", "SHS_SMTP_PASSWORD"}
    assert set(medium.secrets("webserver")) == login
    assert set(medium.secrets("code")) == {*login, *mail}
    assert set(medium.secrets("run")) == {*login, *mail}
    assert set(medium.secrets("setup")) == {*login, *mail, "SHS_METABASE_PASSWORD"}
    assert not any("Warehouse" in source for source in medium.secrets("metabase").values())


@pytest.mark.parametrize("task", ALL)
def test_what_starts_a_task_may_read_just_that_tasks_secrets(each: Written, task: str) -> None:
    statements = each.statements(f"{task.capitalize()}Starter")
    readable = {
        text(one) for s in may(statements, "secretsmanager:GetSecretValue") for one in several(s["Resource"])
    }
    used = {
        re.sub(r":(password|username)::$", "", text(secret["ValueFrom"]))
        for container in each.containers(task).values()
        for secret in container["Secrets"]
    }
    assert readable == used
    allowed = {
        *("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"),
        *("ecr:GetAuthorizationToken", "logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt"),
        *("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"),
    }
    assert actions(statements) <= allowed


def test_no_task_has_an_action_with_a_star(each: Written) -> None:
    for name in ALL:
        for kind in ("Role", "Starter"):
            for statement in each.statements(f"{name.capitalize()}{kind}"):
                assert statement["Effect"] == "Allow"
                assert all("*" not in action for action in several(statement["Action"])), statement


def test_metabase_may_do_nothing_in_aws(each: Written) -> None:
    assert each.statements("MetabaseRole") == []


def test_the_code_server_drains_the_queue_and_reads_and_writes_nothing(each: Written) -> None:
    statements = each.statements("CodeRole")
    assert actions(statements) == {
        *("s3:ListBucket", "s3:GetObject", "kms:Decrypt", "ecs:DescribeTaskDefinition"),
        *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    }
    (draining,) = may(statements, "sqs:ReceiveMessage")
    assert "Arrivals" in text(draining["Resource"])
    assert "Dead" not in text(draining["Resource"])


def test_a_run_writes_what_it_makes_and_its_logs_and_nothing_else_into_buckets(
    each: Written,
) -> None:
    writing = may(each.statements("RunRole"), "s3:PutObject")
    written = {text(one).partition("/")[2] for s in writing for one in several(s["Resource"])}
    assert written == {
        "landing/rejected/*",
        "landing/paid/*",
        "landing/reference/current/*",
        "landing/incoming/*/.keep",
        "landing/START HERE.xlsx",
        "dagster/*",
    }
    (deleting,) = may(each.statements("RunRole"), "s3:DeleteObject")
    assert text(deleting["Resource"]).endswith("/landing/rejected/*")


def test_what_was_paid_is_written_by_runs_alone_and_read_by_nothing_that_reps_use(each: Written) -> None:
    """The code server reads it for the checks of the close."""

    def those_who(action: str) -> set[str]:
        return {
            name
            for name in ALL
            for statement in may(each.statements(f"{name.capitalize()}Role"), action)
            for one in several(statement["Resource"])
            if text(one).endswith(("/landing/*", "/landing/paid/*"))
        }

    assert those_who("s3:PutObject") <= {"run", "setup"}
    assert "run" in those_who("s3:PutObject")
    assert those_who("s3:GetObject") <= {"run", "setup", "code"}


def test_a_link_that_a_task_signs_opens_statements_alone_and_only_where_links_are_sent(
    small: Written, large: Written
) -> None:
    for written, links in ((small, set()), (large, {"landing/paid/*/statements/*"})):
        for name in ("CodeRole", "RunRole"):
            opened = set()
            for statement in may(written.statements(name), "s3:GetObject"):
                place = text(statement["Resource"]).partition("/")[2]
                if not place.startswith("landing/"):
                    continue  # the logs of runs
                kind = statement["Condition"]["StringEquals"]["s3:authType"]
                assert kind in ("REST-HEADER", "REST-QUERY-STRING")
                if kind == "REST-QUERY-STRING":
                    opened.add(place)
                    age = statement["Condition"]["NumericLessThanEquals"]["s3:signatureAge"]
                    assert age == str(2 * 3600 * 1000)
            assert opened == links
    assert large.environment("code")["SHS_STATEMENT_LINKS"] == "2h"
    assert large.environment("run")["SHS_NOTICE_OK"] == "on"
    assert not {"SHS_STATEMENT_LINKS", "SHS_NOTICE_OK"} & set(small.environment("code"))


def test_a_run_keeps_peoples_secrets_and_touches_no_others(each: Written) -> None:
    statements = each.statements("RunRole")
    for action in ("GetSecretValue", "CreateSecret", "PutSecretValue", "DeleteSecret"):
        (keeping,) = may(statements, f"secretsmanager:{action}")
        assert text(keeping["Resource"]).endswith(f":secret:{each.prefix}/people/*")
    assert each.environment("run")["SHS_SECRETS"] == f"aws-secretsmanager://{each.prefix}/people"
    for name in ("webserver", "daemon", "code"):
        assert "secretsmanager:GetSecretValue" not in actions(each.statements(f"{name.capitalize()}Role"))


def test_the_daemon_launches_the_run_task_in_its_cluster_and_no_other(each: Written) -> None:
    statements = each.statements("DaemonRole")
    assert actions(statements) == {
        *(
            "ecs:RunTask",
            "ecs:TagResource",
            "ecs:DescribeTasks",
            "ecs:StopTask",
            "ecs:DescribeTaskDefinition",
        ),
        *("iam:PassRole", "ec2:DescribeNetworkInterfaces", "logs:GetLogEvents"),
    }
    (launching,) = may(statements, "ecs:RunTask")
    assert text(launching["Resource"]).endswith(f":task-definition/{each.prefix}-run:*")
    assert text(launching["Condition"]["ArnEquals"]["ecs:cluster"]).endswith(f":cluster/{each.prefix}")
    (tagging,) = may(statements, "ecs:TagResource")
    assert tagging["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}
    (ending,) = may(statements, "ecs:StopTask")
    assert text(ending["Resource"]).endswith(f":task/{each.prefix}/*")


def test_the_daemon_hands_over_just_the_roles_of_the_run_task_and_to_ecs_only(each: Written) -> None:
    (passing,) = may(each.statements("DaemonRole"), "iam:PassRole")
    assert sorted(text(one)[1:].rstrip(">").split(".")[0][:-8] for one in passing["Resource"]) == [
        "RunRole",
        "RunStarter",
    ]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    for name in ("webserver", "code", "run", "metabase"):
        assert "iam:PassRole" not in actions(each.statements(f"{name.capitalize()}Role"))


def test_only_ecs_of_this_account_takes_on_the_roles_of_tasks(each: Written) -> None:
    for name, role in each.resources("AWS::IAM::Role", "services").items():
        if "Starter" not in name and not name.startswith(tuple(f"{n.capitalize()}Role" for n in ALL)):
            continue
        (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_everything_that_a_run_needs_travels_by_configuration(medium: Written) -> None:
    for name in ("webserver", "daemon", "code"):
        environment = medium.environment(name)
        assert environment["SHS_DAGSTER_CONFIG"] == "/app/deploy/dagster.ecs.yaml"
        assert environment["SHS_ECS_RUN_TASK"].startswith("<RunTask")
        assert environment["SHS_ECS_RUN_CONTAINER"] == "run"
        assert environment["SHS_MAX_RUNS"] == "10"
    run, code = medium.environment("run"), medium.environment("code")
    assert run["SHS_LANDING"] == code["SHS_LANDING"]
    assert run["SHS_METABASE_URL"] == "http://metabase.shs-stage.internal:3000"
    assert run["SHS_METABASE_PUBLIC_URL"] == "https://sales.example.com"
    assert run["SHS_SMTP_SENDER"] == "Sales Tracker <tracker@sales.example.com>"
    assert run["SHS_SMTP_PORT"] == medium.environment("metabase")["MB_EMAIL_SMTP_PORT"] == "587"
    assert medium.environment("daemon")["SHS_CODE_SERVER"] == "code.shs-stage.internal:4000"
    assert "SHS_ARRIVALS_QUEUE" in code
    assert code["SHS_LISTING_MINUTES"] == "15"
    assert medium.container("run")["Name"] == "run"


def test_variables_that_the_instance_file_names_are_all_set(each: Written) -> None:
    instance = (DEPLOY / "dagster.ecs.yaml").read_text()
    named = set(re.findall(r"\{env: (SHS_\w+)\}", instance))
    by_shs_exec = {name for name in named if name.startswith("SHS_DAGSTER_")}
    assert {"SHS_ECS_RUN_TASK", "SHS_LOG_BUCKET"} <= named
    for name in OURS:
        assert named - by_shs_exec <= set(each.environment(name))


def test_every_variable_of_ours_is_one_that_somebody_reads(each: Written) -> None:
    settings = (DEPLOY.parent / ".env.example").read_text() + (DEPLOY / "dagster.ecs.yaml").read_text()
    known = set(re.findall(r"\bSHS_\w+", settings))
    # Of boto3, and of the gate before Dagster's UI (`sensors/ui_group.py`).
    known |= {"AWS_REGION", "AWS_DEFAULT_REGION", "DAGSTER_UI_GROUP", "DAGSTER_UI_GROUP_CLAIM"}
    for name in OURS:
        assert {*each.environment(name), *each.secrets(name)} <= known


def test_metabase_has_its_own_database_and_few_connections_to_the_warehouse(each: Written) -> None:
    environment = each.environment("metabase")
    assert environment["MB_DB_CONNECTION_URI"].startswith("jdbc:postgresql://<")
    assert "MetabaseDatabase" in environment["MB_DB_CONNECTION_URI"]
    assert environment["MB_SITE_URL"] == "https://sales.example.com"
    assert environment["MB_JDBC_DATA_WAREHOUSE_MAX_CONNECTION_POOL_SIZE"] == "5"
    assert "MetabaseLogin" in each.secrets("metabase")["MB_DB_PASS"]


def test_logs_are_kept_for_a_time_that_is_set(each: Written) -> None:
    groups = each.resources("AWS::Logs::LogGroup")
    assert len(groups) > 10
    assert all(one["Properties"]["RetentionInDays"] in (30, 90, 365) for one in groups.values())


def test_a_changed_secret_starts_the_services_anew_that_use_it(each: Written) -> None:
    (function,) = each.resources("AWS::Lambda::Function", "services").values()
    watched = json.loads(text(function["Properties"]["Environment"]["Variables"]["SERVICES"]))
    for name in services(each):
        used = {re.sub(r":(password|username)::$", "", source) for source in each.secrets(name).values()}
        assert set(watched[name]) == used
    # A changed password of the administrator is no reason: whoever needs it is started with it.
    assert "Instance" not in json.dumps(watched)
    statements = each.statements("RedeployRole")
    assert actions(statements) == {
        *("ecs:DescribeServices", "ecs:UpdateService", "secretsmanager:DescribeSecret"),
        *("logs:CreateLogStream", "logs:PutLogEvents"),
    }
    updated = {
        text(one).rpartition("/")[2] for s in may(statements, "ecs:UpdateService") for one in s["Resource"]
    }
    assert updated == set(services(each))
    assert "rate(10 minutes)" in set(every_text(each.resources("AWS::Events::Rule", "services")))


def test_only_what_makes_logins_knows_the_servers_administrators(each: Written) -> None:
    knowing = {
        (task, name)
        for task in ALL
        for name, container in each.containers(task).items()
        if any("Instance" in text(secret["ValueFrom"]) for secret in container["Secrets"])
    }
    assert knowing == {
        *(("code", f"ensure-{server}") for server in ("warehouse", "metabase")),
        *(("logins", f"rotate-{server}") for server in ("warehouse", "metabase")),
    }
    for task, name in knowing:
        container = each.containers(task)[name]
        assert container["EntryPoint"] == ["python", "-m", "shs_pipeline.database.owner_logins"]
        assert container["Command"] == [name.partition("-")[0]]
        given = {one["Name"]: text(one["Value"]) for one in container["Environment"]}
        assert "@" not in given["LOGINS_URL"]
        assert given["LOGINS_MANAGES_ROLES"] == ("true" if name.endswith("warehouse") else "false")


def test_logins_are_there_before_anything_starts_that_needs_them(each: Written) -> None:
    needed = {(one["ContainerName"], one["Condition"]) for one in each.container("code")["DependsOn"]}
    assert needed == {("ensure-warehouse", "SUCCESS"), ("ensure-metabase", "SUCCESS")}
    assert [one["Essential"] for one in each.containers("code").values()].count(True) == 1
    (code,) = [key for key in each.resources("AWS::ECS::Service") if key.startswith("CodeService")]
    for name in ("webserver", "daemon", "metabase"):
        assert code in services(each)[name]["DependsOn"]


def test_logins_change_every_month_one_server_after_the_other(each: Written) -> None:
    (rule,) = [
        one["Properties"]
        for one in each.resources("AWS::Events::Rule", "services").values()
        if one["Properties"].get("ScheduleExpression", "").startswith("cron")
    ]
    assert rule["ScheduleExpression"] == "cron(0 2 1 * ? *)"
    (target,) = rule["Targets"]
    assert text(target["EcsParameters"]["TaskDefinitionArn"]).startswith("<LoginsTask")
    network = target["EcsParameters"]["NetworkConfiguration"]["AwsVpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"
    containers = each.containers("logins")
    # A task ends with its essential container: the other one has to be done by then, well or not.
    assert containers["rotate-warehouse"]["Essential"]
    assert not containers["rotate-metabase"]["Essential"]
    assert containers["rotate-warehouse"]["DependsOn"] == [
        {"Condition": "COMPLETE", "ContainerName": "rotate-metabase"}
    ]
    statements = each.statements("LoginsRole")
    assert actions(statements) == {"secretsmanager:PutSecretValue", "kms:Decrypt", "kms:GenerateDataKey"}
    (writing,) = may(statements, "secretsmanager:PutSecretValue")
    assert sorted(
        text(one)[1:].partition("Login")[0].rpartition("OutputRef")[2] for one in writing["Resource"]
    ) == [
        "Metabase",
        "Warehouse",
    ]


def test_the_first_password_of_metabases_administrator_is_in_one_task_that_nothing_starts(
    each: Written,
) -> None:
    knowing = {
        task
        for task in ALL
        for container in each.containers(task).values()
        if any("MetabaseAdmin" in text(secret["ValueFrom"]) for secret in container["Secrets"])
    }
    assert knowing == {"setup"}
    assert each.container("setup")["Command"] == ["shs", "metabase", "apply"]
    (setup,) = [key for key in each.resources("AWS::ECS::TaskDefinition") if key.startswith("SetupTask")]
    started = [*each.resources("AWS::ECS::Service").values(), *each.resources("AWS::Events::Rule").values()]
    assert setup not in json.dumps(started)
    run, same = each.environment("run"), each.environment("setup")
    assert run == same


def test_two_versions_of_metabase_never_share_its_database(each: Written) -> None:
    metabase = services(each)["metabase"]["Properties"]
    assert metabase["DeploymentConfiguration"]["MaximumPercent"] == 100
    assert metabase["DeploymentConfiguration"]["MinimumHealthyPercent"] == 0
    assert metabase["HealthCheckGracePeriodSeconds"] >= 1800


def test_metabase_gets_most_of_its_memory_as_heap_and_leaves_some(each: Written) -> None:
    (share,) = re.findall(r"-XX:MaxRAMPercentage=(\d+)", each.environment("metabase")["JAVA_OPTS"])
    (memory,) = {
        int(one["Properties"]["Memory"])
        for one in each.resources("AWS::ECS::TaskDefinition").values()
        if one["Properties"]["Family"].endswith("-metabase")
    }
    assert memory * int(share) // 100 >= 1024
    assert memory * (100 - int(share)) // 100 >= 512
