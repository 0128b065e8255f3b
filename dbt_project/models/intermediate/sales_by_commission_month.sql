with

years as (

    select * from {{ ref('touched_years') }}

),

lines as (

    select
        rep_name,
        product_line,
        sales_actual,
        rev_actual,
        commission_tier_1,
        commission_tier_2_diff,
        commission_month

    from {{ ref('harmonised_sales') }}
    where rep_name is not null

    union all

    select
        lines.rep_name,
        lines.product_line,
        lines.sales_actual,
        lines.rev_actual,
        lines.commission_tier_1,
        lines.commission_tier_2_diff,
        lines.commission_month

    from {{ published('harmonised_sales') }} as lines
    inner join years
        on
            years.rep_name = lines.rep_name
            and years.product_line = lines.product_line
            and lines.commission_month >= years.commission_year
            and lines.commission_month < years.commission_year + interval '1 year'
    where
        not exists (
            select from {{ ref('changed_slices') }} as slices
            where slices.source = lines.source and slices.commission_month = lines.commission_month
        )

)

select
    rep_name,
    product_line,
    count(*) as lines,
    sum(sales_actual) as sales_actual,
    sum(rev_actual) as rev_actual,
    sum(commission_tier_1) as commission_tier_1,
    sum(commission_tier_2_diff) as commission_tier_2_diff,
    commission_month

from lines
group by rep_name, product_line, commission_month
