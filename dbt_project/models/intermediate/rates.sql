with

tiers as (

    select * from {{ ref('stg_commission_tiers') }} where valid_until is null or valid_until > valid_from

),

reps as (

    select * from {{ ref('names') }} where kind = 'rep'

),

product_lines as (

    select * from {{ ref('names') }} where kind = 'product line'

),

payees as (

    select * from {{ ref('payees') }}

),

named as (

    select
        tiers.state,
        reps.id as payee_id,
        product_lines.id as product_line_id,
        tiers.rep_key,
        tiers.product_key,
        tiers.tier_1_rate,
        tiers.tier_2_rate,
        tiers.rep_key <> payees.name_key as is_former_name,
        ops.match_key(product_lines.name) <> tiers.product_key as is_former_line,
        daterange(tiers.valid_from, tiers.valid_until) as period

    from tiers
    inner join reps on reps.state = tiers.state and reps.name_key = tiers.rep_key
    inner join payees on payees.state = reps.state and payees.payee_id = reps.id
    left join product_lines on product_lines.state = tiers.state and product_lines.name_key = tiers.product_key
    where tiers.product_key is null or product_lines.id is not null

)

{{ one_at_a_time(
    'named',
    ['state', 'payee_id', 'product_line_id', 'tier_1_rate', 'tier_2_rate'],
    ['state', 'payee_id', 'product_line_id'],
    ['is_former_name', 'is_former_line', 'rep_key collate "C"', 'product_key collate "C"', 'period']
) }}
