with

lines as (

    {{ gathered_lines(
        [
            'rows.payee_id',
            'rows.product_line_id',
            'rows.credit_status',
            'rows.sales_actual',
            'rows.rev_actual',
            'rows.commission_tier_1',
            'rows.commission_tier_2_diff',
            'rows.commission_month',
            'rows.revenue_month as month',
        ],
        'touched_product_months',
        'scope.product_line_id = rows.product_line_id and scope.month = rows.revenue_month'
    ) | indent }}

),

months as (

    select * from {{ ref('months_at_tier_2') }}

)

select
    lines.product_line_id,
    sum(lines.sales_actual) as sales_actual,
    sum(lines.rev_actual) as rev_actual,
    sum({{ line_commission() }}) as commission,
    coalesce(sum(lines.sales_actual) filter (where lines.credit_status <> 'credited'), 0) as uncredited_sales,
    coalesce(sum(lines.rev_actual) filter (where lines.credit_status <> 'credited'), 0) as uncredited_revenue,
    lines.month

from lines
left join months
    on
        months.payee_id = lines.payee_id
        and months.product_line_id = lines.product_line_id
        and months.commission_month = lines.commission_month
group by lines.product_line_id, lines.month
