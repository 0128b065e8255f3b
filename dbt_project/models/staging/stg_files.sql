select
    file_id,
    source,
    commission_month,
    path,
    actor,
    status,
    rows_loaded,
    left_out,
    finished,
    change_no

from {{ source('ops', 'files') }}
-- Adjustments are no source of sales.
where source is distinct from 'adjustments'
