with

known as (

    select * from {{ source('reference', 'payees') }}

),

reps as (

    select * from {{ ref('stg_sales_reps') }} where state = 'now'

)

select
    'now' as state,
    known.payee_id,
    reps.rep_key as name_key,
    reps.rep_name,
    known.first_name,
    lower(reps.email) as email,
    reps.rep_category,
    reps.permission,
    reps.payroll_code,
    reps.paid_as,
    reps.is_house,
    -- Nobody logs in as a house account.
    reps.is_active and not reps.is_house as is_active,
    reps.pays_after_leaving,
    reps.left_on

from reps
inner join known on known.name_key = reps.rep_key

union all

select
    'published' as state,
    people.payee_id,
    ops.match_key(people.rep_name) as name_key,
    people.rep_name,
    people.rep_name as first_name,
    people.email,
    people.rep_category,
    people.permission,
    people.payroll_code,
    people.paid_as,
    coalesce(ops.match_key(people.rep_category) = 'house', false) as is_house,
    people.is_active,
    people.pays_after_leaving,
    people.left_on

from {{ published('people') }} as people
