select
    source,
    state,
    month,
    last_loaded_at

from {{ ref('upload_detail') }}
