"""The warehouse's own tables: `raw` and `reference` from the contracts, `ops` for the bookkeeping."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from psycopg import sql

from shs_pipeline import match_keys
from shs_pipeline.errors import ShsError
from shs_pipeline.reference import all_tables
from shs_pipeline.sources import all_sources

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.contract import Column
    from shs_pipeline.source import Declaration

# Whoever changes the tables takes this lock first, so that two first runs do not collide.
_SCHEMA_LOCK = "shs/schema"

_OPS = """
create schema if not exists ops;
create schema if not exists raw;
create schema if not exists reference;

create sequence if not exists ops.changes;

create table if not exists ops.files (
    file_id bigint generated always as identity primary key,
    source text,
    commission_month date,
    revenue_month date,
    path text not null,
    uri text not null,
    sha256 text,
    bytes bigint not null,
    etag text not null,
    status text not null check (status in ('loaded', 'rejected', 'superseded', 'withdrawn')),
    rows_read bigint not null default 0,
    rows_loaded bigint not null default 0,
    left_out jsonb not null default '{}',
    sums jsonb not null default '{}',
    totals jsonb not null default '[]',
    error_count bigint not null default 0,
    warning_count bigint not null default 0,
    problem text,
    remedy text,
    error_workbook text,
    blocked_by bigint references ops.files,
    run_id text not null,
    first_seen timestamptz not null default now(),
    finished timestamptz not null default now(),
    change_no bigint not null
);
create unique index if not exists files_one_in_force on ops.files (path) where status = 'loaded';
create unique index if not exists files_one_rejected on ops.files (path) where status = 'rejected';
create unique index if not exists files_bytes_once on ops.files (sha256) where status = 'loaded';
create index if not exists files_by_partition on ops.files (source, commission_month);

-- Of before changes had numbers: they get one in the order of the clock, once.
do $$
begin
    if not exists (
        select from pg_attribute where attrelid = 'ops.files'::regclass and attname = 'change_no'
    ) then
        alter table ops.files add column change_no bigint;
        update ops.files set change_no = numbered.change_no
        from (
            select file_id, row_number() over (order by finished, file_id) as change_no from ops.files
        ) as numbered
        where numbered.file_id = files.file_id;
        alter table ops.files alter column change_no set not null;
        perform setval('ops.changes', max(change_no)) from ops.files having count(*) > 0;
    end if;
end
$$;
drop index if exists ops.files_by_finish;
drop index if exists ops.files_gone;
create index if not exists files_by_change on ops.files (change_no);
create index if not exists files_gone_by_change on ops.files (source, change_no)
    where status in ('superseded', 'withdrawn') and rows_loaded > 0;

create table if not exists ops.file_errors (
    file_id bigint not null references ops.files on delete cascade,
    error_no integer not null,
    severity text not null check (severity in ('error', 'warning')),
    sheet text,
    "row" bigint,
    "column" text,
    value text,
    problem text not null,
    remedy text not null,
    primary key (file_id, error_no)
);

create table if not exists ops.folders (
    folder text primary key,
    fingerprint text not null,
    rows_in_force bigint not null default 0,
    rows_before bigint not null default 0,
    run_id text not null,
    finished timestamptz not null default now()
);

-- The numbers of changes rise in the order in which builds can see them, whatever the clock says: each is
-- drawn under a lock that is held until the commit, and that a build takes from everybody.
create or replace function ops.number_change() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
    lock table ops.folders in row exclusive mode;
    new.change_no := nextval('ops.changes');
    return new;
end
$$;
revoke all on function ops.number_change() from public;
create or replace trigger number_change before insert or update on ops.files
    for each row execute function ops.number_change();

create table if not exists ops.holds (
    hold_id bigint generated always as identity primary key,
    problem text not null,
    remedy text not null,
    begun_at timestamptz not null default now(),
    ended_at timestamptz,
    is_open boolean generated always as (ended_at is null) stored
);
create unique index if not exists holds_one_open on ops.holds (is_open) where is_open;

create table if not exists reference.versions (
    file_id bigint primary key references ops.files,
    table_name text not null,
    in_force_from timestamptz not null default now(),
    in_force_until timestamptz
);
create unique index if not exists versions_one_in_force
    on reference.versions (table_name) where in_force_until is null;

create table if not exists ops.logins (
    login_id bigint generated always as identity primary key,
    role_name text not null unique deferrable initially deferred,
    secret_name text unique,
    email text not null,
    rep_name text not null,
    permission text not null check (permission in ('admin', 'user')),
    state text not null check (state in ('active', 'disabled', 'leaving')),
    must_end_sessions boolean not null default false,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now()
);

create table if not exists ops.impersonators (
    role_name text primary key
);

create table if not exists ops.metabase_objects (
    kind text not null,
    key text not null,
    metabase_id bigint,
    content_hash text not null default '',
    name text not null default '',
    is_made boolean not null default true,
    changed_at timestamptz not null default now(),
    primary key (kind, key)
);

create table if not exists ops.notice_marks (
    only_one boolean primary key default true check (only_one),
    begun_at timestamptz not null default now(),
    file_id bigint not null default 0,
    hold_id bigint not null default 0,
    publication_id bigint not null default 0,
    server_tries integer not null default 0,
    server_after timestamptz
);
-- What is in the books when notices begin is never told. An outbox of before it had these numbers gets those
-- of what its times made the past, once.
do $$
declare
    is_numbered boolean := exists (
        select from pg_attribute where attrelid = 'ops.notice_marks'::regclass and attname = 'file_id'
    );
    begun timestamptz := 'infinity';
    published bigint := 0;
begin
    if not is_numbered then
        alter table ops.notice_marks add column file_id bigint not null default 0;
        alter table ops.notice_marks add column hold_id bigint not null default 0;
        begun := coalesce((select begun_at from ops.notice_marks), begun);
    end if;
    if is_numbered and exists (select from ops.notice_marks) then
        return;
    end if;
    if to_regclass('marts.publications') is not null then
        select coalesce(max(publication_id), 0) into published
        from marts.publications where published_at <= begun;
    end if;
    insert into ops.notice_marks (file_id, hold_id, publication_id)
    values (
        (select coalesce(max(file_id), 0) from ops.files where first_seen <= begun),
        (select coalesce(max(hold_id), 0) from ops.holds where begun_at <= begun),
        published
    )
    on conflict (only_one) do update set
        file_id = excluded.file_id,
        hold_id = excluded.hold_id,
        publication_id = greatest(notice_marks.publication_id, excluded.publication_id);
end
$$;

create table if not exists ops.notices (
    notice_id bigint generated always as identity primary key,
    kind text not null check (
        kind in ('rejected_file', 'failed_run', 'missing_source', 'published_month', 'published', 'metabase')
    ),
    key text not null unique,
    rep_name text,
    subject text not null,
    body text not null,
    file_id bigint references ops.files,
    attachment text,
    state text not null default 'new'
        check (state in ('new', 'addressed', 'logged', 'overtaken', 'nobody')),
    created_at timestamptz not null default clock_timestamp(),
    settled_at timestamptz
);
do $$
begin
    if not exists (
        select from pg_constraint
        where conrelid = 'ops.notices'::regclass and pg_get_constraintdef(oid) like '%''metabase''%'
    ) then
        alter table ops.notices drop constraint notices_kind_check;
        alter table ops.notices add constraint notices_kind_check check (
            kind in (
                'rejected_file', 'failed_run', 'missing_source', 'published_month', 'published', 'metabase'
            )
        );
    end if;
end
$$;
create index if not exists notices_new on ops.notices (notice_id) where state = 'new';
create index if not exists notices_by_file on ops.notices (file_id) where file_id is not null;

create table if not exists ops.mails (
    mail_id bigint generated always as identity primary key,
    recipient text not null,
    message_id text not null unique,
    state text not null check (state in ('sending', 'waiting', 'sent', 'given_up')),
    attempts integer not null default 0,
    try_after timestamptz,
    last_error text,
    created_at timestamptz not null default clock_timestamp(),
    claimed_at timestamptz,
    sent_at timestamptz
);
create index if not exists mails_open on ops.mails (mail_id) where state in ('sending', 'waiting');
create index if not exists mails_by_recipient on ops.mails (recipient, mail_id);

create table if not exists ops.notice_mails (
    notice_id bigint not null references ops.notices,
    recipient text not null,
    mail_id bigint references ops.mails,
    primary key (notice_id, recipient)
);
create index if not exists notice_mails_waiting on ops.notice_mails (recipient) where mail_id is null;
create index if not exists notice_mails_by_mail on ops.notice_mails (mail_id);

comment on table ops.files is 'Every version of every file that was ever dropped.';
comment on column ops.files.status is
    'loaded: its lines are in force. rejected: it lies in the bucket and is not loaded. '
    'superseded: a later drop took its place. withdrawn: it was deleted from the bucket.';
comment on column ops.files.change_no is
    'Number of the last change of this row: what came after what, which times do not tell.';
comment on sequence ops.changes is 'Counts the changes of the books.';
comment on column ops.files.blocked_by is 'The file for whose sake this one is rejected as a copy.';
comment on table ops.file_errors is 'Every error and warning found in a dropped file.';
comment on table ops.folders is 'The state of each folder of the bucket that was last ingested.';
comment on column ops.folders.rows_before is 'Lines in force before the run that wrote this row.';
comment on table ops.holds is 'When a mass withdrawal was held, and until when; see shs_pipeline/holding.py.';
comment on table ops.logins is 'The login roles of people; shs_pipeline/access.py keeps them.';
comment on column ops.logins.secret_name is 'The name of the password where SHS_SECRETS keeps it.';
comment on column ops.logins.must_end_sessions is 'Sessions from before a change are still to be ended.';
comment on table ops.impersonators is
    'Logins of services that stand for the rep whose role they have taken on, and see nothing otherwise.';
comment on table ops.metabase_objects is
    'What shs_pipeline/metabase made in Metabase: which of ours is which of theirs, and what it holds.';
comment on column ops.metabase_objects.content_hash is 'Of what was last written; empty until it was.';
comment on column ops.metabase_objects.is_made is 'False: it was there before and is not ours to delete.';
comment on table ops.notice_marks is 'One row: since when notices are kept, and how far they are derived.';
comment on column ops.notice_marks.begun_at is 'Months that were due before this are not told as missing.';
comment on column ops.notice_marks.file_id is 'The last version of a file of before notices were kept.';
comment on column ops.notice_marks.hold_id is 'The last held withdrawal of before notices were kept.';
comment on column ops.notice_marks.publication_id is 'The last publication that was told.';
comment on column ops.notice_marks.server_after is 'The mail server did not answer: not before this again.';
comment on table ops.notices is 'What happened and whom it concerns, each thing once.';
comment on column ops.notices.rep_name is 'The rep whom it concerns; null: the admins.';
comment on column ops.notices.attachment is 'Path in the landing zone of the file that goes with it.';
comment on column ops.notices.state is
    'new: to be addressed. addressed: see ops.notice_mails. logged: there was no mail server. '
    'overtaken: fixed before it was mailed. nobody: the rep may not log in.';
comment on table ops.mails is 'Every mail: one or more notices to one person.';
comment on column ops.mails.state is
    'sending: claimed by a process. waiting: to be tried again. sent: a server took it. '
    'given_up: it cannot be delivered.';
comment on table ops.notice_mails is 'Who is told of a notice, and in which mail; null: in none so far.';
comment on table reference.versions is 'When each accepted version of a reference table was in force.';
"""

LINE_COLUMNS = (
    ("file_id", "bigint not null"),
    ("source_sheet", "text not null"),
    ("source_row", "bigint not null"),
)
PARTITION_COLUMNS = (
    ("commission_month", "date not null"),
    ("revenue_date", "date not null"),
    ("line_key", "bigint not null"),
)


def ensure_tables(connection: psycopg.Connection) -> None:
    """Create what is missing and add the columns that contracts have gained, in one transaction.

    Raises:
        ShsError: a column of a contract changed its type.
    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [_SCHEMA_LOCK])
        connection.execute("set local client_min_messages = warning")
        connection.execute(_OPS)
        connection.execute(match_keys.match_key_functions().encode())
        for source in all_sources():
            _ensure_table(connection, "raw", source)
        for table in all_tables():
            _ensure_table(connection, "reference", table)
        connection.execute(sql.SQL("comment on schema raw is {}").format(sql.Literal(contracts_mark())))


def has_tables(connection: psycopg.Connection) -> bool:
    """Whether the tables are those of today's contracts."""
    row = connection.execute("select obj_description(to_regnamespace('raw'), 'pg_namespace')").fetchone()
    return bool(row and row[0] == contracts_mark())


@cache
def contracts_mark() -> str:
    """Return a text that changes with any contract or table."""
    from shs_pipeline.contract import columns_of

    parts = [
        _OPS,
        match_keys.TEMPLATE,
        *(repr(columns_of(declared.rows)) for declared in (*all_sources(), *all_tables())),
    ]
    return f"Lines as delivered; contracts {sha256(''.join(parts).encode()).hexdigest()[:12]}"


def added_columns(schema: str) -> tuple[tuple[str, str], ...]:
    """Return the columns that every table of a schema has besides its contract's, with types."""
    return (*LINE_COLUMNS, *PARTITION_COLUMNS) if schema == "raw" else LINE_COLUMNS


def _ensure_table(connection: psycopg.Connection, schema: str, declaration: Declaration) -> None:
    from shs_pipeline.contract import columns_of

    table = sql.Identifier(schema, declaration.name)
    columns = columns_of(declaration.rows)
    definitions: list[sql.Composable] = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in added_columns(schema)
    ]
    definitions += [_definition(column) for column in columns]
    connection.execute(
        sql.SQL("create table if not exists {} ({}, primary key (file_id, source_row, source_sheet))").format(
            table, sql.SQL(", ").join(definitions)
        )
    )
    _follow_contract(connection, schema, declaration.name, columns)
    summary = (declaration.rows.__doc__ or "").strip().splitlines()[0]
    connection.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(summary)))
    if schema == "raw":
        for column in ("commission_month", "line_key"):
            connection.execute(
                sql.SQL("create index if not exists {} on {} ({})").format(
                    sql.Identifier(f"{declaration.name}_{column}"), table, sql.Identifier(column)
                )
            )


def _definition(column: Column) -> sql.Composable:
    kind = column.sql_type + (" not null" if column.is_required else "")
    return sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(kind))


def _follow_contract(
    connection: psycopg.Connection, schema: str, name: str, columns: tuple[Column, ...]
) -> None:
    """Bring an older table to today's contract where that loses nothing, and comment its columns."""
    table = sql.Identifier(schema, name)
    found = {
        column: (kind, is_nullable == "YES")
        for column, kind, is_nullable in connection.execute(
            "select column_name, data_type, is_nullable from information_schema.columns"
            " where table_schema = %s and table_name = %s",
            [schema, name],
        )
    }
    for column in columns:
        identifier = sql.Identifier(column.name)
        if column.name not in found:
            # Older lines have no value for it, so it cannot be required of them.
            add = sql.SQL("alter table {} add column {} {}")
            connection.execute(add.format(table, identifier, sql.SQL(column.sql_type)))
        elif found[column.name][0] != column.sql_type:
            raise ShsError(
                f"{schema}.{name}.{column.name} is {found[column.name][0]} in the database, but the contract "
                f"says {column.sql_type}.",
                f"Rename or drop the column, then run `shs run --all --source {name}`.",
            )
        elif not column.is_required and not found[column.name][1]:
            connection.execute(
                sql.SQL("alter table {} alter column {} drop not null").format(table, identifier)
            )
        comment = sql.SQL("comment on column {} is {}")
        connection.execute(
            comment.format(sql.Identifier(schema, name, column.name), sql.Literal(column.description))
        )
