"""What listeners cost: each of the library's own, in each scene, over one healthy call of pybreaker's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider
from prometheus_client import CollectorRegistry

from bench.contenders import healthy_breaker_call, ours
from bench.rounds import Effort, figure, over, time_paths
from bench.side_by_side import SCENES
from bench.tables import Table
from fallback_exec.events import Event, Listener
from fallback_exec.opentelemetry import OpenTelemetryListener
from fallback_exec.prometheus import PrometheusListener
from fallback_exec.recorder import Recorder


def ignore(_event: Event) -> None:
    """Listen, and do nothing: what is left is the cost of the events."""


def _traced() -> Listener:
    """Return a listener that makes spans and metrics, which go nowhere."""
    return OpenTelemetryListener(TracerProvider(), MeterProvider([InMemoryMetricReader()]))


#: Those who listen, by name; nobody, where it is None.
LISTENERS: Mapping[str, Callable[[], Listener] | None] = {
    "nobody": None,
    "a function that does nothing": lambda: ignore,
    "`Recorder`": lambda: Recorder(max_events=10_000),
    "`PrometheusListener`": lambda: PrometheusListener(CollectorRegistry()),
    "`OpenTelemetryListener`, no SDK": lambda: OpenTelemetryListener(NoOpTracerProvider()),
    "`OpenTelemetryListener`, the SDK": _traced,
}


def measure_listeners(effort: Effort) -> Table:
    """Time an execution with each listener, in each scene."""
    paths = {
        f"{name}, {column}": ours(scene, listeners=[] if listener is None else [listener()])
        for column, scene in SCENES.items()
        for name, listener in LISTENERS.items()
    }
    rounds = time_paths({"unit": healthy_breaker_call()} | paths, effort.rounds)
    return Table(
        tuple(SCENES),
        {
            name: tuple(figure(rounds, over(f"{name}, {column}", "unit")).median for column in SCENES)
            for name in LISTENERS
        },
    )
