{#- How far the months are closed, once the last ones were reopened of which the workbook says so. -#}
with

wanted as (

    select * from {{ ref('stg_pay_periods') }}

),

closed as (

    select
        closes.pay_period,
        closes.close_no,
        closes.publication_id,
        -- Only the last ones, each with a note: what was built on a month must go before it.
        coalesce(
            bool_and(wanted.wanted_state = 'open' and wanted.note is not null)
                over (order by closes.pay_period desc),
            false
        ) as is_reopened

    from {{ ref('closes_in_force') }} as closes
    left join wanted using (pay_period)
    where closes.kind = 'closed'

),

-- Months that are to be closed again, as long as the workbook lists them: they were not paid elsewhere.
opened_again as (

    select closes.pay_period
    from {{ ref('closes_in_force') }} as closes
    inner join wanted on wanted.pay_period = closes.pay_period and wanted.wanted_state = 'open'
    where closes.kind = 'reopened' or closes.pay_period in (select pay_period from closed where is_reopened)

),

first_wanted as (

    select
        least(
            min(pay_period), (select min(opened_again.pay_period) from opened_again)
        ) as pay_period

    from wanted
    where wanted_state = 'closed'
    having count(*) > 0

),

bounds as (

    select
        max(pay_period) filter (where not is_reopened) as closed_until,
        min(pay_period) filter (where not is_reopened) as first_closed,
        max(publication_id) filter (where not is_reopened) as settled_by

    from closed

)

select
    coalesce(closed_until, '-infinity') as closed_until,
    first_closed,
    -- Before the first close, all that came before it is taken as paid elsewhere.
    coalesce(
        closed_until,
        (select pay_period - interval '1 month' from first_wanted)::date
    ) as paid_until,
    array(select pay_period from closed where is_reopened) as reopened,
    array(select close_no from closed where is_reopened) as taken_back,
    -- What the months up to then came to in this publication is what is settled.
    settled_by

from bounds
