"""The metrics of a registry, which all listeners of it share."""

from __future__ import annotations

import os
import threading
import weakref

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.registry import Collector

from fallback_exec import _forks
from fallback_exec.errors import InvalidConfigError
from fallback_exec.prometheus.labels import LabelValues
from fallback_exec.prometheus.states import EventGauges, TrackerCollector

#: Upper limits of the histogram's buckets, in seconds. Payments, SMS and lookups answer within the first
#: ones, completions within 30, images and long answers within 120. From 10 on they are the time limits that
#: clients are usually given, for a call that runs into one has to stand out; 600 is that of the SDKs of
#: Anthropic and OpenAI where none is given.
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)

#: By which variables prometheus_client knows that it is one process of many. It takes the older one, too.
_MULTIPROCESS = frozenset({"PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"})


class Metrics:
    """The metrics of one registry. Safe for concurrent use.

    With the environment variable PROMETHEUS_MULTIPROC_DIR, prometheus_client keeps all values in files and
    asks no collector: `events` is there then, and `trackers` is None. Otherwise it is the other way round.

    Args:
        registry: Where they are registered.

    Attributes:
        executors: The values of the label `executor`.
        providers: Those of the label `provider`.

    Raises:
        InvalidConfigError: the registry has a metric of somebody else's by one of the names.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.executors = LabelValues()
        self.providers = LabelValues()
        self.executions = Counter(
            "fallback_exec_executions_total",
            "Executions that have ended, by what they came to.",
            ["executor", "outcome"],
            registry=None,
        )
        self.attempts = Counter(
            "fallback_exec_attempts_total",
            "Attempts by what they came to; outcome skipped: the provider was passed over.",
            ["executor", "provider", "outcome"],
            registry=None,
        )
        self.durations = Histogram(
            "fallback_exec_attempt_duration_seconds",
            "How long attempts took, whatever they came to; of a stream until its first item.",
            ["executor", "provider"],
            registry=None,
            buckets=BUCKETS,
        )
        self.cooldowns = Counter(
            "fallback_exec_cooldowns_total",
            "Cooldowns that a failed attempt has started.",
            ["executor", "provider"],
            registry=None,
        )
        is_multiprocess = not _MULTIPROCESS.isdisjoint(os.environ)
        self.events = EventGauges() if is_multiprocess else None
        self.trackers = None if is_multiprocess else TrackerCollector(self.providers)
        states = () if self.events is None else self.events.metrics
        watched = () if self.trackers is None else (self.trackers,)
        _register(
            registry, (self.executions, self.attempts, self.durations, self.cooldowns, *states, *watched)
        )


def _register(registry: CollectorRegistry, collectors: tuple[Collector, ...]) -> None:
    """Register all of them, or none."""
    for place, collector in enumerate(collectors):
        try:
            registry.register(collector)
        except ValueError as error:
            for registered in collectors[:place]:
                registry.unregister(registered)
            rule = f"must have no metric of somebody else's by a name of ours: {error}"
            raise InvalidConfigError("registry", registry, rule) from error


class _Known:
    """The metrics of each registry that has some, for as long as it lives."""

    def __init__(self) -> None:
        # Guarded by the lock: of two listeners that are built at once, one registers the metrics.
        self._metrics: weakref.WeakKeyDictionary[CollectorRegistry, Metrics] = weakref.WeakKeyDictionary()
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    def of(self, registry: CollectorRegistry) -> Metrics:
        with self._lock:
            metrics = self._metrics.get(registry)
            if metrics is None:
                metrics = self._metrics[registry] = Metrics(registry)
            return metrics

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()


_known = _Known()


def metrics_of(registry: CollectorRegistry | None) -> Metrics:
    """Return the metrics of a registry, registered when it has none yet; None: that of prometheus_client.

    Raises:
        InvalidConfigError: it is no registry, or has a metric of somebody else's by one of the names.
    """
    if registry is None:
        registry = prometheus_client.REGISTRY
    elif not issubclass(type(registry), CollectorRegistry):
        raise InvalidConfigError("registry", registry, "must be a CollectorRegistry or None")
    return _known.of(registry)
