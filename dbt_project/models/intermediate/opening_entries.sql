{#- What the first close of all takes as paid elsewhere, where this build makes it: what the workbook says was paid,
    else what is computed. -#}
with

first_close as (

    select min(decisions.pay_period) as pay_period
    from {{ ref('close_decisions') }} as decisions
    cross join {{ ref('close_bounds') }} as bounds
    where decisions.is_closing and bounds.closed_until = '-infinity'

),

payouts as (

    {{ gathered_payouts([
        'rows.payee_id', 'rows.product_line_id', 'rows.product_line', 'rows.payout', 'rows.commission_month',
    ]) | indent }}

),

balances as (

    select * from {{ ref('opening_balances') }}

)

select
    payee_id,
    product_line_id,
    -- What is computed of no line can be compared with nothing: it stands until there is one.
    case when payouts.payout is null then 'opening without lines' else 'opening' end as kind,
    coalesce(payouts.product_line, balances.product_line) as product_line,
    'Paid before the first close.' as words,
    coalesce(balances.paid, payouts.payout) as amount,
    commission_month as earned_month,
    first_close.pay_period

from payouts
full join balances using (payee_id, product_line_id, commission_month)
inner join first_close on commission_month < first_close.pay_period
where coalesce(balances.paid, payouts.payout) <> 0
