"""The dashboards as part of the running system: `python -m shs_pipeline.preview PORT`.

Waits until something is published and an admin may log in, then serves what that admin sees. Logins that
change meanwhile are followed, so that a new password needs no restart.
"""

from __future__ import annotations

import logging
import sys
import threading
import time

import psycopg

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.printable import log_plainly
from shs_pipeline.dashboards.reading import load_dashboards
from shs_pipeline.database.connection import connect
from shs_pipeline.database.databases import prepare
from shs_pipeline.landing.zone import Landing
from shs_pipeline.preview.server import PreviewServer
from shs_pipeline.preview.viewer import Viewer, find_viewer
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import Settings, load_settings

WAIT_SECONDS = 3.0
FOLLOW_SECONDS = 60.0

log = logging.getLogger(__name__)


def serve(settings: Settings, port: int) -> None:
    """Serve the dashboards once there is something to show, for as long as the process lives."""
    load_dashboards()
    said = ""
    while isinstance(found := _look(settings), str):
        if found != said:
            said = found
            log.info("Waiting: %s", said)
        time.sleep(WAIT_SECONDS)
    server = PreviewServer(found, Landing(settings.landing), port)
    threading.Thread(target=_follow, args=(settings, server), daemon=True).start()
    log.info("Serving %s as %s sees them.", server.url, found.role)
    server.serve_forever()


def _look(settings: Settings) -> Viewer | str:
    """Return the admin who looks, or why nobody can."""
    try:
        url = prepare(settings).warehouse_url.get_secret_value()
        with connect(url) as owner:
            owner.autocommit = True
            published = owner.execute("select to_regclass('marts.publications')").fetchone()
            if published is None or published[0] is None:
                return "nothing is published yet."
            return find_viewer(owner, secret_store(settings), url, None)
    except ShsError as error:
        return str(error)
    except psycopg.Error as error:
        return f"the database does not answer ({type(error).__name__})."


def _follow(settings: Settings, server: PreviewServer) -> None:
    while True:
        time.sleep(FOLLOW_SECONDS)
        found = _look(settings)
        # While nothing can be known the old login goes on: its pages say what is wrong.
        if isinstance(found, Viewer) and found != server.app.state.viewer:
            server.app.state.viewer = found


def main() -> None:
    """Serve at the port that is named, and log to standard error."""
    log_plainly()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        serve(load_settings(), int(sys.argv[1]))
    except ShsError as error:
        log.error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
