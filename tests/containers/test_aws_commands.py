"""Somebody who plays AWS: each call of the `aws` command that docs and scripts make is one that it has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jmespath
import pytest
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.session import get_session
from typer.main import get_command

from shs_pipeline.cli.main import build_app
from tests.helpers.shell_words import calls, code_blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / name for name in ("deploy.md", "operation.md")]
SCRIPTS = [*sorted((ROOT / "deploy").glob("*.sh")), ROOT / "deploy/shs_deploy/pipeline.py"]

# Of the command itself, not of a service: https://docs.aws.amazon.com/cli/latest/reference/
GLOBAL = {"output", "query", "region", "no-paginate", "max-items", "page-size", "no-cli-pager", "profile"}
# Written by hand in the aws command, on top of several calls.
CUSTOM = {
    ("s3", "cp"): {"recursive"},
    ("ecr", "get-login-password"): set(),
}


def shell_texts() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in code_blocks(page.read_text()):
            yield page.name, block
    for script in SCRIPTS:
        text = script.read_text()
        # In Python the commands stand in texts: one line each.
        lines = re.findall(r"'(.*?\baws .*?)'", text) if script.suffix == ".py" else [text]
        yield from ((script.name, line) for line in lines)


ALL = [(where, words) for where, text in shell_texts() for words in calls(text, "aws")]


@cache
def model(service: str) -> ServiceModel:
    # The one name that the command has and the library has not.
    return get_session().get_service_model("s3" if service == "s3api" else service)


@cache
def operations(service: str) -> dict[str, str]:
    return {xform_name(name, "-"): name for name in model(service).operation_names}


def members(shape: Shape | None, seen: frozenset[str] = frozenset()) -> set[str]:
    """Return the names of all that is in an answer, at any depth."""
    if shape is None or shape.name in seen:
        return set()
    seen = seen | {shape.name}
    if shape.type_name == "structure":
        found = set(shape.members)
        return found.union(*(members(inner, seen) for inner in shape.members.values()))
    if shape.type_name == "list":
        return members(shape.member, seen)
    return members(shape.value, seen) if shape.type_name == "map" else set()


def fields(query: str) -> set[str]:
    """Return the names that a query looks up."""

    def of(node: dict[str, Any]) -> set[str]:
        own = {node["value"]} if node["type"] == "field" else set()
        return own.union(*(of(child) for child in node["children"] if isinstance(child, dict)))

    return of(jmespath.compile(query).parsed)


def options_of(words: list[str]) -> dict[str, list[str]]:
    """Return the values that follow each option."""
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            latest = found.setdefault(word[2:], [])
        elif found:
            latest.append(word)
    return found


def wrong(words: list[str]) -> list[str]:
    """Return what the aws command would not take of a call."""
    _, service, operation, *rest = words
    options = options_of(rest)
    if (service, operation) in CUSTOM:
        return [f"--{name}" for name in set(options) - CUSTOM[service, operation] - GLOBAL]
    try:
        known = operations(service)
    except UnknownServiceError:
        return [service]
    if operation == "wait":
        return wrong_wait(service, rest)
    if operation not in known:
        return [f"{service} {operation}"]
    return wrong_options(model(service).operation_model(known[operation]), options)


def wrong_wait(service: str, rest: list[str]) -> list[str]:
    waiters = get_session().create_client(service, region_name="us-east-1").waiter_names
    if rest[0].replace("-", "_") not in waiters:
        return [f"wait {rest[0]}"]
    config = (
        get_session()
        .get_waiter_model(service)
        .get_waiter(
            next(
                name
                for name in get_session().get_waiter_model(service).waiter_names
                if xform_name(name, "-") == rest[0]
            )
        )
    )
    return wrong_options(model(service).operation_model(config.operation), options_of(rest[1:]))


def wrong_options(operation: OperationModel, options: dict[str, list[str]]) -> list[str]:
    shape = operation.input_shape
    taken = {xform_name(name, "-"): inner for name, inner in shape.members.items()} if shape else {}
    needed = {xform_name(name, "-") for name in shape.required_members} if shape else set()
    found = [f"without --{name}" for name in needed - set(options)]
    for name, values in options.items():
        positive = name.removeprefix("no-")
        is_switch = positive in taken and taken[positive].type_name == "boolean"
        if name in GLOBAL or is_switch:
            if is_switch and values:
                found.append(f"--{name} takes no value")
            continue
        if name not in taken:
            found.append(f"--{name}")
            continue
        allowed = getattr(taken[name], "enum", [])
        found += [
            f"--{name} {value}"
            for value in values
            if allowed and not value.startswith("$") and value not in allowed
        ]
        if values and values[0].startswith("{") and taken[name].type_name == "structure":
            found += [f"--{name}: {key}" for key in set(json.loads(values[0])) - set(taken[name].members)]
    if "query" in options:
        answer = members(operation.output_shape)
        found += [f"--query: {name}" for name in sorted(fields(options["query"][0]) - answer)]
    return found


def test_the_calls_are_found() -> None:
    services = {words[1] for _, words in ALL}
    assert {"cloudformation", "ecs", "rds", "s3", "secretsmanager", "iam", "ssm", "acm", "logs"} <= services
    assert len(ALL) > 40
    assert {where for where, _ in ALL} >= {"deploy.md", "operation.md", "run.sh", "snapshot_before.sh"}


@pytest.mark.parametrize(("where", "words"), ALL, ids=[f"{where}: {' '.join(w[1:3])}" for where, w in ALL])
def test_each_call_is_one_that_aws_takes(where: str, words: list[str]) -> None:
    assert wrong(words) == [], f"{where}: {' '.join(words)}"


@pytest.mark.parametrize(
    ("call", "finding"),
    [
        ("aws ecz describe-services", "ecz"),
        ("aws ecs describe-servces --cluster c", "ecs describe-servces"),
        ("aws ecs describe-tasks --cluster c --task t", "--task"),
        ("aws ecs describe-tasks --cluster c", "without --tasks"),
        ("aws ecs run-task --task-definition d --launch-type FARGATTE", "--launch-type FARGATTE"),
        ("aws ecs list-tasks --cluster c --query 'taskArn[0]'", "--query: taskArn"),
        (
            "aws rds modify-db-instance --db-instance-identifier d --no-deletion-protected",
            "--no-deletion-protected",
        ),
        ("aws rds wait db-instance-ready --db-instance-identifier d", "wait db-instance-ready"),
        ("aws rds wait db-instance-available --db-instance d", "--db-instance"),
        ("aws s3 cp --recursively a b", "--recursively"),
    ],
)
def test_a_call_that_aws_does_not_take_is_found(call: str, finding: str) -> None:
    ((words),) = calls(call, "aws")
    assert finding in wrong(words)


def test_words_are_those_of_the_shell() -> None:
    text = """
x=$(aws a b --c "$(aws d e --f 'g h')" \\
    --i "j $(k "l m")") && echo aws; aws n o # aws p
# aws q
"""
    assert list(calls(text, "aws")) == [
        ["aws", "a", "b", "--c", "$(aws d e --f 'g h')", "--i", 'j $(k "l m")'],
        ["aws", "d", "e", "--f", "g h"],
        ["aws", "n", "o"],
    ]


def known_words(words: list[str]) -> bool:
    """Return whether shs has the command that words begin with."""
    command: Any = get_command(build_app())
    for word in words:
        if not hasattr(command, "commands") or word.startswith("-") or word == "…":
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


def test_each_command_of_shs_that_the_pages_run_on_aws_exists() -> None:
    found = []
    for page in PAGES:
        for line in re.findall(r"deploy/run\.sh [^\n`|]+", page.read_text()):
            words = line.split()
            if "shs" in words:
                found.append(words[words.index("shs") + 1 :])
    assert len(found) >= 8
    assert [words for words in found if not known_words(words)] == []
    assert not known_words(["metabse", "apply"])
    assert not known_words(["metabase", "aply"])
