"""A rep who knows SQL, on a connection of their own, tries to see what is not theirs.

The role is a real one, made from the workbook; the marts are built from sample files. Relations are
listed from the catalog, so that a mart that somebody adds is attacked as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import openpyxl
import psycopg
import pytest
from psycopg import errors

from shs_pipeline.marts.build import build_marts
from shs_pipeline.metabase.desired import REPS
from shs_pipeline.metabase.roles import drop_logins as drop_service_logins
from shs_pipeline.metabase.roles import ensure_logins, let_become
from shs_pipeline.metabase.state import ObjectStore
from shs_pipeline.people.access import drop_logins, sync_logins
from shs_pipeline.people.logins import find_login
from shs_pipeline.people.passwords import login_url
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.settings.secret_store import FileSecrets

if TYPE_CHECKING:
    from tests.conftest import Zone

REP, OTHER, ADMIN, INACTIVE = "Dana Whitfield", "Marcus Oyelaran", "Harriet Lindqvist", "Gwen Talbot"
SALES = "marts.harmonised_sales"


@dataclass
class Company:
    """A warehouse with sales of a dozen reps, each with a login."""

    zone: Zone
    secrets: FileSecrets

    def url_of(self, name: str) -> str:
        with psycopg.connect(self.zone.database_url) as owner:
            login = find_login(owner, name)
        secret = self.secrets.get(login.secret_name or "")
        assert secret
        return login_url(self.zone.database_url, login.role_name, secret)

    def role_of(self, name: str) -> str:
        return self.url_of(name).partition("://")[2].partition(":")[0]

    def log_in(self, name: str) -> psycopg.Connection:
        """Open a session that may write as far as the rights go: the rep lifts the default."""
        session = psycopg.connect(self.url_of(name), autocommit=True)
        session.execute("set default_transaction_read_only = off")
        return session

    def sync(self) -> None:
        with psycopg.connect(self.zone.database_url, autocommit=True) as owner:
            sync_logins(owner, self.secrets)

    def change(self, table: str, changes: dict[str, dict[str, str]]) -> None:
        """Drop a workbook of reference data with other cells in the rows of these reps."""
        path = f"reference/{table}.xlsx"
        content = self.zone.landing.read(path)
        assert content is not None
        book = openpyxl.load_workbook(BytesIO(content))
        header, *lines = book.worksheets[0].iter_rows()
        places = {str(cell.value): number for number, cell in enumerate(header)}
        for line in lines:
            for title, value in changes.get(str(line[places["Sales Rep Name"]].value), {}).items():
                line[places[title]].value = value
        buffer = BytesIO()
        book.save(buffer)
        self.zone.drop(path, buffer.getvalue())


def adjustments() -> bytes:
    """A file that pays two reps, each for a reason of their own."""
    header = ["Sales Rep Name", "Amount", "Kind", "Reason", "Approved By", "Reference"]
    lines = [
        [REP, 250, "bonus", "Trade fair in Dallas", ADMIN, "TF-25"],
        [OTHER, 500, "draw", "Garnished by the county", ADMIN, "GC-77 county"],
        [OTHER, -5, "clawback", "Returned by mistake", ADMIN, None],
    ]
    return write_workbook({"March": [header, *lines]})


@pytest.fixture(scope="module")
def company(module_zone: Zone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    module_zone.drop_references()
    for source in ("cygnus", "quickbooks", "summit_medical"):
        for month in ("2025-02", "2025-03"):
            module_zone.drop_sample(source, month, lines=50)
    module_zone.drop("incoming/adjustments/2025-03/march.xlsx", adjustments())
    module_zone.run()
    assert module_zone.query("select count(*) from raw.adjustments") == [(3,)]
    build_marts(module_zone.database_url, "first")
    made = Company(module_zone, FileSecrets(tmp_path_factory.mktemp("secrets") / "secrets.json"))
    made.sync()
    with psycopg.connect(module_zone.database_url, autocommit=True) as owner:
        owner.execute("analyze")  # the statistics that the server would gather by and by
    yield made
    with psycopg.connect(module_zone.database_url, autocommit=True) as owner:
        drop_logins(owner, made.secrets)


@pytest.fixture
def rep(company: Company) -> Iterator[psycopg.Connection]:
    with company.log_in(REP) as session:
        yield session


def rows(session: psycopg.Connection, statement: str) -> list[tuple[Any, ...]]:
    return session.execute(statement.encode()).fetchall()


def relations(zone: Zone, where: str = "true") -> list[str]:
    """Every relation of the database that is not the server's own, quoted, with its schema."""
    found = zone.query(
        "select format('%%I.%%I', n.nspname, c.relname) from pg_class as c"
        " inner join pg_namespace as n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'v', 'm', 'p', 'f') and n.nspname !~ '^(pg_|information_schema$)'"
        f" and {where} order by 1"
    )
    return [name for (name,) in found]


def by_rep(zone: Zone) -> list[str]:
    """The relations that a rep may read and that name reps."""
    return relations(
        zone,
        "has_table_privilege('shs_rep', c.oid, 'select') and exists (select from pg_attribute as a"
        " where a.attrelid = c.oid and a.attname = 'rep_name')",
    )


def foreign_values(zone: Zone, name: str = REP) -> set[str]:
    """Names, customers and invoices that stand in lines of others only, in small letters."""
    found = zone.query(
        "with said as ("
        "  select rep_name, v.value from marts.harmonised_sales cross join lateral"
        "  (values (rep_name), (lower(customer)), (lower(invoice_number))) as v (value)"
        ") select value from said where value is not null"
        " group by value having not coalesce(bool_or(rep_name = %s), false)",
        name,
    )
    adjusted = zone.query(
        "select lower(v.value) from raw.adjustments"
        " cross join lateral (values (reason), (reference)) as v (value)"
        " where v.value is not null and sales_rep_name <> %s",
        name,
    )
    # Who approved an adjustment stands on the statement.
    others = zone.query(
        "select lower(rep_name) from marts.people where rep_name not in (%s, %s)", name, ADMIN
    )
    return {value for (value,) in found if len(value) > 3} | {value for (value,) in (*adjusted, *others)}


# --- what is readable --------------------------------------------------------------------


def test_a_rep_reads_the_own_rows_of_every_mart_and_all_of_them(company: Company) -> None:
    zone = company.zone
    marts = by_rep(zone)
    assert SALES in marts
    assert len(marts) >= 4
    for name in (REP, OTHER):
        with company.log_in(name) as session:
            for mart in marts:
                seen = rows(session, f"select to_jsonb(m)::text from {mart} as m order by 1")
                wanted = f"select to_jsonb(m)::text from {mart} as m where rep_name = %s order by 1"
                assert seen == zone.query(wanted, name), mart
            assert rows(session, f"select count(*) > 3 from {SALES}") == [(True,)]


def test_what_names_no_rep_has_no_amounts_and_no_foreign_value(company: Company) -> None:
    zone = company.zone
    readable = relations(zone, "has_table_privilege('shs_rep', c.oid, 'select')")
    secret = foreign_values(zone)
    assert len(secret) > 50
    with company.log_in(REP) as session:
        for mart in readable:
            said = " ".join(text for (text,) in rows(session, f"select lower(m::text) from {mart} as m"))
            assert [value for value in secret if value.lower() in said] == [], mart
            if mart not in by_rep(zone):
                amounts = zone.query(
                    "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
                    " and atttypid::regtype::text in ('numeric', 'money', 'double precision', 'real')",
                    mart,
                )
                assert amounts == [], mart


def test_everything_else_is_closed_whatever_schema_it_is_in(
    company: Company, rep: psycopg.Connection
) -> None:
    closed = relations(company.zone, "not has_table_privilege('shs_rep', c.oid, 'select')")
    schemas = {name.partition(".")[0] for name in closed}
    assert schemas >= {"raw", "reference", "ops", "staging", "intermediate", "marts"}
    for relation in closed:
        for statement in (
            f"select from {relation}", f"copy {relation} to stdout", f"explain select from {relation}",
            f"select table_to_xml('{relation}', true, true, '')", f"select count(x) from {relation} as x",
        ):  # fmt: skip
            # The server may have been built without XML.
            with pytest.raises((errors.InsufficientPrivilege, errors.FeatureNotSupported)):
                rep.execute(statement.encode())


def test_no_other_way_is_open_by_the_catalog(company: Company, rep: psycopg.Connection) -> None:
    own = "not in ('pg_catalog', 'information_schema', 'pg_toast')"
    functions = rows(
        rep,
        "select p.oid::regprocedure::text from pg_proc as p inner join pg_namespace as n"
        f" on n.oid = p.pronamespace where n.nspname {own} and has_function_privilege(p.oid, 'execute')"
        " and has_schema_privilege(n.oid, 'usage')",
    )
    assert sorted(functions) == [
        ("marts.published_at()",), ("marts.session_payee()",), ("marts.session_rep()",),
    ]  # fmt: skip
    creating = rows(rep, "select nspname from pg_namespace where has_schema_privilege(oid, 'create')")
    assert creating == []
    using = rows(
        rep, f"select nspname from pg_namespace where has_schema_privilege(oid, 'usage') and nspname {own}"
    )
    assert {name for (name,) in using} <= {"marts", "public"}  # in public nothing is, nor can be made
    unguarded = relations(
        company.zone,
        "has_table_privilege('shs_rep', c.oid, 'select') and not (c.relrowsecurity or"
        " c.relkind = 'v' and 'security_invoker=true' = any(c.reloptions))",
    )
    assert unguarded == []


def test_a_rep_sees_their_own_adjustments_and_no_others(company: Company) -> None:
    asked = (
        "select rep_name, kind, amount::int, words from marts.statement_items"
        " where kind in ('adjustment', 'draw')"
    )
    with company.log_in(REP) as own, company.log_in(OTHER) as other:
        assert rows(own, asked) == [
            (REP, "adjustment", 250, f"Bonus: Trade fair in Dallas. Reference TF-25. Approved by {ADMIN}.")
        ]
        assert {amount for _, _, amount, _ in rows(other, asked)} == {500, -5}
        for relation in (
            "raw.adjustments",
            "staging.stg_adjustments",
            "intermediate.draws",
            "ledger.entries",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                own.execute(f"select from {relation}".encode())


def test_an_admin_reads_all_and_writes_nothing(company: Company) -> None:
    with company.log_in(ADMIN) as admin:
        for mart in relations(company.zone, "has_table_privilege('shs_admin', c.oid, 'select')"):
            assert rows(admin, f"select count(*) from {mart}") == company.zone.query(
                f"select count(*) from {mart}"
            )
            with pytest.raises(psycopg.Error, match=r"permission denied|cannot delete from view"):
                admin.execute(f"delete from {mart}".encode())
        for relation in (
            "ops.files",
            "raw.cygnus",
            "raw.adjustments",
            "reference.sales_reps",
            "candidate.people",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                admin.execute(f"select from {relation}".encode())


def test_who_is_no_admin_any_more_sees_nothing_from_the_publication_on(company: Company) -> None:
    """Before the login follows: the session goes on, the rows do not, prepared or not."""
    zone = company.zone
    marts = relations(zone, "has_table_privilege('shs_admin', c.oid, 'select')")
    guarded = [mart for mart in marts if zone.query(f"select exists (select from {mart})") == [(True,)]]
    assert len(guarded) >= 10
    change = "update marts.people set {} where rep_name = %s"
    with company.log_in(ADMIN) as admin, psycopg.connect(zone.database_url, autocommit=True) as owner:
        admin.execute(f"prepare p as select count(*) from {SALES}".encode())
        assert rows(admin, "execute p") != [(0,)]
        for state, before in (
            ("is_active = false", "is_active = true"),
            ("permission = 'user'", "permission = 'admin'"),
        ):
            owner.execute(change.format(state).encode(), [ADMIN])
            try:
                for mart in guarded:
                    assert rows(admin, f"select count(*) from {mart}") == [(0,)], mart
                assert rows(admin, "execute p") == [(0,)]
            finally:
                owner.execute(change.format(before).encode(), [ADMIN])
        assert rows(admin, "execute p") != [(0,)]


@pytest.mark.parametrize(("before", "after"), [(ADMIN, ADMIN.upper()), ("Harriet Groß", "HARRIET GROSS")])
def test_an_admin_whose_name_is_spelt_another_way_goes_on_seeing_all(
    company: Company, before: str, after: str
) -> None:
    people = "update marts.people set rep_name = %s where rep_name = %s"
    logins = "update ops.logins set rep_name = %s where rep_name = %s"
    with company.log_in(ADMIN) as admin, psycopg.connect(company.zone.database_url, autocommit=True) as owner:
        count = rows(admin, f"select count(*) from {SALES}")
        assert count != [(0,)]
        owner.execute(people, [after, ADMIN])
        owner.execute(logins, [before, ADMIN])
        try:
            assert rows(admin, f"select count(*) from {SALES}") == count
        finally:
            owner.execute(people, [ADMIN, after])
            owner.execute(logins, [ADMIN, before])


def test_only_the_active_get_in_and_into_one_database(company: Company) -> None:
    from shs_pipeline.base.errors import ShsError

    with pytest.raises(ShsError, match="may log in"):
        company.url_of(INACTIVE)
    base = company.url_of(REP).rpartition("/")[0]
    for other in ("shs", "shs_dagster", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(f"{base}/{other}")


# --- becoming somebody else, and writing -------------------------------------------------

REFUSED = """
-- another role
set role {other}
set role shs_owner
set role shs_admin
set role shs_rep
set role postgres
set session authorization {other}
set session authorization shs_owner
set session authorization postgres
select set_config('role', 'shs_owner', false)
select set_config('session_authorization', 'shs_owner', false)
do $$ begin set local role shs_admin; end $$
grant shs_admin to {own}
grant {other} to {own}
grant {own} to {other}
create role another
alter role {own} createrole
alter role {own} bypassrls
alter role {own} superuser
alter role {other} rename to shs_other
alter role {own} connection limit -1
alter role {other} password 'taken over'
alter role {other} set search_path = marts
alter role shs_owner password 'taken over'
drop role {other}
reassign owned by {other} to {own}
-- rows regardless of the policies
set row_security = off; select from marts.harmonised_sales
set row_security = off; copy marts.harmonised_sales to stdout
alter table marts.harmonised_sales disable row level security
alter policy reps_see_theirs on marts.harmonised_sales using (true)
create policy mine on marts.harmonised_sales using (true)
drop policy reps_see_theirs on marts.harmonised_sales
set session_replication_role = replica
set session_preload_libraries = 'auto_explain'
-- code and names of one's own
create temp table t ()
create temp view v as select 1
create schema mine
create table public.t ()
create table marts.t ()
create view marts.v as select 1
create function pg_temp.leak(text) returns boolean language sql cost 0.0001 as 'select true'
create function public.leak(text) returns boolean language sql leakproof as 'select true'
create function marts.session_rep(int) returns text language sql as 'select 1::text'
create or replace function marts.session_rep() returns text language sql as $$ select 'x' $$
alter function marts.session_rep() set search_path = pg_temp
create operator public.<<< (procedure = texteq, leftarg = text, rightarg = text)
alter function texteq(text, text) cost 1
create type public.t as (x int)
create domain public.d as text check (value <> 'x')
create sequence public.s
create aggregate public.a (text) (sfunc = textcat, stype = text)
create cast (text as int) with inout
create extension dblink
create extension file_fdw
create extension postgres_fdw
create language plperlu
load '/tmp/evil.so'
create event trigger e on ddl_command_end execute function textin()
create publication p for all tables
-- the server's files and programs
copy (select 1) to program 'cat'
copy (select 1) to '/tmp/out'
copy marts.people from '/etc/passwd'
select pg_read_file('postgresql.conf')
select pg_read_binary_file('pg_hba.conf')
select pg_ls_dir('.')
select pg_stat_file('.')
select pg_ls_logdir()
select lo_import('/etc/passwd')
select lo_export(1, '/tmp/out')
select lo_create(0)
select lo_creat(-1)
select lo_from_bytea(0, 'x')
select pg_reload_conf()
select pg_switch_wal()
alter system set log_statement = 'all'
alter database {database} set search_path = marts
checkpoint
-- holding up others
select pg_advisory_lock(1)
select pg_advisory_xact_lock(1)
select pg_try_advisory_lock(1, 2)
select pg_logical_emit_message(false, 'x', 'y')
select pg_notify('channel', 'x')
select pg_export_snapshot()
begin; lock table marts.harmonised_sales in row exclusive mode
begin; lock table marts.harmonised_sales in access exclusive mode
begin; lock table ops.folders in access share mode
-- the server's own secrets
select * from pg_authid
select * from pg_shadow
select * from pg_statistic
select * from pg_statistic_ext_data
select * from pg_largeobject
select * from pg_user_mapping
select * from pg_hba_file_rules
select * from pg_file_settings
show data_directory
select pg_stat_reset()
select pg_export_snapshot() from ops.logins
select pg_stat_get_backend_pid(1), role_name from ops.logins
"""


@pytest.mark.parametrize(
    "statement", [line for line in REFUSED.strip().splitlines() if not line.startswith("--")]
)
def test_refused(company: Company, rep: psycopg.Connection, statement: str) -> None:
    names = {"own": company.role_of(REP), "other": company.role_of(OTHER), "database": rep.info.dbname}

    before, _, attack = ("", "", statement) if "$$" in statement else statement.rpartition("; ")
    if before:
        rep.execute(before.encode())
    refusals = (errors.InsufficientPrivilege, errors.UndefinedFile, errors.FeatureNotSupported)
    with pytest.raises(refusals) as caught:
        rep.execute(attack.format(**names).encode())

    if not isinstance(caught.value, errors.InsufficientPrivilege):
        assert "extension" in statement or "language" in statement  # this server has none
    rep.rollback()
    assert rows(rep, "select session_user = current_user, marts.session_rep()") == [(True, REP)]


def test_nothing_can_be_written(company: Company, rep: psycopg.Connection) -> None:
    for mart in relations(company.zone, "n.nspname in ('marts', 'ops')"):
        ((column,),) = company.zone.query(
            "select quote_ident(attname) from pg_attribute where attrelid = %s::regclass and attnum = 1", mart
        )
        for statement in (
            f"insert into {mart} default values", f"update {mart} set {{column}} = default",
            f"delete from {mart}", f"truncate {mart}", f"drop table {mart}", f"select from {mart} for update",
            f"select from {mart} for key share", f"alter table {mart} add x int",
            f"comment on table {mart} is 'x'",
            f"create index on {mart} ({{column}})",
            f"create rule r as on insert to {mart} do also select 1",
            f"alter table {mart} owner to {company.role_of(REP)}", f"alter table {mart} set schema public",
        ):  # fmt: skip
            refusals = (
                errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState, errors.WrongObjectType,
            )  # fmt: skip
            with pytest.raises(refusals):
                rep.execute(statement.format(column=column).encode())
        with suppress(errors.InsufficientPrivilege):
            rep.execute(f"grant select on {mart} to public".encode())  # at best a warning
        assert company.zone.query("select has_table_privilege('public', %s, 'select')", mart) == [(False,)]


# What of this asks for a lock first and for rights afterwards differs from version to version.
DEFINING = """
create rule r as on insert to {table} do instead nothing
create trigger t before insert on {table} execute function suppress_redundant_updates_trigger()
create statistics s on {column}, ctid from {table}
create policy p on {table}
create index on {table} ({column})
create table marts.part partition of {table} default
create view marts.v as select from {table}
alter table {table} add x int
comment on table {table} is 'x'
drop rule r on {table}
grant select on {table} to public
drop owned by current_user
"""


@pytest.mark.parametrize(
    "table",
    [SALES, "marts.people", "pg_catalog.pg_authid", "pg_catalog.pg_database", "pg_catalog.pg_class"],
)
def test_no_command_waits_for_a_lock_that_it_has_no_right_to(
    company: Company, rep: psycopg.Connection, table: str
) -> None:
    """Whoever waits for a strong lock keeps all others waiting: readers of a mart, even those who log in."""
    (column,) = company.zone.query(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum = 1", table
    )[0]
    with company.log_in(REP) as holder:
        holder.execute("begin")
        # A prepared statement locks its tables whether or not it may be executed.
        holder.execute(f"prepare held as delete from {table}".encode())
        rep.execute("set lock_timeout = '2s'")
        for command in DEFINING.strip().splitlines():
            with pytest.raises(errors.InsufficientPrivilege):
                rep.execute(command.format(table=table, column=column).encode())


def test_other_sessions_can_be_neither_seen_nor_ended(company: Company, rep: psycopg.Connection) -> None:
    with company.log_in(OTHER) as victim, psycopg.connect(company.zone.database_url) as owner:
        for session in (victim, owner):
            session.execute("select 'what nobody else may read'")
            pid = session.info.backend_pid
            for function in ("pg_terminate_backend", "pg_cancel_backend"):
                with pytest.raises(errors.InsufficientPrivilege):
                    rep.execute(f"select {function}({pid})".encode())
            session.execute("select 1")
    seen = rows(
        rep,
        "select distinct query from pg_stat_activity where usename <> session_user or usename is null"
        " union select pg_stat_get_backend_activity(id) from pg_stat_get_backend_idset() as id"
        " where pg_stat_get_backend_pid(id) <> pg_backend_pid()",
    )
    assert {query for (query,) in seen} <= {"<insufficient privilege>", None}


# --- seeing rows by way of queries -------------------------------------------------------

# Raises, and names the rep, on every row that is not the own.
BOMB = f"(case when rep_name = '{REP}' then 1 else ('row of ' || coalesce(rep_name, '?'))::int end) = 1"
ASKED = [
    "select * from {mart} where {bomb}",
    "select * from {mart} where rep_name <> '{rep}' or rep_name is null",
    "select * from {mart} where not ({bomb})",
    "select count(*) filter (where {bomb}) from {mart}",
    "select 1 from {mart} group by rep_name having {bomb}",
    "select 1 from {mart} order by case when {bomb} then 1 end",
    "select 1 from (values (1)) as v (x) left join {mart} on {bomb}",
    "select 1 from (values ('x')) as v (x) full join {mart} on v.x = rep_name where v.x is null and {bomb}",
    "select 1 from {mart} as a inner join lateral (select {bomb} as x) as l on l.x",
    "select 1 from {mart} as a inner join {mart} as b using (rep_name) where {bomb}",
    "with m as not materialized (select * from {mart}) select 1 from m where {bomb}",
    "select 1 from (select * from {mart} offset 0) as m where {bomb}",
    "select sum(case when {bomb} then 1 end) over (partition by rep_name) from {mart}",
    "select 1 from {mart} where (select {bomb})",
    "select 1 from {mart} where exists (select where {bomb})",
    "select 1 from {mart} where row(rep_name, 1) in (select rep_name, 1 from {mart} where {bomb})",
    "select 1 from {mart} where rep_name like '%' and rep_name ~ '.' and {bomb}",
    "select 1 from only {mart} where {bomb}",
    "select query_to_xml('select 1 from {mart} where rep_name <> ''{rep}''', true, true, '')::text = ''",
    "explain (analyze, verbose, buffers) select 1 from {mart} where {bomb}",
    "do $do$ begin perform 1 from {mart} where {bomb}; end $do$",
    "do $do$ declare r record; begin for r in select * from {mart} where {bomb} loop end loop; end $do$",
    "declare c cursor with hold for select * from {mart} where {bomb}",
]  # fmt: skip


@pytest.mark.parametrize("template", ASKED)
def test_a_predicate_that_raises_meets_no_foreign_row(
    company: Company, rep: psycopg.Connection, template: str
) -> None:
    # Once as the planner likes it, once without indexes, once with nothing else.
    for settings in ("", "enable_indexscan enable_bitmapscan enable_indexonlyscan", "enable_seqscan"):
        for name in settings.split():
            rep.execute(f"set {name} = off".encode())
        for mart in by_rep(company.zone):
            rep.execute(template.format(mart=mart, bomb=BOMB, rep=REP).encode())
            rep.execute("close all")
        rep.execute("reset all")
        rep.execute("set default_transaction_read_only = off")


def test_copy_cursors_and_prepared_statements_give_the_own_rows(
    company: Company, rep: psycopg.Connection
) -> None:
    for mart in by_rep(company.zone):
        own = rows(rep, f"select rep_name from {mart}")
        assert set(own) <= {(REP,)}
        with rep.cursor().copy(f"copy (select rep_name from {mart}) to stdout".encode()) as copy:
            assert list(copy.rows()) == own
        with rep.cursor().copy(f"copy (select from {mart} where {BOMB}) to stdout".encode()) as copy:
            assert len(list(copy)) == len(own)
        rep.execute(f"declare c scroll cursor with hold for select rep_name from {mart}".encode())
        assert rows(rep, "fetch all from c") == own
        rep.execute("close c")
        rep.execute(f"prepare p (text) as select rep_name from {mart} where rep_name = $1".encode())
        for _ in range(7):  # from the sixth time on with a generic plan
            assert rows(rep, f"execute p ('{OTHER}')") == []
        rep.execute("deallocate p")


def test_names_in_front_of_the_servers_own_change_nothing(rep: psycopg.Connection) -> None:
    for path in ("pg_temp, public, marts, pg_catalog", "marts", "pg_temp"):
        rep.execute("select set_config('search_path', %s, false)", [path])
        assert rows(rep, f"select distinct rep_name, marts.session_rep() from {SALES}") == [(REP, REP)]
    for name in ("role", "shs.rep", "app.user", "request.jwt.claims", "my.session_user"):
        with suppress(psycopg.Error):
            rep.execute("select set_config(%s, %s, false)", [name, OTHER])
    assert rows(rep, f"select distinct rep_name from {SALES}") == [(REP,)]
    definition = rows(rep, "select prosecdef, proconfig from pg_proc where proname = 'session_rep'")
    assert definition == [(True, ["search_path=pg_catalog, pg_temp"])]


# --- what the planner and its numbers tell -----------------------------------------------


def foreign_line(zone: Zone) -> tuple[str, str, str]:
    """Place, customer and day of a line of another rep, neither of which the rep has."""
    place, customer, day = zone.query(
        f"select ctid::text, customer, revenue_date::text from {SALES} as s where rep_name = %s"
        f" and not exists (select from {SALES} as own where own.rep_name = %s"
        " and (own.customer = s.customer or own.revenue_date = s.revenue_date)) limit 1",
        OTHER,
        REP,
    )[0]
    return place, customer, day


def answer(session: psycopg.Connection, statement: str) -> str:
    """What a session learns: the rows, or the error."""
    try:
        return repr(rows(session, statement))
    except psycopg.Error as error:
        return str(error)


GUESSES = (
    "customer = '{customer}'",
    "customer = any('{{{customer}}}')",
    "customer >= '{customer}' and customer <= '{customer}'",
    "revenue_date = '{day}'",
    "revenue_date between '{day}' and '{day}'",
)
RAISE = "case when {guess} then (select 1 / (random() * 0)::int = 1) else false end"
COUNT = "case when {guess} then (select false) else false end"
EXPLAIN = "explain (analyze, costs off, timing off, summary off) "


@pytest.mark.parametrize(
    "statement",
    [
        f"select 1 from {SALES} where ctid = '{{place}}' and {RAISE}",
        f"select 1 from {SALES} where {RAISE}",
        f"{EXPLAIN} select 1 from {SALES} where {{guess}}",
        f"{EXPLAIN} select 1 from {SALES} where ctid = '{{place}}' and {{guess}}",
        f"{EXPLAIN} select 1 from {SALES} where ctid = '{{place}}' and {COUNT}",
        f"{EXPLAIN} select 1 from (values (1)) as v left join {SALES} on ctid = '{{place}}' and {COUNT}",
    ],
    ids=["raises", "raises for any row", "explains", "explains a row", "explains a case", "explains a join"],
)
def test_no_subselect_is_run_for_the_sake_of_a_foreign_row(
    company: Company, rep: psycopg.Connection, statement: str
) -> None:
    """Operators that leak nothing may be asked before the policy; what they decide must not show."""
    place, customer, day = foreign_line(company.zone)
    rep.execute("set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off")
    for cost in ("0.0025", "0", "1000"):
        rep.execute(f"set cpu_operator_cost = {cost}".encode())
        for guess in GUESSES:
            answers = []
            for guessed in ((customer, day), ("Nowhere Clinic", "1999-01-01")):
                said = guess.format(customer=guessed[0], day=guessed[1])
                learned = answer(rep, statement.format(place=place, guess=said))
                answers.append(learned.replace(guessed[0], "?").replace(guessed[1], "?"))
            assert answers[0] == answers[1]


def test_no_estimate_tells_of_foreign_rows(company: Company, rep: psycopg.Connection) -> None:
    frequent = "select {0} from {1} where {0} <> %s group by 1 order by count(*) desc, 1 limit 1"
    for column in ("rep_name", "customer", "source_file", "revenue_date"):
        own = REP if column == "rep_name" else "1999-01-01"
        value = company.zone.query(f"select ({frequent.format(column, SALES)})::text", own)[0][0]
        for condition in ("= '{}'", "in ('{}', '1998-01-01')", "between '{}' and '{}'"):
            plans = []
            for guess in (value.replace("'", "''"), "1997-01-01"):
                where = f"{column} {condition.replace('{}', guess)}"
                explained = rows(rep, f"explain (format json) select 1 from {SALES} where {where}")
                plan = explained[0][0][0]["Plan"]
                plans.append((plan["Plan Rows"], plan["Total Cost"]))
            assert plans[0] == plans[1], where


def test_no_statistics_of_columns_can_be_read(company: Company, rep: psycopg.Connection) -> None:
    for view in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"):
        seen = rows(
            rep,
            f"select schemaname, tablename from {view}"
            " where schemaname not in ('pg_catalog', 'information_schema')",
        )
        assert {f"{schema}.{table}" for schema, table in seen} & set(by_rep(company.zone)) == set()
        assert {schema for schema, _ in seen} <= {"marts"}


# --- fail closed -------------------------------------------------------------------------


@contextmanager
def owned(zone: Zone, *statements: str) -> Iterator[None]:
    """Do something as the owner; `marts.forgotten` is dropped afterwards."""
    with psycopg.connect(zone.database_url, autocommit=True) as owner:
        try:
            for statement in statements:
                owner.execute(statement.encode())
            yield
        finally:
            owner.execute("drop table if exists marts.forgotten cascade")


def test_a_relation_that_nobody_gave_grants_is_unreadable(company: Company, rep: psycopg.Connection) -> None:
    with (
        owned(
            company.zone,
            f"create table marts.forgotten as select * from {SALES}",
            "create view marts.forgotten_too as select * from marts.forgotten",
        ),
    ):
        for relation in ("marts.forgotten", "marts.forgotten_too"):
            with pytest.raises(errors.InsufficientPrivilege):
                rep.execute(f"select from {relation}".encode())


def test_a_mart_without_its_policies_shows_nothing(company: Company, rep: psycopg.Connection) -> None:
    with owned(
        company.zone,
        f"create table marts.forgotten as select * from {SALES}",
        "alter table marts.forgotten enable row level security",
        "grant select on marts.forgotten to shs_rep",
    ):
        assert rows(rep, "select from marts.forgotten") == []


# --- over time: these change the company, and stand last -----------------------------------


@dataclass
class Watch:
    """A rep who asks the same again and again, and what came of it."""

    url: str
    statements: Sequence[str]
    answers: set[tuple[str, str]] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    asked: int = 0

    @contextmanager
    def over(self) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(target=self._ask, args=[done])
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _ask(self, done: threading.Event) -> None:
        with psycopg.connect(self.url, autocommit=True) as session:
            while not done.is_set():
                for statement in self.statements:
                    try:
                        self.answers.add((statement, repr(rows(session, statement))))
                    except psycopg.Error as error:
                        self.errors.append(str(error))
                    self.asked += 1
                time.sleep(0.002)


@pytest.mark.slow
def test_nothing_shows_while_the_marts_are_built_anew(company: Company) -> None:
    marts = by_rep(company.zone)
    asked = [f"select count(*), array_agg(distinct rep_name) from {mart}" for mart in marts]
    watch = Watch(company.url_of(REP), asked)
    with company.log_in(REP) as session:
        session.execute(f"prepare p as select rep_name, line_id from {SALES}".encode())
        before = rows(session, "execute p")
        with watch.over():
            build_marts(company.zone.database_url, "anew", full_refresh=True)
        assert sorted(rows(session, "execute p")) == sorted(before)
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("set role shs_admin")
        assert sorted(rows(session, "execute p")) == sorted(before)

    assert watch.errors == []
    assert watch.asked > 100
    assert len(watch.answers) == len(marts)  # each question had one answer throughout
    assert {name for name, _ in before} == {REP}


@pytest.mark.slow
def test_a_new_file_shows_to_its_rep_only_and_all_at_once(company: Company) -> None:
    company.zone.drop_sample("cygnus", "2025-04", lines=50)
    company.zone.run()
    watch = Watch(company.url_of(REP), [f"select count(*), array_agg(distinct rep_name) from {SALES}"])
    with watch.over():
        build_marts(company.zone.database_url, "one more")

    assert watch.errors == []
    assert len(watch.answers) == 2
    assert all(said.endswith(f"['{REP}'])]") for _, said in watch.answers)


@pytest.mark.slow
def test_a_snapshot_from_before_a_full_refresh_does_not_find_an_empty_table(company: Company) -> None:
    with company.log_in(REP) as session:
        session.execute("begin isolation level repeatable read")
        session.execute("select 1")
        build_marts(company.zone.database_url, "anew", full_refresh=True)
        found = answer(session, f"select count(*) from {SALES}")
    assert found != "[(0,)]"


# --- a service that stands for reps (a paid Metabase impersonates) ---------------------------


@pytest.fixture
def service(company: Company) -> Iterator[psycopg.Connection]:
    """A session of the login that Metabase has for all reps; only its owner may make it."""
    with psycopg.connect(company.zone.database_url, autocommit=True) as owner:
        store = ObjectStore(owner)
        roles = [company.role_of(name) for name in (REP, OTHER)]
        logins = ensure_logins(owner, store, company.secrets, "impersonation", roles)
        login = logins[REPS]
        secret = company.secrets.get(login.secret_name)
        assert secret
        url = login_url(company.zone.database_url, login.role_name, secret)
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("set default_transaction_read_only = off")
            yield session
        drop_service_logins(owner, store, company.secrets)


def reps_seen(company: Company, session: psycopg.Connection) -> set[str]:
    return {
        name for mart in by_rep(company.zone) for (name,) in rows(session, f"select rep_name from {mart}")
    }


def test_a_service_sees_nothing_until_it_takes_on_a_rep_and_then_that_reps_rows(
    company: Company, service: psycopg.Connection
) -> None:
    assert reps_seen(company, service) == set()
    for name in (REP, OTHER):
        service.execute(f'set role "{company.role_of(name)}"'.encode())
        assert reps_seen(company, service) == {name}
        assert rows(service, "select marts.session_rep()") == [(name,)]
    service.execute("reset role")
    assert reps_seen(company, service) == set()


@pytest.mark.parametrize("role", ["shs_rep", "none"])
def test_a_group_is_no_rep(company: Company, service: psycopg.Connection, role: str) -> None:
    service.execute(f"set role {role}".encode())

    assert reps_seen(company, service) == set()


@pytest.mark.parametrize("name", [ADMIN, "Caleb Ostrander"])
def test_a_service_takes_on_no_admin_and_nobody_it_was_not_given(
    company: Company, service: psycopg.Connection, name: str
) -> None:
    role = company.role_of(name)

    for statement in (
        f'set role "{role}"',
        f"select set_config('role', '{role}', false)",
        "set role shs_admin",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            service.execute(statement.encode())
    assert reps_seen(company, service) == set()


def test_a_rep_does_not_become_another_by_the_word_that_a_service_may_say(
    company: Company, rep: psycopg.Connection, service: psycopg.Connection
) -> None:
    other = company.role_of(OTHER)

    for statement in (f'set role "{other}"', f"select set_config('role', '{other}', false)"):
        with pytest.raises(errors.InsufficientPrivilege):
            rep.execute(statement.encode())
    # As a default for the next session it is refused there, and passed over.
    with suppress(psycopg.Error):
        rep.execute(f'alter role current_user set role = "{other}"'.encode())
    with company.log_in(REP) as again:
        assert reps_seen(company, again) == {REP}
    with suppress(psycopg.Error):
        rep.execute("alter role current_user reset role")
    assert reps_seen(company, rep) == {REP}


def test_a_rep_who_becomes_an_admin_or_leaves_is_taken_from_the_service(
    company: Company, service: psycopg.Connection
) -> None:
    role = company.role_of(OTHER)
    set_role = f'set role "{role}"'
    before = company.zone.landing.read("reference/sales_reps.xlsx")
    assert before is not None
    for change in ({"Permission": "admin"}, {"Active": "No"}):
        with psycopg.connect(company.zone.database_url, autocommit=True) as owner:
            let_become(owner, service.info.user, [role])
        service.execute(set_role.encode())
        service.execute("reset role")
        company.change("sales_reps", {OTHER: change})
        company.zone.run()
        build_marts(company.zone.database_url, f"{OTHER} {change}")
        company.sync()

        with pytest.raises(errors.InsufficientPrivilege):
            service.execute(set_role.encode())

        company.zone.drop("reference/sales_reps.xlsx", before)
        company.zone.run()
        build_marts(company.zone.database_url, f"{OTHER} as before {change}")
        company.sync()


@dataclass
class Changed:
    """What sessions from before saw after a change of the people was published, and after the sync."""

    between: dict[str, set[str]]
    after: dict[str, set[str]]
    ended: set[str]


RENAMED, NEW_NAME, ONE, TWO, LEAVER = (
    "Priya Venkatesan", "Priya Ramanathan", "Caleb Ostrander", "Mateo Quiroga", "Wren Calloway",
)  # fmt: skip


@pytest.fixture(scope="module")
def changed(company: Company) -> Changed:
    """One is renamed, two swap names, one leaves; each has a session open with a prepared statement."""
    sessions = {name: company.log_in(name) for name in (RENAMED, ONE, TWO, LEAVER, OTHER)}
    for session in sessions.values():
        session.execute(f"prepare p as select distinct rep_name from {SALES}".encode())
    rename = {RENAMED: {"Sales Rep Name": NEW_NAME}}
    swap = {ONE: {"Sales Rep Name": TWO}, TWO: {"Sales Rep Name": ONE}}
    company.change("sales_reps", {**rename, **swap, LEAVER: {"Active": "No"}})
    for table in ("territories", "commission_tiers"):
        company.change(table, rename)
    company.zone.run()
    build_marts(company.zone.database_url, "people changed")
    between = {name: _seen(session) for name, session in sessions.items()}
    company.sync()
    after, ended = {}, set()
    for name, session in sessions.items():
        try:
            after[name] = _seen(session)
        except psycopg.OperationalError:
            ended.add(name)
        session.close()
    return Changed(between, after, ended)


def _seen(session: psycopg.Connection) -> set[str]:
    statements = ("execute p", f"select distinct rep_name from {SALES}", "select marts.session_rep()")
    return {name for statement in statements for (name,) in rows(session, statement) if name}


@pytest.mark.slow
def test_between_a_change_of_names_and_the_roles_nobody_sees_anothers_rows(changed: Changed) -> None:
    # A login is a payee's, whatever the name: the same rows as once the roles have followed.
    assert changed.between == {
        RENAMED: {NEW_NAME}, ONE: {TWO}, TWO: {ONE}, LEAVER: set(), OTHER: {OTHER},
    }  # fmt: skip


@pytest.mark.slow
def test_once_the_roles_follow_everybody_sees_the_rows_of_the_new_name(
    company: Company, changed: Changed
) -> None:
    assert changed.after[ONE] == {TWO}  # the workbook says that this address is of that name now
    assert changed.after[TWO] == {ONE}
    assert changed.after[RENAMED] == {NEW_NAME}
    assert changed.after[OTHER] == {OTHER}
    with company.log_in(NEW_NAME) as session:
        assert rows(session, f"select distinct rep_name from {SALES}") == [(NEW_NAME,)]


@pytest.mark.slow
def test_who_was_deactivated_is_out(company: Company, changed: Changed) -> None:
    from shs_pipeline.base.errors import ShsError

    assert changed.ended == {LEAVER}
    with pytest.raises(ShsError, match="may log in"):
        company.url_of(LEAVER)
