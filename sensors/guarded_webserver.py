"""`python -m sensors.guarded_webserver`: `dagster-webserver`, with its options, for its own pages only."""

from __future__ import annotations

from dagster_webserver import app, cli
from starlette.middleware import Middleware

from sensors.web_origin import OwnPagesOnly
from shs_pipeline.settings import load_settings


def main() -> None:
    """Be `dagster-webserver`; docs/adr/0041-dagsters-ui-for-its-own-pages.md says why in this way."""
    hosts = load_settings().dagster_host_names

    class OwnPagesWebserver(app.DagsterWebserver):
        """Dagster's webserver, behind a look at where each request comes from."""

        def build_middleware(self) -> list[Middleware]:
            return [Middleware(OwnPagesOnly, hosts=hosts), *super().build_middleware()]

    app.DagsterWebserver = OwnPagesWebserver  # type: ignore[misc]
    cli.main()


if __name__ == "__main__":
    main()
