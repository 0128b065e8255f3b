with

lines as (

    {{ gathered_lines(
        [
            'rows.payee_id',
            'rows.product_line_id',
            'rows.sales_actual',
            'rows.rev_actual',
            'rows.commission_tier_1',
            'rows.commission_tier_2_diff',
            'rows.commission_month',
            'rows.revenue_month as month',
        ],
        'touched_months',
        "scope.payee_id = rows.payee_id
            and scope.product_line_id = rows.product_line_id
            and scope.month = rows.revenue_month"
    ) | indent }}

),

months as (

    select * from {{ ref('months_at_tier_2') }}

)

select
    lines.payee_id,
    lines.product_line_id,
    sum(lines.sales_actual) as sales_actual,
    sum(lines.rev_actual) as rev_actual,
    sum({{ line_commission() }}) as commission,
    lines.month

from lines
left join months
    on
        months.payee_id = lines.payee_id
        and months.product_line_id = lines.product_line_id
        and months.commission_month = lines.commission_month
where lines.payee_id is not null
group by lines.payee_id, lines.product_line_id, lines.month
