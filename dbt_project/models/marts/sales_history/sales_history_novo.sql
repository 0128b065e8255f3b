-- Written by `make docs` from the contract of the source; change that instead.
select
    shared.credit_id,
    shared.line_id,
    shared.product_line,
    shared.payee_id,
    shared.rep_name,
    shared.credit_status,
    own.salesperson_number,
    own.ar_division_number,
    own.customer_number,
    own.bill_to_name,
    own.ship_to_name,
    own.invoice_number,
    own.invoice_date,
    own.customer_po_number,
    own.item_code,
    own.alias_item_number,
    own.item_code_description,
    own.quantity_ordered,
    own.qty_shipped,
    own.quantity_backordered,
    own.unit_price,
    own.extension,
    own.comment,
    own.order_date,
    own.sales_order_number,
    own.ship_to_state,
    own.ship_to_zip_code,
    own.udf_lotbus,
    own.commission_percentage,
    own.commission_amount,
    shared.credit_share,
    shared.source_file,
    shared.source_sheet,
    shared.source_row,
    shared.revenue_date,
    shared.commission_month

from {{ source('raw', 'novo') }} as own
inner join {{ ref('named_lines') }} as lines
    on
        lines.file_id = own.file_id
        and lines.source_sheet = own.source_sheet
        and lines.source_row = own.source_row
inner join {{ ref('harmonised_sales') }} as shared on shared.line_id = lines.line_id
-- A plain list of months reaches the index of the raw table.
where own.commission_month = any(array(select commission_month from {{ ref('changed_slices') }}))
