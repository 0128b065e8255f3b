{#- The rows, in the named columns, that a reference table has now and had not when the marts were
    last published, or the other way round. The table, often a view of many, is asked once.

    compared: columns in which a difference counts. -#}
{% macro changed(relation, compared) -%}
    (
        select {{ compared | join(', ') }}
        from {{ relation }}
        where state in ('now', 'published')
        group by {{ compared | join(', ') }}
        having min(state) = max(state)
    )
{%- endmacro %}
