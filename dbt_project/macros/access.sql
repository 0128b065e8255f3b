{#- Who reads a mart is part of its definition, `meta.readers`:

    rep    a rep reads the rows of `meta.payee_column`, admins read all;
    everyone    reps and admins read all rows;
    admin  only admins read it;
    owner  nobody else does.

    A relation without grants is readable by its owner only, so what is forgotten stays closed. -#}
{% macro access(node) -%}
{{ grants(node) }}
alter table marts.{{ node.name }} enable row level security;
drop policy if exists admins_see_all on marts.{{ node.name }};
drop policy if exists reps_see_theirs on marts.{{ node.name }};
create policy admins_see_all on marts.{{ node.name }} for select to shs_admin
    using ((select marts.session_is_admin()));
{% if node.config.meta.readers == 'rep' -%}
{%- set payee = node.config.meta.payee_column or 'payee_id' -%}
{#- Three times the same. The planner asks conditions that leak nothing the cheapest first, a reader's as well
    as ours, and of two that cost the same the policy's: so the first one is of a kind that it holds for
    free, a subscript, whatever a session says of costs, and nothing is asked before it. The others are what
    an index is searched by; both together have it expect few rows, as there are. docs/adr/0039 says more. -#}
create policy reps_see_theirs on marts.{{ node.name }} for select to shs_rep
    using (
        (select jsonb_build_object(coalesce(marts.session_payee(), ''), null))[{{ payee }}] is not null
        and {{ payee }} = any(array[(select marts.session_payee())])
        and {{ payee }} = (select marts.session_payee())
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


{#- The payee of a session follows from the role that logged in, which no client can change, and from
    the people as they were last published, so that it changes in the same moment as the marts. Only a
    service in `ops.impersonators` is asked which role it has taken on; it may take on reps' roles alone. -#}
{% macro session_payee() -%}
create or replace function marts.session_payee() returns text
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
        select people.payee_id
        from ops.logins as logins
        inner join marts.people as people on {{ is_persons_login() }}
        where logins.role_name = acting_role and people.permission = 'user'
    );
end
$$;
revoke all on function marts.session_payee() from public;
grant execute on function marts.session_payee() to shs_admin, shs_rep;

-- The name of the same, for people to read.
create or replace function marts.session_rep() returns text
language plpgsql stable security definer parallel safe set search_path = pg_catalog, pg_temp
as $$
begin
    return (select people.rep_name from marts.people where people.payee_id = marts.session_payee());
end
$$;
revoke all on function marts.session_rep() from public;
grant execute on function marts.session_rep() to shs_admin, shs_rep;
{%- endmacro %}


{#- A login of before ids were given is its person's whose address and name it has: whose address went to
    somebody else sees nothing until the roles have followed. -#}
{% macro is_persons_login() -%}
(
            people.payee_id = logins.payee_id
            or (
                logins.payee_id is null
                and people.email = lower(logins.email)
                and ops.match_key(people.rep_name) = ops.match_key(logins.rep_name)
            )
        )
        and logins.state = 'active'
        and people.is_active
        and (people.login_ends_on is null or current_date < people.login_ends_on)
{%- endmacro %}


{#- Whether an admin still is one: a session outlives the day on which its admin goes, a prepared statement
    the group. A member of shs_admin that is no person's login, such as Metabase's, is there by the owner's
    will. The owner sees what a view shows that runs as the owner. -#}
{% macro session_is_admin() -%}
create or replace function marts.session_is_admin() returns boolean
language plpgsql stable security definer parallel safe set search_path = pg_catalog, pg_temp
as $$
begin
    return pg_has_role(session_user, current_user, 'usage')
        or not exists (select from ops.logins where role_name = session_user)
        or exists (
            select from ops.logins as logins
            inner join marts.people as people on {{ is_persons_login() }}
            where logins.role_name = session_user and people.permission = 'admin'
        );
end
$$;
revoke all on function marts.session_is_admin() from public;
grant execute on function marts.session_is_admin() to shs_admin;
{%- endmacro %}


{#- When the marts were last published, for everybody: what else a publication says is for admins. -#}
{% macro published_at() -%}
create or replace function marts.published_at() returns timestamptz
language sql stable security definer parallel safe set search_path = pg_catalog, pg_temp
as $$ select max(published_at) from marts.publications $$;
revoke all on function marts.published_at() from public;
grant execute on function marts.published_at() to shs_admin, shs_rep;
{%- endmacro %}
