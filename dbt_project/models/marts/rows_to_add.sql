{#- What the reference workbooks lack, as the row that would supply it. From the lines themselves, since a view of
    views cannot be published; names that differ in case alone are one. -#}
with

uncredited as (

    select *, credit_status as reason from {{ ref('harmonised_sales') }} where credit_status <> 'credited'

),

rated as (

    select distinct payee_id from {{ ref('harmonised_sales') }} where credit_status = 'credited'

),

payouts as (

    select * from {{ ref('commission_payouts') }}

),

last_year as (

    select date_trunc('year', max(commission_month)) as begins from payouts

),

without_owner as (

    select
        'territories' as table_name,
        'no_territory' as reason,
        source,
        mode() within group (order by customer) as customer,
        null as rep_name,
        null as product_line,
        jsonb_build_object(
            'Source', source,
            'Customer field', split_part(mode() within group (order by territory), ': ', 1),
            'Data field value', substr(
                mode() within group (order by territory), strpos(mode() within group (order by territory), ': ') + 2
            ),
            'Valid from', min(revenue_month)
        ) as cells,
        count(*) as lines,
        sum(sales_actual) as sales_actual,
        min(commission_month) as first_month

    from uncredited
    where reason = 'no_territory' and territory is not null
    group by source, lower(territory)

),

without_name as (

    select
        'sales_reps' as table_name,
        'unknown_rep' as reason,
        null as source,
        null as customer,
        mode() within group (order by coalesce(rep_meant, rep_named)) as rep_name,
        null as product_line,
        jsonb_build_object(
            'Sales Rep Name', mode() within group (order by coalesce(rep_meant, rep_named))
        ) as cells,
        count(*) as lines,
        sum(sales_actual) as sales_actual,
        min(commission_month) as first_month

    from uncredited
    where reason = 'unknown_rep' and coalesce(rep_meant, rep_named) is not null
    group by lower(coalesce(rep_meant, rep_named))

),

-- Whoever has no rate at all needs one row for all product lines.
without_rate as (

    select
        'commission_tiers' as table_name,
        'no_tier_rate' as reason,
        null as source,
        null as customer,
        uncredited.rep_name,
        case when rated.payee_id is not null then uncredited.product_line end as product_line,
        jsonb_build_object(
            'Sales Rep Name', uncredited.rep_name,
            'Product Line', case when rated.payee_id is not null then uncredited.product_line end,
            'Valid from', min(uncredited.commission_month)
        ) as cells,
        count(*) as lines,
        sum(uncredited.sales_actual) as sales_actual,
        min(uncredited.commission_month) as first_month

    from uncredited
    left join rated on rated.payee_id = uncredited.payee_id
    where uncredited.reason = 'no_tier_rate'
    group by uncredited.rep_name, rated.payee_id, case when rated.payee_id is not null then uncredited.product_line end

),

-- Only where tier 2 would be paid: without a second rate nobody misses the threshold.
without_threshold as (

    select
        'tier_thresholds' as table_name,
        'no_threshold' as reason,
        null as source,
        null as customer,
        payouts.rep_name,
        payouts.product_line,
        jsonb_build_object(
            'Sales Rep Name', payouts.rep_name,
            'Product Line', payouts.product_line,
            'Year', extract(year from last_year.begins)::integer
        ) as cells,
        null::bigint as lines,
        sum(payouts.sales_actual) as sales_actual,
        min(payouts.commission_month) as first_month

    from payouts
    inner join last_year on payouts.commission_month >= last_year.begins
    where payouts.threshold is null
    group by payouts.rep_name, payouts.product_line, last_year.begins
    having sum(payouts.deferred) <> 0

),

found as (

    select * from without_owner

    union all

    select * from without_name

    union all

    select * from without_rate

    union all

    select * from without_threshold

)

select
    table_name,
    reason,
    source,
    customer,
    rep_name,
    product_line,
    cells,
    case reason
        when 'no_territory' then 'territories: ' || concat_ws(
            ', ', cells ->> 'Source', cells ->> 'Customer field', cells ->> 'Data field value',
            'the name of its rep', 'valid from ' || (cells ->> 'Valid from')
        )
        when 'unknown_rep' then 'sales_reps: ' || rep_name || '. If this is another spelling of somebody, aliases: rep, '
            || rep_name || ', the right name'
        when 'no_tier_rate' then 'commission_tiers: ' || concat_ws(
            ', ', rep_name, coalesce(product_line, 'product line blank for all'),
            'valid from ' || (cells ->> 'Valid from'), 'the rates'
        )
        else 'tier_thresholds: ' || concat_ws(', ', rep_name, product_line, cells ->> 'Year', 'the threshold')
    end as row_to_type,
    lines,
    sales_actual::numeric(15, 2) as sales_actual,
    first_month

from found
