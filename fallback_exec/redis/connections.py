"""Connections that bound a whole exchange, from connecting to the last answer, by one limit.

redis-py's own take their limits for each step: for each address, for each command of the handshake, for each
piece of an answer.
"""

from __future__ import annotations

import codecs
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import redis

if TYPE_CHECKING:
    from redis.connection import AbstractConnection

    _Base = AbstractConnection
else:
    _Base = object

# To look an address up, Python needs this codec and imports it at the first use. A child that is forked while
# a thread does so would wait for that import for ever: test_what_looks_up_addresses_is_imported_at_once.
codecs.lookup("idna")


class BoundedSocket:
    """A socket whose every step has as much time as is left of the whole.

    Args:
        sock: A connected socket.
        remaining: Tells the seconds that are left, above 0, or raises `TimeoutError`.
    """

    def __init__(self, sock: socket.socket, remaining: Callable[[], float]) -> None:
        self._sock = sock
        self._remaining = remaining
        self._polls = False

    def settimeout(self, seconds: float | None) -> None:
        """Take a limit of 0, which asks for what is there already; any other is the whole's."""
        self._polls = seconds == 0
        self._sock.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        """Send all."""
        self._bound()
        self._sock.sendall(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what has arrived, at most that much."""
        self._bound()
        return self._sock.recv(size, flags)

    def recv_into(self, buffer: bytearray, size: int = 0, flags: int = 0) -> int:
        """Fill the buffer with what has arrived; returns how much."""
        self._bound()
        return self._sock.recv_into(buffer, size, flags)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def _bound(self) -> None:
        if not self._polls:
            self._sock.settimeout(self._remaining())


class _Bounded(_Base):
    """Counts down from when the pool hands the connection out, for which it has it connect."""

    # Held by a class, where freezegun does not find it: sockets wait in real time.
    _now = staticmethod(time.monotonic)
    _ends = 0.0

    def connect(self) -> None:
        self._ends = self._now() + (self.socket_timeout or 0.0)
        super().connect()  # type: ignore[no-untyped-call]  # redis-py's

    def _connect(self) -> Any:  # to redis-py, nothing that it says of is returned
        return BoundedSocket(self._reach(), self._remaining)

    if TYPE_CHECKING:

        def _reach(self) -> socket.socket: ...

    def _remaining(self) -> float:
        remaining = self._ends - self._now()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining

    def _connected(self, family: int, address: Any) -> socket.socket:
        with contextlib.ExitStack() as undo:
            sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.settimeout(self._remaining())
            sock.connect(address)
            undo.pop_all()
            return sock


class BoundedConnection(_Bounded, redis.Connection):
    """A connection by TCP. What resolves the host's name knows no limit."""

    def _reach(self) -> socket.socket:
        failure = OSError("its name has no address")
        for family, _, _, _, address in socket.getaddrinfo(self.host, self.port, 0, socket.SOCK_STREAM):
            try:
                sock = self._connected(family, address)
            except OSError as error:
                failure = error
            else:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
        try:
            raise failure
        finally:
            del failure  # which holds this frame


class BoundedTLSConnection(BoundedConnection):
    """A connection by TLS.

    Args:
        context: That of the store. redis-py makes one for each connection, which reads all certificates anew.
    """

    def __init__(self, *, context: ssl.SSLContext, **settings: Any) -> None:
        self._context = context
        super().__init__(**settings)  # type: ignore[no-untyped-call]  # redis-py's

    def _reach(self) -> socket.socket:
        with contextlib.ExitStack() as undo:
            sock = undo.enter_context(super()._reach())
            sock.settimeout(self._remaining())  # of the handshake as a whole
            secured = self._context.wrap_socket(sock, server_hostname=self.host)
            undo.pop_all()
            return secured


class BoundedUnixConnection(_Bounded, redis.UnixDomainSocketConnection):
    """A connection by a socket of the file system."""

    def _reach(self) -> socket.socket:
        return self._connected(socket.AF_UNIX, self.path)
