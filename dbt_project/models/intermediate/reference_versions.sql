with

now_in_force as (

    select table_name, file_id
    from {{ source('reference', 'versions') }}
    where in_force_until is null

),

last_publication as (

    select reference_versions from {{ published('publications') }} as publications
    order by publication_id desc
    limit 1

)

select 'now' as state, table_name, file_id from now_in_force

union all

select 'published' as state, versions.table_name, versions.file_id::bigint
from last_publication
cross join lateral jsonb_each_text(last_publication.reference_versions) as versions (table_name, file_id)
