{#- A table holds the rows of one build. What a build needs is small, so the table is emptied and
    filled again; a full refresh finds no tables (`shs_pipeline/marts/build.py` drops them) and makes all anew,
    with the contract checked and the indexes that the mart will have. So nothing has to be asked about what
    is there. Once a build was judged, what is made once more is there. -#}
{% materialization table, adapter='postgres' %}

    {%- set target = this.incorporate(type='table') -%}
    {%- set is_new = flags.FULL_REFRESH and not var('is_judged') -%}

    {% call statement('main') -%}
        {{ assert_build_lock() }}
        {%- if is_new -%}
            {{ get_create_table_as_sql(False, target, sql) }}
        {%- elif config.get('contract').enforced -%}
            truncate {{ target }};
            insert into {{ target }} ({{ adapter.dispatch('get_column_names', 'dbt')() }})
            ({{ get_select_subquery(sql) }});
        {%- else -%}
            truncate {{ target }};
            insert into {{ target }} ({{ sql }});
        {%- endif %}
        {%- if is_new and config.get('meta', {}).get('readers') == 'rep' %}
            {#- Without statistics an EXPLAIN cannot tell a rep how many lines others have. #}
            {% for column in model.columns -%}
            alter table {{ target }} alter column {{ column }} set statistics 0;
            {% endfor %}
        {%- endif %}
        analyze {{ target }}
    {%- endcall %}

    {%- if is_new -%}
        {% do create_indexes(target) %}
    {%- endif -%}

    {{ adapter.commit() }}

    {{ return({'relations': [target]}) }}

{% endmaterialization %}
