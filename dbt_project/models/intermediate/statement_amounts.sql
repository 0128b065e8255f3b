{#- What each month that is open, or closes in this build, comes to: what was earned in it, its adjustments, and in
    the earliest of them what the months before it come to now beyond what the ledger says. -#}
with

bounds as (

    select * from {{ ref('close_bounds') }}

),

payouts as (

    {{ gathered_payouts([
        'rows.payee_id', 'rows.product_line_id', 'rows.product_line', 'rows.payout', 'rows.commission_month',
    ]) | indent }}

),

product_lines as (

    select * from {{ ref('product_lines') }} where state = 'now'

),

periods as (

    select * from {{ ref('open_periods') }}

),

earned as (

    select payouts.*
    from payouts
    inner join periods on periods.pay_period = payouts.commission_month

),

opening as (

    select * from {{ ref('opening_entries') }}

),

closes as (

    select * from {{ source('ledger', 'closes') }}

),

entries as (

    select payee_id, product_line_id, product_line, kind, earned_month, amount
    from {{ source('ledger', 'entries') }} as entries
    where
        entries.kind not in ('adjustment', 'draw', 'recovered')
        and not exists (select from bounds where entries.close_no = any(bounds.taken_back))
        -- What was taken back, and what took it back, come to nothing.
        and not exists (
            select from closes
            where closes.kind = 'reopened' and entries.close_no in (closes.close_no, closes.replaces)
        )

    union all

    select payee_id, product_line_id, product_line, kind, earned_month, amount from opening

),

entered as (

    select
        payee_id,
        product_line_id,
        earned_month as commission_month,
        min(product_line) as product_line,
        sum(amount) as amount,
        sum(amount) filter (where kind = 'opening without lines') as without_lines

    from entries
    group by payee_id, product_line_id, earned_month

),

-- What is computed of closed months, and in the first close of those before it.
settled as (

    select payouts.*
    from payouts
    cross join bounds
    where
        payouts.commission_month <= bounds.closed_until
        or payouts.commission_month < (select min(pay_period) from opening)

),

moved as (

    select
        payee_id,
        product_line_id,
        coalesce(settled.product_line, entered.product_line) as product_line,
        commission_month,
        coalesce(entered.amount, 0) as amount_before,
        coalesce(settled.payout, entered.without_lines, 0) as amount_now,
        coalesce(settled.payout, entered.without_lines, 0) - coalesce(entered.amount, 0) as amount

    from settled
    full join entered using (payee_id, product_line_id, commission_month)
    where coalesce(settled.payout, entered.without_lines, 0) <> coalesce(entered.amount, 0)

),

-- Of two that cancel out, the one is the other's reason.
paired as (

    select
        *,
        row_number() over (
            partition by payee_id, abs(amount), amount > 0 order by commission_month, product_line_id collate "C"
        ) as place

    from moved

),

restated as (

    select
        paired.*,
        exists (
            select from paired as other
            where
                other.payee_id = paired.payee_id
                and other.amount = -paired.amount
                and other.place = paired.place
        ) as is_reclassified

    from paired

),

adjustments as (

    select
        adjustments.*,
        case when adjustments.kind = 'draw' then 'draw' else 'adjustment' end as item_kind

    from {{ ref('stg_adjustments') }} as adjustments
    inner join periods using (pay_period)
    where adjustments.payee_id is not null

),

amounts as (

    select
        payee_id,
        commission_month as pay_period,
        'earned' as kind,
        product_line_id,
        product_line,
        commission_month as earned_month,
        payout as amount,
        '' as words,
        null as place,
        1 as item_no

    from earned

    union all

    select
        restated.payee_id,
        (select min(pay_period) from periods),
        case when restated.is_reclassified then 'reclassified' else 'restated' end,
        restated.product_line_id,
        coalesce(product_lines.product_line, restated.product_line),
        restated.commission_month,
        restated.amount,
        coalesce(product_lines.product_line, restated.product_line) || ' of '
        || to_char(restated.commission_month, 'FMMonth YYYY') || ' comes to '
        || {{ dollars('restated.amount_now') }} || ' now; ' || {{ dollars('restated.amount_before') }}
        || ' had been settled.',
        null,
        1

    from restated
    left join product_lines using (product_line_id)

    union all

    select
        payee_id,
        pay_period,
        item_kind,
        product_line_id,
        product_line,
        pay_period,
        amount,
        {{ sentence("initcap(kind) || ': ' || reason") }}
        || coalesce(' ' || {{ sentence("'Reference ' || reference") }}, '')
        || ' ' || {{ sentence("'Approved by ' || approved_by") }},
        source_file || ', ' || source_sheet || ', row ' || source_row,
        row_number() over (
            partition by payee_id, pay_period, item_kind, product_line_id
            order by source_file collate "C", source_sheet collate "C", source_row
        )

    from adjustments

)

select
    payee_id,
    kind,
    product_line_id,
    product_line,
    words,
    place,
    item_no::integer as item_no,
    amount::numeric(15, 2) as amount,
    pay_period,
    earned_month

from amounts
