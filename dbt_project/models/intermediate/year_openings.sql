{#- From which month on the workbook says where a year stood: its latest row with Cumulative Sales. -#}
with

rows as (

    {{ rows_by_id('stg_opening_balances', 'commission_month', [
        'rows.state',
        'rows.source_sheet',
        'rows.source_row',
        'payees.payee_id',
        'product_lines.id as product_line_id',
        'rows.cumulative_sales',
        'rows.held_back',
        "date_trunc('year', rows.commission_month)::date as commission_year",
        'rows.commission_month as opening_month',
    ]) | indent }}

)

select distinct on (state, payee_id, product_line_id, commission_year)
    state,
    source_sheet,
    source_row,
    payee_id,
    product_line_id,
    cumulative_sales,
    coalesce(held_back, 0) as held_back,
    commission_year,
    opening_month

from rows
where cumulative_sales is not null
order by state, payee_id, product_line_id, commission_year, opening_month desc
