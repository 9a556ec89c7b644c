"""The attacker writes the tracker, its permits, its random generator, or the logger that it warns by.

They want an answer or a provider's error to be lost to an error of theirs, or a provider that is never
asked about.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import random
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pybreaker
import pytest
from freezegun import freeze_time

import fallback_exec
from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    CooldownTracker,
    Cooling,
    ExecuteConfig,
    Outcome,
    Permit,
    execute,
)
from helpers import (
    JournalPermit,
    PermitTracker,
    Records,
    ThreeMethodTracker,
    VendorError,
    error_of,
    in_thread,
    logger_with,
    replying,
    vendors,
)


class Spite(Exception):
    """What the attacker wants to see come out."""


class SpitefulTruth:
    """An answer to a yes-or-no question that is neither."""

    def __bool__(self) -> bool:
        raise Spite


class AnsweringTracker(PermitTracker):
    """A tracker whose `acquire()` returns whatever it is told to."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        super().__init__()
        self._answer = answer

    def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
        answer: Permit | Cooling = self._answer()
        return answer


class PermitOf(JournalPermit):
    """A permit of which a test says what it tells of the cooldown and what it makes of a failure."""

    def __init__(self, cooling: Any = None, started: object = False) -> None:
        super().__init__(PermitTracker(), "grok", cooling)
        self._started = started

    def failure(self, error: Exception) -> bool:
        return self._started  # type: ignore[return-value]  # that is the attack


def config_of(tracker: CooldownTracker, *handlers: logging.Handler) -> ExecuteConfig:
    """Return a config that falls back, with that tracker."""
    return ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with(*handlers))


NO_COOLDOWN: list[Callable[[], Any]] = [
    lambda: Cooling("soon"),  # type: ignore[arg-type]
    lambda: Cooling(None),  # type: ignore[arg-type]
    lambda: Cooling(5.0, None),  # type: ignore[arg-type]
    lambda: PermitOf(cooling="yes"),
    lambda: PermitOf(cooling=5.0),
    lambda: None,
    object,
]
ODD_COOLDOWNS: list[tuple[Callable[[], Cooling], float]] = [
    (lambda: Cooling(math.nan), 0.0),
    (lambda: Cooling(-5.0), 0.0),
    (lambda: Cooling(-math.inf), 0.0),
    (lambda: Cooling(Decimal(5)), 5.0),  # type: ignore[arg-type]
    (lambda: Cooling(Fraction(5, 2)), 2.5),  # type: ignore[arg-type]
    (lambda: Cooling(cooldown_remaining=True), 1.0),
    (lambda: Cooling(5.0, dt.datetime.now()), 5.0),  # naive, that is the attack
    (lambda: Cooling(5.0, dt.datetime.now(dt.timezone(dt.timedelta(hours=14)))), 5.0),
    (lambda: Cooling(0.0, dt.datetime.max.replace(tzinfo=dt.UTC)), 0.0),
    (lambda: Cooling(0.0, dt.datetime.min.replace(tzinfo=dt.UTC)), 0.0),
]


class TestAnswersOfATracker:
    """What `acquire()` may return, and what comes of it."""

    @pytest.mark.parametrize("answer", NO_COOLDOWN)
    def test_nonsense_forbids_nothing(self, answer: Callable[[], Any], records: Records) -> None:
        """An answer that tells no cooldown is an error of the tracker's, and the provider is called."""
        config = config_of(AnsweringTracker(answer), records)
        assert execute(vendors("grok", "gemini"), config, replying(grok="a cat")).provider == "grok"
        assert "ERROR cooldown tracker failed" in records.lines[0]

    @pytest.mark.parametrize("answer", NO_COOLDOWN)
    def test_nonsense_hides_no_error_of_a_provider(self, answer: Callable[[], Any]) -> None:
        """Nor does it change what the execution ends with when everybody fails."""
        failure = error_of(
            AllProvidersFailedError, vendors("grok", "gemini"), config_of(AnsweringTracker(answer))
        )
        assert len(failure.exceptions) == 2
        assert failure.retry_after is None

    def test_a_permit_of_no_class_of_ours_hides_no_answer(self) -> None:
        """One that has the methods and no more cannot say whether it waits for a success: that is logged."""
        bare = SimpleNamespace(cooling=None, success=bool, release=bool, failure=bool)
        config = ExecuteConfig(strategy="fallback", cooldown=AnsweringTracker(lambda: bare))
        assert execute(vendors("grok"), config, lambda _: "a cat").response == "a cat"

    @pytest.mark.parametrize(("answer", "seconds"), ODD_COOLDOWNS)
    def test_odd_cooldowns_are_cooldowns(self, answer: Callable[[], Cooling], seconds: float) -> None:
        """Any real number of seconds, from any moment, passes the provider over and can be waited for."""
        config = config_of(AnsweringTracker(answer))
        result = execute(vendors("grok", "gemini"), config, replying(gemini="a dog"))
        assert result.attempts[0].cooldown_remaining == seconds
        failure = error_of(AllProvidersFailedError, vendors("grok", "gemini"), config)
        assert failure.retry_after is not None
        assert 0.0 <= failure.retry_after <= seconds

    @pytest.mark.parametrize("seconds", [Decimal(5), Fraction(5), 5, 10**400], ids=str)
    def test_the_three_methods_may_use_other_numbers(self, seconds: Any) -> None:
        """A tracker of three methods that counts in decimals or fractions is understood."""
        tracker = ThreeMethodTracker(cooling={"grok": seconds}, opens={"gemini": seconds})
        failure = error_of(AllProvidersFailedError, vendors("grok", "gemini"), config_of(tracker))
        assert [attempt.outcome for attempt in failure.attempts] == [Outcome.SKIPPED, Outcome.FAILURE]
        assert failure.retry_after is not None

    def test_a_failure_that_may_have_started_a_cooldown(self, records: Records) -> None:
        """A permit whose answer is neither true nor false is an error of the tracker's, and nothing else."""
        tracker = AnsweringTracker(lambda: PermitOf(started=SpitefulTruth()))
        failure = error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker, records))
        assert len(failure.exceptions) == 1
        assert len([line for line in records.lines if line.startswith("ERROR ")]) == 1


class TestMocks:
    """Trackers as users' tests have them."""

    @pytest.mark.parametrize(
        "make",
        [
            lambda: mock.create_autospec(CooldownTracker, instance=True),
            lambda: mock.Mock(spec=CooldownTracker),
        ],
    )
    def test_a_mock_is_asked(self, make: Callable[[], Any]) -> None:
        """A mock of a tracker is asked before each attempt, and its word holds."""
        tracker = make()
        tracker.acquire.return_value = Cooling(5.0)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker)
        result = execute(vendors("grok", "gemini"), config, replying(gemini="a dog"))
        assert [attempt.outcome for attempt in result.attempts] == [Outcome.SKIPPED, Outcome.SUCCESS]
        assert tracker.acquire.call_args_list == [
            mock.call("grok", force=False),
            mock.call("gemini", force=True),
        ]

    def test_a_mock_that_was_told_nothing_hides_nothing(self) -> None:
        """A mock that answers with mocks does not keep the providers' errors from the caller."""
        tracker = mock.create_autospec(BreakerCooldownTracker, instance=True)
        failure = error_of(AllProvidersFailedError, vendors("grok", "gemini"), config_of(tracker))
        assert len(failure.exceptions) == 2


class TestSubclasses:
    """Subclasses of the breaker tracker that override a part of it."""

    def test_that_never_calls_our_init(self, records: Records) -> None:
        """A tracker without any of its attributes is broken, which is logged; the answer comes."""

        class Hollow(BreakerCooldownTracker):
            def __init__(self) -> None:
                pass

        assert (
            execute(vendors("grok"), config_of(Hollow(), records), replying(grok="a cat")).response == "a cat"
        )
        assert "ERROR cooldown tracker failed" in records.lines[0]

    def test_that_overrides_acquire_is_asked_every_time(self) -> None:
        """No shortcut goes around an `acquire()` of the user's, whatever state the provider is in."""
        asked = []

        class Asked(BreakerCooldownTracker):
            def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
                asked.append((name, force))
                return super().acquire(name, force=force)

        tracker = Asked(fail_max=1)
        for reply in ("a cat", VendorError(), "a cat"):
            execute(vendors("grok", "gemini"), config_of(tracker), replying(grok=reply, gemini="a dog"))
        names = [("grok", False), ("grok", False), ("gemini", True), ("grok", False), ("gemini", True)]
        assert asked == names

    def test_that_forbids_everything_cannot_forbid_a_terminus(self) -> None:
        """A tracker that refuses even what is forced does not keep the last provider from being called."""

        class Forbidding(BreakerCooldownTracker):
            def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
                return Cooling(5.0)

        result = execute(vendors("grok", "gemini"), config_of(Forbidding()), replying(gemini="a dog"))
        assert result.was_terminus

    def test_whose_views_raise_still_counts(self, records: Records) -> None:
        """A failure is counted though the question for the cooldown that it started fails."""

        class Blind(BreakerCooldownTracker):
            def cooldown_remaining(self, name: str) -> float:
                raise Spite

        tracker = Blind(fail_max=1)
        error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker, records))
        assert tracker.snapshot()["grok"].state == "open"


def begin_anew(tracker: BreakerCooldownTracker) -> None:
    """End the cooldown of `grok`, and begin one of 7 seconds."""
    tracker.reset("grok")
    tracker.cool_down("grok", 7.0)


class TestGenerators:
    """Generators of jitter that misbehave."""

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e308, "half", None], ids=str)
    def test_a_number_that_is_none_costs_no_more_than_the_jitter(self, number: Any) -> None:
        """However the drawing fails, the breaker is open, the error comes out and nobody waits for ever."""

        class Odd(random.Random):
            def random(self) -> Any:
                return number

        tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0, random=Odd())
        failure = error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker))
        assert len(failure.exceptions) == 1
        assert tracker.snapshot()["grok"].openings == 1
        execute(vendors("grok"), config_of(tracker), replying(grok="a cat"))
        assert tracker.snapshot()["grok"].state == "closed"

    def test_one_that_raises_is_an_error_of_the_tracker(self, records: Records) -> None:
        """The cooldown runs without jitter, and the generator's error is logged."""

        class Raising(random.Random):
            def random(self) -> float:
                raise Spite

        with freeze_time("2026-01-01"):
            tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0, random=Raising())
            error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker, records))
            assert tracker.cooldown_remaining("grok") == 30.0
        assert any("cooldown tracker failed" in line for line in records.lines)

    def test_one_that_resets_the_provider_has_the_last_word(self) -> None:
        """A generator that closes the breaker while it is asked leaves it closed."""
        hands: list[Callable[[str], object]] = []

        class Resetting(random.Random):
            def random(self) -> float:
                hands[0]("grok")
                return 1.0

        tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0, random=Resetting())
        hands.append(tracker.reset)
        assert tracker.record_failure("grok", VendorError()) is True
        assert tracker.snapshot()["grok"].state == "closed"

    def test_one_that_begins_another_cooldown_does_not_lengthen_that(self) -> None:
        """Seconds given by hand meanwhile are taken as they are: the jitter is that of the first opening."""
        hands: list[Callable[[], object]] = []

        class Opening(random.Random):
            def random(self) -> float:
                hands.pop()()
                return 1.0

        with freeze_time("2026-01-01"):
            tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0, random=Opening())
            hands.append(lambda: begin_anew(tracker))
            tracker.record_failure("grok", VendorError())
            assert tracker.cooldown_remaining("grok") == 7.0


class SpitefulListener(pybreaker.CircuitBreakerListener):
    """A listener that raises whatever it is told."""

    def state_change(self, cb: object, old_state: object, new_state: object) -> None:
        raise Spite

    def failure(self, cb: object, exc: BaseException) -> None:
        raise Spite

    def success(self, cb: object) -> None:
        raise Spite


class TestListeners:
    """Listeners that somebody has put on a breaker by hand, which the docs advise against."""

    @pytest.mark.parametrize("state", ["closed", "half-open", "open"])
    def test_one_that_raises_hides_nothing(self, state: str) -> None:
        """Neither an answer nor a provider's error is lost to it, and the lock is free afterwards."""
        tracker = BreakerCooldownTracker(fail_max=1)
        breaker = tracker.breaker("grok")
        {"closed": breaker.close, "half-open": breaker.half_open, "open": breaker.open}[state]()
        listener = SpitefulListener()
        breaker.add_listener(listener)
        assert execute(vendors("grok"), config_of(tracker), replying(grok="a cat")).response == "a cat"
        failure = error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker))
        assert len(failure.exceptions) == 1
        breaker.remove_listener(listener)
        in_thread(lambda: tracker.reset("grok"))
        assert tracker.record_failure("grok", VendorError()) is True

    def test_one_that_uses_the_tracker_in_the_same_thread_waits_for_nothing(self) -> None:
        """A listener that looks at the tracker and tells it of another provider finds every lock its own."""
        tracker = BreakerCooldownTracker(fail_max=1)
        seen = []

        class Looking(pybreaker.CircuitBreakerListener):
            def state_change(self, cb: object, old_state: object, new_state: object) -> None:
                tracker.record_failure("gemini", VendorError())
                seen.append(tracker.snapshot()["gemini"].state)

        tracker.breaker("grok").add_listener(Looking())
        error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker))
        assert seen == ["open"]
        assert tracker.snapshot()["grok"].state == "open"


class TestExemptProviders:
    """`EXEMPT_PROVIDERS`, replaced by something that is no set."""

    @pytest.mark.parametrize("exempt", [None, 5, mock.Mock(spec=[])], ids=["None", "number", "mock"])
    def test_hides_no_error_of_a_provider(self, exempt: Any, records: Records) -> None:
        """A set that cannot be asked counts nothing, and the chain ends with the providers' errors."""
        fallback_exec.EXEMPT_PROVIDERS = exempt
        tracker = BreakerCooldownTracker(fail_max=1)
        failure = error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker, records))
        assert failure.exceptions[0].__context__ is None
        assert any("cooldown tracker failed" in line for line in records.lines)


class TestTheWarning:
    """The one warning that a tracker logs of itself."""

    def test_a_handler_that_raises_loses_no_outcome(self, caplog: pytest.LogCaptureFixture) -> None:
        """A failure that is recorded while the warning cannot be logged is counted all the same."""

        class Raising(logging.Filter):
            def filter(self, record: logging.LogRecord) -> bool:
                raise Spite

        spite = Raising()
        logging.getLogger("fallback_exec").addFilter(spite)
        try:
            tracker = BreakerCooldownTracker(fail_max=1, max_providers=1)
            assert tracker.record_failure("grok", VendorError()) is True
            assert tracker.record_failure("gemini", VendorError()) is True
            assert tracker.record_failure("mistral", VendorError()) is True
        finally:
            logging.getLogger("fallback_exec").removeFilter(spite)

    def test_a_handler_may_use_the_tracker(self) -> None:
        """Whoever is told that the names overflow may look at them, and meet more."""
        seen = []
        tracker = BreakerCooldownTracker(fail_max=1, max_providers=1)

        class Looking(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                tracker.record_failure("mistral", VendorError())
                seen.append(tracker.snapshot()["mistral"].state)

        handler = Looking()
        logging.getLogger("fallback_exec").addHandler(handler)
        try:
            tracker.record_failure("grok", VendorError())
            tracker.record_failure("gemini", VendorError())
        finally:
            logging.getLogger("fallback_exec").removeHandler(handler)
        assert seen == ["open"]
        assert set(tracker.snapshot()) == {"grok", "gemini", "mistral"}
