{#- Written once, when the month closes: a full refresh reads the ledger's again. -#}
with

lines as (

    {{ gathered_lines(
        [
            'rows.credit_id', 'rows.line_id', 'rows.source', 'rows.payee_id', 'rows.product_line_id',
            'rows.product_line', 'rows.revenue_date', 'rows.commission_month', 'rows.customer', 'rows.invoice_number',
            'rows.item', 'rows.credit_share', 'rows.sales_actual', 'rows.rev_actual', 'rows.tier_1_rate',
            'rows.tier_2_rate', 'rows.commission_tier_1', 'rows.commission_tier_2_diff', 'rows.source_file',
            'rows.source_sheet', 'rows.source_row',
        ],
        'close_decisions',
        'scope.is_closing and scope.pay_period = rows.commission_month'
    ) }}

),

payouts as (

    {{ gathered_payouts(
        ['rows.payee_id', 'rows.product_line_id', 'rows.commission_month', 'rows.tier', 'rows.threshold'],
        'close_decisions',
        'scope.is_closing and scope.pay_period = rows.commission_month'
    ) }}

),

closing as (

    select * from {{ ref('statements') }} where publication_id = {{ var('publication_id') }}

)

select
    closing.payee_id,
    closing.rep_name,
    closing.number,
    lines.credit_id,
    lines.line_id,
    lines.source,
    lines.product_line_id,
    lines.product_line,
    lines.customer,
    lines.invoice_number,
    lines.item,
    lines.source_file,
    lines.source_sheet,
    lines.source_row,
    row_number() over (
        partition by closing.number
        order by
            lines.product_line collate "C",
            lines.source_file collate "C",
            lines.source_sheet collate "C",
            lines.source_row,
            lines.credit_id collate "C"
    ) as line_no,
    lines.credit_share,
    lines.sales_actual,
    lines.rev_actual,
    lines.tier_1_rate,
    lines.tier_2_rate,
    (lines.commission_tier_1 + case when payouts.tier = 2 then lines.commission_tier_2_diff else 0 end)::numeric(15, 2)
    as paid,
    -- Only what has a threshold can ever be released.
    (case when payouts.tier = 1 and payouts.threshold is not null then lines.commission_tier_2_diff else 0 end)::numeric(15, 2)
    as held_back,
    closing.pay_period,
    lines.revenue_date

from closing
inner join lines on lines.payee_id = closing.payee_id and lines.commission_month = closing.pay_period
inner join payouts
    on
        payouts.payee_id = lines.payee_id
        and payouts.product_line_id = lines.product_line_id
        and payouts.commission_month = lines.commission_month
{% if flags.FULL_REFRESH %}
union all

select
    statements.payee_id,
    statements.rep_name,
    statements.number,
    lines.credit_id,
    lines.line_id,
    lines.source,
    lines.product_line_id,
    lines.product_line,
    lines.customer,
    lines.invoice_number,
    lines.item,
    lines.source_file,
    lines.source_sheet,
    lines.source_row,
    lines.line_no,
    lines.credit_share,
    lines.sales_actual,
    lines.rev_actual,
    lines.tier_1_rate,
    lines.tier_2_rate,
    lines.paid,
    lines.held_back,
    statements.pay_period,
    lines.revenue_date

from {{ source('ledger', 'statement_lines') }} as lines
inner join {{ ref('statements') }} as statements on statements.number = lines.statement_number
{% endif %}
