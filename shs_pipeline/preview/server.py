"""The preview's web server: uvicorn, on loopback only."""

from __future__ import annotations

import socket
import threading

import uvicorn

from shs_pipeline.base.errors import ShsError
from shs_pipeline.landing.zone import Landing
from shs_pipeline.preview.app import ADDRESS, application
from shs_pipeline.preview.viewer import Viewer


class PreviewServer:
    """Serves the dashboards to one person.

    Args:
        landing: where the statements of closed months are handed out.
        port: 0 for any that is free.

    Attributes:
        app: the pages; `app.state.viewer` is who looks.

    Raises:
        ShsError: the port is taken.
    """

    def __init__(self, viewer: Viewer, landing: Landing, port: int) -> None:
        self.app = application(viewer, landing)
        try:
            self._socket = socket.create_server((ADDRESS, port))
        except OSError as error:
            raise ShsError(
                f"Port {port} of this machine cannot be used ({error.strerror}).",
                "Name another one with --port, or use --port 0 for a free one.",
            ) from None
        config = uvicorn.Config(
            self.app,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,  # addresses hold names of people
            server_header=False,
            proxy_headers=False,
        )
        self._server = uvicorn.Server(config)

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The address of the first page."""
        return f"http://{ADDRESS}:{self.port}/"

    def serve_forever(self) -> None:
        """Answer until the process is told to end."""
        # A thread of its own has no signals: they end the process at once, whatever query still runs.
        serving = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        serving.start()
        serving.join()

    def stop(self) -> None:
        """Answer no more, for whoever serves in a thread."""
        self._server.should_exit = True
