"""What the demo shows while it runs: one line that redraws on a terminal, plain lines anywhere else."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Mapping
from typing import Protocol, TextIO

import attrs

from fallback_exec import CooldownStatus

_CLEAR_TO_END = "\x1b[K"
_PLAIN_LINES = 10  # at most so many in a run
_STATE_WIDTH = len("open 0.0 s")


@attrs.frozen
class Progress:
    """How far the demo has come.

    Attributes:
        done: How many calls have ended.
        total: How many there will be, at least 1.
        states: Each provider's name and state, with the rest of its cooldown.
    """

    done: int
    total: int
    states: tuple[str, ...]

    @property
    def line(self) -> str:
        """All of it in one line, the columns of which stay where they are."""
        calls = f"{self.done:>{len(str(self.total))}}/{self.total} calls"
        return " | ".join([calls, *self.states]).rstrip()


def states(names: Iterable[str], statuses: Mapping[str, CooldownStatus]) -> tuple[str, ...]:
    """Say for each provider, in the order of the names, what state it is in and for how long yet.

    Args:
        names: The providers' names.
        statuses: The tracker's snapshot; a provider that it does not know is closed.
    """
    return tuple(f"{name} {_state(statuses.get(name)).ljust(_STATE_WIDTH)}" for name in names)


class Display(Protocol):
    """Shows how far the demo has come."""

    def show(self, progress: Progress) -> None:
        """Show it, or leave it out."""

    def finish(self) -> None:
        """Leave the output at the start of a line."""


class LiveLine:
    """One line of a terminal, drawn again and again in the same place."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, progress: Progress) -> None:
        """Draw the line over the one before, cut to the terminal's width."""
        # One column is left free: a full line makes some terminals go on to the next.
        width = shutil.get_terminal_size().columns - 1
        self._out.write(f"\r{progress.line[:width]}{_CLEAR_TO_END}")
        self._out.flush()

    def finish(self) -> None:
        """Leave the last line standing."""
        self._out.write("\n")


class PlainLines:
    """A line of its own at every tenth of the calls, for a pipe or a file."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown = 0  # tenths

    def show(self, progress: Progress) -> None:
        """Write the line if another tenth of the calls has ended since the last one."""
        reached = progress.done * _PLAIN_LINES // progress.total
        if reached > self._shown:
            self._shown = reached
            self._out.write(f"{progress.line}\n")
            self._out.flush()

    def finish(self) -> None:
        """Do nothing: each line has ended already."""


def display_for(out: TextIO) -> Display:
    """Return the display that suits where the output goes."""
    redraws = out.isatty() and os.environ.get("TERM") != "dumb"  # a dumb terminal cannot clear a line
    return LiveLine(out) if redraws else PlainLines(out)


def _state(status: CooldownStatus | None) -> str:
    if status is None:
        return "closed"
    tenths = math.ceil(status.cooldown_remaining * 10)  # rounded up: what is still open never shows 0.0 s
    return f"{status.state} {tenths / 10:.1f} s" if tenths else status.state
