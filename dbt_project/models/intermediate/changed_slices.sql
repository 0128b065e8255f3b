with

-- What a source's commission month is made from: its loaded files, and the last change of each.
files as (

    select
        source,
        commission_month,
        md5(string_agg(file_id || ' ' || change_no, ',' order by file_id)) as fingerprint

    from {{ ref('stg_files') }}
    where status = 'loaded' and commission_month is not null
    group by source, commission_month

),

published as (

    select source, commission_month, fingerprint from {{ published('published_slices') }} as slices

),

changed_files as (

    select source, commission_month
    from files
    full join published using (source, commission_month)
    where files.fingerprint is distinct from published.fingerprint

),

changes as (

    select * from {{ ref('reference_changes') }} where kind <> 'year'

),

-- A line that is somebody's already, or that bears a name that stands for somebody else now.
changed_reps as (

    select distinct lines.source, lines.commission_month
    from {{ published('harmonised_sales') }} as lines
    where
        lines.payee_id in (select payee_id from changes where kind = 'payee')
        or (
            (select exists (select from changes where kind = 'rep'))
            and ops.match_key(lines.rep_named) in (select name_key from changes where kind = 'rep')
        )

),

changed_lines as (

    select distinct lines.source, lines.commission_month
    from {{ ref('all_lines') }} as lines
    -- Asked once: where none of these changed, no line is looked at.
    where
        (select exists (select from changes where kind in ('territory', 'customer', 'product line')))
        and (
            exists (
                select from changes
                where
                    changes.kind = 'territory'
                    and changes.source = lines.source
                    and changes.name_key in (
                        ops.match_key(lines.territory_1),
                        ops.match_key(lines.territory_2),
                        ops.match_key(lines.territory_3)
                    )
            )
            {%- for place in [1, 2, 3] %}
            or (
                (select exists (select from changes where kind = 'customer'))
                and {{ customer_key('lines.territory_' ~ place) }}
                in (select name_key from changes where kind = 'customer')
            )
            {%- endfor %}
            or ops.match_key(lines.product_line)
            in (select name_key from changes where kind = 'product line')
        )

),

changed as (

    select source, commission_month from changed_files
    union
    select source, commission_month from changed_reps
    union
    select source, commission_month from changed_lines

)

select
    changed.source,
    files.fingerprint,
    changed.commission_month

from changed
left join files using (source, commission_month)
