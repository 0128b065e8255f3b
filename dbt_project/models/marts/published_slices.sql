with

totals as (

    select
        source,
        commission_month,
        count(*) as lines,
        sum(sales_actual) as sales_actual,
        sum(rev_actual) as rev_actual

    from {{ ref('harmonised_sales') }}
    group by source, commission_month

)

select
    slices.source,
    slices.fingerprint,
    coalesce(totals.lines, 0) as lines,
    coalesce(totals.sales_actual, 0) as sales_actual,
    coalesce(totals.rev_actual, 0) as rev_actual,
    slices.commission_month

from {{ ref('changed_slices') }} as slices
left join totals using (source, commission_month)
-- A month that has no loaded file any more leaves nothing behind.
where slices.fingerprint is not null
