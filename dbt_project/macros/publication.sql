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

{%- set columns = all_columns() -%}
{{ assert_build_lock() }}
{{ assert_judged() }}
set local synchronous_commit = on;
-- A reader who never ends a transaction must not make everybody wait.
set local lock_timeout = '{{ var('wait_for_readers') }}';
create schema if not exists marts;
create schema if not exists history;
create table if not exists marts.publications (
    publication_id bigint primary key
    {%- for column in model.columns.values() if column.name != 'publication_id' %},
    {{ column.name }} {{ column.data_type }} not null
    {%- endfor %}
);
{{ publications_columns(columns) }}
{#- The next number, and no sequence: what is rolled back would leave a gap, and a server that was killed
    just after it was set up (wal_level minimal) may give a number of a new sequence twice. A ledger that was
    read back from the bucket knows numbers that the publications do not. -#}
lock table marts.publications in share row exclusive mode;
insert into marts.publications (
    publication_id
    {%- for column in model.columns.values() if column.name != 'publication_id' -%}
    , {{ column.name }}
    {%- endfor -%}
)
-- In an older installation the column is an identity.
overriding system value
select
    (
        select coalesce(max(publication_id), 0) + 1
        from (select publication_id from marts.publications union all select publication_id from ledger.closes) as known
    ),
    this.*
from (
{{ sql }}
) as this;

{{ line_ids_of_before(columns) }}
{#- What changes tables comes last and is soon over: reading goes on while rows are written. -#}
{%- set new_tables = [] -%}
{% for node in tables_with_people_last() %}
    {% if has_the_same_columns(node, columns) %}
        {{ rows_replaced(node) }}
    {% else %}
        {{ noted_changes(node, columns) }}
        {%- do new_tables.append(node) -%}
    {% endif %}
{% endfor %}

{% if var('is_redefined') %}
    {{ session_payee() }}
    {{ session_is_admin() }}
    {{ published_at() }}
    {% for node in marts_of('view') %}
        drop view if exists marts.{{ node.name }};
    {% endfor %}
    {% for node in tables_with_people_last() %}
        {% if node in new_tables %}
            drop table if exists marts.{{ node.name }} cascade;
            alter table candidate.{{ node.name }} set schema marts;
            -- The next build fills another.
            create table candidate.{{ node.name }} (like marts.{{ node.name }} including all);
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
{#- After the marts, wherever they were made. #}
{{ post_to_ledger() }}
{{ end_held_build() }}
{{ mark_private_schemas() }}
{%- endmacro %}


{#- An id of before was the line's place, with the number of its file first: a line that still is where it was
    takes today's, so that it is not told as removed and added. -#}
{% macro line_ids_of_before(columns) -%}
{%- set found = [] -%}
{%- for column in columns.get('marts.harmonised_sales', []) -%}
    {%- do found.append(column.split(' ')[0]) -%}
{%- endfor -%}
{%- if flags.FULL_REFRESH and found %}
update marts.harmonised_sales as mart
set line_id = today.line_id{{ ', credit_id = today.credit_id' if 'credit_id' in found }}
from candidate.harmonised_sales as today
where
    mart.line_id ~ '^[0-9]+/'
    and (today.source, today.source_file, today.source_sheet, today.source_row)
    = (mart.source, mart.source_file, mart.source_sheet, mart.source_row)
    and (today.invoice_number, today.item, today.revenue_date)
    is not distinct from (mart.invoice_number, mart.item, mart.revenue_date)
    {%- if 'credit_id' in found %}
    and substring(mart.credit_id from '/part [0-9]+$')
    is not distinct from substring(today.credit_id from '/part [0-9]+$')
    {%- endif %};
{%- endif %}
{%- endmacro %}


{#- The table of an older version gets the columns that it does not have; nobody knows their past. -#}
{% macro publications_columns(columns) -%}
{%- set found = columns.get('marts.publications', []) -%}
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


{#- The columns, as name and type, of everything in `marts` and `candidate`, or of one relation, by
    schema.relation: asked once, since dbt's own question takes longer for each relation than most models, and
    with a row for each relation, since dbt makes much of each row. -#}
{% macro all_columns(relation=none) -%}
    {%- set found = {} -%}
    {%- for row in execute and run_query(
        "select nspname || '.' || relname,"
        " string_agg(attname || ' ' || format_type(atttypid, atttypmod), e'\\n' order by attnum)"
        " from pg_attribute inner join pg_class on pg_class.oid = attrelid"
        " inner join pg_namespace on pg_namespace.oid = relnamespace"
        " where nspname in ('marts', 'candidate') and relkind in ('r', 'v') and attnum > 0 and not attisdropped"
        ~ (" and nspname || '.' || relname = '" ~ relation ~ "'" if relation else '')
        ~ " group by 1"
    ) or [] -%}
        {%- do found.update({row[0]: row[1].split('\n')}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The columns of one relation, for a model that asks about no other. -#}
{% macro columns_of(schema, name) -%}
    {{ return(all_columns(schema ~ '.' ~ name).get(schema ~ '.' ~ name, [])) }}
{%- endmacro %}


{% macro has_the_same_columns(node, columns) -%}
    {{ return(columns.get('marts.' ~ node.name) == columns.get('candidate.' ~ node.name)) }}
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
    {{ return(node.columns.keys() | reject('in', ['loaded_at', 'publication_id']) | list) }}
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
do $$
begin
    if obj_description('history.{{ node.name }}'::regclass, 'pg_class') is null then
        execute format(
            'comment on table history.{{ node.name }} is %L',
            'What each publication took out and put in, since publication '
            || (select max(publication_id) from marts.publications) || '.'
        );
    end if;
end
$$;
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


{#- What was noted before there were ids gets those of its names, so that a past state can be compared. -#}
{% macro history_ids(node) -%}
{%- set columns = history_columns(node) -%}
{% if 'payee_id' in columns -%}
update history.{{ node.name }} as noted set payee_id = names.payee_id
from reference.payee_names as names
where noted.payee_id is null and names.name_key = ops.match_key(noted.rep_name);
{%- endif %}
{% if 'product_line_id' in columns -%}
update history.{{ node.name }} as noted set product_line_id = names.product_line_id
from reference.product_line_names as names
where noted.product_line_id is null and names.name_key = ops.match_key(noted.product_line);
{%- endif %}
{% if 'credit_id' in columns -%}
update history.{{ node.name }} set credit_id = line_id, credit_share = 1 where credit_id is null;
{%- endif %}
{%- endmacro %}


{#- The same where a mart has other columns than it had: told by those that both have, which may have
    become longer or shorter (numeric, numeric(15,2)). -#}
{% macro noted_changes(node, columns) -%}
{%- set published = [] -%}
{%- for column in columns.get('marts.' ~ node.name, []) -%}
    {%- do published.append(column.split('(')[0]) -%}
{%- endfor -%}
{%- if node.config.meta.history and published -%}
    {%- set names = [] -%}
    {%- for column in history_columns(node)
        if column ~ ' ' ~ node.columns[column].data_type.split('(')[0] in published -%}
        {%- do names.append(column) -%}
    {%- endfor -%}
    {%- set both = names | join(', ') -%}
{{ history_table(node) }}
insert into history.{{ node.name }} (publication_id, change, {{ both }})
select (select max(publication_id) from marts.publications), change, {{ both }}
from (
    (select 'removed' as change, {{ both }} from marts.{{ node.name }}
    except all select 'removed', {{ both }} from candidate.{{ node.name }})
    union all
    (select 'added', {{ both }} from candidate.{{ node.name }}
    except all select 'added', {{ both }} from marts.{{ node.name }})
) as changes;
{{ history_ids(node) }}
{%- endif -%}
{%- endmacro %}
