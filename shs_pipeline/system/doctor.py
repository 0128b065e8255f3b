"""The checks of `shs doctor`: everything the system needs, and how to fix what is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.finding import Finding
from shs_pipeline.base.wording import count_of, form_for

if TYPE_CHECKING:
    from shs_pipeline.settings.settings import Settings

OLDEST_PYTHON = (3, 11)
FIRST_UNTRIED_PYTHON = (3, 14)
LITTLE_ROOM = 2 * 1024**3
NO_ROOM = 256 * 1024**2


def examine() -> Iterator[Finding]:
    """Yield the finding of each check as soon as it is known.

    Without readable settings the checks that need them are left out.
    """
    from shs_pipeline.settings.settings import load_settings

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
        ("Statement links", _statement_links),
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
        return Finding("warn", "Python", f"{version} has not been tested.", "Use Python 3.11, 3.12 or 3.13.")
    return Finding("ok", "Python", version)


def _variables() -> Iterator[Finding]:
    from shs_pipeline.settings.settings import unknown_variables

    unknown = unknown_variables()
    for name, meant in unknown.items():
        remedy = f"Did you mean {meant}?" if meant else "Remove it; .env.example lists what there is."
        yield Finding("warn", "Settings", f"{name} is not a setting that shs knows.", remedy)
    if not unknown:
        yield Finding("ok", "Settings", "readable")


def _home(settings: Settings) -> Finding:
    import tempfile

    from shs_pipeline.base.private_files import is_open_to_others, make_private_folder

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
            f"It contains suppliers' files and logs. Run: chmod {mode} '{settings.home}'.",
        )  # fmt: skip
    return Finding("ok", "SHS_HOME", str(settings.home))


def _disk(settings: Settings) -> Finding:
    import shutil

    from shs_pipeline.settings.settings import project_root

    place = settings.home if settings.home.exists() else project_root()
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GiB"
    if free < LITTLE_ROOM:
        state: Literal["warn", "fail"] = "fail" if free < NO_ROOM else "warn"
        return Finding(state, "Free disk", found, "Free some space, or move SHS_HOME to a larger disk.")
    return Finding("ok", "Free disk", found)


def _programs(settings: Settings) -> Finding:
    from shs_pipeline.database.embedded_postgres import EmbeddedPostgres

    if settings.database_url is not None:
        return Finding("ok", "Database programs", "not needed, SHS_DATABASE_URL is set")
    return Finding("ok", "Database programs", str(EmbeddedPostgres(settings.home, settings.pg_bin).programs))


def _account(settings: Settings) -> Finding:
    from shs_pipeline.database.embedded_postgres import EmbeddedPostgres

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
        f"{account.name}, with a capability to pass through folders that are closed to it.",
        "This works. To avoid it, move the project or SHS_HOME to a folder that every user can enter, such "
        "as /srv.",
    )  # fmt: skip


def _database(settings: Settings) -> Finding:
    from shs_pipeline.database.address import place
    from shs_pipeline.database.connection import connect
    from shs_pipeline.database.databases import prepare

    # A doctor does not wait for minutes.
    patient = settings.model_copy(update={"database_wait_seconds": min(settings.database_wait_seconds, 5)})
    databases = prepare(patient)
    with connect(databases.warehouse_url) as warehouse, connect(databases.dagster_url):
        row = warehouse.execute("show server_version").fetchone()
    version = row[0].split()[0] if row else "?"
    return Finding("ok", "Database", f"PostgreSQL {version}, {place(databases.warehouse_url)}")


def _marts(settings: Settings) -> Finding:
    from shs_pipeline.database.connection import connect
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.ingest.warehouse import has_tables
    from shs_pipeline.marts.due import standing
    from shs_pipeline.marts.guard import held_build

    with connect(prepare(settings).warehouse_url) as warehouse:
        if not has_tables(warehouse):
            return Finding(
                "ok", "Marts", "nothing is loaded yet, or another version loaded it; shs run builds them"
            )
        found = standing(warehouse, settings.due_day)
        held = held_build(warehouse)
    if found.builder:
        return Finding("ok", "Marts", f"being built now ({found.builder})")
    published = f"publication {found.last.publication_id}" if found.last else "none published yet"
    if held is not None:
        return Finding("warn", "Marts", f"{published}. {held.problem}", held.remedy)
    if found.is_broken_off and found.last:
        return Finding(
            "warn", "Marts", f"{published}; a full rebuild was interrupted.",
            "People still see that publication. The next shs run rebuilds everything.",
        )  # fmt: skip
    if found.is_due:
        what = "everything" if found.is_full else "what changed"
        remedy = f"shs run rebuilds {what}."
        return Finding("warn", "Marts", f"{published}, behind the loaded data.", remedy)
    return Finding("ok", "Marts", f"{published}, up to date" if found.last else "nothing is loaded yet")


def _logins(settings: Settings) -> Finding:
    from shs_pipeline.database.connection import connect
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.people.listing import PENDING, list_access
    from shs_pipeline.settings.secret_store import secret_store

    with connect(prepare(settings).warehouse_url) as warehouse:
        listed = list_access(warehouse, secret_store(settings), check_passwords=True)
    pending = [f"{access.rep_name} ({access.state})" for access in listed if PENDING in access.state]
    if pending:
        return Finding(
            "warn", "Logins", f"{'; '.join(pending)}.", "Run shs access sync to apply what is pending."
        )
    found = (
        f"{len(listed)} {form_for(len(listed), 'person', 'people')}, matching the published workbook"
        if listed
        else "no workbook is published yet"
    )
    return Finding("ok", "Logins", found)


def _landing(settings: Settings) -> Finding:
    from urllib.parse import unquote, urlsplit

    from shs_pipeline.base.private_files import is_open_to_others

    parts = urlsplit(settings.landing)
    if parts.scheme == "file" and not Path(unquote(parts.path)).exists():
        return Finding(
            "warn", "Landing zone", f"{settings.landing} does not exist yet.",
            "The first drop creates it, or create the folder yourself.",
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
            "Check SHS_LANDING and, for s3://, the AWS_* variables, the region and the permissions.",
        )  # fmt: skip
    folder = Path(unquote(parts.path))
    if parts.scheme == "file" and is_open_to_others(folder):
        return Finding(
            "warn", "Landing zone", f"{folder} can be read by every user of this machine.",
            f"It contains what people's pay is based on. Close it to everyone outside its group: chmod o= "
            f"'{folder}'.",
        )  # fmt: skip
    return Finding("ok", "Landing zone", settings.landing)


def _arrivals(settings: Settings) -> Finding:
    from shs_pipeline.landing.arrivals import ArrivalsQueue

    if not settings.arrivals_queue:
        return Finding("ok", "Arrivals", "found by listing the landing zone")
    waiting = count_of(ArrivalsQueue(settings.arrivals_queue, settings.landing).waiting(), "message")
    return Finding("ok", "Arrivals", f"{settings.arrivals_queue}, about {waiting} waiting")


def _mail(settings: Settings) -> Finding:
    from shs_pipeline.notices.mail_server import mail_server

    server = mail_server(settings)
    if server is None:
        return Finding("ok", "Mail", "no mail server is set, so notices are not mailed")
    server.check()
    return Finding("ok", "Mail", f"{settings.smtp_host}:{settings.smtp_port}, from {settings.smtp_sender}")


def _statement_links(settings: Settings) -> Finding:
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.lifetimes import SHORTEST, in_words

    life = settings.statement_links
    if life is None:
        return Finding("ok", "Statement links", "none are sent")
    is_of_a_session = "X-Amz-Security-Token" in Landing(settings.landing).link("paid/", life)
    if is_of_a_session and life > SHORTEST:
        return Finding(
            "warn", "Statement links", f"They are signed by a role and end with its session, perhaps long "
            f"before {in_words(life)} are over.",
            "Set SHS_STATEMENT_LINKS=1h, or sign with the access key of a user that may read only "
            "statements (docs/notices.md).",
        )  # fmt: skip
    return Finding("ok", "Statement links", f"work for {in_words(life)}")


def _dagster_books(settings: Settings) -> Finding:
    from shs_pipeline.database.connection import connect
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.system.dagster_books import kept_in_words, read_dagster_books

    with connect(prepare(settings).dagster_url) as connection:
        books = read_dagster_books(connection, settings.keep_runs)
    kept = kept_in_words(settings.keep_runs)
    if books is None:
        return Finding("ok", "Dagster's books", f"still empty; {kept}")
    if books.overdue:
        return Finding(
            "warn", "Dagster's books", f"{books.shown}; {books.overdue:,} of them are older, although "
            f"{kept}.",
            "The schedule daily_housekeeping removes them at 04:30 UTC: keep the system running at that "
            "time, switch the schedule on in Dagster, or find out why its runs fail.",
        )  # fmt: skip
    return Finding("ok", "Dagster's books", f"{books.shown}; {kept}")


def _dagster(settings: Settings) -> Finding:
    import subprocess

    from shs_pipeline.settings.settings import project_root
    from shs_pipeline.system.dagster_home import dagster_environment, write_dagster_home
    from shs_pipeline.system.running import running_system

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
        return Finding("fail", "Dagster", f"{path} is not accepted: {reason}", "Restore that file.")
    running = running_system(settings)
    return Finding("ok", "Dagster", f"running at {running.url}" if running else "configured, not running")


def _automation(settings: Settings) -> Finding:
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.system.automation import how_to_start, switched_off, told
    from shs_pipeline.system.running import running_system

    patient = settings.model_copy(update={"database_wait_seconds": min(settings.database_wait_seconds, 5)})
    stopped = switched_off(prepare(patient).dagster_url)
    if not stopped:
        return Finding("ok", "Automation", "no sensor or schedule is switched off")
    running = running_system(settings)
    return Finding("warn", "Automation", told(stopped), how_to_start(running.url if running else None))
