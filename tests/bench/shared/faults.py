"""What a server costs that is away: the worst of a hundred calls to a healthy vendor."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from bench.shared.guards import STORAGE, STORE, Guard, guard
from bench.tables import markdown, number
from real_servers import HOST, Server, free_port

CALLS = 100
#: Seconds from the beginning of a call to that of the next one, unless it takes longer.
PACE = 0.02
#: From how many milliseconds on a call was held up.
SLOW = 10.0

HEALTHY = "none"
STOPPED = "stopped by SIGSTOP"
KILLED = "killed: it refuses"
ABSENT = "absent at the start"


class Lines(logging.Handler):
    """Counts what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def faults_table() -> str:
    """Time a hundred calls in each fault, by either."""
    rows = [
        [fault, *_row(STORE, fault), *_row(STORAGE, fault)] for fault in (HEALTHY, STOPPED, KILLED, ABSENT)
    ]
    others = [f"over {SLOW:g} ms", "log lines"]
    return markdown(["the server", f"{STORE}: worst, ms", *others, f"{STORAGE}: worst, ms", *others], rows)


def _row(kind: str, fault: str) -> list[str]:
    lines = Lines()
    root = logging.getLogger()
    root.addHandler(lines)
    try:
        taken = _milliseconds(kind, fault)
    except redis.RedisError as error:
        return [f"raises {type(error).__name__}", "-", "-"]
    finally:
        root.removeHandler(lines)
    return [number(max(taken)), str(sum(each > SLOW for each in taken)), str(lines.count)]


def _milliseconds(kind: str, fault: str) -> list[float]:
    if fault == ABSENT:
        return _timed(guard(kind, f"redis://{HOST}:{free_port()}", "faults", 60.0))
    with TemporaryDirectory() as directory:
        server = Server(Path(directory))
        try:
            call = guard(kind, server.url, "faults", 60.0)
            call(_answer)
            if fault == STOPPED:
                os.kill(server.pid, signal.SIGSTOP)
            elif fault == KILLED:
                server.stop()
            return _timed(call)
        finally:
            server.stop()


def _timed(call: Guard) -> list[float]:
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call(_answer)
        seconds = time.perf_counter() - began
        taken.append(seconds * 1000)
        time.sleep(max(0.0, PACE - seconds))
    return taken


def _answer() -> str:
    return "answer"
