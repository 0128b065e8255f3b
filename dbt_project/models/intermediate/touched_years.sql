{#- The (rep, product line, commission year)s whose payouts may differ from what is published. -#}
with

reps as (

    select * from {{ ref('stg_sales_reps') }} where state = 'now'

),

product_lines as (

    select * from {{ ref('product_lines') }} where state = 'now'

),

lines_now as (

    select rep_name, product_line, commission_month
    from {{ ref('harmonised_sales') }}
    where rep_name is not null

),

lines_before as (

    select lines.rep_name, lines.product_line, lines.commission_month
    from {{ published('harmonised_sales') }} as lines
    inner join {{ ref('changed_slices') }} as slices
        on slices.source = lines.source and slices.commission_month = lines.commission_month
    where lines.rep_name is not null

),

thresholds as (

    select reps.rep_name, product_lines.product_line, changes.month as commission_month
    from {{ ref('reference_changes') }} as changes
    inner join reps on reps.rep_key = changes.rep_key
    inner join product_lines on product_lines.product_key = changes.product_key
    where changes.kind = 'threshold'

    union all

    -- A product line that no reference table names any more is still spelled as it was.
    select lines.rep_name, lines.product_line, changes.month
    from {{ ref('reference_changes') }} as changes
    inner join reps on reps.rep_key = changes.rep_key
    inner join {{ published('commission_payouts') }} as lines
        on
            lines.rep_name = reps.rep_name
            and ops.match_key(lines.product_line) = changes.product_key
            and lines.commission_month >= changes.month
            and lines.commission_month < changes.month + interval '1 year'
    where changes.kind = 'threshold'

)

select distinct
    rep_name,
    product_line,
    date_trunc('year', commission_month)::date as commission_year

from (
    select * from lines_now
    union all
    select * from lines_before
    union all
    select * from thresholds
) as touched
