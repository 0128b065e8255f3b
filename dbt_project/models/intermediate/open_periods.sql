{#- The pay periods that have a statement which may still change: those that are open or close in this build, and
    the next one where none of them stays open. -#}
with

bounds as (

    select * from {{ ref('close_bounds') }}

),

decisions as (

    select * from {{ ref('close_decisions') }}

),

settled as (

    select
        closed_until,
        case
            when closed_until > '-infinity' then closed_until
            when exists (select from decisions where is_closing) then paid_until
        end as settled_until

    from bounds

),

open_months as (

    select decisions.pay_period, decisions.is_closing
    from decisions
    cross join settled
    where
        decisions.pay_period > coalesce(settled.settled_until, '-infinity')
        and (decisions.has_lines or decisions.is_asked_for)

),

-- What is left over, or is learned before the next month has begun, waits for it.
next_month as (

    select (greatest(settled.settled_until, closing.last_month) + interval '1 month')::date as pay_period
    from settled
    cross join (select max(pay_period) as last_month from open_months where is_closing) as closing
    where
        settled.settled_until is not null
        and not exists (select from open_months where not is_closing)

)

select pay_period from open_months

union

select pay_period from next_month
