"""What each task of ours runs: the commands of docker-compose.yml, and the gate before Dagster's UI."""

from __future__ import annotations

from shs_deploy.config import Config
from shs_deploy.network import CODE_PORT, WEB_PORT

RUN_CONTAINER = "run"
SETUP = "setup"
"""The task that knows the first password of Metabase's administrator; started once, by a person."""

# Dagster's own behind a look at the group of whoever asks: sensors/webserver.py.
_GUARDED_WEBSERVER = "/app/deploy/dagster-webserver"
# As in docker-compose.yml.
COMMANDS = {
    "webserver": ["dagster-webserver", "-h", "0.0.0.0", "-p", str(WEB_PORT)],  # noqa: S104 - in its container
    "code": [
        *("dagster", "code-server", "start", "--host", "0.0.0.0", "--port", str(CODE_PORT)),  # noqa: S104
        *(
            "--module-name",
            "shs_pipeline.definitions",
            "--working-directory",
            "/app",
            "--location-name",
            "shs",
        ),
        "--use-python-environment-entry-point",
    ],
    "daemon": ["dagster-daemon", "run"],
    RUN_CONTAINER: ["shs", "status"],
    SETUP: ["shs", "metabase", "apply"],
}
"""By the name of the task."""


def command_of(name: str, config: Config) -> list[str]:
    """Return the command of a task."""
    program, *words = COMMANDS[name]
    is_guarded = name == "webserver" and config.dagster_group
    return [_GUARDED_WEBSERVER if is_guarded else program, *words]


def gate_of_webserver(config: Config) -> dict[str, str]:
    """Return the variables that name the group that Dagster's UI is for, if there is one."""
    group = config.dagster_group
    return {"DAGSTER_UI_GROUP": group.name, "DAGSTER_UI_GROUP_CLAIM": group.claim} if group else {}
