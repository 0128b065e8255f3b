{#- Which months close and which are opened again in this build, and what holds up those that do not. -#}
with

bounds as (

    select * from {{ ref('close_bounds') }}

),

wanted as (

    select * from {{ ref('stg_pay_periods') }}

),

obstacles as (

    select pay_period, bool_or(is_holding) as is_held from {{ ref('close_obstacles') }} group by pay_period

),

admins as (

    select * from {{ ref('payees') }} where state = 'now' and permission = 'admin' and is_active

),

closed as (

    select * from {{ ref('closes_in_force') }} where kind = 'closed'

),

with_lines as (

    select distinct commission_month as pay_period
    from {{ ref('stg_files') }}
    where status = 'loaded' and commission_month is not null and rows_loaded > 0

    union

    select pay_period from {{ ref('stg_adjustments') }}

),

months as (

    select pay_period from wanted
    union
    select pay_period from with_lines
    union
    select pay_period from closed

),

judged as (

    select
        months.pay_period,
        wanted.wanted_state,
        closed.close_no is not null and months.pay_period <= bounds.closed_until as is_closed,
        months.pay_period = any(bounds.reopened) as is_reopened,
        months.pay_period <= bounds.paid_until as is_past,
        with_lines.pay_period is not null as has_lines,
        coalesce(wanted.wanted_state = 'closed', false) and not coalesce(obstacles.is_held, false) as is_ready,
        -- A workbook that is there and says of a closed month that it is open, or does not list it.
        exists (select from wanted)
        and closed.close_no is not null
        and months.pay_period <= bounds.closed_until
        and wanted.wanted_state is distinct from 'closed' as is_contradicted,
        coalesce(admins.rep_name, wanted.approved_by) as approved_by,
        admins.payee_id as approved_by_id,
        wanted.note,
        wanted.pay_date,
        closed.close_no as last_close_no

    from months
    cross join bounds
    left join wanted using (pay_period)
    left join admins on admins.name_key = wanted.approver_key
    left join closed using (pay_period)
    left join with_lines using (pay_period)
    left join obstacles using (pay_period)

),

in_order as (

    select
        *,
        bool_or(is_contradicted) over () as is_any_contradicted,
        min(pay_period) filter (
            where not coalesce(is_past, false) and not is_ready and (has_lines or wanted_state = 'closed')
        ) over (order by pay_period) as held_up_by,
        not coalesce(is_past, false) and wanted_state = 'closed' as is_asked_for

    from judged

)

select
    pay_period,
    is_closed,
    is_reopened,
    is_contradicted,
    coalesce(is_past, false) and not is_closed as is_paid_elsewhere,
    has_lines,
    coalesce(is_asked_for, false) as is_asked_for,
    coalesce(is_asked_for, false)
    and held_up_by is null
    and not is_any_contradicted
    and not exists (select from bounds where cardinality(bounds.reopened) > 0) as is_closing,
    is_any_contradicted,
    approved_by,
    approved_by_id,
    note,
    held_up_by,
    pay_date,
    last_close_no

from in_order
