{#- The rows, in the named columns, that a reference table has now and had not when the marts were
    last published, or the other way round.

    compared: columns in which a difference counts. -#}
{% macro changed(relation, compared) -%}
    (
        (
            select {{ compared | join(', ') }} from {{ relation }} where state = 'now'
            except
            select {{ compared | join(', ') }} from {{ relation }} where state = 'published'
        )
        union all
        (
            select {{ compared | join(', ') }} from {{ relation }} where state = 'published'
            except
            select {{ compared | join(', ') }} from {{ relation }} where state = 'now'
        )
    )
{%- endmacro %}
