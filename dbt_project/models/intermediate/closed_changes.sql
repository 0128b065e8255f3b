{#- Payouts of closed months that this build changes, and whether a file or a workbook is what changes them: a
    line that says the same and is credited or rated otherwise is a workbook's doing. -#}
-- depends_on: {{ ref('close_bounds') }}
-- depends_on: {{ ref('touched_years') }}
-- depends_on: {{ ref('changed_slices') }}
-- depends_on: {{ ref('commission_payouts') }}
-- depends_on: {{ ref('harmonised_sales') }}
-- depends_on: {{ ref('statement_items') }}
{% set credit = 'row(lines.payee_id, lines.product_line_id, lines.credit_share, lines.tier_1_rate, lines.tier_2_rate)::text' -%}
{% if not (
    is_published_with('commission_payouts', ['payee_id', 'product_line_id', 'threshold', 'payout'])
    and is_published_with('harmonised_sales', ['line_id', 'payee_id', 'product_line_id', 'credit_share'])
) -%}
-- Nothing is published that could be compared with, as after the database was lost: the ledger says what was paid.
with

restated as (

    select items.*
    from {{ ref('statement_items') }} as items
    inner join {{ ref('close_bounds') }} as bounds
        on bounds.closed_until > '-infinity' and items.pay_period > bounds.closed_until
    where items.kind in ('restated', 'reclassified')

),

paid as (

    select payee_id, product_line_id, earned_month, sum(amount) as amount
    from {{ source('ledger', 'entries') }} as entries
    where
        kind not in ('adjustment', 'draw', 'recovered')
        and not exists (select from {{ ref('close_bounds') }} where entries.close_no = any(taken_back))
    group by payee_id, product_line_id, earned_month

)

select
    restated.payee_id,
    restated.rep_name,
    restated.product_line_id,
    restated.product_line,
    coalesce(paid.amount, 0)::numeric(15, 2) as payout_before,
    (coalesce(paid.amount, 0) + restated.amount)::numeric(15, 2) as payout_now,
    -- Which of the two it was cannot be told.
    true as is_by_file,
    false as is_by_workbook,
    restated.earned_month as commission_month

from restated
left join paid using (payee_id, product_line_id, earned_month)
{%- else -%}
with

bounds as (

    select * from {{ ref('close_bounds') }}

),

payouts_before as (

    select payouts.*
    from marts.commission_payouts as payouts
    cross join bounds
    {% if not flags.FULL_REFRESH -%}
    inner join {{ ref('touched_years') }} as years
        on
            years.payee_id = payouts.payee_id
            and years.product_line_id = payouts.product_line_id
            and years.commission_year = date_trunc('year', payouts.commission_month)
    {%- endif %}
    where payouts.commission_month <= bounds.closed_until

),

payouts_now as (

    select payouts.*
    from {{ ref('commission_payouts') }} as payouts
    cross join bounds
    where payouts.commission_month <= bounds.closed_until

),

moved as (

    select
        payee_id,
        product_line_id,
        commission_month,
        date_trunc('year', commission_month)::date as commission_year,
        coalesce(payouts_now.rep_name, payouts_before.rep_name) as rep_name,
        coalesce(payouts_now.product_line, payouts_before.product_line) as product_line,
        coalesce(payouts_before.payout, 0) as payout_before,
        coalesce(payouts_now.payout, 0) as payout_now,
        payouts_before.payee_id is not null
        and payouts_now.payee_id is not null
        and (
            payouts_before.threshold is distinct from payouts_now.threshold
            {% if is_published_with('commission_payouts', ['opening_month']) -%}
            or (payouts_before.opening_month, payouts_before.opening_sales, payouts_before.opening_held_back)
            is distinct from (payouts_now.opening_month, payouts_now.opening_sales, payouts_now.opening_held_back)
            {%- endif %}
        ) as is_other_year

    from payouts_before
    full join payouts_now using (payee_id, product_line_id, commission_month)
    where coalesce(payouts_before.payout, 0) <> coalesce(payouts_now.payout, 0)

),

published_lines as (

    select lines.*
    from marts.harmonised_sales as lines
    {% if not flags.FULL_REFRESH -%}
    inner join {{ ref('changed_slices') }} as slices
        on slices.source = lines.source and slices.commission_month = lines.commission_month
    {%- endif %}
    where (select exists (select from moved))

),

lines_now as (

    select * from {{ ref('harmonised_sales') }} where (select exists (select from moved))

),

-- The lines that count in what moved, before or now.
involved as (

    {% for relation in ['published_lines', 'lines_now'] %}
    select lines.line_id
    from {{ relation }} as lines
    inner join moved
        on
            moved.payee_id = lines.payee_id
            and moved.product_line_id = lines.product_line_id
            and lines.commission_month between moved.commission_year and moved.commission_month

    {{ 'union' if not loop.last }}
    {% endfor %}

),

{% for name, relation in [('said_before', 'published_lines'), ('said_now', 'lines_now')] %}
{{ name }} as (

    select
        lines.line_id,
        sum(lines.sales_actual) as sales_actual,
        sum(lines.rev_actual) as rev_actual,
        min(lines.revenue_date) as revenue_date,
        min(lines.customer) as customer,
        array_agg({{ credit }} order by {{ credit }}) as credit

    from {{ relation }} as lines
    inner join involved on involved.line_id = lines.line_id
    group by lines.line_id

),
{% endfor %}

differing as (

    select
        line_id,
        (said_before.sales_actual, said_before.rev_actual, said_before.revenue_date, said_before.customer)
        is distinct from
        (said_now.sales_actual, said_now.rev_actual, said_now.revenue_date, said_now.customer) as is_other_line

    from said_before
    full join said_now using (line_id)
    where
        (
            said_before.sales_actual, said_before.rev_actual, said_before.revenue_date, said_before.customer,
            said_before.credit
        ) is distinct from (
            said_now.sales_actual, said_now.rev_actual, said_now.revenue_date, said_now.customer, said_now.credit
        )

),

causes as (

    {% for relation in ['published_lines', 'lines_now'] %}
    select lines.payee_id, lines.product_line_id, lines.commission_month, differing.is_other_line
    from {{ relation }} as lines
    inner join differing on differing.line_id = lines.line_id
    where lines.payee_id is not null

    {{ 'union' if not loop.last }}
    {% endfor %}

)

select
    moved.payee_id,
    min(moved.rep_name) as rep_name,
    moved.product_line_id,
    min(moved.product_line) as product_line,
    min(moved.payout_before)::numeric(15, 2) as payout_before,
    min(moved.payout_now)::numeric(15, 2) as payout_now,
    coalesce(bool_or(causes.is_other_line), false) as is_by_file,
    bool_or(moved.is_other_year or not coalesce(causes.is_other_line, true)) as is_by_workbook,
    moved.commission_month

from moved
-- Earlier lines of the year count too: with them it reaches its threshold.
left join causes
    on
        causes.payee_id = moved.payee_id
        and causes.product_line_id = moved.product_line_id
        and causes.commission_month between moved.commission_year and moved.commission_month
group by moved.payee_id, moved.product_line_id, moved.commission_month
{%- endif %}
