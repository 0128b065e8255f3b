with

rows as (

    select * from {{ source('reference', 'sales_reps') }}

),

versions as (

    select * from {{ ref('reference_versions') }} where table_name = 'sales_reps'

)

select
    versions.state,
    ops.match_key(rows.sales_rep_name) as rep_key,
    rows.sales_rep_name as rep_name,
    rows.rep_category,
    rows.email,
    rows.permission,
    rows.payroll_code,
    rows.paid_as,
    coalesce(ops.match_key(rows.rep_category) = 'house', false) as is_house,
    rows.active as is_active,
    coalesce(rows.pays_after_leaving, true) as pays_after_leaving,
    rows.left_on

from rows
inner join versions on versions.file_id = rows.file_id
