select
    file_id,
    source,
    commission_month,
    path,
    status,
    rows_loaded,
    left_out,
    finished

from {{ source('ops', 'files') }}
