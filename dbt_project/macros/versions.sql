{#- The accepted versions of a reference table by age; the newest, which is in force, is 1. -#}
{% macro versions_by_age(table) -%}
select
    file_id,
    row_number() over (order by in_force_from desc, file_id desc) as versions_ago

from {{ source('reference', 'versions') }}
where table_name = '{{ table }}'
{%- endmacro %}
