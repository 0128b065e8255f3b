{#- After the first close the workbook counts no more: told where it says something else than the ledger. -#}
with

bounds as (

    select * from {{ ref('close_bounds') }} where closed_until > '-infinity'

),

rows as (

    select * from {{ ref('stg_opening_balances') }} where state = 'now'

),

reps as (

    select * from {{ ref('names') }} where state = 'now' and kind = 'rep'

),

product_lines as (

    select * from {{ ref('names') }} where state = 'now' and kind = 'product line'

),

-- Opening the first month again takes back what it entered.
entered as (

    select payee_id, product_line_id, earned_month, sum(amount) as amount
    from {{ source('ledger', 'entries') }}
    where kind in ('opening', 'opening without lines', 'reversal') and statement_number is null
    group by payee_id, product_line_id, earned_month

),

differing as (

    select rows.*
    from rows
    left join reps on reps.name_key = rows.rep_key
    left join product_lines on product_lines.name_key = rows.product_key
    left join entered
        on
            entered.payee_id = reps.id
            and entered.product_line_id = product_lines.id
            and entered.earned_month = rows.commission_month
    where rows.paid <> coalesce(entered.amount, 0)

)

select
    (array_agg(differing.source_sheet order by differing.source_sheet, differing.source_row))[1] as source_sheet,
    (array_agg(differing.source_row order by differing.source_sheet, differing.source_row))[1] as source_row,
    count(*) || case count(*) when 1 then ' row says' else ' rows say' end
    || ' something else than the ledger about what was paid before ' || to_char(min(bounds.first_closed), 'YYYY-MM')
    || ', the first month that was closed. Its column Paid has counted since then no more.' as problem,
    'Pay or take back what is wrong with an adjustment. Or open the months again from the last to the first, and '
    || 'close them with this workbook.' as remedy

from differing
cross join bounds
having count(*) > 0
