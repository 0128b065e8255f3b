with

months as (

    select * from {{ ref('touched_months') }}

),

lines as (

    select
        rep_name,
        product_line,
        sales_actual,
        rev_actual,
        revenue_month as month

    from {{ ref('harmonised_sales') }}
    where rep_name is not null

    union all

    select
        lines.rep_name,
        lines.product_line,
        lines.sales_actual,
        lines.rev_actual,
        lines.revenue_month

    from {{ published('harmonised_sales') }} as lines
    inner join months
        on
            months.rep_name = lines.rep_name
            and months.product_line = lines.product_line
            and months.month = lines.revenue_month
    where
        not exists (
            select from {{ ref('changed_slices') }} as slices
            where slices.source = lines.source and slices.commission_month = lines.commission_month
        )

)

select
    rep_name,
    product_line,
    sum(sales_actual) as sales_actual,
    sum(rev_actual) as rev_actual,
    month

from lines
group by rep_name, product_line, month
