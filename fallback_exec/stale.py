"""`StaleIfError`: the last good answer in place of an error, for a while (RFC 5861, section 4)."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, NoReturn, TypeVar

import attrs
from cachetools import TTLCache

from fallback_exec import _checks, _clock, _forks, _log
from fallback_exec._checks import Seconds
from fallback_exec._clock import Countdown
from fallback_exec.config import ExecuteConfig
from fallback_exec.deadline import Deadline
from fallback_exec.errors import (
    AllProvidersFailedError,
    DeadlineExceededError,
    FallbackExecError,
    InvalidConfigError,
    ProviderFailedError,
)
from fallback_exec.execution import execute
from fallback_exec.providers import Provider
from fallback_exec.results import ExecuteResult, StaleResult

P = TypeVar("P", bound=Provider)
T = TypeVar("T")


class StaleIfError(Generic[T]):
    """Remembers answers by key, and gives the last good one when nobody answers.

    `T` is the type of the answers: `stale: StaleIfError[str] = StaleIfError(ttl=300)`. They must be values: a
    generator or a stream would be remembered exhausted, and an open response closed.

    Safe for concurrent use by any number of threads, and in a forked child, which begins with the parent's
    answers; with none, if a thread of the parent's was changing them at that moment. Calls of providers and
    of `copy` run under no lock. The keys' `__hash__` and `__eq__` run under the lock of the answers, of
    necessity: they must not wait for another thread that executes. The lock is reentrant: a key, or a
    finalizer, that comes back here does no harm, but answers may be forgotten then.

    Args:
        ttl: Seconds (or a timedelta) for which an answer may be given in place of an error: until just
            before it is so old.
        maxsize: How many keys are remembered; at least 1. Those longest unused are forgotten first. The
            default, 1024, is that of `max_providers`.
        copy: Applied to an answer when it is remembered, and again each time it is given: `copy.deepcopy`,
            say. None: everybody gets the same object, which is right for answers that cannot be changed.

    Raises:
        InvalidConfigError: a setting is out of its range or of the wrong type.
    """

    def __init__(self, ttl: Seconds, maxsize: int = 1024, *, copy: Callable[[T], T] | None = None) -> None:
        self._ttl = _checks.positive_seconds("ttl", ttl)
        self._maxsize = _checks.whole("maxsize", maxsize)
        self._copy = None if copy is None else _checks.function("copy", copy)
        self._answers: _Answers[T] = _Answers(self._ttl, self._maxsize)

    def execute(
        self,
        key: Hashable,
        providers: Sequence[P],
        config: ExecuteConfig,
        fn: Callable[[P], T],
        *,
        deadline: Deadline | Seconds | None = None,
    ) -> ExecuteResult[T]:
        """Do what `fallback_exec.execute()` does; when nobody answers, give the last good answer for `key`.

        Covered up are `AllProvidersFailedError`, `DeadlineExceededError`, and a `ProviderFailedError` that is
        not `aborted`; each time, a WARNING is logged. All else is raised, whatever is remembered.

        An answer that cannot be remembered, as `copy` or the key raises an `Exception`, is returned all the
        same, and that is logged. An earlier answer for the key stays remembered: it is good until it is
        too old. Where that happens as one is to be given, the chain's error is raised.

        Args:
            key: Whatever the answer depends on: the prompt and the model, say. It must be hashable. It is
                neither logged nor shown.
            providers: As for `execute()`, as are `config`, `fn` and `deadline`.
            config: See there.
            fn: See there.
            deadline: See there.

        Returns:
            The fresh result, untouched; or one with the old answer, whose `is_stale` is True. Its `age` is in
            seconds, its `attempts` are those of the chain that just failed, and all else is as it was.

        Raises:
            InvalidConfigError: `key` cannot be hashed; no provider has been called. Or as `execute()`.
            FallbackExecError: the error that `execute()` ended with, where nothing may stand in for it.
        """
        _check_key(key)
        outcome: ExecuteResult[T] | FallbackExecError | None = None
        stale: ExecuteResult[T] | None = None
        try:
            outcome = _outcome_of(providers, config, fn, deadline)
            if isinstance(outcome, ExecuteResult):
                self._remember(key, outcome, config)
                return outcome
            stale = self._stand_in(key, outcome, config)
            if stale is None:
                raise outcome
            return stale
        finally:
            # The tracebacks of the errors in a result lead to this frame: as in the one loop, what it refers
            # to would be part of a cycle.
            outcome = stale = None

    def forget(self, key: Hashable) -> None:
        """Forget the answer for a key, if there is one. An execution under way may remember another.

        Raises:
            InvalidConfigError: `key` cannot be hashed.
        """
        _check_key(key)
        self._answers.drop(key)

    def clear(self) -> None:
        """Forget all answers. Executions under way may remember theirs afterwards."""
        self._answers.clear()

    def __repr__(self) -> str:
        return f"<StaleIfError of {self._answers.count()} answers, ttl={self._ttl}, maxsize={self._maxsize}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a StaleIfError cannot be pickled or copied: its answers belong to one process; "
            "build one in every process"
        )

    def _remember(self, key: Hashable, result: ExecuteResult[T], config: ExecuteConfig) -> None:
        """Remember a fresh answer, if that can be done."""
        # Before the copy is made, which may take its time.
        number, freshness = self._answers.number(), Countdown(self._ttl)
        try:
            response = result.response if self._copy is None else self._copy(result.response)
            facts = result.provider, result.latency, result.attempt_num, result.was_terminus
            self._answers.put(key, _Answer(response, *facts, number, freshness))
        except Exception as failure:
            config._route.log.emit(_log.NOT_REMEMBERED, result.provider, failure)
            _let_go(failure)

    def _stand_in(
        self, key: Hashable, error: FallbackExecError, config: ExecuteConfig
    ) -> ExecuteResult[T] | None:
        """Return what may be given in place of the error, None where there is nothing."""
        try:
            found = self._answers.find(key)
            if found is None:
                return None
            answer, age = found
            response = answer.response if self._copy is None else self._copy(answer.response)
        except Exception as failure:
            config._route.log.emit(_log.NOT_SERVED, failure)
            _let_go(failure)
            return None
        config._route.log.emit(_log.SERVING_STALE, answer.provider, age, error)
        return StaleResult(
            response,
            answer.provider,
            answer.latency,
            answer.attempt_num,
            answer.was_terminus,
            age,
            error.attempts,
        )


def _check_key(key: Hashable) -> None:
    try:
        hash(key)
    except Exception as error:
        # The type is to blame. The value may be what nobody should read in a log.
        raise InvalidConfigError("key", type(key), "must be hashable") from error


def _outcome_of(
    providers: Sequence[P],
    config: ExecuteConfig,
    fn: Callable[[P], T],
    deadline: Deadline | Seconds | None,
) -> ExecuteResult[T] | FallbackExecError:
    """Return the result, or the error that an old answer may stand in for.

    Returned, it is not being handled when `copy` runs: what that raises gets no `__context__`.
    """
    try:
        return execute(providers, config, fn, deadline=deadline)
    except (AllProvidersFailedError, DeadlineExceededError, ProviderFailedError) as error:
        if isinstance(error, ProviderFailedError) and error.aborted:
            raise
        return error


def _let_go(failure: Exception) -> None:
    """Have an error of the user's that ends here hold none of our frames, should somebody keep it."""
    BaseException.with_traceback(failure, None)


@attrs.define(eq=False)
class _Answer(Generic[T]):
    """What is remembered.

    Attributes:
        number: Counts answers in the order in which they were had.
        freshness: Runs from when the answer was had until it is too old.
    """

    response: T
    provider: str
    latency: float
    attempt_num: int
    was_terminus: bool
    number: int
    freshness: Countdown


class _Moment:
    """The reading of the clock that a cache goes by: one for each look, and never earlier than the last.

    So a clock that is set back makes nothing too old before its time, and the cache's own order is right.
    """

    __slots__ = ("microseconds",)

    def __init__(self) -> None:
        self.microseconds = 0

    def __call__(self) -> int:
        return self.microseconds

    def reach(self, moment: dt.datetime) -> None:
        """Move on to that moment, unless it is in the past."""
        since_1970 = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        self.microseconds = max(self.microseconds, since_1970 // dt.timedelta(microseconds=1))


class _Answers(Generic[T]):
    """A `cachetools.TTLCache` of answers, and its lock: unlocked, the cache would break for good.

    Whoever changes the cache takes it out of its place, and puts it back when that is done. If it is not in
    its place, then it was left half changed, and is not used again. Either something was raised amid the
    change, by a key or by Ctrl-C; or a key or a finalizer has come back in amid it; or a thread of the
    parent's was at it when this process was forked.

    The cache bounds how many there are, and drops what is old. How old an answer is, and whether it is too
    old, its `Countdown` says, which knows what to do when the clock is set back.
    """

    def __init__(self, ttl: float, maxsize: int) -> None:
        self._ttl = ttl
        self._maxsize = maxsize
        self._moment = _Moment()  # guarded by the lock
        self._numbers = 0  # guarded by the lock
        # Guarded by the lock; None while somebody changes it, and at first.
        self._cache: TTLCache[Hashable, _Answer[T]] | None = None
        # Reentrant: a key or a finalizer may come back in.
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    def number(self) -> int:
        """Return a number that is higher than all before."""
        with self._lock:
            self._numbers += 1
            return self._numbers

    # What leaves the cache is held by a local variable until the lock is released: its finalizers are the
    # user's code.

    def put(self, key: Hashable, answer: _Answer[T]) -> None:
        """Remember an answer, unless one that was had later is there, whose copy was made sooner."""
        gone: list[object] = []
        with self._lock:
            cache = self._taken_locked(gone)
            known = cache.get(key)
            if known is None or known.number < answer.number:
                while known is None and len(cache) >= self._maxsize:
                    gone.append(cache.popitem())
                cache[key] = answer
            self._put_back_locked(cache)

    def find(self, key: Hashable) -> tuple[_Answer[T], float] | None:
        """Return the answer for the key and its age in seconds, None where there is none or it is too old."""
        gone: list[object] = []
        with self._lock:
            cache = self._taken_locked(gone)
            answer = cache.get(key)
            self._put_back_locked(cache)
        remaining = 0.0 if answer is None else answer.freshness.remaining()
        if answer is None or not remaining:
            return None
        # Rounded to what the clock tells, so that the difference of two floats shows no more than that.
        return answer, max(0.0, round(self._ttl - remaining, 6))

    def drop(self, key: Hashable) -> None:
        """Forget the answer for the key."""
        gone: list[object] = []
        with self._lock:
            cache = self._taken_locked(gone)
            gone.append(cache.pop(key, None))
            self._put_back_locked(cache)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            gone, self._cache = self._cache, self._empty()
        del gone

    def count(self) -> int:
        """Return how many there are. Somebody who looks amid a change sees none, and does not disturb it."""
        gone: list[object] = []
        with self._lock:
            if self._cache is None:
                return 0
            cache = self._taken_locked(gone)
            count = len(cache)
            self._put_back_locked(cache)
        return count

    def _empty(self) -> TTLCache[Hashable, _Answer[T]]:
        ttl = dt.timedelta(seconds=self._ttl) // dt.timedelta(microseconds=1)
        # The timer is late-bound, and no method of ours: the cache must not be part of a cycle.
        return TTLCache(self._maxsize, ttl, timer=self._moment)

    def _taken_locked(self, gone: list[object]) -> TTLCache[Hashable, _Answer[T]]:
        """Take the cache, an empty one where it is not in its place; what is too old goes to `gone`."""
        cache, self._cache = self._cache, None
        if cache is None:
            cache = self._empty()
        self._moment.reach(_clock.now())
        gone.extend(cache.expire())
        return cache

    def _put_back_locked(self, cache: TTLCache[Hashable, _Answer[T]]) -> None:
        if self._cache is None:  # or somebody came back in meanwhile, and has begun another
            self._cache = cache

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()
