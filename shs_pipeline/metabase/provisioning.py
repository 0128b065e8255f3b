"""The configured Metabase: what the command line and the assets call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import today
from shs_pipeline.metabase.apply import apply, destroy, read_situation
from shs_pipeline.metabase.client import MetabaseClient, wait_until_ready
from shs_pipeline.metabase.desired import Desired, Mode, desired_state
from shs_pipeline.metabase.diff import difference
from shs_pipeline.metabase.letting_in import HandOut, first_login, may_hand_out
from shs_pipeline.metabase.observed import Observed, is_paid, read_users
from shs_pipeline.metabase.people import read_members, without_login
from shs_pipeline.metabase.roles import drop_logins, ensure_logins, planned_logins
from shs_pipeline.metabase.server import server_of
from shs_pipeline.metabase.sign_in import Account, give_back_key, sign_in
from shs_pipeline.metabase.situation import Plan, Situation
from shs_pipeline.metabase.state import ObjectStore, alone
from shs_pipeline.metabase.versions import check_version
from shs_pipeline.metabase.work import FirstLogin, Report, Tell

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.dashboards.model import Dashboard
    from shs_pipeline.settings.secret_store import SecretStore
    from shs_pipeline.settings.settings import Settings

NOTHING = Desired("open", (), (), {}, {}, frozenset())


@dataclass
class Workplace:
    """All that setting up Metabase needs.

    Attributes:
        database_url: the owner's URL of the warehouse.
        warehouse: `host:port` by which Metabase reaches it, empty for that of the URL.
        root_certificate: path of its root certificate as Metabase sees it, empty for none.
        dashboards: what `rep` and `admin` get.
        pause_seconds: before the first repetition of a request.
        today: gives the day it is.
    """

    url: str
    account: Account
    secrets: SecretStore
    database_url: str
    dashboards: Mapping[str, Sequence[Dashboard]]
    warehouse: str = ""
    wait_seconds: float = 60
    pause_seconds: float = 0.5
    root_certificate: str = ""
    today: Callable[[], date] = today
    describe: Callable[[MetabaseClient, ObjectStore], list[str]] | None = field(default=None)

    @classmethod
    def from_settings(cls, settings: Settings) -> Workplace:
        """Return what the settings name, with the database started if it is the embedded one.

        Raises:
            ShsError: no Metabase is named, or the database cannot be used.
        """
        from shs_pipeline.dashboards.reading import dashboards_for
        from shs_pipeline.database.databases import prepare
        from shs_pipeline.metabase.descriptions import describe
        from shs_pipeline.settings.secret_store import secret_store

        if not settings.metabase_url:
            raise ShsError(
                "No Metabase is configured.",
                "Set SHS_METABASE_URL to its address; docs/metabase.md explains how to set one up.",
            )
        return cls(
            settings.metabase_url,
            Account(settings.metabase_user, settings.metabase_password, settings.metabase_api_key),
            secret_store(settings),
            prepare(settings).warehouse_url.get_secret_value(),
            {"rep": dashboards_for("rep"), "admin": dashboards_for("admin")},
            settings.metabase_warehouse,
            settings.database_wait_seconds,
            root_certificate=settings.metabase_root_certificate,
            describe=describe,
        )


@contextmanager
def looking(workplace: Workplace) -> Iterator[tuple[Situation, list[str] | None]]:
    """Give all that a difference follows from; nothing is changed, in Metabase or here.

    Yields:
        With it what an admin should know of this Metabase, None where nobody set it up so far.

    Raises:
        ShsError: Metabase or the warehouse cannot be used.
    """
    with (
        _warehouse(workplace) as connection,
        _signed_in(workplace, may_write=False) as (client, mode, notes),
    ):
        store = ObjectStore(connection)
        desired = _desired(workplace, connection, store, mode)
        if client is None:
            yield Situation(desired, {}, Observed()), None
            return
        yield read_situation(client, store, desired), notes


def plan(workplace: Workplace) -> Plan:
    """Return what an apply would do; nothing is changed, in Metabase or here.

    Raises:
        ShsError: Metabase or the warehouse cannot be used.
    """
    with looking(workplace) as (situation, notes):
        found = difference(situation)
        fresh = ["This Metabase is new: apply sets it up first."]
        return replace(found, notes=(*(fresh if notes is None else notes), *found.notes))


def apply_all(workplace: Workplace, tell: Tell = lambda _: None, *, hand_out: HandOut = "nothing") -> Report:
    """Bring Metabase in line with people and dashboards.

    Args:
        hand_out: to people who are let in while Metabase sends no mails.

    Raises:
        ShsError: Metabase or the warehouse refuses something; the next apply goes on from there.
    """
    with (
        _alone_in(workplace) as (connection, store),
        _signed_in(workplace, may_write=True) as (client, mode, notes),
    ):
        assert client is not None
        members = read_members(connection)
        roles = [one.role_name for one in members if one.is_active and one.permission == "user"]
        ensure_logins(connection, store, workplace.secrets, mode, roles)
        desired = _desired(workplace, connection, store, mode)
        report = apply(client, store, desired, _secret_of(workplace.secrets), tell, hand_out=hand_out)
        report.notes[:0] = notes
        if workplace.describe is not None:
            report.notes += workplace.describe(client, store)
        report.reads, report.writes = client.reads, client.writes
        return report


def destroy_all(workplace: Workplace, tell: Tell = lambda _: None) -> Report:
    """Remove what shs made in Metabase, its logins and its API key; nothing else.

    Raises:
        ShsError: Metabase or the warehouse refuses something; another destroy goes on from there.
    """
    with (
        _alone_in(workplace) as (connection, store),
        _signed_in(workplace, may_write=True) as (client, _, _),
    ):
        assert client is not None
        report = destroy(client, store, NOTHING, tell)
        drop_logins(connection, store, workplace.secrets)
        give_back_key(client, workplace.secrets)
        return report


def links(workplace: Workplace, person: str = "", *, hand_out: HandOut = "all") -> list[FirstLogin]:
    """Make what a person logs in with, or everybody who never logged in: a one-time address or a password.

    Raises:
        ShsError: nobody of that name may log in, or Metabase refuses.
    """
    with _alone_in(workplace) as (connection, _), _signed_in(workplace, may_write=True) as (client, _, _):
        assert client is not None
        properties = client.get("/api/session/properties", "say what it is")
        members = [one for one in read_members(connection) if one.is_active]
        if person:
            wanted = person.strip().casefold()
            members = [one for one in members if wanted in (one.rep_name.casefold(), one.address)]
            if not members:
                raise ShsError(f"Nobody called {person!r} may log in.", "shs access lists who can.")
        if not may_hand_out(properties, hand_out):
            raise ShsError(
                "This Metabase only has temporary passwords, and they would be kept where this output goes.",
                "Run it in a terminal, add --show, set up SMTP in Metabase, or upgrade to v0.60 or later.",
            )
        names = {one.address: one.rep_name for one in members}
        users = [one for one in read_users(client).values() if one.get("is_active", True)]
        found = (
            [one for one in users if str(one.get("email", "")).lower() in names]
            if person
            else without_login(users, list(names))
        )
        return [
            first_login(client, properties, int(user["id"]), names[email], email)
            for user in found
            for email in (str(user["email"]).lower(),)
        ]


def _desired(workplace: Workplace, connection: psycopg.Connection, store: ObjectStore, mode: Mode) -> Desired:
    server = server_of(workplace.database_url, workplace.warehouse, workplace.root_certificate)
    service = planned_logins(connection.info.dbname, store, mode)
    return desired_state(read_members(connection), workplace.dashboards, server, mode, service)


@contextmanager
def _signed_in(
    workplace: Workplace, *, may_write: bool
) -> Iterator[tuple[MetabaseClient | None, Mode, list[str]]]:
    """Give a client, how reps are kept apart, and what an admin should know of this Metabase."""
    with closing(MetabaseClient(workplace.url, pause_seconds=workplace.pause_seconds)) as client:
        properties = wait_until_ready(client, workplace.wait_seconds)
        # Before anything is sent that a hole could give away.
        notes = check_version(properties, workplace.today())
        mode: Mode = "impersonation" if is_paid(properties) else "open"
        signed = sign_in(client, properties, workplace.account, workplace.secrets, may_write=may_write)
        yield signed, mode, notes


def _secret_of(secrets: SecretStore) -> Callable[[str], str]:
    def secret(name: str) -> str:
        found = secrets.get(name)
        if found is None:
            raise ShsError(
                f"The password {name} is not in the store that SHS_SECRETS names.",
                "Correct SHS_SECRETS, or create a new password with shs access sync.",
            )
        return found

    return secret


@contextmanager
def _warehouse(workplace: Workplace) -> Iterator[psycopg.Connection]:
    from shs_pipeline.database.connection import connect
    from shs_pipeline.ingest.warehouse import ensure_tables, has_tables

    with connect(workplace.database_url, workplace.wait_seconds) as connection:
        connection.autocommit = True
        if not has_tables(connection):
            ensure_tables(connection)
        yield connection


@contextmanager
def _alone_in(workplace: Workplace) -> Iterator[tuple[psycopg.Connection, ObjectStore]]:
    from shs_pipeline.database.connection import connect

    with _warehouse(workplace) as connection, connect(workplace.database_url) as lock, alone(lock):
        yield connection, ObjectStore(connection)
