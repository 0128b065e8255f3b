"""`shs access`: who may log in to the database, and with what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.people.changes import LoginChange
    from shs_pipeline.people.listing import Access
    from shs_pipeline.settings.secret_store import SecretStore

PANEL = "Data"
_PATIENCE_SECONDS = 30
_NOBODY = "No sales_reps workbook is published yet: shs drop FILE --source sales_reps, then shs run."
PersonArgument = Annotated[
    str, typer.Argument(metavar="PERSON", help="Name as in the sales_reps workbook, or an email address.")
]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the program."""
    group = typer.Typer(rich_markup_mode="rich")
    group.command("sync")(sync)
    group.command("url")(url)
    group.command("reset")(reset)

    @group.callback(invoke_without_command=True)
    def _access(context: typer.Context) -> None:
        """List who may log in to the database, according to the sales_reps workbook.

        Examples: [bold]shs access[/bold], [bold]shs access sync[/bold],
        [bold]shs access reset "Dana Whitfield"[/bold]
        """
        if context.invoked_subcommand is None:
            show()

    app.add_typer(group, name="access", rich_help_panel=PANEL)


def show() -> None:
    """Print one row per person."""
    from shs_pipeline.cli.table import table_of
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.people.listing import list_access

    with _opened("access") as (connection, secrets, _):
        listed = list_access(connection, secrets, check_passwords=True)
    console = results()
    if not listed:
        say(console, _NOBODY)
        return
    headings = ("Person", "E-mail", "Permission", "Role", "State")
    table = table_of(*headings, prose=("Person", "State"), least=("Role", "E-mail"))
    for access in listed:
        table.add_row(access.rep_name, access.email, access.permission, access.role_name, access.state)
    table.show(console)
    if any(_is_open_end(access) for access in listed):
        say(console, "Run shs access sync to apply what is pending.", "yellow")


def sync() -> None:
    """Bring the login roles in line with the published sales_reps workbook, as every build does.

    A password that someone changed in the database is reset to the stored one.

    Example: [bold]shs access sync[/bold]
    """
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.people.access import sync_logins
    from shs_pipeline.people.listing import list_access

    with _opened("access sync") as (connection, secrets, _):
        changes = sync_logins(connection, secrets, check_passwords=True)
        is_anybody = bool(changes or list_access(connection, secrets))
    if changes:
        _show_changes(changes)
    elif not is_anybody:
        say(results(), _NOBODY)
    else:
        say(results(), "All logins match the workbook.", "green")


def url(
    person: PersonArgument,
    show_password: Annotated[
        bool, typer.Option("--show", help="Print the password too. Make sure nobody else can read it.")
    ] = False,
    passfile: Annotated[
        bool, typer.Option("--passfile", help="Put the password in a private file that the URL points to.")
    ] = False,
) -> None:
    """Print a person's database URL with their password. Do not paste it where others can read it.

    Examples: [bold]shs access url "Dana Whitfield" --show[/bold], or without showing the
    password to others on the machine:
    [bold]psql "$(shs access url 'Dana Whitfield' --passfile)"[/bold]
    """
    from shs_pipeline.database.passfile import with_passfile
    from shs_pipeline.people.logins import find_login
    from shs_pipeline.people.passwords import login_url
    from shs_pipeline.settings.settings import load_settings

    with _opened("access url") as (connection, secrets, database_url):
        login = find_login(connection, person)
        if not (show_password or passfile):
            raise ShsError(
                f"The URL of {login.rep_name} (role {login.role_name}) contains a password, so it is not "
                "printed.",
                "Add --show if nobody else can see the output, or --passfile for psql.",
            )
        secret = secrets.get(login.secret_name) if login.secret_name else None
    if secret is None:
        raise ShsError(
            f"The password of {login.rep_name} is not in the store that SHS_SECRETS names.",
            "Correct SHS_SECRETS, or create a new password with shs access sync.",
        )
    found = login_url(database_url, login.role_name, secret)
    typer.echo(found if show_password else with_passfile(load_settings().home, found))


def reset(person: PersonArgument) -> None:
    """Give a person a new password and end their open sessions, for example after a leak.

    Example: [bold]shs access reset "Dana Whitfield"[/bold]
    """
    from shs_pipeline.people.access import reset_password

    with _opened("access reset") as (connection, secrets, _):
        change = reset_password(connection, secrets, person)
    _show_changes([change])


def _is_open_end(access: Access) -> bool:
    from shs_pipeline.people.listing import PENDING

    return PENDING in access.state


def _show_changes(changes: Sequence[LoginChange]) -> None:
    from shs_pipeline.cli.terminal import results, say

    console = results()
    for change in changes:
        say(console, change.detail)


@contextmanager
def _opened(command: str) -> Iterator[tuple[psycopg.Connection, SecretStore, str]]:
    """Yield an owner's connection with all tables made, the store, and the owner's URL."""
    from shs_pipeline.database.connection import connect
    from shs_pipeline.ingest.job import open_job
    from shs_pipeline.ingest.warehouse import ensure_tables, has_tables
    from shs_pipeline.settings.secret_store import secret_store
    from shs_pipeline.settings.settings import load_settings

    settings = load_settings()
    job = open_job(settings, command, _PATIENCE_SECONDS)
    with connect(job.database_url, job.wait_seconds) as connection:
        connection.autocommit = True
        if not has_tables(connection):
            ensure_tables(connection)
        yield connection, secret_store(settings), job.database_url
