{#- What is told of thresholds and objectives: years without one, and thresholds without a year. -#}
with

years as (

    select * from {{ ref('payout_years') }}

),

span as (

    select
        min(commission_month) as first_month,
        max(commission_month) as last_month

    from {{ ref('months_in_lines') }}

),

names as (

    select * from {{ ref('names') }} where state = 'now'

),

payees as (

    select * from {{ ref('payees') }} where state = 'now'

),

unknown as (

    select * from {{ ref('unknown_names') }} where table_name = 'tier_thresholds'

),

-- Whom and what a threshold names, or probably means.
thresholds as (

    select
        rows.versions_ago,
        rows.source_sheet,
        rows.source_row,
        unknown_reps.name_key is not null or unknown_lines.name_key is not null as is_misnamed,
        coalesce(unknown_reps.column_name, unknown_lines.column_name) as column_name,
        coalesce(unknown_reps.name_key, unknown_lines.name_key) as name_key,
        coalesce(unknown_reps.nearest_id, rows.payee_id) as payee_id,
        coalesce(unknown_lines.nearest_id, rows.product_line_id) as product_line_id,
        rows.product_line,
        rows.commission_year,
        rows.threshold

    from {{ ref('threshold_rows') }} as rows
    {% for kind, alias in [('rep', 'unknown_reps'), ('product line', 'unknown_lines')] -%}
    left join unknown as {{ alias }}
        on
            rows.versions_ago = 1
            and {{ alias }}.kind = '{{ kind }}'
            and {{ alias }}.source_sheet = rows.source_sheet
            and {{ alias }}.source_row = rows.source_row
    {% endfor %}
),

-- A year of the past, or one too far ahead, in which the rep has no line of the product line.
idle as (

    select
        thresholds.*,
        payees.rep_name

    from thresholds
    inner join payees on payees.payee_id = thresholds.payee_id
    cross join span
    where
        thresholds.versions_ago = 1
        and not thresholds.is_misnamed
        and thresholds.commission_year >= extract(year from span.first_month)
        and (
            thresholds.commission_year < extract(year from span.last_month)
            or thresholds.commission_year > extract(year from span.last_month) + 1
        )
        and not exists (
            select from years
            where
                years.payee_id = thresholds.payee_id
                and years.product_line_id = thresholds.product_line_id
                and years.commission_year = thresholds.commission_year
        )

),

without_threshold as (

    select years.*
    from years
    where years.threshold is null and years.no_threshold_balance <> 0

),

-- Each year without a threshold with what probably explains it: a misspelled name, a mistyped year, or a row
-- that an earlier version had.
explained as (

    select distinct on (without.payee_id, without.product_line_id, without.commission_year)
        without.*,
        found.rule,
        found.source_sheet,
        found.source_row,
        found.column_name,
        found.name_key,
        found.threshold as missing_threshold,
        case
            when found.threshold > without.highest_sales then 0 else without.no_threshold_balance
        end as amount

    from without_threshold as without
    left join lateral (
        select
            1 as priority,
            'unknown_name' as rule,
            source_sheet,
            source_row,
            column_name,
            name_key,
            threshold

        from thresholds
        where
            versions_ago = 1
            and is_misnamed
            and payee_id = without.payee_id
            and product_line_id = without.product_line_id
            and commission_year = without.commission_year

        union all

        select 2, 'idle_threshold', source_sheet, source_row, 'Year', null, threshold
        from idle
        where payee_id = without.payee_id and product_line_id = without.product_line_id

        union all

        select 1 + versions_ago, 'taken_away', null, null, 'Commission tier threshold', null, threshold
        from thresholds
        where
            versions_ago > 1
            and payee_id = without.payee_id
            and product_line_id = without.product_line_id
            and commission_year = without.commission_year
    ) as found on true
    order by
        without.payee_id,
        without.product_line_id,
        without.commission_year,
        found.priority,
        found.source_sheet,
        found.source_row

),

objectives as (

    select
        rows.source_sheet,
        rows.source_row,
        reps.id as payee_id,
        product_lines.id as product_line_id,
        rows.year::integer as sales_year

    from {{ source('reference', 'business_objectives') }} as rows
    inner join {{ ref('reference_versions') }} as versions
        on versions.state = 'now' and versions.file_id = rows.file_id
    inner join names as reps on reps.kind = 'rep' and reps.name_key = ops.match_key(rows.sales_rep_name)
    inner join names as product_lines
        on product_lines.kind = 'product line' and product_lines.name_key = ops.match_key(rows.product_line)

),

-- Of this year and the last one: what lies further back is never looked at again.
without_objective as (

    select
        payee_id,
        product_line_id,
        extract(year from month)::integer as sales_year,
        min(rep_name) as rep_name,
        min(product_line) as product_line,
        count(*) as months,
        sum(sales_actual) as sales

    from {{ ref('months_without_objective') }}
    cross join span
    where
        extract(year from month) >= extract(year from span.last_month) - 1
        and payee_id not in (select payee_id from payees where is_house)
    group by payee_id, product_line_id, extract(year from month)

)

select
    coalesce(rule, 'no_threshold') as rule,
    'tier_thresholds' as table_name,
    null as source_sheet,
    null::bigint as source_row,
    'Commission tier threshold' as column_name,
    payee_id || '/' || product_line_id || '/' || commission_year as subject,
    case when rule = 'taken_away' then {{ dollars('missing_threshold') }} end as value,
    case
        when rule = 'taken_away'
            then 'The threshold of ' || rep_name || ' for ' || product_line || ' in ' || commission_year || ' ('
            || {{ dollars('missing_threshold') }} || ') is no longer in tier_thresholds, so tier 2 is never paid.'
        else rep_name || ' has no threshold for ' || product_line || ' in ' || commission_year
            || ', so tier 2 is never paid.'
    end as problem,
    case
        when rule = 'taken_away' then 'Put the row back.'
        else 'Add the threshold. If there is no tier 2, leave the tier 2 rate blank.'
    end as remedy,
    abs(amount)::numeric(15, 2) as amount,
    null as name_key

from explained
where rule is null or rule = 'taken_away'

union all

select
    'idle_threshold',
    'tier_thresholds',
    idle.source_sheet,
    idle.source_row,
    'Year',
    idle.payee_id || '/' || idle.product_line_id || '/' || idle.commission_year,
    idle.commission_year::text,
    idle.rep_name || ' has no line of ' || idle.product_line || ' in ' || idle.commission_year
    || ', so the threshold counts in no month.',
    'Correct the year if it was mistyped, or delete the row. If it is intended, write a Note in the row.',
    coalesce(sum(abs(explained.amount)), 0)::numeric(15, 2),
    null

from idle
left join explained
    on
        explained.rule = 'idle_threshold'
        and explained.source_sheet = idle.source_sheet
        and explained.source_row = idle.source_row
group by
    idle.source_sheet, idle.source_row, idle.payee_id, idle.product_line_id, idle.commission_year,
    idle.rep_name, idle.product_line

union all

-- What hangs on a misspelled name is told with the name.
select
    'unknown_name',
    'tier_thresholds',
    null,
    null,
    column_name,
    name_key,
    null,
    null,
    null,
    sum(abs(amount))::numeric(15, 2),
    name_key

from explained
where rule = 'unknown_name'
group by column_name, name_key

union all

select
    'no_objective',
    'business_objectives',
    objectives.source_sheet,
    objectives.source_row,
    'Year',
    found.payee_id || '/' || found.product_line_id || '/' || found.sales_year,
    found.sales_year::text,
    found.rep_name || ' sold ' || found.product_line || ' for ' || {{ dollars('found.sales') }} || ' in '
    || found.months || case found.months when 1 then ' month of ' else ' months of ' end || found.sales_year
    || ' without an objective.',
    'Add the objectives. If there are none on purpose, write a Note in a row for this year without amounts.',
    0,
    null

from without_objective as found
left join objectives
    on
        objectives.payee_id = found.payee_id
        and objectives.product_line_id = found.product_line_id
        and objectives.sales_year = found.sales_year
