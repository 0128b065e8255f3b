with

{% set of_payee = ['payee_id', 'name_key', 'rep_name', 'pays_after_leaving', 'left_on', 'is_house'] %}

changed_payees as (

    select distinct payee_id, name_key from {{ changed(ref('payees'), of_payee) }} as changed

),

changed_rates as (

    select distinct payee_id
    from {{ changed(ref('rates'), [
        'payee_id', 'product_line_id', 'tier_1_rate', 'tier_2_rate', 'valid_from', 'valid_until'
    ]) }} as changed

),

changed_names as (

    select distinct kind, name_key
    from {{ changed(ref('names'), ['kind', 'name_key', 'id', "case kind when 'rep' then '' else name end"]) }}
    as changed (kind, name_key, id, name)

    union

    -- Whoever is listed again, or no longer, is meant by past names too.
    select names.kind, names.name_key
    from {{ ref('names') }} as names
    inner join changed_payees on changed_payees.payee_id = names.id
    where names.kind = 'rep'

),

territories as (

    select source, territory
    from {{ changed(ref('owners'), [
        'source', 'territory', 'rep_in_file', 'valid_from', 'valid_until'
    ]) }} as changed

),

changed_aliases as (

    select distinct kind, name_key
    from {{ changed(ref('stg_aliases'), [
        'kind', 'source', 'name_key', 'means_key', 'share', 'valid_from', 'valid_until'
    ]) }} as changed

    union

    -- What an alias means means somebody else.
    select aliases.kind, aliases.name_key
    from {{ ref('stg_aliases') }} as aliases
    inner join changed_names
        on changed_names.kind = aliases.kind and changed_names.name_key = aliases.means_key

    union

    select aliases.kind, aliases.name_key
    from {{ ref('stg_aliases') }} as aliases
    inner join territories on aliases.means_key = {{ customer_key('territories.territory') }}
    where aliases.kind = 'customer'

),

-- Who shares a customer is somebody else, or by another alias.
changed_sharers as (

    select ops.match_key(owners) as name_key
    from {{ ref('shared_territories') }}
    where
        rep_key in (select name_key from changed_names where kind = 'rep')
        or rep_key in (select name_key from changed_aliases where kind = 'rep')

),

services as (

    select distinct service_key
    from {{ changed(ref('stg_service_to_product'), [
        'service_key', 'product_line', 'valid_from', 'valid_until'
    ]) }} as changed

),

product_lines as (

    select map.product_key
    from {{ ref('stg_service_to_product') }} as map
    inner join services on services.service_key = map.service_key

    union

    -- A service line that the map has lost counts under its own name.
    select service_key from services

)

select
    'payee' as kind,
    payee_id,
    null as product_line_id,
    null as source,
    null as name_key,
    null::date as month

from changed_payees

union

select 'payee', payee_id, null, null, null, null from changed_rates

union

select kind, null, null, null, name_key, null from changed_names

union

select kind, null, null, null, name_key, null from changed_aliases

union

select 'rep', null, null, null, name_key, null from changed_sharers

union

select 'product line', null, null, null, product_key, null from product_lines

union

select 'territory', null, null, source, territory, null from territories

union

select distinct 'year', payee_id, product_line_id, null, null, make_date(commission_year, 1, 1)
from {{ changed(ref('thresholds'), [
    'payee_id', 'product_line_id', 'commission_year', 'threshold'
]) }} as changed

union

select distinct 'year', payee_id, product_line_id, null, null, commission_year
from {{ changed(ref('year_openings'), [
    'payee_id', 'product_line_id', 'commission_year', 'opening_month', 'cumulative_sales', 'held_back',
    'source_sheet', 'source_row',
]) }} as changed
