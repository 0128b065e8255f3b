with

months as (

    select * from {{ ref('touched_months') }} where rep_name is not null

),

sales as (

    select * from {{ ref('sales_by_revenue_month') }}

),

objectives as (

    select * from {{ ref('objectives') }} where state = 'now'

),

payouts as (

    select * from {{ ref('payouts_by_month') }}

)

select
    months.rep_name,
    months.product_line,
    coalesce(sales.sales_actual, 0)::numeric(15, 2) as sales_actual,
    coalesce(sales.rev_actual, 0)::numeric(15, 2) as rev_actual,
    objectives.objective::numeric(15, 2) as objective,
    round(coalesce(sales.sales_actual, 0) / nullif(objectives.objective, 0), 6) as attainment,
    coalesce(payouts.payout, 0)::numeric(15, 2) as payout,
    months.month

from months
left join sales using (rep_name, product_line, month)
left join objectives using (rep_name, product_line, month)
left join payouts using (rep_name, product_line, month)
where sales.month is not null or objectives.month is not null or payouts.month is not null
