with

lines as (

    select * from {{ ref('named_lines') }}

),

divisions as (

    select * from {{ ref('divisions') }}

),

names as (

    select * from {{ ref('names') }} where state = 'now' and kind = 'rep'

),

payees as (

    select * from {{ ref('payees') }} where state = 'now'

),

rates as (

    select * from {{ ref('rates') }} where state = 'now'

),

former_rates as (

    select * from {{ ref('former_rates') }}

),

files as (

    select * from {{ ref('stg_files') }}

),

credited as (

    select
        lines.*,
        payees.payee_id,
        payees.rep_name,
        payees.left_on,
        divisions.part_no,
        divisions.means as rep_meant,
        coalesce(divisions.share, 1) as credit_share,
        coalesce(divisions.sales_share, lines.sales_actual) as sales_exact,
        coalesce(divisions.rev_share, lines.rev_actual) as rev_exact,
        coalesce(divisions.sales_in_cents, lines.sales_in_cents)::numeric(15, 2) as sales_credited,
        coalesce(divisions.rev_in_cents, lines.rev_in_cents)::numeric(15, 2) as rev_credited,
        case
            when payees.is_house then 'house account'
            when not payees.pays_after_leaving and lines.revenue_date > payees.left_on
                then 'none after leaving'
        end as unpaid_as

    from lines
    left join divisions
        on
            divisions.file_id = lines.file_id
            and divisions.source_sheet = lines.source_sheet
            and divisions.source_row = lines.source_row
    left join names on names.name_key = coalesce(divisions.means_key, lines.rep_key)
    left join payees on payees.payee_id = names.id

),

in_force as (

    select
        lines.*,
        -- The rate of the product line goes before the one for all, with its blank tier 2, too.
        coalesce(own_rate.payee_id, any_rate.payee_id) is not null as has_rate,
        case when own_rate.payee_id is not null then own_rate.tier_1_rate else any_rate.tier_1_rate
        end as rate_1,
        case when own_rate.payee_id is not null then own_rate.tier_2_rate else any_rate.tier_2_rate
        end as rate_2

    from credited as lines
    left join rates as own_rate
        on
            own_rate.payee_id = lines.payee_id
            and own_rate.product_line_id = lines.product_line_id
            and own_rate.valid_from <= lines.commission_month
            and (own_rate.valid_until is null or own_rate.valid_until > lines.commission_month)
    left join rates as any_rate
        on
            any_rate.payee_id = lines.payee_id
            and any_rate.product_line_id is null
            and any_rate.valid_from <= lines.commission_month
            and (any_rate.valid_until is null or any_rate.valid_until > lines.commission_month)

),

rated as (

    select
        lines.*,
        case
            when lines.unpaid_as is not null then lines.unpaid_as
            when lines.has_rate then 'in force'
            when last_rate.tier_1_rate is not null then 'last before leaving'
        end as rate_basis,
        case
            when lines.unpaid_as is not null then 0
            when lines.has_rate then lines.rate_1
            else last_rate.tier_1_rate
        end as tier_1_rate,
        case
            when lines.unpaid_as is not null then null
            when lines.has_rate then lines.rate_2
            else last_rate.tier_2_rate
        end as tier_2_rate

    from in_force as lines
    -- A leaver's sale of before, and a return at any time, take the last rate that there was.
    left join lateral (
        select former_rates.tier_1_rate, former_rates.tier_2_rate
        from former_rates
        where
            lines.left_on is not null
            and not lines.has_rate
            and (
                lines.revenue_date < lines.left_on
                or least(lines.sales_in_cents, lines.rev_in_cents) < 0
            )
            and former_rates.payee_id = lines.payee_id
            and coalesce(former_rates.product_line_id = lines.product_line_id, true)
            and former_rates.valid_from <= lines.commission_month
        order by
            former_rates.versions_ago,
            coalesce(former_rates.valid_until > lines.commission_month, true) desc,
            case
                when coalesce(former_rates.valid_until > lines.commission_month, true) then null
                else former_rates.valid_until
            end desc nulls first,
            former_rates.product_line_id nulls last,
            former_rates.is_former_name,
            former_rates.valid_from desc
        limit 1
    ) as last_rate on true

)

select
    lines.line_id
    || case when lines.credit_share < 1 then '/part ' || lines.part_no else '' end as credit_id,
    lines.line_id,
    lines.source,
    lines.product_line_id,
    lines.product_line,
    lines.payee_id,
    lines.rep_name,
    lines.rep_in_file,
    lines.rep_named,
    lines.rep_meant,
    case
        when lines.payee_id is not null and lines.tier_1_rate is not null then 'credited'
        when lines.payee_id is not null then 'no_tier_rate'
        when lines.rep_named is not null or lines.is_rep_in_file then 'unknown_rep'
        else 'no_territory'
    end as credit_status,
    lines.rate_basis,
    lines.customer,
    lines.territory,
    lines.invoice_number,
    lines.item,
    files.path as source_file,
    lines.source_sheet,
    lines.source_row,
    lines.quantity * lines.credit_share as quantity,
    lines.credit_share,
    lines.sales_credited as sales_actual,
    lines.rev_credited as rev_actual,
    -- Nearly always null: files with more digits than cents are few.
    nullif(lines.sales_exact, lines.sales_credited) as sales_before_rounding,
    nullif(lines.rev_exact, lines.rev_credited) as rev_before_rounding,
    lines.tier_1_rate::numeric(9, 6) as tier_1_rate,
    lines.tier_2_rate::numeric(9, 6) as tier_2_rate,
    coalesce({{ tier_1_commission('lines.rev_credited', 'lines.tier_1_rate') }}, 0)::numeric(15, 2) as commission_tier_1,
    {{ tier_2_difference('lines.rev_credited', 'lines.tier_1_rate', 'lines.tier_2_rate') }}::numeric(15, 2)
    as commission_tier_2_diff,
    lines.revenue_date,
    date_trunc('month', lines.revenue_date)::date as revenue_month,
    lines.commission_month,
    files.finished as loaded_at

from rated as lines
inner join files on files.file_id = lines.file_id
