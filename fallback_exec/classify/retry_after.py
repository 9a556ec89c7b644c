"""How long a vendor asks to be left alone: Retry-After in all its forms."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import cast

from fallback_exec import _clock
from fallback_exec.classify.shape import header_values, retry_delays

#: The longest text that is read, in characters. The longest form of an HTTP date has 33.
LONGEST_TEXT = 64

# `float()` takes more than vendors mean: "inf", "nan", "-3", "1_0", "1e9", and the digits of all scripts.
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?")

# All three forms of an HTTP date begin with the day of the week. Their parser, too, takes "1_0" and the like.
_DATE = re.compile(r"[A-Za-z]+,? [A-Za-z0-9:+ -]+")


def retry_after(error: object) -> float | None:
    """Return the seconds that a vendor asks to wait, above 0; None where it does not say.

    In this order: `retry-after-ms`, gRPC's pushback, `retry-after` as seconds or as a date that is read
    against the library's clock, and Google's `RetryInfo.retryDelay`. `x-ratelimit-reset-*` is left alone:
    it tells of a window, not of a delay.
    """
    for name, read in _FORMS:
        for value in header_values(error, name):
            seconds = _seconds_of(value, read)
            if seconds is not None:
                return seconds
    delays = (_seconds_of(delay, _google_seconds) for delay in retry_delays(error))
    return next((seconds for seconds in delays if seconds is not None), None)


def _seconds_of(value: object, read: Callable[[str], float]) -> float | None:
    """Return what a text means, None where it means nothing that lies ahead."""
    text = _plain(value)
    if len(text) > LONGEST_TEXT:
        return None
    try:
        seconds = read(text.strip(" \t"))
    except (ValueError, OverflowError):  # a year, or a zone, may have more digits than a date has room for
        return None
    return seconds if seconds > 0.0 else None


def _plain(value: object) -> str:
    """Return a header's value as a text; empty where it is none."""
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(cast("str", value))
    if issubclass(kind, bytes):
        return bytes.decode(cast("bytes", value), "latin-1")
    if issubclass(kind, int) and kind is not bool:
        # Digits that a text may not have either are not worth writing out.
        number = int.__index__(cast("int", value))
        return str(number) if 0 < number < 10**LONGEST_TEXT else ""
    return ""


def _seconds(text: str) -> float:
    if _DECIMAL.fullmatch(text):
        return float(text)
    raise ValueError(text)


def _milliseconds(text: str) -> float:
    return _seconds(text) / 1000.0


def _google_seconds(text: str) -> float:
    """Read a duration as Google writes it in JSON: `58.93s`."""
    return _seconds(text[:-1] if text.endswith("s") else "")


def _seconds_or_date(text: str) -> float:
    return _seconds_until(text) if _DATE.fullmatch(text) else _seconds(text)


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:  # "-0000" and no zone at all, as in the oldest of the three forms
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - _clock.now()).total_seconds()


_FORMS: tuple[tuple[str, Callable[[str], float]], ...] = (
    ("retry-after-ms", _milliseconds),
    ("grpc-retry-pushback-ms", _milliseconds),
    ("retry-after", _seconds_or_date),
)
