-- What was stated and paid: written by the publication that closes a month (`dbt_project/macros/close.sql`), and
-- never changed or deleted by anybody.
create schema if not exists ledger;

create table if not exists ledger.closes (
    close_no integer primary key,
    kind text not null check (kind in ('closed', 'reopened')),
    pay_period date not null,
    replaces integer references ledger.closes,
    approved_by text,
    approved_by_id text,
    actor text,
    pay_date date,
    note text,
    publication_id bigint not null,
    inputs jsonb not null,
    closed_at timestamptz not null default clock_timestamp()
);

create table if not exists ledger.statements (
    number text primary key,
    replaces text references ledger.statements,
    close_no integer not null references ledger.closes,
    payee_id text not null,
    rep_name text not null,
    payroll_code text,
    paid_as text,
    pay_period date not null,
    pay_date date,
    earned numeric(15, 2) not null,
    restated numeric(15, 2) not null,
    adjustments numeric(15, 2) not null,
    recovered numeric(15, 2) not null,
    brought_forward numeric(15, 2) not null,
    due numeric(15, 2) not null,
    paid numeric(15, 2) not null,
    carried_forward numeric(15, 2) not null,
    draw_balance numeric(15, 2) not null,
    check (due = earned + restated + adjustments + recovered + brought_forward),
    check (paid = greatest(due, 0) and carried_forward = least(due, 0))
);
create index if not exists statements_by_close on ledger.statements (close_no);

-- The kinds are no list: another one needs no change here.
create table if not exists ledger.entries (
    close_no integer not null references ledger.closes,
    entry_no integer not null,
    kind text not null,
    payee_id text not null,
    product_line_id text not null,
    product_line text not null,
    earned_month date not null,
    pay_period date not null,
    statement_number text references ledger.statements,
    amount numeric(15, 2) not null,
    words text not null,
    primary key (close_no, entry_no)
);
alter table ledger.entries add column if not exists place text;
create index if not exists entries_by_key on ledger.entries (payee_id, product_line_id, earned_month);

create table if not exists ledger.statement_product_lines (
    statement_number text not null references ledger.statements,
    product_line_id text not null,
    product_line text not null,
    tier integer not null,
    sales_actual numeric(15, 2) not null,
    cumulative_sales numeric(15, 2) not null,
    threshold numeric(15, 2),
    deferred_balance numeric(15, 2) not null,
    released numeric(15, 2) not null,
    payout numeric(15, 2) not null,
    primary key (statement_number, product_line_id)
);

create table if not exists ledger.statement_lines (
    statement_number text not null references ledger.statements,
    line_no integer not null,
    credit_id text not null,
    line_id text not null,
    source text not null,
    product_line_id text not null,
    product_line text not null,
    revenue_date date not null,
    customer text,
    invoice_number text,
    item text,
    credit_share numeric not null,
    sales_actual numeric(15, 2) not null,
    rev_actual numeric(15, 2) not null,
    tier_1_rate numeric(9, 6),
    tier_2_rate numeric(9, 6),
    paid numeric(15, 2) not null,
    held_back numeric(15, 2) not null,
    source_file text not null,
    source_sheet text not null,
    source_row bigint not null,
    primary key (statement_number, line_no)
);

-- Who was who at each close: ids that are given again from the bucket alone are the same.
create table if not exists ledger.identities (
    close_no integer not null references ledger.closes,
    place integer not null,
    kind text not null,
    id text not null,
    known jsonb not null,
    primary key (close_no, place)
);

-- Where this ledger was read back from the bucket: written once, before anything else was closed.
create table if not exists ledger.recoveries (
    last_close_no integer primary key references ledger.closes,
    recovered_at timestamptz not null default clock_timestamp()
);

-- What was handed out of each close: written once its files lie in the landing zone.
create table if not exists ledger.receipts (
    close_no integer primary key references ledger.closes,
    folder text not null,
    sha256 text not null,
    receipt text not null
);

create or replace function ledger.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
    raise exception 'the ledger is never changed: % of ledger.% is refused', lower(tg_op), tg_table_name
        using hint = 'What is wrong in a closed month is put right by a restatement in the open one.';
end
$$;
revoke all on function ledger.refuse_change() from public;
do $$
declare
    name text;
begin
    for name in select relname from pg_class where relnamespace = 'ledger'::regnamespace and relkind = 'r'
    loop
        execute format(
            'create or replace trigger never_changed before update or delete or truncate on ledger.%I'
            ' for each statement execute function ledger.refuse_change()',
            name
        );
        execute format('revoke all on ledger.%I from public', name);
    end loop;
end
$$;

comment on schema ledger is 'What was stated and paid; only ever added to.';
comment on table ledger.closes is 'Every close of a month and every reopening, numbered from 1 on.';
comment on column ledger.closes.replaces is
    'Of a reopening: the close that it takes back. Of a close: the close of the month before it was reopened.';
comment on column ledger.closes.inputs is 'Path and SHA-256 of every file in force.';
comment on table ledger.statements is 'What one payee was told and paid for one pay period.';
comment on table ledger.entries is
    'Amounts by payee, product line and earned month: their sum is what the month came to at the last close.';
comment on column ledger.entries.kind is
    'opening: paid before the first close; opening without lines: the same where no line was there to compare '
    'it with. earned, restated, reclassified: as on the statement. '
    'adjustment, draw (an adjustment that is recovered later), recovered: as on the statement, and of the opposite sign '
    'where a reopening takes one back. reversal: takes back any other entry of a close that was reopened.';
comment on column ledger.entries.place is 'Of an adjustment: file, sheet and row.';
comment on column ledger.entries.statement_number is 'Null for an opening entry.';
comment on table ledger.statement_product_lines is 'Where the payee stood in each product line.';
comment on table ledger.identities is 'What was known of the ids of payees and product lines.';
comment on table ledger.recoveries is 'The last close that was read back from the bucket after the database was lost.';
comment on table ledger.receipts is 'What was handed out of each close, by the receipt in its folder.';
comment on table ledger.statement_lines is 'The lines of the pay period as they were.';
