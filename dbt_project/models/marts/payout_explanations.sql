{#- The marts are named in each part, so that a reader's conditions reach their indexes; a part takes
    all that it shows of the line, since looking the line up again would cost more than the rest. -#}
{% set line_columns = [
    'credit_id', 'line_id', 'source', 'customer', 'invoice_number', 'item', 'source_file', 'source_sheet', 'source_row',
    'credit_share', 'rev_actual', 'sales_before_rounding', 'rev_before_rounding', 'rate_basis', 'tier_1_rate',
    'tier_2_rate', 'revenue_date',
] %}

{% set of_the_line -%}
{% for column in line_columns -%}
lines.{{ column }},
{% endfor -%}
lines.sales_actual as line_sales,
lines.commission_month as line_commission_month
{%- endset %}

with

tier_1 as (

    select
        payouts.*,
        {{ of_the_line }},
        'tier 1' as part,
        lines.commission_tier_1 as amount,
        true as is_paid

    from {{ ref('commission_payouts') }} as payouts
    inner join {{ ref('harmonised_sales') }} as lines using (payee_id, product_line_id, commission_month)

),

tier_2 as (

    select
        payouts.*,
        {{ of_the_line }},
        case when payouts.tier = 2 then 'tier 2 difference' else 'deferred' end as part,
        lines.commission_tier_2_diff as amount,
        payouts.tier = 2 as is_paid

    from {{ ref('commission_payouts') }} as payouts
    inner join {{ ref('harmonised_sales') }} as lines using (payee_id, product_line_id, commission_month)
    where lines.commission_tier_2_diff <> 0

),

released as (

    select
        payouts.*,
        {{ of_the_line }},
        'released' as part,
        lines.commission_tier_2_diff as amount,
        true as is_paid

    from {{ ref('commission_payouts') }} as payouts
    inner join {{ ref('harmonised_sales') }} as lines
        on
            lines.payee_id = payouts.payee_id
            and lines.product_line_id = payouts.product_line_id
            and lines.commission_month >= coalesce(
                payouts.opening_month + interval '1 month', date_trunc('year', payouts.commission_month)
            )::date
            and lines.commission_month < payouts.commission_month
    where payouts.commission_month = payouts.tier_2_month and lines.commission_tier_2_diff <> 0

),

-- What opening_balances says was held back stands in its row, and hangs on no line.
released_opening as (

    select
        payouts.*,
        {{ of_the_line }},
        'released' as part,
        payouts.opening_held_back as amount,
        true as is_paid

    from {{ ref('commission_payouts') }} as payouts
    left join {{ ref('harmonised_sales') }} as lines on false
    where payouts.commission_month = payouts.tier_2_month and payouts.opening_held_back <> 0

),

parts as (

    select * from tier_1
    union all
    select * from tier_2
    union all
    select * from released
    union all
    select * from released_opening

),

in_words as (

    select
        *,
        {{ dollars('rev_actual') }}
        || coalesce(' (' || trim_scale(rev_before_rounding) || ' rounded)', '')
        || case when credit_share < 1 then ', ' || {{ percent('credit_share') }} || ' of the line' else '' end
        as revenue

    from parts

)

select
    payee_id,
    rep_name,
    product_line_id,
    product_line,
    part,
    credit_id,
    line_id,
    source,
    customer,
    invoice_number,
    item,
    coalesce(source_file, 'reference/opening_balances.xlsx') as source_file,
    coalesce(source_sheet, opening_sheet) as source_sheet,
    coalesce(source_row, opening_row) as source_row,
    case part
        when 'tier 1' then
            case
                when tier_1_rate is null then 'No rate is in force on the first day of the month: pays nothing'
                when rate_basis = 'house account' then 'House account: pays nothing'
                when rate_basis = 'none after leaving' then 'Sold after leaving: pays nothing'
                when rate_basis = 'last before leaving'
                    then 'Tier 1, at the last rate before leaving: ' || {{ percent('tier_1_rate') }}
                        || ' of ' || revenue
                else 'Tier 1: ' || {{ percent('tier_1_rate') }} || ' of ' || revenue
            end
        when 'tier 2 difference' then
            'Tier 2: ' || {{ percent('tier_2_rate') }} || ' instead of ' || {{ percent('tier_1_rate') }}
            || ' of ' || revenue
        when 'deferred' then
            case
                when threshold is null then
                    'Not payable: no threshold is set for this product line in '
                    || to_char(commission_month, 'YYYY')
                else
                    'Held back until the sales of the year reach ' || {{ dollars('threshold') }}
                    || ': ' || {{ dollars('cumulative_sales') }} || ' so far'
            end
        else
            case
                when credit_id is null then
                    'Held back by the end of ' || to_char(opening_month, 'YYYY-MM')
                    || ' as opening_balances says (row ' || opening_row || ')'
                else 'Held back in ' || to_char(line_commission_month, 'YYYY-MM')
            end
            || ', paid now that the sales of the year have reached ' || {{ dollars('threshold') }}
    end as explanation,
    credit_share,
    line_sales as sales_actual,
    rev_actual,
    sales_before_rounding,
    rev_before_rounding,
    rate_basis,
    tier_1_rate,
    tier_2_rate,
    amount,
    (case when is_paid then amount else 0 end)::numeric(15, 2) as amount_paid,
    payout as payout_of_month,
    is_paid,
    commission_month,
    coalesce(line_commission_month, opening_month) as line_commission_month,
    revenue_date

from in_words
