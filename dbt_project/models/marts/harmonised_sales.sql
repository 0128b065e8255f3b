with

delivered as (

    select * from {{ ref('sale_lines') }}

),

lines as (

    select
        delivered.*,
        -- Once, and before any rate: half a cent goes away from zero.
        round(sales_actual, 2)::numeric(15, 2) as sales_in_cents,
        round(rev_actual, 2)::numeric(15, 2) as rev_in_cents

    from delivered

),

territories as (

    select * from {{ ref('stg_territories') }} where state = 'now'

),

reps as (

    select * from {{ ref('stg_sales_reps') }} where state = 'now'

),

rates as (

    select * from {{ ref('stg_commission_tiers') }} where state = 'now'

),

product_lines as (

    select * from {{ ref('product_lines') }} where state = 'now'

),

files as (

    select * from {{ ref('stg_files') }}

),

rep_named as (

    select
        lines.*,
        ops.match_key(lines.product_line) as product_key,
        case
            when lines.is_rep_in_file then lines.rep_in_file
            else coalesce(first.rep_in_file, second.rep_in_file, third.rep_in_file)
        end as rep_named,
        case
            when first.rep_in_file is not null then lines.territory_1
            when second.rep_in_file is not null then lines.territory_2
            when third.rep_in_file is not null then lines.territory_3
            else lines.territory_1
        end as territory

    from lines
    {% for territory, place in [('first', 1), ('second', 2), ('third', 3)] %}
    left join territories as {{ territory }}
        on
            {{ territory }}.source = lines.source
            and {{ territory }}.territory = ops.match_key(lines.territory_{{ place }})
            and {{ territory }}.valid_from <= lines.territory_date
            and ({{ territory }}.valid_until is null or {{ territory }}.valid_until > lines.territory_date)
    {% endfor %}
),

rated as (

    select
        lines.*,
        coalesce(product_lines.product_line, lines.product_line) as product_line_shown,
        reps.rep_name,
        -- The rate of the product line goes before the one for all, with its blank tier 2, too.
        coalesce(own_rate.rep_key, any_rate.rep_key) is not null as has_rate,
        case when own_rate.rep_key is not null then own_rate.tier_1_rate else any_rate.tier_1_rate
        end as tier_1_rate,
        case when own_rate.rep_key is not null then own_rate.tier_2_rate else any_rate.tier_2_rate
        end as tier_2_rate

    from rep_named as lines
    left join product_lines on product_lines.product_key = lines.product_key
    left join reps on reps.rep_key = ops.match_key(lines.rep_named)
    left join rates as own_rate
        on
            own_rate.rep_key = reps.rep_key
            and own_rate.product_key = lines.product_key
            and own_rate.valid_from <= lines.commission_month
            and (own_rate.valid_until is null or own_rate.valid_until > lines.commission_month)
    left join rates as any_rate
        on
            any_rate.rep_key = reps.rep_key
            and any_rate.product_key is null
            and any_rate.valid_from <= lines.commission_month
            and (any_rate.valid_until is null or any_rate.valid_until > lines.commission_month)

)

select
    lines.file_id || '/' || lines.source_sheet || '/' || lines.source_row as line_id,
    lines.source,
    lines.product_line_shown as product_line,
    lines.rep_name,
    lines.rep_in_file,
    lines.rep_named,
    case
        when lines.rep_name is not null and lines.has_rate then 'credited'
        when lines.rep_name is not null then 'no_tier_rate'
        when lines.rep_named is not null or lines.is_rep_in_file then 'unknown_rep'
        else 'no_territory'
    end as credit_status,
    lines.customer,
    lines.territory,
    lines.invoice_number,
    lines.item,
    files.path as source_file,
    lines.source_sheet,
    lines.source_row,
    lines.quantity,
    lines.sales_in_cents as sales_actual,
    lines.rev_in_cents as rev_actual,
    -- Nearly always null: files with more digits than cents are few.
    nullif(lines.sales_actual, lines.sales_in_cents) as sales_before_rounding,
    nullif(lines.rev_actual, lines.rev_in_cents) as rev_before_rounding,
    lines.tier_1_rate::numeric(9, 6) as tier_1_rate,
    lines.tier_2_rate::numeric(9, 6) as tier_2_rate,
    coalesce(round(lines.rev_in_cents * lines.tier_1_rate, 2), 0)::numeric(15, 2) as commission_tier_1,
    coalesce(
        round(lines.rev_in_cents * lines.tier_2_rate - lines.rev_in_cents * lines.tier_1_rate, 2), 0
    )::numeric(15, 2) as commission_tier_2_diff,
    lines.revenue_date,
    date_trunc('month', lines.revenue_date)::date as revenue_month,
    lines.commission_month,
    files.finished as loaded_at

from rated as lines
inner join files on files.file_id = lines.file_id
