from __future__ import annotations

from conftest import DEPLOY
from shs_deploy.events import MAIL_FAILED, RUN_FAILED, SOURCE_STALE, pattern
from written import Json, Written, every_text, text


def alarms(system: Written) -> dict[str, Json]:
    found = system.resources("AWS::CloudWatch::Alarm").values()
    return {
        one["Properties"]["AlarmName"].removeprefix(f"{system.prefix}-"): one["Properties"] for one in found
    }


def test_everything_that_may_go_wrong_has_an_alarm(medium: Written) -> None:
    databases = [
        f"{d}{what}"
        for d in ("Warehouse", "MetabaseDatabase")
        for what in ("Storage", "Connections", "Processor")
    ]
    assert set(alarms(medium)) == {
        *("FailedRuns", "StaleSources", "FailedMails", "QueueAge", "DeadArrivals", "Redeploy"),
        *databases,
        *(f"{name}Down" for name in ("Webserver", "Code", "Daemon", "Metabase")),
        *("BalancerErrors", "MetabaseErrors", "WebserverErrors", "MetabaseUnhealthy", "WebserverUnhealthy"),
    }


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
    }
    (alarms_may,) = [s for s in allowed if s["Principal"]["Service"].startswith("cloudwatch")]
    assert alarms_may["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert text(alarms_may["Condition"]["ArnLike"]["aws:SourceArn"]).endswith(f":alarm:{each.prefix}-*")


def test_failed_runs_stale_sources_and_failed_mails_are_counted_from_the_lines_of_the_log(
    small: Written, medium: Written
) -> None:
    work = {RUN_FAILED, SOURCE_STALE}
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
    for event in (RUN_FAILED, SOURCE_STALE, MAIL_FAILED):
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


def test_failed_deployments_and_pipelines_and_vulnerable_images_are_told(each: Written) -> None:
    (topic,) = each.resources("AWS::SNS::Topic")
    told = each.resources("AWS::Events::Rule", "observation").values()
    assert {source for rule in told for source in rule["Properties"]["EventPattern"]["source"]} == {
        *("aws.ecs", "aws.codepipeline", "aws.ecr"),
    }
    for rule in told:
        assert [one["Arn"] for one in rule["Properties"]["Targets"]] == [{"Ref": topic}]


def test_the_page_shows_the_work_and_the_warehouse(each: Written) -> None:
    (page,) = each.resources("AWS::CloudWatch::Dashboard").values()
    shown = " ".join(every_text(page))
    assert "FailedRuns" in shown
    assert "FreeStorageSpace" in shown
