from __future__ import annotations

import json
import re
import subprocess

from conftest import CONNECTION, DEPLOY
from written import Json, Written, actions, every_text, may, several, text


def stages(system: Written) -> list[Json]:
    (pipeline,) = system.resources("AWS::CodePipeline::Pipeline").values()
    return list(pipeline["Properties"]["Stages"])


def project(system: Written, name: str) -> Json:
    found = system.resources("AWS::CodeBuild::Project").values()
    (one,) = [p["Properties"] for p in found if p["Properties"]["Name"] == f"{system.prefix}-{name}"]
    return dict(one)


def commands(system: Written, name: str) -> list[str]:
    spec = project(system, name)["Source"]["BuildSpec"]
    return list(json.loads(text(spec))["phases"]["build"]["commands"])


def test_every_check_of_the_makefile_is_made_before_anything_is_built(each: Written) -> None:
    assert commands(each, "test") == [
        "set -e",
        "CI=1 make check",
        "CI=1 make test",
        "make pythons",
        "bash scripts/deploy_check.sh",
        "bash scripts/audit.sh",
    ]


def test_images_never_change_under_a_tag_are_scanned_and_the_old_ones_go(each: Written) -> None:
    repositories = each.resources("AWS::ECR::Repository")
    assert len(repositories) == 2
    for one in repositories.values():
        properties = one["Properties"]
        assert properties["ImageTagMutability"] == "IMMUTABLE"
        assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert properties["EncryptionConfiguration"]["EncryptionType"] == "KMS"
        rules = json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        assert len(rules) == 2


def test_nothing_is_built_before_the_tests_nor_deployed_before_it_is_built(
    small: Written, large: Written
) -> None:
    assert [stage["Name"] for stage in stages(small)] == ["Source", "Test", "Image", "Deploy"]
    assert [stage["Name"] for stage in stages(large)] == ["Source", "Test", "Approve", "Image", "Deploy"]


def test_sources_come_from_a_bucket_or_by_a_connection(small: Written, medium: Written) -> None:
    (bucket,) = stages(small)[0]["Actions"]
    assert bucket["ActionTypeId"]["Provider"] == "S3"
    assert bucket["Configuration"]["PollForSourceChanges"] is False
    (connected,) = stages(medium)[0]["Actions"]
    assert connected["ActionTypeId"]["Provider"] == "CodeStarSourceConnection"
    assert connected["Configuration"]["FullRepositoryId"] == "example-company/sales-tracker"
    using = may(medium.statements("SourceRole", "pipeline"), "codeconnections:UseConnection")
    assert [one["Resource"] for one in using] == [CONNECTION]


def test_the_version_is_the_commit_or_the_execution(small: Written, medium: Written) -> None:
    def tags(system: Written) -> set[str]:
        found = [text for stage in stages(system) for text in every_text(stage) if '"TAG"' in text]
        return {one["value"] for given in found for one in json.loads(given) if one["name"] == "TAG"}

    assert tags(small) == {"#{codepipeline.PipelineExecutionId}"}
    assert tags(medium) == {"#{SourceVariables.CommitId}"}


def test_only_the_build_of_the_image_may_push_and_only_the_last_may_deploy(each: Written) -> None:
    may_push = {
        name: "ecr:PutImage" in actions(each.statements(f"{name}Role", "pipeline"))
        for name in ("Test", "Image", "Deploy")
    }
    assert may_push == {"Test": False, "Image": True, "Deploy": False}
    assert "sts:AssumeRole" not in actions(each.statements("TestRole", "pipeline"))
    (deploying,) = may(each.statements("DeployRole", "pipeline"), "sts:AssumeRole")
    assert {text(one).partition(":role/")[2].split("-<")[0] for one in several(deploying["Resource"])} == {
        "cdk-hnb659fds-deploy-role",
        "cdk-hnb659fds-file-publishing-role",
    }


def test_only_the_build_of_the_image_has_an_engine(each: Written) -> None:
    privileged = {
        name: project(each, name)["Environment"]["PrivilegedMode"] for name in ("test", "image", "deploy")
    }
    assert privileged == {"test": False, "image": True, "deploy": False}


def test_the_deployment_names_the_version_and_every_stack_but_the_pipelines_own(each: Written) -> None:
    command = commands(each, "deploy")[-1]
    assert f'--parameters "{each.prefix}-services:ImageTag=$TAG"' in command
    for stack in ("network", "data", "registry", "services", "observation"):
        assert f"{each.prefix}-{stack}" in command
    assert f"{each.prefix}-pipeline" not in command


def test_the_commands_are_right_bash(each: Written) -> None:
    for name in ("test", "image", "deploy"):
        lines = commands(each, name)
        assert lines[0] == "set -e"
        checked = subprocess.run(
            ["bash", "-n"], input="\n".join(lines), text=True, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")


def test_metabase_is_copied_in_the_version_that_the_service_runs(each: Written) -> None:
    variables = {
        one["Name"]: one["Value"] for one in project(each, "image")["Environment"]["EnvironmentVariables"]
    }
    assert text(each.container("metabase")["Image"]).endswith(f":{variables['METABASE_VERSION']}")
    assert re.fullmatch(r"v0\.\d+\.[\w.]+", variables["METABASE_VERSION"])


def test_an_account_of_docker_hub_is_read_from_its_secret(small: Written, large: Written) -> None:
    variables = {one["Name"]: one for one in project(large, "image")["Environment"]["EnvironmentVariables"]}
    assert variables["DOCKER_HUB_PASSWORD"]["Type"] == "SECRETS_MANAGER"
    assert "docker login" in commands(large, "image")[1]
    assert not any("DOCKER_HUB" in line for line in commands(small, "image"))


def test_the_scripts_are_right_bash() -> None:
    for script in (*sorted(DEPLOY.glob("*.sh")), DEPLOY.parent / "scripts/deploy_check.sh"):
        checked = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, ""), script


def test_the_image_holds_the_certificates_by_which_its_tasks_know_the_database(each: Written) -> None:
    from shs_deploy.database import CERTIFICATES

    (build,) = [line for line in commands(each, "image") if "docker build" in line]
    steps = build.split(" && ")
    order = [next(n for n, step in enumerate(steps) if word in step) for word in _STEPS]
    assert order == sorted(order)
    assert f"cafile='{CERTIFICATES}'" in steps[order[2]]
    allowed = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    assert f"!{CERTIFICATES.removeprefix('/app/')}" in allowed
    assert "file=rds-certificates.pem" in (DEPLOY / "rds_certificates.sh").read_text()
    for task in ("webserver", "daemon", "code", "run", "setup"):
        url = each.environment(task)["SHS_DATABASE_URL"]
        assert url.endswith(f"?sslmode=verify-full&sslrootcert={CERTIFICATES}")


_STEPS = ("rds_certificates.sh", "docker build", "docker run", "docker push")
