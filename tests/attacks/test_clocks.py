"""The attacker owns the clock: it leaps by years, stands at the ends of the calendar, or is frozen for some.

They want a cooldown that lasts for ever, one that never begins, or an error that is about dates.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    Cooling,
    Deadline,
    DeadlineExceededError,
    ExecuteConfig,
    Outcome,
    Permit,
    execute,
)
from helpers import VendorError, error_of, in_thread, replying, vendors

MICROSECOND = timedelta(microseconds=1)


def config_of(tracker: BreakerCooldownTracker) -> ExecuteConfig:
    """Return a config that falls back, with that tracker."""
    return ExecuteConfig(strategy="fallback", cooldown=tracker)


class TestTheEndsOfTheCalendar:
    """The first and the last moments that a datetime can tell."""

    @pytest.mark.parametrize("moment", ["0001-01-01", "1970-01-01", "9999-12-31 23:59:59.999999"])
    def test_a_cooldown_begins_and_is_ended_by_an_answer(self, moment: str) -> None:
        """At any moment failures open, the provider is passed over, and its answer as a terminus closes."""
        with freeze_time(moment):
            tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0, backoff_factor=2.0)
            error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker))
            tracker.cool_down("grok", 1e9)
            execute(vendors("grok"), config_of(tracker), replying(grok="a cat"))
            assert tracker.snapshot()["grok"].state == "closed"

    def test_the_last_cooldown_of_the_calendar_ends_with_it(self) -> None:
        """A cooldown that would reach beyond the last moment ends there, and a deadline too."""
        with freeze_time("9999-12-31 23:59:50") as clock:
            tracker, deadline = BreakerCooldownTracker(), Deadline(3600)
            tracker.cool_down("grok", 3600)
            assert isinstance(tracker.acquire("grok"), Cooling)
            clock.move_to(datetime.max)
            assert isinstance(tracker.acquire("grok"), Permit)
            assert deadline.expired

    def test_a_probe_fails_at_the_last_moment(self) -> None:
        """A half-open breaker opens again though no time is left for it to cool down."""
        with freeze_time("9999-12-31 23:59:59.999999"):
            tracker = BreakerCooldownTracker(backoff_factor=10.0)
            tracker.breaker("grok").half_open()
            for _ in range(10):
                tracker.record_failure("grok", VendorError())
            assert tracker.snapshot()["grok"].openings >= 1


class TestLeaps:
    """A clock that leaps."""

    @pytest.mark.parametrize("years", [-2000, -30, -1, 1, 30, 5000])
    def test_of_years_last_no_longer_than_the_cooldown(
        self, clock: FrozenDateTimeFactory, years: int
    ) -> None:
        """After a leap in any direction, a cooldown is over within its own length."""
        tracker = BreakerCooldownTracker(fail_max=1)
        tracker.record_failure("grok", VendorError())
        clock.move_to(datetime(2026 + years, 1, 1))
        tracker.is_available("grok")
        clock.tick(30)
        assert isinstance(tracker.acquire("grok"), Permit)

    def test_to_and_fro_at_each_look_ends_all_the_same(self, clock: FrozenDateTimeFactory) -> None:
        """A clock that is put back by an hour at each look keeps nobody out once it goes on."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("grok")
        for _ in range(50):
            clock.tick(-3600)
            assert not tracker.is_available("grok")
            assert 0.0 < tracker.cooldown_remaining("grok") <= 30.0
        clock.tick(30)
        assert tracker.is_available("grok")
        clock.tick(-3600)
        assert tracker.is_available("grok")

    def test_within_a_chain_change_no_more_than_the_clock(self, clock: FrozenDateTimeFactory) -> None:
        """A clock that goes back a year in the first attempt spoils neither the story nor the deadline."""
        tracker = BreakerCooldownTracker(fail_max=1)

        def fn(provider: object) -> object:
            clock.tick(timedelta(days=-365))
            raise VendorError

        names = vendors("grok", "gemini", "mistral")
        failure = error_of(AllProvidersFailedError, names, config_of(tracker), fn, deadline=60.0)
        assert [attempt.cooldown_remaining for attempt in failure.attempts] == [30.0] * 3
        assert failure.retry_after == 30.0

    def test_forward_during_an_attempt_end_the_chain(self, clock: FrozenDateTimeFactory) -> None:
        """A clock that goes on by a year in an attempt has exhausted every deadline."""

        def fn(provider: object) -> object:
            clock.tick(timedelta(days=365))
            raise VendorError

        tracker = BreakerCooldownTracker()
        error_of(DeadlineExceededError, vendors("grok", "gemini"), config_of(tracker), fn, deadline=1e8 / 10)

    def test_back_during_a_probe_do_not_let_a_second_one_in(self, clock: FrozenDateTimeFactory) -> None:
        """The lease of a probe goes on when the clock steps back, and ends after its own length."""
        tracker = BreakerCooldownTracker()
        tracker.breaker("grok").half_open()
        probe = tracker.acquire("grok")
        clock.tick(timedelta(days=-3650))
        assert isinstance(tracker.acquire("grok"), Cooling)
        clock.tick(60)
        assert isinstance(tracker.acquire("grok"), Permit)
        assert isinstance(probe, Permit)


class TestTinyAndHuge:
    """The shortest and the longest cooldowns."""

    @pytest.mark.parametrize("seconds", [1e-6, 1e-7, 5e-324])
    def test_the_shortest_is_a_cooldown_that_is_over(
        self, clock: FrozenDateTimeFactory, seconds: float
    ) -> None:
        """A cooldown of at most one tick of the clock opens the breaker, and the next tick may probe."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=seconds, jitter=1.0, probe_lease=seconds)
        assert tracker.record_failure("grok", VendorError()) is True
        clock.tick(2 * MICROSECOND)
        assert tracker.snapshot()["grok"].state == "half-open"
        assert isinstance(tracker.acquire("grok"), Permit)

    def test_the_longest_is_a_cooldown_that_can_be_reset(self, clock: FrozenDateTimeFactory) -> None:
        """A cooldown of thirty years, doubled by its jitter, is told in full and ended by hand."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=1e9, probe_lease=1e9)
        tracker.record_failure("grok", VendorError())
        assert tracker.cooldown_remaining("grok") == 1e9
        clock.tick(timedelta(seconds=1e9) - MICROSECOND)
        assert not tracker.is_available("grok")
        tracker.reset("grok")
        assert tracker.is_available("grok")


class TestFreezes:
    """Time that is frozen for a part of the program."""

    def test_a_cooldown_of_a_frozen_future_ends_in_the_real_present(self) -> None:
        """A breaker that opened in a test set in 2099 cools down for its own length afterwards."""
        tracker = BreakerCooldownTracker(fail_max=1)
        with freeze_time("2099-01-01"):
            tracker.record_failure("grok", VendorError())
        assert 0.0 < tracker.cooldown_remaining("grok") <= 30.0

    def test_a_cooldown_of_a_frozen_past_is_over_in_the_real_present(self) -> None:
        """A breaker that opened in a test set in 1999 may be probed afterwards."""
        tracker = BreakerCooldownTracker(fail_max=1)
        with freeze_time("1999-01-01"):
            tracker.record_failure("grok", VendorError())
        assert isinstance(tracker.acquire("grok"), Permit)

    def test_nested_freezes_are_leaps(self) -> None:
        """A freeze within a freeze is a clock that leaps there and back."""
        with freeze_time("2026-01-01") as outer:
            tracker = BreakerCooldownTracker(fail_max=1)
            tracker.record_failure("grok", VendorError())
            with freeze_time("2020-01-01"):
                assert tracker.cooldown_remaining("grok") == 30.0
            outer.tick(1)
            assert in_thread(lambda: tracker.is_available("grok"))

    def test_a_clock_that_ticks_by_itself_ends_a_cooldown_in_the_middle_of_a_chain(self) -> None:
        """A cooldown that ends between two looks of one execution is seen over by the second."""
        with freeze_time("2026-01-01", auto_tick_seconds=20):
            tracker = BreakerCooldownTracker(fail_max=1)
            error_of(AllProvidersFailedError, vendors("grok"), config_of(tracker))
            chain = vendors("grok", "grok", "grok", "gemini")
            result = execute(chain, config_of(tracker), replying(grok="a cat", gemini="a dog"))
            assert result.provider in {"grok", "gemini"}
            assert result.attempts[-1].outcome is Outcome.SUCCESS

    def test_a_clock_in_another_time_zone_is_the_same_clock(self) -> None:
        """A freeze with an offset from UTC changes no cooldown."""
        with freeze_time("2026-01-01", tz_offset=-11) as clock:
            tracker = BreakerCooldownTracker(fail_max=1)
            tracker.record_failure("grok", VendorError())
            clock.tick(timedelta(seconds=30) - MICROSECOND)
            assert not tracker.is_available("grok")
            clock.tick(MICROSECOND)
            assert tracker.is_available("grok")
