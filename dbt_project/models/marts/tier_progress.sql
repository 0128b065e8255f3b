{#- A view, since how far a year has come follows from what is published, and from which months are whole by now. -#}
with

-- Every source has loaded the commission month after the last complete revenue month.
whole_months as (

    select
        greatest(min(month) filter (where state <> 'before_start'), max(month) filter (where is_last_complete) - interval '1 month')::date
        as first_month,
        (max(month) filter (where is_last_complete) + interval '1 month')::date as last_month

    from {{ ref('revenue_months') }}

),

current_year as (

    select date_trunc('year', max(month))::date as commission_year
    from {{ ref('upload_status') }}
    where state = 'loaded'

),

payouts as (

    select
        payouts.*,
        date_trunc('year', payouts.commission_month)::date as commission_year,
        sum(payouts.commission_tier_1) over so_far as tier_1_to_date,
        sum(payouts.commission_tier_2_diff) over so_far as difference_to_date,
        -- What was sold before the lines has no rates.
        sum(payouts.sales_actual) over so_far as sales_of_lines,
        coalesce(payouts.opening_sales, 0)
        + coalesce(
            sum(payouts.sales_actual) filter (where payouts.commission_month <= whole_months.last_month) over counted, 0
        ) as sales_of_whole_months,
        row_number() over (
            partition by payouts.payee_id, payouts.product_line_id, date_trunc('year', payouts.commission_month)
            order by payouts.commission_month desc
        ) = 1 as is_latest

    from {{ ref('commission_payouts') }} as payouts
    cross join whole_months
    window so_far as (
        partition by payouts.payee_id, payouts.product_line_id, date_trunc('year', payouts.commission_month)
        order by payouts.commission_month
    ),
    counted as (
        partition by
            payouts.payee_id,
            payouts.product_line_id,
            date_trunc('year', payouts.commission_month),
            payouts.opening_month
        order by payouts.commission_month
    )

),

paces as (

    select
        payouts.payee_id,
        payouts.product_line_id,
        sum(payouts.sales_actual)
        / max(extract(month from age(whole_months.last_month, whole_months.first_month)) + 1) as sales_a_month

    from {{ ref('commission_payouts') }} as payouts
    inner join whole_months
        on payouts.commission_month between whole_months.first_month and whole_months.last_month
    group by payouts.payee_id, payouts.product_line_id

),

standing as (

    select
        payouts.*,
        whole_months.last_month,
        case
            when payouts.tier = 2 then 'tier 2 open'
            when payouts.threshold is null then 'no threshold'
            when payouts.commission_year < current_year.commission_year then 'not reached'
            else 'tier 1'
        end as state,
        case when payouts.tier = 2 then 0 else payouts.threshold - payouts.cumulative_sales end
        as missing,
        case when payouts.commission_year >= current_year.commission_year then paces.sales_a_month end
        as sales_a_month,
        payouts.tier_1_to_date / nullif(greatest(payouts.sales_of_lines, 0), 0) as tier_1_share,
        payouts.difference_to_date / nullif(greatest(payouts.sales_of_lines, 0), 0) as difference_share

    from payouts
    cross join whole_months
    cross join current_year
    left join paces using (payee_id, product_line_id)
    where payouts.is_latest

),

months_left as (

    select
        *,
        case
            when state = 'tier 1' and sales_a_month > 0
                -- What has come in of later months does not bring the next one nearer than it can be.
                then greatest(ceil((threshold - sales_of_whole_months) / sales_a_month), 1)
        end as months_to_go

    from standing

),

projected as (

    select
        *,
        case
            -- A pace so slow that the month has no date is not this year's either.
            when months_to_go <= 12 then (last_month + make_interval(months => months_to_go::integer))::date
        end as month_at_this_pace

    from months_left

)

select
    payee_id,
    rep_name,
    product_line_id,
    product_line,
    state,
    case state
        when 'tier 2 open' then product_line || ': tier 2 since ' || to_char(tier_2_month, 'FMMonth YYYY') || '.'
        when 'no threshold' then
            product_line || ': no threshold is set'
            || case when deferred_balance <> 0 then '; ' || {{ usd('deferred_balance') }} || ' is not payable' else '' end
            || '.'
        else
            product_line || ': ' || {{ usd('floor(cumulative_sales)') }} || ' of ' || {{ usd('threshold') }}
            || case
                when deferred_balance = 0 then ''
                when state = 'not reached' then '; ' || {{ usd('deferred_balance') }} || ' was never paid'
                else '; ' || {{ usd('deferred_balance') }} || ' waits for it'
            end
            || '.'
    end as words,
    threshold,
    cumulative_sales as sales_to_date,
    missing::numeric(15, 2) as missing,
    case
        when tier = 2 then 1
        -- Cut off: what is not reached yet never reads as 100 %.
        when threshold is not null then trunc(greatest(coalesce(cumulative_sales / nullif(threshold, 0), 0), 0), 4)
    end as share_reached,
    case when state = 'tier 1' then releasable_balance else 0 end::numeric(15, 2) as waiting,
    no_threshold_balance,
    (
        case
            when state <> 'not reached'
                then 1000 * (tier_1_share + case when tier = 2 then difference_share else 0 end)
        end
    )::numeric(15, 2) as next_1000_now,
    (
        case when threshold is not null and state <> 'not reached' then 1000 * (tier_1_share + difference_share) end
    )::numeric(15, 2) as next_1000_after,
    sales_a_month::numeric(15, 2) as sales_a_month,
    threshold is not null as has_threshold,
    commission_year,
    commission_month as last_month,
    tier_2_month,
    case when month_at_this_pace < commission_year + interval '1 year' then month_at_this_pace end
    as projected_month

from projected
