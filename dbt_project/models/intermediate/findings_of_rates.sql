{#- What looks odd about a rate in force, with what its lines would be paid otherwise. -#}
with

versions as (

    select * from {{ ref('rate_rows') }} where payee_id is not null and (is_for_all or product_line_id is not null)

),

rows as (

    select * from versions where versions_ago = 1 and valid_until > valid_from

),

years as (

    select * from {{ ref('payout_years') }}

),

-- What the same row said before, unless it says what it said at first: then it is put right again.
typed_before as (

    select
        rows.source_sheet,
        rows.source_row,
        before.tier_1_rate,
        before.tier_2_rate

    from rows
    cross join lateral (
        select
            versions.tier_1_rate,
            versions.tier_2_rate,
            first_value((versions.tier_1_rate, versions.tier_2_rate)) over (
                order by versions.versions_ago desc
            ) as at_first

        from versions
        where
            versions.versions_ago > 1
            and versions.payee_id = rows.payee_id
            and versions.product_line_id is not distinct from rows.product_line_id
            and versions.valid_from = rows.valid_from
        order by
            (versions.tier_1_rate, versions.tier_2_rate)
            is not distinct from (rows.tier_1_rate, rows.tier_2_rate),
            versions.versions_ago
        limit 1
    ) as before
    where
        (before.tier_1_rate, before.tier_2_rate) is distinct from (rows.tier_1_rate, rows.tier_2_rate)
        and before.at_first is distinct from (rows.tier_1_rate, rows.tier_2_rate)

),

compared as (

    select
        rows.*,
        coalesce(typed.tier_1_rate, earlier.tier_1_rate) as last_tier_1,
        case
            when typed.tier_1_rate is not null then typed.tier_2_rate
            else earlier.tier_2_rate
        end as last_tier_2

    from rows
    left join typed_before as typed
        on typed.source_sheet = rows.source_sheet and typed.source_row = rows.source_row
    left join lateral (
        select others.*
        from rows as others
        where
            others.payee_id = rows.payee_id
            and others.product_line_id is not distinct from rows.product_line_id
            and others.valid_from < rows.valid_from
        order by others.valid_from desc
        limit 1
    ) as earlier on true

),

-- Of each row at most one rate is told as odd: the first.
odd as (

    select
        compared.*,
        rates.tier,
        rates.rate,
        rates.last_rate,
        case
            when rates.rate > 2 * rates.last_rate then 'more than double'
            when 2 * rates.rate < rates.last_rate then 'less than half of'
            else 'above 60 %'
        end as how

    from compared
    cross join lateral (
        select *
        from (
            values (1, tier_1_rate, last_tier_1), (2, tier_2_rate, last_tier_2)
        ) as both_rates (tier, rate, last_rate)
        where rate > 0.6 or rate > 2 * last_rate or 2 * rate < last_rate
        order by tier
        limit 1
    ) as rates

),

-- The month that a period begins or ends in the middle of; what follows a row begins on the same day.
mid_month as (

    select
        rows.*,
        'begin' as what,
        rows.valid_from as day,
        rows.tier_1_rate as other_tier_1,
        rows.tier_2_rate as other_tier_2

    from rows
    where extract(day from rows.valid_from) <> 1

    union all

    select
        rows.*,
        'end' as what,
        rows.valid_until as day,
        following.tier_1_rate as other_tier_1,
        following.tier_2_rate as other_tier_2

    from rows
    left join rows as following
        on
            following.payee_id = rows.payee_id
            and following.product_line_id is not distinct from rows.product_line_id
            and following.valid_from >= rows.valid_until
            and following.valid_from <= date_trunc('month', rows.valid_until) + interval '1 month'
    where
        rows.valid_until < 'infinity'
        and extract(day from rows.valid_until) <> 1
        and following.valid_from is distinct from rows.valid_until

),

found as (

    select
        'rate' as rule,
        source_sheet,
        source_row,
        'Commission tier ' || tier || ' rate' as column_name,
        {{ percent('rate') }} as value,
        rep_name || '''s tier ' || tier || ' rate for ' || product_line_words || ' is ' || {{ percent('rate') }}
        || case how
            when 'above 60 %' then ', which is above 60 %.'
            else ', ' || how || ' the ' || {{ percent('last_rate') }} || ' before.'
        end as problem,
        'Correct the rate if it was mistyped. If it is intended, write a Note in the row.' as remedy,
        payee_id || '/' || coalesce(product_line_id, 'all') || '/' || valid_from as subject,
        payee_id,
        product_line_id,
        is_for_all,
        last_tier_1 as other_tier_1,
        last_tier_2 as other_tier_2,
        valid_from,
        valid_until

    from odd

    union all

    select
        'tier_2_below_tier_1',
        source_sheet,
        source_row,
        'Commission tier 2 rate',
        {{ percent('tier_2_rate') }},
        rep_name || '''s tier 2 rate for ' || product_line_words || ' (' || {{ percent('tier_2_rate') }}
        || ') is below tier 1 (' || {{ percent('tier_1_rate') }}
        || '), so reaching the threshold lowers the pay.',
        'Exchange or correct the rates. If tier 2 is the same as tier 1, leave it blank.',
        payee_id || '/' || coalesce(product_line_id, 'all') || '/' || valid_from,
        payee_id,
        product_line_id,
        is_for_all,
        tier_1_rate,
        null,
        valid_from,
        valid_until

    from rows
    where tier_2_rate < tier_1_rate

    union all

    select
        'mid_month',
        source_sheet,
        source_row,
        case what when 'begin' then 'Valid from' else 'Valid until' end,
        {{ day_words('day') }},
        'The rates of ' || rep_name || ' for ' || product_line_words || ' ' || what || ' on '
        || {{ day_words('day') }} || ', within a month. The first of the commission month decides, so they '
        || case what
            when 'begin' then 'count from ' || {{ month_words("day + interval '1 month'") }} || ' on.'
            else 'still count for all of ' || {{ month_words('day') }} || '.'
        end,
        'Type ' || {{ day_words("date_trunc('month', day)") }} || ' if '
        || {{ month_words('day') }} || case what when 'begin' then ' is to be paid' else ' is not to be paid' end
        || ' by them, otherwise ' || {{ day_words("date_trunc('month', day) + interval '1 month'") }} || '.',
        payee_id || '/' || coalesce(product_line_id, 'all') || '/' || valid_from,
        payee_id,
        product_line_id,
        is_for_all,
        other_tier_1,
        other_tier_2,
        date_trunc('month', day)::date,
        (date_trunc('month', day) + interval '1 month')::date

    from mid_month

),

lines as (

    {{ gathered_lines([
        'rows.payee_id',
        'rows.product_line_id',
        'rows.rate_basis',
        'rows.rev_actual',
        'rows.tier_1_rate',
        'rows.tier_2_rate',
        'rows.commission_month',
    ]) | indent }}

),

-- The lines that a row pays, or in a month cut in two would pay: a row for the product line goes first.
paid as (

    select
        found.rule,
        found.source_sheet,
        found.source_row,
        found.column_name,
        sum(
            {{ commission('lines.rev_actual', 'coalesce(found.other_tier_1, 0)', 'found.other_tier_2', 'years.is_tier_2') }}
            - {{ commission('lines.rev_actual', 'coalesce(lines.tier_1_rate, 0)', 'lines.tier_2_rate', 'years.is_tier_2') }}
        ) as difference

    from found
    inner join lines
        on
            lines.payee_id = found.payee_id
            and lines.commission_month >= found.valid_from
            and lines.commission_month < found.valid_until
            and coalesce(lines.product_line_id = found.product_line_id, found.is_for_all)
            and coalesce(lines.rate_basis = 'in force', true)
    left join years
        on
            years.payee_id = lines.payee_id
            and years.product_line_id = lines.product_line_id
            and years.commission_year = extract(year from lines.commission_month)
    where
        not found.is_for_all
        or not exists (
            select from rows as own
            where
                own.payee_id = lines.payee_id
                and own.product_line_id = lines.product_line_id
                and own.valid_from <= lines.commission_month
                and own.valid_until > lines.commission_month
        )
    group by found.rule, found.source_sheet, found.source_row, found.column_name

)

select
    found.rule,
    'commission_tiers' as table_name,
    found.source_sheet,
    found.source_row,
    found.column_name,
    found.subject,
    found.value,
    found.problem,
    found.remedy,
    abs(coalesce(paid.difference, 0))::numeric(15, 2) as amount

from found
left join paid
    on
        paid.rule = found.rule
        and paid.source_sheet = found.source_sheet
        and paid.source_row = found.source_row
        and paid.column_name = found.column_name
