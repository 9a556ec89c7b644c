"""Turns: what one thread does at a time, and an interruption does not keep from the others for good."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident


class Hold:
    """A thread's hold on a turn. Given back by being dropped, at the latest."""

    __slots__ = ("__weakref__", "over", "thread")

    def __init__(self) -> None:
        self.thread = get_ident()
        #: Held until the turn is over. Others wait for this, and do not keep the hold alive.
        self.over = threading.Lock()
        self.over.acquire()


class Turn:
    """Has one thread at a time hold it, with what runs on top of that: a signal's handler, a finalizer.

    A lock whose holder is interrupted just before the `try` that would release it is held for good, and
    `with` knows no time limit. A hold is gone then, and those who wait for it do so once.
    """

    __slots__ = ("_hold", "_lock")

    def __init__(self) -> None:
        # Replaced under the lock, which is held for a comparison alone.
        self._hold: weakref.ref[Hold] | None = None
        self._lock = threading.RLock()

    @contextmanager
    def taken(self, patience: float = 0.0) -> Iterator[bool]:
        """Take it, where that is possible after at most so many seconds: tells so."""
        mine, other = self._take()
        if other is not None and patience:
            if other.acquire(timeout=patience):
                other.release()
            mine, other = self._take()
        try:
            yield other is None
        finally:
            if mine is not None:
                mine.over.release()
            mine = None  # which the traceback of an interruption may hold

    def _take(self) -> tuple[Hold | None, threading.Lock | None]:
        """Return a new hold, or what to wait for; neither where the thread has a hold already."""
        with self._lock:
            hold = None if self._hold is None else self._hold()
            if hold is None or not hold.over.locked():
                hold = Hold()
                self._hold = weakref.ref(hold)
                return hold, None
            return None, None if hold.thread == get_ident() else hold.over
