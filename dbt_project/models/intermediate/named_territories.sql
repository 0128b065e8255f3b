{#- The rows of the territory table under the name that each customer has today. -#}
with

territories as (

    select * from {{ ref('stg_territories') }} where valid_until is null or valid_until > valid_from

),

renames as (

    select * from {{ ref('stg_aliases') }} where kind = 'customer' and is_rename

)

select
    territories.state,
    territories.source,
    coalesce(
        {{ customer_prefix('territories.territory') }} || renames.means_key, territories.territory
    ) as territory,
    territories.territory as former_territory,
    territories.rep_key,
    territories.rep_in_file,
    territories.share,
    renames.means_key is not null as is_former_name,
    territories.valid_from,
    territories.valid_until

from territories
left join renames
    on
        renames.state = territories.state
        and renames.name_key = {{ customer_key('territories.territory') }}
