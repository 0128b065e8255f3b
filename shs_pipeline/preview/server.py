"""The preview's web server: on loopback only, GET only, and only for pages that it made itself."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg

from shs_pipeline.dashboards.model import Card, dashboards_for, load_dashboards
from shs_pipeline.errors import ShsError
from shs_pipeline.faults import explained, older_tables
from shs_pipeline.preview import pages
from shs_pipeline.preview.links import dashboard_named, filter_values
from shs_pipeline.preview.tables import SUMS
from shs_pipeline.preview.viewer import Viewer, every_row
from shs_pipeline.printable import csv_cell

ADDRESS = "127.0.0.1"
_LONGEST_QUERY = 4000
_EXPORT_CHUNK = 256 * 1024
_log = logging.getLogger(__name__)


class PreviewServer(ThreadingHTTPServer):
    """Serves the dashboards to one person.

    Args:
        port: 0 for any that is free.

    Raises:
        ShsError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, viewer: Viewer, port: int) -> None:
        self.viewer = viewer
        self._written: float | None = None
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise ShsError(
                f"Port {port} of this machine cannot be used ({error.strerror}).",
                "Name another one with --port, or 0 for any that is free.",
            ) from None

    @property
    def url(self) -> str:
        """The address of the first page."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def knows_host(self, host: str | None) -> bool:
        """Whether a request was meant for this server: other names may be somebody's rebound domain."""
        names = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}
        return host is not None and host.lower() in names

    def read_definitions_anew(self) -> None:
        """Forget the definitions when one of their files has changed, for whoever edits them."""
        folder = resources.files("shs_pipeline.dashboards")
        with resources.as_file(folder) as path:
            written = max((file.stat().st_mtime for file in path.glob("*.yml")), default=0.0)
        if written != self._written:
            load_dashboards.cache_clear()
            self._written = written


class _Handler(BaseHTTPRequestHandler):
    server: PreviewServer
    server_version = "shs-preview"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1  # head and body at once: in two pieces, the second waits until the first is confirmed

    def do_GET(self) -> None:
        """Answer with a page."""
        try:
            self._answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the reader has left
        except ShsError as error:
            self._problem(HTTPStatus.BAD_REQUEST, "This cannot be shown", error.problem, error.remedy)
        except Exception as error:  # noqa: BLE001 - the last resort for what nobody foresaw
            if known := explained(error) or older_tables(error):
                self._problem(
                    HTTPStatus.SERVICE_UNAVAILABLE, "This cannot be shown", known.problem, known.remedy
                )
                return
            _log.exception("A page of the preview failed.")
            self._problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "This is a bug in the preview",
                "This page could not be made; the details are in the terminal.",
                "Try again; if it happens again, report it.",
            )

    do_HEAD = do_GET  # noqa: N815 - as the base class calls it

    def _answer(self) -> None:
        if not self.server.knows_host(self.headers.get("Host")):
            self._send(
                HTTPStatus.BAD_REQUEST, "text/plain; charset=utf-8", b"This server has another name.\n"
            )
            return
        parts = urlsplit(self.path)
        if len(self.path) > _LONGEST_QUERY:
            raise ShsError("The address is too long.", "Choose the filters on the page.")
        self.server.read_definitions_anew()
        typed = dict(parse_qsl(parts.query, errors="replace"))
        match parts.path.split("/")[1:]:
            case [""]:
                self._redirect(f"/d/{dashboards_for(self.server.viewer.audience)[0].key}")
            case ["style.css"]:
                self._send(HTTPStatus.OK, "text/css; charset=utf-8", _style())
            case ["d", key]:
                self._dashboard(key, typed)
            case ["d", key, name] if name.endswith(".csv"):
                self._export(key, name.removesuffix(".csv"), typed)
            case _:
                self._not_found()

    def _dashboard(self, key: str, typed: dict[str, str]) -> None:
        try:
            dashboard = dashboard_named(self.server.viewer, key)
        except KeyError:
            self._not_found()
            return
        self._send_page(HTTPStatus.OK, pages.dashboard_page(self.server.viewer, dashboard, typed))

    def _export(self, key: str, card_key: str, typed: dict[str, str]) -> None:
        viewer = self.server.viewer
        try:
            dashboard = dashboard_named(viewer, key)
            card = {card.key: card for card in dashboard.cards if card.is_exportable}[card_key]
        except KeyError:
            self._not_found()
            return
        values = filter_values(dashboard, typed)
        with viewer.reading() as connection:
            rows = every_row(connection, card, values)
            try:
                first = next(rows, None)
            except psycopg.Error as error:
                raise older_tables(error) or ShsError(
                    f"The rows cannot be read ({error.diag.message_primary}).", "Choose fewer, or try again."
                ) from None
            self._start_export(card)
            if self.command == "GET":
                self._send_in_chunks(_csv(card, first, rows))

    def _send_in_chunks(self, texts: Iterator[str]) -> None:
        """Send what has no known length; without the last, empty chunk a reader knows that it was cut."""
        try:
            for content in (text.encode() for text in texts):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
            self.wfile.write(b"0\r\n\r\n")
        except psycopg.Error:
            _log.exception("An export of the preview was cut short.")
            self.close_connection = True

    def _start_export(self, card: Card) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/csv; charset=utf-8")
        self.send_header("Content-Disposition", f'attachment; filename="{card.key}.csv"')
        self._guard("default-src 'none'")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _not_found(self) -> None:
        self._problem(
            HTTPStatus.NOT_FOUND,
            "There is no such page",
            "There is no such dashboard, or it is not for you.",
            "Choose one at the top.",
        )

    def _problem(self, status: HTTPStatus, title: str, problem: str, remedy: str) -> None:
        self._send_page(status, pages.problem_page(self.server.viewer, title, problem, remedy))

    def _send_page(self, status: HTTPStatus, page: pages.Page) -> None:
        policy = (
            f"default-src 'none'; style-src 'self' 'nonce-{page.nonce}'; img-src data:; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        self._send(status, "text/html; charset=utf-8", page.html.encode(), policy)

    def _redirect(self, path: str) -> None:
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", path)
        self.send_header("Content-Length", "0")
        self._guard("default-src 'none'")
        self.end_headers()

    def _send(
        self, status: HTTPStatus, kind: str, content: bytes, policy: str = "default-src 'none'"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self._guard(policy)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _guard(self, policy: str) -> None:
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
        """Keep quiet: addresses hold names of people."""


def _csv(card: Card, first: tuple[Any, ...] | None, rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    visible = [place for place, column in enumerate(card.columns.values()) if not column.hidden]
    titles = [column.title for column in card.columns.values() if not column.hidden]
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(titles)
    kind = list(card.columns).index(card.row_kind) if card.row_kind else None
    for row in chain(() if first is None else (first,), rows):
        if kind is not None and row[kind] in SUMS:
            continue  # whoever adds a column up would count its rows twice
        writer.writerow([csv_cell(row[place]) for place in visible])
        if buffer.tell() > _EXPORT_CHUNK:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


@cache
def _style() -> bytes:
    return (resources.files("shs_pipeline.preview") / "templates" / "style.css").read_bytes()
