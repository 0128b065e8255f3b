{#- The last word of the ledger on each pay period. -#}
with

last_words as (

    select distinct on (pay_period) *
    from {{ source('ledger', 'closes') }}
    order by pay_period, close_no desc

)

select close_no, kind, approved_by, approved_by_id, note, publication_id, pay_period, pay_date
from last_words
