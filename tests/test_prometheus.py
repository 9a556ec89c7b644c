"""Metrics for Prometheus."""

from __future__ import annotations

import copy
import gc
import importlib.util
import os
import pickle
import sys
import tracemalloc
import weakref
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import prometheus_client
import pytest
from freezegun.api import FrozenDateTimeFactory
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import fallback_exec.prometheus
from fallback_exec import (
    BreakerCooldownTracker,
    CooldownStatus,
    ExecuteConfig,
    InvalidConfigError,
    Outcome,
    ProviderFailedError,
    Verdict,
    execute,
)
from fallback_exec.events import (
    AttemptFailed,
    AttemptSucceeded,
    CooldownEnded,
    CooldownStarted,
    Event,
    ExecutionFinished,
    ExecutionOutcome,
    ProviderSkipped,
)
from fallback_exec.prometheus import PrometheusListener
from fallback_exec.prometheus.labels import MAX_LENGTH, MAX_NAMES, OTHER, LabelValues
from fallback_exec.prometheus.metrics import BUCKETS
from helpers import (
    VendorError,
    fail,
    forked_child_finishes,
    held,
    in_thread,
    in_threads,
    meddle_at_each_line,
    replying,
    vendors,
)
from scrapes import START, event, found, scrape

EXECUTIONS = "fallback_exec_executions_total"
ATTEMPTS = "fallback_exec_attempts_total"
DURATION = "fallback_exec_attempt_duration_seconds"
COOLDOWNS = "fallback_exec_cooldowns_total"
STATE = "fallback_exec_provider_state"
REMAINING = "fallback_exec_cooldown_remaining_seconds"
UNTIL = "fallback_exec_cooldown_until_timestamp_seconds"


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own."""
    return CollectorRegistry()


def succeeded(provider: str = "a", latency: float = 0.0) -> AttemptSucceeded:
    """Return the event of an answer."""
    return event(
        AttemptSucceeded, provider=provider, latency=latency, outcome=Outcome.SUCCESS, was_terminus=False
    )


def finished(latency: float, *, seconds_later: float, outcome: str = "success") -> ExecutionFinished:
    """Return the event of an execution that has taken so long."""
    time = START + timedelta(seconds=seconds_later)
    return event(ExecutionFinished, time=time, latency=latency, outcome=ExecutionOutcome(outcome))


def failed(latency: float) -> AttemptFailed:
    """Return the event of a failure."""
    return event(
        AttemptFailed,
        latency=latency,
        error=VendorError(),
        outcome=Outcome.FAILURE,
        was_terminus=False,
        cooldown_remaining=None,
    )


def skipped(seconds: float, provider: str = "a") -> ProviderSkipped:
    """Return the event of a skip."""
    return event(ProviderSkipped, provider=provider, attempt_num=None, cooldown_remaining=seconds)


class TestCounting:
    """What listeners count of executions."""

    def test_a_chain_that_falls_back(self, registry: CollectorRegistry) -> None:
        """For `[a, z]` in which a fails and trips, and then is passed over, each attempt counts once."""
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(
            strategy="fallback", cooldown=tracker, listeners=[PrometheusListener(registry, "images")]
        )
        for _ in range(3):
            execute(vendors("a", "z"), config, replying(a=VendorError(), z="answer"))
        assert found(registry, EXECUTIONS) == {'{executor="images",outcome="success"}': 3}
        assert found(registry, ATTEMPTS) == {
            '{executor="images",outcome="failure",provider="a"}': 1,
            '{executor="images",outcome="skipped",provider="a"}': 2,
            '{executor="images",outcome="success",provider="z"}': 3,
        }
        assert found(registry, COOLDOWNS) == {'{executor="images",provider="a"}': 1}
        assert found(registry, f"{DURATION}_count") == {
            '{executor="images",provider="a"}': 1,
            '{executor="images",provider="z"}': 3,
        }

    def test_rejected_and_neutral_attempts(self, registry: CollectorRegistry) -> None:
        """An answer that is rejected, and an error that is not counted, have outcomes of their own."""
        config = ExecuteConfig(
            strategy="fallback",
            classify=lambda error: Verdict.neutral(),
            accept=lambda answer: answer == "good",
            listeners=[PrometheusListener(registry)],
        )
        execute(vendors("a", "b", "c"), config, replying(a="bad", b=VendorError(), c="good"))
        assert found(registry, ATTEMPTS) == {
            '{executor="default",outcome="rejected",provider="a"}': 1,
            '{executor="default",outcome="neutral",provider="b"}': 1,
            '{executor="default",outcome="success",provider="c"}': 1,
        }

    def test_an_execution_that_fails(self, registry: CollectorRegistry) -> None:
        """It counts by how it ends."""
        config = ExecuteConfig(listeners=[PrometheusListener(registry)])
        with pytest.raises(ProviderFailedError):
            execute(vendors("a"), config, fail)
        assert found(registry, EXECUTIONS) == {'{executor="default",outcome="failed"}': 1}

    @pytest.mark.parametrize("outcome", ExecutionOutcome)
    def test_each_end_of_an_execution(self, registry: CollectorRegistry, outcome: ExecutionOutcome) -> None:
        """Every outcome has a series of its own; nobody need have answered."""
        listener = PrometheusListener(registry)
        listener(event(ExecutionFinished, provider=None, outcome=outcome))
        assert found(registry, EXECUTIONS) == {f'{{executor="default",outcome="{outcome}"}}': 1}

    def test_series_are_there_before_anything_happens(self, registry: CollectorRegistry) -> None:
        """Executions' at once, a provider's with its first event: the first failure is an increase."""
        listener = PrometheusListener(registry)
        assert scrape(registry) == {
            f'{EXECUTIONS}{{executor="default",outcome="{outcome}"}}': 0 for outcome in ExecutionOutcome
        }
        listener(skipped(1.0))
        attempts = {series: value for series, value in scrape(registry).items() if ATTEMPTS in series}
        assert attempts == {
            f'{ATTEMPTS}{{executor="default",outcome="{outcome}",provider="a"}}': outcome == "skipped"
            for outcome in Outcome
        }
        assert f'{COOLDOWNS}{{executor="default",provider="a"}}' in scrape(registry)

    def test_how_long_attempts_take(self, registry: CollectorRegistry) -> None:
        """Answers and failures are in the bucket whose limit they do not exceed; skips are in none."""
        listener = PrometheusListener(registry)
        for each in [succeeded(latency=0.05), failed(latency=29.0), failed(latency=601.0), skipped(3.0)]:
            listener(each)
        shown = scrape(registry)
        buckets = {
            limit: shown[f'{DURATION}_bucket{{executor="default",le="{limit}",provider="a"}}']
            for limit in ("0.05", "20.0", "30.0", "600.0", "+Inf")
        }
        assert buckets == {"0.05": 1, "20.0": 1, "30.0": 2, "600.0": 2, "+Inf": 3}
        assert found(registry, f"{DURATION}_sum") == {'{executor="default",provider="a"}': 630.05}

    def test_the_limits_of_the_buckets(self) -> None:
        """They are a promise: quantiles over two releases need the same ones."""
        assert BUCKETS == (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)

    def test_an_event_of_a_later_version_counts_nothing(self, registry: CollectorRegistry) -> None:
        """Nor does an event that no metric is for."""
        listener = PrometheusListener(registry)
        listener(event(CooldownEnded))
        before = scrape(registry)
        listener(event(Event))
        listener(event(Event, provider=None))
        assert scrape(registry) == before
        assert not found(registry, ATTEMPTS)

    def test_many_threads(self, registry: CollectorRegistry, fast_switching: None) -> None:
        """None of their events is lost, whoever meets the provider first."""

        def work(number: int) -> None:
            listener = PrometheusListener(registry, f"{number % 2}")
            for _ in range(200):
                listener(succeeded())

        in_threads(8, work)
        assert found(registry, ATTEMPTS) == {
            '{executor="0",outcome="success",provider="a"}': 800,
            '{executor="1",outcome="success",provider="a"}': 800,
        }

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
    def test_a_forked_child_counts(self, registry: CollectorRegistry) -> None:
        """A lock of ours that a thread of the parent's held is no hindrance."""
        listener = PrometheusListener(registry)
        with held(listener._metrics.providers._lock):
            assert forked_child_finishes(lambda: listener(succeeded()))
            listener._metrics.providers._renew_after_fork()  # as a child does
            listener(succeeded())


class TestRegistries:
    """Where the metrics are."""

    def test_is_that_of_prometheus_client_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """None is the registry that exporters show by default."""
        registry = CollectorRegistry()
        monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
        PrometheusListener()(succeeded())
        assert found(registry, ATTEMPTS) == {'{executor="default",outcome="success",provider="a"}': 1}

    def test_listeners_share_its_metrics(self, registry: CollectorRegistry) -> None:
        """Each counts for its executor, two of the same executor count together."""
        for executor in ("images", "texts", "images"):
            PrometheusListener(registry, executor)(succeeded())
        assert found(registry, ATTEMPTS) == {
            '{executor="images",outcome="success",provider="a"}': 2,
            '{executor="texts",outcome="success",provider="a"}': 1,
        }

    def test_each_has_its_own(self, registry: CollectorRegistry) -> None:
        """What is counted in one does not show in another."""
        PrometheusListener(registry)(succeeded())
        other = CollectorRegistry()
        PrometheusListener(other)
        assert not found(other, ATTEMPTS)

    @pytest.mark.parametrize("name", [EXECUTIONS, COOLDOWNS, STATE, UNTIL])
    def test_a_metric_of_somebody_elses(self, registry: CollectorRegistry, name: str) -> None:
        """It is a clear error, and nothing is left registered that would be in the way when it is gone."""
        foreign = Counter(name, "Not ours.", registry=registry) if "total" in name else None
        foreign_gauge = None if foreign else Gauge(name, "Not ours.", registry=registry)
        shown = generate_latest(registry)
        with pytest.raises(InvalidConfigError, match="must have no metric of somebody else's") as caught:
            PrometheusListener(registry)
        assert name.removesuffix("_total") in str(caught.value)
        assert isinstance(caught.value.__cause__, ValueError)
        assert generate_latest(registry) == shown
        registry.unregister(foreign or foreign_gauge)  # type: ignore[arg-type]  # one of them is there
        PrometheusListener(registry)(succeeded())
        assert found(registry, ATTEMPTS)

    def test_lives_no_longer_for_it(self, no_collector: None) -> None:
        """A registry that nobody uses any more goes, and its metrics with it."""
        registry = CollectorRegistry()
        metrics = weakref.ref(PrometheusListener(registry)._metrics)
        gone = weakref.ref(registry)
        del registry
        gc.collect()  # prometheus_client's own
        assert gone() is None
        assert metrics() is None

    def test_listeners_that_are_built_at_once(self, fast_switching: None) -> None:
        """One of them registers the metrics, and all use them."""
        for _ in range(20):
            registry = CollectorRegistry()
            in_threads(4, lambda _: PrometheusListener(registry)(succeeded()))  # noqa: B023  # run at once
            assert found(registry, ATTEMPTS) == {'{executor="default",outcome="success",provider="a"}': 4}

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
    def test_a_forked_child_builds_one(self) -> None:
        """A thread of the parent's that was about to build one is no hindrance."""
        from fallback_exec.prometheus import metrics

        with held(metrics._known._lock):
            assert forked_child_finishes(lambda: PrometheusListener(CollectorRegistry()))
            metrics._known._renew_after_fork()  # as a child does
            PrometheusListener(CollectorRegistry())


class TestArguments:
    """What a listener is built with, and what it is."""

    @pytest.mark.parametrize("registry", ["default", object(), CollectorRegistry])
    def test_a_registry_is_one(self, registry: object) -> None:
        """Or it is None."""
        with pytest.raises(InvalidConfigError, match="must be a CollectorRegistry or None") as caught:
            PrometheusListener(registry)  # type: ignore[arg-type]  # the point of the test
        assert caught.value.setting == "registry"

    @pytest.mark.parametrize("executor", ["", None, 1])
    def test_an_executor_is_a_name(self, registry: CollectorRegistry, executor: object) -> None:
        """It cannot be empty, and a refused one leaves nothing behind."""
        with pytest.raises(InvalidConfigError, match="must be a non-empty string") as caught:
            PrometheusListener(registry, executor)  # type: ignore[arg-type]  # the point of the test
        assert caught.value.setting == "executor"
        assert scrape(registry) == {}

    def test_a_tracker_has_snapshots(self, registry: CollectorRegistry) -> None:
        """Others have nothing to show."""
        with pytest.raises(InvalidConfigError, match="must be a BreakerCooldownTracker") as caught:
            PrometheusListener(registry).watch("tracker")  # type: ignore[arg-type]  # the point of the test
        assert caught.value.setting == "tracker"

    def test_shows_whose_it_is(self, registry: CollectorRegistry) -> None:
        """In one line, without credentials."""
        listener = PrometheusListener(registry, "images\nhttps://me:secret@host")
        assert repr(listener) == (r"PrometheusListener(executor='images\\nhttps://[redacted]@host')")

    @pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_does_not_travel(self, registry: CollectorRegistry, way: object) -> None:
        """Its counts would not: the error says what to do instead."""
        with pytest.raises(TypeError, match="build one in every process"):
            way(PrometheusListener(registry))  # type: ignore[operator]  # all of them are called so

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error of the import names it, and keeps what was wrong."""
        path = fallback_exec.prometheus.__file__
        spec = importlib.util.spec_from_file_location("fallback_exec.prometheus", path)
        assert spec is not None
        assert spec.loader is not None
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
        with pytest.raises(ImportError) as caught:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        assert str(caught.value) == (
            'fallback_exec.prometheus needs prometheus_client: pip install "fallback-exec[prometheus]"'
        )
        assert caught.value.name == "prometheus_client"
        assert isinstance(caught.value.__cause__, ImportError)


class TestLabels:
    """Values of labels, whatever providers call themselves."""

    def test_limits(self) -> None:
        """They are those that the docs tell of."""
        assert (MAX_NAMES, MAX_LENGTH) == (100, 100)

    def test_ten_thousand_names(self, registry: CollectorRegistry) -> None:
        """The first hundred have series of their own; neither series nor memory grow with the others."""
        listener = PrometheusListener(registry)

        def meet(numbers: range) -> None:
            for number in numbers:
                listener(succeeded(f"provider-{number}"))

        meet(range(MAX_NAMES + 1))
        before = scrape(registry)
        tracemalloc.start()
        try:
            meet(range(MAX_NAMES + 1, 10_000))
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        after = scrape(registry)
        assert after.keys() == before.keys()
        assert grown < 10_000  # bytes: one for a name would be more
        counts = found(registry, ATTEMPTS)
        assert len(counts) == MAX_NAMES + 1
        assert counts['{executor="default",outcome="success",provider="provider-99"}'] == 1
        assert counts['{executor="default",outcome="success",provider="other"}'] == 10_000 - MAX_NAMES

    def test_are_the_same_in_all_metrics(self, registry: CollectorRegistry) -> None:
        """Who has series of its own in one has them in all, with every listener and at each scrape."""
        first, second = PrometheusListener(registry, "1"), PrometheusListener(registry, "2")
        tracker = BreakerCooldownTracker()
        first.watch(tracker)
        for number in range(MAX_NAMES):
            first(succeeded(f"early-{number}"))
        for name in ("late", "early-7"):
            second(succeeded(name))
            tracker.cool_down(name)
        assert found(registry, ATTEMPTS).keys() >= {
            '{executor="2",outcome="success",provider="other"}',
            '{executor="2",outcome="success",provider="early-7"}',
        }
        assert found(registry, STATE) == {
            '{provider="other",state="open"}': 1,
            '{provider="early-7",state="open"}': 1,
        }

    def test_executors_are_as_many(self, registry: CollectorRegistry) -> None:
        """One listener for each request, by mistake, fills no memory with series."""
        for number in range(MAX_NAMES + 20):
            PrometheusListener(registry, f"{number}")(succeeded())
        counts = found(registry, ATTEMPTS)
        assert len(counts) == MAX_NAMES + 1
        assert counts['{executor="other",outcome="success",provider="a"}'] == 20

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ('say "hi"\\', 'say "hi"\\'),
            ("two\nlines", r"two\nlines"),
            ("{le}=1 # HELP", "{le}=1 # HELP"),
            ("\ud800half", r"\ud800half"),
            ("Größe 図", "Größe 図"),
            ("https://me:secret@vendor.test/v1", "https://[redacted]@vendor.test/v1"),
            ("x" * MAX_LENGTH, "x" * MAX_LENGTH),
            ("x" * (MAX_LENGTH + 1), "x" * (MAX_LENGTH - 1) + "…"),
            ("y" * 1_000_000, " [cut: 1000000 characters]"),
        ],
    )
    def test_odd_names(self, registry: CollectorRegistry, name: str, value: str) -> None:
        """A parser of scrapes reads one value of bounded length, and no credential."""
        listener = PrometheusListener(registry, name)
        listener(succeeded(name))
        (family,) = [
            each
            for each in text_string_to_metric_families(generate_latest(registry).decode())
            if each.name == ATTEMPTS.removesuffix("_total")
        ]
        labels = [sample.labels for sample in family.samples if sample.value == 1]
        assert labels == [{"executor": value, "provider": value, "outcome": "success"}]

    def test_a_name_that_is_met_twice_at_once(self) -> None:
        """It has one value, also where it takes the last place."""

        def scene() -> tuple[Callable[[], str], Callable[[], str]]:
            values = with_one_place()
            return lambda: values["late"], lambda: values["late"]

        assert set(meddle_at_each_line(scene)) == {"late"}

    def test_the_last_place_is_taken_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever comes second to it while its value is made has none."""
        values = with_one_place()

        def name_text(name: str) -> str:
            monkeypatch.undo()
            assert in_thread(lambda: values["first"]) == "first"
            return name

        monkeypatch.setattr("fallback_exec.prometheus.labels.name_text", name_text)
        assert values["second"] == OTHER
        assert values["first"] == "first"


def with_one_place() -> LabelValues:
    """Return values of which one more may be of its own."""
    values = LabelValues()
    for number in range(MAX_NAMES - 1):
        values[f"{number}"]
    return values


class TestTrackers:
    """What a scrape shows of trackers."""

    def test_a_cooldown_from_its_start_to_its_end(
        self, registry: CollectorRegistry, clock: FrozenDateTimeFactory
    ) -> None:
        """One of three states is 1; the rest of the cooldown is that of the moment of the scrape."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        PrometheusListener(registry).watch(tracker)
        assert not found(registry, STATE)

        tracker.record_success("a")
        assert states(registry) == {"closed": 1, "half-open": 0, "open": 0}
        assert cooldown(registry) == (0, 0)

        tracker.record_failure("a", VendorError())
        assert states(registry) == {"closed": 0, "half-open": 0, "open": 1}
        assert cooldown(registry) == (30, START.timestamp() + 30)

        clock.tick(29.5)
        assert states(registry) == {"closed": 0, "half-open": 0, "open": 1}
        assert cooldown(registry) == (0.5, START.timestamp() + 30)

        clock.tick(0.5)
        assert states(registry) == {"closed": 0, "half-open": 1, "open": 0}
        assert cooldown(registry) == (0, 0)

        tracker.record_success("a")
        assert states(registry) == {"closed": 1, "half-open": 0, "open": 0}

    def test_what_is_done_by_hand(self, registry: CollectorRegistry, clock: FrozenDateTimeFactory) -> None:
        """It shows at the next scrape, though it is no event."""
        tracker = BreakerCooldownTracker()
        PrometheusListener(registry).watch(tracker)
        tracker.cool_down("a", 300)
        assert cooldown(registry) == (300, START.timestamp() + 300)
        tracker.reset("a")
        assert cooldown(registry) == (0, 0)

    def test_the_end_of_a_cooldown_is_rounded(
        self, registry: CollectorRegistry, clock: FrozenDateTimeFactory
    ) -> None:
        """To milliseconds: it is the same at each scrape, whenever the clock was read."""
        tracker = BreakerCooldownTracker()
        PrometheusListener(registry).watch(tracker)
        tracker.cool_down("a", 1.23456)
        assert cooldown(registry) == (1.23456, START.timestamp() + 1.235)

    def test_several_that_know_a_provider(
        self, registry: CollectorRegistry, clock: FrozenDateTimeFactory
    ) -> None:
        """The longest cooldown is shown, once: a series that stands twice would cost the whole scrape."""
        trackers = [BreakerCooldownTracker() for _ in range(4)]
        for executor, tracker in enumerate(trackers):
            PrometheusListener(registry, f"{executor}").watch(tracker)
        trackers[0].record_success("a")
        trackers[1].cool_down("a", 50)
        trackers[2].cool_down("a", 70)
        trackers[3].cool_down("a", 10)
        assert list(scrape(registry)).count(f'{REMAINING}{{provider="a"}}') == 1
        assert generate_latest(registry).count(REMAINING.encode() + b"{") == 1
        assert cooldown(registry) == (70, START.timestamp() + 70)

        clock.tick(70)
        trackers[0].record_success("a")
        assert states(registry) == {"closed": 0, "half-open": 1, "open": 0}

    def test_more_providers_than_there_are_series_for(
        self, registry: CollectorRegistry, clock: FrozenDateTimeFactory
    ) -> None:
        """Of those that share one, the longest cooldown is shown."""
        tracker = BreakerCooldownTracker()
        PrometheusListener(registry).watch(tracker)
        for number in range(MAX_NAMES):
            tracker.record_success(f"{number}")
        for name, seconds in {"x": 20.0, "y": 40.0, "z": 30.0}.items():
            tracker.cool_down(name, seconds)
        assert found(registry, REMAINING) == {'{provider="other"}': 40}

    def test_one_that_is_gone(self, registry: CollectorRegistry, no_collector: None) -> None:
        """A tracker is shown, and kept, for no longer than it is in use."""
        tracker = BreakerCooldownTracker()
        PrometheusListener(registry).watch(tracker)
        tracker.record_success("a")
        assert found(registry, STATE)
        del tracker
        assert not found(registry, STATE)

    def test_the_same_one_twice(self, registry: CollectorRegistry) -> None:
        """It is shown once."""
        tracker = BreakerCooldownTracker()
        PrometheusListener(registry).watch(tracker)
        PrometheusListener(registry, "texts").watch(tracker)
        tracker.record_success("a")
        assert found(registry, STATE) == {'{provider="a",state="closed"}': 1}

    def test_one_that_fails(self, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture) -> None:
        """The scrape has all that is not its, and the log one line, however often it is asked."""

        class Broken(BreakerCooldownTracker):
            def snapshot(self) -> dict[str, CooldownStatus]:
                raise VendorError("no snapshot, token=abcdefgh")

        listener = PrometheusListener(registry)
        trackers = [Broken(), BreakerCooldownTracker(), Broken()]
        for tracker in trackers:
            listener.watch(tracker)
        trackers[1].record_success("a")
        for _ in range(2):
            assert found(registry, STATE) == {'{provider="a",state="closed"}': 1}
        assert caplog.messages == ["cooldowns not shown to Prometheus error=no snapshot, token=[redacted]"]

    def test_a_registry_that_describes(self) -> None:
        """Registries that ask for the names of metrics learn ours before there is a tracker."""
        registry = CollectorRegistry(auto_describe=True)
        PrometheusListener(registry)
        with pytest.raises(ValueError, match=REMAINING):
            Gauge(REMAINING, "Not ours.", registry=registry)


def states(registry: CollectorRegistry) -> dict[str, float]:
    """Return what is shown of the states of a."""
    shown = scrape(registry)
    return {
        state: shown[f'{STATE}{{provider="a",state="{state}"}}'] for state in ("closed", "half-open", "open")
    }


def cooldown(registry: CollectorRegistry) -> tuple[float, float]:
    """Return what is shown of the cooldown of a: how long it lasts, and until when."""
    shown = scrape(registry)
    return shown[f'{REMAINING}{{provider="a"}}'], shown[f'{UNTIL}{{provider="a"}}']


class TestEventGauges:
    """What events tell of states where no collector is asked."""

    @pytest.fixture
    def listener(
        self, registry: CollectorRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> PrometheusListener:
        """A listener of a process among many. The values stay in memory: that was decided at the import."""
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        return PrometheusListener(registry)

    def test_a_cooldown_from_its_start_to_its_end(
        self, registry: CollectorRegistry, listener: PrometheusListener
    ) -> None:
        """Its end is told as a time, which no later scrape makes wrong."""
        listener(finished(0.0, seconds_later=0.0))
        assert states(registry) == {"closed": 1, "half-open": 0, "open": 0}
        assert f'{UNTIL}{{provider="a"}}' in scrape(registry)

        listener(event(CooldownStarted, error=VendorError(), cooldown_remaining=30.0))
        assert states(registry) == {"closed": 0, "half-open": 0, "open": 1}
        assert found(registry, UNTIL) == {'{provider="a"}': START.timestamp() + 30}

        listener(skipped(45.0))  # it has been made longer by hand
        assert found(registry, UNTIL) == {'{provider="a"}': START.timestamp() + 45}

        listener(skipped(0.0))  # somebody probes
        assert states(registry) == {"closed": 0, "half-open": 1, "open": 0}
        assert not found(registry, UNTIL)

        listener(event(CooldownStarted, error=VendorError(), cooldown_remaining=60.0))
        listener(event(CooldownEnded))
        assert states(registry) == {"closed": 1, "half-open": 0, "open": 0}
        assert not found(registry, UNTIL)

    @pytest.mark.parametrize("latency", [5.0, 6.0])
    def test_an_answer_from_before_ends_no_cooldown(
        self, registry: CollectorRegistry, listener: PrometheusListener, latency: float
    ) -> None:
        """The call may have been under way when the cooldown started, as that of a long stream is."""
        listener(skipped(30.0))
        listener(finished(latency, seconds_later=5.0))
        assert states(registry) == {"closed": 0, "half-open": 0, "open": 1}
        assert found(registry, UNTIL) == {'{provider="a"}': START.timestamp() + 30}

    def test_an_answer_from_after_it_ends_one(
        self, registry: CollectorRegistry, listener: PrometheusListener
    ) -> None:
        """Nobody would have called: the cooldown was ended by hand, or by another process."""
        listener(skipped(30.0))
        listener(finished(5.0, seconds_later=5.1))
        assert states(registry) == {"closed": 1, "half-open": 0, "open": 0}
        assert not found(registry, UNTIL)

    @pytest.mark.parametrize("outcome", ["failed", "aborted", "interrupted", "cancelled"])
    def test_who_has_not_answered(
        self, registry: CollectorRegistry, listener: PrometheusListener, outcome: str
    ) -> None:
        """It is not shown to be called as usual, though an execution ended with it."""
        listener(finished(0.0, seconds_later=0.0, outcome=outcome))
        assert not found(registry, STATE)
        listener(skipped(30.0))
        listener(finished(0.0, seconds_later=60.0, outcome=outcome))
        assert states(registry) == {"closed": 0, "half-open": 0, "open": 1}

    def test_an_answer_of_one_that_is_called_as_usual(
        self, registry: CollectorRegistry, listener: PrometheusListener
    ) -> None:
        """It is no news, and hides none that another process has."""
        listener(finished(0.0, seconds_later=0.0))
        listener._metrics.events._until.labels("a").set(7.0)  # type: ignore[union-attr]  # it is there
        listener(finished(0.0, seconds_later=60.0))
        assert found(registry, UNTIL) == {'{provider="a"}': 7.0}
        assert states(registry) == {"closed": 1, "half-open": 0, "open": 0}

    def test_threads_leave_no_mixture(self, listener: PrometheusListener) -> None:
        """While one of them sets the three states, no other one can."""
        gauges = listener._metrics.events
        assert gauges is not None
        lock = gauges._lock
        may_enter = []

        class Watched(Gauge):
            def set(self, value: float) -> None:
                may_enter.append(in_thread(lambda: lock.acquire(blocking=False)))

        listener(skipped(30.0))
        shown = gauges._shown["a"]
        shown.states = [(state, Watched("state", "Watched.", registry=None)) for state, _ in shown.states]
        listener(event(CooldownEnded))
        assert may_enter == [False] * 3

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
    def test_a_forked_child_shows(self, listener: PrometheusListener) -> None:
        """A lock that a thread of the parent's held is no hindrance."""
        gauges = listener._metrics.events
        assert gauges is not None
        with held(gauges._lock):
            assert forked_child_finishes(lambda: listener(skipped(30.0)))
            gauges._renew_after_fork()  # as a child does
            listener(skipped(30.0))

    def test_events_of_real_executions(
        self, registry: CollectorRegistry, listener: PrometheusListener, clock: FrozenDateTimeFactory
    ) -> None:
        """They say what the tracker does."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, listeners=[listener])

        def ask(a: object) -> None:
            execute(vendors("a", "z"), config, replying(a=a, z="answer"))

        ask(VendorError())
        clock.tick(10)
        ask("answer")
        assert found(registry, STATE) == {
            '{provider="a",state="open"}': 1,
            '{provider="z",state="closed"}': 1,
        }
        assert found(registry, UNTIL) == {'{provider="a"}': START.timestamp() + 30}
        clock.tick(20)
        ask("answer")
        assert states(registry) == {"closed": 1, "half-open": 0, "open": 0}
        assert not found(registry, UNTIL)

    def test_nothing_is_watched(self, registry: CollectorRegistry, listener: PrometheusListener) -> None:
        """A program is the same in one process and in many; there is no countdown."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("a")
        listener.watch(tracker)
        assert not found(registry, STATE)
        with pytest.raises(InvalidConfigError):
            listener.watch("tracker")  # type: ignore[arg-type]  # the point of the test
        Gauge(REMAINING, "Not ours.", registry=registry)
