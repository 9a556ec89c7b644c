"""The vendors of the demo: real HTTP servers on loopback that do what their behaviour decides."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import socket
import socketserver
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from fallback_exec.demo.behaviour import Behaviour, Reply

#: The address of all vendors: nothing leaves the machine.
HOST = "127.0.0.1"
_LOOK_INTERVAL = 0.03  # seconds until an idle server looks whether it is to go down or to close
_PATIENCE = 10.0  # seconds that a server waits for the rest of a request
# Linger for no time at all: closing the socket then sends RST instead of FIN (socket(7), SO_LINGER).
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Vendor:
    """One vendor: a server on loopback, up while the `with` block lasts, save for its outages.

    While it is down, its port refuses connections; afterwards it listens on the same port again. Safe to
    share between threads.

    Args:
        name: The provider's name.
        behaviour: What decides about each request.

    Attributes:
        name: The provider's name.
        port: The TCP port on 127.0.0.1; 0 before the block is entered.
    """

    def __init__(self, name: str, behaviour: Behaviour) -> None:
        self.name = name
        self.port = 0
        self._behaviour = behaviour
        self._down_until = 0.0  # seconds of time.monotonic(); written by handlers, read by the serving thread
        self._hurried = threading.Event()
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        # Bound but never listening, this socket keeps the port ours during an outage. A port that nobody
        # holds may be given to any outgoing connection, and then the vendor could not come back on it.
        self._reservation = _reserve_port()
        self.port = self._reservation.getsockname()[1]
        self._thread = threading.Thread(target=self._live, args=(_Server(self),), name=f"vendor {self.name}")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hurry()
        self._closing.set()
        self._thread.join()
        self._reservation.close()

    def hurry(self) -> None:
        """Make the vendor reply without its delays from now on, to requests in hand too."""
        self._hurried.set()

    def reply(self) -> Reply:
        """Decide about one request, and return when it is time to act on that."""
        reply = self._behaviour.decide()
        self._hurried.wait(reply.delay)
        if reply.outage:
            self._down_until = time.monotonic() + reply.outage
        return reply

    def _live(self, server: _Server) -> None:
        while True:
            # Leaving the block closes the listening socket first, then waits for the requests in hand.
            with server:
                while self._seconds_down() <= 0 and not self._closing.is_set():
                    server.handle_request()
            if self._closing.wait(self._seconds_down()):
                return
            server = _Server(self)

    def _seconds_down(self) -> float:
        return self._down_until - time.monotonic()


class _Server(ThreadingHTTPServer):
    allow_reuse_port = True
    daemon_threads = False  # closing then waits for them, and leaves no connection behind
    request_queue_size = 1024  # connections; a burst of callers must not be refused by a full queue
    timeout = _LOOK_INTERVAL

    def __init__(self, vendor: Vendor) -> None:
        super().__init__((HOST, vendor.port), functools.partial(_Handler, vendor))

    def server_bind(self) -> None:
        # HTTPServer would ask the resolver for the host's name, which may leave the machine and take seconds.
        socketserver.TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE

    def __init__(self, vendor: Vendor, *args: Any) -> None:
        self._vendor = vendor
        super().__init__(*args)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a caller that hangs up is no fault of the server's
            super().handle()

    def do_POST(self) -> None:
        # Read to the end: closing with bytes unread would reset the connection, and the answer might be lost.
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = self._vendor.reply()
        if reply.status is None:
            self._reset_connection()
        else:
            self._answer(reply.status, reply.retry_after)

    def _reset_connection(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.rfile.close()  # it holds the socket open
        self.connection.close()

    def _answer(self, status: int, retry_after: float) -> None:
        body = json.dumps({"vendor": self._vendor.name, "status": status}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if retry_after > 0:
            # HTTP knows whole seconds only. The difference of two floats may be just above one.
            self.send_header("Retry-After", str(max(1, math.ceil(round(retry_after, 6)))))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server calls it so
        """Say nothing: the terminal belongs to the progress line."""


def _reserve_port() -> socket.socket:
    reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # BSD and macOS let a second socket bind the address only with this one; Windows has no such option.
    reservation.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR), 1)
    reservation.bind((HOST, 0))
    return reservation
