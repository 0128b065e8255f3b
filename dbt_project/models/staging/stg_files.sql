select
    file_id,
    source,
    commission_month,
    path,
    status,
    rows_loaded,
    left_out,
    finished,
    change_no

from {{ source('ops', 'files') }}
