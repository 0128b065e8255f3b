"""Only a database's owner may define objects in it: everybody else is refused before a lock is taken.

`create rule` asks for a table's strongest lock first and for rights afterwards. Whoever waits for that
lock, behind a transaction of their own that has read the table, keeps everybody else waiting behind it: the
readers of a mart, or with a table of the catalog whoever logs in. No right and no limit of a session
prevents that; an event trigger does, since it runs before the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

if TYPE_CHECKING:
    import psycopg

# The same stands in docs/access.md and deploy/compose/warehouse.sql.
GUARD: LiteralString = """\
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
"""

# For a select list.
IS_GUARDED: LiteralString = (
    "exists (select from pg_event_trigger where evtname = 'only_the_owner_defines' and evtenabled = 'A')"
)


def guard_definitions(admin: psycopg.Connection) -> None:
    """Let only the owner define things in the database of this connection, which is a superuser's."""
    admin.execute(GUARD)
