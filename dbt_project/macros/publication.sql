{#- Write, audit, publish: the last model of a build. It depends on every mart and on their tests, so
    dbt skips it when anything failed; it brings the rows of `candidate` into `marts` in one
    transaction, with grants and row-level security, and nobody ever sees a part of it. -#}
{% materialization publication, adapter='postgres' %}

    {%- set target = api.Relation.create(database=database, schema='marts', identifier=this.identifier, type='table') -%}
    {% call statement('main') -%}
        {{ published_tables(sql) }}
    {%- endcall %}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}

{% endmaterialization %}


{% macro marts_of(kind) -%}
    {%- set nodes = graph.nodes.values()
        | selectattr('resource_type', 'equalto', 'model')
        | selectattr('config.schema', 'equalto', 'candidate')
        | selectattr('config.materialized', 'equalto', kind)
        | sort(attribute='name') | list -%}
    {{ return(nodes) }}
{%- endmacro %}


{% macro published_tables(sql) -%}

set local synchronous_commit = on;
create schema if not exists marts;
create schema if not exists history;
create table if not exists marts.publications (
    publication_id bigint generated always as identity primary key
    {%- for column in model.columns.values() if column.name != 'publication_id' %},
    {{ column.name }} {{ column.data_type }} not null
    {%- endfor %}
);
insert into marts.publications (
    {%- for column in model.columns.values() if column.name != 'publication_id' -%}
    {{ column.name }}{{ ', ' if not loop.last }}
    {%- endfor -%}
)
{{ sql }};

{% if flags.FULL_REFRESH %}
    {{ session_rep() }}
    {% for node in marts_of('table') %}
        {{ noted_changes(node) }}
        drop table if exists marts.{{ node.name }} cascade;
        alter table candidate.{{ node.name }} set schema marts;
        {{ access(node) }}
    {% endfor %}
    {# A view follows the tables that it reads, so it reads the marts from here on. #}
    {% for node in marts_of('view') %}
        alter view candidate.{{ node.name }} set schema marts;
        alter view marts.{{ node.name }} set (security_invoker = true);
        {{ grants(node) }}
        {{ comments(node) }}
    {% endfor %}
    {{ access(model) }}
{% else %}
    {% for node in marts_of('table') %}
        {{ noted_changes(node) }}
        delete from marts.{{ node.name }} as mart {{ outdated(node) }};
        insert into marts.{{ node.name }} ({{ node.columns.keys() | join(', ') }})
        select {{ node.columns.keys() | join(', ') }} from candidate.{{ node.name }};
    {% endfor %}
{% endif %}
{%- endmacro %}


{#- The condition of a delete: the rows of a mart that this build has computed anew. -#}
{% macro outdated(node) -%}
    {%- if node.config.meta.scope -%}
        using intermediate.{{ node.config.meta.scope.relation }} as scope
        where {{ node.config.meta.scope.match }}
    {%- endif -%}
{%- endmacro %}


{#- What a publication takes out of a mart and puts into it, so that a past state can be told:
    today's rows, without what came later, with what went later. -#}
{% macro noted_changes(node) -%}
{%- set table = api.Relation.create(database=database, schema='marts', identifier=node.name) -%}
{%- set published = adapter.get_columns_in_relation(table) | map(attribute='name') | list -%}
{%- if node.config.meta.history and published -%}
    {%- set compared = [] -%}
    {%- for column in node.columns if column in published and column != 'loaded_at' -%}
        {%- do compared.append(column) -%}
    {%- endfor -%}
    {%- set columns = compared | join(', ') -%}
create table if not exists history.{{ node.name }} (
    publication_id bigint not null references marts.publications,
    change text not null check (change in ('added', 'removed'))
);
{% for column in node.columns.values() if column.name != 'loaded_at' -%}
alter table history.{{ node.name }} add column if not exists {{ column.name }} {{ column.data_type }};
{% endfor -%}
with

outdated as (

    {% if flags.FULL_REFRESH or not node.config.meta.scope -%}
    select {{ columns }} from marts.{{ node.name }}
    {%- else -%}
    select {{ columns }} from marts.{{ node.name }} as mart
    where exists (
        select from intermediate.{{ node.config.meta.scope.relation }} as scope
        where {{ node.config.meta.scope.match }}
    )
    {%- endif %}

)

insert into history.{{ node.name }} (publication_id, change, {{ columns }})
select (select max(publication_id) from marts.publications), change, {{ columns }}
from (
    (select 'removed' as change, {{ columns }} from outdated
    except all select 'removed', {{ columns }} from candidate.{{ node.name }})
    union all
    (select 'added', {{ columns }} from candidate.{{ node.name }}
    except all select 'added', {{ columns }} from outdated)
) as changes;
create index if not exists {{ node.name }}_by_publication on history.{{ node.name }} (publication_id);
{%- endif -%}
{%- endmacro %}
