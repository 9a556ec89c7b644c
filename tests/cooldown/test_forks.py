"""After a fork the child works, whatever the parent's threads were doing; and what it inherits."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import BreakerCooldownTracker, CooldownStatus, Cooling, RoundRobinIndex, _forks
from fallback_exec.cooldown.eras import Closed
from fork_children import DOWN, PATIENCE, in_child, live_on, new_tracker, permit_of
from prefork_server import TESTS, PreforkServer, environment, kill_group

MICROSECOND = timedelta(microseconds=1)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork"),
    # From 3.12 on Python warns of exactly what is under test here.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"),
]


@contextlib.contextmanager
def sat_in(hold: Callable[[Callable[[], object]], object]) -> Iterator[None]:
    """Have another thread run `hold(sit)`, and sit there until the end of the block."""
    inside, leave = threading.Event(), threading.Event()

    def sit() -> None:
        inside.set()
        assert leave.wait(3 * PATIENCE)

    thread = threading.Thread(target=hold, args=(sit,), daemon=True)
    thread.start()
    assert inside.wait(PATIENCE)
    try:
        yield
    finally:
        leave.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def held(lock: AbstractContextManager[object]) -> AbstractContextManager[None]:
    """Have another thread hold the lock until the end of the block."""

    def hold(sit: Callable[[], object]) -> None:
        with lock:
            sit()

    return sat_in(hold)


def known_tracker() -> BreakerCooldownTracker:
    """Return a tracker that knows `grok`."""
    tracker = new_tracker()
    permit_of(tracker).failure(DOWN)
    return tracker


def open_tracker(**settings: Any) -> BreakerCooldownTracker:
    """Return a tracker whose provider `grok` has begun a cooldown of 30 s with its first failure."""
    tracker = BreakerCooldownTracker(**{"fail_max": 1, "reset_timeout": 30.0, **settings})
    assert permit_of(tracker).failure(DOWN) is True
    return tracker


def state_of(tracker: BreakerCooldownTracker) -> str:
    """Return the state that the snapshot shows."""
    return tracker.snapshot()["grok"].state


class TestHeldLocks:
    """Each lock of ours, held by another thread at the moment of the fork."""

    @pytest.fixture
    def tracker(self) -> BreakerCooldownTracker:
        """A tracker that knows `grok`."""
        return known_tracker()

    @pytest.fixture
    def index(self) -> RoundRobinIndex:
        """An index, for all that takes one."""
        return RoundRobinIndex()

    def test_the_trackers(self, tracker: BreakerCooldownTracker, index: RoundRobinIndex) -> None:
        """A thread that meets a new name does not hinder the child."""
        with held(tracker._lock):
            assert in_child(lambda: live_on(tracker, index))

    @pytest.mark.parametrize("state", ["closed", "open", "half_open"])
    def test_a_providers(self, tracker: BreakerCooldownTracker, index: RoundRobinIndex, state: str) -> None:
        """A thread that feeds an outcome does not hinder the child, in whatever state the breaker is."""
        if state != "closed":
            getattr(tracker.breaker("grok"), state)()
        with held(tracker._known["grok"]._lock):
            assert in_child(lambda: live_on(tracker, index))

    @pytest.mark.parametrize("state", ["closed", "half_open"])
    def test_pybreakers(self, tracker: BreakerCooldownTracker, index: RoundRobinIndex, state: str) -> None:
        """A thread that is inside the breaker itself does not hinder the child."""
        breaker = tracker.breaker("grok")
        if state != "closed":
            breaker.half_open()
        with sat_in(breaker.call):
            assert in_child(lambda: live_on(tracker, index))

    def test_a_round_robin_indexs(self, tracker: BreakerCooldownTracker, index: RoundRobinIndex) -> None:
        """A thread that takes a number does not hinder the child."""
        with held(index._lock):
            assert in_child(lambda: live_on(tracker, index))

    def test_all_of_them(self) -> None:
        """The locks of all trackers, of all their providers and of all indexes are renewed, not only one."""
        trackers = [known_tracker() for _ in range(3)]
        indexes = [RoundRobinIndex() for _ in range(3)]
        with ExitStack() as stack:
            for tracker in trackers:
                for name in ("grok", "gemini"):
                    stack.enter_context(sat_in(tracker.breaker(name).call))
                    stack.enter_context(held(tracker._known[name]._lock))
                stack.enter_context(held(tracker._lock))
            for index in indexes:
                stack.enter_context(held(index._lock))
            assert in_child(lambda: all(map(live_on, trackers, indexes)))

    def test_of_a_provider_that_was_forgotten(self) -> None:
        """The permit of a long call works in the child, also when its provider was forgotten meanwhile."""
        tracker = BreakerCooldownTracker(fail_max=1, max_providers=1)
        permit = permit_of(tracker)
        forgotten = tracker._known["grok"]
        permit_of(tracker, "gemini").success()
        assert "grok" not in tracker.snapshot()

        def fail() -> tuple[bool, str]:
            return permit.failure(DOWN), state_of(tracker)

        with held(forgotten._lock), sat_in(forgotten.breaker.call):
            assert in_child(fail) == (True, "open")

    def test_when_another_thread_forks(self, tracker: BreakerCooldownTracker, index: RoundRobinIndex) -> None:
        """The child works whichever thread of the parent has forked it."""
        with held(tracker._lock), sat_in(tracker.breaker("grok").call), ThreadPoolExecutor(1) as pool:
            assert pool.submit(in_child, lambda: live_on(tracker, index)).result()

    def test_by_the_forking_thread_itself(
        self, tracker: BreakerCooldownTracker, index: RoundRobinIndex
    ) -> None:
        """A fork inside a lock leaves both processes with locks that work."""
        breaker = tracker.breaker("grok")
        with tracker._lock, tracker._known["grok"]._lock:
            assert breaker.call(in_child, lambda: live_on(tracker, index))
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(live_on, tracker, index).result(PATIENCE)

    def test_in_a_child_that_forks(self, tracker: BreakerCooldownTracker, index: RoundRobinIndex) -> None:
        """The locks that a child has got can be held by its threads when it forks in its turn."""

        def fork_again() -> object:
            memory = tracker._known["grok"]
            with held(tracker._lock), held(memory._lock), sat_in(memory.breaker.call), held(index._lock):
                return in_child(lambda: live_on(tracker, index))

        assert in_child(fork_again)

    def test_the_childs_locks_are_locks(self, tracker: BreakerCooldownTracker) -> None:
        """In the child, too, one thread waits for the other: of many, one gets the probe."""

        def race() -> int:
            tracker.breaker("grok").half_open()
            start = threading.Barrier(4)
            answers = []

            def acquire() -> None:
                start.wait(PATIENCE)
                answers.append(tracker.acquire("grok"))

            threads = [threading.Thread(target=acquire) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return sum(not isinstance(answer, Cooling) for answer in answers)

        def race_often() -> set[int]:
            sys.setswitchinterval(1e-6)
            return {race() for _ in range(50)}

        with held(tracker._known["grok"]._lock):
            assert in_child(race_often) == {1}

    @pytest.mark.usefixtures("clock")
    def test_what_a_thread_was_about_to_do(self, tracker: BreakerCooldownTracker) -> None:
        """A cooldown that a thread of the parent was about to start is nobody's in the child."""
        # The child's threads get the memory, and with it the identities, of those that are gone.
        memory = tracker._known["grok"]

        def open_in_threads() -> set[float]:
            cooldowns = []
            leave = threading.Event()

            def open_by_hand() -> None:
                tracker.breaker("grok").open()
                cooldowns.append(tracker.cooldown_remaining("grok"))
                leave.wait(PATIENCE)

            threads = [threading.Thread(target=open_by_hand) for _ in range(4)]
            for thread in threads:
                thread.start()
            leave.set()
            for thread in threads:
                thread.join()
            return set(cooldowns)

        with sat_in(memory.breaker.call):
            cooler = threading.Thread(target=tracker.cool_down, args=("grok", 5.0), daemon=True)
            cooler.start()
            while memory._opening is None:
                assert cooler.is_alive()
            assert in_child(open_in_threads) == {3600.0}
        cooler.join(PATIENCE)
        assert tracker.cooldown_remaining("grok") == 5.0


class TestInheritance:
    """What a child knows at its beginning, and what it keeps to itself."""

    def test_a_running_cooldown(self, clock: FrozenDateTimeFactory) -> None:
        """What cools in the parent cools in the child, until the same moment."""
        tracker = open_tracker()
        clock.tick(12.5)

        def look_until_the_end() -> list[object]:
            seen: list[object] = [tracker.is_available("grok"), tracker.cooldown_remaining("grok")]
            clock.tick(timedelta(seconds=17.5) - MICROSECOND)
            seen.append(isinstance(tracker.acquire("grok"), Cooling))
            clock.tick(MICROSECOND)
            return [*seen, permit_of(tracker).failure(DOWN), state_of(tracker)]

        assert in_child(look_until_the_end) == [False, 17.5, True, True, "open"]

    @pytest.mark.usefixtures("clock")
    def test_the_snapshot(self) -> None:
        """A child shows of every provider what its parent shows."""
        tracker = BreakerCooldownTracker(fail_max=2)
        permit_of(tracker, "failing").failure(DOWN)
        permit_of(tracker, "healthy").success()
        tracker.cool_down("cooling", 7.0)
        tracker.breaker("half-open").half_open()
        assert in_child(tracker.snapshot) == tracker.snapshot()
        assert tracker.snapshot()["failing"] == CooldownStatus("closed", 1, 0.0, 0, "down")

    def test_the_failures_so_far(self) -> None:
        """The failure that is one too many in the child is counted on top of those of the parent."""
        tracker = BreakerCooldownTracker(fail_max=3)
        for _ in range(2):
            permit_of(tracker).failure(DOWN)
        assert in_child(lambda: permit_of(tracker).failure(DOWN)) is True
        assert tracker.snapshot()["grok"].failures == 2

    def test_the_failures_that_a_thread_was_about_to_forget(self) -> None:
        """Between its two steps they are not to be told of a success; in the child they are again."""
        tracker = BreakerCooldownTracker(fail_max=3)
        permit_of(tracker).failure(DOWN)
        era = tracker._known["grok"].era
        assert isinstance(era, Closed)
        era.awaits_success = False

        def succeed() -> int:
            permit_of(tracker).success()
            return tracker.snapshot()["grok"].failures

        assert in_child(succeed) == 0

    def test_the_failed_probes_so_far(self, clock: FrozenDateTimeFactory) -> None:
        """Backoff goes on from where the parent was, also from a probe that was under way."""
        tracker = open_tracker(backoff_factor=2.0)
        clock.tick(30)
        permit_of(tracker).failure(DOWN)
        clock.tick(60)
        probe = permit_of(tracker)

        def fail() -> tuple[bool, float]:
            return permit_of(tracker).failure(DOWN), tracker.cooldown_remaining("grok")

        assert in_child(fail) == (True, 120.0)
        probe.release()

    def test_the_successful_probes_so_far(self, clock: FrozenDateTimeFactory) -> None:
        """They count towards success_threshold in the child, too."""
        tracker = open_tracker(success_threshold=2)
        clock.tick(30)
        permit_of(tracker).success()

        def succeed() -> str:
            permit_of(tracker).success()
            return state_of(tracker)

        assert in_child(succeed) == "closed"
        assert state_of(tracker) == "half-open"

    def test_a_rotation(self) -> None:
        """An index goes on from where it was, in each process for itself."""
        index = RoundRobinIndex()
        assert [index.next(), index.next()] == [0, 1]
        assert in_child(lambda: [index.next(), index.next()]) == [2, 3]
        assert index.next() == 2

    def test_the_breaker_asked_for_again(self) -> None:
        """What a hand does in the child with a breaker it asked for there is what the tracker goes by."""
        tracker = BreakerCooldownTracker()
        of_the_parent = tracker.breaker("grok")
        tracker.cool_down("grok")

        def use() -> list[object]:
            breaker = tracker.breaker("grok")
            seen: list[object] = [breaker is of_the_parent, breaker.name, breaker.current_state]
            breaker.close()
            seen.append(tracker.is_available("grok"))
            breaker.open()
            return [*seen, tracker.is_available("grok"), tracker.breaker("grok") is breaker]

        assert in_child(use) == [False, "grok", "open", True, False, True]
        assert tracker.breaker("grok") is of_the_parent

    @pytest.mark.usefixtures("clock")
    def test_nothing_that_a_child_does_comes_back(self) -> None:
        """The parent knows after it what it knew before."""
        tracker, index = known_tracker(), RoundRobinIndex()
        tracker.cool_down("gemini", 7.0)
        before = tracker.snapshot()
        assert in_child(lambda: live_on(tracker, index))
        assert tracker.snapshot() == before
        assert index.next() == 0

    @pytest.mark.usefixtures("clock")
    def test_jitter_is_drawn_anew(self) -> None:
        """The workers of one server do not probe at the same moment."""
        tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0)

        def fail() -> float:
            permit_of(tracker).failure(DOWN)
            return tracker.cooldown_remaining("grok")

        assert len({in_child(fail) for _ in range(5)}) == 5

    @pytest.mark.usefixtures("clock")
    def test_a_generator_of_the_user_s_is_left_alone(self) -> None:
        """Its state is the user's."""
        tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0, random=random.Random(7))

        def fail() -> float:
            permit_of(tracker).failure(DOWN)
            return tracker.cooldown_remaining("grok")

        assert in_child(fail) == round(30.0 * (1.0 + random.Random(7).random()), 6)


class TestPermitsOfTheParent:
    """Permits that were handed out before the fork, to threads that are gone and to the one that forked."""

    @pytest.fixture
    def tracker(self, clock: FrozenDateTimeFactory) -> BreakerCooldownTracker:
        """A tracker whose provider's cooldown is over."""
        tracker = open_tracker()
        clock.tick(30)
        return tracker

    def test_a_probe_does_not_block_the_child(self, tracker: BreakerCooldownTracker) -> None:
        """A child may probe itself, for nobody would ever tell it what came of its parent's probe."""
        probe = permit_of(tracker)

        def recover() -> tuple[bool, str]:
            is_available = tracker.is_available("grok")
            permit_of(tracker).success()
            return is_available, state_of(tracker)

        assert in_child(recover) == (True, "closed")
        assert tracker.is_available("grok") is False
        probe.success()
        assert state_of(tracker) == "closed"

    @pytest.mark.parametrize("late", ["success", "failure", "release", "drop"])
    def test_a_probe_is_stale_in_the_child(self, tracker: BreakerCooldownTracker, late: str) -> None:
        """Whatever comes of it there, the child's own probe is under way and decides."""
        held_by_both = [permit_of(tracker)]

        def use() -> list[object]:
            own = permit_of(tracker)
            probe = held_by_both.pop()
            told = None if late == "drop" else getattr(probe, late)(*[DOWN] * (late == "failure"))
            del probe
            seen = [told, state_of(tracker), tracker.is_available("grok")]
            own.success()
            return [*seen, state_of(tracker)]

        told = False if late == "failure" else None
        assert in_child(use) == [told, "half-open", False, "closed"]
        assert tracker.is_available("grok") is False
        held_by_both.pop().success()
        assert state_of(tracker) == "closed"

    def test_a_closed_breakers_counts_where_it_is_used(self) -> None:
        """The failure of a call that forked is counted in the process that tells it."""
        tracker = BreakerCooldownTracker(fail_max=1)
        permit = permit_of(tracker)
        assert in_child(lambda: (permit.failure(DOWN), state_of(tracker))) == (True, "open")
        assert state_of(tracker) == "closed"
        assert permit.failure(DOWN) is True

    @pytest.mark.usefixtures("clock")
    def test_a_forced_ones_is_evidence_where_it_is_used(self) -> None:
        """The success of a terminus closes in the process that tells it."""
        tracker = open_tracker()
        permit = permit_of(tracker, force=True)

        def succeed() -> str:
            permit.success()
            return state_of(tracker)

        assert in_child(succeed) == "closed"
        assert state_of(tracker) == "open"
        permit.success()
        assert state_of(tracker) == "closed"


class TestRenewal:
    """What a child does first, done without a fork."""

    def test_frees_the_probe(self, clock: FrozenDateTimeFactory) -> None:
        """Half-open stays half-open, with nobody probing and with a new breaker and new locks."""
        tracker = open_tracker()
        clock.tick(30)
        probe = permit_of(tracker)
        memory, breaker = tracker._known["grok"], tracker.breaker("grok")
        locks = {tracker._lock, memory._lock}
        _forks._renew_all()
        assert (state_of(tracker), tracker.is_available("grok")) == ("half-open", True)
        assert tracker.breaker("grok") is not breaker
        assert locks.isdisjoint({tracker._lock, memory._lock})
        assert probe.failure(DOWN) is False
        permit_of(tracker).success()
        assert state_of(tracker) == "closed"

    @pytest.mark.usefixtures("clock")
    def test_keeps_the_other_states(self) -> None:
        """A permit of a closed or an open breaker is of the same era as before."""
        tracker = BreakerCooldownTracker(fail_max=2)
        closed = permit_of(tracker)
        closed.failure(DOWN)
        _forks._renew_all()
        assert closed.failure(DOWN) is True
        forced = permit_of(tracker, force=True)
        _forks._renew_all()
        assert tracker.cooldown_remaining("grok") == 30.0
        forced.success()
        assert state_of(tracker) == "closed"

    def test_reaches_a_provider_that_was_forgotten(self) -> None:
        """It has new locks, and its permit works, as long as there is one."""
        tracker = BreakerCooldownTracker(fail_max=1, max_providers=1)
        permit = permit_of(tracker)
        forgotten = tracker._known["grok"]
        lock, breaker = forgotten._lock, forgotten.breaker
        permit_of(tracker, "gemini").success()
        assert "grok" not in tracker.snapshot()
        _forks._renew_all()
        assert forgotten._lock is not lock
        assert tracker.breaker("grok") is not breaker
        assert permit.failure(DOWN) is True
        assert state_of(tracker) == "open"

    def test_leaves_the_user_s_generator_alone(self) -> None:
        """It draws on as if nothing had been."""
        tracker = BreakerCooldownTracker(jitter=1.0, random=random.Random(7))
        _forks._renew_all()
        assert tracker._random.getstate() == random.Random(7).getstate()

    def test_does_not_hold_a_provider_that_was_forgotten(self) -> None:
        """It is gone with its last permit, as it would be without a fork."""
        tracker = BreakerCooldownTracker(max_providers=1)
        permit = permit_of(tracker)
        forgotten = weakref.ref(tracker._known["grok"])
        permit_of(tracker, "gemini").success()
        _forks._renew_all()
        del permit
        gc.collect()
        assert forgotten() is None

    def test_keeps_nothing_alive(self) -> None:
        """A tracker and an index that are gone before the fork are gone, and hinder nobody."""
        tracker, index = known_tracker(), RoundRobinIndex()
        permit = permit_of(tracker)
        gone: list[weakref.ref[object]] = [weakref.ref(tracker), weakref.ref(index)]
        del tracker, index
        gc.collect()
        _forks._renew_all()
        assert [reference() for reference in gone] == [None, None]
        assert permit.failure(DOWN) is True

    def test_passes_over_what_dies_meanwhile(self) -> None:
        """The renewal of one owner may be the end of another."""
        renewed: list[str] = []

        class Owner:
            def __init__(self, name: str) -> None:
                self.name = name
                self.other: Owner | None = None
                _forks.renew_after_fork(self)

            def _renew_after_fork(self) -> None:
                renewed.append(self.name)
                self.other = None

        first = Owner("first")
        first.other = Owner("second")
        _forks._renew_all()
        assert renewed == ["first"]


def told_by_script(way: str, directory: Path) -> dict[str, Any]:
    """Return what `fork_script.py` says of the children that it started."""
    script = subprocess.Popen(
        [sys.executable, str(TESTS / "fork_script.py"), way],
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = script.communicate(timeout=4 * PATIENCE)
    finally:
        kill_group(script)
    assert script.returncode == 0, errors
    told: dict[str, Any] = json.loads(output)
    return told


class TestBusyThreads:
    """Forks while other threads are at it."""

    def test_at_any_moment(self, tmp_path: Path) -> None:
        """Of 200 children that are forked while threads take all locks back to back, 200 work."""
        assert told_by_script("busy", tmp_path) == {"finished": 200, "the parent works": True}

    def test_at_each_line(self, tmp_path: Path) -> None:
        """Wherever a thread stands in our code or in pybreaker's, the child's execution fits its snapshot."""
        assert told_by_script("each-line", tmp_path)["places"] > 100


class TestMultiprocessing:
    """A tracker at the top of a module, in use while children are started."""

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_every_child_works(self, tmp_path: Path, method: str) -> None:
        """Processes and a pool use the tracker of their module; as an argument it does not travel."""
        why = (
            "a BreakerCooldownTracker cannot be pickled or copied: its cooldowns belong to one process; "
            "build one in every process"
        )
        assert told_by_script(method, tmp_path) == {
            "exit codes": [0, 0],
            "answers of the pool": 4,
            "answered by the parent": False,
            # A forked child has it already; nothing is pickled then.
            "passed to a process": "exit code 0" if method == "fork" else why,
            "passed to the pool": ["TypeError", why],
        }


class TestPreforkServer:
    """gunicorn with --preload, whose master has threads that use the tracker while it forks."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[PreforkServer]:
        """A server on the loopback."""
        server = PreforkServer(tmp_path, "prefork_app", workers=3)
        try:
            yield server
        finally:
            server.close()

    def trip_and_recover(self, server: PreforkServer) -> None:
        """Have every worker do it."""
        tell = server.told_by_all
        assert tell("POST", "/reset") == "closed"
        assert tell("GET", "/ask") == {"grok": "SUCCESS"}
        for _ in range(2):
            assert tell("GET", "/ask?down=grok") == {"grok": "FAILURE", "gemini": "SUCCESS"}
        assert tell("GET", "/ask") == {"grok": "SKIPPED", "gemini": "SUCCESS"}
        assert tell("POST", "/elapse") == "open"
        assert tell("GET", "/ask?down=grok") == {"grok": "FAILURE", "gemini": "SUCCESS"}
        assert tell("GET", "/ask") == {"grok": "SKIPPED", "gemini": "SUCCESS"}
        assert tell("POST", "/elapse") == "open"
        assert tell("GET", "/ask") == {"grok": "SUCCESS"}
        assert tell("GET", "/ask-in-turn") == ["gemini", "grok"]

    def test_every_worker_works(self, server: PreforkServer) -> None:
        """Each answers, trips and recovers, those that replace others too; and all of them end."""
        workers = set(server.ask_each("POST", "/reset"))
        assert server.process.pid not in workers
        self.trip_and_recover(server)
        assert set(server.ask_each("POST", "/reset")) == workers

        killed = min(workers)
        os.kill(killed, signal.SIGKILL)
        survivors = set(server.ask_each("POST", "/reset"))
        assert len(survivors & workers) == server.workers - 1
        assert killed not in survivors
        self.trip_and_recover(server)

        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0
        assert kill_group(server.process) is False, "a process was left behind"
