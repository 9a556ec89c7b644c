"""Ctrl-C, noted instead of raised."""

from __future__ import annotations

import signal
from types import TracebackType
from typing import Self


class Interruption:
    """Takes Ctrl-C for itself while the `with` block lasts, which has to be in the main thread.

    Nothing is cut off half way then, and a second Ctrl-C finds nothing to break.

    Attributes:
        noted: Whether there was one.
    """

    def __init__(self) -> None:
        self.noted = False

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _note(self, *_: object) -> None:
        # A plain attribute: the set() of an Event takes a lock, which the interrupted code may be holding.
        self.noted = True
