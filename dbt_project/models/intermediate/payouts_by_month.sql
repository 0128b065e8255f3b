{#- The payouts of the touched months: of this build where it computed the year, else as published. -#}
select
    rep_name,
    product_line,
    payout,
    commission_month as month

from {{ ref('commission_payouts') }}

union all

select
    payouts.rep_name,
    payouts.product_line,
    payouts.payout,
    payouts.commission_month as month

from {{ published('commission_payouts') }} as payouts
inner join {{ ref('touched_product_months') }} as months
    on months.product_line = payouts.product_line and months.month = payouts.commission_month
where
    not exists (
        select from {{ ref('touched_years') }} as years
        where
            years.rep_name = payouts.rep_name
            and years.product_line = payouts.product_line
            and years.commission_year = date_trunc('year', payouts.commission_month)
    )
