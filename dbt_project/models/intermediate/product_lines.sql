with

named as (

    select state, product_key, product_line, 1 as place from {{ ref('stg_service_to_product') }}

    union all

    select state, product_key, product_line, 2 as place
    from {{ ref('stg_commission_tiers') }}
    where product_key is not null

    union all

    select state, product_key, product_line, 3 as place from {{ ref('stg_tier_thresholds') }}

    union all

    select state, product_key, product_line, 4 as place from {{ ref('stg_business_objectives') }}

)

select distinct on (state, product_key)
    state,
    product_key,
    product_line

from named
order by state, product_key, place, product_line collate "C"
