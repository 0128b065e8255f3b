with

repeats as (

    select * from {{ ref('repeats') }}

),

lines as (

    {{ gathered_lines(
        [
            'rows.line_id',
            'rows.source',
            'rows.source_file',
            'rows.source_sheet',
            'rows.source_row',
            'rows.product_line_id',
            'rows.product_line',
            'rows.payee_id',
            'rows.rep_name',
            'rows.commission_tier_1',
            'rows.commission_tier_2_diff',
            'rows.commission_month',
        ],
        'repeats',
        'scope.source = rows.source and scope.commission_month = rows.commission_month'
        ~ ' and scope.source_file = rows.source_file and scope.source_sheet = rows.source_sheet'
        ~ ' and scope.source_row = rows.source_row'
    ) | indent }}

),

months as (

    select * from {{ ref('months_at_tier_2') }}

),

paid as (

    select
        lines.line_id,
        lines.source,
        lines.source_file,
        lines.source_sheet,
        lines.source_row,
        lines.product_line,
        string_agg(lines.rep_name, ', ' order by lines.rep_name) as rep_names,
        sum({{ line_commission() }}) as commission

    from lines
    left join months
        on
            months.payee_id = lines.payee_id
            and months.product_line_id = lines.product_line_id
            and months.commission_month = lines.commission_month
    group by
        lines.line_id,
        lines.source,
        lines.source_file,
        lines.source_sheet,
        lines.source_row,
        lines.product_line

)

select
    paid.line_id,
    repeats.source,
    paid.product_line,
    paid.rep_names,
    repeats.customer,
    repeats.invoice_number,
    repeats.item,
    repeats.source_file,
    repeats.source_sheet,
    repeats.source_row,
    repeats.first_file,
    repeats.first_sheet,
    repeats.first_row,
    round(repeats.sales_actual, 2)::numeric(15, 2) as sales_actual,
    round(repeats.rev_actual, 2)::numeric(15, 2) as rev_actual,
    round(repeats.first_sales_actual, 2)::numeric(15, 2) as first_sales_actual,
    round(repeats.first_rev_actual, 2)::numeric(15, 2) as first_rev_actual,
    paid.commission::numeric(15, 2) as commission,
    '/' || repeats.source_file like '%/overlap=ok/%' as is_overlap_ok,
    repeats.revenue_date,
    repeats.commission_month,
    repeats.first_commission_month

from repeats
inner join paid using (source, source_file, source_sheet, source_row)
