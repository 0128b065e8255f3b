"""What cdk-nag and cfn-lint say, and that both would say something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from written import Written, every_text

STACKS = ["network", "data", "registry", "services", "observation", "pipeline"]


def test_cdk_nag_finds_nothing_that_is_not_accepted_with_a_reason(each: Written) -> None:
    (report,) = [found for found in each.report["pluginReports"] if found["pluginName"] == "AwsSolutions"]
    assert report["conclusion"] == "success"
    assert report["violations"] == []
    reasons = {found["acknowledgedId"]: found["reason"] for found in report["suppressedViolations"]}
    assert reasons
    assert [rule for rule, reason in reasons.items() if len(reason) < 30] == []


def test_cdk_nag_finds_what_is_wrong_and_stops(tmp_path: Path) -> None:
    import aws_cdk as cdk
    from aws_cdk import Validations
    from aws_cdk import aws_sqs as sqs
    from cdk_nag import AwsSolutionsChecks

    app = cdk.App(outdir=str(tmp_path))
    sqs.Queue(cdk.Stack(app, "bad"), "WithoutTls")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with pytest.raises(RuntimeError, match="AwsSolutions-SQS4"):
        app.synth()


def test_a_star_without_a_reason_is_found(tmp_path: Path) -> None:
    import aws_cdk as cdk
    from aws_cdk import Validations
    from aws_cdk import aws_iam as iam
    from cdk_nag import AwsSolutionsChecks

    from shs_deploy.right import Right, give

    app = cdk.App(outdir=str(tmp_path))
    role = iam.Role(cdk.Stack(app, "bad"), "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    give(role, [Right(["s3:GetObject"], ["arn:aws:s3:::mine/*"]), Right(["s3:PutObject"], ["*"], "Because.")])
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = (tmp_path / "validation-report.json").read_text()
    assert '"AwsSolutions-IAM5[Resource::arn:aws:s3:::mine/*]"' in report
    assert '"acknowledgedId": "AwsSolutions::AwsSolutions-IAM5[Resource::*]"' in report


def lint(paths: list[Path]) -> list[str]:
    from cfnlint.api import lint_file
    from cfnlint.config import ManualArgs

    options = ManualArgs(regions=["us-east-1"])
    return [str(match) for path in paths for match in lint_file(path, options)]


# Linting takes seconds: of the least that can be set only what differs from the most.
@pytest.mark.parametrize("stack", ["network", "services", "pipeline"])
def test_cfn_lint_finds_nothing_in_the_least(small: Written, stack: str) -> None:
    assert lint([small.folder / f"{small.prefix}-{stack}.template.json"]) == []


@pytest.mark.parametrize("stack", [*STACKS, "copies"])
def test_cfn_lint_finds_nothing_in_the_most(large: Written, stack: str) -> None:
    assert lint([large.folder / f"{large.prefix}-{stack}.template.json"]) == []


def test_the_size_between_has_no_resources_of_other_types(
    small: Written, medium: Written, large: Written
) -> None:
    def types(system: Written) -> set[str]:
        return {found["Type"] for one in system.templates.values() for found in one["Resources"].values()}

    assert types(medium) <= types(small) | types(large)


def test_cfn_lint_finds_what_is_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.template.json"
    wrong.write_text('{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Nonsense": 1}}}}')
    assert lint([wrong])


def test_everything_that_can_carry_tags_says_whose_it_is(each: Written) -> None:
    untagged = []
    for stack in each.templates.values():
        for name, resource in stack["Resources"].items():
            tags = resource.get("Properties", {}).get("Tags")
            if not isinstance(tags, list):
                continue
            keys = {tag["Key"] for tag in tags}
            if not {"Project", "Owner", "Environment"} <= keys:
                untagged.append(name)
    assert untagged == []
    for kind in (
        "AWS::S3::Bucket",
        "AWS::RDS::DBInstance",
        "AWS::ECS::Service",
        "AWS::EC2::VPC",
        "AWS::IAM::Role",
    ):
        assert all("Tags" in found["Properties"] for found in each.resources(kind).values()), kind


def test_no_template_holds_a_secret_or_an_account(each: Written) -> None:
    looks_like_one = re.compile(r"(?i)AKIA[0-9A-Z]{16}|-----BEGIN|password=|aws_secret")
    for stack in each.templates.values():
        for found in every_text(stack):
            assert not looks_like_one.search(found)
        for resource in stack["Resources"].values():
            assert "MasterUserPassword" not in resource.get("Properties", {})
            assert "SecretString" not in resource.get("Properties", {})


def test_the_templates_are_of_no_account_and_ask_nothing_of_aws(each: Written) -> None:
    import json

    manifest = json.loads((each.folder / "manifest.json").read_text())
    assert "missing" not in manifest
    stacks = [
        found for found in manifest["artifacts"].values() if found["type"] == "aws:cloudformation:stack"
    ]
    found = {one["properties"]["templateFile"]: one["environment"] for one in stacks}
    usual = {f"{each.prefix}-{name}.template.json": "aws://unknown-account/unknown-region" for name in STACKS}
    copies = f"{each.prefix}-copies.template.json"
    second = {copies: "aws://unknown-account/eu-west-1"} if "copies" in each.templates else {}
    assert found == usual | second


def test_nothing_that_holds_data_goes_with_its_stack(each: Written) -> None:
    for kind in (
        "AWS::S3::Bucket",
        "AWS::RDS::DBInstance",
        "AWS::KMS::Key",
        "AWS::ECR::Repository",
        "AWS::Backup::BackupVault",
    ):
        for name, resource in each.resources(kind).items():
            assert resource["DeletionPolicy"] == "Retain", name
            assert resource["UpdateReplacePolicy"] == "Retain", name
