{#- The marts are named each time, so that a reader's conditions reach their indexes. -#}
with

tier_1 as (

    select payouts.*, lines.line_id, 'tier 1' as part, lines.commission_tier_1 as amount, true as is_paid
    from {{ ref('commission_payouts') }} as payouts
    inner join {{ ref('harmonised_sales') }} as lines using (rep_name, product_line, commission_month)

),

tier_2 as (

    select
        payouts.*,
        lines.line_id,
        case when payouts.tier = 2 then 'tier 2 difference' else 'deferred' end as part,
        lines.commission_tier_2_diff as amount,
        payouts.tier = 2 as is_paid

    from {{ ref('commission_payouts') }} as payouts
    inner join {{ ref('harmonised_sales') }} as lines using (rep_name, product_line, commission_month)
    where lines.commission_tier_2_diff <> 0

),

released as (

    select
        payouts.*,
        lines.line_id,
        'released' as part,
        lines.commission_tier_2_diff as amount,
        true as is_paid

    from {{ ref('commission_payouts') }} as payouts
    inner join {{ ref('harmonised_sales') }} as lines
        on
            lines.rep_name = payouts.rep_name
            and lines.product_line = payouts.product_line
            and lines.commission_month >= date_trunc('year', payouts.commission_month)::date
            and lines.commission_month < payouts.commission_month
    where payouts.commission_month = payouts.tier_2_month and lines.commission_tier_2_diff <> 0

),

parts as (

    select * from tier_1
    union all
    select * from tier_2
    union all
    select * from released

)

select
    parts.rep_name,
    parts.product_line,
    parts.part,
    parts.line_id,
    lines.source,
    lines.customer,
    lines.invoice_number,
    lines.item,
    lines.source_file,
    lines.source_sheet,
    lines.source_row,
    case parts.part
        when 'tier 1' then
            'Tier 1 of this line: ' || lines.rev_actual || ' x ' || coalesce(lines.tier_1_rate::text, 'no rate')
        when 'tier 2 difference' then
            'Tier 2 is open: ' || lines.rev_actual || ' x (' || lines.tier_2_rate || ' - ' || lines.tier_1_rate || ')'
        when 'deferred' then
            'Held back until the sales of the year reach '
            || coalesce(parts.threshold::text, 'a threshold, which is not set')
            || ': ' || parts.cumulative_sales || ' so far'
        else 'Held back in ' || to_char(lines.commission_month, 'YYYY-MM') || ', paid now that the year has reached '
            || parts.threshold
    end as explanation,
    lines.sales_actual,
    lines.rev_actual,
    lines.tier_1_rate,
    lines.tier_2_rate,
    parts.amount,
    case when parts.is_paid then parts.amount else 0 end as amount_paid,
    parts.payout as payout_of_month,
    parts.is_paid,
    parts.commission_month,
    lines.commission_month as line_commission_month,
    lines.revenue_date

from parts
inner join {{ ref('harmonised_sales') }} as lines on lines.line_id = parts.line_id
