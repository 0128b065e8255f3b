{#- The lines of this build, each with an id that a correction of its file leaves as it is: the key of the sale,
    and how often the month has it up to there. -#}
with

files as (

    select * from {{ ref('stg_files') }}

)

select
    lines.*,
    lines.source || '/' || to_char(lines.commission_month, 'YYYY-MM') || '/' || to_hex(lines.sale_key)
    || '/' || row_number() over (
        partition by lines.sale_key, lines.source, lines.commission_month
        order by files.path collate "C", lines.source_sheet collate "C", lines.source_row
    ) as line_id

from {{ ref('all_lines') }} as lines
inner join {{ ref('changed_slices') }} as slices
    on slices.source = lines.source and slices.commission_month = lines.commission_month
inner join files on files.file_id = lines.file_id

-- A plain list of months reaches the index of each raw table; a join alone would not.
where lines.commission_month = any(array(select commission_month from {{ ref('changed_slices') }}))
