"""What is set for one environment: read from the CDK's context, held against what can be used.

The context is `environments/<environment>.json` and, before it, what `-c key=value` says. Nothing in it
is secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shs_deploy.sizes import SIZES, Size

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(__file__).resolve().parents[1] / "environments"

_HOST = r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)+"
_MAIL = r"[^@\s,;<>\"]+@" + _HOST
_OIDC = ("issuer", "authorization_endpoint", "token_endpoint", "user_info_endpoint", "client_id", "secret")

KEYS = frozenset(
    {
        "name",
        "owner",
        "size",
        "multi_az",
        "replica",
        "due_day",
        "max_runs",
        "cidr",
        "zones",
        "metabase_host",
        "dagster_host",
        "certificate_arn",
        "hosted_zone_id",
        "hosted_zone_name",
        "allowed_networks",
        "admin_mail",
        "alarm_mail",
        "mail_domain",
        "mail_sender",
        "metabase_version",
        "connection_arn",
        "repository",
        "branch",
        "approval",
        "docker_hub_secret",
        *(f"oidc_{part}" for part in _OIDC),
    }
)
"""Everything that an environment's file may hold."""


class ConfigError(ValueError):
    """A setting that is missing or cannot be used, as a sentence with its remedy."""


@dataclass(frozen=True)
class Oidc:
    """Who lets people into Dagster's UI; `secret` is the name or ARN of the client's secret."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    client_id: str
    secret: str


@dataclass(frozen=True)
class Zone:
    """A hosted zone of Route 53."""

    zone_id: str
    name: str


@dataclass(frozen=True)
class Mail:
    """The domain that we send mail from, and whom the mail is from (`Name <address>`)."""

    domain: str
    sender: str


@dataclass(frozen=True)
class Repository:
    """The repository whose commits are deployed, by a connection of CodeConnections."""

    connection_arn: str
    name: str
    branch: str


@dataclass(frozen=True)
class Config:
    """One environment; see `docs/deploy.md` for what each setting means."""

    name: str
    environment: str
    owner: str
    size: Size
    metabase_host: str
    metabase_version: str
    admin_mail: str
    alarm_mail: tuple[str, ...]
    allowed_networks: tuple[str, ...]
    due_day: int
    cidr: str
    zones: tuple[str, ...] = ()
    dagster_host: str = ""
    oidc: Oidc | None = None
    certificate_arns: tuple[str, ...] = ()
    zone: Zone | None = None
    mail: Mail | None = None
    repository: Repository | None = None
    needs_approval: bool = False
    docker_hub_secret: str = ""

    @property
    def prefix(self) -> str:
        """What the names of everything begin with."""
        return f"{self.name}-{self.environment}"


def read_environment(environment: str, folder: Path = ENVIRONMENTS) -> dict[str, Any]:
    """Return what stands in an environment's file, empty without one.

    Raises:
        ConfigError: it cannot be read, or holds a key that nobody knows.
    """
    path = folder / f"{environment}.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path.name} is no JSON ({error}). Correct it.") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path.name} is no JSON object. Write it as in example.json.")
    unknown = sorted(set(found) - KEYS)
    if unknown:
        known = ", ".join(sorted(KEYS))
        raise ConfigError(f"{path.name} sets {', '.join(unknown)}, which nobody reads. Known are: {known}.")
    return found


def load_config(get: Callable[[str], Any], folder: Path = ENVIRONMENTS) -> Config:
    """Read and check the settings of one environment.

    Args:
        get: returns a context value by its key, None where it is not set.
        folder: where the environments' files are.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    environment = _matching("environment", str(get("environment") or "prod"), r"[a-z][a-z0-9]{0,9}")
    written = read_environment(environment, folder)
    values = {key: written.get(key) if get(key) is None else get(key) for key in KEYS}
    # An empty text is as good as nothing: `-c mail_domain=` takes back what the file says.
    context = {key: value for key, value in values.items() if value not in (None, "", [])}
    return Config(
        name=_matching("name", str(context.get("name", "shs")), r"[a-z][a-z0-9]{0,9}"),
        environment=environment,
        owner=_matching("owner", _needed(context, "owner"), r"[\w .:/=+@-]{1,256}"),
        size=_size(context),
        metabase_host=_matching("metabase_host", _needed(context, "metabase_host"), _HOST),
        metabase_version=_metabase_version(context),
        admin_mail=_matching("admin_mail", _needed(context, "admin_mail"), _MAIL),
        alarm_mail=_alarm_mail(context),
        allowed_networks=_networks(context),
        due_day=_due_day(context),
        cidr=_matching("cidr", str(context.get("cidr", "10.40.0.0/16")), r"\d+\.\d+\.\d+\.\d+/16"),
        zones=_zones(context),
        dagster_host=_dagster_host(context),
        oidc=_oidc(context),
        certificate_arns=_certificates(context),
        zone=_zone(context),
        mail=_mail(context),
        repository=_repository(context),
        needs_approval=_flag(context, "approval"),
        docker_hub_secret=str(context.get("docker_hub_secret", "")),
    )


def _needed(context: Mapping[str, Any], key: str) -> str:
    if key not in context:
        raise ConfigError(
            f"{key} is not set. Write it into deploy/environments/<environment>.json, or say -c {key}=…; "
            "docs/deploy.md lists the settings."
        )
    return str(context[key])


def _matching(key: str, value: str, form: str) -> str:
    if not re.fullmatch(form, value):
        raise ConfigError(f"{key} is {value!r}, which cannot be used (it has to match {form}). Correct it.")
    return value


def _together(context: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    """Whether all of these are set; none of them is False.

    Raises:
        ConfigError: only some are.
    """
    missing = [key for key in keys if key not in context]
    if missing and len(missing) < len(keys):
        given = ", ".join(key for key in keys if key in context)
        raise ConfigError(
            f"{given} is set, and {', '.join(missing)} is not. They go together: set all or none."
        )
    return not missing


def _several(value: Any) -> tuple[str, ...]:
    """Return a list of texts, which is a list in a file and has commas on the command line."""
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    return tuple(part.strip() for part in map(str, parts) if part.strip())


def _flag(context: Mapping[str, Any], key: str, default: bool = False) -> bool:
    value = str(context.get(key, default)).lower()
    if value not in ("true", "false"):
        raise ConfigError(f"{key} is {value!r}. Say true or false.")
    return value == "true"


def _size(context: Mapping[str, Any]) -> Size:
    name = str(context.get("size", "small"))
    if name not in SIZES:
        raise ConfigError(f"size is {name!r}, which is none of {', '.join(SIZES)}. Choose one of them.")
    size = SIZES[name]
    warehouse = replace(
        size.warehouse, is_multi_az=_flag(context, "multi_az", default=size.warehouse.is_multi_az)
    )
    replica = size.replica
    if "replica" in context:
        replica = (size.replica or size.warehouse.instance) if _flag(context, "replica") else ""
    most = _matching("max_runs", str(context.get("max_runs", size.max_runs)), r"[1-9]\d{0,2}")
    return replace(size, warehouse=warehouse, replica=replica, max_runs=int(most))


def _metabase_version(context: Mapping[str, Any]) -> str:
    """Return the version of Metabase: the one of `docker-compose.yml`, so that it stands in one place."""
    if "metabase_version" in context:
        return _matching("metabase_version", str(context["metabase_version"]), r"v[01]\.\d+[\w.-]*")
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found = re.search(r"metabase/metabase:(?:\$\{METABASE_VERSION:-)?(v[01]\.\d+[\w.-]*)", compose)
    if found is None:
        raise ConfigError(
            "docker-compose.yml does not say which Metabase is used. Set metabase_version, such as v0.58.39."
        )
    return found.group(1)


def _alarm_mail(context: Mapping[str, Any]) -> tuple[str, ...]:
    _needed(context, "alarm_mail")
    return tuple(_matching("alarm_mail", address, _MAIL) for address in _several(context["alarm_mail"]))


def _networks(context: Mapping[str, Any]) -> tuple[str, ...]:
    found = _several(context.get("allowed_networks", "0.0.0.0/0"))
    return tuple(_matching("allowed_networks", text, r"\d+\.\d+\.\d+\.\d+/\d+") for text in found)


def _due_day(context: Mapping[str, Any]) -> int:
    day = _matching("due_day", str(context.get("due_day", 20)), r"[1-9]|1\d|2[0-8]")
    return int(day)


def _zones(context: Mapping[str, Any]) -> tuple[str, ...]:
    found = _several(context.get("zones", ""))
    if found and len(found) < 2:
        raise ConfigError(
            "zones names one availability zone. Name two or more; database and load balancer need them."
        )
    return tuple(_matching("zones", zone, r"[a-z]{2}(-[a-z]+)+-\d[a-z]") for zone in found)


def _dagster_host(context: Mapping[str, Any]) -> str:
    if "dagster_host" not in context:
        return ""
    if "oidc_issuer" not in context:
        raise ConfigError(
            "dagster_host is set, and oidc_issuer is not: Dagster's UI has no login of its own, and would be "
            "open to everybody. Set the oidc_… values, or remove dagster_host and use an SSM session."
        )
    return _matching("dagster_host", str(context["dagster_host"]), _HOST)


def _oidc(context: Mapping[str, Any]) -> Oidc | None:
    if not _together(context, tuple(f"oidc_{part}" for part in _OIDC)):
        return None
    if "dagster_host" not in context:
        raise ConfigError(
            "oidc_issuer is set, and dagster_host is not. Set the host name of Dagster's UI too."
        )
    for part in _OIDC[:4]:
        _matching(f"oidc_{part}", str(context[f"oidc_{part}"]), r"https://\S+")
    return Oidc(*(str(context[f"oidc_{part}"]) for part in _OIDC))


def _zone(context: Mapping[str, Any]) -> Zone | None:
    if not _together(context, ("hosted_zone_id", "hosted_zone_name")):
        return None
    zone = Zone(str(context["hosted_zone_id"]), str(context["hosted_zone_name"]))
    for key in ("metabase_host", "dagster_host", "mail_domain"):
        host = str(context.get(key, zone.name))
        if host != zone.name and not host.endswith(f".{zone.name}"):
            raise ConfigError(
                f"{key} {host} does not lie in the hosted zone {zone.name}. Correct one of them."
            )
    return zone


def _certificates(context: Mapping[str, Any]) -> tuple[str, ...]:
    if "certificate_arn" not in context:
        if "hosted_zone_id" not in context:
            raise ConfigError(
                "Neither certificate_arn nor hosted_zone_id is set, and nothing is served without TLS. Set "
                "the ARN of an issued certificate, or the hosted zone in which one is to be issued."
            )
        return ()
    found = _several(context["certificate_arn"])
    form = r"arn:aws[\w-]*:acm:[\w-]+:\d{12}:certificate/[\w-]+"
    return tuple(_matching("certificate_arn", arn, form) for arn in found)


def _mail(context: Mapping[str, Any]) -> Mail | None:
    if not _together(context, ("mail_domain", "mail_sender")):
        return None
    domain = _matching("mail_domain", str(context["mail_domain"]), _HOST)
    sender = str(context["mail_sender"])
    address = _matching("mail_sender", address_of(sender), _MAIL)
    if address.rpartition("@")[2] != domain:
        raise ConfigError(
            f"mail_sender {address} is no address of mail_domain {domain}. Correct one of them."
        )
    return Mail(domain, sender)


def address_of(sender: str) -> str:
    """Return the bare address of `Name <address>`."""
    found = re.search(r"<([^<>]*)>\s*$", sender)
    return found.group(1) if found else sender.strip()


def _repository(context: Mapping[str, Any]) -> Repository | None:
    if not _together(context, ("connection_arn", "repository")):
        return None
    name = _matching("repository", str(context["repository"]), r"[\w.-]+/[\w.-]+")
    form = r"arn:aws[\w-]*:code(star-)?connections:[\w-]+:\d{12}:connection/[\w-]+"
    arn = _matching("connection_arn", str(context["connection_arn"]), form)
    return Repository(arn, name, str(context.get("branch", "main")))
