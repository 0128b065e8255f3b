{#- The rows of all versions of the territories, the newest first, with the owner's id. -#}
with

rows as (

    select * from {{ source('reference', 'territories') }}

),

versions as (

    {{ versions_by_age('territories') | indent }}

),

names as (

    select * from {{ ref('names') }} where state = 'now' and kind = 'rep'

),

payees as (

    select * from {{ ref('payees') }} where state = 'now'

)

select
    versions.versions_ago,
    rows.source_sheet,
    rows.source_row,
    rows.source,
    ops.match_key(rows.customer_field || ': ' || rows.data_field_value) as territory_key,
    rows.data_field_value,
    payees.payee_id,
    coalesce(payees.rep_name, rows.sales_rep_name) as rep_name,
    rows.valid_from,
    coalesce(rows.valid_until, 'infinity'::date) as valid_until

from rows
inner join versions on versions.file_id = rows.file_id
left join names on names.name_key = ops.match_key(rows.sales_rep_name)
left join payees on payees.payee_id = names.id
