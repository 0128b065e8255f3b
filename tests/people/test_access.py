"""Login roles follow `marts.people`: who gets in, who is put out, and what a kill in between leaves."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from typer.testing import CliRunner

from shs_pipeline.base.errors import ShsError
from shs_pipeline.cli.main import build_app
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.groups import ensure_roles
from shs_pipeline.metabase import roles
from shs_pipeline.people.access import drop_logins, reset_password, sync_logins
from shs_pipeline.people.listing import PASSWORD_CHANGED, list_access
from shs_pipeline.people.logins import Login, Person, find_login, match_people
from shs_pipeline.people.passwords import login_url
from shs_pipeline.people.role_names import SERVICE_NAMES, role_base
from shs_pipeline.settings.secret_store import FileSecrets
from tests.conftest import _fresh_database

ROOT = Path(__file__).parents[2]
DANA, ERIK, MINA = "dana@example.com", "erik@example.com", "mina@example.com"


class KilledError(Exception):
    """Stands for the end of the process."""


@dataclass
class Office:
    """A database with a people table, its owner, and a store of passwords."""

    url: str
    home: Path
    owner: psycopg.Connection
    secrets: FileSecrets
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return urlsplit(self.url).path[1:]

    def list(
        self,
        email: str | None,
        name: str,
        permission: str = "user",
        *,
        active: bool = True,
        payee_id: str | None = None,
    ) -> None:
        """Write a person into the workbook, in place of the one with that address."""
        self.people[email or name] = Person(email, name, permission, active, payee_id)

    def sync(self, secrets: FileSecrets | None = None) -> set[tuple[str, str]]:
        """Publish the people and let the logins follow; what was done, to whom."""
        self.publish()
        return {(c.what, c.rep_name) for c in sync_logins(self.owner, secrets or self.secrets)}

    def publish(self) -> None:
        with self.owner.transaction():
            self.owner.execute("truncate marts.people")
            for person in self.people.values():
                self.owner.execute(
                    "insert into marts.people (email, rep_name, permission, is_active, payee_id)"
                    " values (%s, %s, %s, %s, %s)",
                    [person.email, person.rep_name, person.permission, person.is_active, person.payee_id],
                )

    def url_of(self, name: str) -> str:
        login = find_login(self.owner, name)
        secret = self.secrets.get(login.secret_name or "")
        assert secret
        return login_url(self.url, login.role_name, secret)

    def role_of(self, name: str) -> str:
        return find_login(self.owner, name).role_name

    def value(self, statement: str, *values: object) -> object:
        row = self.owner.execute(statement, values).fetchone()
        return row[0] if row else None

    @contextmanager
    def superuser(self) -> Iterator[psycopg.Connection]:
        address = EmbeddedPostgres(self.home).ensure_running()
        with psycopg.connect(
            host=address.host, port=address.port, user=address.superuser, password=address.password,
            dbname=self.name, autocommit=True,
        ) as connection:  # fmt: skip
            yield connection


@pytest.fixture(scope="module")
def rooms(empty_tables: str, postgres_home: Path) -> Iterator[str]:
    """A database with all tables and nobody in `people`, to be copied."""
    for database in _fresh_database(postgres_home, copy_of=empty_tables):
        with psycopg.connect(database, autocommit=True) as owner:
            owner.execute(
                "create schema marts; create table marts.people"
                " (email text, rep_name text, permission text, is_active boolean, payee_id text,"
                " login_ends_on date)"
            )
        yield database


@pytest.fixture
def office(rooms: str, postgres_home: Path, tmp_path: Path) -> Iterator[Office]:
    for database in _fresh_database(postgres_home, copy_of=rooms):
        yield from _furnished(database, postgres_home, tmp_path)


def _furnished(database: str, postgres_home: Path, tmp_path: Path) -> Iterator[Office]:
    with psycopg.connect(database, autocommit=True) as owner:
        made = Office(database, postgres_home, owner, FileSecrets(tmp_path / "secrets.json"))
        made.list(DANA, "Dana Whitfield")
        made.list(ERIK, "Erik Holm")
        made.list(MINA, "Mina Park", "admin")
        yield made
    with psycopg.connect(database, autocommit=True) as made.owner:
        drop_logins(made.owner, made.secrets)
        start = f"{made.name}\\_%"
        assert made.value("select array_agg(rolname) from pg_roles where rolname like %s", start) is None


def who(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("select session_user").fetchone()
    assert row
    return str(row[0])


def is_refused(url: str) -> bool:
    said = ""
    try:
        who(url)
    except psycopg.OperationalError as error:
        said = str(error)
    return bool(re.search("authentication failed|not permitted to log in|permission denied", said))


def is_ended(session: psycopg.Connection) -> bool:
    try:
        session.execute("select 1")
    except psycopg.OperationalError:
        return True
    return False


# --- joining -----------------------------------------------------------------------------


def test_everybody_who_is_active_gets_a_login_and_a_second_sync_changes_nothing(office: Office) -> None:
    office.list(None, "Old Timer", active=False)

    assert office.sync() == {
        ("created", "Dana Whitfield"),
        ("created", "Erik Holm"),
        ("created", "Mina Park"),
    }

    before = office.owner.execute("select * from ops.logins").fetchall(), office.secrets.path.read_text()
    assert office.sync() == set()
    after = office.owner.execute("select * from ops.logins").fetchall(), office.secrets.path.read_text()
    assert before == after
    assert who(office.url_of("Dana Whitfield")) == f"{office.name}_dana_whitfield"
    assert who(office.url_of(MINA)) == f"{office.name}_mina_park"


def test_a_login_has_the_rights_of_its_group_and_cannot_become_it(office: Office) -> None:
    office.sync()
    office.owner.execute(
        "create table marts.all_may (); create table marts.admins_may ();"
        "grant usage on schema marts to shs_rep, shs_admin;"
        "grant select on marts.all_may to shs_rep, shs_admin; grant select on marts.admins_may to shs_admin"
    )

    with psycopg.connect(office.url_of("Mina Park"), autocommit=True) as admin:
        admin.execute("select from marts.admins_may")
    with psycopg.connect(office.url_of("Dana Whitfield"), autocommit=True) as rep:
        rep.execute("select from marts.all_may")
        for forbidden in (
            "select from marts.admins_may", "set role shs_rep", "set role shs_admin", "set role shs_owner",
            "create role other", "create database other", f"grant shs_admin to {office.role_of(DANA)}",
        ):  # fmt: skip
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
                rep.execute(forbidden)
        rep.execute("set default_transaction_read_only = off")
        for forbidden in ("create temp table t ()", "create table t ()", "select * from ops.logins"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                rep.execute(forbidden)


def test_limits_are_in_force(office: Office) -> None:
    office.sync()

    with psycopg.connect(office.url_of("Dana Whitfield"), autocommit=True) as rep:
        shown = {
            name: rep.execute(f"show {name}").fetchone()
            for name in (
                "statement_timeout", "idle_in_transaction_session_timeout", "default_transaction_read_only",
            )
        }  # fmt: skip
        attributes = rep.execute(
            "select rolconnlimit, rolinherit, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls,"
            " rolreplication from pg_roles where rolname = session_user"
        ).fetchone()
    assert set(shown.values()) == {("1min",), ("on",)}
    assert attributes == (10, True, False, False, False, False, False)
    limit = "select rolconnlimit from pg_roles where rolname = %s"
    assert office.value(limit, office.role_of(MINA)) == 20


def test_a_login_gets_into_this_database_only(office: Office) -> None:
    office.sync()
    base, _, _ = office.url_of("Dana Whitfield").rpartition("/")

    for other in ("shs", "shs_dagster", "postgres"):
        assert is_refused(f"{base}/{other}")


def test_no_connection_beyond_the_limit(office: Office) -> None:
    office.sync()
    url = office.url_of("Dana Whitfield")
    sessions = [psycopg.connect(url) for _ in range(10)]
    try:
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(url)
    finally:
        for session in sessions:
            session.close()


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("O'Brien; drop role x --", "o_brien_drop_role_x"),
        ('Zoë "Z" Ångström', "zoe_z_angstrom"),
        ("Straße  %s {}", "strasse_s"),
        ("李小龍", "person"),
        ("a" * 200, None),
    ],
)
def test_any_name_makes_a_role(office: Office, name: str, slug: str | None) -> None:
    office.list("special@example.com", name)

    office.sync()

    role = who(office.url_of(name))
    assert len(role.encode()) <= 63
    assert slug is None or role == f"{office.name}_{slug}"
    assert office.sync() == set()


def test_role_names_are_short_and_never_those_of_the_server() -> None:
    assert len(role_base("ü" * 60, "a" * 99).encode()) <= 59
    assert role_base("pg_x", "Dana") == "db_pg_x_dana"


def test_people_of_one_name_in_ascii_get_a_role_each(office: Office) -> None:
    office.list("jose1@example.com", "José Diaz")
    office.list("jose2@example.com", "Jose Diaz")

    office.sync()

    roles = {office.role_of("jose1@example.com"), office.role_of("jose2@example.com")}
    assert roles == {f"{office.name}_jose_diaz", f"{office.name}_jose_diaz_2"}
    assert office.sync() == set()


def test_a_strangers_role_of_the_wanted_name_is_not_touched(office: Office) -> None:
    name = f"{office.name}_dana_whitfield"
    with office.superuser() as admin:
        admin.execute(f"create role {name} login password 'of-the-test' connection limit 3")
    try:
        office.sync()
        del office.people[DANA]
        office.sync()
        office.list(DANA, "Dana Whitfield")
        office.sync()

        assert office.role_of("Dana Whitfield") == f"{name}_2"
        assert office.value("select rolconnlimit from pg_roles where rolname = %s", name) == 3
        base = urlsplit(office.url).netloc.rpartition("@")[2]
        assert is_refused(f"postgresql://{name}:of-the-test@{base}/{office.name}")  # no CONNECT for it
    finally:
        with office.superuser() as admin:
            admin.execute(f"drop role {name}")


def numbers(owner: psycopg.Connection) -> dict[str, int]:
    """By which Metabase's objects are known: a person's stays the same with another role."""
    return dict(owner.execute("select rep_name, login_id from ops.logins").fetchall())


def test_the_books_of_a_copied_database_do_not_reach_the_original(office: Office) -> None:
    office.sync()
    url = office.url_of("Dana Whitfield")
    numbers_before = numbers(office.owner)
    copy = f"{office.name}_copy"
    office.owner.close()
    base = office.url.rpartition("/")[0]
    with psycopg.connect(f"{base}/shs", autocommit=True) as elsewhere:
        elsewhere.execute(f"create database {copy} template {office.name}")
        with psycopg.connect(f"{base}/{copy}", autocommit=True) as owner:
            sync_logins(owner, office.secrets)
            assert find_login(owner, DANA).role_name == f"{copy}_dana_whitfield"
            assert numbers(owner) == numbers_before
            owner.execute("truncate marts.people")
            sync_logins(owner, office.secrets)
        elsewhere.execute(f"drop database {copy}")
    with psycopg.connect(office.url, autocommit=True) as office.owner:
        assert who(url) == f"{office.name}_dana_whitfield"
        assert office.sync() == set()


def test_a_role_that_somebody_dropped_is_made_again(office: Office) -> None:
    office.sync()
    role = office.role_of("Dana Whitfield")
    numbers_before = numbers(office.owner)
    office.owner.execute(f"revoke connect on database {office.name} from {role}; drop role {role}")

    assert office.sync() == {("forgotten", "Dana Whitfield"), ("created", "Dana Whitfield")}
    assert numbers(office.owner) == numbers_before
    assert who(office.url_of("Dana Whitfield")) == role


# --- changing ----------------------------------------------------------------------------


def test_a_new_name_renames_the_role_and_keeps_password_and_session(office: Office) -> None:
    office.sync()
    password = urlsplit(office.url_of(DANA)).password
    with psycopg.connect(office.url_of(DANA), autocommit=True) as session:
        office.list(DANA, "Dana Holloway")

        assert office.sync() == {("renamed", "Dana Whitfield")}

        assert session.execute("select session_user").fetchone() == (f"{office.name}_dana_holloway",)
    assert urlsplit(office.url_of("Dana Holloway")).password == password
    assert who(office.url_of(DANA)) == f"{office.name}_dana_holloway"
    assert office.sync() == set()


def test_two_people_can_swap_names(office: Office) -> None:
    office.sync()
    passwords = [urlsplit(office.url_of(email)).password for email in (DANA, ERIK)]
    office.list(DANA, "Erik Holm")
    office.list(ERIK, "Dana Whitfield")

    office.sync()

    assert who(office.url_of(DANA)) == f"{office.name}_erik_holm"
    assert who(office.url_of(ERIK)) == f"{office.name}_dana_whitfield"
    assert [urlsplit(office.url_of(email)).password for email in (DANA, ERIK)] == passwords
    assert office.sync() == set()


def test_three_people_can_swap_names_while_one_of_them_leaves_a_name(office: Office) -> None:
    office.sync()
    office.list(DANA, "Erik Holm")
    office.list(ERIK, "Mina Park")
    office.list(MINA, "Dana  WHITFIELD", "admin")

    office.sync()

    roles = {email: who(office.url_of(email)).removeprefix(f"{office.name}_") for email in (DANA, ERIK, MINA)}
    assert roles == {DANA: "erik_holm", ERIK: "mina_park", MINA: "dana_whitfield"}


def test_a_new_address_keeps_role_and_password(office: Office) -> None:
    office.sync()
    url = office.url_of("Dana Whitfield")
    del office.people[DANA]
    office.list("d.whitfield@example.com", "Dana Whitfield")

    assert office.sync() == {("address", "Dana Whitfield")}
    assert who(url) == office.role_of("d.whitfield@example.com")
    assert office.sync() == set()


@pytest.mark.parametrize(
    "former",
    [
        Person(DANA, "Dana Whitfield", "user", False),
        Person(None, "Dana Whitfield", "user", False),
        Person("dana@home.example.com", "Dana Whitfield", "user", True),
    ],
)
def test_who_takes_over_an_address_does_not_get_the_password_of_before(
    office: Office, former: Person
) -> None:
    office.sync()
    old = office.url_of(DANA)
    office.people["former"] = former
    office.list(DANA, "New Person")

    with psycopg.connect(old) as session:
        session.rollback()
        office.sync()
        assert is_ended(session)

    assert urlsplit(office.url_of(DANA)).password != urlsplit(old).password
    assert is_refused(old) or former.is_active
    assert who(office.url_of("New Person")) == f"{office.name}_new_person"
    assert office.sync() == set()


def test_another_permission_is_another_group_and_ends_the_session(office: Office) -> None:
    office.sync()
    groups = (
        "select string_agg(roleid::regrole::text, ',') from pg_auth_members as m where m.member = %s::regrole"
    )
    office.list(DANA, "Dana Whitfield", "admin")
    office.list(MINA, "Mina Park", "user")
    with psycopg.connect(office.url_of(MINA)) as session:
        assert office.sync() == {("permission", "Dana Whitfield"), ("permission", "Mina Park")}
        assert is_ended(session)

    assert office.value(groups, office.role_of(DANA)) == "shs_admin"
    assert office.value(groups, office.role_of(MINA)) == "shs_rep"
    assert office.value("select rolconnlimit from pg_roles where rolname = %s", office.role_of(MINA)) == 10
    assert who(office.url_of(MINA)) == f"{office.name}_mina_park"
    assert office.sync() == set()


def test_what_a_rep_changed_on_the_own_role_is_mended(office: Office) -> None:
    office.sync()
    role = office.role_of(DANA)
    with psycopg.connect(office.url_of(DANA), autocommit=True) as rep:
        rep.execute("set default_transaction_read_only = off")
        rep.execute(f"alter role {role} set statement_timeout = 0")
        rep.execute(f"alter role {role} in database {office.name} set default_transaction_read_only = off")

    assert office.sync() == {("repaired", "Dana Whitfield")}

    with psycopg.connect(office.url_of(DANA), autocommit=True) as rep:
        assert rep.execute("show statement_timeout").fetchone() == ("1min",)
        assert rep.execute("show default_transaction_read_only").fetchone() == ("on",)
    assert office.sync() == set()


def test_a_group_that_an_administrator_added_is_named_and_holds_up_nobody_else(office: Office) -> None:
    office.sync()
    role, gone = office.role_of(DANA), office.url_of(ERIK)
    with office.superuser() as admin:
        admin.execute(f"grant pg_read_all_data to {role}")
    del office.people[ERIK]

    with pytest.raises(ShsError, match=f"{role} is a member of pg_read_all_data") as caught:
        office.sync()

    assert is_refused(gone)
    with office.superuser() as admin:
        admin.execute(re.findall("run: (.*)", caught.value.remedy)[0])
    assert office.sync() == set()


def test_a_new_password_ends_the_old_one_and_its_sessions(office: Office) -> None:
    office.sync()
    old = office.url_of(DANA)
    with psycopg.connect(old) as session:
        change = reset_password(office.owner, office.secrets, "dana  WHITFIELD")
        assert is_ended(session)

    assert change.what == "password"
    assert is_refused(old)
    assert who(office.url_of(DANA)) == f"{office.name}_dana_whitfield"
    assert len(office.secrets.names()) == 3


# --- leaving -----------------------------------------------------------------------------


def test_who_is_not_active_any_more_is_out_at_once_and_comes_back_with_another_password(
    office: Office,
) -> None:
    office.sync()
    old = office.url_of(DANA)
    with psycopg.connect(old) as busy, psycopg.connect(old) as idle:
        sleeper = threading.Thread(target=is_ended, args=(idle,))
        busy.execute("select 1")
        sleeper.start()
        office.list(DANA, "Dana Whitfield", active=False)
        assert office.sync() == {("disabled", "Dana Whitfield")}
        sleeper.join()
        assert is_ended(busy)
        assert is_ended(idle)
    assert is_refused(old)
    assert len(office.secrets.names()) == 2
    assert office.sync() == set()

    office.list(DANA, "Dana Whitfield")
    assert office.sync() == {("enabled", "Dana Whitfield")}
    assert is_refused(old)
    assert who(office.url_of(DANA)) == f"{office.name}_dana_whitfield"
    assert office.sync() == set()


def test_a_person_without_address_cannot_log_in(office: Office) -> None:
    office.sync()
    old = office.url_of(DANA)
    office.people[DANA] = Person(" ", "Dana Whitfield", "user", True)

    assert office.sync() == {("disabled", "Dana Whitfield")}
    assert is_refused(old)


def test_who_left_the_workbook_leaves_nothing_behind(office: Office) -> None:
    office.sync()
    url, role = office.url_of(DANA), office.role_of(DANA)
    office.owner.execute(
        f"create table marts.left (); grant select on marts.left to {role}; create schema own;"
        f"grant create, usage on schema own to {role}"
    )
    with office.superuser() as admin:
        # A server of somebody else's may not have the guard that keeps people from owning anything.
        admin.execute("drop event trigger only_the_owner_defines")
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("set default_transaction_read_only = off")
        session.execute("create table own.kept as select 1 as x")
        del office.people[DANA]
        assert office.sync() == {("disabled", "Dana Whitfield"), ("dropped", "Dana Whitfield")}
        assert is_ended(session)

    assert is_refused(url)
    assert office.value("select count(*) from pg_roles where rolname = %s", role) == 0
    assert office.value("select x from own.kept") == 1  # handed over to the owner
    assert len(office.secrets.names()) == 2
    assert office.value("select count(*) from ops.logins") == 2


def test_a_role_with_things_elsewhere_is_closed_and_named(office: Office) -> None:
    office.sync()
    url, role = office.url_of(DANA), office.role_of(DANA)
    base = office.url.rpartition("/")[0]
    with psycopg.connect(f"{base}/shs", autocommit=True) as elsewhere:
        elsewhere.execute(
            f"create schema of_{role} authorization shs_owner; grant usage on schema of_{role} to {role}"
        )
        del office.people[DANA]
        with pytest.raises(ShsError, match=f"{role} can no longer log in but cannot be dropped"):
            office.sync()
        assert is_refused(url)
        elsewhere.execute(f"drop schema of_{role}")

    assert office.sync() == {("dropped", "Dana Whitfield")}


# --- kills and collisions ----------------------------------------------------------------


class Unruly(FileSecrets):
    """A store in which the process dies, before or after the secret is written."""

    def __init__(self, path: Path, *, is_written: bool, error: Exception) -> None:
        super().__init__(path)
        self.is_written, self.error = is_written, error

    def put(self, name: str, secret: str) -> None:
        if self.is_written:
            super().put(name, secret)
        raise self.error

    def delete(self, name: str) -> None:
        raise ShsError("The store is away.", "Wait.")


@pytest.mark.parametrize("is_written", [True, False])
def test_a_kill_between_store_and_commit_heals(office: Office, is_written: bool) -> None:
    with pytest.raises(KilledError):
        office.sync(Unruly(office.secrets.path, is_written=is_written, error=KilledError()))
    assert office.value("select count(*) from ops.logins") == 0

    assert len(office.sync()) == 3
    for email in (DANA, ERIK, MINA):
        who(office.url_of(email))


def test_a_store_that_is_away_does_not_keep_anybody_in(office: Office) -> None:
    office.sync()
    gone = office.url_of(DANA)
    office.list(DANA, "Dana Whitfield", active=False)
    office.list("new@example.com", "New Person")
    away = Unruly(office.secrets.path, is_written=False, error=ShsError("The store is away.", "Wait."))

    with psycopg.connect(gone) as session:
        with pytest.raises(ShsError, match="The store is away"):
            office.sync(away)
        assert is_ended(session)
    assert is_refused(gone)

    assert office.sync() == {("created", "New Person")}
    assert len(office.secrets.names()) == 3


@pytest.mark.parametrize(
    "step", ["access.end_sessions", "access.clean_up", "leavers._drop_leavers", "sessions._terminate"]
)
def test_a_kill_after_the_commit_heals(office: Office, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    office.sync()
    gone, out = office.url_of(DANA), office.url_of(MINA)
    del office.people[DANA]
    office.list(MINA, "Mina Park", "user")

    def die(*_: object) -> None:
        raise KilledError

    with psycopg.connect(gone) as session, psycopg.connect(out) as other:
        with monkeypatch.context() as patched:
            patched.setattr(f"shs_pipeline.people.{step}", die)
            with pytest.raises(KilledError):
                office.sync()
        office.sync()
        assert is_ended(session)
        assert is_ended(other)

    assert office.value("select count(*) from ops.logins") == 2
    assert len(office.secrets.names()) == 2
    assert who(office.url_of(MINA)) == f"{office.name}_mina_park"
    assert office.sync() == set()


def test_a_lost_password_is_replaced(office: Office) -> None:
    office.sync()
    old = office.url_of(DANA)
    office.secrets.delete(find_login(office.owner, DANA).secret_name or "")

    assert office.sync() == {("password", "Dana Whitfield")}
    assert is_refused(old)
    who(office.url_of(DANA))


def test_syncs_at_the_same_time_agree(office: Office) -> None:
    office.publish()
    failures: list[Exception] = []

    def run() -> None:
        try:
            with psycopg.connect(office.url) as connection:
                sync_logins(connection, FileSecrets(office.secrets.path))
        except Exception as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert office.sync() == set()
    for email in (DANA, ERIK, MINA):
        who(office.url_of(email))


def test_who_holds_the_books_for_long_is_not_waited_for_for_ever(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shs_pipeline.people.logins.LOCK_SECONDS", 1)
    with psycopg.connect(office.url) as holder:
        holder.execute("lock table ops.logins")

        with pytest.raises(ShsError, match="Another process has been changing the logins"):
            office.sync()

    assert len(office.sync()) == 3


def test_a_rep_cannot_hold_up_a_sync(office: Office) -> None:
    office.sync()
    with psycopg.connect(office.url_of(DANA)) as rep:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rep.execute("lock table ops.logins in access share mode")
        rep.rollback()
        office.list(DANA, "Dana Whitfield", active=False)
        office.sync()
        assert is_ended(rep)


# --- secrets, rights, the rest -----------------------------------------------------------


def test_a_password_is_nowhere_but_in_the_store(office: Office) -> None:
    with office.superuser() as admin:
        admin.execute("alter system set log_statement = 'all'")
        admin.execute("alter system set log_min_error_statement = 'error'")
        admin.execute("select pg_reload_conf()")
        try:
            admin.execute("select pg_sleep(0.3)")
            office.sync()
            last = office.owner.execute("select query from pg_stat_activity").fetchall()
            verifiers = admin.execute("select rolpassword from pg_authid where rolcanlogin").fetchall()
        finally:
            admin.execute("alter system reset log_statement")
            admin.execute("alter system reset log_min_error_statement")
            admin.execute("select pg_reload_conf()")
    written = (office.home / "logs" / "postgres.log").read_text()
    books = office.owner.execute("select l::text from ops.logins as l").fetchall()
    changes = repr(list_access(office.owner, office.secrets))

    assert "SCRAM-SHA-256$" in written
    assert all(str(verifier).startswith("SCRAM-SHA-256$") for (verifier,) in verifiers)
    for name in office.secrets.names():
        password = office.secrets.get(name)
        assert password
        assert len(password) >= 43
        for place in (written, str(last), str(books), changes):
            assert password not in place


def test_before_the_first_publication_nothing_is_done(office: Office) -> None:
    office.owner.execute("drop table marts.people")

    assert sync_logins(office.owner, office.secrets) == []
    assert list_access(office.owner, office.secrets) == []


def test_without_the_right_to_make_roles_the_statements_to_run_are_named(office: Office) -> None:
    modest = f"{office.name}_modest"
    with office.superuser() as admin:
        admin.execute(f"create role {modest} login password 'of-the-test'")
        admin.execute(f"alter database {office.name} owner to {modest}")
        admin.execute(f"grant all on schema ops, marts to {modest}")
        admin.execute(f"grant all on all tables in schema ops, marts to {modest}")
        office.publish()
        base = urlsplit(office.url).netloc.rpartition("@")[2]
        try:
            with (
                psycopg.connect(f"postgresql://{modest}:of-the-test@{base}/{office.name}") as connection,
                pytest.raises(ShsError, match="may not manage login roles") as caught,
            ):
                sync_logins(connection, office.secrets)
            with pytest.raises(ShsError, match=f"does not own the database {office.name}"):
                sync_logins(office.owner, office.secrets)
        finally:
            admin.execute(f"alter database {office.name} owner to shs_owner")
            admin.execute(f"drop owned by {modest}")
            admin.execute(f"drop role {modest}")
    assert f'alter role "{modest}" createrole;' in caught.value.remedy
    assert "with admin option" in caught.value.remedy


def test_groups_are_made_once_even_by_many_at_a_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{office.name}_group_{number}" for number in range(6)]
    monkeypatch.setattr("shs_pipeline.database.groups.GROUPS", dict(enumerate(names)))
    failures: list[Exception] = []

    def run() -> None:
        try:
            with psycopg.connect(office.url) as connection:
                ensure_roles(connection)
        except Exception as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    statement = "select count(*) from pg_roles where rolname = any(%s) and not rolcanlogin"
    assert (failures, office.value(statement, names)) == ([], 6)
    for name in names:
        office.owner.execute(f"drop role {name}")


def test_a_group_that_is_more_than_a_group_is_refused(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{office.name}_group"
    monkeypatch.setattr("shs_pipeline.database.groups.GROUPS", {"user": name})
    office.owner.execute(f"create role {name} login")

    with pytest.raises(ShsError, match="is not just a group"):
        ensure_roles(office.owner)
    office.owner.execute(f"drop role {name}")


def test_the_owners_connection_is_left_as_it_was(office: Office) -> None:
    office.publish()
    with psycopg.connect(office.url) as connection:
        sync_logins(connection, office.secrets)
        assert not connection.autocommit
        connection.execute("select 1")
        with pytest.raises(ValueError, match="in a transaction"):
            sync_logins(connection, office.secrets)


def test_a_url_carries_nothing_of_the_owner() -> None:
    owners = "postgresql://own%40er:hush@db.example.com:5433/sales%20db?sslmode=require&user=x&sslkey=/k&password=hush"

    url = login_url(owners, "shs_dana", "p/w+")

    assert url == "postgresql://shs_dana:p%2Fw%2B@db.example.com:5433/sales%20db?sslmode=require"


def test_an_unknown_person_is_answered_with_the_one_who_may_be_meant(office: Office) -> None:
    office.sync()

    with pytest.raises(ShsError) as caught:
        find_login(office.owner, "Dana Whitfeld")
    assert "Did you mean Dana Whitfield?" in caught.value.remedy


def login(number: int, email: str, name: str, state: str = "active") -> Login:
    return Login(number, f"role{number}", None, email, name, "user", state, True, True)


def test_people_are_known_by_both_then_by_address_then_by_name() -> None:
    logins = [login(1, "A@x.com", "Ann"), login(2, "b@x.com", "Ben"), login(3, "c@x.com", "Cid")]
    ann, bob, cid = (
        Person("a@x.com", " ann ", "user", False),
        Person("b@x.com", "Bob", "user", True),
        Person("new@x.com", "CID", "user", True),
    )
    heir = Person("a@x.com", "Heir", "user", True)

    pairs, left = match_people([heir, ann, bob, cid], logins)

    assert {person.rep_name: login and login.login_id for person, login in pairs} == {
        "Heir": None, " ann ": 1, "Bob": 2, "CID": 3,
    }  # fmt: skip
    assert left == []


# --- the commands ------------------------------------------------------------------------


def test_the_commands_list_sync_and_print_a_url_only_when_told(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shs_pipeline.settings.settings.dotenv", dict)
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHS_DATABASE_URL", office.url)
    monkeypatch.setenv("SHS_SECRETS", str(office.secrets.path))
    # Its second database is not needed here.
    monkeypatch.setattr("shs_pipeline.database.databases._create_database", lambda *_: False)
    office.list(None, "Old Timer", active=False)
    office.publish()

    def shs(*arguments: str) -> str:
        result = CliRunner().invoke(build_app(), ["access", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    before, done, again, after = shs(), shs("sync"), shs("sync"), shs()
    assert "login still to be created" in before
    assert f"Dana Whitfield ({office.name}_dana_whitfield) may log in as user." in done
    assert again == "All logins match the workbook.\n"
    assert "still to be" not in after
    assert re.search(r"Mina Park\s+mina@example.com\s+admin\s+\S+_mina_park\s+may log in", after)
    assert re.search(r"Old Timer\s+user\s+not active", after)

    with pytest.raises(ShsError, match="contains a password, so it is not printed") as caught:
        shs("url", "Dana Whitfield")
    url = shs("url", "dana whitfield", "--show").strip()
    assert urlsplit(url).password not in f"{caught.value}{before}{done}{after}"
    assert who(url) == f"{office.name}_dana_whitfield"
    assert "has a new password" in shs("reset", DANA)
    assert is_refused(url)


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        ("Jürgen Groß", "JÜRGEN GROSS", "JÜRGEN GROSS"),
        ("Émile Roux", "ÉMILE ROUX", "ÉMILE ROUX"),
        ("Dana Whitfield", "dana whitfield", "dana whitfield"),
        ("Dana Whitfield", "Dana Vega", None),
    ],
)
def test_a_name_that_is_written_in_other_case_is_the_same_person_before_the_roles_follow(
    office: Office, before: str, after: str, seen: str | None
) -> None:
    # A login of before there were ids: those that have one are compared by it.
    office.list(DANA, before)
    office.sync()
    office.owner.execute("update marts.people set payee_id = 'P-1'")
    make_session_functions(office)
    role = office.role_of(before)
    office.owner.execute(f"grant usage on schema marts to {role}".encode())
    url = office.url_of(before)

    office.list(DANA, after, payee_id="P-1")
    office.publish()

    with psycopg.connect(url) as session:
        assert session.execute("select marts.session_rep()").fetchone() == (seen,)


def make_session_functions(office: Office) -> None:
    """Create what a publication creates: the functions that say who a session is."""
    macro = (ROOT / "dbt_project" / "macros" / "access.sql").read_text()
    condition = re.search(r"macro is_persons_login\(\) -%\}(.*?)\{%- endmacro", macro, re.DOTALL)
    assert condition is not None
    for name in ("session_payee", "session_rep"):
        function = re.search(rf"create or replace function marts\.{name}.*?\$\$;", macro, re.DOTALL)
        assert function is not None
        office.owner.execute(function[0].replace("{{ is_persons_login() }}", condition[1]).encode())


# --- ids -----------------------------------------------------------------------------------


def test_a_login_follows_the_id_when_name_and_address_change(office: Office) -> None:
    office.list(DANA, "Dana Whitfield", payee_id="P-1")
    office.sync()
    secret = find_login(office.owner, "Dana Whitfield").secret_name
    del office.people[DANA]
    office.list("dana.moss@example.com", "Dana Moss", payee_id="P-1")
    # A newcomer with both the name and the address of before is somebody else.
    office.list(DANA, "Dana Whitfield", payee_id="P-2")

    done = office.sync()

    assert find_login(office.owner, "Dana Moss").secret_name == secret
    assert ("created", "Dana Whitfield") in done
    assert find_login(office.owner, "Dana Whitfield").secret_name != secret


def test_a_login_of_before_there_were_ids_gets_that_of_its_person(office: Office) -> None:
    office.sync()
    office.list(DANA, "Dana Whitfield", payee_id="P-1")

    assert office.sync() == set()
    assert office.value("select payee_id from ops.logins where email = %s", DANA) == "P-1"


def test_the_login_of_somebody_who_left_ends_on_its_day(office: Office) -> None:
    office.list(DANA, "Dana Whitfield", payee_id="P-1")
    office.sync()
    make_session_functions(office)
    url, role = office.url_of("Dana Whitfield"), office.role_of("Dana Whitfield")
    office.owner.execute(f"grant usage on schema marts to {role}".encode())

    with psycopg.connect(url, autocommit=True) as session:
        for ends_on, seen in (("current_date + 1", "P-1"), ("current_date", None)):
            office.owner.execute(f"update marts.people set login_ends_on = {ends_on}".encode())
            assert session.execute("select marts.session_payee()").fetchone() == (seen,)
    office.owner.execute("update marts.people set login_ends_on = current_date + 1")
    assert sync_logins(office.owner, office.secrets) == []
    office.owner.execute("update marts.people set login_ends_on = current_date where email = %s", [DANA])
    assert [change.what for change in sync_logins(office.owner, office.secrets)] == ["disabled"]


# --- people who hold their own roles -------------------------------------------------------


@contextmanager
def holding_the_own_role(
    url: str, statement: str = "alter role current_user password 'mine'"
) -> Iterator[psycopg.Connection]:
    """A session that has altered its own role and does not end its transaction."""
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(
            "set default_transaction_read_only = off; set idle_in_transaction_session_timeout = 0"
        )
        session.execute("begin")
        session.execute(statement.encode())
        try:
            yield session
        finally:
            session.close()


@pytest.mark.parametrize(
    "statement", ["alter role current_user password 'mine'", "alter role current_user set work_mem = '1MB'"]
)
def test_who_holds_the_own_role_is_out_all_the_same_and_keeps_nobody_else_in(
    office: Office, statement: str
) -> None:
    office.list("harriet@example.com", "Harriet Lind", "admin")
    office.sync()
    admin, rep = office.url_of(MINA), office.url_of(DANA)
    with holding_the_own_role(admin, statement) as held, psycopg.connect(rep) as other:
        office.list(MINA, "Mina Park", "admin", active=False)
        office.list(DANA, "Dana Whitfield", active=False)
        office.list("harriet@example.com", "Harriet Lind", "user")

        assert office.sync() == {
            ("disabled", "Mina Park"), ("disabled", "Dana Whitfield"), ("permission", "Harriet Lind"),
        }  # fmt: skip

        assert is_ended(held)
        assert is_ended(other)
    assert is_refused(admin)
    assert is_refused(rep)
    assert office.sync() == set()


@pytest.mark.parametrize("end", ["commit", "stay"])
def test_a_role_that_its_person_alters_in_this_moment_is_renamed_all_the_same(
    office: Office, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr("shs_pipeline.people.changes._HELD_MILLISECONDS", 500)
    office.sync()
    office.list(DANA, "Dana Holloway")
    with holding_the_own_role(office.url_of(DANA), "alter role current_user password 'mine'") as session:
        # A commit meets the sync while it waits, which the server answers with "tuple concurrently updated".
        timer = threading.Timer(0.25, session.execute, ["commit"])
        if end == "commit":
            timer.start()
        assert office.sync() == {("renamed", "Dana Whitfield")}
        timer.cancel()


def test_a_password_that_the_person_changed_is_told_and_set_back(office: Office) -> None:
    office.sync()
    url = office.url_of(DANA)
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("set default_transaction_read_only = off")
        session.execute("alter role current_user password 'chosen'")

        listed = {
            a.rep_name: a.state for a in list_access(office.owner, office.secrets, check_passwords=True)
        }
        assert listed["Dana Whitfield"] == PASSWORD_CHANGED
        assert listed["Erik Holm"] == "may log in"
        assert is_refused(url)

        changes = sync_logins(office.owner, office.secrets, check_passwords=True)
        assert [(change.what, change.rep_name) for change in changes] == [("repaired", "Dana Whitfield")]
        assert is_ended(session)
    assert who(url) == office.role_of(DANA)
    assert sync_logins(office.owner, office.secrets, check_passwords=True) == []


@pytest.mark.parametrize("name", ["Metabase", "metabase  REPS", "Métabase"])
def test_nobody_gets_the_name_that_a_service_will_have(office: Office, name: str) -> None:
    office.list("meta@example.com", name)
    office.sync()

    services = {role_base(office.name, service) for service in roles._NAMES.values()}
    assert set(roles._NAMES.values()) == set(SERVICE_NAMES)
    assert office.role_of("meta@example.com") not in services
    # One that an older version gave away is taken back.
    old = role_base(office.name, "metabase")
    office.owner.execute(f'alter role "{office.role_of("meta@example.com")}" rename to "{old}"'.encode())
    office.owner.execute("update ops.logins set role_name = %s where email = 'meta@example.com'", [old])
    office.sync()
    assert office.role_of("meta@example.com") not in services
    assert office.sync() == set()


def test_a_name_in_its_two_unicode_forms_is_one_person(office: Office) -> None:
    one, other = (unicodedata.normalize(form, "Zoë Ångström") for form in ("NFC", "NFD"))
    assert one != other
    office.list("zoe@example.com", one)
    office.sync()
    role, url = office.role_of(one), office.url_of(one)

    office.list("zoe@example.com", other)
    office.sync()
    del office.people["zoe@example.com"]
    office.list("z.angstrom@example.com", one)
    office.sync()

    assert office.role_of(other) == role
    assert who(url) == role
