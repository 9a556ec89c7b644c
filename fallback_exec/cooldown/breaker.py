"""The tracker that is made of circuit breakers, one a provider."""

from __future__ import annotations

import random as random_module
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import attrs
from pybreaker import STATE_CLOSED, STATE_HALF_OPEN, CircuitBreaker

from fallback_exec import _checks, _forks, _log
from fallback_exec._checks import Seconds
from fallback_exec._clock import Countdown
from fallback_exec._text import Redact
from fallback_exec.cooldown.eras import Closed, Memory
from fallback_exec.cooldown.settings import BreakerSettings, check_overrides, complete_rules
from fallback_exec.cooldown.tracker import CooldownTracker, Cooling, Permit
from fallback_exec.errors import InvalidConfigError
from fallback_exec.redaction import redact

if TYPE_CHECKING:
    from fallback_exec.cooldown.store import CooldownStore


@attrs.frozen
class CooldownStatus:
    """What is known of one provider at a moment.

    Attributes:
        state: `"closed"`, `"open"`, or `"half-open"`, which is also what an elapsed cooldown is.
        failures: Failures in a row, those that opened the breaker included.
        cooldown_remaining: Seconds, 0.0 unless the state is `"open"`.
        openings: How many cooldowns have started.
        last_error: The text of the last failure that was taken, in one line and without credentials; None
            when there was none.
    """

    state: str
    failures: int
    cooldown_remaining: float
    openings: int
    last_error: str | None


class BreakerCooldownTracker(CooldownTracker):
    """A cooldown tracker with one `pybreaker.CircuitBreaker` a provider.

    `fail_max` failures in a row open a provider's breaker. It cools down for `reset_timeout` seconds;
    then one attempt, the probe, finds out whether the provider is back.

    Safe for concurrent use by any number of threads, and in a forked child. One tracker is meant to be
    shared by all executions that call the same vendors: build it once, at start.

    Args:
        fail_max: Failures in a row that start a cooldown; at least 1. The default, 3, is that of the
            Go code's tests and bears two lost packets in a row.
        reset_timeout: Seconds (or a timedelta) that a cooldown lasts.
        success_threshold: Probes that must succeed, one after the other, to close the breaker.
        backoff_factor: Each cooldown that starts from a failed probe is this many times as long as the
            one before; 1.0 means all are alike.
        max_reset_timeout: The longest cooldown that `backoff_factor` leads to, in seconds; where
            `reset_timeout` is larger, that is the limit.
        jitter: From 0 to 1. A cooldown is lengthened by up to this fraction of itself, drawn once
            when it starts, so that many processes do not probe at the same moment.
        random: Where the jitter is drawn from; by default a generator of the tracker's own.
        probe_lease: Seconds after which a probe without an outcome is presumed lost and another
            one may begin. None: the larger of 60 s and the provider's `reset_timeout`.
        overrides: `BreakerSettings` for single providers, by name; what they leave None is as here.
        max_providers: How many providers are remembered. Running cooldowns and probes under way are
            never forgotten and may exceed it, which is logged once; an eighth of it is left to others then.
        redact: Masks credentials in the texts of errors that are kept; by default `fallback_exec.redact`.
        shared: A store in which several processes share their cooldowns, such as
            `fallback_exec.redis.RedisCooldownStore`; None: cooldowns are this process's own.

    Raises:
        InvalidConfigError: a setting is out of its range or of the wrong type.
    """

    def __init__(
        self,
        fail_max: int = 3,
        reset_timeout: Seconds = 30.0,
        *,
        success_threshold: int = 1,
        backoff_factor: float = 1.0,
        max_reset_timeout: Seconds = 300.0,
        jitter: float = 0.0,
        random: random_module.Random | None = None,
        probe_lease: Seconds | None = None,
        overrides: Mapping[str, BreakerSettings] | None = None,
        max_providers: int = 1024,
        redact: Redact = redact,
        shared: CooldownStore | None = None,
    ) -> None:
        self._rules = complete_rules(
            BreakerSettings(
                fail_max=fail_max,
                reset_timeout=reset_timeout,
                success_threshold=success_threshold,
                backoff_factor=backoff_factor,
                max_reset_timeout=max_reset_timeout,
                jitter=jitter,
                probe_lease=probe_lease,
            )
        )
        if random is not None and not isinstance(random, random_module.Random):
            raise InvalidConfigError("random", random, "must be a random.Random or None")
        self._draws_its_own = random is None
        self._random = random_module.Random() if random is None else random  # noqa: S311  # no secret
        self._overrides = {
            name: self._rules.overridden(settings) for name, settings in check_overrides(overrides).items()
        }
        self._max_providers = _checks.whole("max_providers", max_providers)
        self._redact = _checks.function("redact", redact)

        # Read without a lock. Written under `_lock`, but for a forgotten memory that comes back
        # to life, which puts itself in again by one atomic `setdefault`.
        self._known: dict[str, Memory] = {}
        self._published: dict[str, Permit | Countdown] = {}
        self._shared_memory = None if shared is None else self._sharing_memory(shared)
        # A subclass that has its own `acquire()` wants to be asked, and what others may change is looked at.
        if type(self).acquire is BreakerCooldownTracker.acquire and shared is None:
            self._standings = self._published
        # Who was forgotten while somebody still held a permit or a handle. Written under `_lock`.
        self._forgotten: weakref.WeakValueDictionary[str, Memory] = weakref.WeakValueDictionary()
        # How many may be known before it is tidied up again. Written under `_lock`.
        self._room = self._max_providers
        self._has_warned = False
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    # The Go interface.

    def is_available(self, name: str) -> bool:
        """Return whether an attempt would be let through now. Claims nothing, never blocks."""
        memory = self._find(name)
        return memory is None or memory.era.look() is None

    def cooldown_remaining(self, name: str) -> float:
        """Return the seconds until the provider's cooldown is over.

        0.0 when it is not cooling, and while somebody else probes. Never blocks.
        """
        memory = self._find(name)
        cooling = None if memory is None else memory.era.look()
        return 0.0 if cooling is None else cooling.cooldown_remaining

    def record_failure(self, name: str, error: Exception) -> bool:
        """Count a failure of an attempt that the caller made on their own, as if it had begun now.

        Exempt providers are counted too. During a probe the breaker opens again.

        Returns:
            True when this failure started a cooldown.
        """
        return self._memory(name).acquire(force=True).failure(error)

    def record_success(self, name: str) -> None:
        """Count a success of an attempt that the caller made on their own, as if it had begun now."""
        self._memory(name).acquire(force=True).success()

    # What execution asks.

    def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
        """Return a permit for one attempt, or a `Cooling` when the provider is to be passed over.

        While the breaker is closed, all attempts share one permit and each outcome told to it
        counts. A probe's permit that is dropped without an outcome gives the probe back.
        """
        return self._memory(name).acquire(force=force)

    # What operators ask.

    @property
    def is_shared(self) -> bool:
        """Whether the cooldowns are those of several processes, in a store."""
        return self._shared_memory is not None

    def breaker(self, name: str) -> CircuitBreaker:
        """Return the provider's breaker, to read, and to open, close or half-open by hand.

        Opened by hand, it cools down for `reset_timeout`. Not for calls, which would hold its lock for
        as long as they take, and not for listeners, which would run under locks of ours. After a fork,
        the child has to ask for it again.
        """
        return self._memory(name).breaker

    def snapshot(self) -> dict[str, CooldownStatus]:
        """Return the status of every provider known, by name. Never blocks."""
        # A copy is one step. A list of items is not: while it is made, the garbage collector of Python 3.11
        # may run a finalizer, and without the GIL another thread may run, that meets a new provider.
        return {name: _status(memory) for name, memory in self._known.copy().items()}

    def cool_down(self, name: str, seconds: Seconds | None = None) -> None:
        """Start a cooldown by hand, or set the end of the one that runs.

        Args:
            name: The provider's name.
            seconds: How long from now, taken as it is; None: the provider's `reset_timeout`, with jitter.
        """
        length = None if seconds is None else _checks.positive_seconds("seconds", seconds)
        self._memory(name).cool_down(length)

    def reset(self, name: str) -> None:
        """Close the provider's breaker and forget its failures in a row."""
        self._memory(name).reset()

    def reset_all(self) -> None:
        """Close every breaker."""
        for memory in self._all():
            if not _is_healthy(memory):
                memory.reset()

    def __repr__(self) -> str:
        return f"<BreakerCooldownTracker of {len(self._known)} providers, {self._rules}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a BreakerCooldownTracker cannot be pickled or copied: its cooldowns belong to one process; "
            "build one in every process"
        )

    # The set of names.

    def _all(self) -> list[Memory]:
        """Return everybody known, and who was forgotten while somebody held a permit or a handle."""
        with self._lock:
            # Not values(): a finalizer that forgets somebody meanwhile would end its iteration.
            forgotten = [reference() for reference in self._forgotten.valuerefs()]
            everybody = [*self._known.copy().values(), *forgotten]
        return list({id(memory): memory for memory in everybody if memory is not None}.values())

    def _find(self, name: str) -> Memory | None:
        name = _checks.name("name", name)
        return self._known.get(name) or self._forgotten.get(name)

    def _memory(self, name: str) -> Memory:
        """Return what is known of the provider, beginning anew where nothing is."""
        name = _checks.name("name", name)
        memory = self._known.get(name)
        if memory is not None:
            return memory
        with self._lock:
            memory = self._known.get(name) or self._forgotten.get(name)
            if memory is None:
                build = self._shared_memory or Memory
                memory = build(
                    name,
                    self._overrides.get(name, self._rules),
                    self._random,
                    self._redact,
                    self._known,
                    self._published,
                )
            # While it was built, a finalizer may have come back here and met the same name.
            memory = self._known.setdefault(name, memory)
            memory.publish()
            overflows = len(self._known) > self._room and self._tidy_locked(memory)
        if overflows:  # outside the lock: handlers are the user's code
            _log.default_log.emit(_log.OVERFLOWS, self._max_providers)
        return memory

    def _tidy_locked(self, newest: Memory) -> bool:
        """Forget providers, those with nothing to lose first, the longest untouched first.

        An eighth of the room is made at a time, which spreads the cost of looking at all of them. Another
        eighth is left to them in any case: beside cooldowns that exceed `max_providers`, no provider
        could otherwise gather its failures.

        Returns:
            True when, for the first time, more of them than `max_providers` must be kept.
        """
        eighth = self._max_providers // 8
        # A copy: a forgotten memory may come back to life meanwhile, without the lock.
        known = self._known.copy().values()
        idle = [memory for memory in known if memory is not newest and memory.era.look() is None]
        idle.sort(key=lambda memory: (not _is_healthy(memory), memory.touched))
        busy = len(known) - len(idle)
        surplus = len(idle) - max(eighth, self._max_providers - eighth - busy)
        for memory in idle[: max(0, surplus)]:
            self._forget_locked(memory)
        self._room = max(self._max_providers, len(self._known) + max(eighth, len(self._known) // 8))
        overflows = busy > self._max_providers and not self._has_warned
        self._has_warned = self._has_warned or overflows
        return overflows

    def _forget_locked(self, memory: Memory) -> None:
        touched = memory.touched
        self._forgotten[memory.provider] = memory
        # A finalizer that came back here may have tidied up, too.
        self._known.pop(memory.provider, None)
        self._published.pop(memory.provider, None)
        # An outcome that came in meanwhile was either written before the deletion, and is seen
        # here, or after it, and has put the memory in again itself.
        if memory.touched != touched or memory.era.look() is not None:
            self._known.setdefault(memory.provider, memory)
            memory.publish()

    def _sharing_memory(self, store: CooldownStore) -> Callable[..., Memory]:
        """Return what builds the memory of a provider whose cooldowns are shared."""
        # Here, as who does not share needs none of it.
        from fallback_exec.cooldown import exchange, following, sharing  # noqa: PLC0415
        from fallback_exec.cooldown import store as stores  # noqa: PLC0415

        if not issubclass(type(store), stores.CooldownStore):
            raise InvalidConfigError("shared", store, "must be a CooldownStore or None")
        asked = exchange.Exchange(store, self._redact)
        self._following = following.Following(
            asked, self._known
        )  # its only owner, who is renewed after a fork
        return partial(sharing.SharedMemory, exchange=asked, refresh=self._following.refresh)

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()
        if self._draws_its_own:  # or all children would draw alike, and probe at the same moments
            self._random.seed()
        # A thread of the parent's may have been about to publish somebody, or to forget them.
        self._published.clear()
        for memory in self._all():
            memory.renew()
        for memory in self._known.copy().values():
            memory.publish()


def _is_healthy(memory: Memory) -> bool:
    era = memory.era  # looked at once: a hand may open the breaker at any moment
    return isinstance(era, Closed) and not era.awaits_success


def _status(memory: Memory) -> CooldownStatus:
    era = memory.era
    cooling = era.look()
    remaining = 0.0 if cooling is None else cooling.cooldown_remaining
    return CooldownStatus(
        state=STATE_CLOSED if isinstance(era, Closed) else era.state if remaining else STATE_HALF_OPEN,
        failures=memory.counter,
        cooldown_remaining=remaining,
        openings=memory.openings,
        last_error=memory.last_error,
    )
