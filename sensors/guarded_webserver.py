"""`python -m sensors.guarded_webserver`: `dagster-webserver`, for its own pages and people."""

from __future__ import annotations

import os

from dagster_webserver import app, cli
from starlette.middleware import Middleware

from sensors.ui_group import CLAIM, GROUP, GroupOnly
from sensors.web_origin import OwnPagesOnly
from shs_pipeline.settings.settings import load_settings


def main() -> None:
    """Run `dagster-webserver` for its own pages only (ADR 0041), and for one group if one is named (0034)."""
    guards = [Middleware(OwnPagesOnly, hosts=load_settings().dagster_host_names)]
    if group := os.environ.get(GROUP):
        guards.insert(0, Middleware(GroupOnly, group=group, claim=os.environ.get(CLAIM) or "groups"))

    class GuardedWebserver(app.DagsterWebserver):
        """Dagster's webserver, with a check of where each request comes from, and from whom."""

        def build_middleware(self) -> list[Middleware]:
            return [*guards, *super().build_middleware()]

    app.DagsterWebserver = GuardedWebserver  # type: ignore[misc]
    cli.main()


if __name__ == "__main__":
    main()
