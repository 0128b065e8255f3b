{#- For each line that pays nobody, what in the workbooks probably explains it, and the rates that it would be paid
    by if that were corrected. Of several explanations the first counts, so that no line is at stake twice. -#}
with

lines as (

    select * from {{ ref('uncredited_lines') }}

),

rates as (

    select * from {{ ref('rate_rows') }} where payee_id is not null

),

territories as (

    select * from {{ ref('territory_rows') }}

),

unknown as (

    select * from {{ ref('unknown_names') }}

),

names as (

    select * from {{ ref('names') }} where state = 'now' and kind = 'rep'

),

payees as (

    select * from {{ ref('payees') }} where state = 'now'

),

-- Two rows of one key with days between them.
rate_gaps as (

    select
        rates.*,
        lead(valid_from) over (
            partition by payee_id, product_line_id, is_for_all order by valid_from
        ) as next_from

    from rates
    where versions_ago = 1 and valid_until > valid_from

),

territory_gaps as (

    select
        territories.*,
        lead(valid_from) over (partition by source, territory_key order by valid_from) as next_from

    from territories
    where versions_ago = 1 and valid_until > valid_from

),

-- Rates whose row names somebody else, or another product line, than is probably meant.
misnamed_rates as (

    select
        rows.source_sheet,
        rows.source_row,
        unknown.column_name,
        unknown.name_key,
        case when unknown.kind = 'rep' then unknown.nearest_id else rows.payee_id end as payee_id,
        case when unknown.kind = 'product line' then unknown.nearest_id else rows.product_line_id
        end as product_line_id,
        rows.is_for_all,
        rows.tier_1_rate,
        rows.tier_2_rate,
        rows.valid_from,
        rows.valid_until

    from {{ ref('rate_rows') }} as rows
    inner join unknown
        on
            unknown.table_name = 'commission_tiers'
            and unknown.source_sheet = rows.source_sheet
            and unknown.source_row = rows.source_row
    where rows.versions_ago = 1 and unknown.nearest_id is not null

),

without_rate as (

    select * from lines where credit_status = 'no_tier_rate'

),

of_rates as (

    select
        lines.credit_id,
        1 as priority,
        'gap' as rule,
        'commission_tiers' as table_name,
        gaps.source_sheet,
        gaps.source_row,
        'Valid until' as column_name,
        lines.payee_id || '/' || lines.product_line_id as subject,
        lines.payee_id,
        gaps.tier_1_rate,
        gaps.tier_2_rate,
        gaps.is_for_all,
        gaps.versions_ago,
        gaps.valid_until,
        gaps.next_from

    from without_rate as lines
    inner join rate_gaps as gaps
        on
            gaps.payee_id = lines.payee_id
            and coalesce(gaps.product_line_id = lines.product_line_id, gaps.is_for_all)
            and gaps.valid_until <= lines.commission_month
            and gaps.next_from > lines.commission_month

    union all

    select
        lines.credit_id,
        2,
        'unknown_name',
        'commission_tiers',
        misnamed.source_sheet,
        misnamed.source_row,
        misnamed.column_name,
        misnamed.name_key,
        lines.payee_id,
        misnamed.tier_1_rate,
        misnamed.tier_2_rate,
        misnamed.is_for_all,
        1,
        misnamed.valid_until,
        null

    from without_rate as lines
    inner join misnamed_rates as misnamed
        on
            misnamed.payee_id = lines.payee_id
            and coalesce(misnamed.product_line_id = lines.product_line_id, misnamed.is_for_all)
            and misnamed.valid_from <= lines.commission_month
            and misnamed.valid_until > lines.commission_month

    union all

    -- What an earlier version still had.
    select
        lines.credit_id,
        3,
        'taken_away',
        'commission_tiers',
        null,
        null,
        'Sales Rep Name',
        lines.payee_id || '/' || lines.product_line_id,
        lines.payee_id,
        rates.tier_1_rate,
        rates.tier_2_rate,
        rates.is_for_all,
        rates.versions_ago,
        rates.valid_until,
        null

    from without_rate as lines
    inner join rates
        on
            rates.versions_ago > 1
            and rates.payee_id = lines.payee_id
            and coalesce(rates.product_line_id = lines.product_line_id, rates.is_for_all)
            and rates.valid_from <= lines.commission_month
            and rates.valid_until > lines.commission_month

    union all

    -- The last rate that there was, if any.
    select
        lines.credit_id,
        4,
        'no_rate',
        'commission_tiers',
        null,
        null,
        'Commission tier 1 rate',
        lines.payee_id || '/' || lines.product_line_id,
        lines.payee_id,
        rates.tier_1_rate,
        rates.tier_2_rate,
        rates.is_for_all,
        rates.versions_ago,
        rates.valid_until,
        null

    from without_rate as lines
    left join rates
        on
            rates.payee_id = lines.payee_id
            and coalesce(rates.product_line_id = lines.product_line_id, rates.is_for_all)
            and rates.valid_until <= lines.commission_month

),

-- Lines without a rep: whose they would be.
of_reps as (

    select
        lines.credit_id,
        1 as priority,
        'taken_away' as rule,
        'sales_reps' as table_name,
        null as source_sheet,
        null::bigint as source_row,
        'Sales Rep Name' as column_name,
        names.id as subject,
        names.id as payee_id,
        null::date as valid_until,
        null::date as next_from

    from lines
    inner join names on names.name_key = lines.rep_key
    left join payees on payees.payee_id = names.id
    where lines.credit_status = 'unknown_rep' and payees.payee_id is null

    union all

    select
        lines.credit_id,
        2,
        'unknown_name',
        unknown.table_name,
        unknown.source_sheet,
        unknown.source_row,
        unknown.column_name,
        unknown.name_key,
        unknown.nearest_id,
        null,
        null

    from lines
    inner join unknown
        on
            unknown.kind = 'rep'
            and (
                (
                    unknown.table_name = 'territories'
                    and unknown.name_key = lines.rep_key
                    and lines.is_by_territory
                )
                or (unknown.table_name = 'aliases' and unknown.name_key = lines.meant_key)
            )
    where lines.credit_status = 'unknown_rep' and unknown.nearest_id is not null

    union all

    select
        lines.credit_id,
        1,
        'gap',
        'territories',
        gaps.source_sheet,
        gaps.source_row,
        'Valid until',
        gaps.source || '/' || gaps.territory_key,
        gaps.payee_id,
        gaps.valid_until,
        gaps.next_from

    from lines
    inner join territory_gaps as gaps
        on
            gaps.source = lines.source
            and (
                gaps.territory_key = lines.territory_key
                or {{ customer_key('gaps.territory_key') }} = lines.customer_key
            )
            and gaps.valid_until <= lines.owner_day
            and gaps.next_from > lines.owner_day
    where lines.credit_status = 'no_territory' and gaps.payee_id is not null

    union all

    select
        lines.credit_id,
        2,
        'unknown_name',
        'territories',
        unknown.source_sheet,
        unknown.source_row,
        unknown.column_name,
        unknown.name_key,
        rows.payee_id,
        null,
        null

    from lines
    inner join unknown
        on
            unknown.kind = 'customer'
            and unknown.source = lines.source
            and unknown.nearest_id = lines.territory_key
    inner join territories as rows
        on
            rows.versions_ago = 1
            and rows.source_sheet = unknown.source_sheet
            and rows.source_row = unknown.source_row
            and rows.valid_from <= lines.owner_day
            and rows.valid_until > lines.owner_day
    where lines.credit_status = 'no_territory' and rows.payee_id is not null

    union all

    select
        lines.credit_id,
        2 + rows.versions_ago,
        'taken_away',
        'territories',
        null,
        null,
        'Data field value',
        rows.source || '/' || rows.territory_key,
        rows.payee_id,
        null,
        null

    from lines
    inner join territories as rows
        on
            rows.versions_ago > 1
            and rows.source = lines.source
            and rows.territory_key = lines.territory_key
            and rows.valid_from <= lines.owner_day
            and rows.valid_until > lines.owner_day
    where lines.credit_status = 'no_territory' and rows.payee_id is not null

),

owned as (

    select distinct on (of_reps.credit_id)
        of_reps.*,
        lines.product_line_id,
        lines.commission_month

    from of_reps
    inner join lines on lines.credit_id = of_reps.credit_id
    order by of_reps.credit_id, of_reps.priority, of_reps.source_sheet, of_reps.source_row, of_reps.subject

),

explained as (

    select
        credit_id,
        rule,
        table_name,
        source_sheet,
        source_row,
        column_name,
        subject,
        payee_id,
        tier_1_rate,
        tier_2_rate,
        valid_until,
        next_from

    from (
        select distinct on (credit_id) *
        from of_rates
        order by
            credit_id,
            priority,
            versions_ago,
            is_for_all,
            valid_until desc,
            source_sheet,
            source_row
    ) as first_of_rates

    union all

    select
        owned.credit_id,
        owned.rule,
        owned.table_name,
        owned.source_sheet,
        owned.source_row,
        owned.column_name,
        owned.subject,
        owned.payee_id,
        coalesce(by_rate.tier_1_rate, 0),
        by_rate.tier_2_rate,
        owned.valid_until,
        owned.next_from

    from owned
    left join lateral (
        select rates.*
        from rates
        where
            rates.payee_id = owned.payee_id
            -- Whoever is listed no longer may have lost the rates, too.
            and (rates.versions_ago = 1 or owned.table_name = 'sales_reps')
            and coalesce(rates.product_line_id = owned.product_line_id, rates.is_for_all)
            and rates.valid_from <= owned.commission_month
            and rates.valid_until > owned.commission_month
        order by rates.versions_ago, rates.is_for_all
        limit 1
    ) as by_rate on true

),

-- What each line adds to the sales of its year, and what it would pay below the threshold and above it.
valued as (

    select
        explained.*,
        lines.source,
        coalesce(lines.rep_name, lines.rep_named) as rep_name,
        lines.product_line_id,
        lines.product_line,
        lines.customer,
        lines.sales_actual,
        lines.rev_actual,
        lines.commission_month,
        extract(year from lines.commission_month)::integer as commission_year,
        case when lines.credit_status = 'no_tier_rate' then 0 else lines.sales_actual end as new_sales,
        {{ tier_1_commission('lines.rev_actual', 'explained.tier_1_rate') }} as tier_1,
        {{ tier_2_difference('lines.rev_actual', 'explained.tier_1_rate', 'explained.tier_2_rate') }}
        as tier_2_diff

    from explained
    inner join lines on lines.credit_id = explained.credit_id

),

thresholds as (

    select distinct on (payee_id, product_line_id, commission_year) *
    from {{ ref('threshold_rows') }}
    where versions_ago = 1
    order by payee_id, product_line_id, commission_year, source_sheet, source_row

),

-- The lines may open tier 2 themselves, which then pays what the year has held back, too.
opened as (

    select
        valued.*,
        coalesce(payees.is_house, false) as is_house,
        coalesce(years.is_tier_2, false) as was_open,
        coalesce(
            years.is_tier_2
            or coalesce(years.highest_sales, 0) + sum(valued.new_sales) over of_year >= thresholds.threshold,
            false
        ) as is_open,
        coalesce(years.held_back, 0) as held_back,
        row_number() over (of_year order by valued.credit_id) as line_no

    from valued
    left join payees on payees.payee_id = valued.payee_id
    left join {{ ref('payout_years') }} as years
        on
            years.payee_id = valued.payee_id
            and years.product_line_id = valued.product_line_id
            and years.commission_year = valued.commission_year
    left join thresholds
        on
            thresholds.payee_id = valued.payee_id
            and thresholds.product_line_id = valued.product_line_id
            and thresholds.commission_year = valued.commission_year
    window of_year as (
        partition by
            valued.rule, valued.table_name, valued.column_name, valued.subject,
            valued.payee_id, valued.product_line_id, valued.commission_year
    )

)

select
    credit_id,
    rule,
    table_name,
    source_sheet,
    source_row,
    column_name,
    subject,
    source,
    rep_name,
    product_line,
    customer,
    sales_actual,
    tier_1_rate is not null as has_rate,
    -- Of somebody who never had a rate nobody knows what part of it would be paid.
    case
        when is_house then 0
        when tier_1_rate is null then rev_actual
        else tier_1
            + case when is_open then tier_2_diff else 0 end
            + case when is_open and not was_open and line_no = 1 then held_back else 0 end
    end as amount,
    valid_until,
    next_from,
    commission_month

from opened
