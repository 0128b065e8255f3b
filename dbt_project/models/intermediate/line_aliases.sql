{#- What a name in a line stands for, source by source: a row for the source goes before one for all. Renames
    of reps and product lines are not among them, since `names` knows those. -#}
with

aliases as (

    select * from {{ ref('stg_aliases') }} where kind = 'customer' or not is_rename

),

sources as (

    select source from unnest(array['{{ sources() | join("', '") }}']) as names (source)

),

periods as (

    select
        aliases.*,
        sources.source as of_source,
        daterange(aliases.valid_from, aliases.valid_until) as period

    from aliases
    inner join sources on sources.source = coalesce(aliases.source, sources.source)

),

own_periods as (

    select state, kind, of_source, name_key, range_agg(period) as periods
    from periods
    where source is not null
    group by state, kind, of_source, name_key

),

cut as (

    select
        periods.*,
        case
            when periods.source is null
                then datemultirange(periods.period) - coalesce(own_periods.periods, '{}'::datemultirange)
            else datemultirange(periods.period)
        end as left_over

    from periods
    left join own_periods using (state, kind, of_source, name_key)

)

select
    cut.state,
    cut.kind,
    cut.of_source as source,
    cut.name_key,
    cut.means_key,
    cut.means,
    cut.share,
    lower(parts.period) as valid_from,
    upper(parts.period) as valid_until

from cut
cross join lateral unnest(cut.left_over) as parts (period)
