"""The attacker raises from a signal's handler, at every moment at which the interpreter would run one.

They want a Ctrl-C that is
swallowed or counted, a lock that stays held, a probe that is never given back, or a provider that is called
for ever although it is down.

A profile function stands in for the handler: it is called at those moments, and what it raises comes
out there.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import pytest

from fallback_exec import (
    BreakerCooldownTracker,
    CooldownStatus,
    Cooling,
    ExecuteConfig,
    FallbackExecError,
    Outcome,
    Permit,
    RoundRobinIndex,
    execute,
)
from helpers import (
    PATIENCE,
    PermitTracker,
    Vendor,
    VendorError,
    act_at_each_call,
    in_thread,
    logger_with,
    replying,
    vendors,
)


class Interruption(BaseException):
    """What the handler raises."""


def interrupt() -> None:
    """Be the handler."""
    raise Interruption


def exhaust() -> None:
    """Be the allocator that has nothing left."""
    raise MemoryError


Scene: TypeAlias = Callable[[], tuple[BreakerCooldownTracker, Callable[[], object], Callable[[], object]]]


def run(tracker: BreakerCooldownTracker, chain: list[Vendor], reply: object) -> Callable[[], object]:
    """Return the work: one execution in which `grok` replies so."""
    config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with())
    replies = {"grok": reply, "gemini": "a dog"}

    def work() -> object:
        try:
            return execute(chain, config, replying(**replies))
        except FallbackExecError as error:
            return error

    return work


def elapsed(tracker: BreakerCooldownTracker) -> None:
    """Let the cooldown of `grok` be over."""
    tracker.cool_down("grok", 1e-6)
    while not tracker.is_available("grok"):
        pass


#: What has happened before the interrupted execution, by name; each tracker has fail_max=2.
BEFORE: dict[str, Callable[[BreakerCooldownTracker], object]] = {
    "nothing": lambda tracker: None,
    "a failure": lambda tracker: tracker.record_failure("grok", VendorError()),
    "a cooldown that runs": lambda tracker: tracker.cool_down("grok", 3600.0),
    "a cooldown that is over": elapsed,
}
REPLIES = {"an answer": "a cat", "an error": VendorError("down")}


@pytest.fixture(params=BEFORE)
def before(request: pytest.FixtureRequest) -> Callable[[BreakerCooldownTracker], object]:
    """What has happened before."""
    return BEFORE[request.param]


@pytest.fixture(params=REPLIES)
def reply(request: pytest.FixtureRequest) -> object:
    """What `grok` replies while the interruption comes."""
    return REPLIES[request.param]


def scene_of(before: Callable[[BreakerCooldownTracker], object], reply: object, **settings: Any) -> Scene:
    """Return what sets up an execution with `grok` as its terminus."""

    def scene() -> tuple[BreakerCooldownTracker, Callable[[], object], Callable[[], object]]:
        tracker = BreakerCooldownTracker(fail_max=2, **settings)
        before(tracker)
        return tracker, run(tracker, vendors("grok"), reply), interrupt

    return scene


class TestAnInterruptionAtAnyMoment:
    """Of an execution, from its first line to its last."""

    def test_comes_out(self, before: Any, reply: object) -> None:
        """It is swallowed neither by the library nor by pybreaker, which trips over it."""
        assert all(
            isinstance(came_out, Interruption) for _, came_out in act_at_each_call(scene_of(before, reply))
        )

    def test_leaves_no_lock_held(self, before: Any, reply: object) -> None:
        """Another thread can use the provider at once, and its breaker too."""
        trackers = [tracker for tracker, _ in act_at_each_call(scene_of(before, reply))]

        def use() -> None:
            for tracker in trackers:
                tracker.acquire("grok", force=True)
                tracker.breaker("grok").open()

        in_thread(use)

    def test_leaves_no_probe_held(self, before: Any, reply: object) -> None:
        """Once the interruption is gone, a provider that is not cooling down can be attempted."""
        for tracker, _ in act_at_each_call(scene_of(before, reply)):
            if tracker.cooldown_remaining("grok") == 0.0:
                assert isinstance(tracker.acquire("grok"), Permit)

    def test_does_not_defeat_the_cooldown(self, before: Any, reply: object) -> None:
        """A provider that is down is passed over afterwards, after at most `fail_max` more attempts."""
        for tracker, _ in act_at_each_call(scene_of(before, reply)):
            for _ in range(2):
                run(tracker, vendors("grok", "gemini"), VendorError("down"))()
            result: Any = run(tracker, vendors("grok", "gemini"), VendorError("down"))()
            assert [attempt.outcome for attempt in result.attempts] == [Outcome.SKIPPED, Outcome.SUCCESS]

    def test_does_not_keep_a_provider_out(self, before: Any, reply: object) -> None:
        """A provider that answers again is called as usual afterwards."""
        for tracker, _ in act_at_each_call(scene_of(before, reply)):
            run(tracker, vendors("grok"), "a cat")()
            assert tracker.snapshot()["grok"].state == "closed"
            result: Any = run(tracker, vendors("grok", "gemini"), "a cat")()
            assert result.provider == "grok"

    def test_makes_no_failure_of_an_answer(self, before: Any) -> None:
        """An answer that is being counted when it comes opens nothing and adds no failure."""
        for tracker, _ in act_at_each_call(scene_of(before, "a cat")):
            was = BreakerCooldownTracker(fail_max=2)
            before(was)
            if "grok" in tracker.snapshot():
                now, then = tracker.snapshot()["grok"], was.snapshot().get("grok")
                assert now.failures <= (0 if then is None else then.failures)
                assert now.state != "open" or (then is not None and then.state == "open")

    def test_lengthens_no_later_cooldown(self, before: Any) -> None:
        """What the interrupted opening was going to be is forgotten: the next has its usual length."""
        scene = scene_of(before, VendorError("down"), backoff_factor=10.0)
        for tracker, _ in act_at_each_call(scene):
            tracker.reset("grok")
            tracker.breaker("grok").open()
            assert 0.0 < tracker.cooldown_remaining("grok") <= 30.0

    def test_is_not_counted_with_several_probes_to_go(self) -> None:
        """With a `success_threshold`, an interrupted answer opens nothing either."""
        scene = scene_of(lambda tracker: tracker.breaker("grok").half_open(), "a cat", success_threshold=3)
        for tracker, _ in act_at_each_call(scene):
            assert tracker.snapshot()["grok"].state != "open"


class TestAnErrorAtAnyMoment:
    """Of the library's own work: the memory is used up, or a signal's handler raises an `Exception`.

    It is logged where it is the tracker's, and else comes out or is taken for the provider's.
    """

    def test_leaves_a_tracker_that_works(self, before: Any, reply: object) -> None:
        """No lock and no probe stays held, and the provider cools down and comes back as ever."""

        def scene() -> tuple[BreakerCooldownTracker, Callable[[], object], Callable[[], object]]:
            tracker, work, _ = scene_of(before, reply)()
            return tracker, work, exhaust

        for tracker, came_out in act_at_each_call(scene):
            assert came_out is None or isinstance(came_out, MemoryError)
            if tracker.cooldown_remaining("grok") == 0.0:
                assert isinstance(tracker.acquire("grok"), Permit)
            for _ in range(2):
                run(tracker, vendors("grok", "gemini"), VendorError("down"))()
            assert isinstance(tracker.acquire("grok"), Cooling)
            in_thread(run(tracker, vendors("grok"), "a cat"))
            assert tracker.snapshot()["grok"].state == "closed"


HANDS: dict[str, Callable[[BreakerCooldownTracker], object]] = {
    "record_failure": lambda tracker: tracker.record_failure("grok", VendorError()),
    "record_success": lambda tracker: tracker.record_success("grok"),
    "cool_down": lambda tracker: tracker.cool_down("grok"),
    "reset": lambda tracker: tracker.reset("grok"),
    "reset_all": lambda tracker: tracker.reset_all(),
    "open": lambda tracker: tracker.breaker("grok").open(),
    "close": lambda tracker: tracker.breaker("grok").close(),
    "half_open": lambda tracker: tracker.breaker("grok").half_open(),
    "a new name": lambda tracker: tracker.breaker("mistral"),
    "snapshot": lambda tracker: tracker.snapshot(),
}


class TestAnInterruptedHand:
    """What operators do by hand, interrupted at any moment."""

    @pytest.mark.parametrize("hand", HANDS)
    @pytest.mark.parametrize("then", ["a failure", "a cooldown that is over"])
    def test_comes_out_and_leaves_a_tracker_that_works(self, hand: str, then: str) -> None:
        """No lock stays held, no name is lost, and the provider cools down and comes back as ever."""

        def scene() -> tuple[BreakerCooldownTracker, Callable[[], object], Callable[[], object]]:
            tracker = BreakerCooldownTracker(fail_max=2, max_providers=2)
            tracker.breaker("grok")
            BEFORE[then](tracker)
            return tracker, lambda: HANDS[hand](tracker), interrupt

        for tracker, came_out in act_at_each_call(scene):
            assert isinstance(came_out, Interruption)
            in_thread(partial(tracker.reset, "grok"))
            for _ in range(2):
                run(tracker, vendors("grok", "gemini"), VendorError("down"))()
            assert isinstance(tracker.acquire("grok"), Cooling)
            run(tracker, vendors("grok"), "a cat")()
            assert tracker.is_available("grok")

    def test_of_a_rotation_loses_at_most_one_number(self) -> None:
        """An index whose `next()` is interrupted goes on, in any thread."""

        def scene() -> tuple[RoundRobinIndex, Callable[[], object], Callable[[], object]]:
            index = RoundRobinIndex()
            return index, index.next, interrupt

        for index, came_out in act_at_each_call(scene):
            assert isinstance(came_out, Interruption)
            assert in_thread(index.next) in {0, 1}


#: The tracker, a permit of `grok`'s, and how it was before; while it lives, the permit holds what it held.
Told: TypeAlias = tuple[BreakerCooldownTracker, list[Permit], CooldownStatus]


class TestAnInterruptedPermit:
    """A vendor's word on a cooldown, and an answer that begins, interrupted while they are told."""

    def told(self, then: str, **settings: Any) -> Told:
        """Return a tracker to which that has happened, and a permit of the attempt that is to be told."""
        tracker = BreakerCooldownTracker(fail_max=2, **settings)
        tracker.breaker("grok")
        BEFORE[then](tracker)
        permit = tracker.acquire("grok", force=True)
        assert isinstance(permit, Permit)
        return tracker, [permit], tracker.snapshot()["grok"]

    def works_on(self, tracker: BreakerCooldownTracker) -> None:
        """See that no lock and no probe is held, and that the provider cools down and comes back as ever."""
        status, breaker = tracker.snapshot()["grok"], tracker.breaker("grok")
        assert status.state in {breaker.current_state, "half-open"}
        assert breaker.state.name == breaker.current_state
        if tracker.cooldown_remaining("grok") == 0.0:
            assert isinstance(in_thread(partial(tracker.acquire, "grok")), Permit)
        in_thread(partial(tracker.reset, "grok"))
        for _ in range(2):
            run(tracker, vendors("grok", "gemini"), VendorError("down"))()
        result: Any = run(tracker, vendors("grok", "gemini"), "a cat")()
        assert [attempt.outcome for attempt in result.attempts] == [Outcome.SKIPPED, Outcome.SUCCESS]
        assert 0.0 < tracker.cooldown_remaining("grok") <= 30.0
        run(tracker, vendors("grok"), "a cat")()
        assert tracker.snapshot()["grok"].state == "closed"

    @pytest.mark.parametrize("act", [interrupt, exhaust])
    @pytest.mark.parametrize("seconds", [7200.0, 60.0, None])
    @pytest.mark.parametrize("then", BEFORE)
    def test_of_a_cool_down_is_told_or_not(
        self, then: str, seconds: float | None, act: Callable[[], None]
    ) -> None:
        """At most one failure is counted and one cooldown begun, of the length that was said."""

        def scene() -> tuple[Told, Callable[[], object], Callable[[], object]]:
            told = self.told(then, backoff_factor=10.0)
            return told, lambda: told[1][0].cool_down(VendorError("down"), seconds), act

        lengths = set()
        for (tracker, permits, before), came_out in act_at_each_call(scene):
            # An error of the allocator's within the text of the provider's error costs the text alone.
            assert isinstance(came_out, Interruption if act is interrupt else MemoryError | type(None))
            permits.clear()
            after = tracker.snapshot()["grok"]
            counted = after.openings - before.openings, after.failures - before.failures
            assert counted in {(0, 0), (0, 1), (1, 1)}
            lengths.add(round(after.cooldown_remaining / 60))
            self.works_on(tracker)
        own = 5 if then == "a cooldown that is over" else 0
        said = own if seconds is None else round(seconds / 60)
        if then == "a cooldown that runs":
            assert lengths == {60, max(60, said)}
        else:
            assert lengths == {0, said}

    @pytest.mark.parametrize("act", [interrupt, exhaust])
    @pytest.mark.parametrize("success_threshold", [1, 2])
    def test_of_an_answer_that_begins_is_counted_or_not(
        self, success_threshold: int, act: Callable[[], None]
    ) -> None:
        """The probe is not held, and nothing is open."""

        def scene() -> tuple[Told, Callable[[], object], Callable[[], object]]:
            told = self.told("a cooldown that is over", success_threshold=success_threshold)
            return told, lambda: told[1][0].begin(), act

        for (tracker, permits, _), came_out in act_at_each_call(scene):
            assert isinstance(came_out, Interruption | MemoryError)
            permits.pop().success()
            assert tracker.snapshot()["grok"].state != "open"
            assert tracker.snapshot()["grok"].last_error is None
            assert isinstance(tracker.acquire("grok"), Permit)
            self.works_on(tracker)

    def test_that_is_kept_holds_no_probe(self) -> None:
        """Once the telling has begun, the lease is given back, though the permit and all frames live on."""

        def scene() -> tuple[Told, Callable[[], object], Callable[[], object]]:
            told = self.told("a cooldown that is over")
            permit = told[1][0]
            return told, lambda: permit.cool_down(VendorError("down"), 60.0), interrupt

        held = [
            not tracker.is_available("grok") and tracker.cooldown_remaining("grok") == 0.0
            for (tracker, _, _), _ in act_at_each_call(scene)
        ]
        assert held == [True] + [False] * (len(held) - 1)  # at the first moment nothing has begun


class TestALivingInterruption:
    """An interruption that is kept, with its traceback and all the frames in it."""

    @pytest.mark.parametrize("moment", ["in fn", "in the log"])
    def test_holds_no_probe(self, moment: str) -> None:
        """While it is being handled, the provider may be probed again."""
        tracker = BreakerCooldownTracker()
        tracker.breaker("grok").half_open()

        class Interrupting(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise Interruption

        handlers = [Interrupting()] if moment == "in the log" else []
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with(*handlers))
        with pytest.raises(Interruption) as kept:
            execute(vendors("grok", "gemini"), config, replying(grok=Interruption()))
        assert kept.value.__traceback__ is not None
        assert isinstance(tracker.acquire("grok"), Permit)

    def test_in_the_log_gives_back_a_permit_of_the_users(self) -> None:
        """A permit that was had before the interruption is released, whoever wrote its class."""
        tracker = PermitTracker()

        class Interrupting(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise Interruption

        config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with(Interrupting()))
        with pytest.raises(Interruption):
            execute(vendors("grok", "gemini"), config, replying(grok="a cat"))
        assert tracker.outcomes() == [("release", "grok")]


SCRIPT = """
import contextlib, logging, signal, sys, threading
from fallback_exec import BreakerCooldownTracker, ExecuteConfig, FallbackExecError, NamedProvider, execute

class Alarm(BaseException):
    pass

def ring(number, frame):
    raise Alarm

signal.signal(signal.SIGALRM, ring)
logging.getLogger("fallback_exec").addHandler(logging.NullHandler())
sys.unraisablehook = lambda unraisable: None  # an alarm may also ring in a callback of the interpreter's
tracker = BreakerCooldownTracker(fail_max=2, reset_timeout=1e-6, max_providers=2)
config = ExecuteConfig(strategy="fallback", cooldown=tracker)
chain = [NamedProvider(name, None) for name in ("grok", "gemini", "mistral")]
number = 0

def fn(provider):
    if number % 3:
        raise ConnectionError("down")
    return "a cat"

rung = 0
for number in range(1500):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-6 + number % 50 * 4e-6)
        for _ in range(3):
            with contextlib.suppress(FallbackExecError):
                execute(chain, config, fn)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Alarm:
        rung += 1
signal.setitimer(signal.ITIMER_REAL, 0)
assert rung > 100, rung

def use():
    for provider in chain:
        tracker.reset(provider.name)
        for _ in range(2):
            tracker.record_failure(provider.name, ConnectionError())
        assert tracker.snapshot()[provider.name].openings
        execute([provider], config, lambda provider: "a cat")
        assert tracker.snapshot()[provider.name].state == "closed"
    used.append(True)

used = []
thread = threading.Thread(target=use, daemon=True)
thread.start()
thread.join(30)
assert used
"""


class TestARealAlarm:
    """Not a stand-in: a timer that rings wherever the interpreter happens to be."""

    def test_rings_a_thousand_times_and_the_tracker_works(self) -> None:
        """After all these interruptions another thread finds every lock free and every breaker at work."""
        script = [sys.executable, "-W", "error", "-c", SCRIPT]
        done = subprocess.run(script, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (done.returncode, done.stderr) == (0, "")
