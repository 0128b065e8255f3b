with

loaded as (

    select source, min(commission_month) as first_month, max(commission_month) as last_month
    from {{ ref('stg_files') }}
    where status = 'loaded' and commission_month is not null
    group by source

),

-- A file in a folder of the far future must not make all other sources look as if they had stopped.
newest as (

    select least(max(last_month), '{{ var("last_due_month") }}'::date + interval '1 month')::date as month
    from loaded

),

-- A source that stopped half a year ago holds nothing up any more.
waited_for as (

    select loaded.source, loaded.last_month
    from loaded
    cross join newest
    where loaded.last_month >= newest.month - interval '6 months'

),

bounds as (

    select
        (select min(first_month) from loaded) as first_whole_month,
        (select min(last_month) - interval '1 month' from waited_for)::date as last_complete_month

),

with_figures as (

    select month from {{ ref('company_performance_monthly') }}

    union

    select months.month
    from {{ published('company_performance_monthly') }} as months
    where
        not exists (
            select from {{ ref('touched_product_months') }} as touched
            where touched.product_line_id = months.product_line_id and touched.month = months.month
        )

    union

    select last_complete_month from bounds where last_complete_month >= first_whole_month

),

months as (

    select
        months.month::date as month,
        case
            when months.month > coalesce(bounds.last_complete_month, '-infinity') then 'coming_in'
            when months.month < bounds.first_whole_month then 'before_start'
            else 'complete'
        end as state,
        months.month = bounds.last_complete_month as is_last

    from (select min(month) as first_month, max(month) as last_month from with_figures) as ends
    cross join lateral generate_series(ends.first_month, ends.last_month, interval '1 month') as months (month)
    cross join bounds

)

select
    months.state,
    (
        select string_agg(source, ', ' order by source collate "C") from waited_for
        where waited_for.last_month <= months.month
    ) as waiting_for,
    (select count(*) from waited_for) as sources,
    (select count(*) from waited_for where waited_for.last_month > months.month) as sources_complete,
    months.state = 'complete' as is_complete,
    months.state = 'complete' and months.is_last as is_last_complete,
    months.state = 'complete' and coalesce(year_before.state = 'complete', false) as is_comparable,
    months.month

from months
left join months as year_before on year_before.month = months.month - interval '1 year'
