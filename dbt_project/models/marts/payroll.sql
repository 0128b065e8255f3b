select
    payee_id,
    payroll_code,
    paid_as,
    rep_name,
    number,
    due,
    paid,
    carried_forward,
    pay_period,
    pay_date

from {{ ref('statements') }}
where state = 'closed'
