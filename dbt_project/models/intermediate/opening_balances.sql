{#- What the workbook says was paid, next to what is computed of the same months. Of a name and what it was called
    before, the row of today's name counts. -#}
with

rows as (

    select * from {{ ref('stg_opening_balances') }} where state = 'now'

),

reps as (

    select * from {{ ref('names') }} where state = 'now' and kind = 'rep'

),

product_lines as (

    select * from {{ ref('names') }} where state = 'now' and kind = 'product line'

),

payouts as (

    {{ gathered_payouts(['rows.payee_id', 'rows.product_line_id', 'rows.payout', 'rows.commission_month']) | indent }}

),

known as (

    select distinct on (reps.id, product_lines.id, rows.commission_month)
        rows.*,
        reps.id as payee_id,
        product_lines.id as product_line_id,
        product_lines.name as spelled

    from rows
    inner join reps on reps.name_key = rows.rep_key
    inner join product_lines on product_lines.name_key = rows.product_key
    order by
        reps.id,
        product_lines.id,
        rows.commission_month,
        rows.rep_key <> ops.match_key(reps.name),
        rows.product_key <> ops.match_key(product_lines.name),
        rows.rep_key collate "C",
        rows.product_key collate "C"

)

select
    known.source_sheet,
    known.source_row,
    known.payee_id,
    known.sales_rep_name,
    known.product_line_id,
    known.spelled as product_line,
    known.paid,
    payouts.payout,
    known.commission_month

from known
left join payouts using (payee_id, product_line_id, commission_month)
