with

files as (

    select
        source,
        commission_month as month,
        count(*) filter (where status = 'loaded') as files,
        count(*) filter (where status = 'rejected') as rejected_files,
        coalesce(sum(rows_loaded) filter (where status = 'loaded'), 0) as lines,
        max(finished) filter (where status = 'loaded') as last_loaded_at

    from {{ ref('stg_files') }}
    where status in ('loaded', 'rejected') and commission_month is not null
    group by source, commission_month

),

left_out as (

    select files.source, files.commission_month as month, sum(reasons.lines::bigint) as left_out
    from {{ ref('stg_files') }} as files
    cross join lateral jsonb_each_text(files.left_out) as reasons (reason, lines)
    where files.status = 'loaded'
    group by files.source, files.commission_month

),

slices as (

    select source, commission_month as month, sales_actual, rev_actual, sales_rounding, rev_rounding
    from {{ ref('published_slices') }}

    union all

    select source, commission_month, sales_actual, rev_actual, sales_rounding, rev_rounding
    from {{ published('published_slices') }} as slices
    where
        not exists (
            select from {{ ref('changed_slices') }} as changed
            where changed.source = slices.source and changed.commission_month = slices.commission_month
        )

),

-- A source is waited for from its own first loaded month on, as shs status waits for it.
due as (

    select first_months.source, months.month::date as month
    from (select source, min(month) as month from files where files > 0 group by source) as first_months
    cross join lateral generate_series(
        first_months.month, '{{ var("last_due_month") }}'::date, interval '1 month'
    ) as months (month)

)

select
    source,
    case
        when files.rejected_files > 0 and files.files > 0 then 'newer rejected'
        when files.rejected_files > 0 then 'rejected'
        when coalesce(files.files, 0) > 0 then 'loaded'
        else 'missing'
    end as state,
    coalesce(files.files, 0) as files,
    coalesce(files.lines, 0)::bigint as lines,
    coalesce(left_out.left_out, 0)::bigint as left_out,
    coalesce(files.rejected_files, 0) as rejected_files,
    coalesce(slices.sales_actual, 0)::numeric(15, 2) as sales_actual,
    coalesce(slices.rev_actual, 0)::numeric(15, 2) as rev_actual,
    coalesce(slices.sales_rounding, 0) as sales_rounding,
    coalesce(slices.rev_rounding, 0) as rev_rounding,
    coalesce(slices.sales_rounding + slices.rev_rounding, 0) as rounding,
    month,
    files.last_loaded_at

from files
full join due using (source, month)
left join left_out using (source, month)
left join slices using (source, month)
