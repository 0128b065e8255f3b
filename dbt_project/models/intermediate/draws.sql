{#- Draws of which something is still to be recovered: those of closed months as the ledger has them, and those of the
    months that may still change. -#}
with

bounds as (

    select * from {{ ref('close_bounds') }}

),

entered as (

    select
        entries.payee_id,
        entries.product_line_id,
        min(entries.product_line) as product_line,
        sum(entries.amount) as amount,
        entries.earned_month as drawn_month,
        true as is_settled

    from {{ source('ledger', 'entries') }} as entries
    where
        entries.kind in ('draw', 'recovered')
        and not exists (select from bounds where entries.close_no = any(bounds.taken_back))
    group by entries.payee_id, entries.product_line_id, entries.earned_month
    having sum(entries.amount) <> 0

),

new_draws as (

    select
        payee_id,
        product_line_id,
        min(product_line) as product_line,
        sum(amount) as amount,
        pay_period as drawn_month,
        false as is_settled

    from {{ ref('statement_amounts') }}
    where kind = 'draw'
    group by payee_id, product_line_id, pay_period

),

draws as (

    select * from entered
    union all
    select * from new_draws

)

select
    payee_id,
    product_line_id,
    product_line,
    amount::numeric(15, 2) as amount,
    -- What is recovered goes to the oldest first: from where to where it reaches in the row of them all.
    coalesce(
        sum(amount) over (
            partition by payee_id order by drawn_month, product_line_id collate "C"
            rows between unbounded preceding and 1 preceding
        ),
        0
    )::numeric(15, 2) as starts_at,
    is_settled,
    drawn_month

from draws
