"""Checks of arguments and settings. Each returns the value as it is used, or raises `InvalidConfigError`."""

from __future__ import annotations

import contextlib
import inspect
import math
import numbers
import operator
import sys
from datetime import timedelta
from typing import TypeVar, cast

from fallback_exec.errors import InvalidConfigError

FunctionT = TypeVar("FunctionT")

#: What a duration may be given as.
Seconds = float | timedelta

#: The longest duration taken, in seconds, about 31 years: pybreaker adds durations to a
#: datetime, which overflows for those that reach beyond the year 9999.
LONGEST = 1e9


def real(setting: str, value: object, rule: str) -> float:
    """Return a finite real number as a float; NaN, the infinities, bools and strings are refused."""
    with contextlib.suppress(Exception):  # a number of the user's own class may raise what it likes
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            number = float(value)
            if math.isfinite(number):
                return number
    raise InvalidConfigError(setting, value, rule)


def real_between(setting: str, value: object, low: float, high: float) -> float:
    """Return a number that is neither below `low` nor above `high`."""
    rule = (
        f"must be a finite number, {low:g} or more"
        if high == math.inf
        else f"must be a number from {low:g} to {high:g}"
    )
    number = real(setting, value, rule)
    if low <= number <= high:
        return number
    raise InvalidConfigError(setting, value, rule)


def whole(setting: str, value: object) -> int:
    """Return a whole number of at least 1."""
    with contextlib.suppress(Exception):  # as above
        if isinstance(value, numbers.Integral) and not isinstance(value, bool):
            number = operator.index(value)
            if number >= 1:
                return number
    raise InvalidConfigError(setting, value, "must be a whole number of at least 1")


def seconds(setting: str, value: object) -> float:
    """Return a duration, given in seconds or as a timedelta, as finite float seconds of either sign."""
    return _duration(setting, value, "must be a finite number of seconds or a timedelta")


def any_seconds(setting: str, value: object) -> float:
    """Return a duration of whatever length as float seconds, also where that is NaN or infinite."""
    with contextlib.suppress(InvalidConfigError):
        return seconds(setting, value)
    with contextlib.suppress(Exception):  # as above
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                return math.copysign(sys.float_info.max, 1 if operator.gt(value, 0) else -1)
    raise InvalidConfigError(setting, value, "must be a number of seconds or a timedelta")


def positive_seconds(setting: str, value: object) -> float:
    """Return a duration above 0 and at most `LONGEST`."""
    rule = f"must be a finite number of seconds or a timedelta, above 0 and at most {LONGEST:g}"
    number = _duration(setting, value, rule)
    if 0.0 < number <= LONGEST:
        return number
    raise InvalidConfigError(setting, value, rule)


def function(setting: str, value: FunctionT) -> FunctionT:
    """Return something callable; a coroutine function is refused, for nobody would await what it returns."""
    if not callable(value):
        raise InvalidConfigError(setting, value, "must be callable")
    if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(type(value).__call__):
        raise InvalidConfigError(setting, value, "must be a plain function, not a coroutine function")
    return value


def name(setting: str, value: object) -> str:
    """Return a provider's name, a non-empty string, as a plain `str`."""
    # The type is asked, not isinstance(), which believes what an object says of itself, as a mock does.
    # A subclass of str (an enum's member, say) may print, compare and be true differently.
    plain = str.__str__(cast("str", value)) if issubclass(type(value), str) else ""
    if not plain:
        raise InvalidConfigError(setting, value, "must be a non-empty string")
    return plain


def _duration(setting: str, value: object, rule: str) -> float:
    # As above: a subclass may count its seconds differently.
    if issubclass(type(value), timedelta):
        return timedelta.total_seconds(cast("timedelta", value))
    return real(setting, value, rule)
