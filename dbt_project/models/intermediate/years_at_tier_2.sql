{#- The years that have reached their threshold: of this build where it computed the year, else as published. -#}
select distinct payee_id, product_line_id, date_trunc('year', commission_month)::date as commission_year
from {{ ref('commission_payouts') }}
where tier = 2

union

select payouts.payee_id, payouts.product_line_id, date_trunc('year', payouts.commission_month)::date
from {{ published('commission_payouts') }} as payouts
where
    payouts.tier = 2
    and not exists (
        select from {{ ref('touched_years') }} as years
        where
            years.payee_id = payouts.payee_id
            and years.product_line_id = payouts.product_line_id
            and years.commission_year = date_trunc('year', payouts.commission_month)
    )
