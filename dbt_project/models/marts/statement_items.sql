with

bounds as (

    select * from {{ ref('close_bounds') }}

),

statements as (

    select * from {{ ref('statements') }}

),

amounts as (

    select * from {{ ref('statement_amounts') }}

),

draws as (

    select * from {{ ref('draws') }}

),

-- Noted by Python between the audit of a build and its publication, which makes this model once more then.
reasons as (

    select reasons.*
    from {{ source('ops', 'restatement_reasons') }} as reasons
    inner join bounds on bounds.settled_by = reasons.settled_by
    where reasons.words <> ''

),

-- From where to where the amounts recovered in each open month reach in the row of all draws.
recovered as (

    select
        statements.*,
        sum(-statements.recovered) over (partition by statements.payee_id order by statements.pay_period)
        + statements.recovered as starts_at

    from statements
    inner join bounds on statements.pay_period > bounds.closed_until

),

recovered_of_draws as (

    select
        recovered.*,
        draws.product_line_id,
        draws.product_line,
        least(recovered.starts_at - recovered.recovered, draws.starts_at + draws.amount)
        - greatest(recovered.starts_at, draws.starts_at) as amount,
        draws.starts_at + draws.amount
        - least(recovered.starts_at - recovered.recovered, draws.starts_at + draws.amount) as left_over,
        draws.drawn_month

    from recovered
    inner join draws
        on
            draws.payee_id = recovered.payee_id
            and draws.starts_at < recovered.starts_at - recovered.recovered
            and draws.starts_at + draws.amount > recovered.starts_at
    where recovered.recovered <> 0

)

select
    statements.payee_id,
    statements.rep_name,
    statements.number,
    amounts.kind,
    amounts.product_line_id,
    amounts.product_line,
    amounts.words || coalesce(' ' || reasons.words, '') as words,
    amounts.item_no,
    amounts.amount,
    statements.pay_period,
    amounts.earned_month

from amounts
inner join statements using (payee_id, pay_period)
left join reasons
    on
        amounts.kind in ('restated', 'reclassified')
        and reasons.payee_id = amounts.payee_id
        and reasons.product_line_id = amounts.product_line_id
        and reasons.earned_month = amounts.earned_month
        and reasons.amount = amounts.amount

union all

select
    payee_id,
    rep_name,
    number,
    'brought forward',
    '',
    '',
    'Brought forward from ' || to_char(pay_period - interval '1 month', 'FMMonth YYYY') || '.',
    1,
    brought_forward,
    pay_period,
    pay_period

from statements
where brought_forward <> 0

union all

select
    payee_id,
    rep_name,
    number,
    'recovered',
    product_line_id,
    product_line,
    'Taken back of the draw of ' || to_char(drawn_month, 'FMMonth YYYY') || '; '
    || case when left_over > 0 then {{ dollars('left_over') }} else 'nothing' end || ' of it is left.',
    1,
    -amount,
    pay_period,
    drawn_month

from recovered_of_draws
{% if flags.FULL_REFRESH %}
union all

select
    statements.payee_id,
    statements.rep_name,
    statements.number,
    entries.kind,
    entries.product_line_id,
    entries.product_line,
    entries.words,
    row_number() over (
        partition by entries.statement_number, entries.kind, entries.product_line_id, entries.earned_month
        order by entries.entry_no
    )::integer,
    entries.amount,
    statements.pay_period,
    entries.earned_month

from {{ source('ledger', 'entries') }} as entries
inner join statements on statements.number = entries.statement_number
where entries.kind <> 'reversal'
{% endif %}
