"""What execution knows of a cooldown tracker: the interface, and the permits that it hands out."""

from __future__ import annotations

import datetime as dt
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from fallback_exec import _clock
from fallback_exec._clock import Countdown


def _seconds_left(seconds: float) -> float:
    try:
        return float(max(0.0, seconds))
    except OverflowError:
        return math.inf


def _in_utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC)


@attrs.define
class Cooling:
    """A tracker's word that a provider is in its cooldown.

    Attributes:
        cooldown_remaining: Seconds left, 0.0 while somebody else's probe is under way. Less than nothing,
            or NaN, is nothing.
        at: When that was so; a naive datetime is in local time.
    """

    cooldown_remaining: float = attrs.field(converter=_seconds_left)
    at: dt.datetime = attrs.field(factory=_clock.now, converter=_in_utc)

    @property
    def ends(self) -> dt.datetime:
        """When the cooldown will be over."""
        return _clock.later(self.at, self.cooldown_remaining)


class Permit(ABC):
    """What a tracker hands out before an attempt, and takes the outcome through.

    Exactly one of `success()`, `failure()`, `cool_down()` and `release()` is to be called, once, from any
    thread. A permit that is dropped without an outcome, as that of a stream that nobody finishes, is to
    count as released.

    Attributes:
        cooling: None, or, for an attempt that was forced, what the tracker said of the provider's cooldown.
        awaits_success: False while a success would change nothing: then it need not be told.
        has_ended_cooldown: Whether the success, or the beginning, that it was told of has closed the breaker.
    """

    __slots__ = ()

    cooling: Cooling | None
    awaits_success: bool = True
    has_ended_cooldown: bool = False

    @abstractmethod
    def success(self) -> None:
        """The provider answered."""

    @abstractmethod
    def failure(self, error: Exception) -> bool:
        """The provider failed with `error`. Returns True when this failure started a cooldown."""

    def cool_down(self, error: Exception, seconds: float | None) -> bool:  # noqa: ARG002  # for those who can
        """The provider failed with `error`, which says that it is to be left alone from now on.

        By default a failure like any other.

        Args:
            error: The provider's error.
            seconds: For how long; None: for as long as the tracker's own cooldowns last.

        Returns:
            True when this failure started a cooldown.
        """
        return self.failure(error)

    @abstractmethod
    def release(self) -> None:
        """Nothing is to be counted: give back what the attempt held."""

    def begin(self) -> Permit:
        """The provider has begun to answer, and the end of it is not in sight, as with a stream.

        Returns:
            The permit through which the end is told, by default this one. Where an answer that has begun
            is all that is awaited, as of a probe, it counts as a success now.
        """
        return self


class CooldownTracker(ABC):
    """Knows which providers are cooling down after failures.

    The three abstract methods are all that has to be written. A tracker that wants to know more of
    an attempt, its success above all, overrides `acquire()`.

    Implementations must be safe for concurrent use: every thread that executes asks and tells the
    same tracker. What they raise never hides an answer: it is logged, and the provider is taken as
    available.
    """

    # What execution knows without asking, by name: a permit that any number of attempts may use, or
    # the countdown of a cooldown that runs. For the rest, and where nothing is published, it asks. The
    # mapping stays the same object.
    _standings: Mapping[str, Permit | Countdown] = MappingProxyType({})

    @abstractmethod
    def is_available(self, name: str) -> bool:
        """Return whether the provider may be called now. Claims nothing and does not block."""

    @abstractmethod
    def cooldown_remaining(self, name: str) -> float:
        """Return the seconds until the provider's cooldown is over; 0.0 when it is not cooling."""

    @abstractmethod
    def record_failure(self, name: str, error: Exception) -> bool:
        """Count a failure. Returns True when this failure started a cooldown."""

    def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
        """Return a permit for one attempt, or a `Cooling` when the provider is to be passed over.

        Args:
            name: The provider's name.
            force: Give a permit in any case. The permit's `cooling` then tells of the cooldown.
        """
        cooling = None if self.is_available(name) else Cooling(self.cooldown_remaining(name))
        if cooling is not None and not force:
            return cooling
        return PlainPermit(self, name, cooling)


class PlainPermit(Permit):
    """The permit of a tracker that has only the three methods: it passes on the failure, once."""

    __slots__ = ("_name", "_tracker", "cooling")

    def __init__(self, tracker: CooldownTracker, name: str, cooling: Cooling | None) -> None:
        self._tracker: CooldownTracker | None = tracker
        self._name = name
        self.cooling = cooling

    def success(self) -> None:
        """Tell nobody: the three methods have no word for a success."""
        self._tracker = None

    def failure(self, error: Exception) -> bool:
        """Pass on the failure."""
        tracker, self._tracker = self._tracker, None
        return tracker is not None and tracker.record_failure(self._name, error)

    def release(self) -> None:
        """Tell nobody."""
        self._tracker = None


class NoPermit(Permit):
    """The permit where there is no tracker."""

    __slots__ = ()

    cooling = None
    awaits_success = False

    def success(self) -> None:
        """Tell nobody."""

    def failure(self, error: Exception) -> bool:  # noqa: ARG002  # the interface's
        """Tell nobody."""
        return False

    def release(self) -> None:
        """Nothing was held."""


NO_PERMIT = NoPermit()

#: Where execution stands with a provider of whom nothing is published: a countdown that is over.
UNKNOWN = Countdown(0.0)
