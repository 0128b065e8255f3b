{% for source in sources() %}
select
    file_id,
    source_sheet,
    source_row,
    source,
    product_line,
    rep_in_file,
    territory_1,
    territory_2,
    territory_3,
    customer,
    invoice_number,
    item,
    quantity,
    sales_actual,
    rev_actual,
    is_rep_in_file,
    territory_date,
    revenue_date,
    commission_month,
    sale_key

from {{ ref('stg_' ~ source) }}

{{ 'union all' if not loop.last }}
{% endfor %}
