"""Settings: `SHS_*` variables, from the environment or from `.env` in the project folder.

None is needed: the defaults keep everything below `var/` in the checkout. The environment beats
`.env`. A relative path in `.env` is meant from the project folder, one in the environment from
the current folder, as a shell user expects. A secret may be given in two more forms, `SHS_NAME_FILE`
and `SHS_NAME_SECRET` (`secret_settings.py`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shs_pipeline.base.errors import ShsError
from shs_pipeline.settings.lifetimes import lifetime
from shs_pipeline.settings.secret_settings import FORMS, SecretPlace, place_of
from shs_pipeline.settings.urls import LOOPBACK, landing_url, queue_url, secrets_url
from shs_pipeline.settings.wrong_values import of_setting, what_is_wrong

PREFIX = "SHS_"
PATHS = ("home", "landing", "secrets", "pg_bin", "dagster_config")
SECRETS = ("database_url", "database_password", "metabase_password", "metabase_api_key", "smtp_password")
"""The settings whose value is a secret, or holds one; each has the three forms."""

# Their values, which hold or may hold a password, are in no message.
_UNSHOWN = (*SECRETS, "metabase_url", "metabase_public_url")
_HOST_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"

# Set by shs itself for the Dagster processes it starts; no settings of a person.
INTERNAL = frozenset(
    f"SHS_DAGSTER_{name}" for name in ("USER", "PASSWORD", "HOST", "PORT", "DATABASE", "STORAGE", "RUN_HOST")
)

# Read by `deploy/dagster.ecs.yaml` alone; the stack in the cloud sets them.
OF_THE_STACK = frozenset({"SHS_ECS_RUN_TASK", "SHS_ECS_RUN_CONTAINER", "SHS_LOG_BUCKET", "SHS_MAX_RUNS"})


class Settings(BaseSettings):
    """What can be set; each field is the variable `SHS_<NAME>`.

    Attributes:
        home: folder of all state (database, secrets, logs, Dagster).
        landing: URL of the landing zone, `file:///…` or `s3://bucket/prefix`.
        database_url: owner's URL of the warehouse database; None runs the embedded server.
        database_user: who logs in, where the URL names nobody.
        database_password: the owner's password, where the URL holds none.
        secrets: URL of the place for people's passwords, `file:///…` or `aws-secretsmanager://prefix`.
        pg_bin: folder with `initdb`, `pg_ctl` and `postgres`; None takes those of the wheel.
        max_file_mb: largest file that is read, in MiB.
        read_seconds: processor time that reading one file may take; ten times as long by the clock.
        read_memory_mb: memory that reading one file may take, in MiB.
        database_wait_seconds: how long a command waits for a database that is away.
        sensor_seconds: pause between two looks at the landing zone.
        arrivals_queue: URL of the SQS queue in which S3 tells of arrivals; empty lists the bucket instead.
        listing_minutes: pause between two listings of the whole bucket where a queue tells of arrivals.
        due_day: day of the following month from which a missing file is reported.
        leaver_days: days after `Left On` on which the login of a person who left ends.
        keep_runs: days for which Dagster's books keep all of a run.
        metabase_url: address of the Metabase that `shs metabase` sets up; empty for none.
        metabase_user: e-mail address of its administrator, for the first contact only.
        metabase_password: that administrator's password.
        metabase_api_key: a key of its group Administrators, instead of user and password.
        metabase_warehouse: `host:port` by which Metabase reaches the warehouse, where that is another
            than ours.
        metabase_root_certificate: path, in Metabase's container, of the certificate that the warehouse is
            verified by; needed where Metabase shall not be given that of `sslrootcert`.
        dagster_config: Dagster's instance file, instead of `dagster.yaml` of the project.
        code_server: `host:port` of the code server, where `shs exec` starts Dagster's services apart.
        dagster_hosts: names by which people reach Dagster's UI beside those of this machine, with commas.
        metabase_public_url: address by which people reach Metabase, where that is another than ours.
        smtp_host: server that takes our mail; empty sends none.
        smtp_port: its port.
        smtp_user: user to log in with there; empty does not log in.
        smtp_password: that user's password.
        smtp_tls: `starttls`, `tls` from the first byte, or `none`.
        smtp_sender: whom the mail is from, an address or `Name <address>`.
        restate_notice: USD by which a payee's payouts of a closed month must move for admins to be told.
        statement_links: how long the links to a statement work that its payee is mailed; None sends none.
        notice_ok: tell the admins also, once a day at most, that all went well.
        mail_minutes: at most one mail to one person in so many minutes.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore")

    home: Path = Field(default_factory=lambda: project_root() / "var")
    landing: str = ""
    database_url: SecretStr | None = None
    database_user: str = ""
    database_password: SecretStr | None = None
    secrets: str = ""
    pg_bin: Path | None = None
    max_file_mb: int = Field(default=50, ge=1, le=2048)
    read_seconds: int = Field(default=300, ge=1, le=3600)
    read_memory_mb: int = Field(default=2048, ge=256)
    database_wait_seconds: int = Field(default=300, ge=0)
    sensor_seconds: int = Field(default=5, ge=1)
    arrivals_queue: str = ""
    listing_minutes: int = Field(default=15, ge=1, le=1440)
    due_day: int = Field(default=20, ge=1, le=28)
    leaver_days: int = Field(default=60, ge=0, le=3650)
    keep_runs: int = Field(default=180, ge=1, le=36500)
    metabase_url: str = ""
    metabase_user: str = ""
    metabase_password: SecretStr | None = None
    metabase_api_key: SecretStr | None = None
    metabase_warehouse: str = ""
    metabase_root_certificate: str = ""
    dagster_config: Path | None = None
    code_server: str = ""
    dagster_hosts: str = ""
    metabase_public_url: str = ""
    smtp_host: str = ""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_user: str = ""
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_sender: str = ""
    restate_notice: Decimal = Field(default=Decimal("1.00"), ge=0)
    statement_links: timedelta | None = None
    notice_ok: bool = False
    mail_minutes: int = Field(default=15, ge=0, le=1440)

    _places: dict[str, SecretPlace] = PrivateAttr(default_factory=dict)

    def __init__(self, **given: Any) -> None:
        places = _secret_places(given)
        found: dict[str, Any] = {name: place.read() for name, place in places.items()}
        super().__init__(**found, **given)
        self._places = places

    @property
    def secret_places(self) -> Mapping[str, SecretPlace]:
        """The places of those secrets that came from a file or from Secrets Manager, by setting."""
        return self._places

    @property
    def dagster_host_names(self) -> frozenset[str]:
        """The names in `dagster_hosts`, in lower case."""
        return frozenset(name.strip() for name in self.dagster_hosts.split(",") if name.strip())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put arguments before the environment and the environment before `.env`."""
        written = _ProjectDotEnv(settings_cls, project_root() / ".env", dotenv_filtering="only_existing")
        return init_settings, env_settings, written

    @field_validator("home", "pg_bin", "dagster_config", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else Path(os.path.abspath(value.expanduser()))

    @field_validator("database_url", mode="after")
    @classmethod
    def _postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("postgresql", "postgres"):
            raise ValueError("is not a URL that starts with postgresql://")
        if not parts.path.strip("/"):
            raise ValueError("names no database after the host (in a password, write @ : / # as %-codes)")
        # Half of such a password would be taken for the host or the database, and be shown as one.
        if parts.netloc.count("@") > 1 or "@" in parts.path or parts.fragment:
            raise ValueError("has @ : / or # in its password; write them as %40 %3A %2F %23")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("has a port that is not a number, or names several hosts") from None
        return value

    @field_validator("secrets", mode="after")
    @classmethod
    def _secrets_url(cls, value: str) -> str:
        return secrets_url(value) if value else value

    @field_validator("metabase_url", "metabase_public_url", mode="after")
    @classmethod
    def _metabase_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("is not a URL that starts with http:// or https://")
        if parts.username or parts.password:
            raise ValueError("contains a user or password; put those into SHS_METABASE_USER and _PASSWORD")
        return value.rstrip("/")

    @field_validator("metabase_warehouse", "code_server", mode="after")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^\s:/@]+:[0-9]{1,5}", value):
            raise ValueError("is not a host:port, such as postgres:5432")
        return value

    @field_validator("dagster_hosts", mode="after")
    @classmethod
    def _host_names(cls, value: str) -> str:
        if value and not re.fullmatch(rf"{_HOST_NAME}(\s*,\s*{_HOST_NAME})*", value.strip()):
            raise ValueError("is not a name such as dagster.example.com, or several separated by commas")
        return value.lower()

    @field_validator("arrivals_queue", mode="after")
    @classmethod
    def _queue_url(cls, value: str) -> str:
        return queue_url(value) if value else value

    @field_validator("smtp_host", mode="after")
    @classmethod
    def _host(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9._:-]+", value):
            raise ValueError("is not a server name; put the port into SHS_SMTP_PORT")
        return value

    @field_validator("smtp_tls", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("statement_links", mode="before")
    @classmethod
    def _lifetime(cls, value: object) -> object:
        return lifetime(value) if isinstance(value, str) else value

    @field_validator("smtp_sender", mode="after")
    @classmethod
    def _one_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^@\s,;<>\"]+@[A-Za-z0-9.-]+", parseaddr(value)[1]):
            raise ValueError("is not an address such as sales@example.com or Sales <sales@example.com>")
        if re.search(r"[\x00-\x1f\x7f]", value):
            raise ValueError("contains a line break")
        return value

    @model_validator(mode="after")
    def _places_below_home(self) -> Settings:
        self.secrets = self.secrets or (self.home / "secrets.json").as_uri()
        self.landing = landing_url(self.landing or (self.home / "landing").as_uri())
        return self

    @model_validator(mode="after")
    def _arrivals_of_a_bucket(self) -> Settings:
        if self.arrivals_queue and not self.landing.startswith("s3://"):
            raise of_setting("arrivals_queue", "is set, but SHS_LANDING is a folder, which sends no events")
        return self

    @model_validator(mode="after")
    def _links_into_a_bucket(self) -> Settings:
        if self.statement_links and not self.landing.startswith("s3://"):
            raise of_setting(
                "statement_links", "is set, but SHS_LANDING is a folder, and only a bucket has links to send"
            )
        return self

    @model_validator(mode="after")
    def _one_database_user_and_password(self) -> Settings:
        url = self.database_url
        parts = urlsplit(url.get_secret_value() if url else "")
        if self.database_user and url is None:
            raise of_setting("database_user", "is set, but SHS_DATABASE_URL is not")
        if self.database_user and unquote(parts.username or self.database_user) != self.database_user:
            raise of_setting("database_user", "is set, but SHS_DATABASE_URL names another user")
        if self.database_password is None:
            return self
        if url is None:
            raise of_setting("database_password", "is set, but SHS_DATABASE_URL is not")
        if parts.password:
            raise of_setting("database_password", "is set, but SHS_DATABASE_URL contains a password too")
        if not parts.username and not self.database_user:
            raise of_setting("database_url", "names no user for SHS_DATABASE_PASSWORD")
        return self

    @model_validator(mode="after")
    def _mail_is_complete(self) -> Settings:
        if not self.smtp_host:
            return self
        if not self.smtp_sender:
            raise of_setting("smtp_sender", "is not set, but SHS_SMTP_HOST is: mail needs a sender")
        if bool(self.smtp_user) != bool(self.smtp_password):
            missing = "smtp_password" if self.smtp_user else "smtp_user"
            raise of_setting(missing, "is not set: set both user and password, or neither")
        if self.smtp_tls == "none" and self.smtp_user and self.smtp_host not in LOOPBACK:
            raise of_setting("smtp_tls", "is none, which would send SHS_SMTP_PASSWORD unencrypted")
        return self


class _ProjectDotEnv(DotEnvSettingsSource):
    """The values of `.env` in the project folder, relative paths made absolute from there."""

    def __call__(self) -> dict[str, Any]:
        values = super().__call__()
        return values | {name: _from_project_root(values[name]) for name in PATHS if name in values}


def project_root() -> Path:
    """Return the folder that holds `dagster.yaml` beside the package, else the current folder."""
    beside = Path(__file__).resolve().parents[2]
    return beside if (beside / "dagster.yaml").is_file() else Path.cwd()


def dotenv() -> dict[str, str | None]:
    """Return the variables written in the project's `.env`, empty without that file."""
    from dotenv import dotenv_values

    return dict(dotenv_values(project_root() / ".env"))


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        ShsError: a value that cannot be used; names every such variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise _readable(error) from None


def unknown_variables(environ: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Return the `SHS_*` variables that nobody reads, each with the name it may be meant to be.

    Args:
        environ: variables to look at instead of the environment and `.env`.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{PREFIX}{name.upper()}{end}" for name in SECRETS for end in FORMS.values()}
    names = {*os.environ, *dotenv()} if environ is None else set(environ)
    unknown = sorted(n for n in names if n.startswith(PREFIX) and n not in known | INTERNAL | OF_THE_STACK)
    return {
        name: next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)), None)
        for name in unknown
    }


def _secret_places(given: Mapping[str, Any]) -> dict[str, SecretPlace]:
    """Return the places of the secrets that are neither arguments nor written as they are."""
    if not set(SECRETS) - given.keys():
        return {}
    written = {name.upper(): value for name, value in dotenv().items()}
    places = {
        name: place_of(f"{PREFIX}{name.upper()}", os.environ, written, project_root())
        for name in SECRETS
        if name not in given
    }
    return {name: place for name, place in places.items() if place is not None}


def _from_project_root(value: str) -> str:
    is_path = "://" not in value
    return os.path.abspath(project_root() / Path(value).expanduser()) if is_path else value


def _readable(error: ValidationError) -> ShsError:
    found: list[str] = []
    for detail in error.errors():
        limits = detail.get("ctx", {})
        name = str(detail["loc"][0]) if detail["loc"] else str(limits.get("name", "landing"))
        is_unshown = name in _UNSHOWN or "wrong" in limits
        shown = "" if is_unshown else f" is {str(_value_of(name, detail))!r}, which"
        found.append(f"{PREFIX}{name.upper()}{shown} {what_is_wrong(detail)}.")
    plural = "them" if len(found) > 1 else "it"
    return ShsError(
        " ".join(found),
        f"Correct {plural} in the environment or in .env ({project_root() / '.env'}), or remove "
        f"{plural} to get the default; .env.example explains each variable.",
    )


def _value_of(name: str, detail: Any) -> Any:
    if detail["loc"]:
        return detail["input"]
    return os.environ.get(f"{PREFIX}{name.upper()}") or dotenv().get(f"{PREFIX}{name.upper()}")
