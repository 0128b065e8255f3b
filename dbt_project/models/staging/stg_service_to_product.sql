with

rows as (

    select * from {{ source('reference', 'service_to_product') }}

),

versions as (

    select * from {{ ref('reference_versions') }} where table_name = 'service_to_product'

)

select
    versions.state,
    ops.match_key(rows.service_lines) as service_key,
    ops.match_key(rows.product_lines) as product_key,
    rows.product_lines as product_line,
    coalesce(rows.valid_from, '-infinity') as valid_from,
    rows.valid_until

from rows
inner join versions on versions.file_id = rows.file_id
