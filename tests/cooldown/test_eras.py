"""The rules for permits, with interleavings of threads and hands forced one by one."""

from __future__ import annotations

import contextlib
import gc
import itertools
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any

import pybreaker
import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import BreakerCooldownTracker, Cooling, Permit
from fallback_exec._clock import Countdown
from fallback_exec.cooldown.eras import Era, Memory, Opening, feed_failure, feed_success
from helpers import PATIENCE, act_at_each_call, in_thread, meddle_at_each_line

DOWN = ConnectionError("down")
MICROSECOND = timedelta(microseconds=1)


class MeddlingLock:
    """A lock that lets somebody else act, once, in the moment before it is taken."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self._lock = threading.RLock()
        self._meddle: Callable[[], object] | None = meddle

    def __enter__(self) -> None:
        meddle, self._meddle = self._meddle, None
        if meddle is not None:
            meddle()
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None
    ) -> None:
        self._lock.release()


def open_if_free(breaker: pybreaker.CircuitBreaker) -> bool:
    """Open as a hand does, unless it would have to wait for pybreaker's lock; return whether it did."""
    if not breaker._lock.acquire(blocking=False):
        return False
    try:
        breaker.open()
    finally:
        breaker._lock.release()
    return True


@contextlib.contextmanager
def collecting_often(meddle: Callable[[], object]) -> Iterator[None]:
    """Have the garbage collector run as often as it can, and `meddle` each time, as a finalizer might."""

    def run(phase: str, _facts: object) -> None:
        if phase == "start":
            meddle()

    thresholds = gc.get_threshold()
    gc.callbacks.append(run)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(run)


def memory_of(tracker: BreakerCooldownTracker, name: str = "grok") -> Memory:
    """Return what the tracker knows of a provider; there is no public way to its lock."""
    return tracker._known[name]


def permit_of(tracker: BreakerCooldownTracker, *, force: bool = False) -> Permit:
    """Return a permit for `grok`, which the tracker must give."""
    permit = tracker.acquire("grok", force=force)
    assert isinstance(permit, Permit)
    return permit


def meddle_before_lock(tracker: BreakerCooldownTracker, meddle: Callable[[], object]) -> None:
    """Let `meddle` run when the provider's lock is next about to be taken."""
    memory_of(tracker)._lock = MeddlingLock(meddle)  # type: ignore[assignment]  # as much of a lock as is used


@pytest.fixture
def half_open(clock: FrozenDateTimeFactory) -> BreakerCooldownTracker:
    """A tracker whose provider `grok` may be probed."""
    tracker = BreakerCooldownTracker()
    tracker.cool_down("grok")
    clock.tick(30)
    return tracker


class TestClaim:
    """Two callers that both see a free probe."""

    def test_the_second_is_refused(self, half_open: BreakerCooldownTracker) -> None:
        """Who comes to the lock later finds the probe taken."""
        first: list[Permit | Cooling] = []
        meddle_before_lock(half_open, lambda: first.append(half_open.acquire("grok")))
        assert half_open.acquire("grok") == Cooling(0.0)
        assert isinstance(first[0], Permit)

    def test_the_second_is_let_through_when_forced(self, half_open: BreakerCooldownTracker) -> None:
        """The terminus is attempted beside the probe."""
        first: list[Permit | Cooling] = []
        meddle_before_lock(half_open, lambda: first.append(half_open.acquire("grok")))
        permit = half_open.acquire("grok", force=True)
        assert isinstance(permit, Permit)
        assert permit.cooling == Cooling(0.0)

    def test_nobody_waits_who_asks_for_a_closed_provider(self) -> None:
        """Somebody else may hold the tracker's lock, and the provider's."""
        tracker = BreakerCooldownTracker()
        permit = tracker.acquire("grok")
        with tracker._lock, memory_of(tracker)._lock:
            assert in_thread(lambda: tracker.acquire("grok")) is permit

    def test_a_permit_of_a_breaker_that_is_being_closed_works(self) -> None:
        """At every line of it."""

        def scene() -> tuple[Callable[[], None], Callable[[], None]]:
            tracker = BreakerCooldownTracker(fail_max=2)
            tracker.cool_down("grok")

            def succeed() -> None:
                permit = tracker.acquire("grok", force=True)
                assert isinstance(permit, Permit)
                permit.success()

            return lambda: tracker.reset("grok"), succeed

        assert set(meddle_at_each_line(scene)) == {None}

    def test_a_hand_that_closes_first_is_seen(self, half_open: BreakerCooldownTracker) -> None:
        """Nobody needs to probe a closed breaker."""
        meddle_before_lock(half_open, half_open.breaker("grok").close)
        permit = half_open.acquire("grok")
        assert permit is half_open.acquire("grok")  # the one that all attempts of a closed era share

    def test_a_hand_that_opens_first_is_seen(self, half_open: BreakerCooldownTracker) -> None:
        """The cooldown that it starts is respected."""
        meddle_before_lock(half_open, half_open.breaker("grok").open)
        cooling = half_open.acquire("grok")
        assert isinstance(cooling, Cooling)
        assert cooling.cooldown_remaining == 30.0


class TestOutcomes:
    """Outcomes whose era ends while they wait for the lock."""

    def test_a_success_that_comes_too_late_is_stale(self) -> None:
        """It began before the hand opened."""
        tracker = BreakerCooldownTracker(fail_max=2)
        permit = tracker.acquire("grok")
        assert isinstance(permit, Permit)
        permit.failure(DOWN)
        meddle_before_lock(tracker, tracker.breaker("grok").open)
        permit.success()
        assert tracker.snapshot()["grok"].state == "open"

    def test_a_failure_that_comes_too_late_is_stale(self) -> None:
        """It neither counts nor replaces the last error."""
        tracker = BreakerCooldownTracker(fail_max=1)
        permit = tracker.acquire("grok")
        assert isinstance(permit, Permit)
        meddle_before_lock(tracker, lambda: tracker.cool_down("grok", 5))
        assert permit.failure(DOWN) is False
        assert tracker.snapshot()["grok"].last_error is None

    def test_of_two_last_failures_one_trips(self) -> None:
        """Both see one failure missing; only the first starts the cooldown."""
        tracker = BreakerCooldownTracker(fail_max=1)
        permit = tracker.acquire("grok")
        assert isinstance(permit, Permit)
        others: list[bool] = []
        meddle_before_lock(tracker, lambda: others.append(permit.failure(DOWN)))
        assert permit.failure(DOWN) is False
        assert others == [True]
        assert tracker.snapshot()["grok"].openings == 1

    def test_a_hand_between_the_comparison_and_pybreaker_came_first(self) -> None:
        """A breaker that was opened in that moment refuses the outcome: nothing has started."""
        breaker = pybreaker.CircuitBreaker(fail_max=1)
        breaker.open()
        feed_success(breaker)
        assert feed_failure(breaker) is False
        assert breaker.current_state == "open"

    @pytest.mark.parametrize("where", ["in the main thread", "in another thread"])
    def test_a_hand_that_opens_before_a_failed_probe_does_opens_in_its_own_way(
        self, clock: FrozenDateTimeFactory, where: str
    ) -> None:
        """A hand in either thread opens for `reset_timeout`, not for as long as the failed probe would."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30.0, backoff_factor=2.0)
        tracker.record_failure("grok", DOWN)
        clock.tick(30)
        probe = tracker.acquire("grok")
        assert isinstance(probe, Permit)
        hand = tracker.breaker("grok")
        feeding, opened = threading.Event(), threading.Event()

        def feed_second(function: Callable[[], object]) -> object:
            feeding.set()
            assert opened.wait(PATIENCE)
            return hand.call(function)

        def open_first() -> None:
            assert feeding.wait(PATIENCE)
            hand.open()
            opened.set()

        breaker = pybreaker.CircuitBreaker()
        breaker.call = feed_second  # type: ignore[method-assign,assignment]
        memory_of(tracker).breaker = breaker
        answers: list[bool] = []

        def fail() -> None:
            answers.append(probe.failure(DOWN))

        here, there = (open_first, fail) if where == "in the main thread" else (fail, open_first)
        thread = threading.Thread(target=there, daemon=True)
        thread.start()
        here()
        thread.join(PATIENCE)
        assert answers == [False]
        assert tracker.cooldown_remaining("grok") == 30.0

    def test_a_refusal_is_told_from_an_interruption_also_within_an_except_block(self) -> None:
        """What the user is handling at that moment is not taken for something that came in between."""
        breaker = pybreaker.CircuitBreaker(fail_max=1)
        breaker.open()
        try:
            raise ValueError("the user's")
        except ValueError:
            feed_success(breaker)
            assert feed_failure(breaker) is False
        assert breaker.current_state == "open"

    def test_jitter_gives_way_to_a_hand(self) -> None:
        """A breaker that was closed before its cooldown was lengthened stays closed."""
        tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0)
        permit = tracker.acquire("grok")
        assert isinstance(permit, Permit)
        memory = memory_of(tracker)
        add_jitter = memory._add_jitter

        def close_first(opening: Opening) -> None:
            tracker.breaker("grok").close()
            add_jitter(opening)

        memory._add_jitter = close_first  # type: ignore[method-assign]
        assert permit.failure(DOWN) is True
        assert tracker.snapshot()["grok"].state == "closed"


class TestCoolDown:
    """A vendor's word on a cooldown, with everything else that may happen at that moment."""

    def test_that_comes_second_moves_the_end(self) -> None:
        """Somebody else opened while it waited for the lock."""
        tracker = BreakerCooldownTracker()
        permit = permit_of(tracker)
        others: list[bool] = []
        meddle_before_lock(tracker, lambda: others.append(permit.cool_down(DOWN, 1800.0)))
        assert permit.cool_down(DOWN, 3600.0) is False
        assert others == [True]
        assert tracker.cooldown_remaining("grok") > 1800.0
        assert tracker.snapshot()["grok"].openings == 1

    def test_is_not_undone_by_a_look_that_is_under_way(self, clock: FrozenDateTimeFactory) -> None:
        """Who still looks at the countdown that was replaced, and sees it over, says so to it alone."""
        tracker = BreakerCooldownTracker(fail_max=1)
        permit = permit_of(tracker)
        permit.failure(DOWN)
        replaced = tracker._published["grok"]
        assert isinstance(replaced, Countdown)
        permit.cool_down(DOWN, 60.0)
        clock.tick(30)
        assert replaced.remaining() == 0.0
        assert tracker.cooldown_remaining("grok") == 30.0

    def test_that_is_stale_opens_nothing_where_the_cooldown_ends_at_that_moment(
        self, clock: FrozenDateTimeFactory
    ) -> None:
        """It moves the end or comes too late, at whichever line the clock ticks."""
        trackers: list[BreakerCooldownTracker] = []

        def scene() -> tuple[Callable[[], bool], Callable[[], object]]:
            clock.move_to("2026-01-01")
            tracker = BreakerCooldownTracker(fail_max=1)
            trackers.append(tracker)
            permit = permit_of(tracker)
            permit.failure(DOWN)
            clock.tick(timedelta(seconds=30) - MICROSECOND)
            return lambda: permit.cool_down(DOWN, 60.0), lambda: clock.tick(MICROSECOND)

        assert set(meddle_at_each_line(scene)) == {False}
        assert {tracker.snapshot()["grok"].openings for tracker in trackers} == {1}
        assert {round(tracker.cooldown_remaining("grok")) for tracker in trackers} == {0, 60}

    @pytest.mark.parametrize("jitter_of", ["a failure", "a hand", "a cool down"])
    @pytest.mark.usefixtures("clock")
    def test_is_not_lengthened_by_jitter(self, jitter_of: str) -> None:
        """Which is drawn outside the lock, when the vendor's word may have come already."""

        class Late(random.Random):
            def random(self) -> float:
                told.append(permit.cool_down(DOWN, 100.0))
                return 1.0

        tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0, random=Late())
        permit, told = permit_of(tracker), list[bool]()
        if jitter_of == "a hand":
            tracker.cool_down("grok")
        elif jitter_of == "a failure":
            assert permit.failure(DOWN) is True
        else:
            assert permit.cool_down(DOWN, None) is False  # the other one was first
        assert tracker.cooldown_remaining("grok") == 100.0
        assert told == [jitter_of == "a cool down"]

    def scenes(
        self, clock: FrozenDateTimeFactory, state: str, seconds: float | None
    ) -> tuple[list[BreakerCooldownTracker], Callable[[], tuple[BreakerCooldownTracker, Callable[[], bool]]]]:
        """Return a list, and what builds a tracker, puts it there, and tells it to cool down."""
        trackers: list[BreakerCooldownTracker] = []

        def build() -> tuple[BreakerCooldownTracker, Callable[[], bool]]:
            clock.move_to("2026-01-01")
            tracker = BreakerCooldownTracker(fail_max=2, reset_timeout=600.0)
            trackers.append(tracker)
            if state != "closed":
                tracker.cool_down("grok", 10 if state == "open" else 1)
            permit = permit_of(tracker, force=True)
            clock.tick(1)
            if state == "half-open":
                permit = permit_of(tracker)
            return tracker, lambda: permit.cool_down(DOWN, seconds)

        return trackers, build

    @pytest.mark.parametrize("seconds", [5.0, 900.0, None])
    @pytest.mark.parametrize("state", ["closed", "half-open", "open, and over", "open"])
    def test_and_a_hand_that_opens_at_each_line(
        self, clock: FrozenDateTimeFactory, state: str, seconds: float | None
    ) -> None:
        """The hand's end is moved later, or set last; it is never cut. Whoever is second starts nothing."""
        trackers, build = self.scenes(clock, state, seconds)

        def scene() -> tuple[Callable[[], bool], Callable[[], object]]:
            tracker, tell = build()
            return tell, lambda: opened.append(in_thread(lambda: open_if_free(tracker.breaker("grok"))))

        opened: list[bool] = []
        started = meddle_at_each_line(scene)
        trackers.pop()
        assert any(opened)
        assert {
            tracker.cooldown_remaining("grok")
            for tracker, has_opened in zip(trackers, opened, strict=True)
            if has_opened
        } == ({600.0, 900.0} if seconds == 900.0 else {600.0})
        assert set(started) == ({False} if state == "open" else {True, False})
        openings = 1 if state in {"closed", "open"} else 2
        assert {tracker.snapshot()["grok"].openings for tracker in trackers} == {openings}

    @pytest.mark.parametrize("hand", ["open", "close", "half_open"])
    @pytest.mark.parametrize("state", ["closed", "half-open", "open, and over", "open"])
    def test_and_a_hand_at_each_line_leave_a_tracker_that_agrees_with_its_breaker(
        self, clock: FrozenDateTimeFactory, state: str, hand: str
    ) -> None:
        """And that cools down and comes back as ever."""
        trackers, build = self.scenes(clock, state, 60.0)

        def scene() -> tuple[Callable[[], bool], Callable[[], object]]:
            tracker, tell = build()
            return tell, getattr(tracker.breaker("grok"), hand)

        meddle_at_each_line(scene)
        for tracker in trackers:
            status, breaker, era = tracker.snapshot()["grok"], tracker.breaker("grok"), memory_of(tracker).era
            assert status.state == breaker.state.name == breaker.current_state
            assert status.failures == breaker.fail_counter
            shown = tracker._published.get("grok")
            assert shown is (era if status.state == "closed" else getattr(era, "countdown", None))
            tracker.reset("grok")
            assert [permit_of(tracker).failure(DOWN) for _ in range(2)] == [False, True]
            assert tracker.cooldown_remaining("grok") == 600.0

    @pytest.mark.parametrize("meddling", ["record_failure", "cool_down", "reset"])
    def test_keeps_its_length_where_a_finalizer_comes_back(
        self, clock: FrozenDateTimeFactory, meddling: str
    ) -> None:
        """A finalizer's opening in the middle of it does not make it one by hand, of another length."""

        def scene() -> tuple[BreakerCooldownTracker, Callable[[], object], Callable[[], object]]:
            tracker = BreakerCooldownTracker(fail_max=1)
            permit = permit_of(tracker)
            acts: dict[str, Callable[[], object]] = {
                "record_failure": lambda: tracker.record_failure("grok", DOWN),
                "cool_down": lambda: permit.cool_down(DOWN, 40.0),
                "reset": lambda: tracker.reset("grok"),
            }

            def act() -> None:
                acts[meddling]()

            return tracker, lambda: permit.cool_down(DOWN, 60.0), act

        seen = {tracker.cooldown_remaining("grok") for tracker, _ in act_at_each_call(scene)}
        assert seen == ({0.0, 60.0} if meddling == "reset" else {60.0})


class TestBegin:
    """A probe that begins to answer, with everything else that may happen at that moment."""

    @pytest.fixture
    def probe(self, half_open: BreakerCooldownTracker) -> Permit:
        """The probe of that tracker."""
        return permit_of(half_open)

    @pytest.mark.parametrize("hand", ["open", "close", "half_open"])
    def test_that_is_late_is_stale(
        self, half_open: BreakerCooldownTracker, probe: Permit, clock: FrozenDateTimeFactory, hand: str
    ) -> None:
        """A hand changed the breaker while it waited for the lock: nothing that follows counts."""
        half_open.breaker("grok").fail_max = 1
        meddle_before_lock(half_open, getattr(half_open.breaker("grok"), hand))
        begun = probe.begin()
        state = half_open.breaker("grok").current_state
        assert state == {"open": "open", "close": "closed", "half_open": "half-open"}[hand]
        clock.tick(30)
        assert begun.failure(DOWN) is False
        assert half_open.breaker("grok").current_state == state
        assert half_open.snapshot()["grok"].failures == 0

    @pytest.mark.parametrize("moment", ["when it has counted", "when it has ended"])
    def test_belongs_to_the_very_next_era(
        self, half_open: BreakerCooldownTracker, probe: Permit, clock: FrozenDateTimeFactory, moment: str
    ) -> None:
        """Not to one that a hand begins thereafter."""
        releases = itertools.count()

        class Leaving(MeddlingLock):
            def __exit__(
                self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None
            ) -> None:
                super().__exit__(kind, error, traceback)
                if next(releases) == (moment == "when it has ended"):
                    half_open.breaker("grok").open()

        memory_of(half_open)._lock = Leaving(lambda: None)  # type: ignore[assignment]  # as above
        begun = probe.begin()
        clock.tick(30)
        assert begun.failure(DOWN) is False
        assert half_open.snapshot()["grok"].openings == 2

    @pytest.mark.parametrize("success_threshold", [1, 2])
    @pytest.mark.parametrize("hand", ["open", "close", "half_open"])
    def test_and_a_hand_at_each_line_leave_a_tracker_that_agrees_with_its_breaker(
        self, hand: str, success_threshold: int
    ) -> None:
        """The probe is not held, and the next one is a probe like any other."""
        trackers: list[BreakerCooldownTracker] = []

        def scene() -> tuple[Callable[[], Permit], Callable[[], object]]:
            tracker = BreakerCooldownTracker(fail_max=2, success_threshold=success_threshold)
            trackers.append(tracker)
            tracker.breaker("grok").half_open()
            return permit_of(tracker).begin, getattr(tracker.breaker("grok"), hand)

        permits = meddle_at_each_line(scene)
        trackers.pop()
        for tracker, begun in zip(trackers, permits, strict=True):
            status, breaker = tracker.snapshot()["grok"], tracker.breaker("grok")
            assert status.state == breaker.state.name == breaker.current_state
            assert status.state == "open" or tracker.is_available("grok")
            begun.success()
            assert breaker.current_state == status.state
            breaker.half_open()
            for _ in range(success_threshold):
                permit_of(tracker).success()
            assert tracker.snapshot()["grok"].state == "closed"


class TestFeed:
    """What pybreaker is told, and what it leaves behind."""

    def test_failures_trip_at_fail_max(self) -> None:
        """The failure that opens is told from those that do not."""
        breaker = pybreaker.CircuitBreaker(fail_max=2)
        assert [feed_failure(breaker) for _ in range(2)] == [False, True]

    def test_a_failed_trial_call_trips(self) -> None:
        """Half-open opens at the first failure."""
        breaker = pybreaker.CircuitBreaker(fail_max=5)
        breaker.half_open()
        assert feed_failure(breaker) is True

    def test_a_success_resets(self) -> None:
        """Failures in a row are forgotten."""
        breaker = pybreaker.CircuitBreaker(fail_max=2)
        feed_failure(breaker)
        feed_success(breaker)
        assert breaker.fail_counter == 0

    @pytest.mark.parametrize("prepare", [None, "open", "half_open"])
    def test_leaves_no_cycle(self, prepare: str | None) -> None:
        """Without the garbage collector, nothing of the calling frames stays alive."""

        class Answer:
            """Something that a frame refers to."""

        def feed() -> weakref.ref[Answer]:
            answer = Answer()
            breaker = pybreaker.CircuitBreaker(fail_max=1)
            if prepare is not None:
                getattr(breaker, prepare)()
            feed_success(breaker) if prepare == "open" else feed_failure(breaker)
            return weakref.ref(answer)

        gc.disable()
        try:
            assert feed()() is None
        finally:
            gc.enable()

    def test_leaves_nothing_to_the_garbage_collector(self) -> None:
        """Whether a failure counts, trips or is refused, and whether a success counts or is refused."""
        breaker = pybreaker.CircuitBreaker(fail_max=2)
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                feed_success(breaker)
                feed_failure(breaker)
                feed_failure(breaker)
                feed_failure(breaker)
                feed_success(breaker)
                breaker.close()
            assert gc.collect() == 0
        finally:
            gc.enable()

    def test_the_user_s_exception_is_untouched(self) -> None:
        """Neither its traceback grows nor does it get a context, however often it is counted."""
        error = ValueError("the same object each time")
        tracker = BreakerCooldownTracker(fail_max=3)
        for _ in range(7):
            tracker.record_failure("grok", error)
        assert error.__traceback__ is None
        assert error.__context__ is None


class TestTidying:
    """A provider that is told of while it is being forgotten."""

    @pytest.mark.parametrize("event", ["failure", "opening"])
    def test_is_known_again(self, event: str) -> None:
        """What came in between the choice and the deletion is not lost."""
        tracker = BreakerCooldownTracker(fail_max=2, max_providers=8)
        granted = tracker.acquire("grok")
        assert isinstance(granted, Permit)
        permit: Permit = granted
        memory = memory_of(tracker)
        forgotten = tracker._forgotten

        class Meddling(weakref.WeakValueDictionary[str, Memory]):
            def __setitem__(self, name: str, value: Memory) -> None:
                if value is memory and memory.counter == 0:
                    permit.failure(DOWN)
                    if event == "opening":
                        permit.failure(DOWN)
                forgotten[name] = value

        tracker._forgotten = Meddling()
        for number in range(8):
            tracker.breaker(f"healthy-{number}")
        assert tracker.snapshot()["grok"].failures == {"failure": 1, "opening": 2}[event]

    def test_looks_at_an_era_once(self) -> None:
        """A hand that opens between two looks is not taken for a closed breaker with failures."""
        tracker = BreakerCooldownTracker()
        breaker = tracker.breaker("grok")
        hands = [breaker.open]

        class Handled(Memory):
            @property
            def era(self) -> Era:
                era: Era = self.__dict__["era"]
                if hands:
                    hands.pop()()
                return era

            @era.setter
            def era(self, era: Era) -> None:
                self.__dict__["era"] = era

        memory_of(tracker).__class__ = Handled
        tracker.reset_all()
        assert tracker.snapshot()["grok"].state == "open"

    def test_is_rare_where_nobody_can_be_forgotten(self) -> None:
        """Each time the room grows by a part of those known, or 100,000 cooldowns would take for ever."""
        tidied = []

        class Counting(BreakerCooldownTracker):
            def _tidy_locked(self, newest: Memory) -> bool:
                tidied.append(newest.provider)
                return super()._tidy_locked(newest)

        tracker = Counting(max_providers=8)
        for number in range(1000):
            tracker.cool_down(f"cooling-{number}")
        assert 1 < len(tidied) < 100


class TestFinalizers:
    """Code of the user's that the garbage collector runs while a lock of ours is held."""

    def test_may_come_back_to_the_same_provider(self) -> None:
        """A finalizer in this very thread does not wait for itself."""
        tracker = BreakerCooldownTracker(fail_max=3)
        tracker.breaker("grok")
        done = threading.Event()

        def collect() -> None:
            with memory_of(tracker)._lock:
                tracker.record_failure("grok", DOWN)
            done.set()

        threading.Thread(target=collect, daemon=True).start()
        assert done.wait(10)
        assert tracker.snapshot()["grok"].failures == 1

    @pytest.mark.parametrize("look", ["snapshot", "reset_all"])
    def test_may_meet_a_new_provider_while_all_are_looked_at(self, look: str) -> None:
        """However often the collector runs while they are listed."""
        tracker = BreakerCooldownTracker(max_providers=10_000)
        handles = [tracker.breaker(f"known-{number}") for number in range(50)]
        with collecting_often(lambda: handles.append(tracker.breaker(f"new-{len(handles)}"))):
            for _ in range(5):
                getattr(tracker, look)()
        assert len(handles) > 50

    def test_may_meet_the_name_that_is_being_met(self) -> None:
        """One name is one breaker, also when a finalizer comes back while it is built."""
        tracker = BreakerCooldownTracker()
        breakers: list[pybreaker.CircuitBreaker] = []
        comes_back = iter([True])

        class Meddling(Memory):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                if next(comes_back, False):
                    breakers.append(tracker.breaker("grok"))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("fallback_exec.cooldown.breaker.Memory", Meddling)
            breakers.append(tracker.breaker("grok"))
        assert breakers[0] is breakers[1] is tracker.breaker("grok")

    def test_may_tidy_up_while_it_is_tidied_up(self) -> None:
        """Who was chosen to be forgotten may have been forgotten already."""
        tracker = BreakerCooldownTracker(max_providers=8)
        names = iter([f"met-by-a-finalizer-{number}" for number in range(30)])
        forgotten = tracker._forgotten

        class Meddling(weakref.WeakValueDictionary[str, Memory]):
            def __setitem__(self, name: str, value: Memory) -> None:
                forgotten[name] = value
                for other in names:
                    tracker.breaker(other)

        tracker._forgotten = Meddling()
        for number in range(20):
            tracker.breaker(f"healthy-{number}")
        assert len(tracker.snapshot()) <= 8


class TestPublishing:
    """What execution is shown without asking."""

    def test_who_overwrites_a_newer_era_publishes_again(self) -> None:
        """A cooldown that begins while an older era is being published is not covered up by it."""
        tracker = BreakerCooldownTracker()
        breaker = tracker.breaker("grok")
        published = tracker._published
        hands = [breaker.open]

        class Meddling(dict[str, Permit | Countdown]):
            def __setitem__(self, name: str, value: Permit | Countdown) -> None:
                if hands:
                    hands.pop()()
                published[name] = value

        memory = memory_of(tracker)
        memory._standings = Meddling()
        memory.publish()
        assert isinstance(published["grok"], Countdown)
        assert isinstance(tracker.acquire("grok"), Cooling)
