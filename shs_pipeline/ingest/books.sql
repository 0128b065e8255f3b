-- The schemas of the warehouse and the tables of its books; run whenever anything here has changed.
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

alter table ops.files add column if not exists actor text;
create table if not exists ops.arrivals (
    path text not null,
    etag text not null,
    actor text not null,
    told_at timestamptz not null default now(),
    primary key (path, etag)
);
create index if not exists files_gone_by_change on ops.files (source, change_no)
    where status in ('superseded', 'withdrawn') and rows_loaded > 0;

create table if not exists ops.written (
    path text primary key,
    etag text not null,
    made_from text not null,
    written_at timestamptz not null default now()
);

create table if not exists ops.unwritten (
    is_only boolean primary key default true check (is_only),
    problem text not null,
    remedy text not null,
    tried_at timestamptz not null default now()
);

create table if not exists ops.payout_changes (
    publication_id bigint not null,
    change_no integer not null,
    payee_id text not null,
    rep_name text not null,
    product_line text not null,
    words text not null,
    payout_before numeric(15, 2),
    payout_now numeric(15, 2),
    amount numeric(15, 2) not null,
    is_new boolean not null,
    commission_month date,
    published_at timestamptz not null,
    primary key (publication_id, change_no)
);

create table if not exists ops.restatement_reasons (
    payee_id text not null,
    product_line_id text not null,
    earned_month date not null,
    settled_by bigint not null,
    amount numeric(15, 2) not null,
    words text not null,
    primary key (payee_id, product_line_id, earned_month)
);

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

-- Whether a principal of S3 or an owner of files, such as AROA…:ann.gray@example.com or ann.gray, is this person.
create or replace function ops.is_actor(actor text, email text, rep_name text) returns boolean
language sql immutable set search_path = pg_catalog
as $$
    select coalesce(
        split_part(regexp_replace(lower(actor), '^.*[:/\\]', ''), '@', 1)
        in (split_part(lower(email), '@', 1), regexp_replace(lower(btrim(rep_name)), '\s+', '.', 'g')),
        false
    )
$$;
revoke all on function ops.is_actor(text, text, text) from public;

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
    -- Who dropped a file may be known later than the file: no figure changes with that.
    if tg_op = 'UPDATE' then
        if old.actor is null and new.actor is not null and new.finished = old.finished then
            return new;
        end if;
    end if;
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
-- A withdrawal is held before it is loaded, a build before it is published.
alter table ops.holds add column if not exists kind text not null default 'withdrawal'
    check (kind in ('withdrawal', 'publication'));
alter table ops.holds add column if not exists fingerprint text;
alter table ops.holds add column if not exists made_from text;
alter table ops.holds add column if not exists shown jsonb;
alter table ops.holds add column if not exists accepted_by text;
alter table ops.holds add column if not exists publication_id bigint;
drop index if exists ops.holds_one_open;
create unique index if not exists holds_one_open_of_kind on ops.holds (kind) where is_open;

create table if not exists reference.versions (
    file_id bigint primary key references ops.files,
    table_name text not null,
    in_force_from timestamptz not null default now(),
    in_force_until timestamptz
);
create unique index if not exists versions_one_in_force
    on reference.versions (table_name) where in_force_until is null;

-- Who is who: written by each build (`shs_pipeline/marts/identities.py`), given once and never taken back.
create table if not exists reference.payees (
    payee_id text primary key,
    first_name text not null,
    name_key text,
    given_at timestamptz not null default now()
);
create table if not exists reference.payee_names (
    name_key text primary key,
    payee_id text not null references reference.payees
);
create table if not exists reference.product_lines (
    product_line_id text primary key,
    name_key text not null unique,
    first_name text not null,
    given_no bigint generated always as identity,
    given_at timestamptz not null default now()
);
create table if not exists reference.product_line_names (
    name_key text primary key,
    product_line_id text not null references reference.product_lines,
    product_line text not null
);

-- All that it takes to give the same ids again; a close enters it into the ledger.
create table if not exists reference.identities (
    kind text not null check (kind in ('payee', 'product line')),
    place integer primary key,
    id text not null,
    known jsonb not null
);

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

alter table ops.logins add column if not exists payee_id text;
alter table ops.logins add column if not exists last_login_at timestamptz;

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
alter table ops.notices add column if not exists payee_id text;
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
comment on column ops.files.actor is
    'Who brought these bytes: owner of the file in a folder, principal of the event of S3; null: not known.';
comment on table ops.arrivals is 'Who put which version of a file into the bucket, as events of S3 tell.';
comment on column ops.arrivals.etag is 'Without quotes, as events write it.';
comment on sequence ops.changes is 'Counts the changes of the books.';
comment on column ops.files.blocked_by is 'The file for whose sake this one is rejected as a copy.';
comment on table ops.written is
    'START HERE.xlsx and the copies of reference workbooks that the system writes; never read.';
comment on table ops.payout_changes is
    'What each of the last publications changed in the payouts, in words, noted right after it.';
comment on table ops.restatement_reasons is
    'Why closed months come to something else than the last close settled, in words, noted before a publication.';
comment on column ops.restatement_reasons.settled_by is 'The publication that was the last close.';
comment on column ops.restatement_reasons.words is 'For the payee; empty where the reason is not known.';
comment on table ops.unwritten is 'Why the last run could not write them; empty when it could.';
comment on column ops.written.made_from is 'Checksum of what the copy follows from.';
comment on table ops.file_errors is 'Every error and warning found in a dropped file.';
comment on table ops.folders is 'The state of each folder of the bucket that was last ingested.';
comment on column ops.folders.rows_before is 'Lines in force before the run that wrote this row.';
comment on table ops.holds is 'When a mass withdrawal or a build was held, and until when.';
comment on column ops.holds.fingerprint is 'Of what a held build would change; only that can be accepted.';
comment on column ops.holds.made_from is 'State of the books that it was built from.';
comment on column ops.holds.shown is 'What it would change, as it is shown.';
comment on column ops.holds.accepted_by is 'Who accepted it; null where it was no longer needed.';
comment on column ops.holds.publication_id is 'The publication with which it ended.';
comment on table ops.logins is 'The login roles of people.';
comment on column ops.logins.payee_id is 'Whose login it is; null in an older one until roles follow.';
comment on column ops.logins.last_login_at is 'Last login to Metabase, as its last apply saw it.';
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
comment on column ops.notice_marks.hold_id is 'The last hold of before notices were kept.';
comment on column ops.notice_marks.publication_id is 'The last publication that was told.';
comment on column ops.notice_marks.server_after is 'The mail server did not answer: not before this again.';
comment on table ops.notices is 'What happened and whom it concerns, each thing once.';
comment on column ops.notices.rep_name is 'The rep whom it concerns; null: the admins.';
comment on column ops.notices.payee_id is 'The same by id, which stays when the name changes.';
comment on column ops.notices.attachment is 'Path in the landing zone of the file that goes with it.';
comment on column ops.notices.state is
    'new: to be addressed. addressed: see ops.notice_mails. logged: there was no mail server. '
    'overtaken: fixed before it was mailed. nobody: the rep may not log in.';
comment on table ops.mails is 'Every mail: one or more notices to one person.';
comment on column ops.mails.state is
    'sending: claimed by a process. waiting: to be tried again. sent: a server took it. '
    'given_up: it cannot be delivered.';
comment on table ops.notice_mails is 'Who is told of a notice, and in which mail; null: in none so far.';
comment on table reference.payees is 'Everybody who was ever in sales_reps, by id.';
comment on column reference.payees.first_name is 'Name under which the payee was first known.';
comment on column reference.payees.name_key is 'Name in the version in force; null: not listed.';
comment on table reference.payee_names is 'Whom each name of a rep stands for, past names and aliases too.';
comment on table reference.product_lines is 'Every name that a product line ever had, by id.';
comment on column reference.product_lines.given_no is 'Of names of one product line the first id holds.';
comment on table reference.identities is 'What is known of each id of a payee or product line, in the order of giving.';
comment on table reference.product_line_names is 'What each name of a product line stands for.';
comment on table reference.versions is 'When each accepted version of a reference table was in force.';
