select
    line_id,
    credit_status as reason,
    source,
    product_line,
    rep_name,
    rep_named,
    customer,
    territory,
    invoice_number,
    item,
    source_file,
    source_sheet,
    source_row,
    sales_actual,
    rev_actual,
    revenue_date,
    revenue_month,
    commission_month,
    loaded_at

from {{ ref('harmonised_sales') }}
where credit_status <> 'credited'
