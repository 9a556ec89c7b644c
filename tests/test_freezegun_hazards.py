"""What freezegun does that the library and its tests work around.

As with pybreaker: a test that fails after an update says that a behaviour is gone.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, as_completed, wait

import cachetools
import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from helpers import PATIENCE

#: Seconds to wait for what must not happen: all that a test can do is to wait a little.
A_MOMENT = 0.1

FROZEN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def deep(levels: int, work: Callable[[], object]) -> object:
    """Do the work from that many frames further down."""
    return deep(levels - 1, work) if levels else work()


def in_bare_thread(work: Callable[[], object]) -> object:
    """Return what the work returns in a thread whose `run()` is the work."""
    returned: list[object] = []

    class Worker(threading.Thread):
        def run(self) -> None:
            returned.append(work())

    worker = Worker()
    worker.start()
    worker.join(PATIENCE)
    return returned[0]


@pytest.mark.usefixtures("clock")
class TestThreads:
    """Which clock stands still depends on the clock, and on the depth of the stack."""

    @pytest.mark.parametrize("read", ["time", "monotonic"])
    def test_clocks_of_time_are_real_near_threading(self, read: str) -> None:
        """Within five frames of the `threading` module the real time is read, further down the frozen."""
        frozen = getattr(time, read)()
        assert in_bare_thread(lambda: getattr(time, read)()) != frozen
        assert in_bare_thread(lambda: deep(10, lambda: getattr(time, read)())) == frozen

    @pytest.mark.parametrize("levels", [0, 10])
    def test_the_clock_of_datetime_is_frozen_everywhere(self, levels: int) -> None:
        """Which is why it is the library's clock."""
        assert in_bare_thread(lambda: deep(levels, lambda: dt.datetime.now(dt.UTC))) == FROZEN


class TestCapturedClocks:
    """A clock that was looked up before the freeze."""

    def test_is_not_frozen(self) -> None:
        """A default argument goes on reading the real time."""

        def moment(read: Callable[[], float] = time.time) -> float:
            return read()

        with freeze_time(FROZEN):
            assert moment() != time.time()

    def test_keeps_a_cache_from_expiring(self) -> None:
        """A cache with the default timer knows nothing of time travel; one with a late-bound timer does."""
        captured = cachetools.TTLCache[str, int](maxsize=8, ttl=30)
        late_bound = cachetools.TTLCache[str, int](maxsize=8, ttl=30, timer=lambda: time.monotonic())
        with freeze_time(FROZEN) as frozen:
            assert isinstance(frozen, FrozenDateTimeFactory)
            captured["grok"] = late_bound["grok"] = 1
            frozen.tick(3600)
            assert "grok" in captured
            assert "grok" not in late_bound


@pytest.mark.usefixtures("clock")
class TestFutures:
    """Waiting for futures while time stands still."""

    def test_as_completed_is_never_over(self) -> None:
        """Its timeout is reckoned by a clock that stands still; `wait()` leaves it to the system."""
        future: Future[str] = Future()
        assert wait([future], 0.001).not_done == {future}
        seen: list[Future[str]] = []
        waiting = threading.Thread(
            target=lambda: deep(10, lambda: seen.extend(as_completed([future], timeout=0.001))), daemon=True
        )
        waiting.start()
        waiting.join(A_MOMENT)
        assert waiting.is_alive()
        future.set_result("answer")
        waiting.join(PATIENCE)
        assert seen == [future]
