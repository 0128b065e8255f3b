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

{{ assert_build_lock() }}
set local synchronous_commit = on;
-- A reader who never ends a transaction must not make everybody wait.
set local lock_timeout = '30s';
create schema if not exists marts;
create schema if not exists history;
create table if not exists marts.publications (
    publication_id bigint primary key
    {%- for column in model.columns.values() if column.name != 'publication_id' %},
    {{ column.name }} {{ column.data_type }} not null
    {%- endfor %}
);
{{ publications_columns() }}
{#- The next number, and no sequence: what is rolled back would leave a gap, and a server that was killed
    just after it was set up (wal_level minimal) may give a number of a new sequence twice. -#}
lock table marts.publications in share row exclusive mode;
insert into marts.publications (
    publication_id
    {%- for column in model.columns.values() if column.name != 'publication_id' -%}
    , {{ column.name }}
    {%- endfor -%}
)
-- In an older installation the column is an identity.
overriding system value
select (select coalesce(max(publication_id), 0) + 1 from marts.publications), this.*
from (
{{ sql }}
) as this;

{#- What changes tables comes last and is soon over: reading goes on while rows are written. -#}
{%- set new_tables = [] -%}
{% for node in tables_with_people_last() %}
    {% if has_the_same_columns(node) %}
        {{ rows_replaced(node) }}
    {% else %}
        {{ noted_changes(node) }}
        {%- do new_tables.append(node) -%}
    {% endif %}
{% endfor %}

{% if var('is_redefined') %}
    {{ session_rep() }}
    {{ session_is_admin() }}
    {{ published_at() }}
    {% for node in marts_of('view') %}
        drop view if exists marts.{{ node.name }};
    {% endfor %}
    {% for node in tables_with_people_last() %}
        {% if node in new_tables %}
            drop table if exists marts.{{ node.name }} cascade;
            alter table candidate.{{ node.name }} set schema marts;
        {% endif %}
        {{ access(node) }}
    {% endfor %}
    {% for node in marts_of('view') %}
        {{ view_of_marts(node) }}
        {{ grants(node) }}
        {{ comments(node) }}
    {% endfor %}
    {{ access(model) }}
{% endif %}
{{ mark_private_schemas() }}
{%- endmacro %}


{#- The table of an older version gets the columns that it does not have; nobody knows their past. -#}
{% macro publications_columns() -%}
{%- set found = columns_of('marts', 'publications') -%}
{%- if found -%}
    {%- for column in model.columns.values() if column.name ~ ' ' ~ column.data_type not in found %}
alter table marts.publications add column if not exists {{ column.name }} {{ column.data_type }};
    {%- endfor %}
{%- endif -%}
{%- endmacro %}


{#- A reader holds a mart before its policy reads `people`: whoever locks in this order waits for it. -#}
{% macro tables_with_people_last() -%}
    {%- set tables = marts_of('table') -%}
    {{ return(
        tables | rejectattr('name', 'equalto', 'people') | list
        + tables | selectattr('name', 'equalto', 'people') | list
    ) }}
{%- endmacro %}


{% macro columns_of(schema, name) -%}
    {%- set found = [] -%}
    {%- for column in adapter.get_columns_in_relation(
        api.Relation.create(database=database, schema=schema, identifier=name)
    ) -%}
        {%- do found.append(column.name ~ ' ' ~ column.data_type) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{% macro has_the_same_columns(node) -%}
    {{ return(columns_of('marts', node.name) == columns_of('candidate', node.name)) }}
{%- endmacro %}


{#- A view of this build reads the candidates; people read the same of the marts, with their own rights.
    What shows a part of the books runs as its owner, since nobody else may read those; no policy is asked
    then, so the view itself asks who reads. -#}
{% macro view_of_marts(node) -%}
{%- set runs_as_owner = node.config.meta.runs_as_owner -%}
{%- set security = 'security_barrier = true' if runs_as_owner else 'security_invoker = true' -%}
do $$
begin
    execute 'create view marts.{{ node.name }} with ({{ security }}) as '
        {% if runs_as_owner -%}
        || 'select * from ('
        || rtrim(replace(pg_get_viewdef('candidate.{{ node.name }}'::regclass), 'candidate.', 'marts.'), ';')
        || ') as shown where (select marts.session_is_admin())';
        {%- else -%}
        || replace(pg_get_viewdef('candidate.{{ node.name }}'::regclass), 'candidate.', 'marts.');
        {%- endif %}
end
$$;
{%- endmacro %}


{#- Only rows that are others now are written, however many were computed anew. -#}
{% macro rows_replaced(node) -%}
{%- set columns = node.columns.keys() | list -%}
{%- set key = (node.constraints | selectattr('type', 'equalto', 'primary_key') | first).columns -%}
{{ history_table(node) }}
with gone as (

    delete from marts.{{ node.name }} as mart
    {{ 'using intermediate.' ~ node.config.meta.scope.relation ~ ' as scope' if is_in_part(node) }}
    where
        {{ '(' ~ node.config.meta.scope.match ~ ') and' if is_in_part(node) }}
        not exists (
            select from candidate.{{ node.name }} as candidate
            where
                {% for column in key -%}
                candidate.{{ column }} = mart.{{ column }} and
                {% endfor -%}
                (candidate.{{ columns | join(', candidate.') }})
                is not distinct from (mart.{{ columns | join(', mart.') }})
        )
    returning mart.*

)

{{ noted(node, 'removed', 'gone') }};

with come as (

    insert into marts.{{ node.name }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }} from candidate.{{ node.name }} as candidate
    where
        not exists (
            select from marts.{{ node.name }} as mart
            where
                {% for column in key -%}
                candidate.{{ column }} = mart.{{ column }}{{ ' and' if not loop.last }}
                {% endfor -%}
        )
    returning *

)

{{ noted(node, 'added', 'come') }};
{%- endmacro %}


{#- Whether the candidates are a part of the mart; a full refresh computes all of it. -#}
{% macro is_in_part(node) -%}
    {{ return(node.config.meta.scope and not flags.FULL_REFRESH) }}
{%- endmacro %}


{% macro history_columns(node) -%}
    {{ return(node.columns.keys() | reject('equalto', 'loaded_at') | list) }}
{%- endmacro %}


{#- What publications take out of a mart and put into it, so that a past state can be told: today's
    rows, without what came later, with what went later. Numbers keep the digits that they had. -#}
{% macro history_table(node) -%}
{% if node.config.meta.history -%}
create table if not exists history.{{ node.name }} (
    publication_id bigint not null references marts.publications,
    change text not null check (change in ('added', 'removed'))
);
{% for column in history_columns(node) -%}
alter table history.{{ node.name }} add column if not exists {{ column }}
    {{ node.columns[column].data_type.split('(')[0] }};
{% endfor -%}
create index if not exists {{ node.name }}_by_publication on history.{{ node.name }} (publication_id);
{%- endif %}
{%- endmacro %}


{% macro noted(node, change, rows) -%}
{% if node.config.meta.history -%}
insert into history.{{ node.name }} (publication_id, change, {{ history_columns(node) | join(', ') }})
select (select max(publication_id) from marts.publications), '{{ change }}', {{ history_columns(node) | join(', ') }}
from {{ rows }}
{%- else -%}
select count(*) from {{ rows }}
{%- endif %}
{%- endmacro %}


{#- The same where a mart has other columns than it had: told by those that both have, which may have
    become longer or shorter (numeric, numeric(15,2)). -#}
{% macro noted_changes(node) -%}
{%- set published = [] -%}
{%- for column in columns_of('marts', node.name) -%}
    {%- do published.append(column.split('(')[0]) -%}
{%- endfor -%}
{%- if node.config.meta.history and published -%}
    {%- set names = [] -%}
    {%- for column in history_columns(node)
        if column ~ ' ' ~ node.columns[column].data_type.split('(')[0] in published -%}
        {%- do names.append(column) -%}
    {%- endfor -%}
    {%- set columns = names | join(', ') -%}
{{ history_table(node) }}
insert into history.{{ node.name }} (publication_id, change, {{ columns }})
select (select max(publication_id) from marts.publications), change, {{ columns }}
from (
    (select 'removed' as change, {{ columns }} from marts.{{ node.name }}
    except all select 'removed', {{ columns }} from candidate.{{ node.name }})
    union all
    (select 'added', {{ columns }} from candidate.{{ node.name }}
    except all select 'added', {{ columns }} from marts.{{ node.name }})
) as changes;
{%- endif -%}
{%- endmacro %}
