"""The attacker comes back: from `fn`, from a log handler, or from a finalizer at any line of the library's.

They want a deadlock, a probe that is given out twice or never, or a tracker that contradicts its breakers.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    Cooling,
    ExecuteConfig,
    FallbackExecError,
    Outcome,
    Permit,
    execute,
)
from helpers import (
    PATIENCE,
    Vendor,
    VendorError,
    act_at_each_call,
    error_of,
    fail,
    in_thread,
    logger_with,
    replying,
    vendors,
)


def config_of(tracker: BreakerCooldownTracker, *handlers: logging.Handler) -> ExecuteConfig:
    """Return a config that falls back, with that tracker."""
    return ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with(*handlers))


def half_open(**settings: Any) -> BreakerCooldownTracker:
    """Return a tracker whose provider `grok` may be probed."""
    tracker = BreakerCooldownTracker(**settings)
    tracker.breaker("grok").half_open()
    return tracker


def probe_of(tracker: BreakerCooldownTracker) -> Permit:
    """Return the permit of the probe that begins now."""
    permit = tracker.acquire("grok")
    assert isinstance(permit, Permit)
    return permit


def forced(tracker: BreakerCooldownTracker) -> Permit:
    """Return the permit of an attempt that is made in any case."""
    permit = tracker.acquire("grok", force=True)
    assert isinstance(permit, Permit)
    return permit


def state_of(tracker: BreakerCooldownTracker) -> str:
    """Return the state of `grok`."""
    return tracker.snapshot()["grok"].state


class TestExecutionsWithinTheProbe:
    """`fn` calls `execute()` for the very provider that it is probing."""

    def test_with_others_behind_passes_over(self) -> None:
        """Inside the probe the provider counts as cooling: somebody else answers."""
        tracker = half_open()
        config = config_of(tracker)

        def fn(provider: Vendor) -> object:
            return execute(vendors("grok", "gemini"), config, replying(grok="a cat", gemini="a dog")).provider

        assert execute(vendors("grok", "mistral"), config, fn).response == "gemini"
        assert state_of(tracker) == "closed"

    def test_as_terminus_closes_and_the_probe_is_stale(self) -> None:
        """The inner answer closes the breaker, and the failure of the outer probe changes nothing."""
        tracker = half_open(fail_max=1)
        config = config_of(tracker)

        def fn(provider: Vendor) -> object:
            execute(vendors("grok"), config, lambda provider: "a cat")
            raise VendorError

        error_of(AllProvidersFailedError, vendors("grok"), config, fn)
        assert state_of(tracker) == "closed"
        assert tracker.snapshot()["grok"].failures == 0

    def test_as_terminus_that_fails_opens_once(self) -> None:
        """The inner failure opens the breaker, and the answer of the outer probe does not close it."""
        tracker = half_open()
        config = config_of(tracker)

        def fn(provider: Vendor) -> object:
            error_of(AllProvidersFailedError, vendors("grok"), config)
            return "a cat"

        execute(vendors("grok", "gemini"), config, fn)
        assert tracker.snapshot()["grok"].openings == 1
        assert state_of(tracker) == "open"

    def test_fifty_deep_ends_with_one_closing(self) -> None:
        """Executions within executions for one provider, all of them forced, leave a closed breaker."""
        tracker = half_open()
        config = config_of(tracker)
        depth = 0

        def fn(provider: Vendor) -> object:
            nonlocal depth
            depth += 1
            return execute(vendors("grok"), config, fn).response if depth < 50 else "a cat"

        assert execute(vendors("grok"), config, fn).response == "a cat"
        assert state_of(tracker) == "closed"

    def test_from_another_thread_that_fn_waits_for(self) -> None:
        """A probe that waits for a thread which executes for the same provider does not wait for ever."""
        tracker = half_open()
        config = config_of(tracker)

        def fn(provider: Vendor) -> object:
            return in_thread(
                lambda: execute(vendors("grok", "gemini"), config, replying(gemini="a dog")).response
            )

        assert execute(vendors("grok", "gemini"), config, fn).response == "a dog"


HANDS: dict[str, tuple[Callable[[BreakerCooldownTracker], object], str]] = {
    "half_open": (lambda tracker: tracker.breaker("grok").half_open(), "half-open"),
    "open": (lambda tracker: tracker.breaker("grok").open(), "open"),
    "close": (lambda tracker: tracker.breaker("grok").close(), "closed"),
    "cool_down": (lambda tracker: tracker.cool_down("grok", 60.0), "open"),
    "reset": (lambda tracker: tracker.reset("grok"), "closed"),
    "reset_all": (lambda tracker: tracker.reset_all(), "closed"),
}


class TestHandsDuringAProbe:
    """An operator who changes the breaker while the probe is under way."""

    @pytest.mark.parametrize("hand", HANDS)
    @pytest.mark.parametrize("reply", ["a cat", VendorError("down")], ids=["an answer", "an error"])
    def test_the_hand_wins(self, hand: str, reply: object) -> None:
        """What comes of the probe is stale: the state is the one that the hand has set."""
        tracker = half_open(fail_max=1)
        act, state = HANDS[hand]

        def fn(provider: Vendor) -> object:
            if provider.name == "grok":
                act(tracker)
            return replying(grok=reply, gemini="a dog")(provider)

        execute(vendors("grok", "gemini"), config_of(tracker), fn)
        assert state_of(tracker) == state
        assert tracker.breaker("grok").current_state == state
        assert tracker.snapshot()["grok"].failures == 0

    def test_a_second_probe_by_hand_is_the_one_that_counts(self) -> None:
        """After a half-opening by hand there is a new probe, and the old one's outcome is no substitute."""
        tracker = half_open(success_threshold=2)
        first = probe_of(tracker)
        tracker.breaker("grok").half_open()
        second = probe_of(tracker)
        first.success()
        assert isinstance(tracker.acquire("grok"), Cooling)
        second.success()
        assert state_of(tracker) == "half-open"
        probe_of(tracker).success()
        assert state_of(tracker) == "closed"


class TestPermits:
    """Permits that are used by whoever, whenever."""

    def test_told_after_the_tracker_is_gone(self) -> None:
        """A permit outlives its tracker and takes its outcome."""
        tracker = BreakerCooldownTracker(fail_max=1)
        permit = probe_of(tracker)
        gone = weakref.ref(tracker)
        del tracker
        gc.collect()
        assert gone() is None
        assert permit.failure(VendorError()) is True

    def test_a_probe_told_after_the_tracker_is_gone(self) -> None:
        """So does that of a probe."""
        tracker = half_open()
        permit = probe_of(tracker)
        del tracker
        gc.collect()
        permit.success()
        permit.release()

    def test_told_twice_in_two_threads(self) -> None:
        """Of two outcomes of one probe, the first counts, whichever thread tells it."""
        tracker = half_open(success_threshold=2)
        permit = probe_of(tracker)
        in_thread(permit.success)
        permit.success()
        assert in_thread(lambda: permit.failure(VendorError())) is False
        assert state_of(tracker) == "half-open"

    def test_released_in_a_finalizer_of_garbage(self) -> None:
        """A permit in a ring of garbage is given back when the ring is collected, by its owner or without."""

        class Owner:
            def __init__(self, permit: Permit) -> None:
                self.permit, self.myself = permit, self

            def __del__(self) -> None:
                self.permit.release()

        tracker = half_open()
        owner: object = Owner(probe_of(tracker))
        assert isinstance(tracker.acquire("grok"), Cooling)
        del owner
        gc.collect()
        assert tracker.is_available("grok")

    def test_a_permit_of_garbage_does_not_cover_up_a_successor(self) -> None:
        """A forgotten provider, met anew while what held it is collected, is shown as it is now."""
        tracker = BreakerCooldownTracker(fail_max=1, max_providers=1)

        class Owner:
            def __init__(self) -> None:
                self.permit, self.myself = probe_of(tracker), self

            def __del__(self) -> None:
                self.permit.failure(VendorError("long ago"))

        owner = Owner()
        tracker.breaker("gemini")
        assert set(tracker.snapshot()) == {"gemini"}
        # Called when the weak references to the garbage are gone already, and before its finalizers run.
        reference = weakref.ref(owner, lambda _: tracker.breaker("grok"))
        del owner
        gc.collect()
        assert reference() is None
        assert state_of(tracker) == "closed"
        assert (
            execute(vendors("grok", "gemini"), config_of(tracker), replying(grok="a cat")).provider == "grok"
        )

    def test_a_closed_permit_counts_as_often_as_it_is_told(self) -> None:
        """The permit that all share is told by all, and its era ends once."""
        tracker = BreakerCooldownTracker(fail_max=3)
        permit = probe_of(tracker)
        assert [permit.failure(VendorError()) for _ in range(6)] == [False, False, True, False, False, False]


class TestLogHandlers:
    """Handlers and filters that call back."""

    def test_that_execute_for_the_same_providers(self) -> None:
        """A handler that executes, whose records come to it again, finds no lock held."""
        tracker = BreakerCooldownTracker(fail_max=1)
        depths: list[int] = []

        class Executing(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                depths.append(len(depths))
                if len(depths) < 20:
                    execute(vendors("grok", "gemini"), config, replying(grok=VendorError(), gemini="a dog"))

        config = config_of(tracker, Executing())
        result = execute(vendors("grok", "gemini"), config, replying(grok=VendorError(), gemini="a dog"))
        assert result.provider == "gemini"
        assert state_of(tracker) == "open"

    @pytest.mark.parametrize("hand", HANDS)
    def test_that_act_at_each_record(self, hand: str) -> None:
        """A handler that changes the breaker at each record changes what is known, and loses no answer."""
        tracker = half_open(fail_max=1)

        class Acting(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                HANDS[hand][0](tracker)

        config = config_of(tracker, Acting())
        result = execute(vendors("grok", "gemini"), config, replying(grok=VendorError(), gemini="a dog"))
        assert result.provider == "gemini"
        assert state_of(tracker) == tracker.breaker("grok").current_state == HANDS[hand][1]

    def test_that_wait_for_a_thread_which_fails_too(self) -> None:
        """A handler may wait for another thread that tells the same tracker of the same provider."""
        tracker = BreakerCooldownTracker(fail_max=2)

        class Waiting(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                in_thread(lambda: tracker.record_failure("grok", VendorError()))

        error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker, Waiting()))
        assert state_of(tracker) == "open"


#: What `grok` is to begin with, and the work.
WORKS: dict[str, tuple[str, Callable[[BreakerCooldownTracker], object]]] = {
    "an answer": (
        "half-open",
        lambda tracker: execute(vendors("grok"), config_of(tracker), lambda _: "a cat"),
    ),
    "an error": ("half-open", lambda tracker: tracker.record_failure("grok", VendorError())),
    "a last failure": ("closed", lambda tracker: tracker.record_failure("grok", VendorError())),
    "cool_down": ("closed", lambda tracker: tracker.cool_down("grok", 9.0)),
    "a vendor's word": ("closed", lambda tracker: forced(tracker).cool_down(VendorError(), 9.0)),
    "a probed vendor's word": ("half-open", lambda tracker: forced(tracker).cool_down(VendorError(), None)),
    "a cooling vendor's word": ("open", lambda tracker: forced(tracker).cool_down(VendorError(), 90.0)),
    "an answer that begins": ("half-open", lambda tracker: forced(tracker).begin().success()),
    "a stream that fails": ("half-open", lambda tracker: forced(tracker).begin().failure(VendorError())),
    "reset_all": ("closed", lambda tracker: tracker.reset_all()),
    "a new name": ("closed", lambda tracker: tracker.breaker("mistral")),
}
MEDDLING: dict[str, Callable[[BreakerCooldownTracker], object]] = {
    "record_failure": lambda tracker: tracker.record_failure("grok", VendorError()),
    "record_success": lambda tracker: tracker.record_success("grok"),
    "half_open": lambda tracker: tracker.breaker("grok").half_open(),
    "reset": lambda tracker: tracker.reset("grok"),
    "open": lambda tracker: tracker.breaker("grok").open(),
    "a vendor's word": lambda tracker: forced(tracker).cool_down(VendorError(), 900.0),
    "an answer that begins": lambda tracker: forced(tracker).begin(),
    "new names": lambda tracker: [tracker.record_failure(name, VendorError()) for name in ("a", "b", "c")],
}
BEGINNINGS: dict[str, Callable[[BreakerCooldownTracker], object]] = {
    "closed": lambda tracker: tracker.record_failure("grok", VendorError()),
    "half-open": lambda tracker: tracker.breaker("grok").half_open(),
    "open": lambda tracker: tracker.cool_down("grok", 60.0),
}


class TestFinalizers:
    """A finalizer in this very thread, at each moment of the library's and of pybreaker's work in turn."""

    @pytest.mark.parametrize("work", WORKS)
    @pytest.mark.parametrize("meddling", MEDDLING)
    def test_at_each_moment_leaves_a_tracker_that_agrees_with_its_breakers(
        self, meddling: str, work: str
    ) -> None:
        """Whatever it does, the work ends, and what is known, shown and done afterwards is one thing."""

        def scene() -> tuple[BreakerCooldownTracker, Callable[[], object], Callable[[], object]]:
            tracker = BreakerCooldownTracker(fail_max=2, max_providers=2)
            beginning, act_on = WORKS[work]
            BEGINNINGS[beginning](tracker)
            return tracker, lambda: act_on(tracker), lambda: MEDDLING[meddling](tracker)

        for tracker, came_out in act_at_each_call(scene):
            assert came_out is None
            status, breaker = tracker.snapshot().get("grok"), tracker.breaker("grok")
            assert status is None or status.state == breaker.state.name == breaker.current_state
            for _ in range(2):
                execute(
                    vendors("grok", "gemini"),
                    config_of(tracker),
                    replying(grok=VendorError(), gemini="a dog"),
                )
            assert state_of(tracker) == "open"
            result = execute(vendors("grok", "gemini"), config_of(tracker), replying(gemini="a dog"))
            assert result.attempts[0].outcome is Outcome.SKIPPED
            execute(vendors("grok"), config_of(tracker), replying(grok="a cat"))
            assert state_of(tracker) == "closed"

    def test_that_fails_at_each_moment_starts_no_second_cooldown(self) -> None:
        """A failure that a finalizer tells while another one trips opens nothing twice.

        Both may say that they started it: each does, as far as its own code can see.
        """

        def scene() -> tuple[Any, Callable[[], object], Callable[[], object]]:
            tracker, started = BreakerCooldownTracker(fail_max=2), list[bool]()
            tracker.record_failure("grok", VendorError())

            def tell() -> None:
                started.append(tracker.record_failure("grok", VendorError()))

            return (tracker, started), tell, tell

        for (tracker, started), _ in act_at_each_call(scene):
            assert any(started)
            assert tracker.snapshot()["grok"].openings == 1

    def test_that_fails_at_each_moment_of_an_answer_is_forgotten_by_the_next(self) -> None:
        """However the two fall together, a success thereafter leaves no failure in a row."""

        def scene() -> tuple[BreakerCooldownTracker, Callable[[], object], Callable[[], object]]:
            tracker = half_open(fail_max=2)
            permit = probe_of(tracker)
            return tracker, permit.success, lambda: tracker.record_failure("grok", VendorError())

        for tracker, _ in act_at_each_call(scene):
            tracker.record_success("grok")
            assert state_of(tracker) == "closed"
            assert tracker.snapshot()["grok"].failures == 0

    def test_of_a_provider_may_execute(self) -> None:
        """A provider that executes when it dies, at whatever moment, finds no lock held."""
        tracker = BreakerCooldownTracker(fail_max=1)
        config = config_of(tracker)
        ends: list[str] = []

        class Dying(Vendor):
            def __del__(self) -> None:
                try:
                    execute(vendors("grok"), config, fail)
                except FallbackExecError:
                    ends.append(self.name)

        def work() -> None:
            ring: Any = [Dying("mistral")]
            ring.append(ring)
            del ring
            gc.collect()
            execute([Dying("gemini")], config, lambda provider: "a dog")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        assert ends == ["mistral", "gemini"]


class TestRecursion:
    """The stack that ends inside the library, at each depth in turn."""

    def test_leaves_no_lock_and_no_probe_held(self) -> None:
        """Wherever the recursion limit strikes, the provider can be probed afterwards, by any thread."""
        limit = sys.getrecursionlimit()
        for room in range(5, 60):
            tracker = half_open()
            config = config_of(tracker)

            def dive(depth: int, config: ExecuteConfig = config) -> None:
                if depth:
                    dive(depth - 1, config)
                else:
                    execute(vendors("grok", "gemini"), config, replying(grok="a cat", gemini="a dog"))

            sys.setrecursionlimit(limit)
            with contextlib.suppress(RecursionError, FallbackExecError):
                in_thread(lambda: dive(limit - room))  # noqa: B023  # run at once
            tracker.reset("grok")
            tracker.breaker("grok").half_open()
            probe_of(tracker).success()
            assert state_of(tracker) == "closed"
