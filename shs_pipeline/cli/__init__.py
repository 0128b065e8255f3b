"""The command line `shs`: what people and scripts call.

Exit codes: 0 done, 1 a problem that a person can mend, 2 wrong usage, 3 a file is rejected, 70 a
fault of the program (its traceback is in a log file, not on the terminal), 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from shs_pipeline.errors import ShsError

if TYPE_CHECKING:
    from pathlib import Path

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


def build_app() -> typer.Typer:
    """Build the program with the commands of all modules."""
    import typer

    app = typer.Typer(
        name="shs",
        help="Sales Performance Tracker: from suppliers' files to payouts that can be explained.",
        epilog=(
            "Start with: shs demo. If something does not work: shs doctor.\n\n"
            "Exit codes: 0 done, 1 a problem to mend, 2 wrong usage, 3 a file is rejected, 70 a fault "
            "of shs, 130 interrupted."
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
    """Run the command line; no traceback ever reaches the terminal."""
    try:
        build_app()()
    except ShsError as error:
        show_problem(error)
        sys.exit(EXIT_PROBLEM)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; nothing more may be flushed into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_PROBLEM)
    except PermissionError as error:
        show_problem(_not_allowed(error))
        sys.exit(EXIT_PROBLEM)
    except Exception as error:  # noqa: BLE001 - the last resort for what nobody foresaw
        _show_fault(error)
        sys.exit(EXIT_FAULT)


def show_problem(error: ShsError) -> None:
    """Print what is wrong in red and what to do below it, on stderr."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text(error.problem, style="bold red"))
    console.print(Text(error.remedy))


def _not_allowed(error: PermissionError) -> ShsError:
    return ShsError(
        f"The user of this command may not use {error.filename or 'a file it needs'} ({error.strerror}).",
        "Run it as the user that ran it before, or give that file to the user of this command.",
    )


def _show_fault(error: Exception) -> None:
    path = _write_fault(error)
    where = f"the details are in {path}" if path else "and its details cannot be written anywhere"
    show_problem(
        ShsError(
            f"shs met a fault of its own ({type(error).__name__}); {where}.",
            "Try again; if it happens again, report it with that file.",
        )
    )


def _write_fault(error: Exception) -> Path | None:
    """Append the traceback to the log of this home, else to the temporary folder."""
    import tempfile
    import traceback
    from datetime import UTC, datetime
    from pathlib import Path

    text = "".join(traceback.format_exception(error))
    for folder in (_log_folder(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "shs-error.log"
            with path.open("a") as handle:
                handle.write(f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv[:2])}\n{text}\n")
        except OSError:
            continue
        return path
    return None


def _log_folder() -> Path:
    from shs_pipeline.settings import load_settings, project_root

    try:
        return load_settings().home / "logs"
    except ShsError:
        return project_root() / "var" / "logs"
