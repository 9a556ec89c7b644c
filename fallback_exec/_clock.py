"""The one clock of cooldowns and deadlines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import final

# `dt.datetime` is looked up at every reading: freezegun replaces the attribute, and an
# imported name or a default argument would go on reading the real time. This clock is also
# the only one that freezegun freezes in every thread and at every depth of the stack.


def now() -> dt.datetime:
    """Return the current time, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


def later(moment: dt.datetime, seconds: float) -> dt.datetime:
    """Return the moment that many seconds later, or the last one that a datetime can tell."""
    try:
        return moment + dt.timedelta(seconds=seconds)
    except OverflowError:
        return dt.datetime.max.replace(tzinfo=dt.UTC)


@final  # so that asking for its very type tells all
class Countdown:
    """A stretch of time that begins now, or at a reading of the clock, and ends `seconds` later.

    When the clock is found to have stepped back to before the beginning, both ends move back with it,
    so that a countdown never lasts longer than its full length from that look. What has once been
    seen to be over stays over.

    Safe for concurrent use without a lock: `span` is one reference, replaced as a whole.
    """

    __slots__ = ("span",)

    def __init__(self, seconds: float, began: dt.datetime | None = None) -> None:
        began = now() if began is None else began
        #: Beginning and end. It runs from the one until just before the other.
        self.span = (began, later(began, seconds))

    def __reduce__(self) -> tuple[Callable[..., Countdown], tuple[object, ...]]:
        return _countdown_over, (self.span,)

    def remaining(self, at: dt.datetime | None = None) -> float:
        """Return the seconds left, never negative.

        `at` is a reading of the clock to share among several looks; by default it is read now.
        """
        # The span is read before the clock: were it the other way round, another thread could
        # move it back in between, and an old reading would seem to be far ahead.
        began, ends = self.span
        if at is None or at < began:
            at = now()
        if at < began:
            began, ends = self.span = (at, at + (ends - began))
        if at < ends:
            return (ends - at).total_seconds()
        self.span = (began, began)
        return 0.0

    def outlasts(self, other: Countdown) -> bool:
        """Return whether it ends later than the other one."""
        return self.span[1] > other.span[1]

    def lengthen(self, factor: float) -> None:
        """Move the end so that the whole is `factor` times as long."""
        began, ends = self.span
        self.span = (began, later(began, (ends - began).total_seconds() * factor))


def _countdown_over(span: tuple[dt.datetime, dt.datetime]) -> Countdown:
    """Rebuild a countdown."""
    countdown = Countdown.__new__(Countdown)
    countdown.span = span
    return countdown
