{#- How each rep's year of a product line stands, also of years that this build leaves as they are. -#}
with

payouts as (

    {{ gathered_payouts([
        'rows.payee_id',
        'rows.rep_name',
        'rows.product_line_id',
        'rows.product_line',
        'rows.cumulative_sales',
        'rows.threshold',
        'rows.deferred_balance',
        'rows.no_threshold_balance',
        'rows.commission_month',
        'rows.tier_2_month',
        'rows.opening_month',
    ]) | indent }}

),

-- The months that opening_balances replaces say nothing of where the year stands.
counted as (

    select
        *,
        max(opening_month) over (
            partition by payee_id, product_line_id, date_trunc('year', commission_month)
        ) as last_opening

    from payouts

)

select
    payee_id,
    max(rep_name) as rep_name,
    product_line_id,
    max(product_line) as product_line,
    extract(year from commission_month)::integer as commission_year,
    max(threshold) as threshold,
    max(cumulative_sales) as highest_sales,
    (array_agg(no_threshold_balance order by commission_month desc))[1] as no_threshold_balance,
    (array_agg(deferred_balance order by commission_month desc))[1] as held_back,
    bool_or(tier_2_month is not null) as is_tier_2

from counted
where opening_month is not distinct from last_opening
group by payee_id, product_line_id, extract(year from commission_month)
