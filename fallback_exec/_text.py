"""Texts that are safe to log: one line each, whatever a provider or an error calls itself."""

from __future__ import annotations

import math
import re
import reprlib

# Line breaks and other controls could forge a second log line or drive a terminal; lone
# surrogates cannot be written to a UTF-8 stream; the bidirectional overrides reorder what a
# reader sees.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 80


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """Return `text` with every control character escaped: a newline becomes a backslash and an n."""
    # A subclass, an enum's member say, may call itself something else.
    plain = str.__str__(text)
    # Nothing that is unsafe is printable, and asking is faster than searching.
    return plain if plain.isprintable() else _UNSAFE.sub(_escape, plain)


def error_text(error: BaseException) -> str:
    """Return the error's text in one line; its class's name where that is empty or cannot be had."""
    try:
        text = one_line(str(error))
    except Exception:
        text = ""
    return text or class_name(error)


def class_name(value: object, name: str = "__name__") -> str:
    """Return the name of the object's class in one line, whatever its metaclass says."""
    return one_line(type.__dict__[name].__get__(type(value)))


def brief(value: object) -> str:
    """Return a short `repr` of any object, in one line; its type where that cannot be had."""
    try:
        return one_line(_brief.repr(value))
    except Exception:
        return f"<{class_name(value)} that cannot be shown>"


def whole_seconds(seconds: float) -> float:
    """Round to a whole number of seconds, halves up, as Go's `Duration.Round` does; infinity stays."""
    if not math.isfinite(seconds):
        return seconds
    below = math.floor(seconds)
    return below + (seconds - below >= 0.5)
