with

months as (

    select
        *,
        date_trunc('year', commission_month)::date as commission_year

    from {{ ref('sales_by_commission_month') }}

),

thresholds as (

    select * from {{ ref('thresholds') }} where state = 'now'

),

openings as (

    select * from {{ ref('year_openings') }} where state = 'now'

),

-- The months after an opening are counted from what it says, the others from nothing.
year_to_date as (

    select
        months.*,
        thresholds.threshold,
        openings.opening_month,
        openings.cumulative_sales as opening_sales,
        openings.held_back as opening_held_back,
        openings.source_sheet as opening_sheet,
        openings.source_row as opening_row,
        coalesce(openings.cumulative_sales, 0) + sum(months.sales_actual) over so_far as cumulative_sales

    from months
    left join thresholds
        on
            thresholds.payee_id = months.payee_id
            and thresholds.product_line_id = months.product_line_id
            and thresholds.commission_year = extract(year from months.commission_year)
    left join openings
        on
            openings.payee_id = months.payee_id
            and openings.product_line_id = months.product_line_id
            and openings.commission_year = months.commission_year
            and openings.opening_month < months.commission_month
    window so_far as (
        partition by months.payee_id, months.product_line_id, months.commission_year, openings.opening_month
        order by months.commission_month
    )

),

crossing_found as (

    select
        *,
        -- Once reached, reached: a later return does not bring the year back below it.
        min(commission_month)
        filter (where cumulative_sales >= threshold or opening_sales >= threshold) over so_far as tier_2_month,
        coalesce(opening_held_back, 0)
        + coalesce(sum(commission_tier_2_diff) over (so_far rows between unbounded preceding and 1 preceding), 0)
        as earlier_diff

    from year_to_date
    window so_far as (
        partition by payee_id, product_line_id, commission_year, opening_month order by commission_month
    )

),

split as (

    select
        *,
        case when tier_2_month is null then commission_tier_2_diff else 0 end as deferred,
        case when commission_month = tier_2_month then earlier_diff else 0 end as released

    from crossing_found

),

paid as (

    select
        *,
        commission_tier_1 + commission_tier_2_diff - deferred + released as payout

    from split

),

added_up as (

    select
        *,
        coalesce(opening_held_back, 0) + sum(deferred - released) over (
            partition by payee_id, product_line_id, commission_year, opening_month order by commission_month
        ) as deferred_balance,
        sum(payout) over (
            partition by payee_id, product_line_id, commission_year order by commission_month
        ) as payout_ytd

    from paid

)

select
    payee_id,
    rep_name,
    product_line_id,
    product_line,
    opening_sheet,
    opening_row,
    sales_actual::numeric(15, 2) as sales_actual,
    cumulative_sales::numeric(15, 2) as cumulative_sales,
    threshold::numeric(15, 2) as threshold,
    case when tier_2_month is null then 1 else 2 end as tier,
    commission_tier_1::numeric(15, 2) as commission_tier_1,
    commission_tier_2_diff::numeric(15, 2) as commission_tier_2_diff,
    deferred::numeric(15, 2) as deferred,
    released::numeric(15, 2) as released,
    deferred_balance::numeric(15, 2) as deferred_balance,
    -- Only what has a threshold can ever be released.
    (case when threshold is null then 0 else deferred_balance end)::numeric(15, 2) as releasable_balance,
    (case when threshold is null then deferred_balance else 0 end)::numeric(15, 2) as no_threshold_balance,
    payout::numeric(15, 2) as payout,
    payout_ytd::numeric(15, 2) as payout_ytd,
    opening_sales::numeric(15, 2) as opening_sales,
    opening_held_back::numeric(15, 2) as opening_held_back,
    commission_month,
    tier_2_month,
    opening_month

from added_up
