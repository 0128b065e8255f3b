with

months as (

    select * from {{ ref('touched_months') }} where payee_id is not null

),

payees as (

    select * from {{ ref('payees') }} where state = 'now'

),

product_lines as (

    select * from {{ ref('product_lines') }} where state = 'now'

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
    months.payee_id,
    payees.rep_name,
    months.product_line_id,
    product_lines.product_line,
    coalesce(sales.sales_actual, 0)::numeric(15, 2) as sales_actual,
    coalesce(sales.rev_actual, 0)::numeric(15, 2) as rev_actual,
    objectives.objective::numeric(15, 2) as objective,
    round(coalesce(sales.sales_actual, 0) / nullif(objectives.objective, 0), 6) as attainment,
    coalesce(payouts.payout, 0)::numeric(15, 2) as payout,
    coalesce(sales.commission, 0)::numeric(15, 2) as commission,
    months.month

from months
-- Who is not listed any more has neither sales nor objectives nor payouts.
inner join payees using (payee_id)
inner join product_lines using (product_line_id)
left join sales using (payee_id, product_line_id, month)
left join objectives using (payee_id, product_line_id, month)
left join payouts using (payee_id, product_line_id, month)
where sales.month is not null or objectives.month is not null or payouts.month is not null
