{#- Who shares a customer, over each period in which it is the same people. What they are called together
    stands for them in the lines, as an alias with shares does. -#}
with

shared as (

    select * from {{ ref('named_territories') }} where share < 1

),

days as (

    select state, source, territory, former_territory, valid_from as day from shared
    union
    select state, source, territory, former_territory, coalesce(valid_until, 'infinity') from shared

),

periods as (

    select
        *,
        lead(day) over (partition by state, source, territory, former_territory order by day) as next_day

    from days

)

select
    periods.state,
    periods.source,
    periods.territory,
    periods.former_territory,
    shared.is_former_name,
    shared.rep_key,
    shared.rep_in_file,
    shared.share,
    string_agg(shared.rep_in_file || ' ' || trim_scale(shared.share * 100) || ' %', ', ') over (
        partition by periods.state, periods.source, periods.territory, periods.former_territory, periods.day
        order by shared.rep_key collate "C"
        rows between unbounded preceding and unbounded following
    ) as owners,
    periods.day as valid_from,
    nullif(periods.next_day, 'infinity') as valid_until

from periods
inner join shared
    on
        shared.state = periods.state
        and shared.source = periods.source
        and shared.territory = periods.territory
        and shared.former_territory = periods.former_territory
        and shared.valid_from <= periods.day
        and coalesce(shared.valid_until > periods.day, true)
where periods.next_day is not null
