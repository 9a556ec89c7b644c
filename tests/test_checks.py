"""Checks of arguments and settings: what they take, and what they say of what they refuse."""

from __future__ import annotations

import enum
import math
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback_exec import FallbackExecError, InvalidConfigError, _checks

NOT_NUMBERS: list[object] = [None, True, False, "5", "", b"5", [], {}, 5j, object, Decimal(5), math.nan]
INFINITE: list[object] = [math.inf, -math.inf, 10**400]

Check = Callable[[object], object]


def refusal(check: Callable[..., object], value: object, *arguments: Any) -> str:
    """Return the text with which a value is refused; it names the setting and the value."""
    with pytest.raises(InvalidConfigError) as caught:
        check("setting", value, *arguments)
    text = str(caught.value)
    assert caught.value.setting == "setting"
    assert text.startswith("invalid config: setting must be ")
    assert repr(value)[:15] in text
    return text


class TestReal:
    """A finite real number."""

    @pytest.mark.parametrize("value", [0, 5, -5, 0.5, -0.5, Fraction(1, 2), 10**300], ids=repr)
    def test_is_a_float(self, value: Any) -> None:
        """Any real number will do, of either sign, and becomes a float."""
        number = _checks.real("setting", value, "must be a number")
        assert (type(number), number) == (float, float(value))

    @pytest.mark.parametrize("value", [*NOT_NUMBERS, *INFINITE], ids=lambda value: repr(value)[:9])
    def test_is_not_anything_else(self, value: object) -> None:
        """NaN, the infinities, bools, strings, None and what is larger than any float are refused."""
        assert "must be a number, got " in refusal(_checks.real, value, "must be a number")

    def test_a_number_that_python_does_not_print_is_refused_all_the_same(self) -> None:
        """An integer of more digits than Python converts is refused with the library's error."""
        with pytest.raises(FallbackExecError):
            _checks.real("setting", 10**5000, "must be a number")


class TestRealBetween:
    """A number within limits."""

    @pytest.mark.parametrize("value", [0, 0.0, 0.5, 1], ids=repr)
    def test_takes_its_limits_and_what_is_between(self, value: float) -> None:
        """Both limits belong to what is allowed."""
        assert _checks.real_between("setting", value, 0.0, 1.0) == value

    @pytest.mark.parametrize(
        "value", [*NOT_NUMBERS, *INFINITE, -0.001, 1.001], ids=lambda value: repr(value)[:9]
    )
    def test_refuses_what_is_outside(self, value: object) -> None:
        """The text says what the limits are."""
        assert "must be a number from 0 to 1, got" in refusal(_checks.real_between, value, 0.0, 1.0)

    def test_may_have_no_upper_limit(self) -> None:
        """Without an upper limit any finite number is small enough."""
        assert _checks.real_between("setting", 1e300, 1.0, math.inf) == 1e300
        assert "must be a finite number, 1 or more" in refusal(_checks.real_between, 0.5, 1.0, math.inf)
        assert "must be a finite number, 1 or more" in refusal(_checks.real_between, math.inf, 1.0, math.inf)


class Numeral(enum.IntEnum):
    """A number that is a member of an enum."""

    THREE = 3


class TestWhole:
    """A whole number of at least 1."""

    @pytest.mark.parametrize("value", [1, 2, 10**30, Numeral.THREE], ids=repr)
    def test_is_a_plain_int(self, value: int) -> None:
        """Any integer type will do."""
        number = _checks.whole("setting", value)
        assert (type(number), number) == (int, int(value))

    @pytest.mark.parametrize("value", [*NOT_NUMBERS, 0, -1, 1.0, 2.5, math.inf, Fraction(3)], ids=repr)
    def test_is_not_anything_else(self, value: object) -> None:
        """Zero, negative numbers, fractions, floats even when whole, bools, strings and None are refused."""
        assert "must be a whole number of at least 1" in refusal(_checks.whole, value)


class TestSeconds:
    """A duration of either sign."""

    @pytest.mark.parametrize("value", [0, -5, 1.5, timedelta(seconds=1.5), timedelta(days=-1)], ids=repr)
    def test_is_a_float_of_seconds(self, value: float | timedelta) -> None:
        """Numbers are seconds, timedeltas are converted."""
        expected = value.total_seconds() if isinstance(value, timedelta) else float(value)
        number = _checks.seconds("setting", value)
        assert (type(number), number) == (float, expected)

    @pytest.mark.parametrize("value", [*NOT_NUMBERS, *INFINITE], ids=lambda value: repr(value)[:9])
    def test_is_not_anything_else(self, value: object) -> None:
        """The text says what will do."""
        assert "must be a finite number of seconds or a timedelta, got" in refusal(_checks.seconds, value)


class TestAnySeconds:
    """A duration of whatever length."""

    @pytest.mark.parametrize(
        "value",
        [0, -5, 1.5, Fraction(1, 2), math.inf, -math.inf, timedelta(days=-1), timedelta.max],
        ids=repr,
    )
    def test_is_a_float_of_seconds(self, value: Any) -> None:
        """The infinities are taken as well."""
        expected = value.total_seconds() if isinstance(value, timedelta) else float(value)
        number = _checks.any_seconds("setting", value)
        assert (type(number), number) == (float, expected)

    def test_may_be_nan(self) -> None:
        """Who asks decides what that means."""
        assert math.isnan(_checks.any_seconds("setting", math.nan))

    @pytest.mark.parametrize("sign", [1, -1])
    def test_is_the_largest_float_where_no_float_is_as_large(self, sign: int) -> None:
        """And finite, so that it is told from infinity; the sign is kept."""
        for value in (sign * 10**400, Fraction(sign * 10**400)):
            number = _checks.any_seconds("setting", value)
            assert (type(number), number) == (float, sign * sys.float_info.max)

    @pytest.mark.parametrize(
        "value", [None, True, False, "5", "", b"5", [], {}, 5j, object, Decimal(5)], ids=repr
    )
    def test_is_not_anything_else(self, value: object) -> None:
        """The text says what will do."""
        assert "must be a number of seconds or a timedelta, got" in refusal(_checks.any_seconds, value)

    @pytest.mark.parametrize("fails", [ValueError, OverflowError, ZeroDivisionError], ids=repr)
    def test_a_number_of_the_users_class_that_raises_is_none(self, fails: type[Exception]) -> None:
        """Whatever it raises when it is made a float, or is compared."""

        class Broken(Fraction):
            def __float__(self) -> float:
                raise fails

            def __gt__(self, other: object) -> bool:
                raise fails

        with pytest.raises(InvalidConfigError, match="setting must be a number of seconds or a timedelta"):
            _checks.any_seconds("setting", Broken(5))


class TestFunction:
    """Something to call."""

    def test_is_the_very_object(self) -> None:
        """A function, a method, a class, and an object that can be called."""

        class Caller:
            def __call__(self) -> None: ...

        for value in (len, lambda: None, "".join, str, Caller()):
            assert _checks.function("setting", value) is value

    @pytest.mark.parametrize("value", [None, 5, "len", [], ()], ids=repr)
    def test_is_not_anything_else(self, value: object) -> None:
        """What cannot be called is refused."""
        assert "must be callable, got" in refusal(_checks.function, value)

    def test_is_no_coroutine_function(self) -> None:
        """Nobody would await what it returns."""

        async def later() -> None: ...

        assert "must be a plain function, not a coroutine function" in refusal(_checks.function, later)


class TestPositiveSeconds:
    """A duration above 0."""

    @pytest.mark.parametrize(
        "value", [5, 0.001, 1e-9, timedelta(microseconds=1), 1e9, timedelta(seconds=1e9)], ids=repr
    )
    def test_is_a_float_of_seconds(self, value: float | timedelta) -> None:
        """As short as one likes, and up to about 31 years, the limit included."""
        expected = value.total_seconds() if isinstance(value, timedelta) else float(value)
        number = _checks.positive_seconds("setting", value)
        assert (type(number), number) == (float, expected)

    @pytest.mark.parametrize(
        "value",
        [*NOT_NUMBERS, *INFINITE, 0, 0.0, -1, timedelta(0), timedelta(seconds=-1), timedelta.max, 1e9 + 1],
        ids=lambda value: repr(value)[:30],
    )
    def test_is_not_anything_else(self, value: object) -> None:
        """Nothing, less than nothing, and what no calendar holds are refused; the text has both limits."""
        text = refusal(_checks.positive_seconds, value)
        assert "must be a finite number of seconds or a timedelta, above 0 and at most 1e+09, got" in text

    @given(st.floats(min_value=1e-300, max_value=1e9))
    def test_a_number_is_taken_as_it_is(self, seconds: float) -> None:
        """Nothing is rounded."""
        assert _checks.positive_seconds("setting", seconds) == seconds


class Name(str, enum.Enum):  # noqa: UP042  # its members print as `Name.GROK`, which is the point
    """A name that is a member of an enum."""

    GROK = "grok"


class TestName:
    """A provider's name."""

    @pytest.mark.parametrize("value", ["grok", " ", "\n", "Größe", Name.GROK], ids=repr)
    def test_is_a_plain_string(self, value: str) -> None:
        """Any text but an empty one, also as a member of an enum, becomes a `str` that prints as itself."""
        name = _checks.name("setting", value)
        assert (type(name), name, f"{name}") == (
            str,
            value,
            value.value if isinstance(value, Name) else value,
        )

    @pytest.mark.parametrize("value", ["", None, 5, b"grok", True, ["grok"]], ids=repr)
    def test_is_not_anything_else(self, value: object) -> None:
        """An empty string and what is no string are refused."""
        assert "must be a non-empty string" in refusal(_checks.name, value)
