"""Where processes that share cooldowns keep them: the interface of a store, and one in memory."""

from __future__ import annotations

import datetime as dt
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence

import cachetools

from fallback_exec import _checks, _clock, _forks
from fallback_exec._checks import Seconds
from fallback_exec.cooldown.operations import SECOND, Operation, Record, Reply, transition

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class NotAppliedError(Exception):
    """A store's word that an operation has not been carried out, and will not be.

    What else a store raises leaves that open, as a time limit does: the request may have arrived.
    """


class RecordUnusableError(NotAppliedError):
    """A store's word that what it holds for this one provider is no record. Others are not concerned."""


class CooldownStore(ABC):
    """Keeps the records of providers for all processes.

    `apply()` is all that has to be written. A tracker asks it from any thread, under none of its locks, and
    takes whatever it raises for a sign that the store is away: then the processes go on by themselves, and
    after a while one caller tries again.

    Attributes:
        refresh_interval: For how many seconds a process trusts what it knows; above 0. The default, 0.25, is
            how long a process may go on calling a provider that another one has found to be down.
        timeout: For how many seconds a caller waits, at most, for another one of its process that is asking.
    """

    refresh_interval: float = 0.25
    timeout: float = 0.05

    @abstractmethod
    def apply(self, name: str, operation: Operation) -> Reply:
        """Carry out one operation on the record of one provider, at one moment of the store's clock.

        `transition()` says what becomes of the record; nobody else may change it meanwhile.

        Raises:
            NotAppliedError: it was not carried out.
            Exception: it may have been.
        """

    def apply_all(self, operations: Sequence[tuple[str, Operation]]) -> list[Reply | NotAppliedError]:
        """Carry out several operations, each on another provider, in one round trip where that is possible.

        By default one after the other.

        Returns:
            For each of them, in order, its reply, or what says that it alone was not carried out.

        Raises:
            NotAppliedError: none of them was carried out.
            Exception: any of them may have been.
        """
        replies: list[Reply | NotAppliedError] = []
        for name, operation in operations:
            try:
                replies.append(self.apply(name, operation))
            except RecordUnusableError as error:
                replies.append(error)
        return replies


class InMemoryCooldownStore(CooldownStore):
    """A store in the memory of one process, for tests and as an example.

    Several trackers that share it behave as those of several processes do. Its clock is that of cooldowns,
    so it can be frozen. Safe for concurrent use, and in a forked child, where it is another one.

    Args:
        refresh_interval: See `CooldownStore`; seconds or a timedelta.
    """

    def __init__(self, *, refresh_interval: Seconds = 0.25) -> None:
        self.refresh_interval = _checks.positive_seconds("refresh_interval", refresh_interval)
        # Guarded by `_lock`.
        self._records: cachetools.TLRUCache[str, Record] = cachetools.TLRUCache(
            math.inf, ttu=lambda _name, record, now: float(record.expires(int(now))), timer=microseconds_now
        )
        # Reentrant: while it is held, the garbage collector may run a finalizer that comes back here.
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    def apply(self, name: str, operation: Operation) -> Reply:
        """Carry out one operation on the record of one provider."""
        with self._lock:
            record = self._records.get(name)
            reply = transition(record, operation, microseconds_now())
            if reply.record is not None and reply.record != record:
                self._records[name] = reply.record
            return reply

    def records(self) -> dict[str, Record]:
        """Return all records, by the names of their providers."""
        with self._lock:
            return dict(self._records.items())

    def clear(self) -> None:
        """Forget all, as a server does that starts anew."""
        with self._lock:
            self._records.clear()

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()


def microseconds(seconds: float) -> int:
    """Return a duration in whole microseconds, at most the longest that a setting may be."""
    return round(min(seconds, _checks.LONGEST) * SECOND)


def microseconds_now() -> int:
    """Return the time of this process's clock, in whole microseconds since 1970."""
    return (_clock.now() - _EPOCH) // dt.timedelta(microseconds=1)
