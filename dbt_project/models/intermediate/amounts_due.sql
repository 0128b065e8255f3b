{#- What each payee is due in each month that may still change, walked from month to month: what is recovered of
    draws, and what one month carries forward to the next. -#}
with

bounds as (

    select * from {{ ref('close_bounds') }}

),

decisions as (

    select * from {{ ref('close_decisions') }}

),

amounts as (

    select * from {{ ref('statement_amounts') }}

),

periods as (

    select * from {{ ref('open_periods') }}

),

draws_before as (

    select payee_id, sum(amount) as amount from {{ ref('draws') }} where is_settled group by payee_id

),

last_carried as (

    select statements.payee_id, statements.carried_forward
    from {{ source('ledger', 'statements') }} as statements
    inner join {{ ref('closes_in_force') }} as closes
        on closes.close_no = statements.close_no and closes.kind = 'closed'
    inner join bounds on bounds.closed_until = statements.pay_period
    where statements.carried_forward < 0

),

sums as (

    select
        payee_id,
        pay_period,
        coalesce(sum(amount) filter (where kind = 'earned'), 0) as earned,
        coalesce(sum(amount) filter (where kind in ('restated', 'reclassified')), 0) as restated,
        coalesce(sum(amount) filter (where kind in ('adjustment', 'draw')), 0) as adjustments,
        coalesce(sum(amount) filter (where kind = 'draw'), 0) as drawn

    from amounts
    group by payee_id, pay_period

),

-- Only where something was ever closed is anything carried from one month to the next.
is_chained as (

    select bounds.closed_until > '-infinity' or exists (select from decisions where is_closing) as is_chained
    from bounds

),

in_each_month as (

    select
        payees_of.payee_id,
        periods.pay_period,
        sums.payee_id is not null as has_amounts,
        is_chained.is_chained,
        coalesce(sums.earned, 0) as earned,
        coalesce(sums.restated, 0) as restated,
        coalesce(sums.adjustments, 0) as adjustments,
        coalesce(sums.drawn, 0) as drawn,
        coalesce(draws_before.amount, 0) as draws_before,
        coalesce(last_carried.carried_forward, 0) as carried_before

    from (select payee_id from sums union select payee_id from last_carried) as payees_of
    cross join periods
    cross join is_chained
    left join sums on sums.payee_id = payees_of.payee_id and sums.pay_period = periods.pay_period
    left join draws_before on draws_before.payee_id = payees_of.payee_id
    left join last_carried on last_carried.payee_id = payees_of.payee_id
    where is_chained.is_chained or sums.payee_id is not null

),

-- A draw is an advance on what is due without it, so no draw is recovered from another one.
recoverable as (

    select
        *,
        greatest(earned + restated + adjustments - drawn, 0) as at_most,
        coalesce(lag(drawn) over (partition by payee_id order by pay_period), 0) as drawn_before

    from in_each_month

),

-- As with what is carried: draws fill up what recovering empties, and never below 0.
walked as (

    select
        *,
        draws_before + sum(drawn_before - at_most) over so_far as walk

    from recoverable
    window so_far as (partition by payee_id order by pay_period)

),

left_over as (

    select
        *,
        walk - least(0, min(walk) over so_far) as left_of_draws

    from walked
    window so_far as (partition by payee_id order by pay_period)

),

with_recovered as (

    select
        *,
        case
            when is_chained
                then left_of_draws
                    - coalesce(lag(left_of_draws) over (partition by payee_id order by pay_period), draws_before)
                    - drawn_before
            else 0
        end as recovered,
        case when is_chained then left_of_draws else 0 end + drawn as draw_balance

    from left_over

),

running as (

    select
        *,
        carried_before + sum(earned + restated + adjustments + recovered) over so_far as balance

    from with_recovered
    window so_far as (partition by payee_id order by pay_period)

),

carried as (

    select
        *,
        -- What a walk that is paid out whenever it is above 0 has left: how far it is below its highest point.
        case when is_chained then balance - greatest(0, max(balance) over so_far) else 0 end as carried

    from running
    window so_far as (partition by payee_id order by pay_period)

),

chained as (

    select
        *,
        case
            when is_chained then coalesce(lag(carried) over (partition by payee_id order by pay_period), carried_before)
            else 0
        end as brought_forward

    from carried

)

select
    payee_id,
    earned::numeric(15, 2) as earned,
    restated::numeric(15, 2) as restated,
    adjustments::numeric(15, 2) as adjustments,
    recovered::numeric(15, 2) as recovered,
    brought_forward::numeric(15, 2) as brought_forward,
    (earned + restated + adjustments + recovered + brought_forward)::numeric(15, 2) as due,
    draw_balance::numeric(15, 2) as draw_balance,
    pay_period

from chained
where has_amounts or brought_forward <> 0
