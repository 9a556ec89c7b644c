"""A real server for an app, in this process: the test moves its clock, and stops and starts it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from helpers import PATIENCE

HOST = "127.0.0.1"


class _Silent(WSGIRequestHandler):
    """A handler that writes no log."""

    # A connection that the browser has opened in advance does not keep its thread for ever.
    timeout = PATIENCE

    def log(self, type: str, message: str, *arguments: object) -> None:  # noqa: A002  # its name there
        """Say nothing."""


class Server:
    """Serves an app on loopback, from `start()` until `stop()`, again and again, always at the same port.

    Attributes:
        app: What it serves from the next `start()` on.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self._port = 0  # as the system chooses
        self.start()

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://{HOST}:{self._port}"

    def start(self) -> None:
        """Begin to answer."""
        self._server: BaseWSGIServer = make_server(
            HOST, self._port, self.app, threaded=True, request_handler=_Silent
        )
        self._port = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections."""
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()
