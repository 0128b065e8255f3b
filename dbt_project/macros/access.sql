{#- Who reads a mart is part of its definition, `meta.readers`:

    rep    a rep reads the rows of `meta.rep_column`, admins read all;
    everyone    reps and admins read all rows;
    admin  only admins read it;
    owner  nobody else does.

    A relation without grants is readable by its owner only, so what is forgotten stays closed. -#}
{% macro access(node) -%}
{{ grants(node) }}
alter table marts.{{ node.name }} enable row level security;
drop policy if exists admins_see_all on marts.{{ node.name }};
drop policy if exists reps_see_theirs on marts.{{ node.name }};
create policy admins_see_all on marts.{{ node.name }} for select to shs_admin using (true);
{% if node.config.meta.readers == 'rep' -%}
{%- set rep = node.config.meta.rep_column or 'rep_name' -%}
{#- Twice the same, and both are needed. An equality alone is merged with the reader's own conditions and
    may be asked after them; a subselect in those then runs, or fails, for the rows of others. The array
    is asked before anything that a reader can write; the equality is what an index is searched by. -#}
create policy reps_see_theirs on marts.{{ node.name }} for select to shs_rep
    using (
        {{ rep }} = any(array[(select marts.session_rep())])
        and {{ rep }} = (select marts.session_rep())
    );
{%- elif node.config.meta.readers == 'everyone' -%}
create policy reps_see_theirs on marts.{{ node.name }} for select to shs_rep using (true);
{%- endif %}
{{ comments(node) }}
{%- endmacro %}


{% macro grants(node) -%}
grant usage on schema marts to shs_admin, shs_rep;
revoke all on marts.{{ node.name }} from public, shs_admin, shs_rep;
{% if node.config.meta.readers in ('rep', 'everyone', 'admin') -%}
grant select on marts.{{ node.name }} to shs_admin;
{%- endif %}
{% if node.config.meta.readers in ('rep', 'everyone') -%}
grant select on marts.{{ node.name }} to shs_rep;
{%- endif %}
{%- endmacro %}


{% macro comments(node) -%}
comment on {{ 'view' if node.config.materialized == 'view' else 'table' }} marts.{{ node.name }}
    is '{{ dbt.escape_single_quotes(node.description | trim) }}';
{% for column in node.columns.values() -%}
comment on column marts.{{ node.name }}.{{ column.name }}
    is '{{ dbt.escape_single_quotes(column.description | trim) }}';
{% endfor -%}
{%- endmacro %}


{#- The rep of a session follows from the role that logged in, which no client can change, and from
    the people as they were last published, so that it changes in the same moment as the marts. Only a
    service in `ops.impersonators` is asked which role it has taken on; it may take on reps' roles alone. -#}
{% macro session_rep() -%}
create or replace function marts.session_rep() returns text
language plpgsql stable security definer parallel safe set search_path = pg_catalog, pg_temp
as $$
declare
    acting_role text := session_user;
begin
    if exists (select from ops.impersonators where role_name = session_user) then
        -- 'none' without SET ROLE, and no role can have that name.
        acting_role := current_setting('role');
    end if;
    return (
        select people.rep_name
        from ops.logins as logins
        inner join marts.people as people on people.email = logins.email
        where
            logins.role_name = acting_role
            and logins.state = 'active'
            -- Whose address went to somebody else sees nothing until the roles have followed.
            and ops.match_key(logins.rep_name) = ops.match_key(people.rep_name)
            and people.permission = 'user'
            and people.is_active
    );
end
$$;
revoke all on function marts.session_rep() from public;
grant execute on function marts.session_rep() to shs_admin, shs_rep;
{%- endmacro %}


{#- When the marts were last published, for everybody: what else a publication says is for admins. -#}
{% macro published_at() -%}
create or replace function marts.published_at() returns timestamptz
language sql stable security definer parallel safe set search_path = pg_catalog, pg_temp
as $$ select max(published_at) from marts.publications $$;
revoke all on function marts.published_at() from public;
grant execute on function marts.published_at() to shs_admin, shs_rep;
{%- endmacro %}
