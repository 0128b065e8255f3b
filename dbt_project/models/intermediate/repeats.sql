{#- Lines of sales that an earlier file of their source has too, in the order of commission month and path, with
    the latest such line. A sale is known by its key and the sign of its amount; twins in one file are sales of
    their own, so that the first is held against the first. A line of the other sign between the two, or in a
    month of them, makes it a sale that was billed anew. -#}
with

files as (

    select * from {{ ref('stg_files') }}

),

in_several_files as (

    {% for name in sources() -%}
    select '{{ name }}' as source, sale_key
    from {{ source('raw', name) }}
    group by sale_key
    having min(file_id) <> max(file_id)
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

lines as (

    select
        lines.*,
        files.path collate "C" as path,
        lines.sales_actual < 0 as is_credit,
        row_number() over (
            partition by lines.source, lines.sale_key, lines.file_id, lines.sales_actual < 0
            order by lines.source_sheet collate "C", lines.source_row
        ) as number

    from {{ ref('all_lines') }} as lines
    inner join in_several_files
        on in_several_files.source = lines.source and in_several_files.sale_key = lines.sale_key
    inner join files on files.file_id = lines.file_id
    -- A plain list of keys reaches the index of each raw table.
    where lines.sale_key = any(array(select sale_key from in_several_files))

)

select distinct on (later.source, later.file_id, later.source_sheet, later.source_row)
    later.source,
    later.customer,
    later.invoice_number,
    later.item,
    later.path as source_file,
    later.source_sheet,
    later.source_row,
    earlier.path as first_file,
    earlier.source_sheet as first_sheet,
    earlier.source_row as first_row,
    later.sales_actual,
    later.rev_actual,
    earlier.sales_actual as first_sales_actual,
    earlier.rev_actual as first_rev_actual,
    later.revenue_date,
    later.commission_month,
    earlier.commission_month as first_commission_month

from lines as later
inner join lines as earlier
    on
        earlier.source = later.source
        and earlier.sale_key = later.sale_key
        and earlier.is_credit = later.is_credit
        and earlier.number = later.number
        and (earlier.commission_month, earlier.path) < (later.commission_month, later.path)
where
    not exists (
        select from lines as opposite
        where
            opposite.source = later.source
            and opposite.sale_key = later.sale_key
            and opposite.is_credit <> later.is_credit
            and opposite.commission_month between earlier.commission_month and later.commission_month
    )
order by
    later.source,
    later.file_id,
    later.source_sheet,
    later.source_row,
    earlier.commission_month desc,
    earlier.path desc
