with

files as (

    select files.*
    from {{ ref('stg_files') }} as files
    inner join {{ ref('changed_slices') }} as slices
        on slices.source = files.source and slices.commission_month = files.commission_month
    where files.status = 'loaded'

),

left_out as (

    select files.file_id, sum(reasons.lines::bigint)::bigint as left_out
    from files
    cross join lateral jsonb_each_text(files.left_out) as reasons (reason, lines)
    group by files.file_id

),

totals as (

    select
        source_file,
        sum(sales_actual) as sales_actual,
        sum(rev_actual) as rev_actual,
        sum(sales_actual - sales_before_rounding) as sales_rounding,
        sum(rev_actual - rev_before_rounding) as rev_rounding

    from {{ ref('harmonised_sales') }}
    group by source_file

)

select
    files.file_id,
    files.source,
    files.path,
    files.actor,
    files.rows_loaded as lines,
    coalesce(left_out.left_out, 0) as left_out,
    coalesce(totals.sales_actual, 0)::numeric(15, 2) as sales_actual,
    coalesce(totals.rev_actual, 0)::numeric(15, 2) as rev_actual,
    coalesce(totals.sales_rounding, 0) as sales_rounding,
    coalesce(totals.rev_rounding, 0) as rev_rounding,
    coalesce(totals.sales_rounding, 0) + coalesce(totals.rev_rounding, 0) as rounding,
    files.commission_month as month,
    files.finished as loaded_at

from files
left join left_out using (file_id)
left join totals on totals.source_file = files.path
