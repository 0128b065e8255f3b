select
    rep_name,
    lower(email) as email,
    rep_category,
    permission,
    is_active

from {{ ref('stg_sales_reps') }}
where state = 'now'
