"""A provider whose cooldowns are shared: its memory follows a record in a store.

Each outcome is one operation on the record, and each reply is mirrored into the provider's own breaker. While
the store is away the breaker decides by itself, as one that shares nothing does; what it came to meanwhile is
reported when the store is back. So is what a hand does to the breaker.

A local era stands for one era of the record, and a permit of the one is a permit of the other.
"""

from __future__ import annotations

import datetime as dt
import secrets
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from threading import get_ident
from typing import Literal, cast, overload

from fallback_exec import _clock
from fallback_exec._clock import Countdown
from fallback_exec._text import Redact, error_text
from fallback_exec.cooldown.eras import AttemptPermit, Closed, Era, HalfOpen, Lease, Memory, Open
from fallback_exec.cooldown.exchange import AwayError, Exchange
from fallback_exec.cooldown.operations import (
    CLOSED,
    OPEN,
    SECOND,
    STALE,
    Claim,
    Close,
    CoolDown,
    Fail,
    Operation,
    Read,
    Record,
    Release,
    Reply,
    Report,
    State,
    Succeed,
)
from fallback_exec.cooldown.settings import Rules
from fallback_exec.cooldown.store import microseconds
from fallback_exec.cooldown.tracker import Cooling, Permit
from fallback_exec.cooldown.turns import Turn

#: When what is not known was read.
LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


class SharedLease(Lease):
    """The right to probe for all processes, claimed in the store by its token."""

    __slots__ = ("token",)

    def __init__(self, seconds: float, token: str) -> None:
        super().__init__(seconds)
        self.token = token


class SharedMemory(Memory):
    """What is known of one provider here, and the record of it that all processes share.

    The store is asked under none of the locks. So replies may come in another order than the store gave them
    in: of those that were under way at the same time, the higher version counts.
    """

    def __init__(
        self,
        name: str,
        rules: Rules,
        random: Random,
        redact: Redact,
        known: dict[str, Memory],
        standings: dict[str, Permit | Countdown],
        exchange: Exchange,
        refresh: Callable[[SharedMemory, dt.datetime], None],
    ) -> None:
        self._exchange = exchange
        # Makes sure, where the store answers, that what is known was so at that time.
        self._refresh = refresh
        # What the store has not been told. When the breaker was changed, but not by a reply; how many
        # failures were counted, since when, and whether a success came before them.
        self._changed_at: dt.datetime | None = None
        self._uncounted = 0
        self._uncounted_since = LONG_AGO
        self._has_forgotten = False
        # The era that stands for that of the record, and the record's number of it: one reference, replaced
        # as a whole under the memory's lock. Likewise guarded: the record's version, and how many replies
        # there were.
        self._present: tuple[Era | None, int] = (None, 0)
        self._version = 0
        self._replies = 0
        # The last openings that were counted, by their eras: as many as may be told late. Likewise guarded.
        self._counted: deque[int] = deque(maxlen=16)
        super().__init__(name, rules, random, redact, known, standings)
        self._present = (self.era, 0)

    def renew(self) -> None:
        """Make new locks, and trust nothing that was known: a forked child asks first.

        What the parent has counted, it reports; and its probe goes on.
        """
        is_present = self.era is self._present[0]
        super().renew()
        if is_present:
            self._present = (self.era, self._present[1])
        self._uncounted, self._has_forgotten = 0, False
        #: What is known is good from the one until just before the other.
        self.read_at = self.stale_at = LONG_AGO
        #: Whether anybody has asked for the provider since the last refresh.
        self.is_wanted = False
        #: Whether the last refresh has found no record of it that can be used, and nothing takes a report.
        self.is_unusable = False
        #: Of the one who asks: for a provider that nobody knew, or with a report.
        self.asking = Turn()
        # The era that the thread is about to begin, as a reply says. Written under the memory's lock.
        self._next: tuple[int, Era] | None = None
        # Somebody else's probe: nothing but this keeps its lease alive here.
        self._others_probe: Lease | None = None
        # The token of the last probe that this process claimed, which it may have lost.
        self._token = ""

    # What pybreaker writes.

    @property
    def state(self) -> str:
        """The state as pybreaker knows it."""
        return self.era.state

    @state.setter
    def state(self, state: str) -> None:
        following = self._following()
        if following is not None:
            self.era = following
            self._touch()
        else:
            Memory.state.fset(self, state)  # type: ignore[attr-defined]  # the setter that this one overrides
            self._changed_at = _clock.now()

    def _following(self) -> Era | None:
        """Return the era that this thread is about to begin, as a reply says."""
        following = self._next
        return None if following is None or following[0] != get_ident() else following[1]

    def increment_counter(self) -> None:
        """Count one more failure in a row, of which the store knows nothing."""
        if not self._uncounted:
            self._uncounted_since = _clock.now()
        self._uncounted += 1
        super().increment_counter()

    def reset_counter(self) -> None:
        """Forget the failures in a row."""
        super().reset_counter()
        if self._following() is None:
            self._uncounted = 0
            self._has_forgotten = True

    # What attempts ask and tell.

    @overload
    def acquire(self, *, force: Literal[True]) -> Permit: ...

    @overload
    def acquire(self, *, force: bool) -> Permit | Cooling: ...

    def acquire(self, *, force: bool) -> Permit | Cooling:
        """Return a permit, or the cooldown that forbids it; see `CooldownTracker.acquire()`."""
        self.is_wanted = True
        at = _clock.now()
        if not self.is_fresh(at) or self.is_ahead():
            self._refresh(self, at)
        return self._stand(force) or self._claim(force)

    def _stand(self, force: bool) -> Permit | Cooling | None:
        """Return what follows from what is known, None where a probe may be claimed."""
        era = self.era
        if isinstance(era, Closed):
            return era
        cooling = era.look()
        return AttemptPermit(self, era, None, cooling) if cooling is not None and force else cooling

    def _claim(self, force: bool) -> Permit | Cooling:
        """Claim the probe of all processes, or that of this one while the store is away."""
        if self.is_ahead():
            return super().acquire(force=force)
        token = secrets.token_hex(8)
        replaces = self._lost()
        is_certain = False
        try:
            reply = self._ask(Claim(token, microseconds(self._rules.lease), replaces))
            is_certain = True
        except AwayError as away:
            is_certain = not away.is_doubtful
            return super().acquire(force=force)
        finally:
            if not is_certain:  # nor after an interruption
                self._token = token
        with self._lock:
            era = self.era
            if reply.applied and isinstance(era, HalfOpen) and self._is_present(era, reply):
                self._token = token
                lease = SharedLease(self._rules.lease, token)
                permit = AttemptPermit(self, era, lease, None)
                era.probe = weakref.ref(lease)
                return permit
            # Somebody else was first: a probe of theirs has no known length.
            if isinstance(era, Closed):
                return era
            cooling = era.look() or Cooling(0.0)
            return AttemptPermit(self, era, None, cooling) if force else cooling

    def _lost(self) -> str:
        """Return the token of a probe of this process that nobody holds any more, or the empty one."""
        era = self.era
        lease = era.lease() if isinstance(era, HalfOpen) else None
        is_held = isinstance(lease, SharedLease) and lease.token == self._token
        return "" if is_held else self._token

    def succeed(self, era: Era | None, lease: Lease | None = None) -> bool:
        """Take the success of an attempt of that era; with its lease where it was a probe.

        Returns:
            True when it closed the breaker.
        """
        token = lease.token if isinstance(lease, SharedLease) else ""
        threshold = self._rules.success_threshold
        try:
            reply = self._tell(era, lambda number: Succeed(number, threshold, token))
        except AwayError:
            reply = None
        if reply is None:
            return super().succeed(era, lease)
        # An era that began when the store carried this out: no other success has closed it.
        after = reply.record
        is_new = after is not None and after.state == CLOSED and after.changed == reply.now
        return is_new and not isinstance(era, Closed)

    def fail(self, era: Era | None, error: Exception) -> bool:
        """Take the failure of an attempt of that era. Returns True when it started a cooldown."""
        text = error_text(error, self._redact)
        reopenings = self._reopenings_after(era)
        # Drawn in any case: whether this failure opens is known to the store alone.
        cooldown = self._rules.cooldown(reopenings) * self._draw()

        def failure(number: int) -> Operation:
            self.last_error = text
            return Fail(
                era=number,
                was_closed=isinstance(era, Closed),
                fail_max=self.breaker.fail_max,
                cooldown=microseconds(cooldown),
                reopenings=reopenings,
            )

        return self._tell_or_count(era, failure, partial(super().fail, era, error))

    def fail_for(self, era: Era | None, error: Exception, seconds: float | None) -> bool:
        """Take the failure of an attempt of that era, which says for how long; None: for as long as usual."""
        if era is None:
            return False
        text = error_text(error, self._redact)
        reopenings = self._reopenings_after(era)
        jitter = self._draw() if seconds is None and self._can_open(era) else 1.0
        length = self._rules.cooldown(reopenings) * jitter if seconds is None else seconds

        def cooldown(number: int) -> Operation:
            if number != STALE:
                self.last_error = text
            return CoolDown(number, microseconds(length), reopenings, moves_end=seconds is not None)

        alone = partial(super().fail_for, era, error, seconds)
        return self._tell_or_count(era, cooldown, alone, also_stale=seconds is not None)

    def cool_down(self, seconds: float | None) -> None:
        """Begin a cooldown of that many seconds, or set the end of the one that runs."""
        length = self._rules.reset_timeout * self._draw() if seconds is None else seconds
        by_hand = CoolDown(None, microseconds(length), self.era.reopenings, moves_end=True)
        if not self._is_done(by_hand):
            super().cool_down(seconds)

    def begin(self, era: Open | HalfOpen | None, lease: Lease) -> tuple[Permit, bool] | None:
        """Take the success of a probe of that era; see `Memory.begin()`."""
        if era is None or self.era is not era:
            return None
        has_closed = self.succeed(era, lease)
        return self._permit_after(era), has_closed

    def give_back(self, lease: Lease) -> None:
        """Take a probe back of which nothing is counted."""
        if isinstance(lease, SharedLease):
            # Where the store is away, the next claim of this process says so.
            self._is_done(Release(lease.token))

    def reset(self) -> None:
        """Close the breaker."""
        if not self._is_done(Close()):
            super().reset()

    def _reopenings_after(self, era: Era | None) -> int:
        return 0 if era is None or isinstance(era, Closed) else era.reopenings + 1

    def _tell_or_count(
        self,
        era: Era | None,
        operation: Callable[[int], Operation],
        alone: Callable[[], bool],
        *,
        also_stale: bool = False,
    ) -> bool:
        """Tell the store of a failure, or count it here alone. Returns True when it started a cooldown."""
        try:
            reply = self._tell(era, operation, also_stale=also_stale)
        except AwayError as away:
            has_started = alone()
            if away.is_doubtful:
                with self._lock:  # the store may have counted it, too: it is not reported
                    self._uncounted = max(0, self._uncounted - 1)
            return has_started
        return alone() if reply is None else reply.applied

    # The exchange with the store.

    def _tell(
        self, era: Era | None, operation: Callable[[int], Operation], *, also_stale: bool = False
    ) -> Reply | None:
        """Ask for what follows from an attempt of that era.

        Args:
            era: That of its permit.
            operation: From the era's number, what is asked for; `STALE` where it is of the past.
            also_stale: Whether to ask then, too, while a cooldown runs.

        Returns:
            The store's reply; None where it was not asked, as the era is of the past or the store's knows
            nothing of it yet.

        Raises:
            AwayError: it did not answer.
        """
        self._catch_up()
        with self._lock:  # or an era might be met that has begun and is not yet known to be the record's
            present, number = self._present
            running = self.era
        if era is not None and era is present is running and not self.is_ahead():
            return self._ask(operation(number))
        if also_stale and era is not running and isinstance(running, Open) and running.look():
            return self._ask(operation(STALE))
        return None

    def _is_done(self, operation: Operation) -> bool:
        """Ask for what a hand wants. Returns False where it is left to this process."""
        self._catch_up()
        if self.is_ahead():
            return False
        try:
            self._ask(operation)
        except AwayError:
            return False
        return True

    def _catch_up(self) -> None:
        """Report, where there is something to report and the store answers."""
        if self.is_ahead():
            self._refresh(self, _clock.now())

    def _ask(self, operation: Operation) -> Reply:
        replies = self._replies
        reply = self._exchange.apply(self.provider, operation)
        self._take(reply, replies)
        return reply

    def is_fresh(self, at: dt.datetime) -> bool:
        """Return whether what is known is good at that time."""
        return self.read_at <= at < self.stale_at

    def is_ahead(self) -> bool:
        """Return whether something happened here that the store has not been told."""
        return self._changed_at is not None or self._uncounted > 0 or self._has_forgotten

    def is_probing_alone(self) -> bool:
        """Return whether a probe is under way of which the store knows nothing, until it is over."""
        era = self.era
        return isinstance(era, HalfOpen) and era is not self._present[0] and era.look() is not None

    def question(self) -> tuple[Operation, Callable[[Reply], None]]:
        """Return what to ask the store to be in step with it, and who takes the reply.

        Whoever calls it holds `asking`.
        """
        replies = self._replies
        with self._lock:
            if not self.is_ahead():
                return Read(), lambda reply: self._take(reply, replies)
            era, changed_at = self.era, self._changed_at
            report = self._report_locked()
            # At most once: where no answer comes, they may have been added.
            self._uncounted, self._has_forgotten = 0, False

        def reported(reply: Reply) -> None:
            with self._lock:
                if self._changed_at is changed_at:
                    self._changed_at = None
                # The era that was reported is the record's from now on, unless somebody else knew better.
                if self.era is era and reply.record is not None and era.state == reply.record.state:
                    self._present = (era, reply.record.era)
                    self._counted.append(reply.record.era)
            self._take(reply, replies)

        return report, reported

    def _report_locked(self) -> Report:
        era, changed_at = self.era, self._changed_at
        at = _clock.now()
        return Report(
            era=self._present[1],
            state=None if changed_at is None else cast("State", era.state),
            state_age=_age(changed_at, at),
            remaining=microseconds(era.countdown.remaining()) if isinstance(era, Open) else 0,
            reopenings=era.reopenings,
            failures=self._uncounted if changed_at is None else self.counter,
            failures_age=_age(self._uncounted_since, at),
            forgets=self._has_forgotten,
            fail_max=self.breaker.fail_max,
            cooldown=microseconds(self._rules.cooldown(0)),
        )

    def not_asked(self, operation: Operation) -> None:
        """Remember again what was to be reported, as the store has certainly not been told."""
        if isinstance(operation, Report):
            with self._lock:
                if not self._has_forgotten and operation.state is None:
                    self._uncounted += operation.failures
                self._has_forgotten = self._has_forgotten or operation.forgets

    def _take(self, reply: Reply, replies: int) -> None:
        """Make the breaker what the record says.

        Args:
            reply: The store's.
            replies: How many there had been when this one's question was asked.
        """
        with self._lock:
            if reply.record is not None and reply.record.state == OPEN:
                self._count_opening_locked(reply.record.era)
            version = 0 if reply.record is None else reply.record.version
            is_late = self._replies != replies and version <= self._version
            # What has happened here meanwhile is reported first.
            if is_late or self.is_ahead():
                return
            self._replies += 1
            self._version = version
            if reply.record is not None:
                self._mirror_locked(reply.record, reply.now)
            elif isinstance(self.era, Closed):
                self._mirror_locked(Record(era=self._present[1]), reply.now)
            elif not self._holds():
                self._mirror_locked(Record(), reply.now)
            else:  # lost there, by a restart say, while it runs here: what becomes of it is reported
                self._present = (None, self._present[1])
                self._changed_at = _clock.now()

    def _count_opening_locked(self, era: int) -> None:
        """Count a cooldown that has started, once, also where the reply that tells of it comes late."""
        if era not in self._counted:
            self._counted.append(era)
            self.openings += 1

    def _holds(self) -> bool:
        """Return whether a cooldown runs, or a probe of this process."""
        era = self.era
        lease = era.lease() if isinstance(era, HalfOpen) else None
        return era.look() is not None and (lease is None or lease is not self._others_probe)

    def _mirror_locked(self, record: Record, now: int) -> None:
        era, number = self._present
        remaining = max(0, record.until - now) / SECOND
        if era is None or self.era is not era or number != record.era or era.state != record.state:
            if record.state == CLOSED:
                following: Era = Closed(self)
            elif record.state == OPEN:
                following = Open(remaining, record.reopenings)
            else:
                following = HalfOpen(record.reopenings)
            self._begin_locked(following, record)
            era = following
        elif isinstance(era, Open):  # its end may have moved
            era.countdown = Countdown(remaining)
        self._present = (era, record.era)
        if record.failures != self.counter:
            self._count_locked(record.failures)
        if isinstance(era, HalfOpen):
            self._mirror_probe_locked(era, record, now)

    def _begin_locked(self, era: Era, record: Record) -> None:
        """Have pybreaker write the change, as any other."""
        outer, self._next = self._next, (get_ident(), era)
        try:
            if record.state == CLOSED:
                self.breaker.close()
            elif record.state == OPEN:
                self.breaker.open()
            else:
                self.breaker.half_open()
        finally:
            self._next = outer

    def _count_locked(self, failures: int) -> None:
        """Have that many failures in a row."""
        # In the order of `increment_counter()`, so that a permit always awaits a success that matters.
        era = self.era
        if isinstance(era, Closed):
            era.awaits_success = True
        self._failures = [failures]
        if isinstance(era, Closed):
            era.awaits_success = bool(failures)
        self._touch()

    def _mirror_probe_locked(self, era: HalfOpen, record: Record, now: int) -> None:
        if record.token and record.token == self._token:
            return  # this process's: its permit keeps it, also beyond its time
        self._others_probe = Lease((record.lease - now) / SECOND) if record.is_probed(now) else None
        era.probe = None if self._others_probe is None else weakref.ref(self._others_probe)

    def _is_present(self, era: Era, reply: Reply) -> bool:
        return reply.record is not None and self._present == (era, reply.record.era)


def _age(moment: dt.datetime | None, at: dt.datetime) -> int:
    """Return how long ago that was, in whole microseconds; 0 where it was never, or is yet to come."""
    return 0 if moment is None else max(0, microseconds((at - moment).total_seconds()))
