"""Settings: what they default to, what they refuse, and how the refusal reads."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.address import server_url
from shs_pipeline.database.databases import Databases
from shs_pipeline.settings import secret_settings
from shs_pipeline.settings import settings as module
from shs_pipeline.settings.settings import (
    SECRETS,
    Settings,
    load_settings,
    project_root,
    unknown_variables,
)
from shs_pipeline.settings.urls import landing_url, secrets_url
from shs_pipeline.system.dagster_home import dagster_environment

EXAMPLE = Path(__file__).parents[2] / ".env.example"


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
        ("SHS_DATABASE_URL", "postgresql://a:x@y@b/c", "%40"),
        ("SHS_DATABASE_URL", "postgresql://a:1/x@b/c", "%40"),
        ("SHS_DATABASE_URL", "postgresql://a:1/x#y@b/c", "%40"),
        ("SHS_DAGSTER_HOSTS", "https://dagster.example.com", "is not a name"),
        ("SHS_DAGSTER_HOSTS", "dagster.example.com:443", "is not a name"),
        ("SHS_DAGSTER_HOSTS", "*.example.com", "is not a name"),
        ("SHS_METABASE_URL", "metabase:3000", "http://"),
        ("SHS_METABASE_URL", "http://me:hush@metabase", "SHS_METABASE_USER"),
        ("SHS_METABASE_WAREHOUSE", "postgres", "host:port"),
        ("SHS_METABASE_PUBLIC_URL", "sales.example.com", "http://"),
        ("SHS_SMTP_HOST", "smtp://example.com", "SHS_SMTP_PORT"),
        ("SHS_SMTP_PORT", "0", "less than 1"),
        ("SHS_SMTP_PORT", "65536", "more than 65535"),
        ("SHS_SMTP_TLS", "ssl", "starttls"),
        ("SHS_SMTP_SENDER", "sales", "not an address"),
        ("SHS_SMTP_SENDER", "a@example.com\nBcc: b@example.com", "line break"),
        ("SHS_MAIL_MINUTES", "-1", "less than 0"),
        ("SHS_STATEMENT_LINKS", "a while", "off nor a lifetime such as 12h"),
        ("SHS_STATEMENT_LINKS", "8d", "longest that S3 signs for"),
        ("SHS_STATEMENT_LINKS", "0h", "between 1h and 7d"),
        ("SHS_STATEMENT_LINKS", "3d", "SHS_LANDING is a folder"),
        ("SHS_NOTICE_OK", "sometimes", "not on or off"),
        ("SHS_RESTATE_NOTICE", "-0.01", "less than 0"),
        ("SHS_RESTATE_NOTICE", "some", "not an amount"),
        ("SHS_DATABASE_PASSWORD", "hush", "SHS_DATABASE_URL is not"),
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


URL = "postgresql://shs_owner@db.example.com:5433/shs?sslmode=require"


def test_a_secret_comes_from_a_file_or_from_secrets_manager_as_well(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets_manager: object
) -> None:
    (tmp_path / "mounted").write_bytes("\ufeffhush h\u00fcsch \r\n".encode())
    (project / "here").write_text(f"{URL}\n")
    (project / ".env").write_text("SHS_DATABASE_URL_FILE=here\nSHS_METABASE_API_KEY=unused\n")
    monkeypatch.setenv("SHS_DATABASE_PASSWORD_FILE", str(tmp_path / "mounted"))
    monkeypatch.setenv("SHS_METABASE_API_KEY_SECRET", "shs/plain")
    monkeypatch.setenv("SHS_METABASE_PASSWORD_SECRET", "shs/database#password")

    settings = load_settings()

    assert {
        name: getattr(settings, name).get_secret_value() for name in SECRETS if name != "smtp_password"
    } == {
        "database_url": URL,
        "database_password": "hush h\u00fcsch ",
        "metabase_api_key": "hush key",
        "metabase_password": "hush pass",
    }
    assert "hush" not in f"{settings!r} {settings.secret_places}"


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """AWS Secrets Manager with a plain secret, one of JSON and one that is binary."""
    boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "of-the-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(secret_settings, "_kept", {})
    with moto.mock_aws():
        client = boto3.client("secretsmanager")
        client.create_secret(Name="shs/plain", SecretString="hush key")
        client.create_secret(
            Name="shs/database",
            SecretString='{"username": "shs_owner", "password": "hush pass", "port": 5432}',
        )
        client.create_secret(Name="shs/binary", SecretBinary=b"hush")
        yield client


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("SHS_SMTP_PASSWORD_FILE", "hush", "does not exist"),
        ("SHS_SMTP_PASSWORD_FILE", "{tmp}/" + "hush" * 200, "cannot be read"),
        ("SHS_SMTP_PASSWORD_FILE", "/dev/null", "not a file"),
        ("SHS_SMTP_PASSWORD_FILE", "/", "not a file"),
        ("SHS_SMTP_PASSWORD_FILE", "{tmp}/empty", "is empty"),
        ("SHS_SMTP_PASSWORD_FILE", "{tmp}/binary", "not a short text"),
        ("SHS_SMTP_PASSWORD_FILE", "{tmp}/long", "not a short text"),
        ("SHS_SMTP_PASSWORD_FILE", "{tmp}/pipe", "not a file"),
        ("SHS_SMTP_PASSWORD_SECRET", "hush", "does not exist"),
        ("SHS_SMTP_PASSWORD_SECRET", "shs/binary", "contains no text"),
        ("SHS_SMTP_PASSWORD_SECRET", "shs/database#hush", "key behind #"),
        ("SHS_SMTP_PASSWORD_SECRET", "shs/database#port", "key behind #"),
        ("SHS_SMTP_PASSWORD_SECRET", "shs/plain#hush", "key behind #"),
    ],
)
def test_a_place_without_a_secret_is_said_without_what_stands_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    secrets_manager: object,
    name: str,
    value: str,
    wrong: str,
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"hush\xff\x00")
    (tmp_path / "long").write_bytes(b"hush" * 20_000)
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv(name, value.replace("{tmp}", str(tmp_path)))

    with pytest.raises(ShsError) as caught:
        load_settings()

    assert name in caught.value.problem
    assert wrong in caught.value.problem
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_of_what_aws_refuses_only_the_code_is_said(
    monkeypatch: pytest.MonkeyPatch, secrets_manager: Any
) -> None:
    from botocore.stub import Stubber

    stubber = Stubber(secrets_manager)
    stubber.add_client_error("get_secret_value", "AccessDeniedException", "no right to read hush")
    monkeypatch.setattr("boto3.Session.client", lambda _session, _name: secrets_manager)
    monkeypatch.setenv("SHS_SMTP_PASSWORD_SECRET", "hush")

    with stubber, pytest.raises(ShsError, match=r"refuses to return \(AccessDeniedException\)") as caught:
        load_settings()
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_two_forms_of_a_secret_side_by_side_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("SHS_SMTP_PASSWORD=hush\n")
    monkeypatch.setenv("SHS_SMTP_PASSWORD_FILE", "")
    assert load_settings().smtp_password == SecretStr("hush")

    monkeypatch.setenv("SHS_SMTP_PASSWORD", "hush")
    monkeypatch.setenv("SHS_SMTP_PASSWORD_SECRET", "hush")
    with pytest.raises(ShsError, match="SHS_SMTP_PASSWORD and SHS_SMTP_PASSWORD_SECRET are set") as caught:
        load_settings()
    assert "hush" not in str(caught.value)


def test_secrets_manager_is_not_asked_at_every_look_and_may_be_away_for_a_while(
    monkeypatch: pytest.MonkeyPatch, secrets_manager: Any
) -> None:
    monkeypatch.setenv("SHS_SMTP_PASSWORD_SECRET", "shs/plain")
    assert load_settings().smtp_password == SecretStr("hush key")

    secrets_manager.put_secret_value(SecretId="shs/plain", SecretString="another")
    assert load_settings().smtp_password == SecretStr("hush key")
    monkeypatch.setattr(secret_settings, "_KEPT_SECONDS", 0)
    assert load_settings().smtp_password == SecretStr("another")

    secrets_manager.delete_secret(SecretId="shs/plain", ForceDeleteWithoutRecovery=True)
    assert load_settings().smtp_password == SecretStr("another")


@pytest.mark.parametrize(
    ("url", "complete"),
    [
        (URL, "postgresql://shs_owner:a%40%3A%2F%23%25%20%C3%BC@db.example.com:5433/shs?sslmode=require"),
        ("postgres://a%40b@[::1]/shs", "postgres://a%40b:a%40%3A%2F%23%25%20%C3%BC@[::1]/shs"),
    ],
)
def test_the_password_of_the_database_joins_its_url(url: str, complete: str) -> None:
    settings = Settings(database_url=url, database_password="a@:/#% \u00fc")

    joined = server_url(settings)

    assert joined == SecretStr(complete)
    assert "%40%3A" not in repr(joined)
    assert server_url(Settings(database_url=URL, database_password=None)) == SecretStr(URL)


def test_the_user_of_the_database_joins_its_url() -> None:
    url = "postgresql://db.example.com:5433/shs?sslmode=require"
    settings = Settings(database_url=url, database_user="shs@a", database_password="a@b")

    assert server_url(settings) == SecretStr(url.replace("//", "//shs%40a:a%40b@"))
    assert server_url(Settings(database_url=url, database_user="shs_a", database_password=None)) == SecretStr(
        url.replace("//", "//shs_a@")
    )


_MAIL = {"SMTP_HOST": "smtp.example.com", "SMTP_SENDER": "a@example.com"}
_WITH_PASSWORD = "postgresql://me:hush@host/shs"


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        (
            {"DATABASE_URL": _WITH_PASSWORD, "DATABASE_PASSWORD": "hush"},
            "SHS_DATABASE_URL contains a password too",
        ),
        ({"DATABASE_URL": "postgresql://host/shs", "DATABASE_PASSWORD": "hush"}, "names no user"),
        ({"DATABASE_URL": URL, "DATABASE_USER": "me"}, "SHS_DATABASE_URL names another user"),
        ({"DATABASE_USER": "me"}, "SHS_DATABASE_URL is not"),
        ({"SMTP_HOST": "smtp.example.com"}, "SHS_SMTP_SENDER is not set"),
        ({**_MAIL, "SMTP_USER": "me"}, "SHS_SMTP_PASSWORD is not set"),
        ({**_MAIL, "SMTP_PASSWORD": "hush"}, "SHS_SMTP_USER is not set"),
        (
            {**_MAIL, "SMTP_USER": "me", "SMTP_PASSWORD": "hush", "SMTP_TLS": "NONE"},
            "SHS_SMTP_TLS is none, which would send SHS_SMTP_PASSWORD unencrypted",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_named(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], wrong: str
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"SHS_{name}", value)

    with pytest.raises(ShsError) as caught:
        load_settings()

    assert wrong in caught.value.problem
    assert "hush" not in str(caught.value)


def test_a_process_that_is_started_reads_the_secret_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounted").write_text("hush")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHS_DATABASE_URL", URL)
    monkeypatch.setenv("SHS_DATABASE_PASSWORD_FILE", "mounted")
    url = SecretStr("postgresql://shs_owner:hush@db.example.com/shs_dagster")
    settings = load_settings()

    passed = dagster_environment(settings, Databases(url, url))

    assert passed["SHS_DATABASE_PASSWORD_FILE"] == str(tmp_path / "mounted")
    assert "SHS_DATABASE_PASSWORD" not in passed
    assert {name for name, value in passed.items() if "hush" in value} == {"SHS_DAGSTER_PASSWORD"}
    for name, value in passed.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


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
    known = {"SHS_HOME": "x", "SHS_SMTP_PASSWORD_FILE": "x", "SHS_DATABASE_URL_SECRET": "x"}
    found = unknown_variables({"SHS_LANDIN": "x", "SHS_ZZZ": "x", "PATH": "x", "SHS_HOME_FILE": "x", **known})

    assert found.keys() == {"SHS_LANDIN", "SHS_ZZZ", "SHS_HOME_FILE"}
    assert (found["SHS_LANDIN"], found["SHS_ZZZ"]) == ("SHS_LANDING", None)


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
