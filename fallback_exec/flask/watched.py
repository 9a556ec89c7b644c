"""What the extension watches for one app, and what is known of it at a moment."""

from __future__ import annotations

import hashlib

import attrs
from flask import current_app

from fallback_exec._text import class_name, error_text
from fallback_exec.cooldown.breaker import BreakerCooldownTracker, CooldownStatus
from fallback_exec.cooldown.operations import CLOSED
from fallback_exec.recorder import Recorder

#: Of a provider that the tracker has not met: nothing keeps it from being called.
NOTHING_KNOWN = CooldownStatus(state=CLOSED, failures=0, cooldown_remaining=0.0, openings=0, last_error=None)


@attrs.frozen(kw_only=True)
class Watched:
    """The settings of one app.

    Attributes:
        tracker: Who knows the states.
        recorder: Who keeps the events.
        providers: Names that are shown even before they are first called, in order.
        has_controls: Whether providers may be cooled down and reset by hand.
    """

    tracker: BreakerCooldownTracker
    recorder: Recorder
    providers: tuple[str, ...]
    has_controls: bool


@attrs.frozen
class Known:
    """One provider at a moment.

    Attributes:
        name: As it calls itself.
        status: What the tracker says.
        is_callable: Whether an attempt would be let through now.
    """

    name: str
    status: CooldownStatus
    is_callable: bool

    @property
    def is_closed(self) -> bool:
        """Whether it is called as usual."""
        return self.status.state == CLOSED


@attrs.frozen
class Look:
    """All providers at a moment, and what hindered the look.

    Attributes:
        known: Those of the settings first, then those that the tracker has met; each once.
        trouble: Why the tracker could not be asked, in a sentence; None where it was.
    """

    known: tuple[Known, ...]
    trouble: str | None

    @property
    def verdict(self) -> str:
        """`"pass"`: all are closed. `"fail"`: none is callable. `"warn"`: anything else."""
        if self.trouble is None and all(each.is_closed for each in self.known):
            return "pass"
        return "warn" if self.trouble is not None or any(each.is_callable for each in self.known) else "fail"


def look(watched: Watched) -> Look:
    """Ask the tracker how all providers are. No provider is asked; whatever fails is logged."""
    try:
        snapshot = watched.tracker.snapshot()
        names = dict.fromkeys([*watched.providers, *snapshot])
        return Look(tuple(_known(watched, name, snapshot.get(name, NOTHING_KNOWN)) for name in names), None)
    except Exception as error:  # of a subclass: the page shows what else it knows
        return Look((), trouble_with("tracker", error))


def _known(watched: Watched, name: str, status: CooldownStatus) -> Known:
    # Closed is closed, also where somebody has opened it since the snapshot.
    return Known(name, status, status.state == CLOSED or watched.tracker.is_available(name))


def trouble_with(what: str, error: Exception) -> str:
    """Log that a part cannot be asked; return a sentence that tells it without the error's text."""
    current_app.logger.error("the %s of fallback_exec cannot be asked: %s", what, error_text(error))
    return f"The {what} cannot be asked: {class_name(error)}."


def key(name: str) -> str:
    """Return what stands for a name in the page, where a name's credentials must not stand: 16 digits."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
