with

months as (

    select * from {{ ref('touched_product_months') }}

),

product_lines as (

    select * from {{ ref('product_lines') }} where state = 'now'

),

sales as (

    select * from {{ ref('company_sales_by_month') }}

),

objectives as (

    select product_line_id, sum(objective) as objective, month
    from {{ ref('objectives') }}
    where state = 'now'
    group by product_line_id, month

),

payouts as (

    select product_line_id, sum(payout) as payout, month
    from {{ ref('payouts_by_month') }}
    group by product_line_id, month

)

select
    months.product_line_id,
    product_lines.product_line,
    coalesce(sales.sales_actual, 0)::numeric(15, 2) as sales_actual,
    coalesce(sales.rev_actual, 0)::numeric(15, 2) as rev_actual,
    objectives.objective::numeric(15, 2) as objective,
    round(coalesce(sales.sales_actual, 0) / nullif(objectives.objective, 0), 6) as attainment,
    coalesce(payouts.payout, 0)::numeric(15, 2) as payout,
    coalesce(sales.commission, 0)::numeric(15, 2) as commission,
    (coalesce(sales.rev_actual, 0) - coalesce(sales.commission, 0))::numeric(15, 2) as shs_margin,
    coalesce(sales.uncredited_sales, 0)::numeric(15, 2) as uncredited_sales,
    coalesce(sales.uncredited_revenue, 0)::numeric(15, 2) as uncredited_revenue,
    months.month

from months
inner join product_lines using (product_line_id)
left join sales using (product_line_id, month)
left join objectives using (product_line_id, month)
left join payouts using (product_line_id, month)
where sales.month is not null or objectives.month is not null or payouts.month is not null
