{#- A source's month whose lines are not as many as its files brought, or whose sums are not those of
    its raw table and what rounding moved, to the last digit. -#}
{% test every_line_once(model) %}

with

slices as (

    select * from {{ ref('changed_slices') }}

),

files as (

    select
        source,
        commission_month,
        sum(rows_loaded) as lines

    from {{ ref('stg_files') }}
    where status = 'loaded'
    group by source, commission_month

),

raw_totals as (

    select
        source,
        commission_month,
        sum(sales_actual) as sales_actual,
        sum(rev_actual) as rev_actual

    from {{ ref('all_lines') }}
    where commission_month = any(array(select commission_month from slices))
    group by source, commission_month

)

select
    'every line that was loaded stands in harmonised_sales just once, with its amounts' as rule,
    source,
    commission_month,
    files.lines as lines_loaded,
    totals.lines,
    raw_totals.sales_actual as sales_loaded,
    totals.sales_rounding,
    totals.sales_actual,
    raw_totals.rev_actual as revenue_loaded,
    totals.rev_rounding,
    totals.rev_actual

from slices
left join files using (source, commission_month)
left join raw_totals using (source, commission_month)
left join {{ model }} as totals using (source, commission_month)
where
    coalesce(files.lines, 0) <> coalesce(totals.lines, 0)
    or coalesce(raw_totals.sales_actual, 0) <> coalesce(totals.sales_actual - totals.sales_rounding, 0)
    or coalesce(raw_totals.rev_actual, 0) <> coalesce(totals.rev_actual - totals.rev_rounding, 0)

{% endtest %}
