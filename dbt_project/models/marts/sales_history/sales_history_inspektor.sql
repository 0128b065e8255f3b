-- Written by `make docs` from the contract of the source; change that instead.
select
    shared.credit_id,
    shared.line_id,
    shared.product_line,
    shared.payee_id,
    shared.rep_name,
    shared.credit_status,
    own.company,
    own.date,
    own.document_number,
    own.customer_project,
    own.item_name,
    own.description,
    own.quantity,
    own.total,
    own.commission_percent,
    own.formula,
    own.ship_to,
    own.sales_rep,
    own.name,
    shared.credit_share,
    shared.source_file,
    shared.source_sheet,
    shared.source_row,
    shared.revenue_date,
    shared.commission_month

from {{ source('raw', 'inspektor') }} as own
inner join {{ ref('named_lines') }} as lines
    on
        lines.file_id = own.file_id
        and lines.source_sheet = own.source_sheet
        and lines.source_row = own.source_row
inner join {{ ref('harmonised_sales') }} as shared on shared.line_id = lines.line_id
-- A plain list of months reaches the index of the raw table.
where own.commission_month = any(array(select commission_month from {{ ref('changed_slices') }}))
