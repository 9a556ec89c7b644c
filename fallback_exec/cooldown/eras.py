r"""Eras of a breaker: what is known of one provider, and the permits that belong to it.

An era is the time between two changes of a breaker's state; one object stands for one era, and
`Memory.era` is the single reference that says which one it is now::

                     fail_max failures in a row
        ┌────────┐ ───────────────────────────────▶ ┌──────┐ ◀──┐ failure, cooldown over
        │ closed │                                  │ open │ ───┘ (a forced terminus)
        └────────┘ ◀─────────────────────────────── └──────┘
             ▲        success (a forced terminus)     │  ▲
             │                                        │  │ failure (the probe,
             │ success_threshold      cooldown over,  │  │ a forced terminus)
             │ successes              next acquire()  ▼  │
             │                                   ┌───────────┐
             └────────────────────────────────── │ half-open │ one probe at a time
                                                 └───────────┘

What comes of an outcome that arrives in the era of its permit; any other is stale and changes nothing:

    outcome   closed                      open                             half-open
    success   failures = 0                closes at once                   counts, closes at success_threshold
    failure   failures + 1, may open      cooling: nothing; over: reopens  reopens
    cool down opens                       cooling: the later end wins      opens
                                          over: reopens
    neither   nothing                     nothing                          the probe is given back

What a vendor says of its own cooldown, "cool down for s seconds", holds as it is, and also moves the end of
a running cooldown when it is stale.

Every change goes through pybreaker, also those made by hand on the breaker that a user was given, and
pybreaker writes each of them to its storage while it holds its own lock. So the storage is the one
place where eras begin, and no change goes unseen.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from random import Random
from threading import get_ident
from typing import Literal, TypeAlias, TypeGuard, overload

import attrs
from pybreaker import (
    STATE_CLOSED,
    STATE_HALF_OPEN,
    STATE_OPEN,
    CircuitBreaker,
    CircuitBreakerError,
    CircuitMemoryStorage,
)

from fallback_exec import _clock
from fallback_exec._clock import Countdown
from fallback_exec._text import Redact, error_text
from fallback_exec.cooldown.settings import Rules
from fallback_exec.cooldown.tracker import NO_PERMIT, Cooling, Permit


class Closed(Permit):
    """The provider is called as usual.

    Nothing has to be remembered of a single attempt but the era it belongs to, so the era is
    itself the permit of all its attempts.
    """

    __slots__ = ("_memory", "awaits_success")

    state = STATE_CLOSED
    reopenings = 0
    cooling = None

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        # Whether there are failures in a row to forget.
        self.awaits_success = bool(memory.counter)

    def success(self) -> None:
        """Forget the failures in a row; with none there is nothing to do, not even a lock to take."""
        if self.awaits_success:
            self._memory.succeed(self)

    def failure(self, error: Exception) -> bool:
        """Count a failure."""
        return self._memory.fail(self, error)

    def cool_down(self, error: Exception, seconds: float | None) -> bool:
        """Open now."""
        return self._memory.fail_for(self, error, seconds)

    def release(self) -> None:
        """Nothing was held."""

    def look(self) -> Cooling | None:
        """Return None: there is no cooldown."""
        return None


class Open:
    """The provider is cooling down until the countdown is over."""

    __slots__ = ("countdown", "reopenings")

    state = STATE_OPEN

    def __init__(self, seconds: float, reopenings: int) -> None:
        self.reopenings = reopenings
        # Replaced, under pybreaker's lock, when the end is moved by hand.
        self.countdown = Countdown(seconds)

    def look(self) -> Cooling | None:
        """Return the rest of the cooldown, None when it is over."""
        at = _clock.now()
        remaining = self.countdown.remaining(at)
        return Cooling(remaining, at) if remaining else None


class HalfOpen:
    """The cooldown is over and one probe at a time decides."""

    __slots__ = ("probe", "reopenings")

    state = STATE_HALF_OPEN

    def __init__(self, reopenings: int) -> None:
        self.reopenings = reopenings
        # The probe under way: its permit alone keeps the lease alive. Replaced under the memory's lock.
        self.probe: weakref.ref[Lease] | None = None

    def lease(self) -> Lease | None:
        """Return the lease of the probe under way, None where it was given back or its permit dropped."""
        return None if self.probe is None else self.probe()

    def look(self) -> Cooling | None:
        """Return a cooldown of no known length while a probe is under way, None when one may begin."""
        lease = self.lease()
        return Cooling(0.0) if lease is not None and lease.countdown.remaining() else None


class Lease:
    """The right to probe, for a limited time. Given back by being dropped.

    So no finalizer of ours is needed, which a signal's handler could interrupt, and no lock.
    """

    __slots__ = ("__weakref__", "countdown")

    def __init__(self, seconds: float) -> None:
        self.countdown = Countdown(seconds)


# next() on a count is atomic under the GIL; without it two providers may draw the same number, which
# leaves their order open and nothing else.
_touches = itertools.count()

Era: TypeAlias = Closed | Open | HalfOpen


class AttemptPermit(Permit):
    """The permit of one attempt while the breaker is not closed: a probe, or a forced terminus."""

    __slots__ = ("_era", "_memory", "cooling", "has_ended_cooldown", "lease")

    def __init__(
        self, memory: Memory, era: Open | HalfOpen, lease: Lease | None, cooling: Cooling | None
    ) -> None:
        self.has_ended_cooldown = False
        self._memory = memory
        self._era: Open | HalfOpen | None = era
        self.lease = lease
        self.cooling = cooling

    def success(self) -> None:
        """Tell that the provider is back."""
        try:
            self.has_ended_cooldown = self._memory.succeed(self._spend(), self.lease)
        finally:
            self.lease = None

    def failure(self, error: Exception) -> bool:
        """Tell that it is not."""
        try:
            return self._memory.fail(self._spend(), error)
        finally:
            self.lease = None

    def cool_down(self, error: Exception, seconds: float | None) -> bool:
        """Tell that it is not, and for how long."""
        era: Open | HalfOpen | None = None
        try:
            era = self._spend()
            return self._memory.fail_for(era, error, seconds)
        finally:
            self.lease = None
            # The present era's end, for this permit may have moved that of a later era than its own.
            running = self._memory.era
            if era is not None and self.cooling is not None and isinstance(running, Open):
                self.cooling = running.look() or self.cooling

    def release(self) -> None:
        """Give the probe back."""
        era = self._spend()
        lease, self.lease = self.lease, None
        if era is not None and lease is not None:
            self._memory.give_back(lease)

    def begin(self) -> Permit:
        """Tell of a probe's success, and return a permit of the era that follows, which holds no probe."""
        if self.lease is None:
            return self
        try:
            era = self._spend()
            begun = self._memory.begin(era, self.lease)
            if begun is not None:
                follower, self.has_ended_cooldown = begun
                return BegunPermit(follower)
            self._era = era  # stale, and not spent: what a vendor says of its cooldown may yet be heard
            return self
        finally:
            self.lease = None

    def _spend(self) -> Open | HalfOpen | None:
        """Return the era the first time, None ever after: one permit, one outcome."""
        era, self._era = self._era, None
        return era


class BegunPermit(Permit):
    """The permit for the rest of a stream whose beginning has counted as a probe's success."""

    __slots__ = ("_permit",)

    cooling = None

    def __init__(self, permit: Permit) -> None:
        self._permit = permit

    def success(self) -> None:
        """Tell nobody: one attempt is one success."""
        self._spend()

    def failure(self, error: Exception) -> bool:
        """Count a failure."""
        return self._spend().failure(error)

    def cool_down(self, error: Exception, seconds: float | None) -> bool:
        """Open now."""
        return self._spend().cool_down(error, seconds)

    def release(self) -> None:
        """Nothing was held, but the era."""
        self._spend()

    def _spend(self) -> Permit:
        """Return the permit the first time: that of a closed era, which all share, takes any number."""
        permit, self._permit = self._permit, NO_PERMIT
        return permit


@attrs.define
class Opening:
    """How the opening is to be that the thread is about to make.

    Attributes:
        thread: Whose it is.
        seconds: How long the cooldown lasts.
        reopenings: How many failed probes in a row led to it.
        cooling: The era whose end a vendor moves, where it is known to be cooling.
        is_vendors: Whether, of a cooldown that runs, only a later end is wanted.
        countdown: Once it is made, its countdown.
        has_begun: Whether it began a cooldown, and did not only move the end of one.
    """

    thread: int
    seconds: float
    reopenings: int
    cooling: Open | None = None
    is_vendors: bool = False
    countdown: Countdown | None = None
    has_begun: bool = False


class Memory(CircuitMemoryStorage):
    """All that is known of one provider: the storage of its breaker, and the rules for its permits.

    Its lock covers the comparison of a permit's era with the present one together with what follows
    from it. No provider is called under it, and nothing else of the user's. It is reentrant because
    the garbage collector may run a finalizer of the user's while it is held, which may come back here.

    Order of locks: this one, then pybreaker's. Changes by hand take pybreaker's alone. One race
    remains with them: when a hand opens or closes between our comparison and pybreaker's lock, the
    outcome is counted as that of an attempt that began after it. While the breaker is closed, failures
    that do not open it, and successes, are counted here, without a call of pybreaker's, which would do
    no more with them and take several times as long.
    """

    def __init__(
        self,
        name: str,
        rules: Rules,
        random: Random,
        redact: Redact,
        known: dict[str, Memory],
        standings: dict[str, Permit | Countdown],
    ) -> None:
        super().__init__(STATE_CLOSED)
        # Failures in a row: a place for a number, replaced by a new one when they are forgotten. So a hand
        # that forgets them and a failure that is being counted cannot undo each other.
        self._failures = [0]
        # Replaced under pybreaker's lock.
        self.era: Era = Closed(self)
        self.provider = name
        self.openings = 0
        self.last_error: str | None = None
        # Grows with every write: the order of being forgotten.
        self.touched = next(_touches)
        self._rules = rules
        self._random = random
        self._redact = redact
        # The tracker's; each write is one atomic operation of a dict.
        self._known = known
        self._standings = standings
        self.renew()

    def renew(self) -> None:
        """Make new locks, also pybreaker's, whose breaker has to be built anew for that.

        Nothing else is new but that nobody is probing: a forked child need not wait for its parent's probe.
        """
        self._lock = threading.RLock()
        self._opening: Opening | None = None
        if isinstance(self.era, HalfOpen):
            self.era = HalfOpen(self.era.reopenings)
        elif isinstance(self.era, Closed):
            # The parent may have been between counting and showing.
            self.era.awaits_success = bool(self.counter)
        self.breaker = CircuitBreaker(
            fail_max=self._rules.fail_max,
            reset_timeout=self._rules.reset_timeout,
            success_threshold=self._rules.success_threshold,
            state_storage=self,
            name=self.provider,
        )

    # What pybreaker writes, always under its own lock.

    @property
    def state(self) -> str:
        """The state as pybreaker knows it: `"open"` until somebody probes."""
        return self.era.state

    @state.setter
    def state(self, state: str) -> None:
        era = self.era
        # An interruption between here and `_touch()` must not leave a permit of the past on show: its
        # outcomes would be stale for ever. Where nothing is shown, execution asks.
        self._standings.pop(self.provider, None)
        if state == STATE_OPEN:
            self._open(era)
        elif state == STATE_HALF_OPEN:
            self.era = HalfOpen(era.reopenings)
        elif not isinstance(era, Closed):
            self.era = Closed(self)
        self._touch()
        self._show()

    @property
    def counter(self) -> int:
        """Failures in a row, those that opened the breaker included."""
        return self._failures[0]

    def increment_counter(self) -> None:
        """Count one more failure in a row."""
        # In this order: neither an interruption nor a hand that forgets the failures meanwhile may leave some
        # that no success would be told of.
        failures = self._failures
        era = self.era
        if isinstance(era, Closed):
            era.awaits_success = True
        failures[0] += 1
        self._touch()

    def reset_counter(self) -> None:
        """Forget the failures in a row."""
        era = self.era
        if isinstance(era, Closed):
            # First, for the same reason.
            era.awaits_success = False
        self._failures = [0]
        self._touch()

    def _open(self, era: Era) -> None:
        """Begin a cooldown, or move the end of the one that runs."""
        opening = self._opening
        if opening is None or opening.thread != get_ident():  # by hand
            opening = Opening(get_ident(), self._rules.reset_timeout, era.reopenings)
        if isinstance(era, Open) and (era is opening.cooling or era.look()):
            countdown = Countdown(opening.seconds)
            if not opening.is_vendors or countdown.outlasts(era.countdown):
                # Another one: who looks at the old one at this moment cannot undo the move, and jitter
                # that is about to be added does not lengthen what a vendor or a hand has set.
                era.countdown = opening.countdown = countdown
        else:
            opened = Open(opening.seconds, opening.reopenings)
            opening.countdown = opened.countdown
            opening.has_begun = True
            self.openings += 1
            self.era = opened

    def _touch(self) -> None:
        self.touched = next(_touches)
        # Whoever was forgotten while somebody held a permit or a handle is known again.
        if self.provider not in self._known:
            self._known.setdefault(self.provider, self)
            self._show()

    def _show(self) -> None:
        # Not where another has taken its place: where everything that held it was garbage, and a finalizer of
        # that garbage comes back here.
        if self._known.get(self.provider) is self:
            self.publish()

    def publish(self) -> None:
        """Show the present era to those who do not ask. Takes no lock.

        Of several threads that publish at once, one that has overwritten a newer era sees so afterwards.
        """
        while True:
            shown = self._to_show()
            if shown is None:
                self._standings.pop(self.provider, None)
            else:
                self._standings[self.provider] = shown
            if self._to_show() is shown:
                return

    def _to_show(self) -> Closed | Countdown | None:
        era = self.era
        if isinstance(era, Closed):
            return era
        return era.countdown if isinstance(era, Open) else None

    # What attempts ask and tell.

    @overload
    def acquire(self, *, force: Literal[True]) -> Permit: ...

    @overload
    def acquire(self, *, force: bool) -> Permit | Cooling: ...

    def acquire(self, *, force: bool) -> Permit | Cooling:
        """Return a permit, or the cooldown that forbids it; see `CooldownTracker.acquire()`."""
        era = self.era
        if isinstance(era, Closed):
            return era
        cooling = era.look()
        if cooling is not None:
            return AttemptPermit(self, era, None, cooling) if force else cooling
        with self._lock:
            return self._claim_locked(force)

    def _claim_locked(self, force: bool) -> Permit | Cooling:
        """Claim the probe, unless somebody else was first."""
        era = self.era
        if isinstance(era, Closed) or era.look():
            return Memory.acquire(self, force=force)
        if isinstance(era, Open) or era.lease() is not None:
            # A lost probe is followed by another in a new era, so that its outcome is stale.
            self.breaker.half_open()
            return self._claim_locked(force)
        # Claimed last, by somebody who can give it back: an interruption may come at any step.
        lease = Lease(self._rules.lease)
        permit = AttemptPermit(self, era, lease, None)
        era.probe = weakref.ref(lease)
        return permit

    def succeed(self, era: Era | None, lease: Lease | None = None) -> bool:  # noqa: ARG002  # for who shares it
        """Take the success of an attempt of that era; with its lease where it was a probe.

        Returns:
            True when it closed the breaker.
        """
        with self._lock:
            if era is None or self.era is not era:
                return False
            if isinstance(era, Closed):
                self.reset_counter()  # all that pybreaker makes of a success while closed
                return False
            if isinstance(era, Open):
                self.breaker.close()
            else:
                feed_success(self.breaker)
            return isinstance(self.era, Closed)

    def fail(self, era: Era | None, error: Exception) -> bool:
        """Take the failure of an attempt of that era. Returns True when it started a cooldown."""
        text = error_text(error, self._redact)
        with self._lock:
            if era is None or self.era is not era:
                return False
            self.last_error = text
            started = self._fail_locked(era)
        if started is None:
            return False
        self._add_jitter(started)
        return True

    def _fail_locked(self, era: Era) -> Opening | None:
        """Count the failure. Returns the opening that it made, if any."""
        if type(era) is Closed and self.counter + 1 < self.breaker.fail_max:
            self.increment_counter()  # all that pybreaker makes of a failure that does not open
            return None
        if isinstance(era, Open):
            if era.look():
                return None
            self.breaker.half_open()
        reopenings = 0 if isinstance(era, Closed) else era.reopenings + 1
        opening = Opening(get_ident(), self._rules.cooldown(reopenings), reopenings)
        # A finalizer that comes back here meanwhile and opens, too, must not make this opening a hand's.
        outer, self._opening = self._opening, opening
        try:
            return opening if feed_failure(self.breaker) else None
        finally:
            self._opening = outer

    def fail_for(self, era: Era | None, error: Exception, seconds: float | None) -> bool:
        """Take the failure of an attempt of that era, which says: for how long, None: for as long as usual.

        Returns:
            True when it started a cooldown.
        """
        text = error_text(error, self._redact)
        jitter = self._draw() if seconds is None and self._can_open(era) else 1.0
        with self._lock:
            if self._can_open(era):
                self.last_error = text
                reopenings = 0 if isinstance(era, Closed) else era.reopenings + 1
                self.increment_counter()
                # Jitter is added to what the clock resolves, as to any other cooldown.
                own = round(self._rules.cooldown(reopenings), 6) * jitter
                length = own if seconds is None else seconds
                opening = Opening(get_ident(), length, reopenings, is_vendors=True)
                self._open_locked(opening)
                return opening.has_begun
            running = self.era
            if era is not None and isinstance(running, Open) and running.look():
                if era is running:
                    self.last_error = text
                if seconds is not None:
                    end = Opening(get_ident(), seconds, running.reopenings, cooling=running, is_vendors=True)
                    self._open_locked(end)
            return False

    def _can_open(self, era: Era | None) -> TypeGuard[Era]:
        """Return whether the outcome of an attempt of that era is neither stale nor within a cooldown."""
        return era is not None and self.era is era and not (isinstance(era, Open) and era.look())

    def cool_down(self, seconds: float | None) -> None:
        """Begin a cooldown of that many seconds, or set the end of the one that runs."""
        with self._lock:
            length = self._rules.reset_timeout if seconds is None else seconds
            opening = Opening(get_ident(), length, self.era.reopenings)
            self._open_locked(opening)
        if seconds is None:
            self._add_jitter(opening)

    def _open_locked(self, opening: Opening) -> None:
        outer, self._opening = self._opening, opening
        try:
            self.breaker.open()
        finally:
            self._opening = outer

    def begin(self, era: Open | HalfOpen | None, lease: Lease) -> tuple[Permit, bool] | None:
        """Take the success of a probe of that era.

        Returns:
            A permit of the era that follows, which may be the same one, and whether the success closed the
            breaker; None where the probe was stale.
        """
        with self._lock:
            if era is None or self.era is not era:
                return None
            has_closed = self.succeed(era, lease)
            return self._permit_after(era), has_closed

    def _permit_after(self, era: Open | HalfOpen) -> Permit:
        """Return a permit of the era that has followed the success of a probe."""
        follower = self.era
        if isinstance(follower, Closed):
            return follower
        # One that a hand has opened meanwhile is not what follows: what comes after the success is stale.
        return AttemptPermit(self, era if isinstance(follower, Open) else follower, None, None)

    def give_back(self, lease: Lease) -> None:
        """Take a probe back of which nothing is counted: its lease is dropped, which is all."""

    def reset(self) -> None:
        """Close the breaker."""
        with self._lock:
            self.breaker.close()

    def _add_jitter(self, opening: Opening) -> None:
        """Lengthen the cooldown that has just begun by a random part.

        Drawn outside the lock: the generator may be of the user's own class. A hand that sets another end
        meanwhile replaces the countdown, and this one is nobody's.
        """
        if self._rules.jitter and opening.countdown is not None:
            opening.countdown.lengthen(self._draw())

    def _draw(self) -> float:
        """Return how many times as long as without jitter a cooldown is to be."""
        return 1.0 + self._rules.jitter * self._random.random() if self._rules.jitter else 1.0


class _FedError(Exception):
    """What a breaker is fed instead of the provider's error.

    pybreaker would make the user's exception's traceback grow and set its `__context__`.
    """


def _answer() -> None:
    pass


def _fail() -> None:
    raise _FedError


def feed_success(breaker: CircuitBreaker) -> None:
    """Tell pybreaker of a success.

    What a signal's handler raises meanwhile is a failure to pybreaker, which may hide it behind an error
    of its own: the success is counted all the same, and the interruption is raised.
    """
    handled = sys.exception()
    try:
        breaker.call(_answer)
        return
    except CircuitBreakerError as refused:
        refused.__traceback__ = None
        interruption = refused.__context__
        if interruption is None or interruption is handled:
            return  # opened by hand a moment ago
    except BaseException as raised:
        interruption = raised
    breaker.close()
    raise interruption


def feed_failure(breaker: CircuitBreaker) -> bool:
    """Tell pybreaker of a failure. Returns True when this failure opened the breaker.

    pybreaker's error handling leaves a cycle (exception, traceback, frame, exception) that would pin
    every calling frame until the garbage collector runs: the tracebacks are cleared. What a signal's
    handler raises meanwhile is a failure to pybreaker, which it is, and is raised.
    """
    handled = sys.exception()
    cause: BaseException | None = None
    try:
        breaker.call(_fail)
    except _FedError as fed:
        fed.__traceback__ = None
    except CircuitBreakerError as opened:
        opened.__traceback__ = None
        cause = opened.__context__
    if isinstance(cause, _FedError):
        cause.__traceback__ = None
        return True
    if cause is not None and cause is not handled:
        raise cause
    return False  # it takes more failures, or the breaker was opened by hand a moment ago
