select distinct
    state,
    id as product_line_id,
    name as product_line

from {{ ref('names') }}
where kind = 'product line'
