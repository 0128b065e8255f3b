from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from conftest import DEPLOY
from stand_in import run_beside

FAKE_AWS = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in
    "cloudformation describe-stacks "*) echo '{"awsvpcConfiguration":{}}' ;;
    "ecs run-task "*) echo arn:aws:ecs:us-east-1:123456789012:task/shs-prod/0a1b ;;
    *lastStatus*) echo STOPPED ;;
    "logs get-log-events "*) printf 'first line\\tsecond line\\n' ;;
    *exitCode*) echo "$CODE" ;;
    *stoppedReason*) echo "the image is away" ;;
esac
"""


def run(tmp_path: Path, *words: str, code: str = "0") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    return run_beside(tmp_path, "aws", FAKE_AWS, [str(DEPLOY / "run.sh"), *words], CODE=code)


@pytest.mark.parametrize(("options", "task"), [([], "run"), (["--setup"], "setup")])
def test_a_command_runs_in_a_task_of_its_own_and_shows_what_it_printed(
    tmp_path: Path, options: list[str], task: str
) -> None:
    ended, calls = run(
        tmp_path, *options, "shs-prod", "shs", "explain", "--rep", 'Dana "D" Whitfield', code="3"
    )
    assert (ended.returncode, ended.stdout) == (3, "first line\nsecond line\n")
    (started,) = [call for call in calls if call.startswith("ecs run-task")]
    assert f"--cluster shs-prod --task-definition shs-prod-{task} " in started
    overrides = json.loads(started.partition("--overrides ")[2].partition(" --query")[0])
    words = ["shs", "explain", "--rep", 'Dana "D" Whitfield']
    assert overrides == {"containerOverrides": [{"name": task, "command": words}]}
    (log,) = [call for call in calls if call.startswith("logs")]
    assert f"--log-group-name /shs-prod/{task} --log-stream-name {task}/{task}/0a1b " in log


def test_a_task_that_never_ran_says_why(tmp_path: Path) -> None:
    ended, _ = run(tmp_path, "shs-prod", "shs", "status", code="None")
    assert ended.returncode == 1
    assert "the image is away" in ended.stderr


@pytest.mark.parametrize("words", [[], ["shs-prod"], ["--setup", "shs-prod"]])
def test_without_a_system_and_a_command_nothing_is_started(tmp_path: Path, words: list[str]) -> None:
    ended, calls = run(tmp_path, *words)
    assert (ended.returncode, calls) == (2, [])
    assert "Give the system and the command" in ended.stderr
