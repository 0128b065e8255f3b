with

lines as (

    select * from {{ source('raw', 'chemence') }}

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    'chemence' as source,
    'Chemence' as product_line,
    null::text as rep_in_file,
    'Account Number: ' || lines.account_number as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    coalesce(lines.account_name, lines.account_number) as customer,
    null::text as invoice_number,
    lines.part_number as item,
    lines.qty_shipped as quantity,
    lines.sales_total as sales_actual,
    lines.commission as rev_actual,
    false as is_rep_in_file,
    date_trunc('month', lines.revenue_date)::date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
