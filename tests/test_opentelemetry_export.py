"""Spans and metrics as a collector receives them: OTLP over HTTP, from the real exporters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from freezegun.api import FrozenDateTimeFactory
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, FallbackExecError, Strategy, execute
from fallback_exec.opentelemetry import OpenTelemetryListener
from helpers import PATIENCE, Vendor, logger_with, vendors

SECRET = "swordfish"


class Collector:
    """A collector that takes whatever comes, and keeps it."""

    def __init__(self) -> None:
        #: The bodies of the requests, by path.
        self.received: list[tuple[str, bytes]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def spans(self) -> list[Span]:
        """Return all spans that were received."""
        found = []
        for path, body in self.received:
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    def points(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Return the metrics that were received last: by name, attributes and values or sums."""
        body = [body for path, body in self.received if path == "/v1/metrics"][-1]
        (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
        (scope,) = resource.scope_metrics
        found: dict[str, list[tuple[dict[str, Any], float]]] = {}
        for metric in scope.metrics:
            points = found[metric.name] = []
            for number in [*metric.sum.data_points, *metric.gauge.data_points]:
                value = number.as_int if number.WhichOneof("value") == "as_int" else number.as_double
                points.append((plain(number.attributes), value))
            points += [(plain(each.attributes), each.sum) for each in metric.histogram.data_points]
        return found

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()


def plain(attributes: Any) -> dict[str, Any]:
    """Return attributes as a dict, without the namespace."""
    pairs: list[KeyValue] = list(attributes)
    return {
        pair.key.removeprefix("fallback_exec."): getattr(pair.value, str(pair.value.WhichOneof("value")))
        for pair in pairs
    }


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on a port of this machine."""
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """What exporters send by, whatever proxies the environment names."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def tracers(collector: Collector, session: requests.Session) -> Iterator[TracerProvider]:
    """An SDK that exports its spans in batches, as applications do."""
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{collector.url}/v1/traces", session=session)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    yield provider
    provider.shutdown()


@pytest.fixture
def meters(collector: Collector, session: requests.Session) -> Iterator[MeterProvider]:
    """An SDK that exports its metrics when it is told to."""
    exporter = OTLPMetricExporter(f"{collector.url}/v1/metrics", session=session)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    yield provider
    provider.shutdown()


def test_a_trace_is_received(
    collector: Collector, tracers: TracerProvider, meters: MeterProvider, clock: FrozenDateTimeFactory
) -> None:
    """A request's span has the execution's as a child, with an event for each attempt; no secret leaves."""
    tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
    listener = OpenTelemetryListener(tracers, meters, executor="images")
    listener.observe(tracker)
    config = ExecuteConfig(
        strategy=Strategy.FALLBACK, cooldown=tracker, listeners=[listener], logger=logger_with()
    )

    def fn(provider: Vendor) -> str:
        clock.tick(0.5)
        if provider.name == "grok":
            raise ConnectionError(f"refused: https://joe:{SECRET}@grok.example.net/?api_key={SECRET}")
        return "fox"

    with tracers.get_tracer("test").start_as_current_span("GET /fox"):
        execute(vendors("grok", "gemini"), config, fn)
        clock.tick(0.5)
    with pytest.raises(FallbackExecError):
        execute(vendors("grok"), config, fn)
    assert tracers.force_flush()
    assert meters.force_flush()

    execution, view, failed = sorted(collector.spans(), key=lambda span: span.end_time_unix_nano)
    assert (view.name, view.parent_span_id) == ("GET /fox", b"")
    assert execution.name == failed.name == "fallback_exec.execute"
    assert execution.trace_id == view.trace_id
    assert execution.parent_span_id == view.span_id
    assert execution.kind == Span.SPAN_KIND_INTERNAL
    assert execution.end_time_unix_nano - execution.start_time_unix_nano == 10**9
    assert execution.status.code == Status.STATUS_CODE_UNSET
    assert plain(execution.attributes)["execution.outcome"] == "success"
    began = execution.start_time_unix_nano
    assert [(event.name, event.time_unix_nano - began) for event in execution.events] == [
        ("fallback_exec.attempt", 5 * 10**8),
        ("fallback_exec.cooldown.started", 5 * 10**8),
        ("fallback_exec.attempt", 10**9),
    ]
    assert plain(execution.events[0].attributes) == {
        "provider.name": "grok",
        "attempt.number": 1,
        "attempt.outcome": "failure",
        "attempt.duration": 0.5,
        "attempt.was_terminus": False,
        "cooldown.remaining": 30.0,
        "error.type": "ConnectionError",
        "error.message": "refused: https://[redacted]@grok.example.net/?api_key=[redacted]",
    }

    assert failed.parent_span_id == b""
    assert failed.trace_id != view.trace_id
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert "[redacted]" in failed.status.message
    assert plain(failed.attributes)["error.type"] == "fallback_exec.errors.AllProvidersFailedError"

    grok = {"executor": "images", "provider.name": "grok"}
    points = collector.points()
    assert points["fallback_exec.executions"] == [
        ({"executor": "images", "execution.outcome": "success"}, 1),
        ({"executor": "images", "execution.outcome": "exhausted"}, 1),
    ]
    assert points["fallback_exec.cooldowns"] == [(grok, 1)]
    assert (grok, 1.0) in points["fallback_exec.attempt.duration"]
    assert ({**grok, "provider.state": "open"}, 1) in points["fallback_exec.provider.state"]
    assert (grok, 28.5) in points["fallback_exec.cooldown.remaining"]

    assert SECRET.encode() not in b"".join(body for _, body in collector.received)
