{#- Openings of years of which the lines that they stand for say more alone. -#}
with

openings as (

    select * from {{ ref('year_openings') }} where state = 'now'

),

payouts as (

    {{ gathered_payouts([
        'rows.payee_id',
        'rows.rep_name',
        'rows.product_line_id',
        'rows.product_line',
        'rows.sales_actual',
        'rows.commission_month',
    ]) | indent }}

)

select
    openings.source_sheet,
    openings.source_row,
    openings.payee_id || '/' || openings.product_line_id || '/' || extract(year from openings.commission_year) as subject,
    {{ dollars('openings.cumulative_sales') }} as value,
    'Cumulative Sales of ' || max(payouts.rep_name) || ' for ' || max(payouts.product_line) || ' up to '
    || to_char(openings.opening_month, 'YYYY-MM') || ' is ' || {{ dollars('openings.cumulative_sales') }}
    || ', and the lines of these months alone come to ' || {{ dollars('sum(payouts.sales_actual)') }}
    || '.' as problem,
    'Correct it: it is all that was sold since January, these lines included.' as remedy

from openings
inner join payouts
    on
        payouts.payee_id = openings.payee_id
        and payouts.product_line_id = openings.product_line_id
        and payouts.commission_month between openings.commission_year and openings.opening_month
group by
    openings.source_sheet,
    openings.source_row,
    openings.payee_id,
    openings.product_line_id,
    openings.commission_year,
    openings.opening_month,
    openings.cumulative_sales
having sum(payouts.sales_actual) > openings.cumulative_sales
