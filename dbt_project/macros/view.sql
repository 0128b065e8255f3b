{#- A view is made by a full refresh alone, which finds none: nothing has to be kept, renamed or dropped. -#}
{% materialization view, adapter='postgres' %}

    {%- set target = this.incorporate(type='view') -%}
    {% call statement('main') -%}
        {{ assert_build_lock() }}
        {{ get_create_view_as_sql(target, sql) }}
    {%- endcall %}
    {{ adapter.commit() }}

    {{ return({'relations': [target]}) }}

{% endmaterialization %}
