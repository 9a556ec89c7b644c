"""What listeners are told of executions and of streams."""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import itertools
import logging
import pickle
import re
import subprocess
import sys
import threading
import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import attrs
import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    CooldownTracker,
    Cooling,
    Deadline,
    DeadlineExceededError,
    ExecuteConfig,
    ExecutionCancelledError,
    FallbackExecError,
    InvalidConfigError,
    NoProvidersError,
    Outcome,
    Permit,
    ProviderFailedError,
    ResponseRejectedError,
    StaleIfError,
    StandInError,
    Strategy,
    StreamResult,
    Verdict,
    execute,
    execute_stream,
)
from fallback_exec.events import (
    AttemptFailed,
    AttemptSucceeded,
    CooldownEnded,
    CooldownStarted,
    Event,
    ExecutionFinished,
    ExecutionOutcome,
    Listener,
    ProviderSkipped,
)
from fallback_exec.shared import InMemoryCooldownStore
from helpers import (
    Held,
    JournalPermit,
    KeywordOnlyError,
    PermitTracker,
    Records,
    ThreeMethodTracker,
    Vendor,
    VendorError,
    Watch,
    act_at_each_call,
    fail,
    in_threads,
    logger_with,
    replying,
    vendors,
)

DOWN = VendorError("down")


class StopEverythingError(BaseException):
    """Stands for Ctrl-C."""


class Scene:
    """A chain `[a, z]`, its tracker, and all that its listener was told."""

    def __init__(self, *, names: tuple[str, ...] = ("a", "z"), **settings: Any) -> None:
        self.told: list[Event] = []
        self.records = Records()
        self.chain = tuple(vendors(*names))
        self.tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        known: dict[str, Any] = {
            "strategy": Strategy.FALLBACK,
            "cooldown": self.tracker,
            "logger": logger_with(self.records),
            "listeners": [self.told.append],
        }
        self.config = ExecuteConfig(**{**known, **settings})

    def run(self, deadline: Deadline | float | None = None, **replies: object) -> list[Event]:
        """Execute; return what was told of it."""
        self.told.clear()
        self.came_out: BaseException | None = None
        try:
            execute(self.chain, self.config, replying(**replies), deadline=deadline)
        except BaseException as error:
            self.came_out = error
        return self.told

    def stream(self, **replies: Any) -> StreamResult[Any]:
        """Begin a stream; replies are its items, of which exceptions are raised."""
        self.told.clear()
        return execute_stream(self.chain, self.config, lambda provider: pieces(replies[provider.name]))


def pieces(items: Any) -> Iterator[object]:
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item


def brief(events: list[Event]) -> list[tuple[object, ...]]:
    """Return of each event its kind, its provider, its attempt's number, and its outcome if it has one."""
    return [
        (
            type(event).__name__,
            event.provider,
            event.attempt_num,
            *([event.outcome] if hasattr(event, "outcome") else []),
        )
        for event in events
    ]


def last(events: list[Event]) -> ExecutionFinished:
    (end,) = [event for event in events if isinstance(event, ExecutionFinished)]
    assert end is events[-1]
    return end


class TestOrder:
    """What is told of which execution, in which order."""

    def test_of_a_failure_that_starts_a_cooldown_and_of_the_next_call(self) -> None:
        """As the documentation says."""
        scene = Scene()
        assert brief(scene.run(a=DOWN, z="answer")) == [
            ("AttemptFailed", "a", 1, "failure"),
            ("CooldownStarted", "a", 1),
            ("AttemptSucceeded", "z", 2, "success"),
            ("ExecutionFinished", "z", 2, "success"),
        ]
        assert brief(scene.run(z="answer")) == [
            ("ProviderSkipped", "a", None),
            ("AttemptSucceeded", "z", 1, "success"),
            ("ExecutionFinished", "z", 1, "success"),
        ]

    def test_of_a_probe_that_is_answered(self, clock: FrozenDateTimeFactory) -> None:
        """The answer has ended the cooldown; the next one ends none."""
        scene = Scene()
        scene.run(a=DOWN, z="answer")
        clock.tick(30)
        assert brief(scene.run(a="answer")) == [
            ("AttemptSucceeded", "a", 1, "success"),
            ("CooldownEnded", "a", 1),
            ("ExecutionFinished", "a", 1, "success"),
        ]
        assert brief(scene.run(a="answer")) == [
            ("AttemptSucceeded", "a", 1, "success"),
            ("ExecutionFinished", "a", 1, "success"),
        ]

    def test_of_a_probe_that_fails(self, clock: FrozenDateTimeFactory) -> None:
        """It starts another cooldown."""
        scene = Scene()
        scene.run(a=DOWN, z="answer")
        clock.tick(30)
        assert brief(scene.run(a=DOWN, z="answer"))[:2] == [
            ("AttemptFailed", "a", 1, "failure"),
            ("CooldownStarted", "a", 1),
        ]

    def test_of_several_probes(self, clock: FrozenDateTimeFactory) -> None:
        """The one ends the cooldown with which the breaker closes."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30, success_threshold=2)
        scene = Scene(cooldown=tracker)
        scene.run(a=DOWN, z="answer")
        clock.tick(30)
        assert not any(isinstance(event, CooldownEnded) for event in scene.run(a="answer"))
        assert isinstance(scene.run(a="answer")[1], CooldownEnded)

    def test_of_a_terminus_despite_its_cooldown(self) -> None:
        """Its failure starts none; its answer ends it."""
        scene = Scene(names=("z",))
        scene.run(z=DOWN)
        failed, finished = scene.run(z=DOWN)
        assert isinstance(failed, AttemptFailed)
        assert failed.was_terminus
        assert failed.cooldown_remaining == pytest.approx(30, abs=5)
        assert isinstance(finished, ExecutionFinished)
        assert brief(scene.run(z="answer")) == [
            ("AttemptSucceeded", "z", 1, "success"),
            ("CooldownEnded", "z", 1),
            ("ExecutionFinished", "z", 1, "success"),
        ]

    def test_a_success_that_forgets_failures_ends_no_cooldown(self) -> None:
        """There was none."""
        scene = Scene(cooldown=BreakerCooldownTracker(fail_max=2))
        scene.run(a=DOWN, z="answer")
        assert brief(scene.run(a="answer")) == [
            ("AttemptSucceeded", "a", 1, "success"),
            ("ExecutionFinished", "a", 1, "success"),
        ]

    def test_a_stale_success_ends_no_cooldown(self) -> None:
        """A hand has closed the breaker while it was asked."""
        scene = Scene(names=("z",))
        scene.run(z=DOWN)

        def fn(_provider: Vendor) -> str:
            scene.tracker.reset("z")
            return "answer"

        scene.told.clear()
        execute(scene.chain, scene.config, fn)
        assert brief(scene.told) == [
            ("AttemptSucceeded", "z", 1, "success"),
            ("ExecutionFinished", "z", 1, "success"),
        ]

    def test_of_an_answer_that_is_not_accepted(self) -> None:
        """It failed, with what stands for it."""
        scene = Scene(accept=lambda answer: answer == "good")
        rejected = scene.run(a="bad", z="good")[0]
        assert isinstance(rejected, AttemptFailed)
        assert rejected.outcome is Outcome.REJECTED
        assert isinstance(rejected.error, ResponseRejectedError)

    def test_of_a_failure_that_is_not_counted(self) -> None:
        """It failed, and starts nothing."""
        scene = Scene(classify=lambda _error: Verdict.neutral())
        assert brief(scene.run(a=DOWN, z="answer"))[:2] == [
            ("AttemptFailed", "a", 1, "neutral"),
            ("AttemptSucceeded", "z", 2, "success"),
        ]

    def test_of_a_vendor_that_says_for_how_long(self) -> None:
        """The cooldown is as long as it says."""
        scene = Scene(classify=lambda _error: Verdict.cool_down(600))
        started = scene.run(a=DOWN, z="answer")[1]
        assert isinstance(started, CooldownStarted)
        assert started.cooldown_remaining == pytest.approx(600, abs=5)

    def test_of_those_that_are_asked_one_by_one(self) -> None:
        """A tracker that has three methods is asked, and passes over just so."""
        scene = Scene(cooldown=ThreeMethodTracker(cooling={"a": 20.0}))
        skipped = scene.run(z="answer")[0]
        assert skipped == ProviderSkipped(
            execution_id=skipped.execution_id,
            time=skipped.time,
            provider="a",
            attempt_num=None,
            latency=0.0,
            error=None,
            cooldown_remaining=20.0,
        )

    @pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
    def test_does_not_depend_on_the_level_of_the_log(self, level: int) -> None:
        """Listeners are told where nothing is logged, and the other way round."""
        scene = Scene(logger=logger_with(level=level))
        scene.run(a=DOWN, z="answer")
        assert brief(scene.run(z="answer"))[0] == ("ProviderSkipped", "a", None)

    def test_the_log_is_the_same_with_and_without_listeners(self) -> None:
        """Of each strategy, at DEBUG."""

        def lines(strategy: Strategy, **settings: Any) -> list[str]:
            scene = Scene(strategy=strategy, **settings)
            for _ in range(3):
                scene.run(a=DOWN, z="answer")
            return [re.sub(r"latency=\S+|cooldown\w*=\S+", "", line) for line in scene.records.lines]

        for strategy in Strategy:
            assert lines(strategy) == lines(strategy, listeners=[])

    @pytest.mark.parametrize("strategy", [Strategy.PRIMARY_ONLY, Strategy.ROUND_ROBIN])
    def test_of_the_other_strategies(self, strategy: Strategy) -> None:
        """One attempt, and no cooldown."""
        scene = Scene(strategy=strategy)
        assert brief(scene.run(a="answer")) == [
            ("AttemptSucceeded", "a", 1, "success"),
            ("ExecutionFinished", "a", 1, "success"),
        ]
        assert brief(scene.run(a=DOWN, z=DOWN)) == [
            ("AttemptFailed", "a" if strategy is Strategy.PRIMARY_ONLY else "z", 1, "failure"),
            ("ExecutionFinished", "a" if strategy is Strategy.PRIMARY_ONLY else "z", 1, "failed"),
        ]
        assert not scene.told[0].was_terminus  # type: ignore[attr-defined]

    def test_each_listener_is_told_in_turn(self) -> None:
        """In the order in which they stand, of one event after the other."""
        told: list[tuple[str, str]] = []
        first, second = (lambda event, who=who: told.append((who, type(event).__name__)) for who in "12")
        Scene(listeners=(first, second), names=("z",)).run(z="answer")
        assert told == [
            ("1", "AttemptSucceeded"),
            ("2", "AttemptSucceeded"),
            ("1", "ExecutionFinished"),
            ("2", "ExecutionFinished"),
        ]

    def test_is_told_as_it_happens(self) -> None:
        """The failure before the next provider is called, and the answer before it is returned."""
        journal: list[str] = []
        scene = Scene(listeners=[lambda event: journal.append(type(event).__name__)])

        def fn(provider: Vendor) -> str:
            journal.append(f"calling {provider.name}")
            return str(replying(a=DOWN, z="answer")(provider))

        execute(scene.chain, scene.config, fn)
        journal.append("returned")
        assert journal == [
            "calling a",
            "AttemptFailed",
            "CooldownStarted",
            "calling z",
            "AttemptSucceeded",
            "ExecutionFinished",
            "returned",
        ]


class TestEnds:
    """What an execution came to."""

    def test_exhausted(self) -> None:
        """Nobody answered: it is nobody's end."""
        scene = Scene()
        end = last(scene.run(a=DOWN, z=VendorError("down, too")))
        assert (end.outcome, end.provider, end.attempt_num) == (ExecutionOutcome.EXHAUSTED, None, 2)
        assert isinstance(end.error, AllProvidersFailedError)
        assert end.error is scene.came_out

    def test_failed(self) -> None:
        """The only one did."""
        scene = Scene(strategy=Strategy.PRIMARY_ONLY)
        end = last(scene.run(a=DOWN))
        assert (end.outcome, end.provider, end.attempt_num) == (ExecutionOutcome.FAILED, "a", 1)
        assert isinstance(end.error, ProviderFailedError)
        assert end.error is scene.came_out

    def test_aborted(self) -> None:
        """By the verdict on the error."""
        scene = Scene(classify=lambda _error: Verdict.abort())
        end = last(scene.run(a=DOWN, z="answer"))
        assert (end.outcome, end.provider, end.attempt_num) == (ExecutionOutcome.ABORTED, "a", 1)
        assert end.error is scene.came_out

    def test_the_deadline_was_over_before_the_first_attempt(self) -> None:
        """There was none, and it is told nevertheless."""
        scene = Scene()
        end = last(scene.run(deadline=Deadline(-1), a="answer"))
        assert scene.told == [end]
        assert (end.outcome, end.provider, end.attempt_num) == (ExecutionOutcome.DEADLINE, None, 0)
        assert isinstance(end.error, DeadlineExceededError)
        assert end.error is scene.came_out

    def test_the_deadline_was_over_after_an_attempt(self, clock: FrozenDateTimeFactory) -> None:
        """The failure is told first."""
        scene = Scene()

        def slow(_provider: Vendor) -> str:
            clock.tick(5)
            raise DOWN

        with pytest.raises(DeadlineExceededError):
            execute(scene.chain, scene.config, slow, deadline=5)
        assert brief(scene.told) == [
            ("AttemptFailed", "a", 1, "failure"),
            ("CooldownStarted", "a", 1),
            ("ExecutionFinished", None, 1, "deadline"),
        ]

    def test_the_deadline_was_cancelled(self) -> None:
        """Likewise."""
        deadline = Deadline()
        deadline.cancel()
        scene = Scene()
        end = last(scene.run(deadline=deadline, a="answer"))
        assert (end.outcome, end.attempt_num) == (ExecutionOutcome.CANCELLED, 0)
        assert isinstance(end.error, ExecutionCancelledError)

    def test_interrupted_amid_an_attempt(self) -> None:
        """The attempt has come to nothing that is told, and the end names it."""
        scene = Scene()
        end = last(scene.run(a=DOWN, z=KeyboardInterrupt()))
        assert (end.outcome, end.provider, end.attempt_num) == (ExecutionOutcome.INTERRUPTED, "z", 2)
        assert isinstance(end.error, KeyboardInterrupt)
        assert end.error is scene.came_out
        assert [type(event) for event in scene.told[:-1]] == [AttemptFailed, CooldownStarted]

    @pytest.mark.parametrize(
        "error", [VendorError("no idea"), AllProvidersFailedError("another chain's", [DOWN])], ids=repr
    )
    def test_interrupted_by_what_accept_raises(self, error: Exception) -> None:
        """Also where that is the error of another execution: this one was not exhausted."""

        def accept(_answer: object) -> bool:
            raise error

        scene = Scene(accept=accept)
        end = last(scene.run(a="answer"))
        assert (end.outcome, end.provider, end.attempt_num) == (ExecutionOutcome.INTERRUPTED, "a", 1)
        assert end.error is error is scene.came_out

    def test_interrupted_by_a_coroutine(self) -> None:
        """It is refused, and nobody's failure."""

        async def answer() -> None:
            """Be nobody's answer."""

        scene = Scene()
        end = last(scene.run(a=answer()))
        assert (end.outcome, end.provider) == (ExecutionOutcome.INTERRUPTED, "a")
        assert isinstance(end.error, InvalidConfigError)

    def test_interrupted_between_two_attempts(self) -> None:
        """By a handler of the log, say: it is no provider's."""

        class Impatient(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise StopEverythingError

        scene = Scene(logger=logger_with(Impatient(), level=logging.WARNING), cooldown=None)
        end = last(scene.run(a=DOWN, z="answer"))
        assert (end.outcome, end.attempt_num) == (ExecutionOutcome.INTERRUPTED, 1)
        assert isinstance(end.error, StopEverythingError)

    @pytest.mark.parametrize(
        ("chain", "arguments", "error"),
        [
            pytest.param((), {"fn": fail}, NoProvidersError, id="no providers"),
            pytest.param(vendors("a"), {"fn": "no function"}, InvalidConfigError, id="no function"),
            pytest.param(
                vendors("a"), {"fn": fail, "deadline": "soon"}, InvalidConfigError, id="no deadline"
            ),
        ],
    )
    def test_nothing_is_told_of_what_does_not_begin(
        self, chain: Any, arguments: dict[str, Any], error: type[Exception]
    ) -> None:
        """The mistake is raised, and there was no execution."""
        scene = Scene()
        with pytest.raises(error):
            execute(chain, scene.config, **arguments)
        assert scene.told == []

    def test_a_stale_answer_does_not_change_what_happened(self) -> None:
        """The chain was exhausted, whatever is given in its place."""
        scene = Scene(names=("z",))
        stale: StaleIfError[object] = StaleIfError(ttl=60)
        stale.execute("key", scene.chain, scene.config, replying(z="answer"))
        scene.told.clear()
        assert stale.execute("key", scene.chain, scene.config, replying(z=DOWN)).is_stale
        assert last(scene.told).outcome is ExecutionOutcome.EXHAUSTED


class TestRecords:
    """The events themselves."""

    def test_the_id_is_that_of_one_execution(self) -> None:
        """Of its events and of no others."""
        scene = Scene()
        first = {event.execution_id for event in list(scene.run(a=DOWN, z="answer"))}
        second = {event.execution_id for event in list(scene.run(z="answer"))}
        assert len(first) == len(second) == 1
        assert first != second
        assert re.fullmatch("[0-9a-f]{32}", first.pop())

    def test_times_are_those_of_the_clock_of_cooldowns(self, clock: FrozenDateTimeFactory) -> None:
        """Each event has its own."""
        scene = Scene()
        start = dt.datetime.now(dt.UTC)

        def slow(provider: Vendor) -> object:
            clock.tick(2)
            return replying(a=DOWN, z="answer")(provider)

        execute(scene.chain, scene.config, slow)
        assert [(event.time - start).total_seconds() for event in scene.told] == [2, 2, 4, 4]
        assert all(event.time.tzinfo is dt.UTC for event in scene.told)

    def test_latencies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those of the calls; at the end, that of the whole."""
        now = itertools.count()
        for module in ("execution", "notifying"):
            monkeypatch.setattr(f"fallback_exec.{module}.perf_counter", partial(next, now))
        scene = Scene()
        # 0: it begins; 1 to 2: the first call; 3 to 4: the second; 5: it ends.
        assert [event.latency for event in scene.run(a=DOWN, z="answer")] == [1, 1, 1, 5]
        assert [event.latency for event in scene.run(z="answer")] == [0.0, 1, 3]

    def test_errors_are_the_objects_that_were_raised(self) -> None:
        """Of the attempt and of what it started; skips and answers have none."""
        scene = Scene()
        error = VendorError("down")
        assert [event.error for event in scene.run(a=error, z="answer")] == [error, error, None, None]
        assert scene.told[0].error is error
        assert [event.error for event in scene.run(z="answer")] == [None, None, None]

    def test_whether_it_was_the_terminus(self) -> None:
        """Of attempts."""
        scene = Scene()
        told = scene.run(a=DOWN, z=DOWN)
        terminus = [event.was_terminus for event in told if isinstance(event, AttemptFailed)]
        assert terminus == [False, True]
        answered = scene.run(z="answer")[1]
        assert isinstance(answered, AttemptSucceeded)
        assert answered.was_terminus

    def test_what_is_left_of_cooldowns(self, clock: FrozenDateTimeFactory) -> None:
        """Of a failure that starts one, of the cooldown, and of skips; None where there is none."""
        scene = Scene(names=("a", "b", "z"), cooldown=BreakerCooldownTracker(fail_max=2, reset_timeout=30))
        failed = scene.run(a=DOWN, b="answer")[0]
        assert isinstance(failed, AttemptFailed)
        assert failed.cooldown_remaining is None
        failed, started, *_ = scene.run(a=DOWN, b="answer")
        assert isinstance(failed, AttemptFailed)
        assert failed.cooldown_remaining == 30.0
        assert isinstance(started, CooldownStarted)
        assert started.cooldown_remaining == 30.0
        clock.tick(10)
        skipped = scene.run(b="answer")[0]
        assert isinstance(skipped, ProviderSkipped)
        assert skipped.cooldown_remaining == 20.0

    def test_are_frozen(self) -> None:
        """Nobody changes what the next listener is told."""
        event = Scene().run(a=DOWN, z="answer")[0]
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            event.provider = "b"  # type: ignore[misc]

    def test_are_equal_by_value(self) -> None:
        """As records are."""
        event = Scene().run(a=DOWN, z="answer")[0]
        assert event == attrs.evolve(event)
        assert event != attrs.evolve(event, latency=event.latency + 1)

    def test_show_no_credentials(self) -> None:
        """Neither of the name nor of the error."""
        scene = Scene(names=("https://me:hunter2@vendor.example", "z"))
        replies: dict[str, Any] = {scene.chain[0].name: VendorError("key=sk-abcdefghijklmnop1234")}
        told = scene.run(**replies, z="answer")
        assert "hunter2" not in repr(told)
        assert "abcdefghijklmnop" not in repr(told)
        assert told[0].provider == "https://me:hunter2@vendor.example"

    def test_survive_a_pickle(self) -> None:
        """An error that does not is replaced."""
        scene = Scene(names=("a", "b", "z"))
        scene.run(a=KeywordOnlyError("slow down", status_code=429), b=DOWN, z="answer")
        told = [*scene.told, *scene.run(z="answer")]
        copies = pickle.loads(pickle.dumps(told))
        assert brief(copies) == brief(told)
        assert [type(copy.error) for copy in copies[:4]] == [StandInError] * 2 + [VendorError] * 2
        assert str(copies[0].error) == "slow down"
        assert copies[4:] == told[4:]

    def test_of_executions_within_executions(self) -> None:
        """Each has its own, and its id tells whose is whose."""
        inner, outer = Scene(names=("z",)), Scene(names=("z",))
        execute(
            outer.chain,
            outer.config,
            lambda _provider: execute(inner.chain, inner.config, replying(z="answer")),
        )
        assert len(inner.told) == len(outer.told) == 2
        assert inner.told[0].execution_id != outer.told[0].execution_id


class TestListeners:
    """What a listener may do."""

    @pytest.mark.parametrize("strategy", list(Strategy))
    def test_may_raise(self, strategy: Strategy) -> None:
        """It is logged once for each listener, whatever happens how often; nothing else changes."""

        def bad(_event: Event) -> None:
            raise ValueError("bad")

        def worse(_event: Event) -> None:
            raise OSError("worse")

        told: list[Event] = []
        scene = Scene(listeners=[bad, told.append, worse], strategy=strategy)
        for _ in range(3):
            assert execute(scene.chain, scene.config, replying(a="answer", z="answer")).response == "answer"
            with pytest.raises(FallbackExecError):
                execute(scene.chain, scene.config, replying(a=DOWN, z=DOWN))
        assert [line for line in scene.records.lines if "listener" in line] == [
            "ERROR listener failed listener=0 event=AttemptSucceeded error=bad",
            "ERROR listener failed listener=2 event=AttemptSucceeded error=worse",
        ]
        assert brief(told[:2]) == brief(Scene(strategy=strategy).run(a="answer", z="answer"))

    def test_one_of_two_threads_logs_it(self) -> None:
        """At the same moment."""

        def bad(_event: Event) -> None:
            raise ValueError("bad")

        scene = Scene(listeners=[bad])
        in_threads(8, lambda _number: execute(scene.chain, scene.config, replying(a="answer")))
        assert len([line for line in scene.records.lines if "listener" in line]) == 1

    def test_a_stream_does_not_log_it_again(self) -> None:
        """It is the same listener."""

        def bad(_event: Event) -> None:
            raise ValueError("bad")

        scene = Scene(listeners=[bad])
        for _ in range(2):
            assert list(scene.stream(a=[1, 2])) == [1, 2]
        assert len([line for line in scene.records.lines if "listener" in line]) == 1

    def test_may_call_the_tracker(self) -> None:
        """No lock is held, neither ours nor pybreaker's: another thread may, too, and be waited for."""
        tracker = BreakerCooldownTracker(fail_max=1)
        seen: list[object] = []

        def look() -> None:
            snapshot = tracker.snapshot()
            seen.append(snapshot["a"].state if "a" in snapshot else None)
            tracker.breaker("a").close()
            tracker.cool_down("a", 60)
            tracker.reset_all()

        def listener(_event: Event) -> None:
            in_threads(1, lambda _number: look())

        scene = Scene(cooldown=tracker, listeners=[listener])
        scene.run(a=DOWN, z="answer")
        assert seen == ["open", "closed", "closed", "closed"]

    def test_may_execute(self) -> None:
        """With the same config, if it knows when to stop."""
        scene = Scene(names=("z",))
        nested: list[object] = []

        def listener(event: Event) -> None:
            if not nested:
                nested.append(event)
                nested.append(execute(scene.chain, config, replying(z="nested")).response)

        config = attrs.evolve(scene.config, listeners=[listener])
        assert execute(scene.chain, config, replying(z="answer")).response == "answer"
        assert nested[1] == "nested"

    def test_what_it_raises_leaves_the_provider_s_error_as_it_was(self) -> None:
        """Where it raises that very error, it neither grows nor gets a context."""
        error = VendorError("down")

        def listener(event: Event) -> None:
            if event.error is not None:
                try:
                    raise ValueError("of its own")
                except ValueError:
                    raise event.error  # noqa: B904  # so that it gets a context

        def lengths(listeners: list[Listener]) -> list[int]:
            scene = Scene(listeners=listeners)
            scene.run(a=error, z=DOWN)
            assert error.__context__ is None
            assert isinstance(scene.came_out, AllProvidersFailedError)
            assert scene.came_out.__context__ is None
            assert scene.came_out.__cause__ is DOWN
            grown = [len(traceback.extract_tb(each.__traceback__)) for each in (error, scene.came_out)]
            error.with_traceback(None)
            return grown

        assert lengths([listener]) == lengths([])

    def test_an_interruption_goes_through(self) -> None:
        """It is nobody's, as anywhere; the end is told to the others."""
        told: list[Event] = []

        def listener(event: Event) -> None:
            if isinstance(event, AttemptSucceeded):
                raise StopEverythingError

        scene = Scene(listeners=[told.append, listener])
        scene.run(a="answer")
        assert isinstance(scene.came_out, StopEverythingError)
        assert brief(told) == [
            ("AttemptSucceeded", "a", 1, "success"),
            ("ExecutionFinished", None, 1, "interrupted"),
        ]

    def test_an_interruption_of_the_last_event_is_told_to_nobody(self) -> None:
        """The end is told once."""
        told: list[Event] = []

        def listener(event: Event) -> None:
            told.append(event)
            if isinstance(event, ExecutionFinished):
                raise StopEverythingError

        for replies in ({"a": "answer"}, {"a": DOWN, "z": DOWN}):
            told.clear()
            scene = Scene(listeners=[listener])
            scene.run(**replies)
            assert isinstance(scene.came_out, StopEverythingError)
            assert len([event for event in told if isinstance(event, ExecutionFinished)]) == 1

    def test_an_interruption_at_any_moment_loses_no_probe(self, clock: FrozenDateTimeFactory) -> None:
        """Wherever it comes: what the attempt held is given back, and the end is told at most once."""
        told: list[Event] = []

        def scene() -> tuple[BreakerCooldownTracker, Callable[[], object], Callable[[], object]]:
            told.clear()
            tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
            tracker.record_failure("a", DOWN)
            clock.tick(31)
            config = ExecuteConfig(
                strategy="fallback", cooldown=tracker, listeners=[told.append], logger=logger_with()
            )

            def interrupt() -> None:
                raise StopEverythingError

            chain = tuple(vendors("a", "z"))
            return tracker, partial(execute, chain, config, replying(a="answer")), interrupt

        moments = 0
        for tracker, came_out in act_at_each_call(scene):
            moments += 1
            assert isinstance(came_out, StopEverythingError)
            assert tracker.is_available("a")
            assert Counter(type(event) for event in told)[ExecutionFinished] <= 1
        assert moments > 10

    def test_many_threads_at_once(self) -> None:
        """The events of each execution are whole and in order."""
        scene = Scene(cooldown=None)

        def work(number: int) -> None:
            for _ in range(20):
                execute(scene.chain, scene.config, replying(a=DOWN, z=number))

        in_threads(8, work)
        stories: dict[str, list[Event]] = {}
        for event in scene.told:
            stories.setdefault(event.execution_id, []).append(event)
        assert len(stories) == 160
        for story in stories.values():
            assert brief(story) == [
                ("AttemptFailed", "a", 1, "failure"),
                ("AttemptSucceeded", "z", 2, "success"),
                ("ExecutionFinished", "z", 2, "success"),
            ]

    def test_keep_nothing_alive(self) -> None:
        """Once it is told, an error with its frames goes when the caller lets it go, without a collection."""
        watch = Watch()
        scene = Scene(listeners=[lambda _event: None], cooldown=None)

        def fn(provider: Vendor) -> object:
            held = watch(provider.name, Held())
            raise VendorError(f"{provider.name} is down, {held!r}")

        gc.disable()
        try:
            with contextlib.suppress(AllProvidersFailedError):
                execute(scene.chain, scene.config, fn)
            assert watch.labels == {"a", "z"}
            assert watch.alive == set()
        finally:
            gc.enable()

    def test_a_listener_that_raises_keeps_nothing_alive(self) -> None:
        """Its error, kept by a handler of the log or not, holds no frame of ours."""
        watch = Watch()

        def listener(event: Event) -> None:
            held = watch(f"{type(event).__name__} {event.provider}", Held())
            raise ValueError(f"{held!r}") from event.error

        scene = Scene(listeners=[listener], cooldown=None, logger=logger_with())
        gc.disable()
        try:
            with contextlib.suppress(AllProvidersFailedError):
                execute(scene.chain, scene.config, fail)
            assert len(watch.labels) == 3
            assert watch.alive == set()
        finally:
            gc.enable()

    def test_what_it_raises_holds_no_frames(self) -> None:
        """Should it keep its errors."""
        kept: list[Exception] = []

        def listener(event: Event) -> None:
            kept.append(ValueError("bad"))
            raise kept[-1]

        Scene(listeners=[listener]).run(a=DOWN, z="answer")
        assert len(kept) == 4
        assert {error.__traceback__ for error in kept} == {None}

    def test_are_let_go_with_the_config(self) -> None:
        """Nothing of ours is a cycle."""

        class Listening:
            def __call__(self, event: Event) -> None:
                """Want to know nothing."""

        listener = Listening()
        gone = weakref.ref(listener)
        gc.disable()
        try:
            config = ExecuteConfig(listeners=[listener])
            execute(vendors("a"), config, replying(a="answer"))
            with execute_stream(vendors("a"), config, lambda _provider: iter([1, 2])) as stream:
                next(stream)
            del listener, config, stream
            assert gone() is None
        finally:
            gc.enable()


class TestTrackersOfUsers:
    """Trackers that know nothing of ends, and such that are broken."""

    def test_a_permit_that_says_nothing_ends_no_cooldown(self) -> None:
        """As by default."""
        scene = Scene(names=("z",), cooldown=PermitTracker(cooling={"z": 20.0}))
        assert [type(event) for event in scene.run(z="answer")] == [AttemptSucceeded, ExecutionFinished]

    def test_a_permit_may_say_so(self) -> None:
        """By the attribute."""

        class Ending(PermitTracker):
            def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
                permit = super().acquire(name, force=force)
                assert isinstance(permit, JournalPermit)
                permit.has_ended_cooldown = True
                return permit

        scene = Scene(names=("z",), cooldown=Ending())
        assert isinstance(scene.run(z="answer")[1], CooldownEnded)
        with scene.stream(z=[1]) as stream:
            assert list(stream) == [1]
        assert isinstance(scene.told[0], CooldownEnded)

    def test_a_permit_that_cannot_be_asked_hides_no_answer(self) -> None:
        """It is logged."""

        class Mute:
            cooling = None
            awaits_success = False

        class Odd(ThreeMethodTracker):
            def acquire(self, name: str, *, force: bool = False) -> Any:
                return Mute()

        scene = Scene(names=("z",), cooldown=Odd())
        assert brief(scene.run(z="answer")) == [
            ("AttemptSucceeded", "z", 1, "success"),
            ("ExecutionFinished", "z", 1, "success"),
        ]
        (line,) = [line for line in scene.records.lines if "tracker" in line]
        assert line.startswith("ERROR cooldown tracker failed provider=z call=has_ended_cooldown error=")

    @pytest.mark.parametrize("method", ["is_available", "cooldown_remaining", "record_failure"])
    def test_a_broken_one_changes_no_event(self, method: str) -> None:
        """Execution goes on as if nothing were known."""
        tracker: CooldownTracker = ThreeMethodTracker(opens={"a": 30.0}, raises=method)
        told = Scene(cooldown=tracker).run(a=DOWN, z="answer")
        assert [type(event) for event in told] == [
            AttemptFailed,
            *([CooldownStarted] if method == "is_available" else []),
            AttemptSucceeded,
            ExecutionFinished,
        ]


class TestSharedCooldowns:
    """Two processes' trackers with one store."""

    def test_one_of_them_tells_of_the_start_and_one_of_the_end(self, clock: FrozenDateTimeFactory) -> None:
        """Whose failure, and whose answer it was."""
        store = InMemoryCooldownStore()
        scenes = [
            Scene(names=("z",), cooldown=BreakerCooldownTracker(fail_max=1, reset_timeout=30, shared=store))
            for _ in range(2)
        ]
        ends = [type(event) for scene in scenes for event in scene.run(z=DOWN)]
        assert ends.count(CooldownStarted) == 1
        clock.tick(31)
        ends = [type(event) for scene in scenes for event in scene.run(z="answer")]
        assert ends.count(CooldownEnded) == 1

    def test_an_answer_that_comes_after_another_s_ends_nothing(self, clock: FrozenDateTimeFactory) -> None:
        """The other process's has closed the breaker while this one was under way."""
        store = InMemoryCooldownStore()
        first, second = (
            Scene(names=("z",), cooldown=BreakerCooldownTracker(fail_max=1, reset_timeout=30, shared=store))
            for _ in range(2)
        )
        first.run(z=DOWN)
        clock.tick(1)

        def slow(_provider: Vendor) -> str:
            assert isinstance(second.run(z="answer")[1], CooldownEnded)
            clock.tick(1)
            return "answer"

        first.told.clear()
        execute(first.chain, first.config, slow)
        assert [type(event) for event in first.told] == [AttemptSucceeded, ExecutionFinished]

    def test_a_stream_s_probe_tells_of_the_end(self, clock: FrozenDateTimeFactory) -> None:
        """With its first item."""
        store = InMemoryCooldownStore()
        scene = Scene(
            names=("z",), cooldown=BreakerCooldownTracker(fail_max=1, reset_timeout=30, shared=store)
        )
        scene.run(z=DOWN)
        clock.tick(31)
        with scene.stream(z=[1, 2]):
            assert [type(event) for event in scene.told] == [CooldownEnded]


class TestStreams:
    """What is told of a stream, by its end."""

    def test_that_is_read_to_its_end(self) -> None:
        """Then, and not with its first item."""
        scene = Scene()
        with scene.stream(a=[DOWN], z=[1, 2]) as stream:
            assert brief(scene.told) == [("AttemptFailed", "a", 1, "failure"), ("CooldownStarted", "a", 1)]
            assert list(stream) == [1, 2]
            assert brief(scene.told[2:]) == [
                ("AttemptSucceeded", "z", 2, "success"),
                ("ExecutionFinished", "z", 2, "success"),
            ]
            assert len({event.execution_id for event in scene.told}) == 1
            assert scene.told[2].latency == stream.latency
            assert last(scene.told).latency > stream.latency
        assert len(scene.told) == 4

    def test_without_items(self) -> None:
        """It is at its end when it begins."""
        scene = Scene()
        scene.stream(a=[])
        assert brief(scene.told) == [
            ("AttemptSucceeded", "a", 1, "success"),
            ("ExecutionFinished", "a", 1, "success"),
        ]

    def test_that_breaks(self) -> None:
        """The provider has failed, and there is no second one."""
        scene = Scene()
        stream = scene.stream(a=[1, DOWN])
        with pytest.raises(VendorError):
            list(stream)
        assert brief(scene.told) == [
            ("AttemptFailed", "a", 1, "failure"),
            ("CooldownStarted", "a", 1),
            ("ExecutionFinished", "a", 1, "failed"),
        ]
        assert {event.error for event in scene.told} == {DOWN}

    def test_that_breaks_and_is_not_counted(self) -> None:
        """By the verdict."""
        scene = Scene(classify=lambda _error: Verdict.neutral())
        with pytest.raises(VendorError):
            list(scene.stream(a=[1, DOWN]))
        assert brief(scene.told) == [
            ("AttemptFailed", "a", 1, "neutral"),
            ("ExecutionFinished", "a", 1, "failed"),
        ]

    @pytest.mark.parametrize("way", ["close", "leave", "leave with an error"])
    def test_that_is_closed_early(self, way: str) -> None:
        """It was answered as far as it was read; nothing is counted."""
        scene = Scene()
        stream = scene.stream(a=[1, 2])
        assert next(stream) == 1
        if way == "close":
            stream.close()
        else:
            with contextlib.suppress(ValueError), stream:
                if way != "leave":
                    raise ValueError("of the reader's own")
        assert brief(scene.told) == [
            ("AttemptSucceeded", "a", 1, "neutral"),
            ("ExecutionFinished", "a", 1, "cancelled"),
        ]
        assert last(scene.told).error is None

    def test_that_is_interrupted(self) -> None:
        """Amid an item."""
        scene = Scene()
        interruption = KeyboardInterrupt()
        stream = scene.stream(a=[1, interruption])
        with pytest.raises(KeyboardInterrupt):
            list(stream)
        assert brief(scene.told) == [("ExecutionFinished", "a", 1, "interrupted")]
        assert last(scene.told).error is interruption

    def test_whose_answer_ends_a_cooldown(self, clock: FrozenDateTimeFactory) -> None:
        """A probe's with its first item; that of a forced terminus with its last one."""
        scene = Scene(names=("z",))
        scene.run(z=DOWN)
        with scene.stream(z=[1, 2]) as stream:
            assert scene.told == []
            assert list(stream) == [1, 2]
            assert [type(event) for event in scene.told] == [
                AttemptSucceeded,
                CooldownEnded,
                ExecutionFinished,
            ]
        scene.run(z=DOWN)
        clock.tick(31)
        with scene.stream(z=[1, 2]) as stream:
            assert brief(scene.told) == [("CooldownEnded", "z", 1)]
            assert list(stream) == [1, 2]
            assert [type(event) for event in scene.told[1:]] == [AttemptSucceeded, ExecutionFinished]

    def test_that_never_begins(self) -> None:
        """As any chain that is exhausted."""
        scene = Scene()
        with pytest.raises(AllProvidersFailedError) as caught:
            scene.stream(a=[DOWN], z=[VendorError("down, too")])
        end = last(scene.told)
        assert end.outcome is ExecutionOutcome.EXHAUSTED
        assert end.error is caught.value

    def test_what_cannot_be_iterated(self) -> None:
        """It is refused, and that is nobody's failure."""
        scene = Scene()
        with pytest.raises(InvalidConfigError):
            execute_stream(scene.chain, scene.config, lambda _provider: 3)  # type: ignore[arg-type,return-value]
        assert brief(scene.told) == [("ExecutionFinished", "a", 1, "interrupted")]

    def test_that_is_dropped(self) -> None:
        """Its end is told to nobody: there is no moment at which anybody could."""
        scene = Scene()
        next(scene.stream(a=[1, 2]))
        gc.collect()
        assert scene.told == []

    def test_that_is_ended_by_another_thread(self) -> None:
        """It tells in that one."""
        tellers: list[int] = []
        scene = Scene(listeners=[lambda _event: tellers.append(threading.get_ident())])
        stream = scene.stream(a=[1, 2])
        in_threads(1, lambda _number: list(stream))
        assert len(tellers) == 2
        assert threading.get_ident() not in tellers

    def test_a_listener_that_raises_changes_nothing(self) -> None:
        """Not even where it raises the provider's error."""
        error = VendorError("down")

        def listener(event: Event) -> None:
            raise event.error or ValueError("bad")

        def length(listeners: list[Listener]) -> int:
            stream = Scene(listeners=listeners).stream(a=[1, error])
            with pytest.raises(VendorError) as caught:
                list(stream)
            assert caught.value is error
            assert error.__context__ is None
            grown = len(traceback.extract_tb(error.__traceback__))
            error.with_traceback(None)
            return grown

        assert length([listener]) == length([])


class TestSetting:
    """`ExecuteConfig(listeners=)`."""

    def test_is_kept_as_a_tuple(self) -> None:
        """A list that is changed later changes nothing."""
        told: list[Event] = []
        listeners: list[Any] = [told.append]
        config = ExecuteConfig(listeners=listeners)
        listeners.clear()
        assert config.listeners == (told.append,)
        execute(vendors("a"), config, replying(a="answer"))
        assert len(told) == 2
        assert ExecuteConfig().listeners == ()

    def test_may_be_evolved(self) -> None:
        """Away, too."""
        scene = Scene()
        execute(scene.chain, attrs.evolve(scene.config, listeners=()), replying(a="answer"))
        assert scene.told == []
        execute(scene.chain, attrs.evolve(scene.config, strategy="primary_only"), replying(a="answer"))
        assert len(scene.told) == 2

    @pytest.mark.parametrize("value", [None, 3, "text", b"bytes", print, dict], ids=repr)
    def test_is_a_sequence(self, value: Any) -> None:
        """One listener alone is a mistake that is easily made, and easily mended."""
        with pytest.raises(
            InvalidConfigError, match="listeners must be a sequence of callables that take an event"
        ):
            ExecuteConfig(listeners=value)

    @pytest.mark.parametrize("value", [None, 3, "text"], ids=repr)
    def test_of_what_can_be_called(self, value: Any) -> None:
        """The place of what cannot is told."""
        with pytest.raises(InvalidConfigError, match=rf"listeners\[1\] must be callable, got {value!r}"):
            ExecuteConfig(listeners=[print, value])

    def test_of_no_coroutine_functions(self) -> None:
        """Nobody would await them."""

        async def listener(_event: Event) -> None:
            """Wait for nobody."""

        with pytest.raises(InvalidConfigError, match=r"listeners\[0\] must be a plain function"):
            ExecuteConfig(listeners=[listener])

    def test_of_no_classes(self) -> None:
        """One that was forgotten to be called would be built for each event."""
        with pytest.raises(InvalidConfigError, match=r"listeners\[0\] must be a function or an object"):
            ExecuteConfig(listeners=[Scene])  # type: ignore[list-item]

    def test_is_shown_without_credentials(self) -> None:
        """As all settings are."""

        class Listening:
            def __call__(self, event: Event) -> None:
                """Want to know nothing."""

            def __repr__(self) -> str:
                return "Listening(url='https://me:hunter2@metrics.example')"

        shown = repr(ExecuteConfig(listeners=[Listening()]))
        assert "listeners=(Listening(url=" in shown
        assert "hunter2" not in shown

    def test_nothing_is_imported_without_listeners(self) -> None:
        """Nor by a stream."""
        program = """
import sys
from fallback_exec import ExecuteConfig, NamedProvider, execute, execute_stream
chain = [NamedProvider("a", None)]
execute(chain, ExecuteConfig(), str)
list(execute_stream(chain, ExecuteConfig(), lambda provider: [1]))
print(sorted({"fallback_exec.events", "fallback_exec.notifying"} & set(sys.modules)))
"""
        told = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            text=True,
        )
        assert told.stdout == "[]\n"
