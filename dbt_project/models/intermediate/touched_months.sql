{#- The (rep, product line, month)s whose performance may differ from what is published; the rep is
    null for lines that are nobody's, which count in the company's months only. -#}
with

slices as (

    select * from {{ ref('changed_slices') }}

),

lines as (

    select rep_name, product_line, revenue_month as month from {{ ref('harmonised_sales') }}

    union

    select lines.rep_name, lines.product_line, lines.revenue_month
    from {{ published('harmonised_sales') }} as lines
    inner join slices
        on slices.source = lines.source and slices.commission_month = lines.commission_month

),

payouts_now as (

    select rep_name, product_line, commission_month as month, payout from {{ ref('commission_payouts') }}

),

payouts_before as (

    select payouts.rep_name, payouts.product_line, payouts.commission_month as month, payouts.payout
    from {{ published('commission_payouts') }} as payouts
    inner join {{ ref('touched_years') }} as years
        on
            years.rep_name = payouts.rep_name
            and years.product_line = payouts.product_line
            and payouts.commission_month >= years.commission_year
            and payouts.commission_month < years.commission_year + interval '1 year'

),

-- Of a year only the months whose payout is another one.
payouts as (

    (select * from payouts_now except select * from payouts_before)
    union
    (select * from payouts_before except select * from payouts_now)

),

objectives as (

    -- Also where a name is spelled anew, and nothing else has changed.
    select distinct rep_name, product_line, month
    from {{ changed(ref('objectives'), ['rep_name', 'product_line', 'month', 'objective']) }} as changed

)

select rep_name, product_line, month from lines
union
select rep_name, product_line, month from payouts
union
select rep_name, product_line, month from objectives
