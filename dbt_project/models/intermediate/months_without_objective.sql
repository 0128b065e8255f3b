{#- The months in which a rep sold a product line without an objective, also of months that this build leaves as
    they are. -#}
with

months as (

    {{ gathered(
        'sales_performance_monthly',
        [
            'rows.payee_id',
            'rows.rep_name',
            'rows.product_line_id',
            'rows.product_line',
            'rows.sales_actual',
            'rows.objective',
            'rows.month',
        ],
        'touched_months',
        'replaced.payee_id = rows.payee_id
            and replaced.product_line_id = rows.product_line_id
            and replaced.month = rows.month'
    ) | indent }}

)

select
    payee_id,
    rep_name,
    product_line_id,
    product_line,
    sales_actual,
    month

from months
where objective is null and sales_actual <> 0
