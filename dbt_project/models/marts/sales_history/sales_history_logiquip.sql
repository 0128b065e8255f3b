-- Written by `make docs` from the contract of the source; change that instead.
select
    shared.credit_id,
    shared.line_id,
    shared.product_line,
    shared.payee_id,
    shared.rep_name,
    shared.credit_status,
    own.agency,
    own.rep,
    own.doc_num,
    own.customer,
    own.po_number,
    own.ship_to_zip,
    own.date_paid,
    own.contract_,
    own.item_class,
    own.comm_rate,
    own.doc_amt,
    own.comm_amt,
    shared.credit_share,
    shared.source_file,
    shared.source_sheet,
    shared.source_row,
    shared.revenue_date,
    shared.commission_month

from {{ source('raw', 'logiquip') }} as own
inner join {{ ref('named_lines') }} as lines
    on
        lines.file_id = own.file_id
        and lines.source_sheet = own.source_sheet
        and lines.source_row = own.source_row
inner join {{ ref('harmonised_sales') }} as shared on shared.line_id = lines.line_id
-- A plain list of months reaches the index of the raw table.
where own.commission_month = any(array(select commission_month from {{ ref('changed_slices') }}))
