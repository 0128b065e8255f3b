{#- Each line of this build with its product line, and the name that it is credited by. -#}
with

lines as (

    select
        *,
        -- Once, and before any rate: half a cent goes away from zero.
        round(sales_actual, 2) as sales_in_cents,
        round(rev_actual, 2) as rev_in_cents

    from {{ ref('sale_lines') }}

),

names as (

    select * from {{ ref('names') }} where state = 'now'

),

aliases as (

    select * from {{ ref('line_aliases') }} where state = 'now'

),

customers as (

    select * from aliases where kind = 'customer'

),

owners as (

    select * from {{ ref('owners') }} where state = 'now'

),

-- Under which key each customer field is looked up; where there are no aliases none is looked for. A source and
-- a key are compared as one text: the planner knows little of them, and may sort by the source alone and hold
-- each line against all of its customers.
placed as (

    select
        lines.*
        {%- for place in [1, 2, 3] %},
        coalesce(
            {{ customer_prefix('lines.territory_' ~ place) }} || customers_{{ place }}.means_key,
            ops.match_key(lines.territory_{{ place }})
        ) as territory_key_{{ place }}
        {%- endfor %}

    from lines
    {% for place in [1, 2, 3] %}
    left join customers as customers_{{ place }}
        on
            (select exists (select from customers))
            and customers_{{ place }}.source || '/' || customers_{{ place }}.name_key
            = lines.source || '/' || {{ customer_key('lines.territory_' ~ place) }}
            and coalesce(customers_{{ place }}.valid_from <= lines.territory_date, true)
            and coalesce(customers_{{ place }}.valid_until > lines.territory_date, true)
    {% endfor %}
),

owned as (

    select
        lines.*,
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

    from placed as lines
    {% for territory, place in [('first', 1), ('second', 2), ('third', 3)] %}
    left join owners as {{ territory }}
        on
            {{ territory }}.source || '/' || {{ territory }}.territory
            = lines.source || '/' || lines.territory_key_{{ place }}
            and {{ territory }}.valid_from <= lines.territory_date
            and ({{ territory }}.valid_until is null or {{ territory }}.valid_until > lines.territory_date)
    {% endfor %}
)

select
    lines.line_id,
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    lines.source,
    product_lines.id as product_line_id,
    product_lines.name as product_line,
    lines.rep_in_file,
    lines.rep_named,
    ops.match_key(lines.rep_named) as rep_key,
    lines.customer,
    lines.territory,
    lines.invoice_number,
    lines.item,
    lines.quantity,
    lines.sales_actual,
    lines.rev_actual,
    lines.sales_in_cents,
    lines.rev_in_cents,
    lines.is_rep_in_file,
    lines.territory_date,
    lines.revenue_date,
    lines.commission_month

from owned as lines
left join aliases as renamed
    on
        renamed.kind = 'product line'
        and renamed.source = lines.source
        and renamed.name_key = ops.match_key(lines.product_line)
        and coalesce(renamed.valid_from <= lines.commission_month, true)
        and coalesce(renamed.valid_until > lines.commission_month, true)
left join names as product_lines
    on
        product_lines.kind = 'product line'
        and product_lines.name_key = coalesce(renamed.means_key, ops.match_key(lines.product_line))
