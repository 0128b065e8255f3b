with

decisions as (

    select * from {{ ref('close_decisions') }}

),

closes as (

    select * from {{ ref('closes_in_force') }}

)

select
    case
        when decisions.is_closed or decisions.is_closing then 'closed'
        when decisions.is_paid_elsewhere then 'paid elsewhere'
        else 'open'
    end as state,
    decisions.pay_period,
    case when decisions.is_closed then closes.pay_date else decisions.pay_date end as pay_date

from decisions
left join closes on closes.close_no = decisions.last_close_no and closes.kind = 'closed'
