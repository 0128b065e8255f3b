"""`shs exec`: the entry point of every container, whatever runs in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from shs_pipeline.settings.settings import Settings

PANEL = "The system"
LOCATION = "shs"

# They look for workspace.yaml in the current folder, and not all can be told by a variable.
_WEBSERVER, _DAEMON = "dagster-webserver", "dagster-daemon"
_GUARDED_WEBSERVER = "sensors.guarded_webserver"
# The libraries for S3 read the keys from variables only; Docker hands secrets over as files.
_FROM_FILES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# Variables of deploy/dagster.ecs.yaml that may be left out.
_DEFAULTS = {"SHS_MAX_RUNS": "10"}


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command(
        "exec",
        rich_help_panel=PANEL,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )(execute)


def execute(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND…", help="The program to run, with its arguments.")
    ] = None,
) -> None:
    """Run another program with everything set up that Dagster and shs need.

    Waits for the database, creates what is missing in it, writes Dagster's
    instance file (and the workspace for webserver and daemon), and sets the
    variables they refer to. It is the containers' entry point.

    Example: [bold]shs exec -- dagster-webserver -h 0.0.0.0 -p 3000[/bold]
    """
    import logging

    from shs_pipeline.settings.settings import load_settings, project_root
    from shs_pipeline.system.dagster_home import dagster_environment, write_dagster_home

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # The first process of a container ignores SIGTERM unless it says what it does on it.
    signal.signal(signal.SIGTERM, _stop)
    program = _program(command or [])
    if Path(program).name == "shs":
        check_container((command or [])[1:], os.environ)
    read_key_files(os.environ)
    settings = load_settings()
    environment = {**_DEFAULTS, **os.environ, **dagster_environment(settings)}
    home = write_dagster_home(settings, project_root() / "dagster.yaml")
    # The home may be shared with running services: only what reads the workspace writes it.
    if reads_the_workspace(program, command or []):
        write_workspace(settings, home)
        os.chdir(home)
    _become(*guarded(program, command or []), environment)


def guarded(program: str, command: list[str]) -> tuple[str, list[str]]:
    """Return the program and its command line; for Dagster's webserver ours, which looks who asks."""
    if not command or command[0] != "dagster-webserver":
        return program, command
    # Without the current folder in front of where modules are looked for (-P): it is the home.
    return sys.executable, [sys.executable, "-P", "-m", _GUARDED_WEBSERVER, *command[1:]]


def check_container(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Refuse to work in the container of a service that is given neither landing zone nor secrets.

    By their defaults a command would find an empty landing zone there, and make people new passwords.

    Args:
        arguments: of `shs`.
        environ: as the container got it; `shs exec` adds the defaults.

    Raises:
        ShsError: this is such a container.
    """
    is_harmless = not arguments or arguments[0].startswith("-") or arguments[0] == "exec"
    if environ.get("SHS_CODE_SERVER") and not environ.get("SHS_LANDING") and not is_harmless:
        raise ShsError(
            "This container runs Dagster's web pages or queue and has no landing zone.",
            "Run the command in the code container: docker compose exec code shs exec -- shs …",
        )


def read_key_files(environ: MutableMapping[str, str]) -> None:
    """Set the AWS keys from the files that `<NAME>_FILE` name, unless they are set already.

    Raises:
        ShsError: such a file cannot be read.
    """
    for name in _FROM_FILES:
        path = environ.get(f"{name}_FILE")
        if not path or environ.get(name):
            continue
        try:
            environ[name] = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ShsError(
                f"The file {path}, which {name}_FILE names, cannot be read ({reason}).",
                "Create the secrets first (scripts/compose_secrets.sh), or correct the variable.",
            ) from None


def reads_the_workspace(program: str, command: Sequence[str]) -> bool:
    """Whether a program is one of the services that ask `workspace.yaml` where the code is."""
    name = Path(program).name
    return name == _WEBSERVER or (name == _DAEMON and "run" in command[1:])


def write_workspace(settings: Settings, home: Path) -> None:
    """Write where the code location is: at the code server, or in this process's own environment."""
    from shs_pipeline.base.whole_files import write_if_changed
    from shs_pipeline.settings.settings import project_root

    host, _, port = settings.code_server.rpartition(":")
    module = {"module_name": "shs_pipeline.definitions", "working_directory": str(project_root())}
    place: dict[str, object] = (
        {"grpc_server": {"host": host, "port": int(port), "location_name": LOCATION}}
        if settings.code_server
        else {"python_module": {**module, "location_name": LOCATION}}
    )
    # JSON is YAML too.
    write_if_changed(home / "workspace.yaml", json.dumps({"load_from": [place]}))


def _program(command: list[str]) -> str:
    """Return the path of the program, before anything is waited for."""
    if not command:
        raise ShsError(
            "shs exec needs a command.",
            "Name the program and its arguments: shs exec -- shs status. docs/containers.md lists those of "
            "the services.",
        )
    # The environment that shs itself is installed in need not be on PATH.
    found = shutil.which(command[0]) or shutil.which(command[0], path=str(Path(sys.executable).parent))
    if found is None:
        raise ShsError(
            f"The program {command[0]!r} cannot be found.",
            "Check the spelling; the program has to be on PATH.",
        )
    return os.path.abspath(found)


def _become(program: str, command: list[str], environment: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # What is ignored here, the program would ignore too: Python does so with two of these, a shell with
    # the third of what it starts in the background, and Dagster then does the same with SIGTERM.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(program, command, environment)  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise ShsError(
            f"{program} cannot be started ({error.strerror}).", "Check that it is a program for this machine."
        ) from None


def _stop(number: int, frame: object) -> NoReturn:
    del frame
    sys.exit(128 + number)
