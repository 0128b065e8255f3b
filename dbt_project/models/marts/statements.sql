{#- Closed statements are the ledger's, and a build leaves them as they are: a full refresh reads them again. -#}
with

bounds as (

    select * from {{ ref('close_bounds') }}

),

decisions as (

    select * from {{ ref('close_decisions') }}

),

payees as (

    select * from {{ ref('payees') }} where state = 'now'

),

known as (

    select * from {{ source('reference', 'payees') }}

),

closed as (

    select
        statements.*,
        closes.approved_by,
        closes.publication_id

    from {{ source('ledger', 'statements') }} as statements
    inner join {{ ref('closes_in_force') }} as closes
        on closes.close_no = statements.close_no and closes.kind = 'closed'
    inner join bounds on statements.pay_period <= bounds.closed_until

),

-- Each close of a month has a number, also those that were taken back.
closes_before as (

    select pay_period, count(*) as closes, max(close_no) as last_close_no
    from {{ source('ledger', 'closes') }}
    where kind = 'closed'
    group by pay_period

),

numbers_before as (

    select number, close_no, payee_id from {{ source('ledger', 'statements') }}

),

provisional as (

    select * from {{ ref('amounts_due') }}

),

numbered as (

    select
        provisional.*,
        coalesce(payees.rep_name, known.first_name) as rep_name,
        payees.payroll_code,
        payees.paid_as,
        decisions.is_closing,
        decisions.pay_date,
        decisions.approved_by,
        case
            when decisions.is_closing
                then to_char(provisional.pay_period, 'YYYY-MM') || '-' || provisional.payee_id || '-'
                    || coalesce(closes_before.closes, 0) + 1
        end as number,
        case when decisions.is_closing then numbers_before.number end as replaces

    from provisional
    left join decisions using (pay_period)
    left join closes_before using (pay_period)
    left join numbers_before
        on
            numbers_before.close_no = closes_before.last_close_no
            and numbers_before.payee_id = provisional.payee_id
    left join payees on payees.payee_id = provisional.payee_id
    left join known on known.payee_id = provisional.payee_id

)

select
    payee_id,
    rep_name,
    case when is_closing then 'closed' else 'provisional' end as state,
    number,
    replaces,
    payroll_code,
    paid_as,
    case when is_closing then approved_by end as approved_by,
    earned,
    restated,
    adjustments,
    recovered,
    brought_forward,
    due,
    greatest(due, 0)::numeric(15, 2) as paid,
    least(due, 0)::numeric(15, 2) as carried_forward,
    draw_balance,
    case when is_closing then {{ var('publication_id') }}::bigint end as publication_id,
    pay_period,
    pay_date

from numbered
{% if flags.FULL_REFRESH %}
union all

select
    payee_id,
    rep_name,
    'closed',
    number,
    replaces,
    payroll_code,
    paid_as,
    approved_by,
    earned,
    restated,
    adjustments,
    recovered,
    brought_forward,
    due,
    paid,
    carried_forward,
    draw_balance,
    publication_id,
    pay_period,
    pay_date

from closed
{% endif %}
