"""The preview's pages as a Starlette application: read-only, and only under this machine's own names."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Generator, Iterator
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any

import jinja2
import psycopg
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Receive, Scope, Send

from shs_pipeline import dashboards
from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.printable import csv_cell
from shs_pipeline.dashboards.model import Card, Dashboard, Value
from shs_pipeline.dashboards.reading import dashboards_for, load_dashboards
from shs_pipeline.database.faults import explained, older_tables
from shs_pipeline.landing.zone import Landing
from shs_pipeline.preview.links import dashboard_named, filter_values
from shs_pipeline.preview.pages import dashboard_content
from shs_pipeline.preview.statements import MEDIA_TYPES, statement_file
from shs_pipeline.preview.tables import SUMS
from shs_pipeline.preview.viewer import Viewer, every_row

ADDRESS = "127.0.0.1"
_LONGEST_QUERY = 4000
_EXPORT_CHUNK = 256 * 1024
_FOLDER = Path(__file__).with_name("templates")
_TEMPLATES = Jinja2Templates(
    env=jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
)
_NOTHING = "default-src 'none'"
_GUARDING = {
    "Content-Security-Policy": _NOTHING,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def application(viewer: Viewer, landing: Landing) -> Starlette:
    """Return the dashboards as one person sees them; `state.viewer` may be replaced while it runs.

    Args:
        landing: where the statements of closed months are handed out.
    """
    app = Starlette(
        routes=[
            Route("/", _first_page),
            Route("/style.css", _style),
            Route("/d/{key}", _dashboard_page),
            Route("/d/{key}/statement.{ending}", _statement),
            Route("/d/{key}/{card}.csv", _export),
        ],
        middleware=[Middleware(_OwnNameOnly)],
        exception_handlers={
            404: _no_such_page,
            ShsError: _failed,
            psycopg.Error: _failed,
            OSError: _failed,
            Exception: _bug,
        },
    )
    app.router.redirect_slashes = False
    app.state.viewer = viewer
    app.state.landing = landing
    app.state.written = None
    return app


class _OwnNameOnly:
    """ASGI middleware that refuses every other name: it may be a stranger's, rebound to this machine.

    Starlette's `TrustedHostMiddleware` does not look at the port.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let the application answer it."""
        port = scope["server"][1]
        hosts = [host.lower() for host in Headers(scope=scope).getlist("host")]
        is_own = hosts in ([f"{ADDRESS}:{port}"], [f"localhost:{port}"])
        refusal = PlainTextResponse("This server has a different name.\n", 400, _GUARDING)
        await (self._app if is_own else refusal)(scope, receive, send)


# --- pages ---------------------------------------------------------------------------------


def _first_page(request: Request) -> Response:
    first = dashboards_for(_viewer(request).audience)[0]
    return RedirectResponse(f"/d/{first.key}", HTTPStatus.FOUND, _GUARDING)


def _style(_: Request) -> Response:
    return FileResponse(_FOLDER / "style.css", headers=_GUARDING)


def _dashboard_page(request: Request) -> Response:
    content = dashboard_content(_viewer(request), _dashboard(request), _typed(request))
    return _page(request, "dashboard.html", **content)


def _export(request: Request) -> Response:
    dashboard = _dashboard(request)
    exportable = {card.key: card for card in dashboard.cards if card.is_exportable}
    card = exportable.get(request.path_params["card"])
    if card is None:
        raise HTTPException(404)
    pieces = _exported(_viewer(request), card, filter_values(dashboard, _typed(request)))
    next(pieces)  # whatever is wrong with the question is said before the answer begins
    if request.method == "HEAD":
        pieces.close()
    return _Download(pieces, f"{card.key}.csv")


def _statement(request: Request) -> Response:
    dashboard, ending = _dashboard(request), request.path_params["ending"]
    if not dashboard.is_statement or ending not in MEDIA_TYPES:
        raise HTTPException(404)
    values = filter_values(dashboard, _typed(request))
    file = statement_file(_viewer(request), request.app.state.landing, values, ending)
    headers = {**_GUARDING, "Content-Disposition": f'attachment; filename="{file.name}"'}
    return Response(file.content, headers=headers, media_type=MEDIA_TYPES[ending])


def _viewer(request: Request) -> Viewer:
    """Return who looks, and see to it that they look at the definitions as these are written now."""
    state = request.app.state
    folder = Path(*dashboards.__path__)
    written = max((file.stat().st_mtime for file in folder.glob("*.yml")), default=0.0)
    if written != state.written:
        load_dashboards.cache_clear()
        state.written = written
    viewer: Viewer = state.viewer
    return viewer


def _dashboard(request: Request) -> Dashboard:
    try:
        return dashboard_named(_viewer(request), request.path_params["key"])
    except KeyError:
        raise HTTPException(404) from None


def _typed(request: Request) -> dict[str, str]:
    if len(request.url.query) > _LONGEST_QUERY:
        raise ShsError("The address is too long.", "Choose the filters on the page.")
    return {name: value for name, value in request.query_params.items() if value}


def _page(request: Request, template: str, status: int = HTTPStatus.OK, **content: Any) -> Response:
    viewer, nonce = _viewer(request), secrets.token_urlsafe(16)
    try:
        menu = dashboards_for(viewer.audience)
    except ShsError:
        menu = ()  # a definition is wrong, which the page itself says
    policy = (
        f"{_NOTHING}; style-src 'self' 'nonce-{nonce}'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    shown = {**content, "viewer": viewer, "menu": menu, "nonce": nonce}
    headers = {**_GUARDING, "Content-Security-Policy": policy}
    return _TEMPLATES.TemplateResponse(request, template, shown, status, headers)


# --- what cannot be shown ------------------------------------------------------------------


def _no_such_page(request: Request, _: Exception) -> Response:
    return _problem(
        request,
        HTTPStatus.NOT_FOUND,
        ShsError("This dashboard does not exist, or you do not have access to it.", "Choose one at the top."),
        "Page not found",
    )


def _failed(request: Request, error: Exception) -> Response:
    """Say what is wrong, unless nobody foresaw it."""
    if isinstance(error, ShsError):
        return _problem(request, HTTPStatus.BAD_REQUEST, error)
    if known := explained(error) or older_tables(error):
        return _problem(request, HTTPStatus.SERVICE_UNAVAILABLE, known)
    raise error


def _bug(request: Request, _: Exception) -> Response:
    said = ShsError(
        "This page could not be created; the details are in the terminal.",
        "Try again; if it happens again, report it.",
    )
    return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, said, "This is a bug in the preview")


def _problem(
    request: Request, status: HTTPStatus, error: ShsError, title: str = "This page cannot be shown"
) -> Response:
    said = {"title": title, "problem": error.problem, "remedy": error.remedy, "dashboard": None}
    return _page(request, "problem.html", status, **said)


# --- exports -------------------------------------------------------------------------------


class _Download(StreamingResponse):
    """A file that is sent while it is made; a reader who leaves ends that too."""

    def __init__(self, pieces: Generator[str], name: str) -> None:
        headers = {**_GUARDING, "Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(pieces, headers=headers, media_type="text/csv")
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pieces.close()


def _exported(viewer: Viewer, card: Card, values: dict[str, Value | None]) -> Generator[str]:
    """Yield nothing once the question is answered, then a card's rows as CSV, out of one transaction."""
    with viewer.reading() as connection:
        rows = every_row(connection, card, values)
        try:
            first = next(rows, None)
        except psycopg.Error as error:
            raise older_tables(error) or ShsError(
                f"The rows cannot be read ({error.diag.message_primary}).",
                "Choose fewer rows with the filters, or try again.",
            ) from None
        yield ""
        yield from csv_of(card, rows if first is None else chain((first,), rows))


def csv_of(card: Card, rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    """Yield the visible columns of a card's rows as CSV, in pieces, without rows that add others up."""
    visible = [place for place, column in enumerate(card.columns.values()) if not column.hidden]
    titles = [column.title for column in card.columns.values() if not column.hidden]
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(titles)
    kind = list(card.columns).index(card.row_kind) if card.row_kind else None
    for row in rows:
        if kind is not None and row[kind] in SUMS:
            continue  # whoever adds a column up would count its rows twice
        writer.writerow([csv_cell(row[place]) for place in visible])
        if buffer.tell() > _EXPORT_CHUNK:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
