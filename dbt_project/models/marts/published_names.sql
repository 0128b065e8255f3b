select 'rep' as kind, names.name_key, names.payee_id as id, payees.first_name as name
from {{ source('reference', 'payee_names') }} as names
inner join {{ source('reference', 'payees') }} as payees using (payee_id)

union all

select 'product line', name_key, product_line_id, product_line
from {{ source('reference', 'product_line_names') }}
