-- Written by `make docs` from the contract of the source; change that instead.
select
    shared.credit_id,
    shared.line_id,
    shared.product_line,
    shared.payee_id,
    shared.rep_name,
    shared.credit_status,
    own.invoice_id,
    own.invoice_date,
    own.customer_id,
    own.bill_name,
    own.sales_order_id,
    own.item_id,
    own.item_name,
    own.prod_fam,
    own.unit_price,
    own.ship_qty,
    own.customer_type,
    own.ship_to_name,
    own.address_ship_to,
    own.ship_to_city,
    own.ship_to_state,
    own.sales_rep_name,
    own.line_amount,
    own.commission_percent,
    own.commission_amount,
    shared.credit_share,
    shared.source_file,
    shared.source_sheet,
    shared.source_row,
    shared.revenue_date,
    shared.commission_month

from {{ source('raw', 'sunoptic') }} as own
inner join {{ ref('named_lines') }} as lines
    on
        lines.file_id = own.file_id
        and lines.source_sheet = own.source_sheet
        and lines.source_row = own.source_row
inner join {{ ref('harmonised_sales') }} as shared on shared.line_id = lines.line_id
-- A plain list of months reaches the index of the raw table.
where own.commission_month = any(array(select commission_month from {{ ref('changed_slices') }}))
