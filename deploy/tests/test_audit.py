from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import DEPLOY
from stand_in import run_beside
from written import Written

FAKE = """#!/usr/bin/env bash
echo "$*" >> "$CALLS"
case "$*" in *"$VULNERABLE"*) exit 1 ;; esac
"""
LOCKS = [
    "requirements-local.lock",
    "requirements-dev.lock",
    "deploy/requirements.lock",
    "deploy/image-tools.lock",
]


def audit(tmp_path: Path, accepted: str = "", vulnerable: str = "nothing") -> tuple[int, str, list[str]]:
    (tmp_path / "accepted.txt").write_text(accepted)
    ended, calls = run_beside(
        tmp_path, "pip-audit", FAKE, [str(DEPLOY.parent / "scripts/audit.sh")],
        PIP_AUDIT=str(tmp_path / "pip-audit"), ACCEPTED=str(tmp_path / "accepted.txt"), VULNERABLE=vulnerable,
    )  # fmt: skip
    return ended.returncode, ended.stderr, calls


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def test_every_lock_file_is_looked_at_and_what_cannot_be_looked_up_is_not_passed_over(tmp_path: Path) -> None:
    code, said, calls = audit(tmp_path)
    assert (code, said) == (0, "")
    assert [call.rpartition("--requirement ")[2].split()[0] for call in calls] == LOCKS
    assert all("--strict" in call and "--require-hashes" in call for call in calls)
    every = {path.name for path in DEPLOY.parent.glob("*.lock")} | {
        f"deploy/{path.name}" for path in DEPLOY.glob("*.lock")
    }
    # The lock of the cloud is a part of that with the extra.
    assert every == {*LOCKS, "requirements.lock"}


@pytest.mark.parametrize("lock", LOCKS)
def test_one_vulnerable_package_fails_it_and_the_rest_is_looked_at_all_the_same(
    tmp_path: Path, lock: str
) -> None:
    code, said, calls = audit(tmp_path, vulnerable=f"--requirement {lock}")
    assert (code, len(calls)) == (1, len(LOCKS))
    assert "Update it (make lock), or accept it for a time" in said


def test_what_is_accepted_is_accepted_until_its_day_with_a_reason(tmp_path: Path) -> None:
    code, _, calls = audit(
        tmp_path, f"# a remark\n\nGHSA-1 {day(1)} not on our way\nCVE-2 {day(0)} neither\n"
    )
    assert code == 0
    assert all("--ignore-vuln GHSA-1 --ignore-vuln CVE-2" in call for call in calls)
    for line, wrong in (
        (f"GHSA-1 {day(-1)} not on our way", f"was accepted until {day(-1)}"),
        (f"GHSA-1 {day(1)}", "needs a day"),
        ("GHSA-1 soon because", "needs a day"),
    ):
        code, said, calls = audit(tmp_path, f"{line}\n")
        assert (code, calls) == (1, [])
        assert wrong in said


def test_nothing_is_deployed_that_was_not_looked_at(each: Written) -> None:
    from test_pipeline import commands

    assert "bash scripts/audit.sh" in commands(each, "test")
