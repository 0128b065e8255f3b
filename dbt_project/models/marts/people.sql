select
    payee_id,
    rep_name,
    email,
    rep_category,
    permission,
    payroll_code,
    paid_as,
    is_active,
    pays_after_leaving,
    left_on,
    left_on + {{ var("leaver_days") }} as login_ends_on

from {{ ref('payees') }}
where state = 'now'
