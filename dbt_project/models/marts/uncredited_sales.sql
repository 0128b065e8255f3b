select
    credit_id,
    line_id,
    credit_status as reason,
    source,
    product_line_id,
    product_line,
    payee_id,
    rep_name,
    rep_named,
    rep_meant,
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
