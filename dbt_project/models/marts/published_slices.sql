with

totals as (

    select
        source,
        commission_month,
        count(distinct line_id) as lines,
        sum(sales_actual) as sales_actual,
        sum(rev_actual) as rev_actual,
        sum(sales_actual - sales_before_rounding) as sales_rounding,
        sum(rev_actual - rev_before_rounding) as rev_rounding

    from {{ ref('harmonised_sales') }}
    group by source, commission_month

)

select
    slices.source,
    slices.fingerprint,
    coalesce(totals.lines, 0) as lines,
    coalesce(totals.sales_actual, 0)::numeric(15, 2) as sales_actual,
    coalesce(totals.rev_actual, 0)::numeric(15, 2) as rev_actual,
    coalesce(totals.sales_rounding, 0) as sales_rounding,
    coalesce(totals.rev_rounding, 0) as rev_rounding,
    slices.commission_month

from {{ ref('changed_slices') }} as slices
left join totals using (source, commission_month)
-- A month that has no loaded file any more leaves nothing behind.
where slices.fingerprint is not null
