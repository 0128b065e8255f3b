{#- The rows of a mart that people read now; none in a full refresh, which owes nothing to them. -#}
{% macro published(name) -%}
    {%- if execute and flags.FULL_REFRESH -%}
        (
            select
                {% for column in node_named(name).columns.values() -%}
                null::{{ column.data_type }} as {{ column.name }}{{ ',' if not loop.last }}
                {% endfor -%}
            where false
        )
    {%- else -%}
        marts.{{ name }}
    {%- endif -%}
{%- endmacro %}

{% macro node_named(name) -%}
    {%- set found = graph.nodes.values()
        | selectattr('resource_type', 'equalto', 'model') | selectattr('name', 'equalto', name) | list -%}
    {{ return(found[0]) }}
{%- endmacro %}
