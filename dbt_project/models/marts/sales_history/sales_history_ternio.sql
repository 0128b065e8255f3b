-- Written by `make docs` from the contract of the source; change that instead.
select
    shared.line_id,
    shared.product_line,
    shared.rep_name,
    shared.credit_status,
    own.client_name,
    own.date,
    own.invoice_date,
    own.memo_description,
    own.num,
    own.invoiced,
    own.paid,
    shared.source_file,
    shared.source_sheet,
    shared.source_row,
    shared.revenue_date,
    shared.commission_month

from {{ source('raw', 'ternio') }} as own
inner join {{ ref('harmonised_sales') }} as shared
    on
        shared.source = 'ternio'
        and shared.line_id = own.file_id || '/' || own.source_sheet || '/' || own.source_row
-- A plain list of months reaches the index of the raw table.
where own.commission_month = any(array(select commission_month from {{ ref('changed_slices') }}))
