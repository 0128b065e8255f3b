"""Settings: what they default to, what they refuse, and how the refusal reads."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from shs_pipeline import settings as module
from shs_pipeline.errors import ShsError
from shs_pipeline.settings import (
    Settings,
    landing_url,
    load_settings,
    project_root,
    secrets_url,
    unknown_variables,
)

EXAMPLE = Path(__file__).parents[1] / ".env.example"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder of its own, without SHS_* variables."""
    for name in [name for name in os.environ if name.startswith("SHS_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(module, "project_root", lambda: folder)
    return folder


def test_nothing_has_to_be_set(project: Path) -> None:
    settings = load_settings()

    assert settings.home == project / "var"
    assert settings.landing == (project / "var" / "landing").as_uri()
    assert settings.secrets == (project / "var" / "secrets.json").as_uri()
    assert settings.database_url is None
    assert (settings.max_file_mb, settings.due_day) == (50, 20)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("SHS_MAX_FILE_MB", "many", "not a whole number"),
        ("SHS_MAX_FILE_MB", "0", "less than 1"),
        ("SHS_SENSOR_SECONDS", "0", "less than 1"),
        ("SHS_DUE_DAY", "29", "more than 28"),
        ("SHS_LANDING", "ftp://example.com/x", "neither file:// nor s3://"),
        ("SHS_LANDING", "file://relative/x", "three slashes"),
        ("SHS_LANDING", "s3://", "no bucket"),
        ("SHS_SECRETS", "vault://x", "neither file:// nor aws-secretsmanager://"),
        ("SHS_SECRETS", "file://relative/x.json", "three slashes"),
        ("SHS_SECRETS", "aws-secretsmanager://", "no prefix"),
        ("SHS_DATABASE_URL", "mysql://a@b/c", "postgresql://"),
        ("SHS_DATABASE_URL", "postgresql://a@b", "no database"),
        ("SHS_DATABASE_URL", "postgresql://a@b:x/c", "port"),
        ("SHS_METABASE_URL", "metabase:3000", "http://"),
        ("SHS_METABASE_URL", "http://me:hush@metabase", "SHS_METABASE_USER"),
        ("SHS_METABASE_WAREHOUSE", "postgres", "host:port"),
    ],
)
def test_a_bad_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wrong: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ShsError) as caught:
        load_settings()

    assert name in caught.value.problem
    assert wrong in caught.value.problem
    assert ".env" in caught.value.remedy


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHS_MAX_FILE_MB", "x")
    monkeypatch.setenv("SHS_DUE_DAY", "y")

    with pytest.raises(ShsError, match=r"SHS_MAX_FILE_MB.*SHS_DUE_DAY"):
        load_settings()


def test_a_password_is_neither_printed_nor_part_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHS_DATABASE_URL", "postgresql://shs_owner:hush@db.example.com/shs")
    assert "hush" not in repr(load_settings())

    monkeypatch.setenv("SHS_METABASE_PASSWORD", "hush")
    monkeypatch.setenv("SHS_METABASE_API_KEY", "hush")
    assert "hush" not in repr(load_settings())

    monkeypatch.setenv("SHS_METABASE_URL", "http://me:hush@metabase")
    monkeypatch.setenv("SHS_DATABASE_URL", "mysql://shs_owner:hush@db.example.com/shs")
    with pytest.raises(ShsError) as caught:
        load_settings()
    assert "hush" not in str(caught.value)


def test_the_environment_beats_the_file_and_an_empty_value_counts_as_none(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("SHS_DUE_DAY=5\nSHS_MAX_FILE_MB=7\nSHS_DATABASE_URL=\n")
    monkeypatch.setenv("SHS_DUE_DAY", "6")
    monkeypatch.setenv("SHS_SENSOR_SECONDS", "")

    settings = load_settings()

    assert (settings.due_day, settings.max_file_mb, settings.sensor_seconds) == (6, 7, 5)
    assert settings.database_url is None


def test_a_relative_path_counts_from_where_it_is_written(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("SHS_HOME=state\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings().home == project / "state"

    monkeypatch.setenv("SHS_HOME", "state")
    assert load_settings().home == tmp_path / "state"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("file:///srv/landing/", "file:///srv/landing"),
        ("/srv/the landing", "file:///srv/the%20landing"),
        ("file:///srv/the%20landing", "file:///srv/the%20landing"),
    ],
)
def test_a_landing_zone_is_always_a_url(given: str, expected: str) -> None:
    assert landing_url(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("aws-secretsmanager://sales/shs/", "aws-secretsmanager://sales/shs"),
        ("/srv/the secrets.json", "file:///srv/the%20secrets.json"),
        ("file:///srv/secrets.json", "file:///srv/secrets.json"),
    ],
)
def test_the_place_of_secrets_is_always_a_url(given: str, expected: str) -> None:
    assert secrets_url(given) == expected


def test_a_typo_is_pointed_out_and_a_stranger_is_left_alone() -> None:
    found = unknown_variables({"SHS_LANDIN": "x", "SHS_ZZZ": "x", "SHS_HOME": "x", "PATH": "x"})

    assert found == {"SHS_LANDIN": "SHS_LANDING", "SHS_ZZZ": None}


def test_the_example_lists_every_setting_with_a_comment() -> None:
    paragraphs = EXAMPLE.read_text().strip().split("\n\n")[1:]
    listed = [re.fullmatch(r"((?:# .+\n)+)#(SHS_[A-Z_]+)=.+", paragraph) for paragraph in paragraphs]

    assert all(listed), "each paragraph is a comment and one variable"
    names = [found[2] for found in listed if found]
    assert names == [f"SHS_{name.upper()}" for name in Settings.model_fields]


def test_the_values_of_the_example_can_be_used(project: Path) -> None:
    (project / ".env").write_text(EXAMPLE.read_text().replace("#SHS_", "SHS_"))

    assert load_settings().home == project / "var"


def test_the_project_folder_holds_the_dagster_configuration() -> None:
    assert (project_root() / "dagster.yaml").is_file()
