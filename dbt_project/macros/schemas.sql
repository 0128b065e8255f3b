{#- A model's schema is the one that it names. Read with the target `published`, the marts are
    where people read them; a build makes them in `candidate` first. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if target.name == 'published' and custom_schema_name == 'candidate' -%}
        marts
    {%- else -%}
        {{ custom_schema_name or target.schema }}
    {%- endif -%}
{%- endmacro %}


{#- A build that has lost its lock (its session was ended, the server was started anew) writes nothing
    more: another one may be at work. -#}
{% macro assert_build_lock() -%}
{%- if var('build_name') -%}
do $lock$
begin
    if not exists (
        select from pg_catalog.pg_locks as held
        inner join pg_catalog.pg_stat_activity as holder on holder.pid = held.pid
        where
            held.granted
            and held.mode = 'ShareRowExclusiveLock'
            and held.relation = 'ops.folders'::regclass
            and holder.datname = current_database()
            and holder.application_name = '{{ var("build_name") }}'
    ) then
        raise exception 'this build has lost its lock on the books, so another one may be at work';
    end if;
end
$lock$;
{%- endif -%}
{%- endmacro %}


{#- Mark the private schemas as complete, in the transaction of the publication: from here on a build may
    rely on what is there (`shs_pipeline/marts/due.py`). The mark goes when a full build drops them. -#}
{% macro mark_private_schemas() -%}
{%- if flags.FULL_REFRESH -%}
do $mark$
declare
    private record;
begin
    for private in
        select
            nspname,
            (
                select count(*) from pg_catalog.pg_class
                where relnamespace = namespace.oid and relkind = 'v'
            ) as views
        from pg_catalog.pg_namespace as namespace
        where nspname in ('staging', 'intermediate', 'candidate')
    loop
        execute format(
            'comment on schema %I is %L',
            private.nspname, '{{ var("definition_hash") }}, ' || private.views || ' views'
        );
    end loop;
end
$mark$;
{%- endif -%}
{%- endmacro %}
