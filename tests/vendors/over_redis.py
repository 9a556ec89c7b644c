"""A loopback server that speaks as much of Redis' protocol as it takes to refuse."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from vendors.cases import DEAD_PORT, STALLS
from vendors.sdks import Ask
from vendors.server import POLL

HANGS_UP = "hang-up"
RESETS = "reset"

#: What the server says to the command that a case is about.
REPLIES = {
    "WRONGPASS": "-WRONGPASS invalid username-password pair or user is disabled.",
    "NOAUTH": "-NOAUTH Authentication required.",
    "NOPERM": "-NOPERM this user has no permissions to run the 'get' command",
    "max number of clients": "-ERR max number of clients reached",
    "LOADING": "-LOADING Redis is loading the dataset in memory",
    "READONLY": "-READONLY You can't write against a read only replica.",
    "OOM": "-OOM command not allowed when used memory > 'maxmemory'.",
    "WRONGTYPE": "-WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR": "-ERR unknown command",
    "an answer that cannot be read": "<html>",
}
CASES = [*REPLIES, HANGS_UP, RESETS, STALLS, DEAD_PORT]


class RedisVendor(socketserver.ThreadingTCPServer):
    """Serves cases by name: the name is the password of a connection."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ends = threading.Event()
        self.lock = threading.Lock()
        self._calls: Counter[str] = Counter()  # guarded by `lock`

    def count(self, name: str) -> None:
        """Count a call."""
        with self.lock:
            self._calls[name] += 1

    def calls(self, name: str) -> int:
        """Return how many commands with that name have arrived."""
        with self.lock:
            return self._calls[name]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that have gone."""


class _Handler(socketserver.StreamRequestHandler):
    server: RedisVendor

    def handle(self) -> None:
        name = ""
        while command := self._command():
            verb, *arguments = command
            if verb in {"HELLO", "AUTH"}:
                name = next((each for each in arguments if each in CASES), name)
            if verb == "GET":
                self.server.count(name)
            is_the_one = verb == ("AUTH" if name == "WRONGPASS" else "GET")
            if not is_the_one:
                # RESP 3 is not spoken here.
                self._say("-NOPROTO unsupported protocol version" if verb == "HELLO" else "+OK")
            elif name in REPLIES:
                self._say(REPLIES[name])
            else:
                self._end(name)
                return

    def _end(self, name: str) -> None:
        if name == STALLS:
            self.server.ends.wait()
        elif name == RESETS:
            self.wfile.write(b"$10\r\nhalf")
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def _command(self) -> list[str]:
        head = self.rfile.readline()
        parts = []
        for _ in range(int(head[1:] or 0)):
            length = int(self.rfile.readline()[1:])
            parts.append(self.rfile.read(length + 2)[:-2].decode())
        return parts


@contextlib.contextmanager
def serving_redis() -> Iterator[tuple[str, RedisVendor]]:
    """Serve until the end of the block; give the address."""
    with RedisVendor() as vendor:
        thread = threading.Thread(target=vendor.serve_forever, kwargs={"poll_interval": POLL})
        thread.start()
        try:
            yield f"127.0.0.1:{vendor.server_address[1]}", vendor
        finally:
            vendor.ends.set()
            vendor.shutdown()
            thread.join()


@contextlib.contextmanager
def open_redis(retries: bool) -> Iterator[Ask]:  # one setting, named at each call's place
    """Get a key."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    settings: dict[str, Any] = {} if retries else {"retry": Retry(NoBackoff(), 0)}

    def ask(address: str, name: str, timeout: float) -> object:
        host, port = address.split(":")
        # RESP 2, so that the password comes in a command of its own.
        timed = {**settings, "socket_timeout": timeout}
        with redis.Redis(host, int(port), password=name, protocol=2, **timed) as client:
            return client.get("key")

    yield ask
