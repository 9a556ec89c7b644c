"""What stays in memory: of many names, of many failures, of one result."""

from __future__ import annotations

import contextlib
import gc
import logging
import sys

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    ExecuteConfig,
    NamedProvider,
    Permit,
    Strategy,
    execute,
)
from memory_per_provider import bytes_per_provider

DOWN = ConnectionError("down")
MANY = 100_000


def fail(tracker: BreakerCooldownTracker, name: str) -> bool:
    """Let one attempt at the provider fail."""
    permit = tracker.acquire(name)
    assert isinstance(permit, Permit)
    return permit.failure(DOWN)


class TestManyNames:
    """100,000 names, such as a careless caller makes from users' input."""

    def test_healthy_ones_are_bounded(self) -> None:
        """max_providers are remembered at most, by the tracker and by what it publishes."""
        tracker = BreakerCooldownTracker()
        for number in range(MANY):
            tracker.breaker(f"healthy-{number}")
        assert len(tracker.snapshot()) <= 1024
        assert len(tracker._published) <= 1024

    def test_those_that_failed_once_are_bounded(self) -> None:
        """The last ones still know of their failure; with the first ones it is forgotten."""
        tracker = BreakerCooldownTracker(fail_max=2)
        for number in range(MANY):
            fail(tracker, f"failing-{number}")
        gc.collect()
        assert len(tracker.snapshot()) <= 1024
        assert fail(tracker, f"failing-{MANY - 1}") is True
        assert fail(tracker, f"failing-{MANY - 800}") is True
        assert fail(tracker, "failing-0") is False

    def test_cooling_ones_lose_nothing_else(self) -> None:
        """Beside 100,000 cooldowns that run, no probe under way is forgotten, and no recent failure."""
        tracker = BreakerCooldownTracker(fail_max=2, reset_timeout=3600)
        tracker.breaker("probed").half_open()
        probe = tracker.acquire("probed")
        assert isinstance(probe, Permit)
        for number in range(MANY):
            tracker.cool_down(f"cooling-{number}")
            if number % 1000 == 0:
                assert fail(tracker, f"failing-{number}") is False
        known = tracker.snapshot()
        assert all(known[f"cooling-{number}"].cooldown_remaining > 0.0 for number in range(MANY))
        assert tracker.is_available("probed") is False
        assert all(fail(tracker, f"failing-{number}") for number in range(0, MANY, 1000))
        probe.success()
        assert tracker.snapshot()["probed"].state == "closed"

    def test_cooling_ones_are_all_remembered(self, caplog: pytest.LogCaptureFixture) -> None:
        """As long as their cooldowns run, with one warning; afterwards they make room."""
        with freeze_time("2026-01-01") as clock:
            assert isinstance(clock, FrozenDateTimeFactory)
            tracker = BreakerCooldownTracker()
            for number in range(10_000):
                tracker.cool_down(f"cooling-{number}")
            assert not any(tracker.is_available(f"cooling-{number}") for number in range(10_000))
            assert len(caplog.records) == 1
            clock.tick(30)
            for number in range(20_000):
                tracker.breaker(f"healthy-{number}")
            assert len(tracker.snapshot()) <= 1024


class TestBytes:
    """What a provider costs."""

    def test_an_idle_provider_takes_about_a_kilobyte(self) -> None:
        """The figure that docs/hazards.md gives, with some room for another version of Python."""
        assert bytes_per_provider() < 1500


@pytest.mark.usefixtures("no_collector")
class TestFailures:
    """Chains that fail again and again."""

    def test_2000_failing_chains_grow_nothing(self) -> None:
        """Neither the tracker nor anything behind it keeps what a dropped error held."""
        tracker = BreakerCooldownTracker(fail_max=2, reset_timeout=0.000001)
        # Not the library's logger: pytest keeps every record of that.
        quiet = logging.Logger("quiet", logging.CRITICAL)  # noqa: LOG001
        config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=quiet)
        chain = [NamedProvider("grok", None), NamedProvider("gemini", None)]

        def call(_: object) -> None:
            answer = ["of", "this", "frame"]
            raise ConnectionError(str(answer))

        def fail_often(times: int) -> None:
            for _ in range(times):
                with contextlib.suppress(AllProvidersFailedError):
                    execute(chain, config, call)

        def grown(times: int) -> tuple[int, int]:
            """Return how many objects waited for the collector, and how many blocks there are more."""
            gc.collect()
            before = sys.getallocatedblocks()
            fail_often(times)
            # What it gives back besides are the interpreter's free lists.
            garbage = gc.collect()
            return garbage, sys.getallocatedblocks() - before

        fail_often(200)
        # A thread of another test's, of an SDK's say, may end meanwhile: what is ours is there each time.
        garbage, blocks = min(grown(2000) for _ in range(3))
        assert garbage == 0
        assert blocks < 200
