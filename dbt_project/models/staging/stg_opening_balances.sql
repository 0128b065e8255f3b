with

rows as (

    select * from {{ source('reference', 'opening_balances') }}

),

versions as (

    select * from {{ ref('reference_versions') }} where table_name = 'opening_balances'

)

select
    versions.state,
    rows.source_sheet,
    rows.source_row,
    rows.sales_rep_name,
    ops.match_key(rows.sales_rep_name) as rep_key,
    ops.match_key(rows.product_line) as product_key,
    rows.product_line,
    rows.paid,
    rows.cumulative_sales,
    rows.held_back,
    rows.commission_month

from rows
inner join versions on versions.file_id = rows.file_id
