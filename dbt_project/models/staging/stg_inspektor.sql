with

lines as (

    select * from {{ source('raw', 'inspektor') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    'inspektor' as source,
    'InspeKtor' as product_line,
    lines.name as rep_in_file,
    null::text as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    lines.customer_project as customer,
    lines.document_number as invoice_number,
    lines.item_name as item,
    lines.quantity as quantity,
    lines.total as sales_actual,
    lines.formula as rev_actual,
    true as is_rep_in_file,
    date_trunc('month', lines.revenue_date)::date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
