{#- The commission months that have lines. -#}
select distinct commission_month
from {{ ref('stg_files') }}
where status = 'loaded' and rows_loaded > 0 and commission_month is not null
