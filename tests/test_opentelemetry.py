"""Spans and metrics, as the real SDK has them."""

from __future__ import annotations

import datetime as dt
import gc
import runpy
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import pytest
from freezegun.api import FrozenDateTimeFactory
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeter, NoOpMeterProvider, ObservableGauge
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    NoOpTracerProvider,
    Span,
    SpanKind,
    StatusCode,
    TraceState,
    format_trace_id,
)
from opentelemetry.util.types import Attributes

import fallback_exec.opentelemetry
from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    Deadline,
    ExecuteConfig,
    FallbackExecError,
    InvalidConfigError,
    Outcome,
    StandInError,
    Strategy,
    Verdict,
    _forks,
    execute,
    execute_stream,
)
from fallback_exec.events import AttemptFailed, AttemptSucceeded, Event, ExecutionFinished, ExecutionOutcome
from fallback_exec.opentelemetry import OpenTelemetryListener
from fallback_exec.prometheus.metrics import BUCKETS
from helpers import (
    PATIENCE,
    Held,
    Vendor,
    VendorError,
    Watch,
    fail,
    forked_child_finishes,
    held,
    in_thread,
    in_threads,
    logger_with,
    replying,
    vendors,
)
from test_package import output_of

quiet = logger_with()

SECRET = "swordfish"
URL = f"https://joe:{SECRET}@api.example.net/v1?api_key={SECRET}"


class Telemetry:
    """An SDK of a test's own: what it was given, spans in the order in which they ended."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    def listener(self, **settings: Any) -> OpenTelemetryListener:
        """Return a listener of this SDK's."""
        return OpenTelemetryListener(self.tracers, self.meters, **settings)

    def parent(self, name: str = "view") -> Any:
        """Return a context in which a span is the current one."""
        return self.tracers.get_tracer("test").start_as_current_span(name)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans."""
        return list(self._exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        """The only span."""
        (span,) = self.spans
        return span

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Return the attributes of a metric's points, without the namespace, and their values or sums."""
        return [
            (
                {
                    key.removeprefix("fallback_exec."): value
                    for key, value in (point.attributes or {}).items()
                },
                point.value if isinstance(point, NumberDataPoint) else point.sum,
            )
            for point in self.metrics().get(name, _NoMetric).data.data_points
        ]

    def metrics(self) -> dict[str, Any]:
        """Read all metrics; return them by their names."""
        data = self._reader.get_metrics_data()
        found = [] if data is None else [each for by in data.resource_metrics for each in by.scope_metrics]
        return {metric.name: metric for scope in found for metric in scope.metrics}

    def close(self) -> None:
        """End."""
        self.tracers.shutdown()
        self.meters.shutdown()


class _NoMetric:
    """A metric that has no points."""

    class data:  # noqa: N801  # as it is called there
        data_points: tuple[NumberDataPoint | HistogramDataPoint, ...] = ()


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """An SDK of the test's own."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()


def fallback(listener: Callable[[Event], object], **settings: Any) -> ExecuteConfig:
    """Return the config of a chain."""
    return ExecuteConfig(strategy=Strategy.FALLBACK, logger=quiet, listeners=[listener], **settings)


def told(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    """Return the names and attributes of a span's events, without the namespace."""
    return [(event.name.removeprefix("fallback_exec."), bare(event.attributes)) for event in span.events]


def bare(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return attributes without the namespace."""
    return {key.removeprefix("fallback_exec."): value for key, value in (attributes or {}).items()}


def id_of(span: ReadableSpan | Span) -> int:
    """Return a span's id."""
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def parent_of(span: ReadableSpan) -> int | None:
    """Return the id of a span's parent; None for a root."""
    return None if span.parent is None else span.parent.span_id


class TestSpan:
    """The span of an execution."""

    def test_says_what_it_came_to(self, telemetry: Telemetry) -> None:
        """One span, by a name that is the same for all; an answer leaves the status unset."""
        ids: list[str] = []
        listener = telemetry.listener(executor="images")
        config = ExecuteConfig(
            strategy=Strategy.FALLBACK,
            logger=quiet,
            listeners=[listener, lambda event: ids.append(event.execution_id)],
        )
        execute(vendors("grok"), config, replying(grok="fox"))
        span = telemetry.span
        assert span.name == "fallback_exec.execute"
        assert span.kind is SpanKind.INTERNAL
        assert span.status.status_code is StatusCode.UNSET
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "fallback_exec"
        assert span.instrumentation_scope.version
        assert span.attributes == {
            "fallback_exec.executor": "images",
            "fallback_exec.execution.id": ids[0],
            "fallback_exec.execution.outcome": "success",
            "fallback_exec.execution.attempts": 1,
            "fallback_exec.provider.name": "grok",
        }

    def test_lasts_as_long_as_the_execution(self, telemetry: Telemetry, clock: FrozenDateTimeFactory) -> None:
        """It begins and ends when the execution does; each event stands where it happened."""

        def fn(provider: Vendor) -> str:
            clock.tick(1.5)
            if provider.name == "grok":
                raise VendorError
            return "fox"

        execute(vendors("grok", "gemini"), fallback(telemetry.listener()), fn)
        span = telemetry.span
        began = 1_767_225_600 * 10**9  # 2026-01-01
        assert span.start_time == began
        assert span.end_time == began + 3 * 10**9
        assert [event.timestamp for event in span.events] == [began + 15 * 10**8, began + 3 * 10**9]

    def test_has_the_very_times_of_its_events(self, telemetry: Telemetry) -> None:
        """To the microsecond, which a float since 1970 does not tell for certain."""
        at = dt.datetime(2026, 1, 1, 0, 0, 0, 123_457, tzinfo=dt.UTC)
        telemetry.listener()(attrs.evolve(execution_finished("1" * 32), time=at))
        assert telemetry.span.end_time == 1_767_225_600_123_457_000
        assert telemetry.span.start_time == 1_767_225_599_123_457_000

    def test_is_a_child_of_the_current_one(self, telemetry: Telemetry) -> None:
        """What `fn` does is traced beside it, as it is made when the execution has ended."""

        def fn(provider: Vendor) -> str:
            with telemetry.parent("request"):
                return "fox"

        with telemetry.parent() as view:
            execute(vendors("grok"), fallback(telemetry.listener()), fn)
        request, execution, _ = telemetry.spans
        assert request.name == "request"
        assert parent_of(request) == parent_of(execution) == id_of(view)

    def test_is_a_root_where_none_is_current(self, telemetry: Telemetry) -> None:
        """A script needs no span around it."""
        execute(vendors("grok"), fallback(telemetry.listener()), replying(grok="fox"))
        assert telemetry.span.parent is None

    def test_of_an_error_has_its_type_and_text(self, telemetry: Telemetry) -> None:
        """An error of the library's goes by its whole name."""
        with pytest.raises(AllProvidersFailedError) as caught:
            execute(vendors("grok"), fallback(telemetry.listener()), fail)
        span = telemetry.span
        assert bare(span.attributes)["error.type"] == "fallback_exec.errors.AllProvidersFailedError"
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == str(caught.value)
        assert "provider.name" not in bare(span.attributes)


def _classify(error: Exception) -> Verdict:
    return Verdict.abort()


def _broken(provider: Vendor) -> Iterator[str]:
    yield "a"
    raise VendorError(f"{provider.name} is down")


def _interrupted(provider: Vendor) -> Iterator[str]:
    yield "a"
    raise KeyboardInterrupt


def _interrupt(provider: Vendor) -> str:
    raise KeyboardInterrupt


def _cancelled() -> Deadline:
    deadline = Deadline()
    deadline.cancel()
    return deadline


def _close_early(config: ExecuteConfig) -> None:
    with execute_stream(vendors("grok"), config, lambda provider: iter("ab")) as stream:
        next(stream)


ONE = vendors("grok")
PRIMARY = Strategy.PRIMARY_ONLY

#: How an execution ends: its outcome, the type of its error (None: the status is unset), what is done.
ENDINGS: list[Any] = [
    (ExecutionOutcome.SUCCESS, None, {}, lambda config: execute(ONE, config, replying(grok="fox"))),
    (ExecutionOutcome.SUCCESS, None, {}, lambda config: list(execute_stream(ONE, config, lambda _: "ab"))),
    (
        ExecutionOutcome.EXHAUSTED,
        "fallback_exec.errors.AllProvidersFailedError",
        {},
        lambda config: execute(ONE, config, fail),
    ),
    (
        ExecutionOutcome.FAILED,
        "fallback_exec.errors.ProviderFailedError",
        {"strategy": PRIMARY},
        lambda config: execute(ONE, config, fail),
    ),
    (
        ExecutionOutcome.FAILED,
        "helpers.VendorError",
        {},
        lambda config: list(execute_stream(ONE, config, _broken)),
    ),
    (
        ExecutionOutcome.ABORTED,
        "fallback_exec.errors.ProviderFailedError",
        {"classify": _classify},
        lambda config: execute(ONE, config, fail),
    ),
    (
        ExecutionOutcome.DEADLINE,
        "fallback_exec.errors.DeadlineExceededError",
        {},
        lambda config: execute(ONE, config, fail, deadline=0),
    ),
    (
        ExecutionOutcome.CANCELLED,
        "fallback_exec.errors.ExecutionCancelledError",
        {},
        lambda config: execute(ONE, config, fail, deadline=_cancelled()),
    ),
    (ExecutionOutcome.CANCELLED, None, {}, _close_early),
    (
        ExecutionOutcome.INTERRUPTED,
        "KeyboardInterrupt",
        {},
        lambda config: execute(ONE, config, _interrupt),
    ),
    (
        ExecutionOutcome.INTERRUPTED,
        "KeyboardInterrupt",
        {},
        lambda config: list(execute_stream(ONE, config, _interrupted)),
    ),
]


class TestOutcome:
    """What executions come to, as spans and metrics tell it."""

    @pytest.mark.parametrize(
        ("outcome", "error", "settings", "act"), ENDINGS, ids=[f"{each[0]}-{each[1]}" for each in ENDINGS]
    )
    def test_is_told(
        self,
        telemetry: Telemetry,
        outcome: ExecutionOutcome,
        error: str | None,
        settings: dict[str, Any],
        act: Callable[[ExecuteConfig], object],
    ) -> None:
        """Whatever raises is an error, by its type; nothing else is."""
        config = ExecuteConfig(
            **{
                "strategy": Strategy.FALLBACK,
                "logger": quiet,
                "listeners": [telemetry.listener()],
                **settings,
            }
        )
        came_out: BaseException | None = None
        try:
            act(config)
        except BaseException as caught:
            came_out = caught
        assert (came_out is None) is (error is None)
        span = telemetry.span
        assert bare(span.attributes)["execution.outcome"] == outcome
        assert bare(span.attributes).get("error.type") == error
        assert span.status.status_code is (StatusCode.UNSET if error is None else StatusCode.ERROR)
        assert telemetry.points("fallback_exec.executions") == [
            ({"executor": "default", "execution.outcome": outcome.value}, 1)
        ]

    def test_each_is_among_them(self) -> None:
        """No outcome is forgotten here."""
        assert {each[0] for each in ENDINGS} == set(ExecutionOutcome)


class TestSpanEvents:
    """What a span tells of its execution."""

    def test_tell_the_story(self, telemetry: Telemetry, clock: FrozenDateTimeFactory) -> None:
        """Attempts, skips, and the beginning and the end of a cooldown, in order."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        config = fallback(telemetry.listener(), cooldown=tracker)
        chain = vendors("grok", "gemini")

        def fn(provider: Vendor) -> str:
            clock.tick(0.5)
            if is_down and provider.name == "grok":
                raise VendorError("grok is down")
            return "fox"

        is_down = True
        execute(chain, config, fn)
        execute(chain, config, fn)
        is_down = False
        clock.tick(30)
        execute(chain, config, fn)

        answered = {"attempt.outcome": "success", "attempt.duration": 0.5}
        first, second, third = map(told, telemetry.spans)
        assert first == [
            (
                "attempt",
                {
                    "provider.name": "grok",
                    "attempt.number": 1,
                    "attempt.outcome": "failure",
                    "attempt.duration": 0.5,
                    "attempt.was_terminus": False,
                    "cooldown.remaining": 30.0,
                    "error.type": "helpers.VendorError",
                    "error.message": "grok is down",
                },
            ),
            (
                "cooldown.started",
                {"provider.name": "grok", "attempt.number": 1, "cooldown.remaining": 30.0},
            ),
            (
                "attempt",
                {"provider.name": "gemini", "attempt.number": 2, "attempt.was_terminus": True, **answered},
            ),
        ]
        assert second == [
            ("skip", {"provider.name": "grok", "cooldown.remaining": 29.5}),
            (
                "attempt",
                {"provider.name": "gemini", "attempt.number": 1, "attempt.was_terminus": True, **answered},
            ),
        ]
        assert third == [
            (
                "attempt",
                {"provider.name": "grok", "attempt.number": 1, "attempt.was_terminus": False, **answered},
            ),
            ("cooldown.ended", {"provider.name": "grok", "attempt.number": 1}),
        ]

    def test_of_a_rejection(self, telemetry: Telemetry) -> None:
        """An answer that was not accepted is an error, too; none that was raised goes by its whole name."""
        config = fallback(telemetry.listener(), accept=lambda answer: answer != "")
        execute(vendors("grok", "gemini"), config, replying(grok="", gemini="fox"))
        (_, rejected), _ = told(telemetry.span)
        assert rejected["attempt.outcome"] == "rejected"
        assert rejected["error.type"] == "fallback_exec.errors.ResponseRejectedError"
        assert "cooldown.remaining" not in rejected

    def test_name_what_is_built_in_without_its_module(self, telemetry: Telemetry) -> None:
        """As OpenTelemetry's own spans do: `ConnectionError`."""
        error = ConnectionError()
        execute(vendors("grok", "gemini"), fallback(telemetry.listener()), replying(grok=error, gemini="fox"))
        (_, failed), _ = told(telemetry.span)
        assert (failed["error.type"], failed["error.message"]) == ("ConnectionError", "ConnectionError")

    def test_name_what_a_stand_in_stands_for(self, telemetry: Telemetry) -> None:
        """An error of another process is known by its own type; its text is masked here again."""
        error = StandInError("openai.RateLimitError", f"slow down: {URL}")
        execute(vendors("grok", "gemini"), fallback(telemetry.listener()), replying(grok=error, gemini="fox"))
        (_, failed), _ = told(telemetry.span)
        assert failed["error.type"] == "openai.RateLimitError"
        assert failed["error.message"] == (
            "slow down: https://[redacted]@api.example.net/v1?api_key=[redacted]"
        )


class TestStreams:
    """Spans of streams."""

    def test_end_with_the_stream(self, telemetry: Telemetry, clock: FrozenDateTimeFactory) -> None:
        """The span lasts until the last item; the attempt until the first one."""

        def fn(provider: Vendor) -> Iterator[str]:
            clock.tick(1)
            yield "a"
            clock.tick(2)

        list(execute_stream(vendors("grok"), fallback(telemetry.listener()), fn))
        span = telemetry.span
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.end_time - span.start_time == 3 * 10**9
        assert [(name, facts["attempt.duration"]) for name, facts in told(span)] == [("attempt", 1.0)]

    def test_keep_the_parent_of_their_first_event(self, telemetry: Telemetry) -> None:
        """Who reads the rest, in whatever thread, does not adopt it."""

        def fn(provider: Vendor) -> Iterator[str]:
            if provider.name == "grok":
                raise VendorError
            yield "a"

        with telemetry.parent() as view:
            stream = execute_stream(vendors("grok", "gemini"), fallback(telemetry.listener()), fn)

        def read() -> list[str]:
            with telemetry.parent("another"):
                return list(stream)

        assert in_thread(read) == ["a"]
        assert [(span.name, parent_of(span)) for span in telemetry.spans] == [
            ("view", None),
            ("fallback_exec.execute", id_of(view)),
            ("another", None),
        ]

    def test_that_are_dropped_hold_no_frame(self, telemetry: Telemetry) -> None:
        """What a failed attempt left is known by its type and text alone: nothing lives on in its frames."""
        watch = Watch()

        def fn(provider: Vendor) -> Iterator[str]:
            local = watch("a local variable", Held())
            if provider.name == "grok":
                raise VendorError(type(local).__name__)
            yield "a"

        stream = execute_stream(vendors("grok", "gemini"), fallback(telemetry.listener()), fn)
        assert watch.alive
        del stream
        gc.collect()
        assert not watch.alive
        assert telemetry.spans == []

    def test_that_are_dropped_are_forgotten_in_time(self, telemetry: Telemetry) -> None:
        """A thousand executions under way are remembered: of the others, the span has the rest."""
        listener = telemetry.listener()
        for number in range(1001):
            listener(attempt_failed(execution_id=f"{number:032x}"))
        listener(execution_finished(execution_id=f"{0:032x}"))
        listener(execution_finished(execution_id=f"{1:032x}"))
        assert [len(span.events) for span in telemetry.spans] == [0, 1]


AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def attempt_failed(execution_id: str, provider: str = "grok") -> AttemptFailed:
    """Return an event."""
    return AttemptFailed(
        execution_id=execution_id,
        time=AT,
        provider=provider,
        attempt_num=1,
        latency=0.5,
        error=VendorError("down"),
        outcome=Outcome.FAILURE,
        was_terminus=False,
        cooldown_remaining=None,
    )


def attempt_succeeded(provider: str, execution_id: str = "0" * 32) -> AttemptSucceeded:
    """Return an event."""
    return AttemptSucceeded(
        execution_id=execution_id,
        time=AT,
        provider=provider,
        attempt_num=1,
        latency=0.5,
        error=None,
        outcome=Outcome.SUCCESS,
        was_terminus=False,
    )


def execution_finished(execution_id: str) -> ExecutionFinished:
    """Return an event."""
    return ExecutionFinished(
        execution_id=execution_id,
        time=AT,
        provider="gemini",
        attempt_num=2,
        latency=1.0,
        error=None,
        outcome=ExecutionOutcome.SUCCESS,
    )


class TestThreads:
    """Executions at once."""

    def test_do_not_mix(self, telemetry: Telemetry) -> None:
        """Each span has its own parent and its own events, whatever happens beside it."""
        config = fallback(telemetry.listener())
        all_have_failed = threading.Barrier(8)

        def work(number: int) -> int:
            def fn(provider: Vendor) -> str:
                if provider.name == f"first-{number}":
                    raise VendorError
                all_have_failed.wait(PATIENCE)
                return "fox"

            with telemetry.parent() as view:
                execute(vendors(f"first-{number}", f"second-{number}"), config, fn)
            return id_of(view)

        views = in_threads(8, work)
        executions = [span for span in telemetry.spans if span.name != "view"]
        assert {
            parent_of(span): [facts["provider.name"] for _, facts in told(span)] for span in executions
        } == {view: [f"first-{number}", f"second-{number}"] for number, view in enumerate(views)}

    def test_may_interrupt_each_other(self, telemetry: Telemetry) -> None:
        """A signal's handler that executes while an event is being kept finds no lock that is held."""
        listener = telemetry.listener()
        with listener._under_way._lock, listener._names._lock:
            execute(vendors("grok"), fallback(listener), replying(grok="fox"))
        assert len(telemetry.spans) == 1

    def test_begin_anew_where_something_was_left_half_done(self, telemetry: Telemetry) -> None:
        """A cache that was taken out and not put back, by Ctrl-C say, is not used again."""
        listener = telemetry.listener()
        listener(attempt_failed("1" * 32))
        listener._under_way._taken_locked()
        listener(execution_finished("1" * 32))
        listener(attempt_failed("2" * 32))
        listener(execution_finished("2" * 32))
        assert [len(span.events) for span in telemetry.spans] == [0, 1]


class TestForks:
    """A forked child."""

    def test_traces_whatever_the_parent_was_doing(self, telemetry: Telemetry) -> None:
        """Locks that another thread held are new; what the forking thread was amid has its whole span."""
        listener = telemetry.listener()

        def work() -> None:
            execute(vendors("new"), fallback(listener), replying(new="fox"))
            listener(execution_finished("1" * 32))
            new, old = telemetry.spans
            assert bare(new.attributes)["provider.name"] == "new"
            assert len(old.events) == 1

        listener(attempt_failed("1" * 32))
        with held(listener._under_way._lock), held(listener._names._lock):
            assert forked_child_finishes(work)

    def test_has_locks_of_its_own(self, telemetry: Telemetry) -> None:
        """What a child does first, done here, where it is seen."""
        listener = telemetry.listener()
        locks = listener._under_way._lock, listener._names._lock
        with held(locks[0]), held(locks[1]):
            _forks._renew_all()
            execute(vendors("grok"), fallback(listener), replying(grok="fox"))
        assert len(telemetry.spans) == 1


class TestSecrets:
    """Credentials in what comes from outside."""

    def test_never_leave(self, telemetry: Telemetry) -> None:
        """Neither an error's text, nor a name, nor the text of the whole shows them, and no stack is told."""
        chain = [Vendor(URL), Vendor("gemini")]

        def fn(provider: Vendor) -> str:
            raise ConnectionError(f"cannot reach {URL}")

        tracker = BreakerCooldownTracker(fail_max=1)
        listener = telemetry.listener()
        listener.observe(tracker)
        with pytest.raises(FallbackExecError):
            execute(chain, fallback(listener, cooldown=tracker), fn)
        exported = telemetry.span.to_json() + "".join(each.to_json() for each in telemetry.metrics().values())
        assert "api.example.net" in exported
        assert SECRET not in exported
        assert "Traceback" not in exported

    def test_are_what_redact_says(self, telemetry: Telemetry) -> None:
        """A function of the user's masks names and texts."""
        listener = telemetry.listener(redact=lambda text: text.replace("grok", "G"))
        with pytest.raises(FallbackExecError):
            execute(vendors("grok"), ExecuteConfig(logger=quiet, listeners=[listener]), fail)
        span = telemetry.span
        (_, failed) = told(span)[0]
        assert (failed["provider.name"], failed["error.message"]) == ("G", "G is down")
        assert bare(span.attributes)["provider.name"] == "G"
        assert span.status.description is not None
        assert "grok" not in span.status.description
        assert [point["provider.name"] for point, _ in telemetry.points("fallback_exec.attempts")] == ["G"]

    def test_are_not_shown_where_redact_raises(self, telemetry: Telemetry) -> None:
        """The name of the error's class is shown in place of its text."""

        def broken(text: str) -> str:
            raise ValueError

        listener = telemetry.listener(redact=broken)
        with pytest.raises(FallbackExecError):
            execute(vendors("grok"), fallback(listener), fail)
        (_, failed) = told(telemetry.span)[0]
        assert (failed["provider.name"], failed["error.message"]) == ("[redact failed]", "VendorError")
        assert telemetry.span.status.description == "AllProvidersFailedError"


class OnlyFailures(Sampler):
    """Keeps the executions that failed, by the attributes that it is given."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        is_failure = "error.type" in (attributes or {})
        return SamplingResult(Decision.RECORD_AND_SAMPLE if is_failure else Decision.DROP, attributes)

    def get_description(self) -> str:
        return "OnlyFailures"


class TestSampling:
    """What is not recorded."""

    def test_drops_spans_and_no_metrics(self) -> None:
        """An execution that is not sampled is counted."""
        telemetry = Telemetry(ALWAYS_OFF)
        execute(vendors("grok"), fallback(telemetry.listener()), replying(grok="fox"))
        assert telemetry.spans == []
        assert [value for _, value in telemetry.points("fallback_exec.executions")] == [1]
        telemetry.close()

    def test_is_by_the_outcome(self) -> None:
        """As the span is made at the end, a sampler is told what the execution came to."""
        telemetry = Telemetry(OnlyFailures())
        config = fallback(telemetry.listener())
        execute(vendors("grok"), config, replying(grok="fox"))
        with pytest.raises(FallbackExecError):
            execute(vendors("grok"), config, fail)
        assert [bare(span.attributes)["execution.outcome"] for span in telemetry.spans] == ["exhausted"]
        telemetry.close()

    @pytest.mark.parametrize("tracers", [None, NoOpTracerProvider()])
    def test_keeps_nothing_without_an_sdk(self, tracers: NoOpTracerProvider | None) -> None:
        """Where nobody wants spans, no event is remembered."""
        listener = OpenTelemetryListener(tracers, NoOpMeterProvider())
        with pytest.raises(FallbackExecError):
            execute(vendors("grok"), fallback(listener), fail)
        assert listener._under_way._cache is None


class TestGlobalProviders:
    """Providers that the application sets for all."""

    def test_may_be_set_later(self) -> None:
        """A listener that was built at import, before the SDK was set up, uses it from then on."""
        assert output_of(LATE) == "fallback_exec.execute ['fallback_exec.executions', 'grok', 'gemini']\n"


LATE = """
from fallback_exec import BreakerCooldownTracker, ExecuteConfig, NamedProvider, execute
from fallback_exec.opentelemetry import OpenTelemetryListener

early, tracker, another = OpenTelemetryListener(), BreakerCooldownTracker(), BreakerCooldownTracker()
early.observe(tracker)
config = ExecuteConfig(strategy="fallback", listeners=[early])
execute([NamedProvider("grok", None)], config, lambda provider: "fox")

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
metrics.set_meter_provider(MeterProvider([reader]))
OpenTelemetryListener(meter_provider=metrics.get_meter_provider()).observe(another)

execute([NamedProvider("grok", None)], config, lambda provider: "fox")
tracker.breaker("grok"), another.breaker("gemini")
(span,) = exporter.get_finished_spans()
(scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
found = {each.name: each.data for each in scope.metrics}
(count,) = [point.value for point in found["fallback_exec.executions"].data_points]
assert count == 1
shown = [point.attributes["fallback_exec.provider.name"]
         for point in found["fallback_exec.cooldown.remaining"].data_points]
print(span.name, [name for name in found if name == "fallback_exec.executions"] + shown)
"""


class TestMetrics:
    """What is counted."""

    def test_count_each_outcome(self, telemetry: Telemetry, clock: FrozenDateTimeFactory) -> None:
        """Attempts and skips by what they came to, how long they took, and cooldowns."""
        tracker = BreakerCooldownTracker(fail_max=1)

        def classify(error: Exception) -> Verdict:
            return Verdict.neutral() if isinstance(error, ValueError) else Verdict.failure()

        def fn(provider: Vendor) -> object:
            clock.tick(0.25)
            return replying(down=VendorError(), odd=ValueError(), empty="", up="fox")(provider)

        config = fallback(
            telemetry.listener(executor="images"), cooldown=tracker, accept=bool, classify=classify
        )
        for _ in range(2):
            execute(vendors("down", "odd", "empty", "up"), config, fn)

        def line(provider: str, **more: str) -> dict[str, str]:
            outcome = {f"attempt.{key}": value for key, value in more.items()}
            return {"executor": "images", "provider.name": provider, **outcome}

        assert telemetry.points("fallback_exec.executions") == [
            ({"executor": "images", "execution.outcome": "success"}, 2)
        ]
        assert telemetry.points("fallback_exec.attempts") == [
            (line("down", outcome="failure"), 1),
            (line("odd", outcome="neutral"), 2),
            (line("empty", outcome="rejected"), 1),
            (line("up", outcome="success"), 2),
            (line("down", outcome="skipped"), 1),
            (line("empty", outcome="skipped"), 1),
        ]
        assert telemetry.points("fallback_exec.attempt.duration") == [
            (line("down"), 0.25),
            (line("odd"), 0.5),
            (line("empty"), 0.25),
            (line("up"), 0.5),
        ]
        assert telemetry.points("fallback_exec.cooldowns") == [(line("down"), 1), (line("empty"), 1)]

    def test_have_units_and_buckets(self, telemetry: Telemetry) -> None:
        """Units are OpenTelemetry's; the buckets reach from a twentieth of a second to ten minutes."""
        tracker = BreakerCooldownTracker(fail_max=1)
        listener = telemetry.listener()
        listener.observe(tracker)
        with pytest.raises(FallbackExecError):
            execute(vendors("grok"), fallback(listener, cooldown=tracker), fail)
        metrics = telemetry.metrics()
        assert {name: metric.unit for name, metric in metrics.items()} == {
            "fallback_exec.executions": "{execution}",
            "fallback_exec.attempts": "{attempt}",
            "fallback_exec.attempt.duration": "s",
            "fallback_exec.cooldowns": "{cooldown}",
            "fallback_exec.provider.state": "1",
            "fallback_exec.cooldown.remaining": "s",
        }
        assert all(metric.description for metric in metrics.values())
        (point,) = metrics["fallback_exec.attempt.duration"].data.data_points
        assert point.explicit_bounds == BUCKETS  # of Prometheus's metric, whose meaning is the same

    def test_bound_the_providers(self, telemetry: Telemetry) -> None:
        """A hundred have values of their own, however many come; in spans each has its name."""
        listener = telemetry.listener()
        for number in range(102):
            listener(attempt_succeeded(f"p{number}"))
        listener(attempt_succeeded("p0"))
        listener(execution_finished("0" * 32))
        points = {
            facts["provider.name"]: value for facts, value in telemetry.points("fallback_exec.attempts")
        }
        assert points == {f"p{number}": 1 for number in range(1, 100)} | {"p0": 2, "other": 2}
        assert told(telemetry.span)[-2][1]["provider.name"] == "p101"

    @pytest.mark.parametrize(
        ("names", "allowed"),
        [
            (["new", "newer"], [["new", None], [None, "newer"]]),
            (["new", "new"], [["new", "new"]]),
        ],
        ids=["two names", "one name"],
    )
    def test_bound_the_providers_of_threads(
        self, telemetry: Telemetry, names: list[str], allowed: list[list[str | None]]
    ) -> None:
        """Of two threads that bring the hundredth name at once, one does; both may bring the same."""
        listener = telemetry.listener()
        for number in range(99):
            listener(attempt_succeeded(f"p{number}"))
        both = threading.Barrier(2)

        def meet(text: str) -> str:
            both.wait(PATIENCE)
            return text

        listener._names._redact = meet
        assert in_threads(2, lambda number: listener._names.bounded(names[number])) in allowed

    def test_mask_each_name_once(self, telemetry: Telemetry) -> None:
        """That of a provider which is called often, or has no value of its own, costs no masking."""
        masked: list[str] = []

        def redact(text: str) -> str:
            masked.append(text)
            return text

        names = telemetry.listener(redact=redact)._names
        for number in [*range(101), *range(101)]:
            names.bounded(f"p{number}")
        assert masked == [f"p{number}" for number in range(100)]

    def test_go_to_the_trace_of_the_execution(self, telemetry: Telemetry) -> None:
        """Exemplars lead from a metric to the trace in which it was counted."""
        with telemetry.parent() as view:
            execute(vendors("grok"), fallback(telemetry.listener()), replying(grok="fox"))
        (point,) = telemetry.metrics()["fallback_exec.attempt.duration"].data.data_points
        (exemplar,) = point.exemplars
        assert format_trace_id(exemplar.trace_id) == format_trace_id(view.get_span_context().trace_id)


class TestObserve:
    """A tracker's providers, as they are when metrics are read."""

    def states(self, telemetry: Telemetry) -> dict[tuple[str, str], list[str]]:
        """Return the states that are 1, by executor and provider."""
        found: dict[tuple[str, str], list[str]] = {}
        for facts, value in telemetry.points("fallback_exec.provider.state"):
            states = found.setdefault((facts["executor"], facts["provider.name"]), [])
            if value:
                states.append(facts["provider.state"])
        return found

    def test_shows_states_and_cooldowns(self, telemetry: Telemetry, clock: FrozenDateTimeFactory) -> None:
        """One of three states is 1, and the cooldown counts down with the clock, without an event."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        telemetry.listener().observe(tracker)
        assert telemetry.points("fallback_exec.provider.state") == []
        tracker.record_failure("grok", VendorError())
        tracker.record_success("gemini")

        def remaining() -> dict[str, float]:
            points = telemetry.points("fallback_exec.cooldown.remaining")
            return {facts["provider.name"]: value for facts, value in points}

        assert len(telemetry.points("fallback_exec.provider.state")) == 6
        assert self.states(telemetry) == {("default", "grok"): ["open"], ("default", "gemini"): ["closed"]}
        assert remaining() == {"grok": 30.0, "gemini": 0.0}
        clock.tick(29)
        assert remaining() == {"grok": 1.0, "gemini": 0.0}
        clock.tick(1)
        assert self.states(telemetry)["default", "grok"] == ["half-open"]
        assert remaining() == {"grok": 0.0, "gemini": 0.0}

    def test_shows_the_trackers_of_several_listeners(self, telemetry: Telemetry) -> None:
        """Each is shown by its listener's executor; twice makes no difference."""
        images, texts = BreakerCooldownTracker(), BreakerCooldownTracker(fail_max=1)
        one, other = telemetry.listener(executor="images"), telemetry.listener(executor="texts")
        for listener, tracker in [(one, images), (other, texts), (one, images)]:
            listener.observe(tracker)
        images.record_success("grok")
        texts.record_failure("grok", VendorError())
        assert len(telemetry.points("fallback_exec.cooldown.remaining")) == 2
        assert self.states(telemetry) == {("images", "grok"): ["closed"], ("texts", "grok"): ["open"]}

    def test_makes_its_gauges_once(self) -> None:
        """However many trackers are observed: before an SDK is set up, the API would keep all of them."""
        made: list[str] = []

        class Meter(NoOpMeter):
            def create_observable_gauge(self, name: str, *rest: Any) -> ObservableGauge:
                made.append(name)
                return super().create_observable_gauge(name, *rest)

        class Provider(NoOpMeterProvider):
            def get_meter(self, name: str, *rest: Any) -> Meter:
                return Meter(name)

        listener = OpenTelemetryListener(meter_provider=Provider())
        trackers = [BreakerCooldownTracker(), BreakerCooldownTracker()]
        for tracker in trackers:
            listener.observe(tracker)
        assert made == ["fallback_exec.provider.state", "fallback_exec.cooldown.remaining"]

    def test_keeps_no_tracker_alive(self, telemetry: Telemetry, no_collector: None) -> None:
        """A tracker that nobody uses any more is gone, and not shown."""
        listener = telemetry.listener()
        tracker = BreakerCooldownTracker()
        listener.observe(tracker)
        tracker.record_success("grok")
        assert len(telemetry.points("fallback_exec.cooldown.remaining")) == 1
        del tracker
        gc.collect()
        assert telemetry.points("fallback_exec.cooldown.remaining") == []

    def test_passes_over_a_tracker_that_dies_meanwhile(self, telemetry: Telemetry) -> None:
        """One that dies while metrics are read ends nothing: those after it are shown."""
        listener = telemetry.listener()
        first, dying, last = BreakerCooldownTracker(), [BreakerCooldownTracker()], BreakerCooldownTracker()
        for name, tracker in zip(["grok", "mistral", "gemini"], [first, *dying, last], strict=True):
            tracker.record_success(name)
            listener.observe(tracker)
        del tracker
        snapshot = first.snapshot

        def last_look() -> Any:
            dying.clear()
            gc.collect()
            return snapshot()

        first.snapshot = last_look  # type: ignore[method-assign]  # the moment is forced
        assert [provider for _, provider in self.states(telemetry)] == ["grok", "gemini"]

    def test_leaves_out_who_has_no_value_of_its_own(self, telemetry: Telemetry) -> None:
        """Beyond the first hundred: the cooldowns of several are no cooldown."""
        tracker = BreakerCooldownTracker()
        telemetry.listener().observe(tracker)
        for number in range(101):
            tracker.record_success(f"p{number}")
        points = telemetry.points("fallback_exec.cooldown.remaining")
        assert [facts["provider.name"] for facts, _ in points] == [f"p{n}" for n in range(100)]

    def test_may_be_asked_for_without_an_sdk(self, no_collector: None) -> None:
        """Nobody reads it then, and nothing is kept alive for it."""
        tracker = BreakerCooldownTracker()
        OpenTelemetryListener().observe(tracker)
        reference = weakref.ref(tracker)
        del tracker
        assert reference() is None

    def test_asks_for_a_breaker_tracker(self, telemetry: Telemetry) -> None:
        """Another tracker has no snapshot to show."""
        with pytest.raises(InvalidConfigError, match="tracker must be a BreakerCooldownTracker"):
            telemetry.listener().observe(object())  # type: ignore[arg-type]  # the mistake


class TestSettings:
    """What a listener is built with."""

    @pytest.mark.parametrize(
        ("setting", "value", "rule"),
        [
            ("tracer_provider", object(), "must be an OpenTelemetry TracerProvider or None"),
            ("tracer_provider", TracerProvider, "must be an OpenTelemetry TracerProvider or None"),
            ("meter_provider", NoOpTracerProvider(), "must be an OpenTelemetry MeterProvider or None"),
            ("executor", "", "must be a non-empty string"),
            ("redact", None, "must be callable"),
        ],
    )
    def test_are_checked(self, setting: str, value: object, rule: str) -> None:
        """A mistake shows where it is made."""
        with pytest.raises(InvalidConfigError, match=f"{setting} {rule}") as caught:
            OpenTelemetryListener(**{setting: value})  # type: ignore[arg-type]  # the mistakes
        assert caught.value.setting == setting

    def test_are_shown(self) -> None:
        """The executor is told by `repr`, without credentials."""
        assert repr(OpenTelemetryListener(executor="images")) == "OpenTelemetryListener(executor='images')"
        assert SECRET not in repr(OpenTelemetryListener(executor=URL))

    def test_do_not_travel(self) -> None:
        """What it is under way with belongs to one process."""
        with pytest.raises(TypeError, match="build one in each process"):
            OpenTelemetryListener().__reduce__()


class TestImport:
    """The extra."""

    def test_is_named_where_it_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without opentelemetry-api, it is said what to install."""
        monkeypatch.setitem(sys.modules, "opentelemetry", None)
        with pytest.raises(ImportError, match=r'pip install "fallback-exec\[opentelemetry\]"') as caught:
            runpy.run_path(fallback_exec.opentelemetry.__file__)
        assert isinstance(caught.value.__cause__, ImportError)

    def test_needs_no_sdk(self) -> None:
        """The API is enough: the application chooses the SDK."""
        program = (
            "import sys; sys.modules['opentelemetry.sdk'] = None\n"
            "from fallback_exec import ExecuteConfig, NamedProvider, execute\n"
            "from fallback_exec.opentelemetry import OpenTelemetryListener\n"
            "config = ExecuteConfig(listeners=[OpenTelemetryListener()])\n"
            "print(execute([NamedProvider('grok', None)], config, lambda provider: 'fox').response)"
        )
        assert output_of(program) == "fox\n"
