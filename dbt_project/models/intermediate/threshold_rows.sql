{#- The rows of all versions of the thresholds, the newest first, with whom and what they name. -#}
with

rows as (

    select * from {{ source('reference', 'tier_thresholds') }}

),

versions as (

    {{ versions_by_age('tier_thresholds') | indent }}

),

names as (

    select * from {{ ref('names') }} where state = 'now'

)

select
    versions.versions_ago,
    rows.source_sheet,
    rows.source_row,
    reps.id as payee_id,
    product_lines.id as product_line_id,
    coalesce(product_lines.name, rows.product_line) as product_line,
    rows.year::integer as commission_year,
    rows.commission_tier_threshold as threshold

from rows
inner join versions on versions.file_id = rows.file_id
left join names as reps on reps.kind = 'rep' and reps.name_key = ops.match_key(rows.sales_rep_name)
left join names as product_lines
    on product_lines.kind = 'product line' and product_lines.name_key = ops.match_key(rows.product_line)
