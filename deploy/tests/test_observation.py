from __future__ import annotations

from conftest import DEPLOY
from shs_deploy.events import MAIL_FAILED, METABASE_VERSION, NOT_PUBLISHED, RUN_FAILED, SOURCE_STALE, pattern
from written import Json, Written, every_text, several, text


def alarms(system: Written) -> dict[str, Json]:
    found = system.resources("AWS::CloudWatch::Alarm").values()
    return {
        one["Properties"]["AlarmName"].removeprefix(f"{system.prefix}-"): one["Properties"] for one in found
    }


def test_everything_that_may_go_wrong_has_an_alarm(medium: Written, large: Written) -> None:
    watched = ("Storage", "Connections", "Processor", "Memory")
    services = ("Webserver", "Code", "Daemon", "Metabase")
    anywhere = {
        *(
            "FailedRuns",
            "StaleSources",
            "FailedMails",
            "NotPublished",
            "MetabaseVersion",
            "QueueAge",
            "DeadArrivals",
            "Redeploy",
        ),
        *(f"{database}{what}" for database in ("Warehouse", "MetabaseDatabase") for what in watched),
        *(f"{name}{what}" for name in services for what in ("Down", "Memory")),
        *("BalancerErrors", "MetabaseErrors", "WebserverErrors", "MetabaseUnhealthy", "WebserverUnhealthy"),
        "MetabaseDatabaseCredits",
    }
    assert set(alarms(medium)) == anywhere
    assert set(alarms(large)) == anywhere | {"ReplicaLag", *(f"Replica{what}" for what in watched)}


def test_classes_with_credits_are_watched_for_them(each: Written) -> None:
    for one in each.resources("AWS::RDS::DBInstance").values():
        identifier = one["Properties"]["DBInstanceIdentifier"]
        watched = [
            alarm
            for alarm in alarms(each).values()
            if alarm.get("MetricName") == "CPUCreditBalance"
            and alarm["Dimensions"] == [{"Name": "DBInstanceIdentifier", "Value": identifier}]
        ]
        has_credits = one["Properties"]["DBInstanceClass"].startswith("db.t")
        assert len(watched) == has_credits, identifier
        assert all(alarm["ComparisonOperator"] == "LessThanThreshold" for alarm in watched)


def test_a_task_near_the_end_of_its_memory_is_an_alarm_before_it_is_killed(each: Written) -> None:
    for name in ("webserver", "code", "daemon", "metabase"):
        alarm = alarms(each)[f"{name.capitalize()}Memory"]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ECS", "MemoryUtilization")
        assert {"Name": "ServiceName", "Value": name} in alarm["Dimensions"]
        assert (alarm["Statistic"], alarm["ComparisonOperator"]) == ("Maximum", "GreaterThanThreshold")
        assert 80 <= alarm["Threshold"] < 100


def test_the_copy_of_the_warehouse_is_watched_by_its_own_size(large: Written) -> None:
    connections = alarms(large)["ReplicaConnections"]
    assert connections["Dimensions"] == [
        {"Name": "DBInstanceIdentifier", "Value": f"{large.prefix}-warehouse-replica"}
    ]
    # db.r7g.large has half of the memory of the warehouse's db.r7g.xlarge.
    assert connections["Threshold"] < alarms(large)["WarehouseConnections"]["Threshold"]
    assert alarms(large)["ReplicaMemory"]["Threshold"] == 16 * 1024**3 * 0.05


def test_every_alarm_tells_the_topic_when_it_begins_and_when_it_ends(each: Written) -> None:
    (topic,) = each.resources("AWS::SNS::Topic")
    for name, alarm in alarms(each).items():
        assert alarm["AlarmActions"] == [{"Ref": topic}], name
        assert alarm["OKActions"] == [{"Ref": topic}], name
        assert alarm["AlarmDescription"], name


def test_the_topic_is_encrypted_takes_tls_only_and_tells_whom_the_settings_name(each: Written) -> None:
    (topic,) = each.resources("AWS::SNS::Topic").values()
    assert "Key" in text(topic["Properties"]["KmsMasterKeyId"])
    told = {one["Properties"]["Endpoint"] for one in each.resources("AWS::SNS::Subscription").values()}
    assert told == {"admin@example.com", "operations@example.com"}
    (policy,) = each.resources("AWS::SNS::TopicPolicy").values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert any(
        s["Effect"] == "Deny" and s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for s in statements
    )
    allowed = [s for s in statements if s["Effect"] == "Allow"]
    assert {s["Principal"]["Service"] for s in allowed} == {
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "events.rds.amazonaws.com",
    }
    (alarms_may,) = [s for s in allowed if s["Principal"]["Service"].startswith("cloudwatch")]
    assert alarms_may["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert text(alarms_may["Condition"]["ArnLike"]["aws:SourceArn"]).endswith(f":alarm:{each.prefix}-*")


def test_failed_runs_stale_sources_and_failed_mails_are_counted_from_the_lines_of_the_log(
    small: Written, medium: Written
) -> None:
    work = {RUN_FAILED, SOURCE_STALE, NOT_PUBLISHED, METABASE_VERSION}
    for system, events in ((small, work), (medium, work | {MAIL_FAILED})):
        filters = [one["Properties"] for one in system.resources("AWS::Logs::MetricFilter").values()]
        counted = {
            (text(one["LogGroupName"]).rpartition("OutputRef")[2].partition("Log")[0], one["FilterPattern"])
            for one in filters
        }
        assert counted == {(writer, f'"{event}"') for writer in ("Code", "Daemon", "Run") for event in events}
        for one in filters:
            (made,) = one["MetricTransformations"]
            alarm = alarms(system)[made["MetricName"]]
            assert (alarm["Namespace"], alarm["MetricName"]) == (made["MetricNamespace"], made["MetricName"])


def test_the_lines_are_those_that_the_system_writes() -> None:
    written = "".join(
        path.read_text() for path in (DEPLOY.parent / "shs_pipeline").rglob("*.py") if "notices" in path.parts
    )
    for event in (RUN_FAILED, SOURCE_STALE, MAIL_FAILED, NOT_PUBLISHED, METABASE_VERSION):
        assert event in written


def test_a_pattern_is_a_phrase_in_quotes() -> None:
    assert pattern(RUN_FAILED) == '"SHS-EVENT run_failed"'


def test_a_service_without_a_task_is_an_alarm_although_nothing_is_reported(each: Written) -> None:
    down = alarms(each)["DaemonDown"]
    assert down["TreatMissingData"] == "breaching"
    assert {"Name": "ServiceName", "Value": "daemon"} in down["Dimensions"]
    assert alarms(each)["FailedRuns"]["TreatMissingData"] == "notBreaching"


def test_alarms_of_databases_follow_their_size(small: Written, large: Written) -> None:
    assert alarms(small)["WarehouseStorage"]["Threshold"] == 30 * 1024**3 * 0.05
    assert (
        alarms(small)["WarehouseConnections"]["Threshold"]
        < alarms(large)["WarehouseConnections"]["Threshold"]
    )
    assert "ReplicaLag" in alarms(large)
    assert "ReplicaLag" not in alarms(small)


def rules(system: Written) -> dict[str, Json]:
    found = system.resources("AWS::Events::Rule", "observation")
    return {name[:-8]: one["Properties"] for name, one in found.items()}


def test_what_aws_tells_by_itself_goes_to_the_topic(each: Written) -> None:
    (topic,) = each.resources("AWS::SNS::Topic")
    assert {name: one["EventPattern"]["source"] for name, one in rules(each).items()} == {
        "DeploymentFailed": ["aws.ecs"],
        "LoginsNotChanged": ["aws.ecs"],
        "PipelineFailed": ["aws.codepipeline"],
        "ImageVulnerable": ["aws.ecr"],
        "DatabaseBackup": ["aws.rds"],
        "BackupFailed": ["aws.backup"],
        "CopyFailed": ["aws.backup"],
    }
    for rule in rules(each).values():
        assert [one["Arn"] for one in rule["Targets"]] == [{"Ref": topic}]


def test_failovers_full_disks_and_maintenance_of_every_database_are_told(each: Written) -> None:
    (topic,) = each.resources("AWS::SNS::Topic")
    (subscription,) = each.resources("AWS::RDS::EventSubscription").values()
    properties = subscription["Properties"]
    assert properties["SnsTopicArn"] == {"Ref": topic}
    assert properties["Enabled"] is True
    assert properties["SourceType"] == "db-instance"
    assert {"failover", "failure", "low storage", "maintenance", "recovery"} <= set(
        properties["EventCategories"]
    )
    assert len(properties["SourceIds"]) == len(each.resources("AWS::RDS::DBInstance"))
    # RDS publishes by itself: the policy of the topic and the key let it, and are there before.
    (policy,) = each.resources("AWS::SNS::TopicPolicy")
    assert policy in subscription["DependsOn"]
    (key,) = each.resources("AWS::KMS::Key", "data").values()
    using = [
        one
        for one in key["Properties"]["KeyPolicy"]["Statement"]
        if "events.rds.amazonaws.com" in several(one["Principal"].get("Service", []))
    ]
    assert using


def test_a_backup_that_fails_is_told_and_one_that_goes_as_every_night_is_not(each: Written) -> None:
    rds = rules(each)["DatabaseBackup"]["EventPattern"]["detail"]
    assert rds["EventCategories"] == ["backup"]
    assert rds["EventID"] == [{"anything-but": ["RDS-EVENT-0001", "RDS-EVENT-0002"]}]
    for name in ("BackupFailed", "CopyFailed"):
        assert "FAILED" in rules(each)[name]["EventPattern"]["detail"]["state"]
        assert "COMPLETED" not in rules(each)[name]["EventPattern"]["detail"]["state"]


def test_logins_that_could_not_be_changed_are_told(each: Written) -> None:
    detail = rules(each)["LoginsNotChanged"]["EventPattern"]["detail"]
    assert detail["group"] == [f"family:{each.prefix}-logins"]
    assert {"containers": {"exitCode": [{"anything-but": 0}]}} in detail["$or"]


def test_the_page_shows_the_work_and_the_warehouse(each: Written) -> None:
    (page,) = each.resources("AWS::CloudWatch::Dashboard").values()
    shown = " ".join(every_text(page))
    assert "FailedRuns" in shown
    assert "FreeStorageSpace" in shown
