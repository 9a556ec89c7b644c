"""A limit for the whole chain."""

from __future__ import annotations

import math

from fallback_exec import _checks
from fallback_exec._checks import Seconds
from fallback_exec._clock import Countdown
from fallback_exec.errors import InvalidConfigError

#: The shortest timeout handed to a client, in seconds: 0 would mean non-blocking to a socket, and
#: the clients' own arithmetic is in milliseconds.
SHORTEST_TIMEOUT = 0.001


class Deadline:
    """A moment after which no further provider is tried, and a way to say so earlier.

    It starts when it is built. A call in flight is never interrupted, so give
    `timeout()` to the vendor's client inside `fn`; an answer that comes late is still an answer.

    Safe for concurrent use: `cancel()` may be called from any thread, and several executions may
    share one deadline.

    Args:
        seconds: Seconds, or a timedelta, from now. None means no limit (it can still be
            cancelled); 0 or less is over at once, as with Go's `context.WithTimeout`.

    Raises:
        InvalidConfigError: `seconds` is not a finite number.
    """

    __slots__ = ("_cancelled", "_countdown", "_seconds")

    def __init__(self, seconds: Seconds | None = None) -> None:
        self._seconds = None if seconds is None else _checks.seconds("seconds", seconds)
        self._countdown = None if self._seconds is None else Countdown(max(0.0, self._seconds))
        # One plain store, never taken back: no lock is needed to read or write it.
        self._cancelled = False

    def remaining(self) -> float:
        """Return the seconds left, never negative; infinite without a limit."""
        return math.inf if self._countdown is None else self._countdown.remaining()

    def timeout(self, at_most: Seconds | None = None) -> float | None:
        """Return the timeout to pass to a vendor's client: what remains, or `at_most` if that is less.

        Args:
            at_most: Seconds, or a timedelta, that one call may take at most. None: no limit of its own.

        Returns:
            Seconds, never below 0.001 (0 means non-blocking to sockets); None when there is no limit.

        Raises:
            InvalidConfigError: `at_most` is not a finite number above 0.
        """
        limit = math.inf if at_most is None else _checks.positive_seconds("at_most", at_most)
        limit = min(limit, self.remaining())
        return None if limit == math.inf else max(SHORTEST_TIMEOUT, limit)

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return self._countdown is not None and self._countdown.remaining() == 0.0

    def cancel(self) -> None:
        """Let no further provider be tried. What is in flight goes on."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        """Whether `cancel()` was called."""
        return self._cancelled

    def __repr__(self) -> str:
        state = ", cancelled" if self._cancelled else ""
        return f"<Deadline seconds={self._seconds}, remaining={self.remaining()}{state}>"


def as_deadline(value: Deadline | Seconds) -> Deadline:
    """Return the `deadline` argument of an execution as a `Deadline` that runs from now."""
    try:
        return value if isinstance(value, Deadline) else Deadline(value)
    except Exception:  # isinstance() asks the value what it is, and it may answer by an error
        rule = "must be a Deadline, a finite number of seconds or a timedelta"
        raise InvalidConfigError("deadline", value, rule) from None
