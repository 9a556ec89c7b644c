"""Verdicts: what an error means."""

from __future__ import annotations

import copy
import math
import pickle
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest

from fallback_exec import InvalidConfigError, Verdict

ALL = [
    Verdict.failure(),
    Verdict.cool_down(),
    Verdict.cool_down(30),
    Verdict.neutral(),
    Verdict.abort(),
    Verdict.abort(counted=True),
]


class TestVerdict:
    def test_says_what_is_counted(self) -> None:
        """Failures, cooldowns and aborts that ask for it reach the breaker; the others do not."""
        assert [each.counted for each in ALL] == [True, True, True, False, False, True]

    def test_is_a_value(self) -> None:
        """Two verdicts that say the same are equal, hash alike, and survive copies and pickles."""
        assert len(set(ALL)) == len(ALL)
        for verdict in ALL:
            assert pickle.loads(pickle.dumps(verdict)) == verdict
            assert copy.deepcopy(verdict) == verdict
        assert Verdict.cool_down(30) == Verdict.cool_down(timedelta(seconds=30))

    def test_is_immutable(self) -> None:
        """Nobody can change a verdict that others hold."""
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            Verdict.failure().seconds = 5.0  # type: ignore[misc]  # what is tested

    def test_shows_how_it_is_built(self) -> None:
        """The repr is the call that builds it."""
        assert [repr(each) for each in ALL] == [
            "Verdict.failure()",
            "Verdict.cool_down(None)",
            "Verdict.cool_down(30.0)",
            "Verdict.neutral()",
            "Verdict.abort(counted=False)",
            "Verdict.abort(counted=True)",
        ]
        assert all(eval(repr(each)) == each for each in ALL)


class TestSeconds:
    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [
            (0.001, 0.001),
            (3599.9, 3599.9),
            (3600, 3600.0),
            (3600.001, 3600.0),
            (timedelta(days=1), 3600.0),
            (10**400, 3600.0),
            (Fraction(1, 2), 0.5),
        ],
    )
    def test_are_at_most_an_hour(self, seconds: float, expected: float) -> None:
        """What a vendor asks for is taken as it is, and cut at an hour."""
        assert Verdict.cool_down(seconds).seconds == expected

    @pytest.mark.parametrize(
        "seconds",
        [None, 0, -0.0, -1, -(10**400), math.nan, math.inf, -math.inf, timedelta(0), timedelta(seconds=-1)],
    )
    def test_that_no_cooldown_lasts_leave_it_to_the_tracker(self, seconds: float | None) -> None:
        """Nothing, less than nothing, NaN and infinity mean the tracker's own cooldown."""
        assert Verdict.cool_down(seconds).seconds is None

    @pytest.mark.parametrize("seconds", ["30", True, 1j, Decimal(3), [30]])
    def test_that_are_no_number_are_refused(self, seconds: float) -> None:
        """The error names the setting and the value."""
        with pytest.raises(InvalidConfigError, match="seconds must be a number of seconds or a timed"):
            Verdict.cool_down(seconds)


class TestChecks:
    """A verdict that is built without a class method."""

    @pytest.mark.parametrize("kind", ["nonsense", "", "FAILURE", None, 7])
    def test_refuse_an_unknown_kind(self, kind: Any) -> None:
        """The error names those there are."""
        with pytest.raises(InvalidConfigError, match="kind must be one of failure, cool_down, neutral"):
            Verdict(kind)

    @pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf, 3600.1, 1e12])
    def test_refuse_seconds_that_no_vendor_may_ask_for(self, seconds: float) -> None:
        """What the class method makes None of, or cuts, would otherwise reach the tracker as it is."""
        with pytest.raises(InvalidConfigError, match="seconds must be None, or with cool_down a number"):
            Verdict("cool_down", seconds)

    @pytest.mark.parametrize("kind", ["failure", "neutral", "abort"])
    def test_refuse_seconds_of_another_kind(self, kind: Any) -> None:
        """Nothing else cools down."""
        with pytest.raises(InvalidConfigError, match="seconds must be None"):
            Verdict(kind, 30.0)

    def test_take_the_arguments_of_a_valid_one(self) -> None:
        """They are attributes, to compare and to match by."""
        assert Verdict("cool_down", 30.0) == Verdict.cool_down(30)
        assert Verdict("abort", counted=False) == Verdict.abort()
