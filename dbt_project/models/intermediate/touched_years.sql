{#- The (payee, product line, commission year)s whose payouts may differ from what is published. -#}
with

touched as (

    select payee_id, product_line_id, commission_month
    from {{ ref('harmonised_sales') }}
    where payee_id is not null

    union all

    select lines.payee_id, lines.product_line_id, lines.commission_month
    from {{ published('harmonised_sales') }} as lines
    inner join {{ ref('changed_slices') }} as slices
        on slices.source = lines.source and slices.commission_month = lines.commission_month
    where lines.payee_id is not null

    union all

    select payee_id, product_line_id, month
    from {{ ref('reference_changes') }}
    where kind = 'year'

)

select distinct
    payee_id,
    product_line_id,
    date_trunc('year', commission_month)::date as commission_year

from touched
