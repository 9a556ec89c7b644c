"""Deadline: what is left of it, what to pass to a client, and its cancellation."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import Deadline, FallbackExecError, InvalidConfigError
from helpers import in_thread

MICROSECOND = timedelta(microseconds=1)


@pytest.mark.usefixtures("clock")
class TestDeadline:
    """A limit for a whole execution."""

    @pytest.mark.parametrize("seconds", [5, 5.0, timedelta(seconds=5), Fraction(5)], ids=repr)
    def test_runs_from_when_it_is_built(self, clock: FrozenDateTimeFactory, seconds: Any) -> None:
        """What remains is a float of seconds, counted down."""
        deadline = Deadline(seconds)
        left = [deadline.remaining()]
        clock.tick(1.5)
        left.append(deadline.remaining())
        assert left == [5.0, 3.5]
        assert all(type(each) is float for each in left)

    def test_is_over_at_its_end_and_not_before(self, clock: FrozenDateTimeFactory) -> None:
        """A microsecond before the end it runs; at the end and after it is over, with nothing left."""
        deadline = Deadline(5)
        seen = []
        for step in (timedelta(seconds=5) - MICROSECOND, MICROSECOND, MICROSECOND):
            clock.tick(step)
            seen.append((deadline.expired, deadline.remaining()))
        assert seen == [(False, 1e-06), (True, 0.0), (True, 0.0)]

    @pytest.mark.parametrize("seconds", [0, 0.0, -1, -0.5, timedelta(0), timedelta(days=-1)], ids=repr)
    def test_of_nothing_or_less_is_over_at_once(self, seconds: float | timedelta) -> None:
        """As with Go's context, a duration that is not positive leaves no time, and never less than none."""
        deadline = Deadline(seconds)
        assert (deadline.expired, deadline.remaining(), deadline.timeout()) == (True, 0.0, 0.001)

    def test_without_seconds_has_no_limit(self, clock: FrozenDateTimeFactory) -> None:
        """No limit means that infinitely much remains, for ever."""
        for deadline in (Deadline(), Deadline(None)):
            clock.tick(timedelta(days=365))
            assert (deadline.remaining(), deadline.expired) == (math.inf, False)

    @pytest.mark.parametrize("seconds", [1e9, 1e300, timedelta.max], ids=repr)
    def test_may_be_as_long_as_one_likes(self, seconds: float | timedelta) -> None:
        """A limit beyond the calendar is a limit that never comes."""
        deadline = Deadline(seconds)
        assert deadline.expired is False
        assert deadline.remaining() >= 1e9

    @pytest.mark.parametrize(
        "seconds", [math.nan, math.inf, -math.inf, True, False, "5", "", b"5", [], 5j, object], ids=repr
    )
    def test_refuses_what_is_no_duration(self, seconds: Any) -> None:
        """Only a finite number of seconds, a timedelta or None will do; the text has the value."""
        with pytest.raises(InvalidConfigError, match="seconds must be a finite number of seconds") as caught:
            Deadline(seconds)
        assert caught.value.setting == "seconds"
        assert repr(seconds) in str(caught.value)

    def test_refuses_a_number_that_is_too_large_to_show(self) -> None:
        """Also of an integer that Python refuses to print, the library's error is raised."""
        with pytest.raises(FallbackExecError):
            Deadline(10**5000)

    def test_a_clock_that_steps_back_prolongs_it_by_no_more_than_itself(
        self, clock: FrozenDateTimeFactory
    ) -> None:
        """From the look at which the step is noticed, at most its full length remains."""
        deadline = Deadline(5)
        clock.tick(3)
        clock.move_to("2020-01-01")
        assert deadline.remaining() == 5.0
        clock.tick(2)
        assert deadline.remaining() == 3.0

    def test_stays_over_when_the_clock_steps_back(self, clock: FrozenDateTimeFactory) -> None:
        """What was seen to be over is over."""
        deadline = Deadline(5)
        clock.tick(5)
        assert deadline.expired is True
        clock.move_to("2020-01-01")
        assert (deadline.expired, deadline.remaining()) == (True, 0.0)

    def test_is_the_same_in_every_thread(self, clock: FrozenDateTimeFactory) -> None:
        """All threads see the same time left, also under frozen time."""
        deadline = Deadline(5)
        clock.tick(2)
        assert in_thread(deadline.remaining) == 3.0

    @pytest.mark.parametrize(
        ("seconds", "at_most", "timeout"),
        [
            (None, None, None),
            (None, 7, 7.0),
            (None, timedelta(seconds=7), 7.0),
            (None, 0.0001, 0.001),
            (5, None, 5.0),
            (5, 7, 5.0),
            (5, 5, 5.0),
            (5, 2.5, 2.5),
            (5, timedelta(milliseconds=10), 0.01),
            (0.0005, None, 0.001),
            (0, 7, 0.001),
            (-3, 7, 0.001),
        ],
    )
    def test_timeout_is_the_smaller_of_the_two(
        self, seconds: float | None, at_most: float | timedelta | None, timeout: float | None
    ) -> None:
        """What a client may take is what remains or its own limit, None for no limit, and never 0."""
        assert Deadline(seconds).timeout(at_most) == timeout
        assert Deadline(seconds).timeout(at_most=at_most) == timeout

    def test_timeout_counts_down(self, clock: FrozenDateTimeFactory) -> None:
        """Later attempts get what earlier ones have left, at least a thousandth of a second."""
        deadline = Deadline(5)
        timeouts = []
        for step in (0, 3, 1.9995, 10):
            clock.tick(step)
            timeouts.append(deadline.timeout(4))
        assert timeouts == [4.0, 2.0, 0.001, 0.001]

    @pytest.mark.parametrize(
        "at_most",
        [0, -1, 0.0, math.nan, math.inf, True, "7", timedelta(0), timedelta(seconds=-1), []],
        ids=repr,
    )
    def test_timeout_refuses_a_limit_that_is_not_positive(self, at_most: Any) -> None:
        """A client's own limit is a finite number above 0, or a timedelta above 0."""
        with pytest.raises(InvalidConfigError, match="at_most must be a finite number of seconds") as caught:
            Deadline(5).timeout(at_most)
        assert caught.value.setting == "at_most"
        assert repr(at_most) in str(caught.value)

    def test_may_be_cancelled_from_any_thread(self) -> None:
        """A cancellation is seen everywhere, and says nothing of the time."""
        deadline = Deadline(5)
        assert deadline.cancelled is False
        in_thread(deadline.cancel)
        assert (deadline.cancelled, deadline.expired, deadline.remaining()) == (True, False, 5.0)

    def test_is_never_uncancelled(self) -> None:
        """To cancel again changes nothing."""
        deadline = Deadline()
        deadline.cancel()
        deadline.cancel()
        assert deadline.cancelled is True

    def test_facts_are_read_only(self) -> None:
        """`expired` and `cancelled` are looked at, not set."""
        deadline: Any = Deadline(5)
        for fact in ("expired", "cancelled"):
            with pytest.raises(AttributeError):
                setattr(deadline, fact, True)

    def test_shows_what_it_is_and_what_is_left(self, clock: FrozenDateTimeFactory) -> None:
        """The repr, which stands in errors, has the length, the rest, and whether it was cancelled."""
        deadline = Deadline(5)
        clock.tick(2)
        assert repr(deadline) == "<Deadline seconds=5.0, remaining=3.0>"
        deadline.cancel()
        assert repr(deadline) == "<Deadline seconds=5.0, remaining=3.0, cancelled>"
        assert repr(Deadline()) == "<Deadline seconds=None, remaining=inf>"
