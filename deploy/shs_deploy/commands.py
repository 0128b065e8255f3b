"""What each of our tasks runs: the commands of docker-compose.yml, and the gate before Dagster's UI."""

from __future__ import annotations

from shs_deploy.config import Config
from shs_deploy.network import CODE_PORT, WEB_PORT

RUN_CONTAINER = "run"
SETUP = "setup"
"""The task that knows the first password of Metabase's administrator; started once, by a person."""

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


def gate_of_webserver(config: Config) -> dict[str, str]:
    """Return the variables that name the host of Dagster's UI and the group that it is for, if any."""
    # It answers to no other name; sessions reach it as localhost.
    host, group = config.dagster_host, config.dagster_group
    named = {"SHS_DAGSTER_HOSTS": host} if host else {}
    grouped = {"DAGSTER_UI_GROUP": group.name, "DAGSTER_UI_GROUP_CLAIM": group.claim} if group else {}
    return {**named, **grouped}
