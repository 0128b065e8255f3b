"""The command line `shs`: what people and scripts call.

Exit codes: 0 success, 1 a problem that a person can fix, 2 wrong usage, 3 a file was rejected, 4 a build
is held, 70 a bug in the program (its traceback goes to a log file, not the terminal), 130 interrupted, 143
stopped by SIGTERM.
"""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import signal
import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    import typer

# Each has `register(app)`. They import what they do inside their commands, so that help is quick.
COMMAND_MODULES = (
    "shs_pipeline.cli.samples",
    "shs_pipeline.cli.system",
    "shs_pipeline.cli.exec",
    "shs_pipeline.cli.run",
    "shs_pipeline.cli.status",
    "shs_pipeline.cli.drop",
    "shs_pipeline.cli.check",
    "shs_pipeline.cli.errors",
    "shs_pipeline.cli.reference",
    "shs_pipeline.cli.explain",
    "shs_pipeline.cli.diff",
    "shs_pipeline.cli.close",
    "shs_pipeline.cli.payroll",
    "shs_pipeline.cli.adjust",
    "shs_pipeline.cli.access",
    "shs_pipeline.cli.backup",
    "shs_pipeline.cli.notices",
    "shs_pipeline.cli.preview",
    "shs_pipeline.cli.metabase",
    "shs_pipeline.cli.scaffold",
)

EXIT_PROBLEM = 1
EXIT_FAULT = 70
EXIT_INTERRUPTED = 130
EXIT_ENDED = 143


@cache
def build_app() -> typer.Typer:
    """Build the program with the commands of all modules."""
    import typer

    app = typer.Typer(
        name="shs",
        help="Sales Performance Tracker: from suppliers' files to payouts you can explain.",
        epilog=(
            "Start with shs demo. If something does not work, run shs doctor.\n\n"
            "Exit codes: 0 success, 1 a problem to fix, 2 wrong usage, 3 a file was rejected, 4 a build is "
            "held, 70 a bug in shs, 130 interrupted, 143 stopped by a signal."
        ),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )

    @app.callback(invoke_without_command=True)
    def _options(
        version: bool = typer.Option(False, "--version", help="Show the version and exit."),
    ) -> None:
        if version:
            from shs_pipeline import __version__

            typer.echo(f"shs {__version__}")
            raise typer.Exit

    for name in COMMAND_MODULES:
        importlib.import_module(name).register(app)
    return app


def main() -> None:
    """Run the command line without ever showing a traceback on the terminal."""
    from shs_pipeline.base.printable import log_plainly
    from shs_pipeline.base.private_files import write_privately
    from shs_pipeline.cli.exec import check_container
    from shs_pipeline.cli.log import log_apart

    signal.signal(signal.SIGTERM, _stop)
    # Most commands end soon: looking often for what nothing refers to any more took a twelfth of their time.
    gc.set_threshold(100_000, 50, 100)
    for stream in (sys.stdout, sys.stderr):
        # A name that is no UTF-8, or a terminal that cannot show a letter, ends no command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    write_privately()
    log_plainly()
    log_apart(_log_folder)
    try:
        check_container(sys.argv[1:], os.environ)
        build_app()()
    except SystemExit as end:
        # Typer makes this code of Ctrl-C, and 1 of a pipe that nobody reads any more.
        _flush_quietly()
        sys.exit(_interrupted() if end.code == EXIT_INTERRUPTED else end.code)
    except BaseException as error:  # noqa: BLE001 - the last resort for what nobody foresaw
        sys.exit(_told(error))


def _told(error: BaseException) -> int:
    """Report in one sentence what ended the command; return its exit code."""
    if isinstance(error, KeyboardInterrupt):
        return _interrupted()
    if isinstance(error, BrokenPipeError):
        _flush_quietly()
        return EXIT_PROBLEM
    problem = problem_of(error)
    if problem is not None:
        show_problem(problem)
        return _code_of(problem)
    _show_fault(error)
    return EXIT_FAULT


def _code_of(problem: ShsError) -> int:
    from shs_pipeline.cli.terminal import EXIT_HELD

    return EXIT_HELD if problem.is_held_build else EXIT_PROBLEM


_signals: list[int] = []


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """End on SIGTERM as on Ctrl-C, so that whatever cleans up behind one does behind the other."""
    del frame
    _signals.append(number)
    raise KeyboardInterrupt


def _interrupted() -> int:
    """Say that the command was ended, and return its exit code."""
    # A second Ctrl-C would only cut this line in two.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    is_ended = signal.SIGTERM in _signals
    words = "Ended." if is_ended else "Interrupted."
    with suppress(OSError):
        sys.stderr.write(f"{words} What was finished is kept; run the same command again to continue.\n")
        sys.stderr.flush()
    return EXIT_ENDED if is_ended else EXIT_INTERRUPTED


def _flush_quietly() -> None:
    """Write out what is left; where the reader (head, less) has seen enough, nothing more."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def problem_of(error: BaseException) -> ShsError | None:
    """Return what a person can do about an error; None for a bug."""
    from shs_pipeline.database.faults import explained, older_tables

    if isinstance(error, ShsError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM):
        where = os.fsdecode(error.filename) if error.filename else "a file it needs"
        return ShsError(
            f"You have no permission to use {where} ({error.strerror}).",
            "Run the command as the user who ran it before, or give yourself access to that file.",
        )
    return explained(error) or older_tables(error)


def show_problem(error: ShsError) -> None:
    """Print what is wrong in red and what to do below it, on stderr."""
    from shs_pipeline.cli.terminal import remarks, say

    say(remarks(), error.problem, "bold red")
    say(remarks(), error.remedy)


def _show_fault(error: BaseException) -> None:
    path = _write_fault(error)
    where = f"the details are in {path}" if path else "and its details could not be saved anywhere"
    show_problem(
        ShsError(
            f"This is a bug in shs ({type(error).__name__}); {where}.",
            "Try again. If it happens again, report it and attach that file.",
        )
    )


def _write_fault(error: BaseException) -> Path | None:
    """Append the traceback to the log of this home, else to the temporary folder."""
    import tempfile
    import traceback
    from datetime import UTC, datetime
    from pathlib import Path

    from shs_pipeline.base.printable import plain
    from shs_pipeline.base.private_files import make_private_folder

    text = plain("".join(traceback.format_exception(error)), keep="\n\t")
    for folder in (_log_folder(), Path(tempfile.gettempdir())):
        try:
            make_private_folder(folder)
            path = folder / "shs-error.log"
            with path.open("a") as handle:
                handle.write(f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv[:2])}\n{text}\n")
        except OSError:
            continue
        return path
    return None


def _log_folder() -> Path:
    from shs_pipeline.settings.settings import load_settings, project_root

    try:
        return load_settings().home / "logs"
    except ShsError:
        return project_root() / "var" / "logs"
