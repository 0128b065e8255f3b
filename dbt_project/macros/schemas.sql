{#- A model's schema is the one that it names. Read with the target `published`, the marts are
    where people read them; a build makes them in `candidate` first. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if target.name == 'published' and custom_schema_name == 'candidate' -%}
        marts
    {%- else -%}
        {{ custom_schema_name or target.schema }}
    {%- endif -%}
{%- endmacro %}
