with

lines as (

    select * from {{ source('raw', 'quickbooks') }}

),

service_lines as (

    select * from {{ ref('stg_service_to_product') }} where state = 'now'

)

select
    lines.file_id,
    lines.source_sheet,
    lines.source_row,
    'quickbooks' as source,
    -- A service line that the map has lost keeps its lines, under its own name.
    coalesce(service_lines.product_line, lines.service_lines) as product_line,
    lines.sales_rep_name as rep_in_file,
    null::text as territory_1,
    null::text as territory_2,
    null::text as territory_3,
    lines.customer,
    lines.num as invoice_number,
    lines.product_service as item,
    lines.quantity,
    lines.amount_line as sales_actual,
    lines.amount_line - coalesce(lines.purchase_price, 0) * coalesce(lines.quantity, 0) as rev_actual,
    true as is_rep_in_file,
    date_trunc('month', lines.revenue_date)::date as territory_date,
    lines.revenue_date,
    lines.commission_month,
    lines.sale_key

from lines
left join service_lines
    on
        service_lines.service_key = ops.match_key(lines.service_lines)
        and service_lines.valid_from <= lines.commission_month
        and (service_lines.valid_until is null or service_lines.valid_until > lines.commission_month)
