{#- Every name that a workbook gives a rep, a product line or a customer, in all of its versions, with what else
    the row says. -#}
{% set named = [
    ('commission_tiers', 'sales_rep_name', 'Sales Rep Name', 'rep'),
    ('commission_tiers', 'product_line', 'Product Line', 'product line'),
    ('tier_thresholds', 'sales_rep_name', 'Sales Rep Name', 'rep'),
    ('tier_thresholds', 'product_line', 'Product Line', 'product line'),
    ('business_objectives', 'sales_rep_name', 'Sales Rep Name', 'rep'),
    ('business_objectives', 'product_line', 'Product Line', 'product line'),
    ('opening_balances', 'sales_rep_name', 'Sales Rep Name', 'rep'),
    ('opening_balances', 'product_line', 'Product Line', 'product line'),
    ('territories', 'sales_rep_name', 'Sales Rep Name', 'rep'),
    ('territories', 'data_field_value', 'Data field value', 'customer'),
    ('aliases', 'means', 'Means', 'rep'),
] -%}
with

versions as (

    select
        file_id,
        row_number() over (partition by table_name order by in_force_from desc, file_id desc) as versions_ago

    from {{ source('reference', 'versions') }}

)

{% for table, column, header, kind in named %}
select
    versions.versions_ago,
    '{{ table }}' as table_name,
    rows.source_sheet,
    rows.source_row,
    '{{ header }}' as column_name,
    '{{ kind }}' as kind,
    {{ 'rows.source' if kind == 'customer' else 'null' }}::text as source,
    rows.{{ column }} as name,
    {{ "ops.match_key(rows.customer_field || ': ' || rows.data_field_value)" if kind == 'customer'
        else 'ops.match_key(rows.' ~ column ~ ')' }} as name_key,
    to_jsonb(rows) - array['file_id', 'source_sheet', 'source_row', 'note', '{{ column }}'] as others

from {{ source('reference', table) }} as rows
inner join versions on versions.file_id = rows.file_id
where rows.{{ column }} is not null{{ " and rows.kind = 'rep'" if table == 'aliases' }}

{{ 'union all' if not loop.last }}
{% endfor %}
