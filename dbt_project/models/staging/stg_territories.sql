with

rows as (

    select * from {{ source('reference', 'territories') }}

),

versions as (

    select * from {{ ref('reference_versions') }} where table_name = 'territories'

)

select
    versions.state,
    rows.source,
    ops.match_key(rows.customer_field || ': ' || rows.data_field_value) as territory,
    ops.match_key(rows.sales_rep_name) as rep_key,
    rows.sales_rep_name as rep_in_file,
    coalesce(rows.share, 1) as share,
    rows.valid_from,
    rows.valid_until

from rows
inner join versions on versions.file_id = rows.file_id
