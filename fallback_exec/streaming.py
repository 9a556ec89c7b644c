"""`execute_stream()`: failover until the first item, and what comes of the items after it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeGuard, TypeVar, cast

import attrs

from fallback_exec import _log
from fallback_exec._checks import Seconds
from fallback_exec._log import Log
from fallback_exec._text import class_name, name_text
from fallback_exec.config import ExecuteConfig
from fallback_exec.cooldown.tracker import NO_PERMIT, CooldownTracker, Cooling, Permit, PlainPermit
from fallback_exec.deadline import Deadline
from fallback_exec.errors import InvalidConfigError
from fallback_exec.execution import execute
from fallback_exec.providers import Provider
from fallback_exec.reporting import (
    NO_COROUTINE,
    has_ended_cooldown,
    judge,
    outcome_of,
    release,
    tell_failure,
    tell_success,
    traceback_of,
)
from fallback_exec.results import Attempt, ExecuteResult, Outcome
from fallback_exec.strategies import Route

if TYPE_CHECKING:
    from fallback_exec.notifying import StreamWatch

P = TypeVar("P", bound=Provider)
T = TypeVar("T")

#: Stands for the first item of a stream that has none.
END = object()

#: The items of a stream that has not begun, or is over.
NOTHING: Iterator[Any] = iter(())


def execute_stream(
    providers: Sequence[P],
    config: ExecuteConfig,
    fn: Callable[[P], Iterable[T]],
    *,
    deadline: Deadline | Seconds | None = None,
) -> StreamResult[T]:
    """Call `fn` as `execute()` does, and return its items as they come.

    The first item is awaited within the attempt: whatever fails before it leads to the next provider. After
    it there is no second provider, as half of one answer and half of another are no answer. A stream
    without items is an answer.

    What the attempt came to is told at the end of the stream, once. Only a probe has succeeded with its first
    item, so that nobody waits for the end of a long stream; what it dies of later still counts.

    Args:
        providers: As for `execute()`.
        config: As for `execute()`; `accept` judges the first item.
        fn: Called with a provider; returns its items. A generator function is not called but iterated, so
            that its code, too, runs within the attempt until the first item.
        deadline: As for `execute()`. It ends with the first item.

    Returns:
        An iterator over the items, to be used in a `with` statement, or to be closed.

    Raises:
        NoProvidersError: `providers` is empty.
        InvalidConfigError: an argument cannot be used, or `fn` returned what cannot be iterated.
        ProviderFailedError: `PRIMARY_ONLY` and `ROUND_ROBIN`: the provider failed before its first item. With
            any strategy, and `aborted` then: by its verdict, no other provider may be tried.
        AllProvidersFailedError: `FALLBACK`: every provider that was not passed over did.
        DeadlineExceededError: the deadline was over before the first attempt, or after a failed one.
        ExecutionCancelledError: likewise, for a deadline that was cancelled.
    """
    if not isinstance(config, ExecuteConfig):
        raise InvalidConfigError("config", config, "must be an ExecuteConfig")
    if not callable(fn):
        raise InvalidConfigError("fn", fn, "must be callable with a provider")
    start = _Start(config, fn)
    try:
        result = execute(providers, start.settings(config), start.pull, deadline=deadline)
    except BaseException as error:
        start.close()
        if start.refusal is not None and isinstance(error, InvalidConfigError):
            # execute() has refused what it was given, and knows nothing of what the user gave.
            raise InvalidConfigError(*start.refusal, attempts=error.attempts) from None
        raise
    try:
        return StreamResult(config._route, result, *start.hand_over(result.provider), start.watch)
    finally:
        # The tracebacks of the errors in its story lead to this frame: it would be part of a cycle.
        del result


def _is_iterable(answer: object) -> TypeGuard[Iterable[Any]]:
    """Return whether `iter()` takes the answer, by its class alone.

    Not by hasattr(), which finds for the members of an enum what makes their class iterable.
    """
    for method in ("__iter__", "__getitem__"):
        for each in type(answer).__mro__:
            if method in each.__dict__:
                return each.__dict__[method] is not None
    return False


async def _refused() -> None:
    """Be what `execute()` refuses: an answer that is nobody's failure."""


#: One for all. It is closed: where the refusal is interrupted, Python does not miss that it was awaited.
REFUSED = _refused()
REFUSED.close()


class _Start(Generic[P]):
    """The attempts until one has a first item: what `execute()` is given, and what is kept of it."""

    def __init__(self, config: ExecuteConfig, fn: Callable[[P], Iterable[Any]]) -> None:
        self._fn = fn
        self._accept = config.accept
        self._log = config._route.log
        tracker = config._route.tracker
        self._keeper = None if tracker is None else _Keeper(tracker)
        self._source: _Source | None = None
        # What cannot be used: the argument or setting, its value and the rule that it breaks.
        self.refusal: tuple[str, object, str] | None = None
        # Where there are listeners: what is told of the stream, also by its end.
        self.watch: StreamWatch | None = None

    def settings(self, config: ExecuteConfig) -> ExecuteConfig:
        """Return the user's config for `execute()`. It refers to this object, which must not refer to it."""
        accept = None if self._accept is None else self._is_accepted
        settings = attrs.evolve(config, cooldown=self._keeper, accept=accept, listeners=())
        if config._route.notifier is not None:
            from fallback_exec.notifying import StreamNotifier  # noqa: PLC0415  # as in ExecuteConfig

            settings._route.notifier = notifier = StreamNotifier(config._route.notifier)
            self.watch = notifier.stream
        return settings

    def pull(self, provider: P) -> object:
        """Return the first item of the provider's stream, `END` where there is none."""
        answer: object = self._fn(provider)
        if not _is_iterable(answer):
            self.refusal = "fn", self._fn, f"must return an iterable, not {class_name(answer)}"
            # Not isinstance(): what claims to be a coroutine would be taken for an answer.
            return answer if type(answer) is CoroutineType else REFUSED
        source = self._source = _Source(answer, self._log)
        try:
            source.iterator = iter(answer)
            first = next(source.iterator, END)
        except BaseException:
            self.close()
            raise
        finally:
            del answer, source  # or the traceback of the provider's error would keep them alive
        if type(first) is CoroutineType:
            self.refusal = "fn", self._fn, "must return an iterable of items, not of coroutines"
        return first

    def _is_accepted(self, first: object) -> bool:
        """Ask the user's predicate, which knows nothing of streams without items; close what it rejects."""
        assert self._accept is not None  # noqa: S101  # for the type checker: nobody asks without one
        if first is END:
            return True
        answer: object = self._accept(first)
        if type(answer) is CoroutineType:
            self.refusal = "accept", self._accept, NO_COROUTINE
            return cast("bool", answer)  # it is refused there
        accepted = bool(answer)
        if not accepted:
            self.close()  # now: it must not take its time from the next provider's
        return accepted

    def close(self) -> None:
        """Close the stream that nobody will read, and drop its permit."""
        if self._keeper is not None:
            self._keeper.kept = None
        source, self._source = self._source, None
        if source is not None:
            source.close_quietly()

    def hand_over(self, name: str) -> tuple[_Source, Permit]:
        """Return the stream that has begun, and the permit through which its end is told.

        They are not kept: the traceback of an earlier provider's error refers to this object.
        """
        source, self._source = self._source, None
        assert source is not None  # noqa: S101  # for the type checker: there is an answer
        return source, NO_PERMIT if self._keeper is None else self._keeper.hand_over(name)


class _Source:
    """What `fn` returned, and its iterator."""

    __slots__ = ("_answer", "_log", "iterator")

    def __init__(self, answer: Iterable[Any], log: Log) -> None:
        self._answer = answer
        self.iterator: Iterator[Any] = NOTHING
        self._log = log

    def close(self) -> None:
        """Close the iterator, and what it iterates over: an SDK's stream closes its connection."""
        try:
            _close(self.iterator)
        finally:
            if self._answer is not self.iterator:
                _close(self._answer)

    def close_quietly(self) -> None:
        """Close them where something else is to be said; an error is logged."""
        handled = sys.exception()
        traceback = None if handled is None else traceback_of(handled)
        try:
            self.close()
        except Exception as error:
            self._log.emit(_log.NOT_CLOSED, error)
        finally:
            if handled is not None:  # close() may have raised it once more, which would make it grow
                BaseException.with_traceback(handled, traceback)


def _close(thing: object) -> None:
    close = getattr(thing, "close", None)
    if callable(close):
        close()


class _Keeper(CooldownTracker):
    """Asks and tells another tracker, but keeps the permit of an attempt that has begun to answer."""

    def __init__(self, tracker: CooldownTracker) -> None:
        self._tracker = tracker
        self.kept: Permit | None = None

    def is_available(self, name: str) -> bool:
        return self._tracker.is_available(name)

    def cooldown_remaining(self, name: str) -> float:
        return self._tracker.cooldown_remaining(name)

    def record_failure(self, name: str, error: Exception) -> bool:
        return self._tracker.record_failure(name, error)

    def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
        answer = self._tracker.acquire(name, force=force)
        return answer if isinstance(answer, Cooling) else _KeptPermit(self, answer)

    def hand_over(self, name: str) -> Permit:
        """Return the permit that was kept; a plain one where the tracker could not be asked for it."""
        kept, self.kept = self.kept, None
        return PlainPermit(self._tracker, name, None) if kept is None else kept


class _KeptPermit(Permit):
    """The permit of one attempt: its first success is the stream's beginning, its second the stream's end.

    The end is told to what `begin()` returned, or, where that raised, to the permit it was asked of.
    """

    __slots__ = ("_keeper", "_permit", "cooling", "has_ended_cooldown")

    def __init__(self, keeper: _Keeper, permit: Permit) -> None:
        self._keeper: _Keeper | None = keeper
        self._permit = permit
        # What was learned when it was acquired: a permit that begin() returns may have nothing to say.
        self.cooling = permit.cooling
        self.has_ended_cooldown = False

    def success(self) -> None:
        keeper, self._keeper = self._keeper, None
        permit = self._permit
        if keeper is None:
            permit.success()
        else:
            keeper.kept = self
            self._permit = permit.begin()
        # Where begin() returned the permit itself, that goes on saying what it said of the beginning.
        self.has_ended_cooldown = permit.has_ended_cooldown and not self.has_ended_cooldown

    def failure(self, error: Exception) -> bool:
        return self._permit.failure(error)

    def cool_down(self, error: Exception, seconds: float | None) -> bool:
        try:
            return self._permit.cool_down(error, seconds)
        finally:
            if self._keeper is not None:  # else there is no line of a story to be written
                self.cooling = self._permit.cooling

    def release(self) -> None:
        self._permit.release()


class StreamResult(Iterator[T]):
    """The items of the provider that has begun to answer.

    An iterator, and a context manager that closes it. An error of the provider's is raised as it is; it
    is counted, and ends the stream. Closing it early closes the provider's generator, or the SDK's stream,
    and counts nothing, as does dropping it. Whatever ends it first is told, and nothing after that.

    For one thread at a time, like any generator; not always the same one. A second reader gets a
    `ValueError`, and nothing is counted.

    Attributes:
        provider: The name of the provider that answers.
        attempt_num: Which attempt it is, from 1; skips do not count.
        was_terminus: Whether it is the terminus of a `FALLBACK` chain.
        latency: Seconds until the first item, of that attempt alone, by `time.perf_counter`.
        attempts: The whole story until the first item, in order, skips included.
        outcome: What the stream came to: `SUCCESS` at its end; `FAILURE` or `NEUTRAL` when the provider
            failed, as the error was classified; `NEUTRAL` when it was closed early; None until then.
    """

    provider: str
    attempt_num: int
    was_terminus: bool
    latency: float
    attempts: tuple[Attempt, ...]
    outcome: Outcome | None

    def __init__(
        self,
        route: Route,
        result: ExecuteResult[object],
        source: _Source,
        permit: Permit,
        watch: StreamWatch | None,
    ) -> None:
        self.provider = result.provider
        self.attempt_num = result.attempt_num
        self.was_terminus = result.was_terminus
        self.latency = result.latency
        self.attempts = result.attempts
        self.outcome = None
        self._route = route
        self._watch = watch
        # Taken out by whoever ends the stream, in one step: it may be closed from within, or while another
        # thread waits for an item.
        self._under_way = [(source, permit)]
        # Held by who reads. Nobody waits for it: a second reader is a mistake, and not the provider's.
        self._reading = threading.Lock()
        # The first item, until it is taken.
        self._first = [result.response]
        self._rest = source.iterator
        if result.response is END:
            self._end()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if not self._reading.acquire(blocking=False):
            raise ValueError("a StreamResult is for one reader at a time, and another one is reading it")
        first = self._first
        try:
            return cast("T", first.pop() if first else next(self._rest))
        except StopIteration:
            self._end()
            raise
        except Exception as error:
            self._fail(error)
            raise
        except BaseException as interruption:
            self._abandon(_Source.close_quietly, interruption)
            raise
        finally:
            self._reading.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._abandon(_Source.close if error is None else _Source.close_quietly)

    def close(self) -> None:
        """Close the provider's stream, if it is under way. What that raises is raised."""
        self._abandon(_Source.close)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a StreamResult cannot be pickled or copied: its items come once")

    def __repr__(self) -> str:
        state = "under way" if self.outcome is None else self.outcome.value
        name = name_text(self.provider, self._route.log.redact)
        return f"<StreamResult of {name}, attempt {self.attempt_num}, {state}>"

    def _end(self) -> None:
        for source, permit in self._finish(Outcome.SUCCESS):
            try:
                tell_success(permit, self.provider, self._route.log)
                if self._watch is not None:
                    self._watch.exhausted(has_ended_cooldown(permit, self.provider, self._route.log))
            except BaseException as interruption:
                self._tell_interruption(interruption)
                raise
            finally:
                source.close_quietly()

    def _fail(self, error: Exception) -> None:
        for source, permit in self._finish(Outcome.NEUTRAL):
            try:
                verdict = judge(self._route, permit, self.provider, error)
                outcome = self.outcome = outcome_of(verdict)
                told = tell_failure(self._route, permit, self.provider, error, verdict)
                self._route.log.emit(
                    _log.STREAM_FAILED, self.provider, error, self.attempt_num, self.was_terminus
                )
                if self._watch is not None:
                    self._watch.broken(outcome, error, *told)
            except BaseException as interruption:
                self._tell_interruption(interruption)
                raise
            finally:
                source.close_quietly()

    def _abandon(self, close: Callable[[_Source], None], interruption: BaseException | None = None) -> None:
        for source, permit in self._finish(Outcome.NEUTRAL):
            try:
                release(permit, self.provider, self._route.log)
                if self._watch is not None:
                    self._watch.abandoned(interruption)
            except BaseException as another:
                self._tell_interruption(another)
                raise
            finally:
                close(source)

    def _tell_interruption(self, interruption: BaseException) -> None:
        """Tell of what has come up while the end was told, a listener's own say, unless that was done."""
        if self._watch is not None:
            self._watch.ended(interruption)

    def _finish(self, outcome: Outcome) -> list[tuple[_Source, Permit]]:
        """Return what was under way, for the first who asks; nothing for the others."""
        try:
            ended = [self._under_way.pop()]
        except IndexError:
            return []
        self.outcome = outcome
        self._first, self._rest = [], NOTHING
        return ended
