with

-- What a source's commission month is made from: its loaded files, and when each was loaded.
files as (

    select
        source,
        commission_month,
        md5(string_agg(file_id || ' ' || extract(epoch from finished), ',' order by file_id)) as fingerprint

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

    select * from {{ ref('reference_changes') }}
    where kind in ('rep', 'territory', 'product_line')

),

changed_references as (

    select lines.source, lines.commission_month
    from {{ ref('all_lines') }} as lines
    -- Asked once: where no reference table changed, no line is looked at.
    where
        (select exists (select from changes))
        and (
            exists (
                select from changes
                where
                    changes.kind = 'territory'
                    and changes.source = lines.source
                    and changes.territory in (
                        ops.match_key(lines.territory_1),
                        ops.match_key(lines.territory_2),
                        ops.match_key(lines.territory_3)
                    )
            )
            or ops.match_key(lines.rep_in_file) in (select rep_key from changes where kind = 'rep')
            or ops.match_key(lines.product_line) in (select product_key from changes where kind = 'product_line')
        )

),

changed as (

    select source, commission_month from changed_files
    union
    select source, commission_month from changed_references

)

select
    changed.source,
    files.fingerprint,
    changed.commission_month

from changed
left join files using (source, commission_month)
