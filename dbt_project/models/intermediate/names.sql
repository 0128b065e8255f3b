select 'now' as state, kind, name_key, id, name from {{ ref('published_names') }}

union all

select 'published' as state, kind, name_key, id, name from {{ published('published_names') }} as names
