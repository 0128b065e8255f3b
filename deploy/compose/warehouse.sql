-- The warehouse of docker-compose.yml, run once by the image of PostgreSQL on an empty volume: an owner
-- without a superuser's rights, its two databases, nothing for anybody else.
\set password `cat /run/secrets/database_password`
create role shs_owner with
    login nosuperuser createrole createdb noreplication nobypassrls
    password :'password';

-- What is closed in the template is closed in every database that is made from it.
\connect template1
-- By default everybody may call these: they hold up loads or fill the disk. docs/access.md says more.
do $$
declare
    called regprocedure;
begin
    for called in
        select oid from pg_proc
        where
            pronamespace = 'pg_catalog'::regnamespace
            and (
                proname ~ '^pg_(try_)?advisory_'
                or proname in (
                    'lo_creat', 'lo_create', 'lo_from_bytea', 'pg_logical_emit_message',
                    'pg_notify', 'pg_export_snapshot'
                )
            )
    loop
        execute format('revoke execute on function %s from public', called);
        execute format('grant execute on function %s to shs_owner', called);
    end loop;
end $$;
revoke all on schema public from public;
grant all on schema public to shs_owner;
-- Some commands wait for the strongest lock of a table, the catalog's too, before they ask for rights.
create or replace function public.only_the_owner_defines() returns event_trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    if not pg_has_role((select datdba from pg_database where datname = current_database()), 'usage') then
        raise insufficient_privilege
            using message = format('permission denied: only the owner of this database may %s', tg_tag);
    end if;
end
$$;
revoke all on function public.only_the_owner_defines() from public;
drop event trigger if exists only_the_owner_defines;
create event trigger only_the_owner_defines on ddl_command_start
    execute function public.only_the_owner_defines();
alter event trigger only_the_owner_defines enable always;

\connect postgres
-- No query of a login fills the disk with temporary files; the owner's builds have no limit.
alter system set temp_file_limit = '512MB';
-- Whoever reaches the port takes up a connection before a password is asked, so there are many, for a short
-- time; and some are the owner's in any case. Both counts hold from the next start on, which the image makes
-- behind this script.
alter system set max_connections = 300;
alter system set reserved_connections = 20;
alter system set authentication_timeout = '10s';
select pg_reload_conf();
alter role shs_owner set temp_file_limit = -1;
grant pg_use_reserved_connections to shs_owner;
-- What a login does wrong it is told; in the log such an error would be as long as the login likes.
alter system set log_min_error_statement = 'panic';
alter role all set log_min_messages = 'panic';
alter role shs_owner set log_min_messages = 'warning';
create database shs owner shs_owner;
create database shs_dagster owner shs_owner;
revoke all on database shs, shs_dagster from public;
revoke connect on database postgres, template1 from public;
