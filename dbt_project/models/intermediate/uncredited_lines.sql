{#- Every line that pays nobody, also of months that this build leaves as they are. -#}
with

lines as (

    {{ gathered_lines([
        'rows.credit_id',
        'rows.credit_status',
        'rows.source',
        'rows.product_line_id',
        'rows.product_line',
        'rows.payee_id',
        'rows.rep_name',
        'rows.rep_in_file',
        'rows.rep_named',
        'rows.rep_meant',
        'rows.customer',
        'rows.territory',
        'rows.sales_actual',
        'rows.rev_actual',
        owner_day() ~ ' as owner_day',
        'rows.commission_month',
    ]) | indent }}

)

select
    *,
    coalesce(rep_named is distinct from rep_in_file, false) as is_by_territory,
    ops.match_key(rep_named) as rep_key,
    ops.match_key(rep_meant) as meant_key,
    ops.match_key(customer) as customer_key,
    ops.match_key(territory) as territory_key

from lines
where credit_status <> 'credited'
