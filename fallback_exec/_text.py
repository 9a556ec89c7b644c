"""Texts that are safe to log: one line each, whatever a provider or an error calls itself."""

from __future__ import annotations

import builtins
import math
import re
import reprlib
from collections.abc import Callable
from typing import TypeAlias

from fallback_exec.redaction import redact

#: What masks credentials in a text.
Redact: TypeAlias = Callable[[str], str]

# Line breaks and other controls could forge a second log line or drive a terminal; lone
# surrogates cannot be written to a UTF-8 stream; the bidirectional overrides reorder what a
# reader sees.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _Brief(reprlib.Repr):
    """Shortens what was masked before: half of a credential has no shape that tells it from a word."""

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(redact(x), level)

    def repr_instance(self, x: object, level: int) -> str:
        return super().repr_instance(_Shown(redact(builtins.repr(x))), level)


class _Shown:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


_brief = _Brief()
_brief.maxstring = _brief.maxother = 80


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """Return `text` with every control character escaped: a newline becomes a backslash and an n."""
    # A subclass, an enum's member say, may call itself something else.
    plain = str.__str__(text)
    # Nothing that is unsafe is printable, and asking is faster than searching.
    return plain if plain.isprintable() else _UNSAFE.sub(_escape, plain)


def name_text(name: str, redact: Redact = redact) -> str:
    """Return a provider's name as it is shown: in one line, and without the credentials of a URL, say."""
    try:
        return one_line(redact(name))
    except Exception:  # of the user's own function: what it should have masked is not shown
        return "[redact failed]"


def error_text(error: BaseException, redact: Redact = redact) -> str:
    """Return the error's text as it is shown; its class's name where that is empty or cannot be had."""
    try:
        text = redact(str(error))
        if type(text) is not str or not text.isprintable():
            text = one_line(text)
    except Exception:
        text = ""
    return text or class_name(error)


def class_name(value: object, name: str = "__name__") -> str:
    """Return the name of the object's class in one line, whatever its metaclass says."""
    return one_line(type.__dict__[name].__get__(type(value)))


def masked_repr(value: object, show: Callable[[object], str] = builtins.repr) -> str:
    """Return the `repr` of any object in one line, without credentials; its type where that cannot be had."""
    try:
        return one_line(redact(show(value)))
    except Exception:
        return f"<{class_name(value)} that cannot be shown>"


def brief(value: object) -> str:
    """Return a short `masked_repr` of any object."""
    return masked_repr(value, _brief.repr)  # masked as a whole: what a value is may stand in a dict's key


def whole_seconds(seconds: float) -> float:
    """Round to a whole number of seconds, halves up, as Go's `Duration.Round` does; infinity stays."""
    if not math.isfinite(seconds):
        return seconds
    below = math.floor(seconds)
    return below + (seconds - below >= 0.5)
