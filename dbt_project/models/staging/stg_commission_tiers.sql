with

rows as (

    select * from {{ source('reference', 'commission_tiers') }}

),

versions as (

    select * from {{ ref('reference_versions') }} where table_name = 'commission_tiers'

)

select
    versions.state,
    ops.match_key(rows.sales_rep_name) as rep_key,
    ops.match_key(rows.product_line) as product_key,
    rows.product_line,
    rows.commission_tier_1_rate as tier_1_rate,
    rows.commission_tier_2_rate as tier_2_rate,
    rows.valid_from,
    rows.valid_until

from rows
inner join versions on versions.file_id = rows.file_id
