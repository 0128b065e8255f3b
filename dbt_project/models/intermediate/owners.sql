with

territories as (

    select
        state,
        source,
        territory,
        former_territory,
        rep_key,
        rep_in_file,
        is_former_name,
        daterange(valid_from, valid_until) as period

    from {{ ref('named_territories') }}
    where share = 1

    union all

    select distinct
        state,
        source,
        territory,
        former_territory,
        ops.match_key(owners) as rep_key,
        owners as rep_in_file,
        is_former_name,
        daterange(valid_from, valid_until) as period

    from {{ ref('shared_territories') }}

)

{{ one_at_a_time(
    'territories',
    ['state', 'source', 'territory', 'rep_key', 'rep_in_file'],
    ['state', 'source', 'territory'],
    ['is_former_name', 'former_territory collate "C"', 'period']
) }}
