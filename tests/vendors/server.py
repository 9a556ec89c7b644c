"""A loopback server that does what it is told to, in HTTP and below it."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import attrs

#: Seconds between two looks at whether the server is to end.
POLL = 0.01

Conduct = Literal["answer", "stall", "hang up", "reset", "cut off"]


@attrs.frozen
class Reply:
    """What the server does with a request.

    Attributes:
        status: The status of the answer.
        body: Its content: JSON, or bytes to be sent as they are.
        headers: What is sent beside the length and the type.
        conduct: "stall" keeps the request without an answer until the server ends; "hang up" closes the
            connection without one; "reset" resets it after half of the answer; "cut off" closes it there.
    """

    status: int = 200
    body: Any = attrs.field(factory=lambda: {"error": {"type": "trouble", "message": "slow down"}})
    headers: Mapping[str, str] = attrs.field(factory=dict)
    conduct: Conduct = "answer"

    def content(self) -> bytes:
        """Return the body as it is sent."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Vendor(ThreadingHTTPServer):
    """Serves replies by name: a request gets the one whose name is a part of its path."""

    daemon_threads = True

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.ends = threading.Event()
        self._replies = replies
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()  # guarded by `_lock`

    def reply_to(self, path: str) -> Reply:
        """Return what to do with a request, and count it."""
        parts = [unquote(part) for part in urlsplit(path).path.split("/")]
        name = next((part for part in parts if part in self._replies), "")
        with self._lock:
            self._calls[name] += 1
        return self._replies.get(name, Reply(404, {"error": {"message": f"nothing is planned for {path}"}}))

    def calls(self, name: str) -> int:
        """Return how many requests with that name have arrived."""
        with self._lock:
            return self._calls[name]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that have gone."""


class _Handler(BaseHTTPRequestHandler):
    server: Vendor

    def answer(self) -> None:
        """Do what is planned."""
        self.rfile.read(int(self.headers["content-length"] or 0))
        reply = self.server.reply_to(self.path)
        self.close_connection = True
        if reply.conduct == "stall":
            self.server.ends.wait()
        if reply.conduct in {"stall", "hang up"}:
            return
        content = reply.content()
        self.send_response(reply.status)
        for name, value in {"content-type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if reply.conduct == "answer":
            self.wfile.write(content)
            return
        self.wfile.write(content[: len(content) // 2])
        if reply.conduct == "reset":
            # To close a connection that lingers for 0 seconds is to reset it.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    do_POST = do_PUT = answer  # noqa: N815  # the names are given

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is given
        """Say nothing."""


@contextlib.contextmanager
def serving(replies: Mapping[str, Reply]) -> Iterator[Vendor]:
    """Serve until the end of the block; then nothing of it is left."""
    with Vendor(replies) as vendor:
        thread = threading.Thread(target=vendor.serve_forever, kwargs={"poll_interval": POLL})
        thread.start()
        try:
            yield vendor
        finally:
            vendor.ends.set()
            vendor.shutdown()
            thread.join()


def dead_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        port: int = gone.getsockname()[1]
    return port
