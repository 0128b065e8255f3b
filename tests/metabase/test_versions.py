from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.metabase.versions import END_OF_LIFE, OLDEST_SAFE_PATCH, check_version

ROOT = Path(__file__).resolve().parents[2]
LONG_BEFORE = date(2026, 5, 1)


def properties(tag: str) -> dict[str, object]:
    return {"version": {"tag": tag}}


@pytest.mark.parametrize("edition", [0, 1])
@pytest.mark.parametrize(("major", "patch"), OLDEST_SAFE_PATCH.items())
def test_the_last_patch_with_a_hole_is_refused_and_the_next_one_is_not(
    edition: int, major: int, patch: int
) -> None:
    with pytest.raises(ShsError, match="without a login") as refused:
        check_version(properties(f"v{edition}.{major}.{patch - 1}"), LONG_BEFORE)

    assert f"v0.{major}.{patch}" in refused.value.remedy
    assert check_version(properties(f"v{edition}.{major}.{patch}"), LONG_BEFORE) == []
    assert check_version(properties(f"v{edition}.{major}.{patch + 1}.3"), LONG_BEFORE) == []


def test_a_version_older_than_this_is_written_for_is_refused() -> None:
    with pytest.raises(ShsError, match="too old"):
        check_version(properties("v0.57.20"), LONG_BEFORE)


@pytest.mark.parametrize("tag", ["v0.66.1", "v1.70.2"])
def test_a_version_that_nobody_checked_is_named(tag: str) -> None:
    (note,) = check_version(properties(tag), LONG_BEFORE)

    assert tag in note
    assert "make smoke" in note


@pytest.mark.parametrize("version", [{}, {"tag": "vLOCAL_DEV"}, {"tag": None}, None])
def test_a_version_that_cannot_be_told_is_said(version: object) -> None:
    (note,) = check_version({"version": version}, LONG_BEFORE)

    assert "it is unknown" in note


def test_the_end_of_a_long_term_version_is_told_in_time() -> None:
    major = 58
    tag = f"v0.{major}.{OLDEST_SAFE_PATCH[major]}"

    assert check_version(properties(tag), date(2026, 11, 1)) == []
    assert "end on 2027-02-17" in check_version(properties(tag), date(2026, 12, 1))[0]
    assert "ended on 2027-02-17" in check_version(properties(tag), date(2027, 3, 1))[0]


@pytest.mark.parametrize(("major", "end"), END_OF_LIFE.items())
def test_each_end_of_life_is_told_from_ninety_days_before(major: int, end: date) -> None:
    tag = f"v0.{major}.{OLDEST_SAFE_PATCH[major]}"

    assert check_version(properties(tag), end - timedelta(days=91)) == []
    assert f"end on {end}" in check_version(properties(tag), end - timedelta(days=90))[0]
    assert f"ended on {end}" in check_version(properties(tag), end + timedelta(days=1))[0]


def test_the_version_of_the_compose_file_is_safe() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found = re.search(r"METABASE_VERSION:-(v0\.\d+\.\d+)", compose)

    assert found is not None
    assert check_version(properties(found[1]), LONG_BEFORE) == []
