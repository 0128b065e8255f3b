with

decisions as (

    select * from {{ ref('close_decisions') }}

),

obstacles as (

    select * from {{ ref('close_obstacles') }}

)

select
    obstacles.kind,
    obstacles.subject,
    obstacles.problem,
    obstacles.remedy,
    obstacles.is_waivable,
    coalesce(decisions.is_asked_for, false) and obstacles.is_holding as is_holding,
    obstacles.pay_period

from obstacles
left join decisions using (pay_period)
-- What was explained holds nothing up any more.
where not coalesce(decisions.is_closing, false)

union all

select
    'order',
    to_char(held_up_by, 'YYYY-MM'),
    to_char(pay_period, 'YYYY-MM') || ' cannot close before ' || to_char(held_up_by, 'YYYY-MM')
    || ', which has lines and is still open.',
    'Close ' || to_char(held_up_by, 'YYYY-MM') || ' too, in the same workbook or before.',
    false,
    true,
    pay_period

from decisions
where is_asked_for and held_up_by < pay_period

union all

select
    'closed already',
    to_char(pay_period, 'YYYY-MM'),
    to_char(pay_period, 'YYYY-MM') || ' is closed, but pay_periods does not say closed of it, so nothing else closes.',
    'Give the month a row that says closed again. Only the last closed month can be opened again: its row says open '
    || 'and has a Note that says why.',
    false,
    true,
    pay_period

from decisions
where is_contradicted

union all

select
    'closed otherwise',
    to_char(pay_period, 'YYYY-MM'),
    problem,
    remedy,
    false,
    false,
    pay_period

from {{ ref('closed_otherwise') }}
