"""Commands for the system as a whole: up, down, url, doctor, and the checks of doctor."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shs_pipeline.errors import ShsError
from shs_pipeline.finding import Finding

if TYPE_CHECKING:
    from rich.console import Console

    from shs_pipeline.settings import Settings

PANEL = "The system"
OLDEST_PYTHON = (3, 11)
FIRST_UNTRIED_PYTHON = (3, 14)
LITTLE_ROOM = 2 * 1024**3
NO_ROOM = 256 * 1024**2


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command(rich_help_panel=PANEL)(up)
    app.command(rich_help_panel=PANEL)(down)
    app.command(rich_help_panel=PANEL)(url)
    app.command(rich_help_panel=PANEL)(doctor)


def up() -> None:
    """Run the database, Dagster's UI and daemon, and the dashboards, until Ctrl-C.

    Files that are dropped into the landing zone are picked up within seconds. The dashboards are shown as the
    first admin sees them, to anybody on this machine.

    Example: [bold]shs up[/bold], or a second system beside it: [bold]SHS_HOME=/srv/second shs up[/bold]
    """
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.settings import load_settings
    from shs_pipeline.supervisor import up as run

    console = results()
    run(load_settings(), say=lambda line: say(console, line, is_copied=True))


def down() -> None:
    """Stop a running [bold]shs up[/bold] and the embedded database of this home.

    Example: [bold]shs down[/bold]
    """
    from shs_pipeline.settings import load_settings
    from shs_pipeline.supervisor import down as stop

    stopped = stop(load_settings())
    if stopped.system:
        typer.echo("The system was stopped.")
    if stopped.database:
        typer.echo("The embedded database was stopped.")
    if not (stopped.system or stopped.database):
        typer.echo("Nothing was running.")


def url(
    show: Annotated[
        bool, typer.Option("--show", help="Print the password too; make sure that nobody else reads it.")
    ] = False,
    passfile: Annotated[
        bool, typer.Option("--passfile", help="Keep the password in a private file that the URL names.")
    ] = False,
    dagster: Annotated[
        bool, typer.Option("--dagster", help="The database in which Dagster keeps its state.")
    ] = False,
) -> None:
    """Print the database URL of the owner, for other programs; starts the embedded database if need be.

    The password is left out unless you ask for it: what stands on a command line can be read by
    everybody on the machine. With --passfile, psql and its like read it from a private file.

    Examples: [bold]psql "$(shs url --passfile)"[/bold], [bold]shs url --show[/bold]
    """
    from shs_pipeline.cli.passfile import with_passfile, without_password
    from shs_pipeline.cli.terminal import remarks, say
    from shs_pipeline.database import prepare
    from shs_pipeline.settings import load_settings

    settings = load_settings()
    databases = prepare(settings)
    found = (databases.dagster_url if dagster else databases.warehouse_url).get_secret_value()
    if show or passfile:
        typer.echo(found if show else with_passfile(settings.home, found))
        return
    typer.echo(without_password(found))
    say(
        remarks(),
        "The password is left out. --show prints it; --passfile keeps it in a file for psql.",
        "dim",
    )


def doctor() -> None:
    """Check everything the system needs, and say how to fix what is missing.

    Starts the embedded database if need be. Exit code 1 when a check fails; warnings do not count.

    Example: [bold]shs doctor[/bold]
    """
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    has_failed = False
    for finding in examine():
        _show(console, finding)
        has_failed = has_failed or finding.state == "fail"
    if has_failed:
        raise typer.Exit(1)


def _show(console: Console, finding: Finding) -> None:
    from rich.text import Text

    from shs_pipeline.printable import plain

    style = {"ok": "green", "warn": "yellow", "fail": "bold red"}[finding.state]
    console.print(Text.assemble((f"{finding.state:<5}", style), plain(f"{finding.what}: {finding.found}")))
    if finding.remedy:
        console.print(Text(f"     {plain(finding.remedy)}", style="dim"))


# --- the checks of doctor ----------------------------------------------------------------


def examine() -> Iterator[Finding]:
    """Yield the finding of each check as soon as it is known.

    Without readable settings the checks that need them are left out.
    """
    from shs_pipeline.settings import load_settings

    yield _python()
    try:
        settings = load_settings()
    except ShsError as error:
        yield Finding("fail", "Settings", error.problem, error.remedy)
        return
    yield from _variables()
    checks: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
        ("SHS_HOME", _home),
        ("Free disk", _disk),
        ("Database programs", _programs),
        ("Database user", _account),
        ("Database", _database),
        ("Marts", _marts),
        ("Logins", _logins),
        ("Landing zone", _landing),
        ("Arrivals", _arrivals),
        ("Mail", _mail),
        ("Dagster", _dagster),
        ("Dagster's books", _dagster_books),
        ("Automation", _automation),
    )
    for what, check in checks:
        try:
            yield check(settings)
        except ShsError as error:
            yield Finding("fail", what, error.problem, error.remedy)
    yield from _metabase(settings)


def _metabase(settings: Settings) -> Iterator[Finding]:
    from shs_pipeline.metabase.checkup import checkup

    try:
        yield from checkup(settings)
    except ShsError as error:
        yield Finding("fail", "Metabase", error.problem, error.remedy)


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding("fail", "Python", f"{version} is too old.", "Install Python 3.11, 3.12 or 3.13.")
    if sys.version_info[:2] >= FIRST_UNTRIED_PYTHON:
        return Finding("warn", "Python", f"{version} is untried.", "Use Python 3.11, 3.12 or 3.13.")
    return Finding("ok", "Python", version)


def _variables() -> Iterator[Finding]:
    from shs_pipeline.settings import unknown_variables

    unknown = unknown_variables()
    for name, meant in unknown.items():
        remedy = f"Did you mean {meant}?" if meant else "Remove it; .env.example lists what there is."
        yield Finding("warn", "Settings", f"{name} is not a setting that shs knows.", remedy)
    if not unknown:
        yield Finding("ok", "Settings", "readable")


def _home(settings: Settings) -> Finding:
    import tempfile

    from shs_pipeline.private_files import is_open_to_others, make_private_folder

    try:
        make_private_folder(settings.home)
        with tempfile.TemporaryFile(dir=settings.home):
            pass
    except OSError as error:
        return Finding(
            "fail", "SHS_HOME", f"{settings.home} cannot be written ({error.strerror}).",
            "Set SHS_HOME to a folder that you may write to.",
        )  # fmt: skip
    if is_open_to_others(settings.home):
        mode = "711" if os.geteuid() == 0 else "700"
        return Finding(
            "warn", "SHS_HOME", f"{settings.home} can be read by every user of this machine.",
            f"It holds files of suppliers and logs: chmod {mode} '{settings.home}'.",
        )  # fmt: skip
    return Finding("ok", "SHS_HOME", str(settings.home))


def _disk(settings: Settings) -> Finding:
    import shutil

    from shs_pipeline.settings import project_root

    place = settings.home if settings.home.exists() else project_root()
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GiB"
    if free < LITTLE_ROOM:
        state: Literal["warn", "fail"] = "fail" if free < NO_ROOM else "warn"
        return Finding(state, "Free disk", found, "Make room, or move SHS_HOME to a larger disk.")
    return Finding("ok", "Free disk", found)


def _programs(settings: Settings) -> Finding:
    from shs_pipeline.embedded_postgres import EmbeddedPostgres

    if settings.database_url is not None:
        return Finding("ok", "Database programs", "not needed, SHS_DATABASE_URL is set")
    return Finding("ok", "Database programs", str(EmbeddedPostgres(settings.home, settings.pg_bin).programs))


def _account(settings: Settings) -> Finding:
    from shs_pipeline.embedded_postgres import EmbeddedPostgres

    if settings.database_url is not None:
        return Finding("ok", "Database user", "not needed, SHS_DATABASE_URL is set")
    server = EmbeddedPostgres(settings.home, settings.pg_bin)
    account = server.account
    if account is None:
        return Finding("ok", "Database user", f"the current one ({os.geteuid()})")
    if not server.needs_capability:
        return Finding("ok", "Database user", f"{account.name} (PostgreSQL does not run as root)")
    return Finding(
        "warn", "Database user",
        f"{account.name}, with a capability to walk through folders that are closed to it.",
        "Works; to do without, move the project or SHS_HOME to where every user can enter, such as /srv.",
    )  # fmt: skip


def _database(settings: Settings) -> Finding:
    from shs_pipeline.database import connect, place, prepare

    # A doctor does not wait for minutes.
    patient = settings.model_copy(update={"database_wait_seconds": min(settings.database_wait_seconds, 5)})
    databases = prepare(patient)
    with connect(databases.warehouse_url) as warehouse, connect(databases.dagster_url):
        row = warehouse.execute("show server_version").fetchone()
    version = row[0].split()[0] if row else "?"
    return Finding("ok", "Database", f"PostgreSQL {version}, {place(databases.warehouse_url)}")


def _marts(settings: Settings) -> Finding:
    from shs_pipeline.database import connect, prepare
    from shs_pipeline.marts import standing
    from shs_pipeline.warehouse import has_tables

    with connect(prepare(settings).warehouse_url) as warehouse:
        if not has_tables(warehouse):
            return Finding("ok", "Marts", "nothing is loaded yet, or by another version; shs run builds them")
        found = standing(warehouse, settings.due_day)
    if found.builder:
        return Finding("ok", "Marts", f"being built now ({found.builder})")
    published = f"publication {found.last.publication_id}" if found.last else "none published yet"
    if found.is_broken_off and found.last:
        return Finding(
            "warn", "Marts", f"{published}; a full rebuild was interrupted.",
            "People read that publication. The next shs run rebuilds everything.",
        )  # fmt: skip
    if found.is_due:
        what = "everything" if found.is_full else "what changed"
        remedy = f"shs run rebuilds {what}."
        return Finding("warn", "Marts", f"{published}, behind what is loaded.", remedy)
    return Finding("ok", "Marts", f"{published}, up to date" if found.last else "nothing is loaded yet")


def _logins(settings: Settings) -> Finding:
    from shs_pipeline.access import PENDING, list_access
    from shs_pipeline.database import connect, prepare
    from shs_pipeline.secret_store import secret_store

    with connect(prepare(settings).warehouse_url) as warehouse:
        listed = list_access(warehouse, secret_store(settings), check_passwords=True)
    pending = [f"{access.rep_name} ({access.state})" for access in listed if PENDING in access.state]
    if pending:
        return Finding("warn", "Logins", f"{'; '.join(pending)}.", "shs access sync does what is pending.")
    found = (
        f"{len(listed)} people, as the published workbook says" if listed else "no workbook is published yet"
    )
    return Finding("ok", "Logins", found)


def _landing(settings: Settings) -> Finding:
    from urllib.parse import unquote, urlsplit

    from shs_pipeline.private_files import is_open_to_others

    parts = urlsplit(settings.landing)
    if parts.scheme == "file" and not Path(unquote(parts.path)).exists():
        return Finding(
            "warn", "Landing zone", f"{settings.landing} does not exist yet.",
            "It is made with the first drop; or make the folder yourself.",
        )  # fmt: skip
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        options = {"timeout": "10s", "connect_timeout": "5s"}
        retries = {"max_retries": 1}
        store = (
            from_url(settings.landing)
            if parts.scheme == "file"
            else from_url(settings.landing, client_options=options, retry_config=retries)  # type: ignore[call-overload]
        )
        store.list_with_delimiter()
    except (BaseError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0][:200]
        return Finding(
            "fail", "Landing zone", f"{settings.landing} cannot be listed: {reason}",
            "Check SHS_LANDING, and for s3:// the AWS_* variables, the region and the rights.",
        )  # fmt: skip
    folder = Path(unquote(parts.path))
    if parts.scheme == "file" and is_open_to_others(folder):
        return Finding(
            "warn", "Landing zone", f"{folder} can be read by every user of this machine.",
            f"It holds what people are paid by. Close it to all but its group: chmod o= '{folder}'.",
        )  # fmt: skip
    return Finding("ok", "Landing zone", settings.landing)


def _arrivals(settings: Settings) -> Finding:
    from shs_pipeline.arrivals import ArrivalsQueue

    if not settings.arrivals_queue:
        return Finding("ok", "Arrivals", "found by listing the landing zone")
    waiting = ArrivalsQueue(settings.arrivals_queue, settings.landing).waiting()
    return Finding("ok", "Arrivals", f"{settings.arrivals_queue}, about {waiting} messages wait")


def _mail(settings: Settings) -> Finding:
    from shs_pipeline.notices.mail_server import mail_server

    server = mail_server(settings)
    if server is None:
        return Finding("ok", "Mail", "no mail server is set, so notices are not mailed")
    server.check()
    return Finding("ok", "Mail", f"{settings.smtp_host}:{settings.smtp_port}, from {settings.smtp_sender}")


def _dagster_books(settings: Settings) -> Finding:
    from shs_pipeline.dagster_books import read_dagster_books
    from shs_pipeline.database import connect, prepare

    with connect(prepare(settings).dagster_url) as connection:
        books = read_dagster_books(connection, settings.keep_runs)
    kept = f"runs are kept for {settings.keep_runs} days"
    if books is None:
        return Finding("ok", "Dagster's books", f"nothing is in them yet; {kept}")
    if books.overdue:
        return Finding(
            "warn", "Dagster's books", f"{books.shown}; {books.overdue:,} are older, and {kept}.",
            "The schedule daily_housekeeping removes them at 04:30 UTC: let the system run then, switch it "
            "on in Dagster, or see why its runs fail.",
        )  # fmt: skip
    return Finding("ok", "Dagster's books", f"{books.shown}; {kept}")


def _dagster(settings: Settings) -> Finding:
    import subprocess

    from shs_pipeline.database import dagster_environment, write_dagster_home
    from shs_pipeline.settings import project_root
    from shs_pipeline.supervisor import running_system

    path = project_root() / "dagster.yaml"
    if not path.is_file():
        return Finding("fail", "Dagster", f"there is no {path}.", "Run shs in the project folder.")
    patient = settings.model_copy(update={"database_wait_seconds": 0})
    environment = {**os.environ, **dagster_environment(patient)}
    write_dagster_home(settings, path)
    asked = subprocess.run(
        [sys.executable, "-m", "dagster", "instance", "info"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if asked.returncode != 0:
        reason = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Finding("fail", "Dagster", f"{path} is refused: {reason}", "Restore that file.")
    running = running_system(settings)
    return Finding("ok", "Dagster", f"running at {running.url}" if running else "configured, not running")


def _automation(settings: Settings) -> Finding:
    from shs_pipeline.automation import how_to_start, switched_off, told
    from shs_pipeline.database import prepare
    from shs_pipeline.supervisor import running_system

    patient = settings.model_copy(update={"database_wait_seconds": min(settings.database_wait_seconds, 5)})
    stopped = switched_off(prepare(patient).dagster_url)
    if not stopped:
        return Finding("ok", "Automation", "no sensor or schedule is switched off")
    running = running_system(settings)
    return Finding("warn", "Automation", told(stopped), how_to_start(running.url if running else None))
