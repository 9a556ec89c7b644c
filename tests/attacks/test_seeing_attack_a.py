"""The attacker listens, and watches: with listeners that raise what is not theirs, and lying settings.

They want what is seen of an execution to change what it comes to, or to be wrong.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    CooldownStatus,
    Cooling,
    ExecuteConfig,
    InvalidConfigError,
    Permit,
    StreamResult,
    execute,
    execute_stream,
)
from fallback_exec.events import (
    AttemptFailed,
    AttemptSucceeded,
    CooldownEnded,
    Event,
    ExecutionFinished,
    Listener,
)
from fallback_exec.opentelemetry import OpenTelemetryListener
from fallback_exec.prometheus import PrometheusListener
from helpers import (
    JournalPermit,
    PermitTracker,
    Vendor,
    VendorError,
    error_of,
    in_thread,
    logger_with,
    replying,
    vendors,
)
from scrapes import found
from test_package import output_of

quiet = logger_with()


def listening(*listeners: Listener, **settings: Any) -> ExecuteConfig:
    """Return a config with those listeners that logs nowhere."""
    return ExecuteConfig(strategy="fallback", listeners=listeners, logger=quiet, **settings)


class TestListenersThatRaise:
    """What is not theirs to raise."""

    def test_the_cause_of_what_they_are_told(self) -> None:
        """The provider's error keeps its traceback, and gets no context."""

        def listener(event: Event) -> None:
            if isinstance(event, ExecutionFinished):
                assert event.error is not None
                assert event.error.__cause__ is not None
                raise event.error.__cause__

        failure = error_of(AllProvidersFailedError, vendors("a", "z"), listening(listener))
        for error in failure.exceptions:
            assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["execute", "fail"]
            assert error.__context__ is None
        assert failure.__cause__ is failure.exceptions[-1]

    def test_an_error_that_they_were_told_before(self) -> None:
        """Likewise, whatever they are told of then."""
        kept: list[Exception] = []

        def listener(event: Event) -> None:
            if isinstance(event, AttemptFailed):
                kept.append(event.error)
            raise kept[0]

        failure = error_of(AllProvidersFailedError, vendors("a", "b", "z"), listening(listener))
        for error in failure.exceptions:
            assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["execute", "fail"]
            assert error.__context__ is None

    def test_what_they_are_told_as_if_it_came_from_nothing(self) -> None:
        """It keeps its cause."""

        def listener(event: Event) -> None:
            if event.error is not None:
                raise event.error from None

        failure = error_of(AllProvidersFailedError, vendors("a", "z"), listening(listener))
        assert failure.__cause__ is failure.exceptions[-1]
        assert failure.__suppress_context__  # as it was raised from that
        assert [error.__suppress_context__ for error in failure.exceptions] == [False, False]


class TestIterablesThatRaise:
    """As the setting `listeners`."""

    def test_are_refused(self) -> None:
        """By an error of ours, whose cause is theirs."""

        def listeners() -> Iterator[Listener]:
            yield print
            raise VendorError("spite")

        with pytest.raises(InvalidConfigError, match="listeners must be a sequence of callables") as caught:
            ExecuteConfig(listeners=listeners())
        assert isinstance(caught.value.__cause__, VendorError)


class TestStreamsThatAreReadElsewhere:
    """By whoever sends them on, when the view has returned."""

    def test_stay_in_the_context_of_their_beginning(self) -> None:
        """All that is told of them is told there, and the reader's context stays as it was."""
        request: ContextVar[str] = ContextVar("request", default="nobody's")
        told: list[tuple[type[Event], str]] = []

        def listener(event: Event) -> None:
            told.append((type(event), request.get()))
            request.set("the listener's")

        def view() -> StreamResult[int]:
            request.set("the view's")
            return execute_stream(vendors("a"), listening(listener), lambda _provider: iter([1, 2]))

        whole, closed, broken = (copy_context().run(view) for _ in range(3))
        assert list(whole) == [1, 2]
        closed.close()
        in_thread(broken.close)
        assert told == [(AttemptSucceeded, "the view's"), (ExecutionFinished, "the view's")] * 3
        assert request.get() == "nobody's"

    def test_stay_in_the_trace_of_their_request(self) -> None:
        """Two of them, by turns."""
        exporter = InMemorySpanExporter()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(exporter))
        config = listening(OpenTelemetryListener(tracers))
        streams = []
        for name in ("one", "two"):
            with tracers.get_tracer("test").start_as_current_span(name):
                streams.append(execute_stream(vendors("a"), config, lambda _provider: iter([1, 2])))
        for stream in streams * 3:
            next(stream, None)
        one, two, *executions = exporter.get_finished_spans()
        assert [span.parent for span in executions] == [one.context, two.context]

    def test_are_told_of_in_the_midst_of_another_event(self) -> None:
        """A listener that reads one, and is told of its end, is in that context already."""
        told: list[type[Event]] = []
        streams: list[StreamResult[int]] = []

        def listener(event: Event) -> None:
            told.append(type(event))
            for stream in streams:
                stream.close()

        config = listening(listener)
        streams.extend(execute_stream(vendors("a"), config, lambda _provider: iter([1, 2])) for _ in range(2))
        streams[0].close()
        assert told == [AttemptSucceeded] * 2 + [ExecutionFinished] * 2


class TestListenersThatInterrupt:
    """Streams, as they are told of the end."""

    @pytest.mark.parametrize("way", ["read", "break", "close"])
    def test_are_told_that_they_did(self, way: str) -> None:
        """The last event is an `ExecutionFinished`, as that of `execute()` is; it is told once."""
        told: list[Event] = []

        def listener(event: Event) -> None:
            told.append(event)
            raise KeyboardInterrupt

        def fn(_provider: Vendor) -> Iterator[int]:
            yield 1
            if way == "break":
                raise VendorError

        stream = execute_stream(vendors("a"), listening(listener), fn)
        with pytest.raises(KeyboardInterrupt):
            stream.close() if way == "close" else list(stream)
        first, last = told
        assert isinstance(first, AttemptFailed if way == "break" else AttemptSucceeded)
        assert isinstance(last, ExecutionFinished)
        assert last.outcome == "interrupted"
        assert isinstance(last.error, KeyboardInterrupt)


class TestPermitsThatRepeatThemselves:
    """Of streams."""

    def test_end_a_cooldown_once(self) -> None:
        """Which the same permit has told of at the stream's beginning."""

        class Probe(JournalPermit):
            def begin(self) -> Permit:
                self.has_ended_cooldown = True
                return self

        class Probing(PermitTracker):
            def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
                return Probe(self, name, None)

        told: list[Event] = []
        config = listening(told.append, cooldown=Probing())
        with execute_stream(vendors("a"), config, lambda _provider: iter([1, 2])) as stream:
            assert list(stream) == [1, 2]
        assert [type(event) for event in told] == [CooldownEnded, AttemptSucceeded, ExecutionFinished]


def test_the_older_variable_of_processes_that_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events set the states there, as prometheus_client asks no collector."""
    monkeypatch.setenv("prometheus_multiproc_dir", str(tmp_path))
    registry = CollectorRegistry()
    listener = PrometheusListener(registry)
    tracker = BreakerCooldownTracker(fail_max=1)
    listener.watch(tracker)
    config = listening(listener, cooldown=tracker)
    execute(vendors("a", "z"), config, replying(a=VendorError(), z="answer"))
    assert found(registry, "fallback_exec_provider_state") == {
        '{provider="a",state="open"}': 1.0,
        '{provider="z",state="closed"}': 1.0,
    }
    assert not found(registry, "fallback_exec_cooldown_remaining_seconds")


class TestGauges:
    """Of OpenTelemetry."""

    def test_of_a_tracker_that_fails_hide_no_other_s(self, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged once, without credentials; the SDK would tell all of it at each reading."""

        class Odd(BreakerCooldownTracker):
            def snapshot(self) -> dict[str, CooldownStatus]:
                raise VendorError("https://joe:swordfish@cache.example.net")

        reader = InMemoryMetricReader()
        listener = OpenTelemetryListener(meter_provider=MeterProvider([reader], shutdown_on_exit=False))
        odd, tracker = Odd(), BreakerCooldownTracker()
        tracker.cool_down("a", 30)
        listener.observe(odd)
        listener.observe(tracker)
        for _ in range(2):
            assert providers_with_cooldowns(reader) == ["a"]
        (line,) = caplog.messages
        assert line == ("cooldowns not shown to OpenTelemetry error=https://[redacted]@cache.example.net")

    def test_of_a_provider_that_becomes_the_global_one(self) -> None:
        """Its first gauges show what is observed from then on, too: the SDK asks no second ones."""
        assert output_of(PROMOTED) == "['a', 'b']\n"


def providers_with_cooldowns(reader: InMemoryMetricReader) -> list[object]:
    """Return whose remaining cooldown is shown."""
    data = reader.get_metrics_data()
    assert data is not None
    return [
        (point.attributes or {})["fallback_exec.provider.name"]
        for scope in data.resource_metrics[0].scope_metrics
        for metric in scope.metrics
        if metric.name == "fallback_exec.cooldown.remaining"
        for point in metric.data.data_points
    ]


PROMOTED = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from fallback_exec import BreakerCooldownTracker
from fallback_exec.opentelemetry import OpenTelemetryListener

reader = InMemoryMetricReader()
provider = MeterProvider([reader])
first, second = BreakerCooldownTracker(), BreakerCooldownTracker()
first.cool_down("a"), second.cool_down("b")
OpenTelemetryListener(meter_provider=provider).observe(first)
metrics.set_meter_provider(provider)
OpenTelemetryListener().observe(second)
(scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
(shown,) = [each for each in scope.metrics if each.name == "fallback_exec.cooldown.remaining"]
print([point.attributes["fallback_exec.provider.name"] for point in shown.data.data_points])
"""
