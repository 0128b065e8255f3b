{#- What a leaver is paid by when no rate is in force: the versions of the rates, the newest first. -#}
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

leavers as (

    select * from {{ ref('payees') }} where state = 'now' and left_on is not null

)

select
    leavers.payee_id,
    product_lines.id as product_line_id,
    versions.versions_ago,
    rows.commission_tier_1_rate as tier_1_rate,
    rows.commission_tier_2_rate as tier_2_rate,
    ops.match_key(rows.sales_rep_name) <> leavers.name_key as is_former_name,
    rows.valid_from,
    rows.valid_until

from rows
inner join versions on versions.file_id = rows.file_id
inner join names as reps on reps.kind = 'rep' and reps.name_key = ops.match_key(rows.sales_rep_name)
inner join leavers on leavers.payee_id = reps.id
left join names as product_lines
    on product_lines.kind = 'product line' and product_lines.name_key = ops.match_key(rows.product_line)
where rows.product_line is null or product_lines.id is not null
