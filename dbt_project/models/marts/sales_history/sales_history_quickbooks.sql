-- Written by `make docs` from the contract of the source; change that instead.
select
    shared.line_id,
    shared.product_line,
    shared.rep_name,
    shared.credit_status,
    own.date,
    own.service_lines,
    own.customer,
    own.transaction_type,
    own.amount_line,
    own.purchase_price,
    own.quantity,
    own.num,
    own.line_order,
    own.purchase_description,
    own.description,
    own.company_name,
    own.sales_rep_name,
    own.sales_rep_territory,
    own.product_service,
    shared.source_file,
    shared.source_sheet,
    shared.source_row,
    shared.revenue_date,
    shared.commission_month

from {{ source('raw', 'quickbooks') }} as own
inner join {{ ref('harmonised_sales') }} as shared
    on
        shared.source = 'quickbooks'
        and shared.line_id = own.file_id || '/' || own.source_sheet || '/' || own.source_row
-- A plain list of months reaches the index of the raw table.
where own.commission_month = any(array(select commission_month from {{ ref('changed_slices') }}))
