{#- Rows of pay_periods that say of a closed month something else than it was closed with. It keeps that, so nothing
    follows from them, and it has to be said. -#}
with

bounds as (

    select * from {{ ref('close_bounds') }}

),

wanted as (

    select * from {{ ref('stg_pay_periods') }} where wanted_state = 'closed'

),

closed as (

    select closes.*
    from {{ ref('closes_in_force') }} as closes
    inner join bounds on closes.pay_period <= bounds.closed_until
    where closes.kind = 'closed'

),

reps as (

    select * from {{ ref('names') }} where state = 'now' and kind = 'rep'

),

compared as (

    select
        wanted.*,
        closed.approved_by as approved_by_then,
        closed.pay_date as pay_date_then,
        closed.note as note_then,
        -- Another spelling or a new name is the same person.
        {{ loosely('wanted.approved_by') }} is distinct from {{ loosely('closed.approved_by') }}
        and reps.id is distinct from closed.approved_by_id as is_other_approver,
        wanted.pay_date is distinct from closed.pay_date as is_other_day,
        coalesce({{ loosely('wanted.note') }}, '') <> coalesce({{ loosely('closed.note') }}, '') as is_other_note

    from wanted
    inner join closed using (pay_period)
    left join reps on reps.name_key = {{ loosely('wanted.approved_by') }}

)

select
    source_sheet,
    source_row,
    case when is_other_approver then 'Approved By' when is_other_day then 'Pay Date' else 'Note' end as column_name,
    'Row ' || source_row || ' of pay_periods says something else than ' || to_char(pay_period, 'YYYY-MM')
    || ' was closed with ('
    || concat_ws(
        '; ',
        case
            when is_other_approver
                then 'Approved By ' || {{ in_short('approved_by') }} || ' instead of '
                || {{ in_short('approved_by_then') }}
        end,
        case
            when is_other_day
                then 'Pay Date ' || coalesce({{ day_words('pay_date') }}, '(blank)') || ' instead of '
                || coalesce({{ day_words('pay_date_then') }}, '(blank)')
        end,
        case when is_other_note then 'Note ' || {{ in_short('note') }} || ' instead of ' || {{ in_short('note_then') }} end
    )
    || '), and a closed month keeps what it was closed with.' as problem,
    'Put the row back as it was. Or open the month again, if it is the last closed one, and close it with what the row '
    || 'says.' as remedy,
    pay_period

from compared
where is_other_approver or is_other_day or is_other_note
