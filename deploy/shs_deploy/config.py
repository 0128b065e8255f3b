"""The settings of one environment: read from the CDK's context and validated.

The context is `environments/<environment>.json` and, before it, what `-c key=value` says. Nothing in it
is secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from shs_deploy import entry
from shs_deploy.context import HOST, ConfigError, flag, matching, needed, several, together
from shs_deploy.sizes import SIZES, Size
from shs_pipeline.metabase.versions import judged

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(__file__).resolve().parents[1] / "environments"

_MAIL = r"[^@\s,;<>\"]+@" + HOST

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
        "dagster_group",
        "dagster_group_claim",
        "metabase_oidc",
        "certificate_arn",
        "hosted_zone_id",
        "hosted_zone_name",
        "allowed_networks",
        "admin_mail",
        "alarm_mail",
        "mail_domain",
        "mail_sender",
        "notice_ok",
        "statement_links",
        "metabase_version",
        "connection_arn",
        "repository",
        "branch",
        "approval",
        "docker_hub_secret",
        "keep_years",
        "backup_region",
        "oidc_scope",
        *(f"oidc_{part}" for part in entry.OIDC),
    }
)
"""Everything that an environment's file may hold."""


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
    """One environment; see `docs/deploy.md` for what each setting means.

    Attributes:
        allowed_networks: CIDR blocks that reach the load balancer, `0.0.0.0/0` alone for everywhere.
        statement_links: hours for which the mailed links to a statement work, 0 for no links.
        keep_years: how long overwritten and deleted files are kept.
        backup_region: where backups and secrets are copied to; empty for nowhere.
        dagster_group: None where nobody reaches Dagster's UI by the load balancer, or where the provider
            itself lets in assigned people only.
    """

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
    dagster_group: entry.Group | None = None
    has_metabase_oidc: bool = False
    oidc: entry.Oidc | None = None
    certificate_arns: tuple[str, ...] = ()
    zone: Zone | None = None
    mail: Mail | None = None
    notice_ok: bool = False
    statement_links: int = 0
    repository: Repository | None = None
    needs_approval: bool = False
    docker_hub_secret: str = ""
    keep_years: int = 10
    backup_region: str = ""

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
        raise ConfigError(f"{path.name} is not valid JSON ({error}). Correct it.") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path.name} is not a JSON object. Write it as in example.json.")
    unknown = sorted(set(found) - KEYS)
    if unknown:
        known = ", ".join(sorted(KEYS))
        raise ConfigError(
            f"{path.name} sets {', '.join(unknown)}, which is not a setting. The settings are: {known}."
        )
    return found


def load_config(get: Callable[[str], Any], folder: Path = ENVIRONMENTS) -> Config:
    """Read and check the settings of one environment.

    Args:
        get: returns a context value by its key, None where it is not set.
        folder: where the environments' files are.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    environment = matching("environment", str(get("environment") or "prod"), r"[a-z][a-z0-9]{0,9}")
    written = read_environment(environment, folder)
    values = {key: written.get(key) if get(key) is None else get(key) for key in KEYS}
    # An empty text is as good as nothing: `-c mail_domain=` takes back what the file says.
    context = {key: value for key, value in values.items() if value not in (None, "", [])}
    return Config(
        name=matching("name", str(context.get("name", "shs")), r"[a-z][a-z0-9]{0,9}"),
        environment=environment,
        owner=matching("owner", needed(context, "owner"), r"[\w .:/=+@-]{1,256}"),
        size=_size(context),
        metabase_host=matching("metabase_host", needed(context, "metabase_host"), HOST),
        metabase_version=_metabase_version(context),
        admin_mail=matching("admin_mail", needed(context, "admin_mail"), _MAIL),
        alarm_mail=_alarm_mail(context),
        allowed_networks=entry.networks(context),
        due_day=_due_day(context),
        cidr=matching("cidr", str(context.get("cidr", "10.40.0.0/16")), r"\d+\.\d+\.\d+\.\d+/16"),
        zones=_zones(context),
        dagster_host=entry.dagster_host(context),
        dagster_group=entry.dagster_group(context),
        has_metabase_oidc=flag(context, "metabase_oidc"),
        oidc=entry.oidc(context),
        certificate_arns=_certificates(context),
        zone=_zone(context),
        mail=_mail(context),
        notice_ok=flag(context, "notice_ok"),
        statement_links=_statement_links(context),
        repository=_repository(context),
        needs_approval=flag(context, "approval"),
        docker_hub_secret=str(context.get("docker_hub_secret", "")),
        keep_years=int(matching("keep_years", str(context.get("keep_years", 10)), r"[1-9]\d?")),
        backup_region=_backup_region(context),
    )


def _size(context: Mapping[str, Any]) -> Size:
    name = str(context.get("size", "small"))
    if name not in SIZES:
        raise ConfigError(f"size is {name!r}, which does not exist. Choose one of {', '.join(SIZES)}.")
    size = SIZES[name]
    warehouse = replace(
        size.warehouse, is_multi_az=flag(context, "multi_az", default=size.warehouse.is_multi_az)
    )
    replica = size.replica
    if "replica" in context:
        replica = (size.replica or size.warehouse.instance) if flag(context, "replica") else ""
    most = matching("max_runs", str(context.get("max_runs", size.max_runs)), r"[1-9]\d{0,2}")
    return replace(size, warehouse=warehouse, replica=replica, max_runs=int(most))


def _metabase_version(context: Mapping[str, Any]) -> str:
    """Return the version of Metabase: the one of `docker-compose.yml`, so that it stands in one place."""
    if "metabase_version" in context:
        found = matching("metabase_version", str(context["metabase_version"]), r"v[01]\.\d+\.\d+[\w.-]*")
    else:
        found = _pinned_metabase()
    # Once deployed it is public. On the first of all days: that security fixes end soon is told elsewhere.
    warning = judged({"version": {"tag": found}}, date.min)
    if warning is not None and warning.kind == "unsafe":
        raise ConfigError(f"metabase_version cannot be {found}: {warning.problem} {warning.remedy}")
    return found


def _pinned_metabase() -> str:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found = re.search(r"metabase/metabase:(?:\$\{METABASE_VERSION:-)?(v[01]\.\d+\.\d+[\w.-]*)", compose)
    if found is None:
        raise ConfigError(
            "docker-compose.yml does not say which Metabase is used. Set metabase_version, such as v0.58.39."
        )
    return found.group(1)


def _alarm_mail(context: Mapping[str, Any]) -> tuple[str, ...]:
    needed(context, "alarm_mail")
    return tuple(matching("alarm_mail", address, _MAIL) for address in several(context["alarm_mail"]))


def _due_day(context: Mapping[str, Any]) -> int:
    day = matching("due_day", str(context.get("due_day", 20)), r"[1-9]|1\d|2[0-8]")
    return int(day)


def _zones(context: Mapping[str, Any]) -> tuple[str, ...]:
    found = several(context.get("zones", ""))
    if found and len(found) < 2:
        raise ConfigError(
            "zones names only one availability zone. Name two or more: the databases and the load balancer "
            "need them."
        )
    return tuple(matching("zones", zone, r"[a-z]{2}(-[a-z]+)+-\d[a-z]") for zone in found)


def _zone(context: Mapping[str, Any]) -> Zone | None:
    if not together(context, ("hosted_zone_id", "hosted_zone_name")):
        return None
    zone = Zone(str(context["hosted_zone_id"]), str(context["hosted_zone_name"]))
    for key in ("metabase_host", "dagster_host", "mail_domain"):
        host = str(context.get(key, zone.name))
        if host != zone.name and not host.endswith(f".{zone.name}"):
            raise ConfigError(f"{key} {host} is not in the hosted zone {zone.name}. Correct one of them.")
    return zone


def _certificates(context: Mapping[str, Any]) -> tuple[str, ...]:
    if "certificate_arn" not in context:
        if "hosted_zone_id" not in context:
            raise ConfigError(
                "Neither certificate_arn nor hosted_zone_id is set, but nothing is served without TLS. Set "
                "the ARN of an issued certificate, or the hosted zone in which to issue one."
            )
        return ()
    found = several(context["certificate_arn"])
    form = r"arn:aws[\w-]*:acm:[\w-]+:\d{12}:certificate/[\w-]+"
    return tuple(matching("certificate_arn", arn, form) for arn in found)


def _mail(context: Mapping[str, Any]) -> Mail | None:
    if not together(context, ("mail_domain", "mail_sender")):
        return None
    domain = matching("mail_domain", str(context["mail_domain"]), HOST)
    sender = str(context["mail_sender"])
    address = matching("mail_sender", address_of(sender), _MAIL)
    if address.rpartition("@")[2] != domain:
        raise ConfigError(
            f"mail_sender {address} is not an address of mail_domain {domain}. Correct one of them."
        )
    return Mail(domain, sender)


def _statement_links(context: Mapping[str, Any]) -> int:
    """Return for how many hours links work; a task's role signs them, and its session lasts six at most."""
    found = matching("statement_links", str(context.get("statement_links", "off")), "off|[1-6]h")
    if found == "off":
        return 0
    if "mail_domain" not in context:
        raise ConfigError(
            "statement_links is set, and mail_domain is not: nobody would get them. Set both, or neither."
        )
    return int(found.rstrip("h"))


def address_of(sender: str) -> str:
    """Return the bare address of `Name <address>`."""
    found = re.search(r"<([^<>]*)>\s*$", sender)
    return found.group(1) if found else sender.strip()


def _repository(context: Mapping[str, Any]) -> Repository | None:
    if not together(context, ("connection_arn", "repository")):
        return None
    name = matching("repository", str(context["repository"]), r"[\w.-]+/[\w.-]+")
    form = r"arn:aws[\w-]*:code(star-)?connections:[\w-]+:\d{12}:connection/[\w-]+"
    arn = matching("connection_arn", str(context["connection_arn"]), form)
    return Repository(arn, name, str(context.get("branch", "main")))


def _backup_region(context: Mapping[str, Any]) -> str:
    region = str(context.get("backup_region", ""))
    return matching("backup_region", region, r"[a-z]{2}(-[a-z]+)+-\d") if region else ""
