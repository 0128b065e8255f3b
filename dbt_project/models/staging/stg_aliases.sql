with

rows as (

    select * from {{ source('reference', 'aliases') }}

),

versions as (

    select * from {{ ref('reference_versions') }} where table_name = 'aliases'

)

select
    versions.state,
    rows.kind,
    rows.source,
    ops.match_key(rows.name_in_file) as name_key,
    ops.match_key(rows.means) as means_key,
    rows.means,
    coalesce(rows.share, 1) as share,
    -- A rename: the other workbooks may go on using the old name.
    rows.source is null
    and coalesce(rows.share, 1) = 1
    and rows.valid_from is null
    and rows.valid_until is null as is_rename,
    rows.valid_from,
    rows.valid_until

from rows
inner join versions on versions.file_id = rows.file_id
