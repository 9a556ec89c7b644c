"""Telling listeners of what happens in an execution. Imported where there are listeners, by their config."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from secrets import token_hex
from time import perf_counter
from types import FrameType, TracebackType
from typing import Any

from fallback_exec import _clock, _log
from fallback_exec._log import Log
from fallback_exec.cooldown.tracker import Cooling
from fallback_exec.errors import (
    AllProvidersFailedError,
    DeadlineExceededError,
    ExecutionCancelledError,
    ProviderFailedError,
)
from fallback_exec.events import (
    AttemptFailed,
    AttemptSucceeded,
    CooldownEnded,
    CooldownStarted,
    Event,
    ExecutionFinished,
    ExecutionOutcome,
    Listener,
    ProviderSkipped,
)
from fallback_exec.reporting import traceback_of
from fallback_exec.results import Outcome

# Whatever an error's class says when it is asked for an attribute. The cause first: to set it sets the last.
_CAUSE: Any = BaseException.__dict__["__cause__"]
_CONTEXT: Any = BaseException.__dict__["__context__"]
_SUPPRESSES: Any = BaseException.__dict__["__suppress_context__"]


class Notifier:
    """The listeners of a config. Safe for concurrent use."""

    def __init__(self, listeners: tuple[Listener, ...], log: Log, has_failed: dict[int, object]) -> None:
        self._listeners = listeners
        self._log = log
        # Of which listeners an error has been logged, by place: written by one atomic operation of a dict.
        self._has_failed = has_failed

    def watch(self) -> Watch:
        """Return what is told of an execution that begins."""
        return Watch(self)

    def tell(self, event: Event) -> None:
        """Call each listener; never raises an `Exception`."""
        error = event.error
        links = [] if error is None else [(of, of.__get__(error)) for of in (_CAUSE, _CONTEXT, _SUPPRESSES)]
        for place, listener in enumerate(self._listeners):
            try:
                listener(event)
            except Exception as failure:
                self._complain(place, event, failure)
                # Should somebody keep it: it would hold our frames. What it had before stays: it may be a
                # provider's error, which must not grow either, nor get a foreign context.
                BaseException.with_traceback(failure, _older(traceback_of(failure), sys._getframe()))
                if failure is error:
                    for link, value in links:
                        link.__set__(failure, value)
                elif _CONTEXT.__get__(failure) is error:
                    _CONTEXT.__set__(failure, None)

    def _complain(self, place: int, event: Event, failure: Exception) -> None:
        mark = object()
        if self._has_failed.setdefault(place, mark) is mark:
            self._log.emit(_log.LISTENER_FAILED, place, type(event).__name__, failure)


def _older(traceback: TracebackType | None, caller: FrameType) -> TracebackType | None:
    """Return what of a traceback is older than the call that a frame has made: its end, or None."""
    while traceback is not None and _is_within(traceback.tb_frame, caller):
        traceback = traceback.tb_next
    return traceback


def _is_within(frame: FrameType | None, caller: FrameType) -> bool:
    while frame is not None and frame is not caller:
        frame = frame.f_back
    return frame is caller


class Watch:
    """One execution, as it is told to the listeners. For one thread at a time."""

    __slots__ = ("_attempt_num", "_has_finished", "_id", "_name", "_notifier", "_started", "_was_terminus")

    _was_terminus: bool

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._id = token_hex(16)
        self._started = perf_counter()
        self._attempt_num = 0
        # Of the attempt under way; none: None. Whether that is the terminus's is known with it.
        self._name: str | None = None
        self._has_finished = False

    def skipped(self, name: str, cooldown_remaining: float) -> None:
        """Tell that a provider was passed over."""
        self._notifier.tell(
            ProviderSkipped(
                execution_id=self._id,
                time=_clock.now(),
                provider=name,
                attempt_num=None,
                latency=0.0,
                error=None,
                cooldown_remaining=cooldown_remaining,
            )
        )

    def attempting(self, name: str, attempt_num: int, was_terminus: bool) -> None:
        """Know whose attempt is under way, until it has failed or succeeded."""
        self._name, self._attempt_num, self._was_terminus = name, attempt_num, was_terminus

    def failed(
        self, outcome: Outcome, error: Exception, latency: float, cooling: Cooling | None, has_started: bool
    ) -> None:
        """Tell that the attempt under way has failed, and what it has started."""
        name, self._name = self._name, None
        remaining = None if cooling is None else cooling.cooldown_remaining
        if cooling is not None and not has_started:
            # It was learned before the attempt, which may have taken a minute.
            remaining = _clock.Countdown(cooling.cooldown_remaining, cooling.at).remaining()
        self._tell(
            AttemptFailed,
            name,
            latency,
            error,
            outcome=outcome,
            was_terminus=self._was_terminus,
            cooldown_remaining=remaining,
        )
        if has_started:
            self._tell(CooldownStarted, name, latency, error, cooldown_remaining=remaining)

    def succeeded(self, latency: float, has_ended_cooldown: bool) -> None:
        """Tell that the attempt under way was answered, and the execution with it."""
        self._answer(Outcome.SUCCESS, latency, has_ended_cooldown, ExecutionOutcome.SUCCESS)

    def ended(self, error: BaseException) -> None:
        """Tell that the execution ends with an error, unless its end was told already."""
        if self._has_finished:
            return
        if self._name is not None:  # amid an attempt: whatever it is, it is no end that the loop came to
            self._finish(ExecutionOutcome.INTERRUPTED, self._name, error)
        else:
            provider = error.provider if isinstance(error, ProviderFailedError) else None
            self._finish(_outcome_of(error), provider, error)

    def _answer(
        self, outcome: Outcome, latency: float, has_ended_cooldown: bool, execution: ExecutionOutcome
    ) -> None:
        name, self._name = self._name, None
        self._tell(AttemptSucceeded, name, latency, None, outcome=outcome, was_terminus=self._was_terminus)
        if has_ended_cooldown:
            self._tell(CooldownEnded, name, latency, None)
        self._finish(execution, name, None)

    def _finish(self, outcome: ExecutionOutcome, provider: str | None, error: BaseException | None) -> None:
        self._has_finished = True
        self._tell(ExecutionFinished, provider, perf_counter() - self._started, error, outcome=outcome)

    def _tell(
        self,
        kind: Callable[..., Event],
        provider: str | None,
        latency: float,
        error: BaseException | None,
        **facts: object,
    ) -> None:
        """Tell of the attempt that was made last, or of the end."""
        self._notifier.tell(
            kind(
                execution_id=self._id,
                time=_clock.now(),
                provider=provider,
                attempt_num=self._attempt_num,
                latency=latency,
                error=error,
                **facts,
            )
        )


class StreamNotifier(Notifier):
    """Stands in for a notifier where one stream begins, whose end is told when it is there."""

    def __init__(self, notifier: Notifier) -> None:
        super().__init__(notifier._listeners, notifier._log, notifier._has_failed)
        self.stream = StreamWatch(notifier)

    def watch(self) -> StreamWatch:
        """Return what is told of that stream."""
        return self.stream


class StreamWatch(Watch):
    """One execution of a stream: that its first item is there is no event yet.

    Who reads the rest may do so elsewhere: all is told in the context in which the stream was asked for, a
    copy of it each time, as none can be entered twice at once.
    """

    __slots__ = ("_context", "_latency")

    def __init__(self, notifier: Notifier) -> None:
        super().__init__(notifier)
        self._context = copy_context()

    def succeeded(self, latency: float, has_ended_cooldown: bool) -> None:
        """Know of the first item."""
        self._latency = latency
        if has_ended_cooldown:
            self._tell(CooldownEnded, self._name, latency, None)

    def exhausted(self, has_ended_cooldown: bool) -> None:
        """Tell that the stream has come to its end."""
        self._answer(Outcome.SUCCESS, self._latency, has_ended_cooldown, ExecutionOutcome.SUCCESS)

    def broken(self, outcome: Outcome, error: Exception, cooling: Cooling | None, has_started: bool) -> None:
        """Tell that the provider has failed after its first item."""
        name = self._name
        self.failed(outcome, error, self._latency, cooling, has_started)
        self._finish(ExecutionOutcome.FAILED, name, error)

    def abandoned(self, interruption: BaseException | None) -> None:
        """Tell that nobody reads on: by an interruption, or as the stream was closed before its end."""
        if interruption is None:
            has_ended_cooldown = False  # nothing is counted
            self._answer(Outcome.NEUTRAL, self._latency, has_ended_cooldown, ExecutionOutcome.CANCELLED)
        else:
            self.ended(interruption)

    def _tell(
        self,
        kind: Callable[..., Event],
        provider: str | None,
        latency: float,
        error: BaseException | None,
        **facts: object,
    ) -> None:
        tell = partial(super()._tell, kind, provider, latency, error, **facts)
        self._context.copy().run(tell)


def _outcome_of(error: BaseException) -> ExecutionOutcome:
    """Return what an execution came to that ends with an error between two attempts."""
    match error:
        case AllProvidersFailedError():
            return ExecutionOutcome.EXHAUSTED
        case DeadlineExceededError():
            return ExecutionOutcome.DEADLINE
        case ExecutionCancelledError():
            return ExecutionOutcome.CANCELLED
        case ProviderFailedError():
            return ExecutionOutcome.ABORTED if error.aborted else ExecutionOutcome.FAILED
        case _:
            return ExecutionOutcome.INTERRUPTED
