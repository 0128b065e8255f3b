{#- The rows of all versions of the rates, the newest first, with whom and what they name. -#}
with

rows as (

    select * from {{ source('reference', 'commission_tiers') }}

),

versions as (

    {{ versions_by_age('commission_tiers') | indent }}

),

names as (

    select * from {{ ref('names') }} where state = 'now'

),

payees as (

    select * from {{ ref('payees') }} where state = 'now'

)

select
    versions.versions_ago,
    rows.source_sheet,
    rows.source_row,
    rows.sales_rep_name,
    reps.id as payee_id,
    coalesce(payees.rep_name, rows.sales_rep_name) as rep_name,
    product_lines.id as product_line_id,
    coalesce(product_lines.name, rows.product_line) as product_line,
    coalesce(product_lines.name, rows.product_line, 'all product lines') as product_line_words,
    rows.product_line is null as is_for_all,
    rows.commission_tier_1_rate as tier_1_rate,
    rows.commission_tier_2_rate as tier_2_rate,
    rows.valid_from,
    coalesce(rows.valid_until, 'infinity'::date) as valid_until

from rows
inner join versions on versions.file_id = rows.file_id
left join names as reps on reps.kind = 'rep' and reps.name_key = ops.match_key(rows.sales_rep_name)
left join payees on payees.payee_id = reps.id
left join names as product_lines
    on product_lines.kind = 'product line' and product_lines.name_key = ops.match_key(rows.product_line)
