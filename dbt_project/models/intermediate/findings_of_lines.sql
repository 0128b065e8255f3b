{#- What is told of lines that pay nobody because of a gap, a missing rate, or rows that were taken away. -#}
with

summed as (

    select
        rule,
        table_name,
        source_sheet,
        source_row,
        column_name,
        subject,
        min(source) as source,
        min(rep_name) as rep_name,
        min(product_line) as product_line,
        min(customer) as customer,
        {{ lines_words('count(*)') }} || ' of ' || {{ month_words('min(commission_month)') }}
        || case
            when max(commission_month) > min(commission_month)
                then ' to ' || {{ month_words('max(commission_month)') }}
            else ''
        end || ' (sales ' || {{ dollars('sum(sales_actual)') }} || ')' as lines,
        bool_and(has_rate) as has_rate,
        sum(amount) as amount,
        min(valid_until) as valid_until,
        min(next_from) as next_from

    from {{ ref('line_doubts') }}
    where rule <> 'unknown_name'
    group by rule, table_name, source_sheet, source_row, column_name, subject

)

select
    rule,
    table_name,
    source_sheet,
    source_row,
    column_name,
    subject,
    case
        when rule = 'gap' then {{ day_words('valid_until') }}
        when table_name = 'territories' then customer
        when rule = 'taken_away' then rep_name
    end as value,
    case
        when rule = 'gap' and table_name = 'commission_tiers'
            then rep_name || ' has no rate for ' || product_line || ' from ' || {{ day_words('valid_until') }}
            || ' until ' || {{ day_words('next_from') }} || ', and ' || lines || ' fall in between.'
        when rule = 'gap'
            then 'Nobody owns ' || coalesce(customer, 'this customer') || ' (' || source || ') from '
            || {{ day_words('valid_until') }} || ' until ' || {{ day_words('next_from') }} || ', and ' || lines
            || ' fall in between.'
        when table_name = 'sales_reps'
            then 'sales_reps no longer lists ' || rep_name || ', whose name is on ' || lines || '.'
        when table_name = 'territories'
            then 'The owner of ' || coalesce(customer, 'a customer') || ' (' || source
            || ') is no longer in territories, which leaves ' || lines || ' without a rep.'
        when rule = 'taken_away'
            then 'The rate of ' || rep_name || ' for ' || product_line || ' is no longer in commission_tiers, '
            || 'which leaves ' || lines || ' unpaid.'
        when has_rate
            then 'The last rate of ' || rep_name || ' for ' || product_line || ' has ended, which leaves '
            || lines || ' unpaid.'
        else rep_name || ' has no rate for ' || product_line || ', which leaves ' || lines || ' unpaid.'
    end as problem,
    case
        when rule = 'gap'
            then 'Valid until is the first day on which the row no longer counts: type '
            || {{ day_words('next_from') }} || ' if there is to be no gap.'
        when table_name = 'sales_reps'
            then 'Put the row back. If the person left, keep it and enter Left On.'
        when table_name = 'territories'
            then 'Put the row back, or add one with the new owner.'
        when rule = 'taken_away'
            then 'Put the row back. If the rep left, enter Left On in sales_reps instead. If nothing is to be '
                || 'paid, add a row with a rate of 0% and a Note.'
        else 'Add a rate. If nothing is to be paid, add a row with a rate of 0% and a Note.'
    end as remedy,
    abs(amount)::numeric(15, 2) as amount

from summed
