"""The attacker sends so many names that providers are forgotten at the worst moments.

They want a cooldown, a probe or a failure in flight to be forgotten, or two breakers for one name.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import BreakerCooldownTracker, Cooling, ExecuteConfig, Permit, execute
from helpers import PATIENCE, Vendor, VendorError, in_thread, in_threads, replying, vendors


def permit_of(tracker: BreakerCooldownTracker, name: str = "grok") -> Permit:
    """Return a permit for an attempt."""
    permit = tracker.acquire(name)
    assert isinstance(permit, Permit)
    return permit


def flood(tracker: BreakerCooldownTracker, count: int = 50) -> None:
    """Meet that many strangers, and let go of whatever is not held."""
    for number in range(count):
        tracker.breaker(f"stranger {number}")
    gc.collect()


@pytest.fixture
def tracker() -> BreakerCooldownTracker:
    """A tracker that remembers one name."""
    return BreakerCooldownTracker(fail_max=3, max_providers=1)


class TestForgetting:
    """What a flood of names does to a provider that is in use."""

    def test_keeps_the_failures_of_calls_in_flight(self, tracker: BreakerCooldownTracker) -> None:
        """Calls that began before the flood count together, though their provider was forgotten meanwhile."""
        permits = [permit_of(tracker) for _ in range(3)]
        started = []
        for permit in permits:
            flood(tracker)
            started.append(permit.failure(VendorError()))
        assert started == [False, False, True]
        flood(tracker)
        assert isinstance(tracker.acquire("grok"), Cooling)

    def test_keeps_one_probe(self, tracker: BreakerCooldownTracker, clock: FrozenDateTimeFactory) -> None:
        """While a probe is under way no flood makes room for a second one."""
        tracker.cool_down("grok")
        clock.tick(30)
        probe = permit_of(tracker)
        flood(tracker)
        assert isinstance(tracker.acquire("grok"), Cooling)
        probe.success()
        assert tracker.is_available("grok")

    def test_of_a_lost_probe_is_no_second_life(
        self, tracker: BreakerCooldownTracker, clock: FrozenDateTimeFactory
    ) -> None:
        """A probe whose lease is over may be forgotten; its late outcome says nothing to the successor."""
        tracker.cool_down("grok")
        clock.tick(30)
        lost = permit_of(tracker)
        clock.tick(60)
        flood(tracker)
        successor = permit_of(tracker)
        lost.failure(VendorError())
        assert isinstance(tracker.acquire("grok"), Cooling)
        successor.success()
        assert tracker.is_available("grok")
        assert tracker.snapshot()["grok"].state == "closed"

    def test_keeps_a_forced_attempt_in_its_era(
        self, tracker: BreakerCooldownTracker, clock: FrozenDateTimeFactory
    ) -> None:
        """A terminus that was attempted during its cooldown closes it, whoever passed by since."""
        tracker.cool_down("grok", 60.0)
        forced = tracker.acquire("grok", force=True)
        assert isinstance(forced, Permit)
        flood(tracker)
        forced.success()
        assert tracker.snapshot()["grok"].state == "closed"

    def test_leaves_a_breaker_in_hand_connected(self, tracker: BreakerCooldownTracker) -> None:
        """A breaker that somebody has kept opens its provider after any flood, and is the only one."""
        breaker = tracker.breaker("grok")
        flood(tracker)
        breaker.open()
        assert isinstance(tracker.acquire("grok"), Cooling)
        assert tracker.breaker("grok") is breaker
        flood(tracker)
        assert isinstance(tracker.acquire("grok"), Cooling)

    def test_of_its_own_provider_during_the_call(self, tracker: BreakerCooldownTracker) -> None:
        """A `fn` that floods the tracker and then fails is a failure of its provider all the same."""
        config = ExecuteConfig(strategy="fallback", cooldown=tracker)

        def fn(provider: Vendor) -> object:
            if provider.name != "grok":
                return "a dog"
            flood(tracker, 3)
            raise VendorError

        for _ in range(3):
            # Something of grok's is in use all the time, as there is under load.
            held = permit_of(tracker)
            execute(vendors("grok", "gemini"), config, fn)
        assert held.cooling is None
        assert isinstance(tracker.acquire("grok"), Cooling)

    def test_while_a_cooldown_begins_in_another_thread(self, tracker: BreakerCooldownTracker) -> None:
        """Floods and trips at the same moment end with every cooldown known."""
        names = [f"provider {number}" for number in range(4)]

        def work(number: int) -> None:
            if number >= len(names):
                for _ in range(5):
                    for stranger in range(40):
                        tracker.acquire(f"stranger {number} {stranger}")
                return
            permits = [permit_of(tracker, names[number]) for _ in range(3)]
            for permit in permits:
                permit.failure(VendorError())

        in_threads(8, work)
        gc.collect()
        assert [name for name in names if isinstance(tracker.acquire(name), Cooling)] == names

    def test_of_a_name_that_two_threads_meet_is_one_breaker(self, tracker: BreakerCooldownTracker) -> None:
        """Threads that meet a forgotten name at once, while others flood, all get the same breaker."""
        held = tracker.breaker("grok")
        for _ in range(20):
            flood(tracker, 2)
            breakers = in_threads(4, lambda number: tracker.breaker("grok"))
            assert all(breaker is held for breaker in breakers)


class TestDroppedThreads:
    """Threads that go away in the middle."""

    def test_a_thread_that_ends_with_a_permit_in_its_locals_gives_it_back(self) -> None:
        """A permit that lives in a generator of a dead thread is given back when the generator goes."""
        tracker = BreakerCooldownTracker()
        tracker.breaker("grok").half_open()

        def attempt() -> Iterator[Permit]:
            permit = permit_of(tracker)
            yield permit
            permit.success()

        generator = attempt()
        in_thread(generator.__next__)
        assert isinstance(tracker.acquire("grok"), Cooling)
        del generator
        gc.collect()
        assert tracker.is_available("grok")

    def test_a_thread_local_permit_dies_with_its_thread(self) -> None:
        """A permit in a thread's local storage is given back when the thread ends."""
        tracker = BreakerCooldownTracker()
        tracker.breaker("grok").half_open()
        local = threading.local()
        may_end = threading.Event()
        has_begun = threading.Event()

        def work() -> None:
            local.permit = permit_of(tracker)
            has_begun.set()
            may_end.wait(PATIENCE)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert has_begun.wait(PATIENCE)
        assert isinstance(tracker.acquire("grok"), Cooling)
        may_end.set()
        thread.join(PATIENCE)
        assert tracker.is_available("grok")

    def test_a_stale_success_of_a_thread_that_was_long_away(self) -> None:
        """A call that outlasts three cooldowns of its provider has no say in the fourth."""
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker)

        def fn(provider: Vendor) -> object:
            for _ in range(3):
                tracker.cool_down("grok")
                tracker.reset("grok")
            tracker.cool_down("grok")
            return "a cat"

        execute(vendors("grok"), config, fn)
        assert isinstance(tracker.acquire("grok"), Cooling)
        execute(vendors("grok"), config, replying(grok="a cat"))
        assert tracker.is_available("grok")
