from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import DEPLOY
from stand_in import run_beside
from written import Json, Written, text


def rules(system: Written) -> list[Json]:
    (plan,) = system.resources("AWS::Backup::BackupPlan").values()
    return list(plan["Properties"]["BackupPlan"]["BackupPlanRule"])


def test_both_databases_and_the_files_are_backed_up_each_night_and_kept_longer_once_a_month(
    each: Written,
) -> None:
    kept = {rule["RuleName"]: rule["Lifecycle"]["DeleteAfterDays"] for rule in rules(each)}
    assert kept == {"daily": 35, "monthly": 400}
    (selection,) = each.resources("AWS::Backup::BackupSelection").values()
    chosen = [text(one) for one in selection["Properties"]["BackupSelection"]["Resources"]]
    assert len(chosen) == 3
    assert sum("DBInstanceArn" in one for one in chosen) == 2
    assert any(f":s3:::{each.prefix}-landing-" in one for one in chosen)


def test_nobody_empties_a_vault(each: Written) -> None:
    vaults = each.resources("AWS::Backup::BackupVault")
    assert len(vaults) == (2 if "copies" in each.templates else 1)
    for vault in vaults.values():
        properties = vault["Properties"]
        assert "Key" in text(properties["EncryptionKeyArn"])
        assert properties["LockConfiguration"] == {"MinRetentionDays": 30}
        (denied,) = properties["AccessPolicy"]["Statement"]
        assert denied["Effect"] == "Deny"
        assert "backup:DeleteRecoveryPoint" in denied["Action"]
        assert vault["DeletionPolicy"] == "Retain"
    # What is kept for less than the lock says could not be kept at all.
    assert all(rule["Lifecycle"]["DeleteAfterDays"] >= 30 for rule in rules(each))


def test_backups_and_secrets_are_copied_to_the_second_region_if_one_is_named(
    small: Written, large: Written
) -> None:
    assert not any("CopyActions" in rule for rule in rules(small))
    (there,) = large.resources("AWS::Backup::BackupVault", "copies").values()
    for rule in rules(large):
        (copy,) = rule["CopyActions"]
        name = there["Properties"]["BackupVaultName"]
        assert text(copy["DestinationBackupVaultArn"]).endswith(
            f":backup:eu-west-1:<AWS::AccountId>:backup-vault:{name}"
        )
        assert copy["Lifecycle"] == rule["Lifecycle"]
    kept = {
        one["Properties"]["Name"].removeprefix("shs-prod/"): one["Properties"].get("ReplicaRegions")
        for one in large.resources("AWS::SecretsManager::Secret").values()
    }
    # The mail secret works in its region only, and can be recreated in a minute.
    assert kept.pop("smtp") is None
    assert set(map(json.dumps, kept.values())) == {json.dumps([{"Region": "eu-west-1"}])}
    assert "metabase-encryption-key" in kept
    for one in small.resources("AWS::SecretsManager::Secret").values():
        assert "ReplicaRegions" not in one["Properties"]


def test_the_second_region_is_deployed_first_with_its_own_roles(large: Written) -> None:
    from test_pipeline import commands

    assert "cdk.sh deploy shs-prod-copies shs-prod-network" in commands(large, "deploy")[-1]
    (deploying,) = [
        one for one in large.statements("DeployRole", "pipeline") if one["Action"] == "sts:AssumeRole"
    ]
    assert sum(text(one).endswith("-eu-west-1") for one in deploying["Resource"]) == 2


FAKE_AWS = """#!/usr/bin/env bash
echo "$*" >> "$CALLS"
case "$2" in
    describe-task-definition)
        [ -z "$FAILS" ] || { echo "$FAILS" >&2; exit 254; }
        echo "123456789012.dkr.ecr.us-east-1.amazonaws.com/shs-prod/metabase:v0.58.34" ;;
esac
"""


def snapshot_before(tmp_path: Path, version: str, fails: str = "") -> tuple[int, str, list[str]]:
    command = [str(DEPLOY / "snapshot_before.sh"), "shs-prod", version]
    ended, calls = run_beside(tmp_path, "aws", FAKE_AWS, command, FAILS=fails)
    return ended.returncode, ended.stdout + ended.stderr, calls


def test_another_version_of_metabase_comes_after_a_snapshot_of_its_database(tmp_path: Path) -> None:
    code, said, calls = snapshot_before(tmp_path, "v0.58.39")
    assert code == 0
    assert "goes from v0.58.34 to v0.58.39" in said
    _, made, waited = calls
    assert made.startswith("rds create-db-snapshot --db-instance-identifier shs-prod-metabase ")
    name = made.rpartition(" ")[2]
    assert name.startswith("shs-prod-metabase-before-v0-58-39-")
    assert waited == f"rds wait db-snapshot-available --db-snapshot-identifier {name}"


@pytest.mark.parametrize(
    ("version", "fails", "said"),
    [
        ("v0.58.34", "", "stays at v0.58.34"),
        (
            "v0.58.39",
            "An error occurred (ClientException): Unable to describe task definition.",
            "No Metabase",
        ),
    ],
)
def test_the_same_version_and_the_first_one_need_none(
    tmp_path: Path, version: str, fails: str, said: str
) -> None:
    code, told, calls = snapshot_before(tmp_path, version, fails)
    assert (code, len(calls)) == (0, 1)
    assert said in told


def test_a_refusal_is_not_taken_for_the_first_time(tmp_path: Path) -> None:
    refused = "An error occurred (AccessDeniedException): not authorized"
    code, said, calls = snapshot_before(tmp_path, "v0.58.39", refused)
    assert (code, len(calls)) == (1, 1)
    assert refused in said


def test_the_pipeline_takes_the_snapshot_before_it_deploys_and_may_do_just_that(each: Written) -> None:
    from test_pipeline import commands, project

    lines = commands(each, "deploy")
    assert lines[1] == f'bash deploy/snapshot_before.sh {each.prefix} "$METABASE_VERSION"'
    assert "cdk.sh deploy" in lines[2]
    variables = project(each, "deploy")["Environment"]["EnvironmentVariables"]
    (version,) = [one["Value"] for one in variables if one["Name"] == "METABASE_VERSION"]
    assert text(each.container("metabase")["Image"]).endswith(f":{version}")
    (taking,) = [
        one for one in each.statements("DeployRole", "pipeline") if "rds:CreateDBSnapshot" in one["Action"]
    ]
    on = sorted(text(one).partition("<AWS::AccountId>:")[2] for one in taking["Resource"])
    assert on == [f"db:{each.prefix}-metabase", f"snapshot:{each.prefix}-metabase-before-*"]
