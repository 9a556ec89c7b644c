"""What forked children do with a tracker, and threads that keep its locks busy while the parent forks."""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import logging
import os
import pickle
import select
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from fallback_exec import (
    BreakerCooldownTracker,
    Cooling,
    ExecuteConfig,
    NamedProvider,
    Permit,
    RoundRobinIndex,
    Strategy,
    execute,
)

DOWN = ConnectionError("down")
NAME = "grok"
MAX_PROVIDERS = 8
PATIENCE = 30  # seconds after which a child counts as hanging; none needs one

quiet = logging.getLogger("fork_children")
quiet.setLevel(logging.CRITICAL)


def in_child(work: Callable[[], object]) -> Any:
    """Fork; return what `work` returned in the child. One that raises, hangs or dies is an AssertionError."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _work_and_exit(work, writer)
    os.close(writer)
    report = bytearray()
    try:
        # Real seconds also where a test has frozen the clock. The child has its own guard, which
        # says where it hangs; this one is for a child that does not even get there.
        while select.select([reader], [], [], PATIENCE + 10)[0]:
            chunk = os.read(reader, 65536)
            report += chunk
            if not chunk:
                break
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(reader)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != 0:
        raise AssertionError(f"the child ended with {code}\n{report.decode(errors='replace')}")
    return pickle.loads(report)


def _work_and_exit(work: Callable[[], object], writer: int) -> NoReturn:
    code = 1
    try:
        faulthandler.register(signal.SIGALRM, file=writer, chain=True)
        signal.alarm(PATIENCE)
        report = pickle.dumps(work())
        code = 0
    except BaseException:
        report = traceback.format_exc().encode()
    try:
        with open(writer, "wb") as pipe:
            pipe.write(report)
    finally:
        os._exit(code)


def new_tracker() -> BreakerCooldownTracker:
    """Return a tracker of which every path that takes a lock is soon reached."""
    return BreakerCooldownTracker(fail_max=2, reset_timeout=3600.0, jitter=0.5, max_providers=MAX_PROVIDERS)


def permit_of(tracker: BreakerCooldownTracker, name: str = NAME, *, force: bool = False) -> Permit:
    """Return a permit, which the tracker must give."""
    permit = tracker.acquire(name, force=force)
    assert isinstance(permit, Permit)
    return permit


def live_on(tracker: BreakerCooldownTracker, index: RoundRobinIndex) -> bool:
    """Use everything that takes a lock of ours; `tracker` is like one of `new_tracker()`, in any state."""
    use_tracker(tracker)
    rotate(index)
    execute_chains(tracker, index)
    return True


def use_tracker(tracker: BreakerCooldownTracker) -> None:
    """Use everything in a tracker that takes a lock."""
    feed(tracker)
    open_by_hand(tracker)
    meet_new_names(tracker)


def feed(tracker: BreakerCooldownTracker) -> None:
    """Fail until the breaker opens, and recover."""
    tracker.reset(NAME)
    permit_of(tracker).failure(DOWN)
    permit_of(tracker).success()
    assert [permit_of(tracker).failure(DOWN) for _ in range(2)] == [False, True]
    assert isinstance(tracker.acquire(NAME), Cooling)
    assert tracker.snapshot()[NAME].state == "open"
    permit_of(tracker, force=True).success()
    assert tracker.is_available(NAME)
    assert [tracker.record_failure(NAME, DOWN) for _ in range(2)] == [False, True]
    tracker.record_success(NAME)
    assert tracker.snapshot()[NAME].state == "closed"


def open_by_hand(tracker: BreakerCooldownTracker) -> None:
    """Open, half-open and close by hand; probe in between."""
    breaker = tracker.breaker(NAME)
    breaker.open()
    assert not tracker.is_available(NAME)
    breaker.half_open()
    probe = permit_of(tracker)
    assert isinstance(tracker.acquire(NAME), Cooling)
    probe.release()
    assert permit_of(tracker).failure(DOWN) is True
    breaker.close()
    tracker.cool_down(NAME)
    assert tracker.cooldown_remaining(NAME) > 0.0
    tracker.reset_all()
    assert {status.state for status in tracker.snapshot().values()} == {"closed"}


def meet_new_names(tracker: BreakerCooldownTracker) -> None:
    """Fail and recover for more providers than are remembered."""
    for number in range(2 * MAX_PROVIDERS):
        permit_of(tracker, f"new-{number}").failure(DOWN)
        permit_of(tracker, f"new-{number}").success()
    assert len(tracker.snapshot()) <= MAX_PROVIDERS


def go_by_the_snapshot(tracker: BreakerCooldownTracker) -> None:
    """Execute in whatever state `grok` is: what cools down is passed over, and what is attempted counts."""
    chain = [NamedProvider(NAME, None), NamedProvider("gemini", None)]
    fallback = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=quiet)
    is_open = tracker.cooldown_remaining(NAME) > 0.0
    result = execute(chain, fallback, lambda provider: provider.name)
    assert result.response == ("gemini" if is_open else NAME)
    if not is_open:
        assert NAME not in tracker.snapshot() or failures_of(tracker) == ("closed", 0)
        execute(chain, fallback, fail_for_grok)
        assert failures_of(tracker) == ("closed", 1)


def fail_for_grok(provider: NamedProvider[None]) -> None:
    """Be the `fn` for which one provider is down."""
    if provider.name == NAME:
        raise DOWN


def failures_of(tracker: BreakerCooldownTracker) -> tuple[str, int]:
    """Return the state and the failures in a row of `grok`."""
    status = tracker.snapshot()[NAME]
    return status.state, status.failures


def rotate(index: RoundRobinIndex) -> None:
    """Take two numbers, one after the other."""
    first = index.next()
    assert index.next() == first + 1


def execute_chains(tracker: BreakerCooldownTracker, index: RoundRobinIndex) -> None:
    """Execute with a provider that is down until it is passed over, and in turn."""
    tracker.reset_all()
    chain = [NamedProvider(NAME, "down"), NamedProvider("gemini", "up")]

    def answer(provider: NamedProvider[str]) -> str:
        if provider.client == "down":
            raise DOWN
        return provider.name

    fallback = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=quiet)
    assert [execute(chain, fallback, answer).attempt_num for _ in range(3)] == [2, 2, 1]
    in_turn = ExecuteConfig(strategy=Strategy.ROUND_ROBIN, round_robin_index=index, logger=quiet)
    answers = {execute(chain, in_turn, lambda provider: provider.name).response for _ in range(2)}
    assert answers == {NAME, "gemini"}


class Hammer:
    """Threads that are inside the locks of a tracker and an index most of the time."""

    def __init__(self, tracker: BreakerCooldownTracker, index: RoundRobinIndex) -> None:
        self._tracker = tracker
        self._index = index
        self._names = (f"hammered-{number}" for number in itertools.count())
        self._enough = threading.Event()
        self._errors: list[Exception] = []
        works = (self._feed, self._open_and_close, self._meet_and_count)
        # Daemons, as those of many a client library: a server that preloads does not join them.
        self._threads = [threading.Thread(target=self._repeat, args=(work,), daemon=True) for work in works]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and raise what went wrong meanwhile."""
        self._enough.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        if self._errors:
            raise ExceptionGroup("what hammers has failed", self._errors)

    @contextlib.contextmanager
    def hammering(self) -> Iterator[None]:
        """Hammer until the end of the block."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    def _repeat(self, work: Callable[[], object]) -> None:
        try:
            while not self._enough.is_set():
                work()
        except Exception as error:
            self._errors.append(error)

    def _feed(self) -> None:
        for _ in range(2):
            self._tracker.record_failure(NAME, DOWN)
        self._tracker.record_success(NAME)

    def _open_and_close(self) -> None:
        breaker = self._tracker.breaker(NAME)
        breaker.open()
        breaker.half_open()
        permit_of(self._tracker, force=True).failure(DOWN)
        self._tracker.cool_down(NAME)
        breaker.close()

    def _meet_and_count(self) -> None:
        permit_of(self._tracker, next(self._names)).failure(DOWN)
        self._index.next()
