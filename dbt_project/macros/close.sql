{#- The close is a part of the publication: what was closed is exactly what was published. -#}
{% macro post_to_ledger() -%}

-- What is taken back keeps its entries; equal and opposite ones follow.
insert into ledger.closes (
    close_no, kind, pay_period, replaces, approved_by, approved_by_id, actor, note, publication_id, inputs
)
select
    (select coalesce(max(close_no), 0) from ledger.closes)
    + row_number() over (order by decisions.pay_period desc),
    'reopened',
    decisions.pay_period,
    decisions.last_close_no,
    decisions.approved_by,
    decisions.approved_by_id,
    {{ actor_of_workbook() }},
    decisions.note,
    published.publication_id,
    {{ files_in_force() }}
from intermediate.close_decisions as decisions
cross join (select max(publication_id) as publication_id from marts.publications) as published
where decisions.is_reopened;

insert into ledger.entries (
    close_no, entry_no, kind, payee_id, product_line_id, product_line, earned_month, pay_period, statement_number,
    amount, words, place
)
select
    closes.close_no, entries.entry_no,
    case when entries.kind in ('adjustment', 'draw', 'recovered') then entries.kind else 'reversal' end,
    entries.payee_id, entries.product_line_id, entries.product_line,
    entries.earned_month, entries.pay_period, entries.statement_number, -entries.amount, closes.note,
    entries.place
from ledger.closes as closes
inner join ledger.entries as entries on entries.close_no = closes.replaces
where
    closes.kind = 'reopened'
    and closes.publication_id = (select max(publication_id) from marts.publications);

insert into ledger.closes (
    close_no, kind, pay_period, replaces, approved_by, approved_by_id, actor, pay_date, note, publication_id,
    inputs
)
select
    (select coalesce(max(close_no), 0) from ledger.closes) + row_number() over (order by decisions.pay_period),
    'closed',
    decisions.pay_period,
    (
        select max(closes.close_no) from ledger.closes as closes
        where closes.pay_period = decisions.pay_period and closes.kind = 'closed'
    ),
    decisions.approved_by,
    decisions.approved_by_id,
    {{ actor_of_workbook() }},
    decisions.pay_date,
    decisions.note,
    published.publication_id,
    {{ files_in_force() }}
from intermediate.close_decisions as decisions
cross join (select max(publication_id) as publication_id from marts.publications) as published
where decisions.is_closing;

insert into ledger.statements (
    number, replaces, close_no, payee_id, rep_name, payroll_code, paid_as, pay_period, pay_date, earned, restated,
    adjustments, recovered, brought_forward, due, paid, carried_forward, draw_balance
)
select
    statements.number, statements.replaces, closes.close_no, statements.payee_id, statements.rep_name,
    statements.payroll_code, statements.paid_as, statements.pay_period, statements.pay_date, statements.earned,
    statements.restated, statements.adjustments, statements.recovered, statements.brought_forward, statements.due,
    statements.paid, statements.carried_forward, statements.draw_balance
from {{ closes_of_this_publication() }} as closes
inner join marts.statements as statements on statements.pay_period = closes.pay_period;

-- The first close of all takes what came before it as paid elsewhere.
insert into ledger.entries (
    close_no, entry_no, kind, payee_id, product_line_id, product_line, earned_month, pay_period, statement_number,
    amount, words, place
)
select
    close_no,
    row_number() over (
        partition by close_no
        order by kind, payee_id collate "C", product_line_id collate "C", earned_month, item_no
    ),
    kind, payee_id, product_line_id, product_line, earned_month, pay_period, number, amount, words, place
from (
    select
        closes.close_no, opening.kind, opening.payee_id, opening.product_line_id, opening.product_line,
        opening.earned_month, opening.pay_period, null as number, opening.amount, opening.words,
        1 as item_no, null as place
    from {{ closes_of_this_publication() }} as closes
    inner join intermediate.opening_entries as opening on opening.pay_period = closes.pay_period

    union all

    select
        closes.close_no, items.kind, items.payee_id, items.product_line_id, items.product_line,
        items.earned_month, items.pay_period, items.number, items.amount, items.words, items.item_no,
        amounts.place
    from {{ closes_of_this_publication() }} as closes
    inner join marts.statement_items as items on items.pay_period = closes.pay_period
    left join intermediate.statement_amounts as amounts
        on
            amounts.payee_id = items.payee_id
            and amounts.pay_period = items.pay_period
            and amounts.kind = items.kind
            and amounts.product_line_id = items.product_line_id
            and amounts.earned_month = items.earned_month
            and amounts.item_no = items.item_no
    where items.kind in ('earned', 'restated', 'reclassified', 'adjustment', 'draw', 'recovered')
) as new_entries;

insert into ledger.statement_product_lines (
    statement_number, product_line_id, product_line, tier, sales_actual, cumulative_sales, threshold,
    deferred_balance, released, payout
)
select
    statements.number, payouts.product_line_id, payouts.product_line, payouts.tier, payouts.sales_actual,
    payouts.cumulative_sales, payouts.threshold, payouts.deferred_balance, payouts.released, payouts.payout
from {{ closes_of_this_publication() }} as closes
inner join ledger.statements as statements on statements.close_no = closes.close_no
inner join marts.commission_payouts as payouts
    on payouts.payee_id = statements.payee_id and payouts.commission_month = statements.pay_period;

insert into ledger.statement_lines (
    statement_number, line_no, credit_id, line_id, source, product_line_id, product_line, revenue_date, customer,
    invoice_number, item, credit_share, sales_actual, rev_actual, tier_1_rate, tier_2_rate, paid, held_back,
    source_file, source_sheet, source_row
)
select
    lines.number, lines.line_no, lines.credit_id, lines.line_id, lines.source, lines.product_line_id,
    lines.product_line, lines.revenue_date, lines.customer, lines.invoice_number, lines.item, lines.credit_share,
    lines.sales_actual, lines.rev_actual, lines.tier_1_rate, lines.tier_2_rate, lines.paid, lines.held_back,
    lines.source_file, lines.source_sheet, lines.source_row
from {{ closes_of_this_publication() }} as closes
inner join marts.statement_lines as lines on lines.pay_period = closes.pay_period;

insert into ledger.identities (close_no, place, kind, id, known)
select closes.close_no, identities.place, identities.kind, identities.id, identities.known
from {{ closes_of_this_publication() }} as closes
cross join reference.identities as identities;
{%- endmacro %}


{% macro closes_of_this_publication() -%}
(
    select * from ledger.closes
    where kind = 'closed' and publication_id = (select max(publication_id) from marts.publications)
)
{%- endmacro %}


{#- Who brought the workbook that asks for it: what stands in Approved By proves nothing by itself. -#}
{% macro actor_of_workbook() -%}
(
    select files.actor
    from reference.versions as versions
    inner join ops.files as files using (file_id)
    where versions.table_name = 'pay_periods' and versions.in_force_until is null
)
{%- endmacro %}


{% macro files_in_force() -%}
(select coalesce(jsonb_object_agg(path, sha256), '{}') from ops.files where status = 'loaded')
{%- endmacro %}
