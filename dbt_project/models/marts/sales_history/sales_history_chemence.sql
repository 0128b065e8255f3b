-- Written by `make docs` from the contract of the source; change that instead.
select
    shared.credit_id,
    shared.line_id,
    shared.product_line,
    shared.payee_id,
    shared.rep_name,
    shared.credit_status,
    own.source,
    own.sales_group,
    own.source_id,
    own.account_number,
    own.account_name,
    own.street,
    own.city,
    own.state,
    own.zip_code,
    own.description,
    own.part_number,
    own.invoice_date,
    own.qty_shipped,
    own.uom,
    own.sales_price,
    own.sales_total,
    own.commission,
    own.unit_price,
    own.agreement,
    shared.credit_share,
    shared.source_file,
    shared.source_sheet,
    shared.source_row,
    shared.revenue_date,
    shared.commission_month

from {{ source('raw', 'chemence') }} as own
inner join {{ ref('named_lines') }} as lines
    on
        lines.file_id = own.file_id
        and lines.source_sheet = own.source_sheet
        and lines.source_row = own.source_row
inner join {{ ref('harmonised_sales') }} as shared on shared.line_id = lines.line_id
-- A plain list of months reaches the index of the raw table.
where own.commission_month = any(array(select commission_month from {{ ref('changed_slices') }}))
