with

rows as (

    select * from {{ source('reference', 'tier_thresholds') }}

),

versions as (

    select * from {{ ref('reference_versions') }} where table_name = 'tier_thresholds'

)

select
    versions.state,
    ops.match_key(rows.sales_rep_name) as rep_key,
    ops.match_key(rows.product_line) as product_key,
    rows.product_line,
    rows.year::integer as commission_year,
    rows.commission_tier_threshold as threshold

from rows
inner join versions on versions.file_id = rows.file_id
