{#- All findings of one kind each, with the note of the row they are about. -#}
{% set tables = [
    'sales_reps', 'commission_tiers', 'tier_thresholds', 'business_objectives', 'territories',
    'service_to_product', 'aliases', 'opening_balances'
] -%}
with

notes as (

    {% for table in tables %}
    select
        '{{ table }}' as table_name,
        rows.source_sheet,
        rows.source_row,
        rows.note

    from {{ source('reference', table) }} as rows
    inner join {{ ref('reference_versions') }} as versions
        on versions.state = 'now' and versions.file_id = rows.file_id
    where rows.note is not null

    {{ 'union all' if not loop.last }}
    {% endfor %}

),

of_years as (

    select * from {{ ref('findings_of_years') }}

),

-- A misspelled name is told once for each workbook and column, at its first row.
misspelled as (

    select
        unknown.table_name,
        unknown.column_name,
        unknown.kind,
        unknown.source,
        unknown.name_key,
        min(unknown.name) as name,
        min(unknown.nearest_name) as nearest_name,
        count(*) as rows,
        (array_agg(unknown.source_sheet order by unknown.source_sheet, unknown.source_row))[1] as source_sheet,
        (array_agg(unknown.source_row order by unknown.source_sheet, unknown.source_row))[1] as source_row,
        bool_and(notes.note is not null) as is_silenced

    from {{ ref('unknown_names') }} as unknown
    left join notes using (table_name, source_sheet, source_row)
    group by unknown.table_name, unknown.column_name, unknown.kind, unknown.source, unknown.name_key

),

doubted as (

    select
        table_name,
        column_name,
        subject as name_key,
        case when column_name = 'Data field value' then source end as source,
        {{ lines_words('count(*)') }} as lines,
        sum(amount) as amount

    from {{ ref('line_doubts') }}
    where rule = 'unknown_name'
    group by table_name, column_name, subject, case when column_name = 'Data field value' then source end

),

of_names as (

    select
        'unknown_name' as rule,
        misspelled.table_name,
        misspelled.source_sheet,
        misspelled.source_row,
        misspelled.column_name,
        concat_ws('/', misspelled.source, misspelled.name_key) as subject,
        misspelled.name as value,
        case misspelled.kind
            when 'rep' then 'sales_reps lists nobody called ' || misspelled.name || '.'
            when 'product line' then 'No line has the product line ' || misspelled.name || '.'
            else 'No line of ' || misspelled.source || ' has the customer ' || misspelled.name || '.'
        end
        || case when misspelled.rows > 1 then ' ' || misspelled.rows || ' rows name it.' else '' end
        || case
            when misspelled.nearest_name is not null then ' Probably ' || misspelled.nearest_name || ' is meant.'
            else ''
        end
        || coalesce(' That leaves ' || doubted.lines || ' unpaid.', '') as problem,
        case misspelled.kind
            when 'rep' then 'Type the name as in sales_reps, or add the person there.'
            when 'product line' then 'Type the name as the lines have it. If it is yet to be sold, write a Note in '
                || 'the row.'
            else 'Type the name as the file has it. If the customer is yet to buy, write a Note in the row.'
        end as remedy,
        misspelled.nearest_name,
        misspelled.is_silenced,
        (abs(coalesce(doubted.amount, 0)) + coalesce(of_years.amount, 0))::numeric(15, 2) as amount

    from misspelled
    left join doubted
        on
            doubted.table_name = misspelled.table_name
            and doubted.column_name = misspelled.column_name
            and doubted.name_key = misspelled.name_key
            and doubted.source is not distinct from misspelled.source
    left join of_years
        on
            of_years.rule = 'unknown_name'
            and of_years.table_name = misspelled.table_name
            and of_years.column_name = misspelled.column_name
            and of_years.name_key = misspelled.name_key

),

found as (

    select
        rule,
        table_name,
        source_sheet,
        source_row,
        column_name,
        subject,
        value,
        problem,
        remedy,
        nearest_name,
        is_silenced,
        amount

    from of_names

    union all

    select
        rule, table_name, source_sheet, source_row, column_name, subject, value, problem, remedy,
        null, null, amount
    from {{ ref('findings_of_lines') }}

    union all

    select
        rule, table_name, source_sheet, source_row, column_name, subject, value, problem, remedy,
        null, null, amount
    from of_years
    where rule <> 'unknown_name'

    union all

    select
        rule, table_name, source_sheet, source_row, column_name, subject, value, problem, remedy,
        null, null, amount
    from {{ ref('findings_of_rates') }}

    union all

    select
        'settled', 'opening_balances', source_sheet, source_row, 'Paid', '', null, problem, remedy,
        null, null, 0
    from {{ ref('settled_openings') }}

    union all

    select
        'opening_sales', 'opening_balances', source_sheet, source_row, 'Cumulative Sales', subject, value,
        problem, remedy, null, null, 0
    from {{ ref('exceeded_openings') }}

    union all

    -- A Note of pay_periods says why a month closes, and silences nothing.
    select
        'closed', 'pay_periods', source_sheet, source_row, column_name, to_char(pay_period, 'YYYY-MM'), null,
        problem, remedy, null, null, 0
    from {{ ref('closed_otherwise') }}

),

identified as (

    select
        *,
        md5(concat_ws('/', rule, table_name, column_name, subject)) as finding_id

    from found

)

-- Rows of a name and of its former one may say the same: one of them is told.
select distinct on (found.finding_id)
    found.finding_id,
    found.rule,
    found.table_name,
    found.source_sheet,
    found.column_name,
    found.value,
    found.problem,
    found.remedy,
    found.nearest_name,
    notes.note,
    found.source_row,
    found.amount,
    coalesce(found.is_silenced, notes.note is not null) as is_silenced

from identified as found
left join notes using (table_name, source_sheet, source_row)
order by found.finding_id, found.amount desc, found.source_sheet, found.source_row
