"""The listener that counts for Prometheus."""

from __future__ import annotations

from typing import NoReturn

from prometheus_client import CollectorRegistry

from fallback_exec import _checks
from fallback_exec._text import name_text
from fallback_exec.cooldown.breaker import BreakerCooldownTracker
from fallback_exec.errors import InvalidConfigError
from fallback_exec.events import (
    AttemptFailed,
    AttemptSucceeded,
    CooldownStarted,
    Event,
    ExecutionFinished,
    ExecutionOutcome,
    ProviderSkipped,
)
from fallback_exec.prometheus.metrics import Metrics, metrics_of
from fallback_exec.results import Outcome


class PrometheusListener:
    """Counts what happens, for Prometheus: `ExecuteConfig(listeners=[PrometheusListener()])`.

    All listeners of a registry share its metrics. Of a registry, the first 100 names of providers have series
    of their own, and share `provider="other"` beyond; values of labels have at most 100 characters, without
    credentials. The same is true of executors.

    Safe for concurrent use, and in a forked child, as far as prometheus_client is: not while an event of the
    same thread is being counted, from a signal's handler say.

    Args:
        registry: Where the metrics are; None: `prometheus_client.REGISTRY`.
        executor: The value of the label `executor`: what the executions are for.

    Raises:
        InvalidConfigError: an argument cannot be used, or the registry has a metric of somebody else's by one
            of our names.
    """

    def __init__(self, registry: CollectorRegistry | None = None, executor: str = "default") -> None:
        self._name = _checks.name("executor", executor)
        self._metrics = metrics_of(registry)
        self._executor = self._metrics.executors[self._name]
        # From the start, all are there: the first one that happens is an increase.
        self._executions = {
            outcome: self._metrics.executions.labels(self._executor, outcome) for outcome in ExecutionOutcome
        }
        # By the value of the label: bounded, as those are. Written by one atomic operation of a dict.
        self._providers: dict[str, _Series] = {}

    def __call__(self, event: Event) -> None:
        """Count an event."""
        label = None if event.provider is None else self._metrics.providers[event.provider]
        if isinstance(event, ExecutionFinished):
            self._executions[event.outcome].inc()
        elif label is not None:
            series = self._providers.get(label)
            if series is None:
                series = self._providers.setdefault(label, _Series(self._metrics, self._executor, label))
            series.count(event)
        if label is not None and self._metrics.events is not None:
            self._metrics.events.take(label, event)

    def watch(self, tracker: BreakerCooldownTracker) -> None:
        """Show the states and the cooldowns of a tracker's providers, as they are at each scrape.

        A tracker is watched for as long as somebody else refers to it. Several of them, of all listeners of
        the registry, may know the same provider: the longest cooldown is shown. With
        PROMETHEUS_MULTIPROC_DIR nothing is watched: events alone tell of states there.

        Raises:
            InvalidConfigError: it is no `BreakerCooldownTracker`.
        """
        if not issubclass(type(tracker), BreakerCooldownTracker):
            raise InvalidConfigError("tracker", tracker, "must be a BreakerCooldownTracker")
        if self._metrics.trackers is not None:
            self._metrics.trackers.watch(tracker)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(executor={name_text(self._name)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a PrometheusListener cannot be pickled or copied: its metrics belong to one process; "
            "build one in every process"
        )


class _Series:
    """The series of one provider, found once. All are there from the start, as those of executions."""

    __slots__ = ("_attempts", "_cooldowns", "_durations")

    def __init__(self, metrics: Metrics, executor: str, label: str) -> None:
        self._attempts = {outcome: metrics.attempts.labels(executor, label, outcome) for outcome in Outcome}
        self._durations = metrics.durations.labels(executor, label)
        self._cooldowns = metrics.cooldowns.labels(executor, label)

    def count(self, event: Event) -> None:
        match event:
            case AttemptSucceeded() | AttemptFailed():
                self._attempts[event.outcome].inc()
                self._durations.observe(event.latency)
            case ProviderSkipped():
                self._attempts[Outcome.SKIPPED].inc()
            case CooldownStarted():
                self._cooldowns.inc()
