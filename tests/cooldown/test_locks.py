"""Which code runs under no lock, and which takes none."""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    Cooling,
    ExecuteConfig,
    Permit,
    Strategy,
    execute,
)
from helpers import Vendor, error_of, fail, in_thread, logger_with, vendors

DOWN = ConnectionError("down")

_numbers = itertools.count()


class ForbiddenLock:
    """A lock that nobody may take."""

    def __enter__(self) -> None:
        raise AssertionError("a lock was taken")

    def __exit__(self, *_: object) -> None:
        raise AssertionError("a lock was taken")


class Visitor:
    """What the user's code does here, wherever it is called: let another thread use the tracker, and wait.

    That thread takes the tracker's lock, the provider's, and pybreaker's. It would never end if the
    calling one held any of them.
    """

    def __init__(self, tracker: BreakerCooldownTracker, name: str = "grok") -> None:
        self._tracker = tracker
        self._name = name
        self._is_visiting = False
        self.visits = 0

    def visit(self) -> bool:
        """Visit, unless it is the visit that leads here."""
        if not self._is_visiting:
            self._is_visiting = True
            in_thread(self._use)
            self._is_visiting = False
            self.visits += 1
        return True

    def _use(self) -> None:
        self._tracker.breaker(f"new-{next(_numbers)}")
        self._tracker.record_success(self._name)
        self._tracker.record_failure(self._name, DOWN)
        self._tracker.cool_down(self._name, 5)
        self._tracker.snapshot()


def config_of(tracker: BreakerCooldownTracker, logger: logging.Logger | None = None) -> ExecuteConfig:
    """Return a config that falls back, with that tracker."""
    return ExecuteConfig(
        strategy=Strategy.FALLBACK, cooldown=tracker, logger=logger or logger_with(logging.NullHandler())
    )


def permit_of(tracker: BreakerCooldownTracker, *, force: bool = False) -> Permit:
    """Return a permit for `grok`, which the tracker must give."""
    permit = tracker.acquire("grok", force=force)
    assert isinstance(permit, Permit)
    return permit


class TestUsersCode:
    """Whatever is the user's may use the tracker, from another thread even, and wait for it."""

    @pytest.mark.parametrize("start", ["failure", "cool_down"])
    def test_a_generator_of_jitter(self, start: str) -> None:
        """`random()` is called under no lock."""

        class Visiting(random.Random):
            def random(self) -> float:
                visitor.visit()
                return 0.5

        tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0, random=Visiting())
        visitor = Visitor(tracker)
        permit_of(tracker).failure(DOWN) if start == "failure" else tracker.cool_down("grok")
        assert visitor.visits == 1

    @pytest.mark.parametrize("state", ["closed", "open", "half_open"])
    def test_the_text_of_an_error(self, state: str) -> None:
        """`__str__` is called under no lock, whatever the breaker's state."""

        class VisitingError(Exception):
            def __str__(self) -> str:
                visitor.visit()
                return "down"

        tracker = BreakerCooldownTracker()
        visitor = Visitor(tracker)
        if state != "closed":
            getattr(tracker.breaker("grok"), state)()
        permit_of(tracker, force=True).failure(VisitingError())
        assert visitor.visits == 1

    def test_the_text_of_an_error_of_a_chain(self) -> None:
        """Nor is it when records and the library's own error are written."""

        class VisitingError(Exception):
            def __str__(self) -> str:
                visitor.visit()
                return "down"

        def raise_it(_: Vendor) -> object:
            raise VisitingError

        tracker = BreakerCooldownTracker(fail_max=1)
        visitor = Visitor(tracker)
        config = config_of(tracker, logger_with(logging.StreamHandler(_Nowhere())))
        failed = error_of(AllProvidersFailedError, vendors("grok", "gemini"), config, raise_it)
        assert visitor.visits > 2
        assert "down" in str(failed)

    def test_handlers_and_filters_of_a_chain(self) -> None:
        """Records of skips, attempts, failures and cooldowns are emitted under no lock."""
        tracker = BreakerCooldownTracker(fail_max=1)
        tracker.cool_down("skipped")
        visitor = Visitor(tracker)
        handler = _VisitingHandler(visitor)
        handler.addFilter(lambda _: visitor.visit())
        config = config_of(tracker, logger_with(handler))
        error_of(AllProvidersFailedError, vendors("skipped", "grok", "gemini"), config, fail)
        assert {record.msg.split(" provider=")[0] for record in handler.seen} == {
            "skipping provider in cooldown",
            "attempting provider",
            "provider entering cooldown",
            "provider failed",
        }
        assert visitor.visits == 2 * len(handler.seen)

    def test_handlers_of_the_tracker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The warning that too many providers are cooling down is emitted under no lock."""
        tracker = BreakerCooldownTracker(max_providers=1)
        visitor = Visitor(tracker)
        handler = _VisitingHandler(visitor)
        # Not `addHandler`: pytest's own handler keeps what this one would be given as well.
        monkeypatch.setattr(logging.getLogger("fallback_exec"), "handlers", [handler])
        for number in range(5):
            tracker.cool_down(f"cooling-{number}")
        assert visitor.visits == len(handler.seen) == 1

    def test_finalizers_of_errors(self) -> None:
        """What goes when an execution drops an error goes under no lock."""
        tracker = BreakerCooldownTracker(fail_max=1)
        visitor = Visitor(tracker)

        class VisitingError(Exception):
            def __del__(self) -> None:
                visitor.visit()

        def answer_or_raise(provider: Vendor) -> str:
            if provider.name == "grok":
                raise VisitingError
            return provider.name

        tracker.record_failure("grok", VisitingError())
        assert visitor.visits == 1
        tracker.reset("grok")
        assert execute(vendors("grok", "gemini"), config_of(tracker), answer_or_raise).response == "gemini"
        assert visitor.visits == 2


class _Nowhere:
    """A stream that forgets."""

    def write(self, _: str) -> None:
        """Forget it."""


class _VisitingHandler(logging.Handler):
    """A handler that visits the tracker for each record, and takes no lock of its own."""

    def __init__(self, visitor: Visitor) -> None:
        super().__init__()
        self._visitor = visitor
        self.seen: list[logging.LogRecord] = []

    def handle(self, record: logging.LogRecord) -> bool:
        if self.filter(record):
            self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record)
        self._visitor.visit()


class TestFinalizers:
    """A permit that is dropped may be dropped at any moment: by the garbage collector, under any lock."""

    def test_take_no_lock(self, clock: FrozenDateTimeFactory) -> None:
        """A probe's permit goes while other threads hold every lock there is, and gives the probe back."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("grok")
        clock.tick(30)
        permits = [permit_of(tracker)]
        assert tracker.is_available("grok") is False

        def drop_elsewhere() -> bool:
            # The list holds the last reference: this thread is the one that runs the finalizer.
            in_thread(permits.clear)
            return tracker.is_available("grok")

        with tracker._lock, tracker._known["grok"]._lock:
            assert tracker.breaker("grok").call(drop_elsewhere) is True

    def test_of_other_permits_take_none_either(self) -> None:
        """Nor do those of a forced attempt, and of a closed breaker."""
        tracker = BreakerCooldownTracker()
        permits = [permit_of(tracker)]
        tracker.cool_down("grok", 30)
        permits.append(permit_of(tracker, force=True))
        with tracker._lock, tracker._known["grok"]._lock:
            in_thread(permits.clear)
        assert permits == []


class TestHealthyPath:
    """What an attempt at a provider costs whose breaker is closed: neither a lock nor a clock."""

    @pytest.fixture
    def tracker(self) -> BreakerCooldownTracker:
        """A tracker whose locks nobody may take; it knows two providers, for to meet one takes a lock."""
        tracker = BreakerCooldownTracker()
        tracker.breaker("grok")
        tracker.breaker("gemini")
        tracker._lock = ForbiddenLock()  # type: ignore[assignment]  # as much of a lock as is used
        tracker._known["grok"]._lock = ForbiddenLock()  # type: ignore[assignment]  # likewise
        return tracker

    def under_pybreakers_lock(self, tracker: BreakerCooldownTracker, work: Callable[[], object]) -> None:
        """Run `work` in another thread while this one is inside the breaker."""
        tracker.breaker("grok").call(lambda: in_thread(work) and None)

    def test_takes_no_lock_and_reads_no_clock(
        self, tracker: BreakerCooldownTracker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From the permit to the success, by hand and in an execution."""

        def read() -> None:
            raise AssertionError("the clock was read")

        monkeypatch.setattr("fallback_exec._clock.now", read)

        def attempt() -> None:
            permit_of(tracker).success()
            permit_of(tracker).release()
            assert tracker.is_available("grok") is True
            assert tracker.cooldown_remaining("grok") == 0.0
            result = execute(vendors("grok", "gemini"), config_of(tracker), lambda provider: provider.name)
            assert result.response == "grok"

        self.under_pybreakers_lock(tracker, attempt)

    def test_notices_a_hand_without_a_lock(self, tracker: BreakerCooldownTracker) -> None:
        """The next attempt after `open()` is refused, the next after `close()` is not."""
        breaker = tracker.breaker("grok")
        breaker.open()

        def attempt_while_open() -> None:
            cooling = tracker.acquire("grok")
            assert isinstance(cooling, Cooling)
            assert cooling.cooldown_remaining > 0.0

        in_thread(attempt_while_open)
        result = execute(vendors("grok", "gemini"), config_of(tracker), _name_of)
        assert result.response == "gemini"
        breaker.close()
        in_thread(lambda: permit_of(tracker).success())
        assert execute(vendors("grok"), config_of(tracker), _name_of).response == "grok"


def _name_of(provider: Vendor) -> str:
    return provider.name
