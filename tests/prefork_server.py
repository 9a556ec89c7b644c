"""A gunicorn with several workers, of which a test says who has a request when."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from fork_children import PATIENCE

TESTS = Path(__file__).parent


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a process that can import the tests' helpers."""
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **variables}


def kill_group(leader: subprocess.Popen[str]) -> bool:
    """Kill what is left of a process and its children; return whether there was anything."""
    try:
        os.killpg(leader.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    leader.wait(PATIENCE)
    return True


class PreforkServer:
    """A gunicorn that has loaded an app before it forked its workers.

    The app holds each request until the test lets it go, as `prefork_hold` does.

    Args:
        directory: Where its log goes.
        app: The module of the app, in which it is called `app`.
        workers: How many.
        variables: What its environment has beside.
    """

    def __init__(self, directory: Path, app: str, *, workers: int, **variables: str) -> None:
        self.workers = workers
        self._log = directory / "log"
        self._arrived, arrived = os.pipe()
        go, self._go = os.pipe()
        # Bound and listening before the server is: nobody has to wait for it, or guess a port.
        with socket.create_server(("127.0.0.1", 0)) as listener, self._log.open("w") as log:
            self._host, self._port = listener.getsockname()
            options = {
                "--bind": f"fd://{listener.fileno()}",
                "--workers": f"{workers}",
                "--worker-class": "sync",
                "--timeout": f"{PATIENCE}",
            }
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--preload", "--no-control-socket"),
                    *(word for option in options.items() for word in option),
                    f"{app}:app",
                ],
                cwd=directory,
                env=environment(PREFORK_APP_PIPES=f"{arrived},{go}", GUNICORN_CMD_ARGS="", **variables),
                pass_fds=[listener.fileno(), arrived, go],
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        os.close(arrived)
        os.close(go)

    def close(self) -> None:
        """Leave nothing behind, whatever has happened."""
        kill_group(self.process)
        os.close(self._arrived)
        os.close(self._go)
        sys.stdout.write(self._log.read_text())  # shown when the test fails

    def ask_each(self, method: str, path: str) -> dict[int, Any]:
        """Send the request to every worker; return what each of them told, by process id."""
        with self._held_by_each(method, path) as connections:
            os.write(self._go, b"." * self.workers)
            answers = [json.load(connection.getresponse()) for connection in connections]
        return self._by_process(answers)

    def ask_in_turn(self, method: str, path: str) -> dict[int, Any]:
        """Send the request to every worker, to the next one when one has answered."""
        with self._held_by_each(method, path) as connections:
            waiting = {connection.sock: connection for connection in connections}
            answers = []
            while waiting:
                os.write(self._go, b".")
                answered = select.select(list(waiting), [], [], PATIENCE)[0]
                assert len(answered) == 1, "one was let go"
                answers.append(json.load(waiting.pop(answered[0]).getresponse()))
        return self._by_process(answers)

    def ask_all(self, method: str, path: str) -> Iterator[Any]:
        """Send the request to every worker, to all at once; return what they told, the first answer first."""
        with self._held_by_each(method, path) as connections:
            os.write(self._go, b"." * self.workers)
            waiting = {connection.sock: connection for connection in connections}
            while waiting:
                answered = select.select(list(waiting), [], [], PATIENCE)[0]
                assert answered, "a worker hangs"
                yield json.load(waiting.pop(answered[0]).getresponse())["told"]

    def ask(self, method: str, path: str, count: int = 1) -> Iterator[Any]:
        """Send as many requests, each to any worker; return what was told. For one thread of many, too."""
        for _ in range(count):
            os.write(self._go, b".")
            with closing(self._connection()) as connection:
                connection.request(method, path)
                yield json.load(connection.getresponse())["told"]
            os.read(self._arrived, 1)

    @contextlib.contextmanager
    def _held_by_each(self, method: str, path: str) -> Iterator[list[http.client.HTTPConnection]]:
        """Have every worker hold a request."""
        with ExitStack() as stack:
            connections = [stack.enter_context(closing(self._connection())) for _ in range(self.workers)]
            for connection in connections:
                connection.request(method, path)
            for _ in range(self.workers):
                assert select.select([self._arrived], [], [], PATIENCE)[0], "a worker hangs"
                assert os.read(self._arrived, 1) == b"."
            yield connections

    def _by_process(self, answers: list[dict[str, Any]]) -> dict[int, Any]:
        told = {answer["pid"]: answer["told"] for answer in answers}
        assert len(told) == self.workers
        return told

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE)

    def told_by_all(self, method: str, path: str) -> Any:
        """Send the request to every worker; return what all of them told alike."""
        first, *others = self.ask_each(method, path).values()
        assert others == [first] * len(others)
        return first
