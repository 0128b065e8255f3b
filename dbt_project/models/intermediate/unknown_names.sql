{#- Names in workbooks that nobody and nothing bears, with the name that is probably meant: the one most like it,
    else the one that the row had before. A customer who has not bought yet is none of them: only one that is
    nearly called like a customer whom nobody owns, or that was called like one. -#}
{% set least_likeness, least_likeness_of_customers, most_names = 0.45, 0.75, 200 -%}
with

named as (

    select * from {{ ref('reference_names') }}

),

names as (

    select * from {{ ref('names') }} where state = 'now'

),

payees as (

    select * from {{ ref('payees') }} where state = 'now'

),

in_lines as (

    select * from {{ ref('names_in_lines') }}

),

product_lines as (

    select product_line_id, product_line as name
    from {{ ref('product_lines') }}
    where state = 'now' and product_line_id in (select product_line_id from in_lines)

),

aliases as (

    select name_key from {{ ref('stg_aliases') }} where kind = 'customer' and state = 'now'
    union
    select means_key from {{ ref('stg_aliases') }} where kind = 'customer' and state = 'now'

),

shared_names as (

    select name_key from {{ ref('stg_aliases') }} where kind = 'rep' and state = 'now'

),

unowned as (

    select
        source,
        territory_key as name_key,
        regexp_replace(min(territory), '^[^:]*: ', '') as name,
        sum(abs(rev_actual)) as revenue

    from {{ ref('uncredited_lines') }}
    where credit_status = 'no_territory' and territory is not null
    group by source, territory_key
    order by revenue desc
    limit {{ most_names }}

),

unmatched_customers as (

    select named.*
    from named
    where
        named.kind = 'customer'
        and named.versions_ago = 1
        and named.source in (select source from unowned)
        and not exists (
            select from in_lines
            where in_lines.source = named.source and in_lines.territory_key = named.name_key
        )
        and not exists (select from aliases where aliases.name_key = {{ customer_key('named.name_key') }})

),

-- A customer may be found by a second field: all fields are looked at where there is a doubt.
all_customers as (

    select distinct lines.source, fields.name_key
    from {{ ref('all_lines') }} as lines
    cross join lateral (
        values
        (ops.match_key(lines.territory_1)),
        (ops.match_key(lines.territory_2)),
        (ops.match_key(lines.territory_3))
    ) as fields (name_key)
    where lines.source in (select source from unmatched_customers)

),

unknown as (

    select named.*
    from named
    left join names on names.kind = named.kind and names.name_key = named.name_key
    where
        named.versions_ago = 1
        and (
            -- Whoever was listed once is told as taken away from sales_reps. An alias may stand for several.
            (
                named.kind = 'rep'
                and names.id is null
                and named.name_key not in (select name_key from shared_names)
            )
            or (
                named.kind = 'product line'
                and not coalesce(names.id in (select product_line_id from product_lines), false)
            )
        )

    union all

    select unmatched.*
    from unmatched_customers as unmatched
    where
        not exists (
            select from all_customers
            where all_customers.source = unmatched.source and all_customers.name_key = unmatched.name_key
        )

),

candidates as (

    select 'rep' as kind, null::text as source, name_key, rep_name as name, payee_id as id from payees
    union all
    select 'product line', null, ops.match_key(name), name, product_line_id from product_lines
    union all
    select 'customer', source, name_key, name, name_key from unowned

),

-- Each name once; of very many customers that never bought the first.
spelled as (

    select distinct kind, source, name_key
    from unknown
    order by kind desc, name_key
    limit {{ most_names }}

),

alike as (

    select distinct on (spelled.kind, spelled.source, spelled.name_key)
        spelled.kind,
        spelled.source,
        spelled.name_key,
        candidates.name,
        candidates.id

    from spelled
    inner join candidates
        on
            candidates.kind = spelled.kind
            and candidates.source is not distinct from spelled.source
    cross join lateral (
        select ops.likeness(
            case spelled.kind when 'customer' then {{ customer_key('spelled.name_key') }} else spelled.name_key end,
            case spelled.kind
                when 'customer' then {{ customer_key('candidates.name_key') }}
                else candidates.name_key
            end
        ) as likeness
    ) as compared
    where
        compared.likeness
        >= case spelled.kind when 'customer' then {{ least_likeness_of_customers }} else {{ least_likeness }} end
    order by spelled.kind, spelled.source, spelled.name_key, compared.likeness desc, candidates.name

),

-- What the row named before, in the last version in which it named somebody else: a row of then that is no
-- longer there, in place of which this one came.
before as (

    select distinct on (unknown.table_name, unknown.column_name, unknown.name_key)
        unknown.table_name,
        unknown.column_name,
        unknown.name_key,
        candidates.name,
        candidates.id

    from unknown
    inner join named
        on
            named.table_name = unknown.table_name
            and named.column_name = unknown.column_name
            and named.versions_ago > 1
            and named.name_key <> unknown.name_key
            and named.others = unknown.others
    left join names on names.kind = named.kind and names.name_key = named.name_key
    inner join candidates
        on
            candidates.kind = named.kind
            and candidates.source is not distinct from named.source
            and candidates.id = case named.kind when 'customer' then named.name_key else names.id end
    where
        not exists (
            select from named as still
            where
                still.table_name = named.table_name
                and still.column_name = named.column_name
                and still.name_key = named.name_key
                and still.others = named.others
                and still.versions_ago = 1
        )
        and not exists (
            select from named as already
            where
                already.table_name = named.table_name
                and already.column_name = named.column_name
                and already.name_key = unknown.name_key
                and already.others = named.others
                and already.versions_ago = named.versions_ago
        )
    order by
        unknown.table_name,
        unknown.column_name,
        unknown.name_key,
        named.versions_ago,
        ops.likeness(named.name_key, unknown.name_key) desc,
        candidates.name

)

select
    unknown.table_name,
    unknown.source_sheet,
    unknown.source_row,
    unknown.column_name,
    unknown.kind,
    unknown.source,
    unknown.name,
    unknown.name_key,
    coalesce(before.name, alike.name) as nearest_name,
    coalesce(before.id, alike.id) as nearest_id

from unknown
left join alike
    on
        alike.kind = unknown.kind
        and alike.source is not distinct from unknown.source
        and alike.name_key = unknown.name_key
left join before
    on
        before.table_name = unknown.table_name
        and before.column_name = unknown.column_name
        and before.name_key = unknown.name_key
where unknown.kind <> 'customer' or before.id is not null or alike.id is not null
