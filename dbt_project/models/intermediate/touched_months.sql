{#- The (payee, product line, month)s whose performance may differ from what is published; the payee is
    null for lines that are nobody's, which count in the company's months only. -#}
with

slices as (

    select * from {{ ref('changed_slices') }}

),

lines as (

    select payee_id, product_line_id, revenue_month as month from {{ ref('harmonised_sales') }}

    union

    select lines.payee_id, lines.product_line_id, lines.revenue_month
    from {{ published('harmonised_sales') }} as lines
    inner join slices
        on slices.source = lines.source and slices.commission_month = lines.commission_month

),

payouts_now as (

    select payee_id, rep_name, product_line_id, product_line, commission_month as month, payout
    from {{ ref('commission_payouts') }}

),

payouts_before as (

    select
        payouts.payee_id,
        payouts.rep_name,
        payouts.product_line_id,
        payouts.product_line,
        payouts.commission_month as month,
        payouts.payout

    from {{ published('commission_payouts') }} as payouts
    inner join {{ ref('touched_years') }} as years
        on
            years.payee_id = payouts.payee_id
            and years.product_line_id = payouts.product_line_id
            and payouts.commission_month >= years.commission_year
            and payouts.commission_month < years.commission_year + interval '1 year'

),

-- Of a year only the months whose payout is another one, or is shown under another name.
payouts as (

    (select * from payouts_now except select * from payouts_before)
    union
    (select * from payouts_before except select * from payouts_now)

),

objectives as (

    -- Also where a name is spelled anew, and nothing else has changed.
    select distinct payee_id, product_line_id, month
    from {{ changed(ref('objectives'), [
        'payee_id', 'rep_name', 'product_line_id', 'product_line', 'month', 'objective'
    ]) }} as changed

),

at_tier_2_now as (

    {{ months_at_tier_2(ref('commission_payouts')) | indent }}

),

at_tier_2_before as (

    select months.payee_id, months.product_line_id, months.commission_month
    from ({{ months_at_tier_2(published('commission_payouts')) | indent }}) as months
    inner join {{ ref('touched_years') }} as years
        on
            years.payee_id = months.payee_id
            and years.product_line_id = months.product_line_id
            and years.commission_year = date_trunc('year', months.commission_month)

),

-- Where a year reaches its threshold now, or no longer, all its lines are paid otherwise.
crossings as (

    (select * from at_tier_2_now except select * from at_tier_2_before)
    union
    (select * from at_tier_2_before except select * from at_tier_2_now)

),

crossed as (

    select lines.payee_id, lines.product_line_id, lines.revenue_month as month
    from {{ published('harmonised_sales') }} as lines
    inner join crossings using (payee_id, product_line_id, commission_month)

)

select payee_id, product_line_id, month from lines
union
select payee_id, product_line_id, month from payouts
union
select payee_id, product_line_id, month from objectives
union
select payee_id, product_line_id, month from crossed
