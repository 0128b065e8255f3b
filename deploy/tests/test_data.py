from __future__ import annotations

import json

import pytest
from aws_cdk.assertions import Match

from written import Json, Written, actions, may, several, text


def bucket(system: Written, name: str) -> tuple[str, Json]:
    found = system.resources("AWS::S3::Bucket")
    ((logical, resource),) = [
        (key, value) for key, value in found.items() if f"-{name}-" in text(value["Properties"]["BucketName"])
    ]
    return logical, resource


def policy_of(system: Written, logical: str) -> list[Json]:
    (policy,) = [
        found["Properties"]["PolicyDocument"]["Statement"]
        for found in system.resources("AWS::S3::BucketPolicy").values()
        if found["Properties"]["Bucket"] == {"Ref": logical}
    ]
    return list(policy)


@pytest.mark.parametrize("name", ["landing", "run-logs", "access-logs", "pipeline"])
def test_each_bucket_is_encrypted_closed_to_the_public_and_takes_tls_only(each: Written, name: str) -> None:
    logical, resource = bucket(each, name)
    properties = resource["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    algorithm = rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
    assert algorithm == ("AES256" if name == "access-logs" else "aws:kms")
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (denied,) = [
        statement
        for statement in policy_of(each, logical)
        if statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert (denied["Effect"], denied["Action"], denied["Principal"]) == ("Deny", "s3:*", {"AWS": "*"})


def test_no_bucket_lets_anybody_of_another_account_in(each: Written) -> None:
    for logical in each.resources("AWS::S3::Bucket"):
        for statement in policy_of(each, logical):
            if statement["Effect"] == "Allow":
                assert statement["Principal"] != {"AWS": "*"}


def test_the_landing_zone_keeps_every_version_and_no_rule_deletes_a_current_file(each: Written) -> None:
    _, resource = bucket(each, "landing")
    assert resource["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = resource["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    for rule in rules:
        if "ExpirationInDays" in rule:
            assert rule["Prefix"] == "landing/rejected/"
    (versions,) = [rule for rule in rules if "Prefix" not in rule]
    assert versions["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7


def test_what_was_overwritten_or_deleted_is_kept_for_years_and_after_one_in_a_cheaper_class(
    small: Written, large: Written
) -> None:
    for system, years in ((small, 10), (large, 12)):
        _, resource = bucket(system, "landing")
        rules = resource["Properties"]["LifecycleConfiguration"]["Rules"]
        (versions,) = [rule for rule in rules if "Prefix" not in rule]
        days = versions["NoncurrentVersionExpiration"]["NoncurrentDays"]
        assert years * 365.25 <= days < years * 365.25 + 1
        moved = {
            one["StorageClass"]: one["TransitionInDays"] for one in versions["NoncurrentVersionTransitions"]
        }
        assert moved == {"STANDARD_IA": 30, "GLACIER_IR": 365}
        # A shorter rule of the same bucket is about what we made ourselves only.
        for rule in rules:
            if rule is not versions:
                assert rule["Prefix"] == "landing/rejected/"


def test_arrivals_and_removals_are_told_to_the_queue_and_what_the_system_writes_is_not(each: Written) -> None:
    _, resource = bucket(each, "landing")
    told = resource["Properties"]["NotificationConfiguration"]["QueueConfigurations"]
    found = {(one["Event"], one["Filter"]["S3Key"]["Rules"][0]["Value"]) for one in told}
    assert found == {
        (event, folder)
        for event in ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
        for folder in ("landing/incoming/", "landing/reference/")
    }
    arrivals = next(key for key in each.resources("AWS::SQS::Queue") if key.startswith("Arrivals"))
    assert {text(one["Queue"]) for one in told} == {f"<{arrivals}.Arn>"}
    # S3 tries the queue when the bucket is made.
    assert (
        next(key for key in each.resources("AWS::SQS::QueuePolicy") if key.startswith("Arrivals"))
        in resource["DependsOn"]
    )


def test_only_s3_for_this_bucket_of_this_account_may_put_notices_into_the_queue(each: Written) -> None:
    policies = each.resources("AWS::SQS::QueuePolicy")
    (policy,) = [found for key, found in policies.items() if key.startswith("Arrivals")]
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    (sending,) = [s for s in statements if s["Effect"] == "Allow"]
    assert sending["Principal"] == {"Service": "s3.amazonaws.com"}
    assert sending["Action"] == "sqs:SendMessage"
    assert sending["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    source = text(sending["Condition"]["ArnEquals"]["aws:SourceArn"])
    assert source.endswith(f":s3:::{each.prefix}-landing-<AWS::AccountId>-<AWS::Region>")


def test_queues_are_encrypted_take_tls_only_and_put_aside_what_cannot_be_read(each: Written) -> None:
    queues = each.resources("AWS::SQS::Queue")
    assert all(found["Properties"]["SqsManagedSseEnabled"] for found in queues.values())
    each.template("data").has_resource_properties(
        "AWS::SQS::Queue",
        {"RedrivePolicy": {"maxReceiveCount": 10, "deadLetterTargetArn": Match.any_value()}},
    )
    for policy in each.resources("AWS::SQS::QueuePolicy").values():
        denied = [
            s
            for s in policy["Properties"]["PolicyDocument"]["Statement"]
            if s["Effect"] == "Deny" and s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        ]
        assert len(denied) == 1


def databases(system: Written) -> dict[str, Json]:
    found = system.resources("AWS::RDS::DBInstance")
    return {
        one["Properties"]["DBInstanceIdentifier"].removeprefix(f"{system.prefix}-"): one
        for one in found.values()
    }


def test_databases_are_postgres_16_encrypted_private_backed_up_and_hard_to_delete(each: Written) -> None:
    for name in ("warehouse", "metabase"):
        properties = databases(each)[name]["Properties"]
        assert (properties["Engine"], properties["EngineVersion"]) == ("postgres", "16")
        assert properties["StorageEncrypted"] is True
        assert text(properties["KmsKeyId"]).startswith("<Key")
        assert properties["PubliclyAccessible"] is False
        assert properties["DeletionProtection"] is True
        assert properties["BackupRetentionPeriod"] >= 7
        assert properties["DeleteAutomatedBackups"] is False
        assert properties["CopyTagsToSnapshot"] is True


def test_databases_take_tls_only(each: Written) -> None:
    groups = each.resources("AWS::RDS::DBParameterGroup")
    assert len(groups) == 2
    for group in groups.values():
        assert group["Properties"]["Family"] == "postgres16"
        assert group["Properties"]["Parameters"]["rds.force_ssl"] == "1"
    used = {text(one["Properties"]["DBParameterGroupName"]) for one in databases(each).values()}
    assert used == {f"<{name}>" for name in groups}


def test_passwords_of_databases_are_made_kept_and_changed_by_aws(each: Written) -> None:
    for name in ("warehouse", "metabase"):
        properties = databases(each)[name]["Properties"]
        assert properties["ManageMasterUserPassword"] is True
        assert text(properties["MasterUserSecret"]["KmsKeyId"]).startswith("<Key")
        assert "MasterUserPassword" not in properties
        # Not the owner of any database: shs_pipeline/database/owner_logins.py.
        assert properties["MasterUsername"] == "shs_master"


def test_a_second_zone_stands_ready_in_larger_sizes(small: Written, medium: Written) -> None:
    assert [one["Properties"]["MultiAZ"] for one in databases(small).values()] == [False, False]
    assert [one["Properties"]["MultiAZ"] for one in databases(medium).values()] == [True, True]


def test_metabase_reads_from_the_replica_where_there_is_one(medium: Written, large: Written) -> None:
    assert "warehouse-replica" not in databases(medium)
    replica = databases(large)["warehouse-replica"]["Properties"]
    assert replica["PubliclyAccessible"] is False
    # Encrypted as what it is a copy of: RDS allows nothing else to be said.
    assert "StorageEncrypted" not in replica
    assert replica["SourceDBInstanceIdentifier"]
    assert "Replica" in large.environment("run")["SHS_METABASE_WAREHOUSE"]
    assert "Replica" not in large.environment("run")["SHS_DATABASE_URL"]
    assert "WarehouseInstance" in medium.environment("run")["SHS_METABASE_WAREHOUSE"]


def test_generated_secrets_are_long_and_encrypted_with_our_key(each: Written) -> None:
    found = each.resources("AWS::SecretsManager::Secret")
    by_name = {
        one["Properties"]["Name"].removeprefix(f"{each.prefix}/"): one["Properties"] for one in found.values()
    }
    for name in ("metabase-encryption-key", "metabase-admin", "warehouse-login", "metabase-login"):
        assert by_name[name]["GenerateSecretString"]["PasswordLength"] == 40
        assert text(by_name[name]["KmsKeyId"]).startswith("<Key")


def test_the_keys_turn_every_year_and_serve_this_account_and_its_alarms(each: Written) -> None:
    keys = each.resources("AWS::KMS::Key", "data", "pipeline")
    assert len(keys) == 2
    for key in keys.values():
        assert key["Properties"]["EnableKeyRotation"] is True
        for statement in key["Properties"]["KeyPolicy"]["Statement"]:
            if "AWS" in statement["Principal"]:
                assert text(statement["Principal"]["AWS"]).endswith(":iam::<AWS::AccountId>:root")
            else:
                allowed = {*("cloudwatch.amazonaws.com", "events.amazonaws.com", "events.rds.amazonaws.com")}
                assert set(several(statement["Principal"]["Service"])) == allowed
                assert set(statement["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}


def policy_of_people(each: Written, name: str) -> list[Json]:
    """The statements of a policy that a company attaches to people."""
    (found,) = [
        policy["Properties"]["PolicyDocument"]["Statement"]
        for policy in each.resources("AWS::IAM::ManagedPolicy", "data").values()
        if text(policy["Properties"]["ManagedPolicyName"]).endswith(name)
    ]
    return list(found)


def folders(statements: list[Json], action: str, effect: str = "Allow") -> set[str]:
    """What an action is allowed, or refused, on."""
    return {
        text(one).partition("/")[2]
        for statement in may(statements, action)
        if statement["Effect"] == effect
        for one in several(statement["Resource"])
    }


def test_who_drops_files_may_do_just_that_and_decides_nothing_that_is_paid(each: Written) -> None:
    statements = policy_of_people(each, "-drop-files")

    assert actions(statements) == {
        *("s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
        *("kms:Decrypt", "kms:GenerateDataKey"),
    }
    assert folders(statements, "s3:GetObject") == {
        "landing/incoming/*", "landing/reference/*", "landing/rejected/*", "landing/START HERE.xlsx",
    }  # fmt: skip
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert folders(statements, action) == {"landing/incoming/*", "landing/reference/*"}
        assert folders(statements, action, "Deny") == {
            "landing/reference/pay_periods.xlsx", "landing/incoming/adjustments/*",
        }  # fmt: skip


def test_finance_closes_months_and_reads_but_never_writes_what_was_paid(each: Written) -> None:
    statements = policy_of_people(each, "-finance")

    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert folders(statements, action) == {"landing/incoming/*", "landing/reference/*"}
        assert folders(statements, action, "Deny") == set()
    assert {"landing/paid/*", "landing/START HERE.xlsx"} <= folders(statements, "s3:GetObject")


def test_mail_is_sent_by_a_user_who_can_send_from_one_address_only(small: Written, medium: Written) -> None:
    assert small.resources("AWS::SES::EmailIdentity") == {}
    (identity,) = medium.resources("AWS::SES::EmailIdentity").values()
    assert identity["Properties"]["EmailIdentity"] == "sales.example.com"
    medium.template("data").has_resource_properties(
        "AWS::SES::ConfigurationSet", {"DeliveryOptions": {"TlsPolicy": "REQUIRE"}}
    )
    (user,) = medium.resources("AWS::IAM::User")
    (policy,) = [
        found["Properties"]
        for found in medium.resources("AWS::IAM::Policy", "data").values()
        if {"Ref": user} in found["Properties"].get("Users", [])
    ]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "ses:SendRawEmail"
    assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": "tracker@sales.example.com"}}
    assert all("*" not in text(one) for one in several(statement["Resource"]))
    assert medium.resources("AWS::IAM::AccessKey") == {}


def test_signatures_are_published_in_the_hosted_zone(large: Written) -> None:
    records = large.resources("AWS::Route53::RecordSet", "data").values()
    assert [one["Properties"]["Type"] for one in records] == ["CNAME"] * 3


def test_the_secret_of_a_login_names_one_of_its_owners_two_from_the_start(each: Written) -> None:
    found = {
        one["Properties"]["Name"].removeprefix(f"{each.prefix}/"): one["Properties"]["GenerateSecretString"]
        for one in each.resources("AWS::SecretsManager::Secret").values()
    }
    for name, first in (("warehouse-login", "shs_owner_a"), ("metabase-login", "metabase_a")):
        assert json.loads(found[name]["SecretStringTemplate"]) == {"username": first}
        assert found[name]["GenerateStringKey"] == "password"
