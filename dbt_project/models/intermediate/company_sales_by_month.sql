with

months as (

    select * from {{ ref('touched_product_months') }}

),

lines as (

    select
        product_line,
        credit_status,
        sales_actual,
        rev_actual,
        revenue_month as month

    from {{ ref('harmonised_sales') }}

    union all

    select
        lines.product_line,
        lines.credit_status,
        lines.sales_actual,
        lines.rev_actual,
        lines.revenue_month

    from {{ published('harmonised_sales') }} as lines
    inner join months on months.product_line = lines.product_line and months.month = lines.revenue_month
    where
        not exists (
            select from {{ ref('changed_slices') }} as slices
            where slices.source = lines.source and slices.commission_month = lines.commission_month
        )

)

select
    product_line,
    sum(sales_actual) as sales_actual,
    sum(rev_actual) as rev_actual,
    coalesce(sum(sales_actual) filter (where credit_status <> 'credited'), 0) as uncredited_sales,
    coalesce(sum(rev_actual) filter (where credit_status <> 'credited'), 0) as uncredited_revenue,
    month

from lines
group by product_line, month
