with

months as (

    select * from {{ ref('touched_product_months') }}

),

sales as (

    select * from {{ ref('company_sales_by_month') }}

),

objectives as (

    select product_line, sum(objective) as objective, month
    from {{ ref('objectives') }}
    where state = 'now'
    group by product_line, month

),

payouts as (

    select product_line, sum(payout) as payout, month
    from {{ ref('payouts_by_month') }}
    group by product_line, month

)

select
    months.product_line,
    coalesce(sales.sales_actual, 0)::numeric(15, 2) as sales_actual,
    coalesce(sales.rev_actual, 0)::numeric(15, 2) as rev_actual,
    objectives.objective::numeric(15, 2) as objective,
    round(coalesce(sales.sales_actual, 0) / nullif(objectives.objective, 0), 6) as attainment,
    coalesce(payouts.payout, 0)::numeric(15, 2) as payout,
    (coalesce(sales.rev_actual, 0) - coalesce(payouts.payout, 0))::numeric(15, 2) as shs_margin,
    coalesce(sales.uncredited_sales, 0)::numeric(15, 2) as uncredited_sales,
    coalesce(sales.uncredited_revenue, 0)::numeric(15, 2) as uncredited_revenue,
    months.month

from months
left join sales using (product_line, month)
left join objectives using (product_line, month)
left join payouts using (product_line, month)
where sales.month is not null or objectives.month is not null or payouts.month is not null
