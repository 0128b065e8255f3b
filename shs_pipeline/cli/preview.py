"""`shs preview`: the dashboards as web pages on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from shs_pipeline.preview.viewer import Viewer
    from shs_pipeline.settings.settings import Settings

PANEL = "Data"
DEFAULT_PORT = 8642


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(preview)


def preview(
    person: Annotated[
        str | None,
        typer.Option("--as", metavar="PERSON", help="Name or email address; the first admin by default."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 picks a free one.")
    ] = DEFAULT_PORT,
) -> None:
    """Serve the dashboards on this machine, as one person sees them, until Ctrl-C.

    Every query runs as that person's database role and cannot change anything.
    You do not need Metabase.

    Examples: [bold]shs preview[/bold], and as a rep: [bold]shs preview --as "Dana Whitfield"[/bold]
    """
    from shs_pipeline.cli.terminal import results, say
    from shs_pipeline.dashboards.reading import load_dashboards
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.preview.charts import renderer
    from shs_pipeline.preview.server import PreviewServer
    from shs_pipeline.settings.settings import load_settings

    renderer()
    load_dashboards()
    settings = load_settings()
    viewer = _viewer(settings, person)
    server = PreviewServer(viewer, Landing(settings.landing), port)
    console = results()
    say(console, f"Dashboards as {viewer.name} ({viewer.audience}) sees them: {server.url}", "green")
    say(console, "Anyone who can use this machine can open that address. Press Ctrl-C to stop.")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say(console, "The preview has stopped.")


def _viewer(settings: Settings, person: str | None) -> Viewer:
    from shs_pipeline.cli.explain import open_published
    from shs_pipeline.database.connection import connect
    from shs_pipeline.marts.due import last_publication
    from shs_pipeline.marts.explain import nothing_published
    from shs_pipeline.preview.viewer import find_viewer
    from shs_pipeline.settings.secret_store import secret_store

    job = open_published(settings, "preview")
    if job.query(last_publication) is None:
        raise nothing_published()
    with connect(job.database_url, job.wait_seconds) as owner:
        owner.autocommit = True
        return find_viewer(owner, secret_store(settings), job.database_url, person)
