with

reps as (

    select distinct rep_key from {{ changed(ref('stg_sales_reps'), ['rep_key', 'rep_name']) }} as changed

    union

    select distinct rep_key
    from {{ changed(ref('stg_commission_tiers'), [
        'rep_key', 'product_key', 'tier_1_rate', 'tier_2_rate', 'valid_from', 'valid_until'
    ]) }} as changed

),

services as (

    select distinct service_key
    from {{ changed(ref('stg_service_to_product'), ['service_key', 'product_line']) }} as changed

),

territories as (

    select source, territory
    from {{ changed(ref('stg_territories'), [
        'source', 'territory', 'rep_in_file', 'valid_from', 'valid_until'
    ]) }} as changed

    union

    -- What a changed rep owns or owned changes with the rep.
    select territories.source, territories.territory
    from {{ ref('stg_territories') }} as territories
    inner join reps on reps.rep_key = territories.rep_key

),

product_lines as (

    select product_key
    from {{ changed(ref('product_lines'), ['product_key', 'product_line']) }} as changed

    union

    select map.product_key
    from {{ ref('stg_service_to_product') }} as map
    inner join services on services.service_key = map.service_key

    union

    -- A service line that the map has lost counts under its own name.
    select service_key from services

)

select 'rep' as kind, null as source, rep_key, null as territory, null as product_key, null::date as month
from reps

union all

select 'territory', source, null, territory, null, null
from territories

union all

select 'product_line', null, null, null, product_key, null
from product_lines

union all

select distinct 'threshold', null, rep_key, null, product_key, make_date(commission_year, 1, 1)
from {{ changed(ref('stg_tier_thresholds'), [
    'rep_key', 'product_key', 'commission_year', 'threshold'
]) }} as changed
