"""A listener for OpenTelemetry: a span for each execution, and metrics.

    listener = OpenTelemetryListener()
    config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, listeners=[listener])
    listener.observe(tracker)

Needs the extra `fallback-exec[opentelemetry]`. Names of attributes are OpenTelemetry's where it has one
(`error.type`); the others begin with `fallback_exec.`.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import threading
import weakref
from collections.abc import Iterator
from logging import ERROR
from typing import Final, NoReturn, TypeVar

import attrs
from cachetools import LRUCache

from fallback_exec import _checks, _forks, _log
from fallback_exec._text import Redact, name_text
from fallback_exec.cooldown.breaker import BreakerCooldownTracker
from fallback_exec.errors import InvalidConfigError, StandInError, stand_in
from fallback_exec.events import (
    AttemptFailed,
    AttemptSucceeded,
    CooldownStarted,
    Event,
    ExecutionFinished,
    ProviderSkipped,
)
from fallback_exec.redaction import redact
from fallback_exec.results import Outcome

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import Status, StatusCode, TracerProvider
    from opentelemetry.util.types import AttributeValue
except ImportError as failure:
    raise ImportError(
        'fallback_exec.opentelemetry needs opentelemetry-api: pip install "fallback-exec[opentelemetry]"'
    ) from failure

ProviderT = TypeVar("ProviderT")

#: The name of every span; one for all, as spans are grouped by it.
SPAN_NAME: Final = "fallback_exec.execute"

#: How many providers have values of their own in metrics. The SDK, and whoever stores what it exports, keeps
#: each value for good, and names may come from outside.
MAX_PROVIDERS: Final = 100

#: What all further providers are called in metrics.
OTHER: Final = "other"

#: The upper bounds of the durations' buckets, in seconds: those of the metrics for Prometheus.
DURATIONS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)

#: Of how many executions under way the events are kept: a stream that is dropped never finishes.
MAX_UNDER_WAY: Final = 1_000

STATES: Final = ("closed", "open", "half-open")

_SCOPE = "fallback_exec"

_EXECUTOR = "fallback_exec.executor"
_EXECUTION_ID = "fallback_exec.execution.id"
_EXECUTION_OUTCOME = "fallback_exec.execution.outcome"
_EXECUTION_ATTEMPTS = "fallback_exec.execution.attempts"
_PROVIDER = "fallback_exec.provider.name"
_STATE = "fallback_exec.provider.state"
_ATTEMPT_NUMBER = "fallback_exec.attempt.number"
_ATTEMPT_OUTCOME = "fallback_exec.attempt.outcome"
_ATTEMPT_DURATION = "fallback_exec.attempt.duration"
_WAS_TERMINUS = "fallback_exec.attempt.was_terminus"
_COOLDOWN_REMAINING = "fallback_exec.cooldown.remaining"
_ERROR_TYPE = "error.type"
_ERROR_MESSAGE = "fallback_exec.error.message"

_NOT_SHOWN = _log.Event(ERROR, "cooldowns not shown to OpenTelemetry", "error")

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class OpenTelemetryListener:
    """Makes a span of each execution, and counts what happens.

    The span is made when the execution has ended, with the times at which it began and ended. Its parent is
    the span that was current at the execution's first event, of a stream the one in which it was asked for;
    its events tell of each attempt, skip, and change of a cooldown. Spans that are made within `fn` meanwhile
    are not its children but its siblings.

    Safe for concurrent use, and in a forked child. Where no SDK is set up, next to nothing is done.

    Args:
        tracer_provider: Who makes the spans. None: the global provider, also one that is set later.
        meter_provider: Who counts. None: likewise.
        executor: What `fallback_exec.executor` is in all that is exported: which of an application's
            configs it is.
        redact: Masks credentials in the texts of errors and in names; by default `fallback_exec.redact`.

    Raises:
        InvalidConfigError: a setting is of the wrong type.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        executor: str = "default",
        redact: Redact = redact,
    ) -> None:
        self._tracer_provider = _provider("tracer_provider", tracer_provider, TracerProvider)
        self._meter_provider = _provider("meter_provider", meter_provider, MeterProvider)
        self._executor = _checks.name("executor", executor)
        self._redact = _checks.function("redact", redact)
        self._names = _Names(redact)
        self._under_way = _UnderWay()

        version = importlib.metadata.version("fallback-exec")
        self._tracer = trace.get_tracer(_SCOPE, version, tracer_provider)
        meter = self._meter = metrics.get_meter(_SCOPE, version, meter_provider)
        self._executions = meter.create_counter(
            "fallback_exec.executions", "{execution}", "Executions, by what they came to."
        )
        self._attempts = meter.create_counter(
            "fallback_exec.attempts", "{attempt}", "Attempts and skips, by what they came to."
        )
        self._durations = meter.create_histogram(
            "fallback_exec.attempt.duration",
            "s",
            "How long attempts took; of a stream until its first item.",
            explicit_bucket_boundaries_advisory=DURATIONS,
        )
        self._cooldowns = meter.create_counter(
            "fallback_exec.cooldowns", "{cooldown}", "Cooldowns that an execution's failure has started."
        )

    def __call__(self, event: Event) -> None:
        """Count an event, and keep it for the span of its execution; with the last one, make that."""
        self._count(event)
        if not self._is_traced():
            return
        if isinstance(event, ExecutionFinished):
            self._trace(event, self._under_way.end(event.execution_id))
        else:
            self._under_way.keep(self._kept(event))

    def observe(self, tracker: BreakerCooldownTracker) -> None:
        """Have the state and the remaining cooldown of a tracker's providers read whenever metrics are.

        That lasts as long as the tracker lives; to observe it twice does nothing. Providers beyond the first
        hundred are left out, as one value cannot stand for several. Where trackers know providers by the same
        names, observe them by listeners that differ in `executor`.

        Raises:
            InvalidConfigError: `tracker` is no `BreakerCooldownTracker`.
        """
        if not issubclass(type(tracker), BreakerCooldownTracker):
            raise InvalidConfigError("tracker", tracker, "must be a BreakerCooldownTracker")
        _gauges_of(self._meter_provider).show(tracker, self._executor, self._names, self._meter)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(executor={name_text(self._executor)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an OpenTelemetryListener cannot be pickled or copied: build one in each process")

    def _count(self, event: Event) -> None:
        if isinstance(event, ExecutionFinished):
            outcome = {_EXECUTION_OUTCOME: event.outcome.value}
            self._executions.add(1, {_EXECUTOR: self._executor, **outcome})
            return
        assert event.provider is not None  # noqa: S101  # for the type checker: all others have one
        whose = {_EXECUTOR: self._executor, _PROVIDER: self._names.bounded(event.provider) or OTHER}
        if isinstance(event, AttemptSucceeded | AttemptFailed):
            self._attempts.add(1, {**whose, _ATTEMPT_OUTCOME: event.outcome.value})
            self._durations.record(event.latency, whose)
        elif isinstance(event, ProviderSkipped):
            self._attempts.add(1, {**whose, _ATTEMPT_OUTCOME: Outcome.SKIPPED.value})
        elif isinstance(event, CooldownStarted):
            self._cooldowns.add(1, whose)

    def _is_traced(self) -> bool:
        """Return whether anybody might want spans."""
        provider = self._tracer_provider or trace.get_tracer_provider()
        return not isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider)

    def _kept(self, event: Event) -> Event:
        """Return what may be kept of an event: no frame lives on because of its error."""
        # What starts a cooldown has been told of by the attempt.
        error = stand_in(event.error, self._redact) if isinstance(event, AttemptFailed) else None
        return event if event.error is None else attrs.evolve(event, error=error)

    def _trace(self, event: ExecutionFinished, execution: _Execution) -> None:
        attributes: dict[str, AttributeValue] = {
            _EXECUTOR: self._executor,
            _EXECUTION_ID: event.execution_id,
            _EXECUTION_OUTCOME: event.outcome.value,
            _EXECUTION_ATTEMPTS: event.attempt_num,
        }
        if event.provider is not None:
            attributes[_PROVIDER] = self._names.text(event.provider)
        error = None if event.error is None else stand_in(event.error, self._redact)
        if error is not None:
            attributes[_ERROR_TYPE] = _type_of(error)
        ended = _nanoseconds(event.time)
        started = ended - round(event.latency * 1e9)
        # Samplers are given the attributes: by them, they may keep the executions that failed.
        span = self._tracer.start_span(
            SPAN_NAME, context=execution.parent, attributes=attributes, start_time=started
        )
        if span.is_recording():
            for each in execution.events:
                span.add_event(*self._told(each), _nanoseconds(each.time))
            if error is not None:
                span.set_status(Status(StatusCode.ERROR, str(error)))
        span.end(ended)

    def _told(self, event: Event) -> tuple[str, dict[str, AttributeValue]]:
        """Return the name and the attributes of a span's event."""
        assert event.provider is not None  # noqa: S101  # for the type checker: all that are kept have one
        attributes: dict[str, AttributeValue] = {_PROVIDER: self._names.text(event.provider)}
        if event.attempt_num is not None:
            attributes[_ATTEMPT_NUMBER] = event.attempt_num
        if isinstance(event, AttemptSucceeded | AttemptFailed):
            name = "fallback_exec.attempt"
            attributes[_ATTEMPT_OUTCOME] = event.outcome.value
            attributes[_ATTEMPT_DURATION] = event.latency
            attributes[_WAS_TERMINUS] = event.was_terminus
            if isinstance(event, AttemptFailed) and event.cooldown_remaining is not None:
                attributes[_COOLDOWN_REMAINING] = event.cooldown_remaining
            if isinstance(event.error, StandInError):
                attributes[_ERROR_TYPE] = _type_of(event.error)
                attributes[_ERROR_MESSAGE] = str(event.error)
        elif isinstance(event, ProviderSkipped):
            name = "fallback_exec.skip"
            attributes[_COOLDOWN_REMAINING] = event.cooldown_remaining
        elif isinstance(event, CooldownStarted):
            name = "fallback_exec.cooldown.started"
            attributes[_COOLDOWN_REMAINING] = event.cooldown_remaining
        else:
            name = "fallback_exec.cooldown.ended"
        return name, attributes


@attrs.frozen
class _Execution:
    """An execution under way: the context in which it was first heard of, and its events so far."""

    parent: context.Context = attrs.field(factory=context.get_current)
    events: list[Event] = attrs.field(factory=list)


class _UnderWay:
    """The executions under way, by their ids; the longest untouched are dropped where they are too many.

    Whoever changes the cache takes it out of its place, and puts it back when that is done. If it is not in
    its place, then it was left half changed, by Ctrl-C or by a fork, and is not used again.
    """

    def __init__(self) -> None:
        # Guarded by the lock, which is reentrant: a signal's handler may execute, too.
        self._cache: LRUCache[str, _Execution] | None = None
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    def keep(self, event: Event) -> None:
        """Keep an event until its execution ends."""
        with self._lock:
            cache = self._taken_locked()
            execution = cache.get(event.execution_id)
            if execution is None:
                execution = cache[event.execution_id] = _Execution()
            execution.events.append(event)
            self._cache = cache

    def end(self, execution_id: str) -> _Execution:
        """Return what is known of an execution that has ended, and forget it."""
        with self._lock:
            cache = self._taken_locked()
            execution = cache.pop(execution_id, None)
            self._cache = cache
        return _Execution() if execution is None else execution

    def _taken_locked(self) -> LRUCache[str, _Execution]:
        cache, self._cache = self._cache, None
        return LRUCache(MAX_UNDER_WAY) if cache is None else cache

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()


class _Names:
    """Providers' names as they are exported, without credentials."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        self._bounded: dict[str, str] = {}  # read without the lock, written under it
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    def bounded(self, name: str) -> str | None:
        """Return a name as metrics show it; None where it is not among the first hundred."""
        shown = self._bounded.get(name)
        if shown is None and len(self._bounded) < MAX_PROVIDERS:
            text = name_text(name, self._redact)  # outside the lock: it is the user's code
            with self._lock:
                if len(self._bounded) < MAX_PROVIDERS:
                    self._bounded[name] = text
            shown = self._bounded.get(name)  # another thread may have brought the same name
        return shown

    def text(self, name: str) -> str:
        """Return a name as spans show it: those have room for all."""
        return self._bounded.get(name) or name_text(name, self._redact)

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()


class _Gauges:
    """What is read of trackers whenever the metrics of one provider are.

    One for all listeners of that provider: of gauges of the same name the SDK asks the first alone.
    """

    def __init__(self) -> None:
        # By what it is shown with, and its identity: a tracker's class may compare by value.
        self._trackers: weakref.WeakValueDictionary[tuple[str, _Names, int], BreakerCooldownTracker] = (
            weakref.WeakValueDictionary()
        )
        self._are_there = False
        # Written by one atomic operation of a dict, which decides who logs.
        self._has_failed: dict[str, object] = {}

    def show(
        self, tracker: BreakerCooldownTracker, executor: str, names: _Names, meter: metrics.Meter
    ) -> None:
        """Show a tracker, from now on."""
        self._trackers[executor, names, id(tracker)] = tracker
        if self._are_there:
            return
        self._are_there = True
        meter.create_observable_gauge(
            "fallback_exec.provider.state",
            [self._states],
            "1",
            "Whether a provider is in that state: 1 for one of the three, 0 for the others.",
        )
        meter.create_observable_gauge(
            "fallback_exec.cooldown.remaining",
            [self._remaining],
            "s",
            "Until a provider's cooldown is over; 0 where it is not cooling.",
        )

    def _states(self, _options: CallbackOptions) -> Iterator[Observation]:
        for whose, state, _ in self._statuses():
            for each in STATES:
                yield Observation(int(each == state), {**whose, _STATE: each})

    def _remaining(self, _options: CallbackOptions) -> Iterator[Observation]:
        for whose, _, remaining in self._statuses():
            yield Observation(remaining, whose)

    def _statuses(self) -> Iterator[tuple[dict[str, AttributeValue], str, float]]:
        # Not items(): a tracker that is observed or dies meanwhile would end its iteration.
        for reference in self._trackers.valuerefs():
            tracker = reference()
            if tracker is None:
                continue
            executor, names, _ = reference.key
            try:
                statuses = tracker.snapshot()
            except Exception as error:  # of a subclass of the user's: the SDK would log it at each reading
                mark = object()
                if self._has_failed.setdefault("snapshot", mark) is mark:
                    _log.default_log.emit(_NOT_SHOWN, error)
                continue
            for name, status in statuses.items():
                shown = names.bounded(name)
                if shown is not None:
                    whose: dict[str, AttributeValue] = {_EXECUTOR: executor, _PROVIDER: shown}
                    yield whose, status.state, status.cooldown_remaining


_gauges_of_the_global_provider = _Gauges()
_gauges_of_others: weakref.WeakKeyDictionary[MeterProvider, _Gauges] = weakref.WeakKeyDictionary()


def _gauges_of(provider: MeterProvider | None) -> _Gauges:
    the_global_one = metrics.get_meter_provider()
    asked = the_global_one if provider is None else provider
    # First, as one that was passed to a listener may have become the global one since.
    gauges = _gauges_of_others.get(asked)
    if gauges is not None:
        return gauges
    if asked is the_global_one:
        return _gauges_of_the_global_provider
    return _gauges_of_others.setdefault(asked, _Gauges())


def _provider(setting: str, value: ProviderT | None, kind: type[object]) -> ProviderT | None:
    if value is None or issubclass(type(value), kind):
        return value
    raise InvalidConfigError(setting, value, f"must be an OpenTelemetry {kind.__name__} or None")


def _type_of(error: StandInError) -> str:
    """Return the name of an error's class as OpenTelemetry wants it: whole, but for what is built in."""
    return error.type_name.removeprefix("builtins.")


def _nanoseconds(moment: dt.datetime) -> int:
    """Return the time since 1970, as exactly as it was read."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1) * 1_000
