"""The one clock of cooldowns and deadlines, and stretches of time on it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given
from hypothesis import strategies as st

from fallback_exec import BreakerCooldownTracker, Deadline, ExecuteConfig, Outcome, execute
from fallback_exec._clock import Countdown, now
from helpers import ThreeMethodTracker, in_thread, meddle_at_each_line, vendors

MICROSECOND = timedelta(microseconds=1)


class TestNow:
    """The time that everything goes by."""

    def test_is_aware_and_in_utc(self) -> None:
        """It can be compared with what other programs write down."""
        assert now().tzinfo is UTC

    def test_is_what_the_calendar_says(self) -> None:
        """It is the time of day, and not one that began at some start."""
        before = datetime.now(UTC)
        assert before <= now() <= datetime.now(UTC)

    def test_is_read_at_the_time_of_use(self) -> None:
        """A clock that is frozen after the library was imported is the one that is read."""
        with freeze_time("2020-02-02") as frozen:
            assert now() == datetime(2020, 2, 2, tzinfo=UTC)
            frozen.tick(1.5)
            assert now() == datetime(2020, 2, 2, 0, 0, 1, 500_000, tzinfo=UTC)

    def test_is_frozen_in_every_thread(self, clock: FrozenDateTimeFactory) -> None:
        """Time travel reaches threads too."""
        assert in_thread(now) == now()


@pytest.mark.usefixtures("clock")
class TestCountdown:
    """A stretch of time."""

    def test_runs_until_just_before_its_end(self, clock: FrozenDateTimeFactory) -> None:
        """At exactly the end nothing is left, a microsecond before it a microsecond."""
        countdown, left = Countdown(30.0), []
        for step in (timedelta(0), timedelta(seconds=30) - MICROSECOND, MICROSECOND, MICROSECOND):
            clock.tick(step)
            left.append(countdown.remaining())
        assert left == [30.0, 1e-06, 0.0, 0.0]

    @given(st.integers(min_value=1, max_value=10**15))
    def test_of_any_length_is_over_exactly_then(self, microseconds: int) -> None:
        """Whatever its length in seconds, it ends when a timedelta of as many has passed, and not before."""
        length = timedelta(microseconds=microseconds)
        with freeze_time("2026-01-01") as frozen:
            countdown = Countdown(microseconds / 1e6)
            frozen.tick(length - MICROSECOND)
            assert countdown.remaining() > 0.0
            frozen.tick(MICROSECOND)
            assert countdown.remaining() == 0.0

    def test_of_a_third_of_a_second_ends_when_the_clock_can_tell(self, clock: FrozenDateTimeFactory) -> None:
        """Lengths that no clock resolves are rounded as timedelta rounds them."""
        countdown = Countdown(1 / 3)
        clock.tick(timedelta(seconds=1 / 3))
        assert countdown.remaining() == 0.0

    def test_may_have_begun_earlier(self, clock: FrozenDateTimeFactory) -> None:
        """A reading of the clock says when it began."""
        began = now()
        clock.tick(10)
        assert Countdown(30.0, began).remaining() == 20.0

    def test_may_be_looked_at_with_a_reading_that_was_made(self, clock: FrozenDateTimeFactory) -> None:
        """Several looks may share one reading."""
        countdown, began = Countdown(30.0), now()
        clock.tick(10)
        at = now()
        clock.tick(10)
        assert [countdown.remaining(each) for each in (began, at, None)] == [30.0, 20.0, 10.0]

    def test_is_not_fooled_by_a_reading_from_before_it_began(self, clock: FrozenDateTimeFactory) -> None:
        """A reading that is older than the countdown is none of a clock that stepped back."""
        at = now()
        clock.tick(10)
        countdown = Countdown(30.0)
        clock.tick(10)
        assert countdown.remaining(at) == 20.0
        assert countdown.remaining() == 20.0

    def test_moves_back_with_the_clock(self, clock: FrozenDateTimeFactory) -> None:
        """When the clock has stepped back to before the beginning, its full length remains."""
        countdown = Countdown(30.0)
        clock.tick(20)
        clock.move_to("2020-01-01")
        assert countdown.remaining() == 30.0
        clock.tick(10)
        assert countdown.remaining() == 20.0

    def test_goes_on_when_the_clock_steps_back_a_little(self, clock: FrozenDateTimeFactory) -> None:
        """A step to somewhere after the beginning cannot be told from time that has not passed."""
        countdown = Countdown(30.0)
        clock.tick(20)
        assert countdown.remaining() == 10.0
        clock.tick(-15)
        assert countdown.remaining() == 25.0

    def test_stays_over(self, clock: FrozenDateTimeFactory) -> None:
        """What has been seen to be over is over, wherever the clock goes."""
        countdown = Countdown(30.0)
        clock.tick(30)
        assert countdown.remaining() == 0.0
        clock.move_to("2020-01-01")
        assert countdown.remaining() == 0.0
        clock.tick(10)
        assert countdown.remaining() == 0.0

    @pytest.mark.parametrize("length", [0.0, -5.0])
    def test_of_nothing_is_over_at_once(self, length: float) -> None:
        """Nothing, or less, leaves nothing, and never less than that."""
        assert Countdown(length).remaining() == 0.0

    @pytest.mark.parametrize("other", [19.999999, 20.0, 20.000001])
    def test_outlasts_another_that_ends_earlier(self, clock: FrozenDateTimeFactory, other: float) -> None:
        """Whenever they began; one that ends at the same moment does not."""
        countdown = Countdown(30.0)
        clock.tick(10)
        assert countdown.outlasts(Countdown(other)) is (other < 20.0)

    def test_that_another_thread_moves_back_meanwhile_still_runs(self, clock: FrozenDateTimeFactory) -> None:
        """When the clock steps back and another thread looks, in the middle of a look, nothing ends early."""

        def scene() -> tuple[Callable[[], set[float]], Callable[[], object]]:
            clock.move_to("2026-01-01")
            countdown = Countdown(30.0)
            clock.tick(5)

            def meddle() -> None:
                clock.move_to("2020-01-01")
                countdown.remaining()

            return lambda: {countdown.remaining(), countdown.remaining()}, meddle

        assert set().union(*meddle_at_each_line(scene)) == {25.0, 30.0}


class TestOneClock:
    """Everything that lasts goes by the same clock."""

    def test_deadlines_and_cooldowns_end_at_the_same_moment(self, clock: FrozenDateTimeFactory) -> None:
        """Thirty seconds of either are over together."""
        deadline, tracker = Deadline(30), BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        tracker.record_failure("grok", ValueError())
        seen = []
        for step in (timedelta(seconds=30) - MICROSECOND, MICROSECOND):
            clock.tick(step)
            seen.append((deadline.expired, tracker.is_available("grok")))
        assert seen == [(False, False), (True, True)]

    def test_jitter_lengthens_a_cooldown_from_its_beginning(self, clock: FrozenDateTimeFactory) -> None:
        """A cooldown that is made longer ends as much later."""

        class Half(random.Random):
            def random(self) -> float:
                return 0.5

        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30, jitter=0.5, random=Half())
        tracker.record_failure("grok", ValueError())
        assert tracker.cooldown_remaining("grok") == 37.5

    @pytest.mark.parametrize("seconds", [float("inf"), 1e300, 1e12])
    def test_a_cooldown_may_last_beyond_the_calendar(self, seconds: float) -> None:
        """A tracker that says "for ever" is understood: the provider is passed over."""
        tracker = ThreeMethodTracker(cooling={"grok": seconds})
        config = ExecuteConfig(strategy="fallback", cooldown=tracker)
        result = execute(vendors("grok", "gemini"), config, lambda each: each.name)
        assert result.response == "gemini"
        assert result.attempts[0].outcome is Outcome.SKIPPED
        assert (result.attempts[0].cooldown_remaining or 0.0) >= 1e9
