"""Small cases of what the model of shared cooldowns has found."""

from __future__ import annotations

from freezegun import freeze_time

from fallback_exec import BreakerCooldownTracker, Cooling, Permit
from fallback_exec.shared import InMemoryCooldownStore, NotAppliedError, Operation, Reply

NAME = "grok"


def trackers(count: int, **settings: float) -> list[BreakerCooldownTracker]:
    """Return the trackers of so many processes, which share what they know."""
    store = InMemoryCooldownStore()
    return [BreakerCooldownTracker(shared=store, **settings) for _ in range(count)]  # type: ignore[arg-type]


def test_a_forced_success_does_not_end_another_s_probe() -> None:
    """It counts, and the probe that is under way stays the only one."""
    first, second, third = trackers(3, success_threshold=3, reset_timeout=1)
    with freeze_time() as clock:
        first.cool_down(NAME)
        clock.tick(1)
        probe = first.acquire(NAME)
        assert isinstance(probe, Permit)
        second.record_success(NAME)
        assert isinstance(third.acquire(NAME), Cooling)
        probe.success()
        clock.tick(1)
        assert isinstance(third.acquire(NAME), Permit)


def test_a_probe_that_succeeds_ends_the_row_of_failures() -> None:
    """Also where others have to succeed before the breaker closes."""
    (tracker,) = trackers(1, fail_max=1, success_threshold=2, reset_timeout=1)
    with freeze_time() as clock:
        tracker.record_failure(NAME, ConnectionError())
        clock.tick(1)
        tracker.record_success(NAME)
        assert tracker.snapshot()[NAME].failures == 0


class Breaking(InMemoryCooldownStore):
    """Refuses while it is told to."""

    is_away = False

    def apply(self, name: str, operation: Operation) -> Reply:
        """Refuse, or carry out."""
        if self.is_away:
            raise NotAppliedError
        return super().apply(name, operation)


def test_a_cooldown_begun_alone_outlives_a_shorter_one_begun_later() -> None:
    """Of two that run, the later end holds, whichever began first."""
    store = Breaking()
    alone, other = (BreakerCooldownTracker(fail_max=1, shared=store) for _ in range(2))
    with freeze_time() as clock:
        permits = [tracker.acquire(NAME) for tracker in (alone, other)]
        store.is_away = True
        assert isinstance(permits[0], Permit)
        permits[0].cool_down(ConnectionError(), 5_000)
        store.is_away = False
        clock.tick(1)
        assert isinstance(permits[1], Permit)
        assert permits[1].failure(ConnectionError()) is True
        for tracker in (alone, other):
            clock.tick(1)
            tracker.acquire(NAME)
        remaining = [tracker.cooldown_remaining(NAME) for tracker in (alone, other)]
        assert remaining == [4_997, 4_997]
