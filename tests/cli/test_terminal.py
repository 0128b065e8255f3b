"""What the commands print fits the terminal, and nothing in it is obeyed by it."""

from __future__ import annotations

import csv
import io
import os
import pty
import re
import signal
import stat
import struct
import subprocess
import sys
import termios
from datetime import date
from fcntl import ioctl
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from shs_pipeline.base.printable import csv_cell, plain
from shs_pipeline.cli.csv_output import print_csv
from shs_pipeline.cli.main import EXIT_ENDED, EXIT_INTERRUPTED, EXIT_PROBLEM, problem_of
from shs_pipeline.cli.table import table_of
from shs_pipeline.cli.terminal import say
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.passfile import with_passfile, without_password
from shs_pipeline.samples.tree import write_samples

WIDTHS = (60, 80, 120)
RUN_MAIN = "from shs_pipeline.cli.main import main; main()"
NAMES = ("Dana Whitfield", "Maximiliana Featherstone-Wolverhampton", "Bo")
AMOUNT = "-1,234,567,890.12"


def screen(width: int) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, force_terminal=True, color_system=None, highlight=False), out


def shown(width: int, rows: list[tuple[object, ...]], headings: tuple[str, ...], **options: object) -> str:
    console, out = screen(width)
    table = table_of(*headings, **options)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*row)
    table.show(console)
    return out.getvalue()


# --- tables ------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
def test_no_number_month_or_name_is_broken_and_what_is_left_out_is_said(width: int) -> None:
    months = [f"Paid 2026-{month:02d}" for month in range(1, 11)]
    rows = [(name, *[AMOUNT] * 10, f"{AMOUNT[:-3]}.99") for name in NAMES]

    text = shown(width, rows, ("Rep", *months, "To date"), numbers=(*months, "To date"), least=months)

    assert all(len(line) <= width for line in text.splitlines())
    # Every name with its total, each whole and in one line.
    for name in NAMES:
        assert any(line.startswith(name) and f"{AMOUNT[:-3]}.99" in line for line in text.splitlines())
    left_out = re.findall(
        r"2026-\d\d", " ".join(text.partition("Not shown (terminal too narrow):")[2].split())
    )
    heading = " ".join(text.partition("─")[0].split())
    kept = re.findall(r"2026-\d\d", heading)
    assert left_out + kept == [month[5:] for month in months]
    assert text.count(AMOUNT) == len(kept) * len(NAMES)


@pytest.mark.parametrize("width", WIDTHS)
def test_prose_breaks_between_words_only(width: int) -> None:
    problem = "The total 1,234,567.89 of 2026-10 is not the sum of its 4,321 lines, which is 1,234,000.00."

    text = shown(
        width, [("Report", 12, problem)], ("Sheet", "Row", "What is wrong"), prose=("What is wrong",)
    )

    assert all(len(line) <= width for line in text.splitlines())
    assert set(problem.split()) <= set(text.split())


def test_what_never_fits_is_printed_row_by_row_and_whole() -> None:
    path = f"incoming/cygnus/2026-10/{'report' * 20}2026.xlsx"

    text = shown(60, [(path, AMOUNT)], ("Path", "Sum"))

    assert f"Path: {path}" in text
    assert f"Sum: {AMOUNT}" in text


def test_without_a_terminal_a_row_is_one_line_however_long() -> None:
    out = io.StringIO()
    table = table_of("What", "Sum", prose=("What",), numbers=("Sum",))
    table.add_row("word " * 100, AMOUNT)

    table.show(Console(file=out, width=80))

    assert len(out.getvalue().splitlines()) == 3


@given(
    st.lists(
        st.tuples(st.text(max_size=40), st.decimals(allow_nan=False, allow_infinity=False, places=2)),
        max_size=4,
    ),
    st.integers(40, 120),
)
def test_whatever_a_file_says_amounts_stay_whole(rows: list[tuple[str, object]], width: int) -> None:
    cells = [(name, f"{amount:,}") for name, amount in rows]

    text = shown(width, cells, ("Client", "Sales"), prose=("Client",), numbers=("Sales",), least=("Client",))

    assert [amount for _, amount in cells if amount not in text] == []
    assert "\x1b" not in text


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("is_copied", [True, False])
def test_a_line_break_in_a_name_begins_no_line_of_ours(is_terminal: bool, is_copied: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=is_terminal, color_system=None)

    say(console, "\nThere is no file a\nLoaded 3 files\x1b[2J\r.xlsx.\n", is_copied=is_copied)

    assert out.getvalue() == "\nThere is no file a Loaded 3 files\\x1b[2J\\r.xlsx.\n\n"


@pytest.mark.parametrize(
    ("command", "ending"),
    [
        ("check", ""),
        ("drop", " that is not there"),
        pytest.param("check", " that is not there", marks=pytest.mark.soak),
        pytest.param("drop", "", marks=pytest.mark.soak),
    ],
)
def test_no_path_that_somebody_types_prints_a_line_of_its_own(
    tmp_path: Path, command: str, ending: str
) -> None:
    name = str(tmp_path / "a\nLoaded 3 files\x1b[2J.xlsx")
    Path(name).write_bytes(b"no workbook")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SHS_")}

    done = subprocess.run(
        [sys.executable, "-c", RUN_MAIN, command, name + ending], capture_output=True, text=True, check=False,
        env={**kept, "SHS_HOME": str(tmp_path / "home")},
    )  # fmt: skip

    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "Loaded 3 files" in said
    assert "\x1b" not in said
    assert [line for line in said.splitlines() if line.startswith("Loaded")] == []


# --- what comes from files ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("[red]x[/red]", "[red]x[/red]"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\x9b2Jb", r"a\x9b2Jb"),
        ("a\rb\x07", r"a\rb\x07"),
        ("two\nlines\tand", "two lines and"),
        ("exe\u202excod", r"exe\u202excod"),
        ("\udcff.xlsx", r"\udcff.xlsx"),
        ("Müller 東京", "Müller 東京"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, printed: str) -> None:
    console, out = screen(80)

    say(console, text.replace("\n", " "))
    table = table_of("What")
    table.add_row(text)
    table.show(console)

    assert plain(text) == printed
    assert out.getvalue().splitlines()[0].strip() == printed
    assert out.getvalue().splitlines()[-1].strip() == printed


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+cmd", "'+cmd"),
        ("@sum", "'@sum"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("\u00a0=1", "'\u00a0=1"),
        ("\u2003\u00ad@x", "'\u2003\u00ad@x"),
        ("\n=1", "'\n=1"),
        ("\uff1d1", "'\uff1d1"),
        ("-1,234.50", "-1,234.50"),
        ("-$12", "-$12"),
        ("+12%", "+12%"),
        (-7, "-7"),
        (None, ""),
        ("a=b", "a=b"),
        ("\x1b[2J", r"\x1b[2J"),
    ],
)
def test_a_csv_holds_no_formula_and_numbers_stay_numbers(
    value: object, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_csv(["x"], [[value]])

    assert csv_cell(value) == cell
    assert [*csv.reader(io.StringIO(capsys.readouterr().out, newline=""))][1:] == [[cell]] or cell == ""


def test_a_sentence_breaks_between_words_and_a_path_does_not() -> None:
    console, out = screen(40)

    say(console, f"  Sales of {AMOUNT} in 2026-10 bring the year to {AMOUNT}.")
    say(console, f"At /srv/{'long folder/' * 6}report.xlsx", is_copied=True)

    *sentence, path = out.getvalue().splitlines()
    assert all(line.startswith("  ") and len(line) <= 40 for line in sentence)
    assert "  ".join(sentence).count(AMOUNT) == 2
    assert path.endswith("report.xlsx")


# --- logs ----------------------------------------------------------------------------------

LOGGING = """
import logging, sys
from shs_pipeline.base.printable import log_plainly
log_plainly()
logging.basicConfig(format="%(levelname)s %(message)s")
name = sys.argv[1]
logging.getLogger("anybody").warning("No copy of %s.", name)
try:
    raise ValueError(name)
except ValueError:
    logging.getLogger("shs_pipeline.x").exception("It failed.")
"""


def test_what_a_file_is_called_moves_nothing_in_a_log_and_passes_for_no_line_of_its_own() -> None:
    name = "a\x1b[2J\u202e\x9b31m\rb\nERROR forged.xlsx"

    done = subprocess.run([sys.executable, "-c", LOGGING, name], capture_output=True, check=True)

    said = done.stderr.decode()
    assert not set(said) & set("\x1b\x9b\u202e\r")
    assert said.startswith(
        "WARNING No copy of a\\x1b[2J\\u202e\\x9b31m\\rb\n  ERROR forged.xlsx.\nERROR It failed."
    )


def test_the_commands_and_dagsters_processes_log_plainly() -> None:
    import logging

    from shs_pipeline.definitions import build_defs

    before = logging.getLogRecordFactory()
    try:
        build_defs()
        made = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, "%s", ("\x1b",), None)
        assert made.getMessage() == r"\x1b"
    finally:
        logging.setLogRecordFactory(before)


# --- passwords ---------------------------------------------------------------------------


def test_psql_reads_the_password_from_a_private_file(postgres_home: Path, tmp_path: Path) -> None:
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.settings.settings import Settings

    url = prepare(Settings(home=postgres_home, database_url=None)).warehouse_url.get_secret_value()
    with_passfile(tmp_path, "postgresql://other:p%3Aw@127.0.0.1:1/db")
    with_passfile(tmp_path, url)
    named = with_passfile(tmp_path, url)

    password = url.partition("://")[2].partition("@")[0].partition(":")[2]
    assert password not in named
    assert password not in without_password(url)
    assert stat.S_IMODE((tmp_path / "pgpass").stat().st_mode) == 0o600
    assert len((tmp_path / "pgpass").read_text().splitlines()) == 2
    assert r"127.0.0.1:1:db:other:p\:w" in (tmp_path / "pgpass").read_text()
    with psycopg.connect(named) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


# --- as a program on a terminal ----------------------------------------------------------


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHS_", "COLUMNS"))}
    return {**kept, "SHS_HOME": str(home), "TERM": "xterm"}


def on_terminal(home: Path, *arguments: str, width: int = 80, program: str = RUN_MAIN) -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and all that was on the screen."""
    screen_side, command_side = pty.openpty()
    ioctl(command_side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=command_side, stdout=command_side, stderr=command_side, env=environment(home), close_fds=True,
    )  # fmt: skip
    os.close(command_side)
    seen = b""
    while True:
        try:
            part = os.read(screen_side, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        seen += part
    os.close(screen_side)
    return process.wait(), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).replace("\r", "")


@pytest.mark.soak
def test_on_a_terminal_the_result_is_last_and_logs_are_in_the_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    try:
        write_samples(home / "landing", months=1, lines=4, seed=1, until=date(2026, 10, 1))
        code, seen = on_terminal(home, "run", width=60)
        status_code, status = on_terminal(home, "status", width=60)
    finally:
        EmbeddedPostgres(home).stop()

    assert (code, status_code) == (0, 0)
    lines = [line for line in seen.splitlines() if line.strip()]
    assert re.fullmatch(r"\d+ notices, not mailed: shs notices", lines[-1]), seen
    assert "Notice to" not in seen
    assert "Notice to" in (home / "logs" / "shs.log").read_text()
    grid = status.partition("Commission months")[2].partition("Reference table")[0]
    assert all(len(line) <= 60 for line in grid.splitlines())


def test_status_into_a_closed_pipe_is_silent(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -c '{RUN_MAIN}' status | true"],
        env=environment(tmp_path / "home"), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stderr == ""


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, EXIT_INTERRUPTED, "Interrupted."), (signal.SIGTERM, EXIT_ENDED, "Ended.")],
)
def test_an_ended_command_says_so_in_one_line(tmp_path: Path, number: int, code: int, words: str) -> None:
    waiting = (
        "import time, shs_pipeline.settings.settings as s\n"
        "s.load_settings = lambda: (print('waiting', flush=True), time.sleep(60))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", f"{waiting}\n{RUN_MAIN}", "status"],
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=30)

    assert process.returncode == code
    assert len(said.splitlines()) == 1
    assert said.startswith(words)


@pytest.mark.parametrize(
    "module", ["database.locks", "database.connection", "ingest.ingestion", "system.supervisor"]
)
def test_on_a_terminal_it_is_said_who_is_waited_for_and_nothing_else(tmp_path: Path, module: str) -> None:
    """What makes somebody wait is said to whoever waits; what others warn of is for the log file."""
    warn = (
        f"import logging, pathlib, shs_pipeline.{module}\n"
        "from shs_pipeline.cli.log import log_apart\n"
        f"log_apart(lambda: pathlib.Path({str(tmp_path)!r}))\n"
        f"log = logging.getLogger(shs_pipeline.{module}.__name__)\n"
        "log.warning('Waiting for the marts: another run holds it.')\n"
        "logging.getLogger('shs_pipeline.ingest.settling').warning('No error workbook.')\n"
    )
    code, seen = on_terminal(tmp_path, program=warn)

    assert (code, seen) == (0, "Waiting for the marts: another run holds it.\n")
    logged = (tmp_path / "shs.log").read_text()
    assert "Waiting for the marts" in logged
    assert "No error workbook." in logged


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/srv/x"), "The disk is full: /srv/x"),
        (OSError(30, "Read-only file system", "/srv/x"), "/srv/x is on a read-only disk"),
        (PermissionError(13, "Permission denied", "/srv/x"), "no permission to use /srv/x"),
        (psycopg.errors.DiskFull("could not extend file"), "The disk of the database is full"),
        (psycopg.errors.AdminShutdown("terminating connection"), "The connection to the database was lost"),
        (psycopg.errors.UndefinedColumn('column "x" does not exist'), 'older version of shs (column "x"'),
        (psycopg.errors.UndefinedTable('relation "x" does not exist'), "by an older version of shs"),
    ],
)
def test_what_is_no_bug_is_said_in_a_sentence(error: Exception, words: str) -> None:
    problem = problem_of(error)

    assert problem is not None
    assert words in problem.problem
    assert problem.remedy


def test_a_bug_is_not_explained_away() -> None:
    assert problem_of(ValueError("its own")) is None
    assert problem_of(psycopg.errors.SyntaxError("syntax error")) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("OSError(28, 'No space', '/srv')", "The disk is full: /srv"),
        (
            "psycopg.OperationalError('server closed the connection')",
            "The connection to the database was lost",
        ),
        ("psycopg.errors.UndefinedColumn('no such column')", "The marts were published by an older version"),
    ],
)
def test_a_command_that_is_no_bug_ends_in_a_sentence(tmp_path: Path, error: str, words: str) -> None:
    failing = f"import psycopg\nimport shs_pipeline.settings.settings as s\ndef failing(): raise {error}\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{failing}s.load_settings = failing\n{RUN_MAIN}", "status"],
        env=environment(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == EXIT_PROBLEM
    assert done.stderr.startswith(words)
    assert "Traceback" not in done.stderr


def test_a_refusal_does_not_wait_for_what_it_needs_not(tmp_path: Path) -> None:
    """To tell its exit code, each refused command loaded pandas."""
    told = (
        "import sys\nfrom shs_pipeline.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, {'pandas', 'dbt', 'dagster'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", told, "check", "nowhere.xlsx"],
        env=environment(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "There is no file nowhere.xlsx." in done.stderr
    assert done.stdout == f"{EXIT_PROBLEM} set()\n"
