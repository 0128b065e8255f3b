with

rows as (

    select * from {{ source('reference', 'pay_periods') }}

),

versions as (

    select * from {{ ref('reference_versions') }} where table_name = 'pay_periods' and state = 'now'

)

select
    rows.state as wanted_state,
    rows.approved_by,
    ops.match_key(rows.approved_by) as approver_key,
    rows.note,
    rows.source_sheet,
    rows.source_row,
    rows.commission_month as pay_period,
    rows.pay_date

from rows
inner join versions on versions.file_id = rows.file_id
