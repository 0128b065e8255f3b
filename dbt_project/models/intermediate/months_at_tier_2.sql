{#- The months whose differences are paid: of this build where it computed the year, else as published. -#}
{{ months_at_tier_2(ref('commission_payouts')) }}

union

select months.payee_id, months.product_line_id, months.commission_month
from ({{ months_at_tier_2(published('commission_payouts')) }}) as months
where
    not exists (
        select from {{ ref('touched_years') }} as years
        where
            years.payee_id = months.payee_id
            and years.product_line_id = months.product_line_id
            and years.commission_year = date_trunc('year', months.commission_month)
    )
