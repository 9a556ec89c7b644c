"""Worker processes that call one vendor."""

from __future__ import annotations

import multiprocessing as mp
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import attrs

from bench.shared.guards import Guard, VendorError, guard

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

# As a prefork server does it. The pool is forked first, before there is anything else.
_FORK = mp.get_context("fork")


@attrs.frozen
class Who:
    """By what the calls are guarded.

    Attributes:
        kind: Which guard.
        url: Where the server is.
        namespace: One for each round, so that nothing is known.
        reset_timeout: In seconds.
    """

    kind: str
    url: str
    namespace: str
    reset_timeout: float


@attrs.frozen
class Order:
    """What a worker is to do.

    Attributes:
        who: By what its calls are guarded.
        calls: How many.
        pause: Seconds after each.
        begin: When to begin, as `time.time()` tells it.
    """

    who: Who
    calls: int = 1
    pause: float = 0.0
    begin: float = 0.0


class Vendor:
    """The vendor: counts the calls that reach it while it is dead."""

    def __init__(self) -> None:
        self._reached: Synchronized[int] = _FORK.Value("i", 0)
        self._is_dead: Synchronized[int] = _FORK.Value("i", 0)
        #: For how long a call takes that fails.
        self.seconds: Synchronized[float] = _FORK.Value("d", 0.0)

    def set_dead(self, is_dead: bool, seconds: float = 0.0) -> None:
        """Let it die, or come back; forget what has reached it."""
        self._is_dead.value, self.seconds.value, self._reached.value = is_dead, seconds, 0

    @property
    def reached(self) -> int:
        """How many calls reached it."""
        return self._reached.value

    def answer(self) -> None:
        """Answer, or fail."""
        if self._is_dead.value:
            with self._reached.get_lock():
                self._reached.value += 1
            time.sleep(self.seconds.value)
            raise VendorError("down")


class Pool:
    """Workers, each of which does its orders one after the other."""

    def __init__(self, size: int) -> None:
        self.vendor = Vendor()
        self._lines: list[Connection] = []
        self._processes = []
        for _ in range(size):
            mine, its = _FORK.Pipe()
            process = _FORK.Process(target=_work, args=(its, self.vendor), daemon=True)
            process.start()
            its.close()
            self._lines.append(mine)
            self._processes.append(process)

    def tell(self, order: Order, *workers: int) -> None:
        """Give the order to those workers, and wait until each has done it."""
        for worker in workers:
            self._lines[worker].send(order)
        for worker in workers:
            self._lines[worker].recv()

    def close(self) -> None:
        """Send them home."""
        for line in self._lines:
            line.send(None)
        for process in self._processes:
            process.join()


def _work(line: Connection, vendor: Vendor) -> None:
    guards: dict[Who, Guard] = {}
    while True:
        order: Order | None = line.recv()
        if order is None:
            return
        if order.who not in guards:
            guards[order.who] = guard(*attrs.astuple(order.who))
        call = guards[order.who]
        time.sleep(max(0.0, order.begin - time.time()))
        for _ in range(order.calls):
            call(vendor.answer)
            time.sleep(order.pause)
        line.send(None)
