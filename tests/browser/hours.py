"""Hours that pages tell of: executions with vendors that fail as a script says, on a clock that it moves.

What happens is always the same, and real: `execute()` makes the events, the tracker the cooldowns.
"""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, FallbackExecError, NamedProvider, execute
from fallback_exec.recorder import Recorder

MINUTE = 60.0

_SILENT = logging.Logger("hours", logging.CRITICAL + 1)  # noqa: LOG001  # nobody else's


@attrs.frozen
class Outage:
    """What a vendor fails with, from one minute of the hour until another."""

    provider: str
    begins: float
    ends: float
    error: Callable[[], Exception]


#: Seconds that an answer takes.
_LATENCY = {"gemini": 2.1, "grok": 3.4, "laozhang": 6.8}


class Hour:
    """An application with a chain of vendors, and the clock it lives by.

    Attributes:
        tracker: Its cooldowns.
        recorder: What it remembers.
    """

    def __init__(
        self,
        clock: FrozenDateTimeFactory,
        names: Sequence[str] = ("gemini", "grok", "laozhang"),
        outages: Sequence[Outage] = (),
    ) -> None:
        self.tracker = BreakerCooldownTracker(fail_max=3, reset_timeout=90)
        self.recorder = Recorder()
        #: Who fails from now on, whatever the script says, and with what.
        self.failing: dict[str, Exception] = {}
        self._providers = tuple(NamedProvider(name, None) for name in names)
        self._config = ExecuteConfig(
            strategy="fallback", cooldown=self.tracker, listeners=[self.recorder], logger=_SILENT
        )
        self._outages = outages
        self._clock = clock
        self._minute = 0.0
        self._random = random.Random(7)

    def call(self) -> None:
        """Execute once."""
        with contextlib.suppress(FallbackExecError):  # it is recorded, as all that happens
            execute(self._providers, self._config, self._answer)

    def live(self, minutes: float, every: float = 12.0) -> None:
        """Execute each so many seconds, for so many minutes."""
        until = self._minute + minutes
        while self._minute < until:
            self.call()
            self.pass_by(every * self._random.uniform(0.6, 1.4))

    def hurry(self) -> None:
        """Have the page ask each second, as a cooldown is about to end: until time goes by.

        Without it, a test waits for each change for as long as the page does, several seconds.
        """
        self.tracker.cool_down(self._providers[-1].name, 0.5)

    def pass_by(self, seconds: float) -> None:
        """Let time go by."""
        self._clock.tick(seconds)
        self._minute += seconds / MINUTE

    def _answer(self, provider: NamedProvider[Any]) -> str:
        name = provider.name
        self.pass_by(_LATENCY.get(name, 1.0) * self._random.uniform(0.7, 1.5))
        if name in self.failing:
            raise self.failing[name]
        for outage in self._outages:
            if outage.provider == name and outage.begins <= self._minute < outage.ends:
                raise outage.error()
        return "a picture"
