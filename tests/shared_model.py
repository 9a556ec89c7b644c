"""What several processes know of one provider that they share, said in plain Python: one provider for all.

Where all reach the store, they are to behave as one process does that shares nothing. What is different is
decided here, each where it says "Decided".
"""

from __future__ import annotations

from dataclasses import dataclass

from cooldown_model import ModelPermit, ModelProvider


@dataclass
class SharedModel(ModelProvider):
    """One provider, as all processes know it.

    Attributes:
        dropped_by: Whose the probe under way is, where its permit was dropped without a word. Decided: only
            that process knows of it. To the others the probe goes on until its lease is over.
    """

    dropped_by: int | None = None

    def cooling_in(self, process: int, now: int) -> int | None:
        """Return what one process knows to be left of a cooldown; see `cooling()`."""
        return None if self._is_dropped(process) else self.cooling(now)

    def acquire_in(self, process: int, now: int, *, force: bool) -> ModelPermit | int:
        """Return what one process gets; see `acquire()`."""
        if self._is_dropped(process):
            self.probe = None
        return self.acquire(now, force=force)

    def drop(self, process: int, permit: ModelPermit) -> None:
        """Take a permit that a process has dropped."""
        permit.is_spent = not permit.is_shared
        if self.probe is permit:
            self.dropped_by = process

    def _is_dropped(self, process: int) -> bool:
        probe = self.probe
        return probe is not None and probe.is_spent and self.dropped_by == process

    def reset(self) -> None:
        """Close. Decided: a new era begins in any case, so that outcomes under way do not count."""
        self._begin("closed")
        self.close()

    def open_by_hand(self, now: int) -> bool:
        """Open the breaker of one process by hand. Decided: a later end that is known to others stays."""
        running = self.cooldown
        started = super().open_by_hand(now)
        if not started and running is not None and self.cooldown is not None:
            self.cooldown = max(self.cooldown, running, key=lambda each: each.ends)
        return started

    def half_open_by_hand(self, now: int) -> None:
        """Half-open the breaker of one process by hand.

        Decided: it ends a cooldown for all. Where there is none to end, others may be probing, and go on.
        """
        if self.state == "closed" or (self.cooldown is not None and self.cooldown.left(now)):
            self.half_open()
