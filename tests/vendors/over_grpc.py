"""A loopback vendor that is asked by gRPC, without protobuf."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from vendors.cases import DEAD_PORT, STALLS
from vendors.sdks import Ask

#: Trailing metadata that a server sends with RESOURCE_EXHAUSTED, by the name of the case.
METADATA = {
    "RESOURCE_EXHAUSTED, grpc-retry-pushback-ms: 2500": (("grpc-retry-pushback-ms", "2500"),),
    "RESOURCE_EXHAUSTED, grpc-retry-pushback-ms: -1": (("grpc-retry-pushback-ms", "-1"),),
    "RESOURCE_EXHAUSTED, retry-after: 7": (("retry-after", "7"),),
    "UNAVAILABLE, grpc-retry-pushback-ms: 2500": (("grpc-retry-pushback-ms", "2500"),),
}

RAISES = "the server's code raises"
NOT_GRPC = "HTML in place of gRPC"
JUNK = "an answer that cannot be read"
NO_METHOD = "no such method"

CODES = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
CASES = [*CODES, *METADATA, RAISES, JUNK, NO_METHOD, NOT_GRPC, STALLS, DEAD_PORT]


class GrpcVendor:
    """Serves cases by name: the name is the request."""

    def __init__(self) -> None:
        self.ends = threading.Event()
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()  # guarded by `_lock`

    def answer(self, request: bytes, context: grpc.ServicerContext) -> object:
        """Do what the request's name says."""
        name = request.decode()
        with self._lock:
            self._calls[name] += 1
        if name == RAISES:
            raise LookupError(name)
        if name == STALLS:
            self.ends.wait()
        if name in {STALLS, JUNK}:
            return b"\xff"
        context.set_trailing_metadata(METADATA.get(name, ()))
        return context.abort(grpc.StatusCode[name.split(",", maxsplit=1)[0]], "trouble")

    def calls(self, name: str) -> int:
        """Return how many requests with that name have arrived."""
        with self._lock:
            return self._calls[name]


@contextlib.contextmanager
def serving_grpc() -> Iterator[tuple[str, GrpcVendor]]:
    """Serve until the end of the block; give the address."""
    logging.getLogger("grpc").setLevel(logging.CRITICAL)  # it logs what the server's code raises
    vendor = GrpcVendor()
    server = grpc.server(ThreadPoolExecutor(8))
    method = grpc.unary_unary_rpc_method_handler(vendor.answer)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Vendor", {"Ask": method})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", vendor
    finally:
        vendor.ends.set()
        server.stop(0).wait()


@contextlib.contextmanager
def open_grpc(retries: bool) -> Iterator[Ask]:  # it has none unless a service configures them
    """Ask for the text of the answer."""

    def ask(address: str, name: str, timeout: float) -> object:
        path = "/Vendor/Nothing" if name == NO_METHOD else "/Vendor/Ask"
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary(path, response_deserializer=bytes.decode)
            return call(name.encode(), timeout=timeout)

    yield ask
