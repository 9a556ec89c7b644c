"""The states of providers, as gauges: looked up at each scrape, or set as events tell of them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from datetime import datetime, timedelta
from logging import ERROR

from prometheus_client import Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from fallback_exec import _clock, _forks, _log
from fallback_exec.cooldown.breaker import BreakerCooldownTracker, CooldownStatus
from fallback_exec.events import (
    CooldownEnded,
    CooldownStarted,
    Event,
    ExecutionFinished,
    ExecutionOutcome,
    ProviderSkipped,
)
from fallback_exec.prometheus.labels import LabelValues

STATE = "fallback_exec_provider_state"
REMAINING = "fallback_exec_cooldown_remaining_seconds"
UNTIL = "fallback_exec_cooldown_until_timestamp_seconds"

STATE_TEXT = "1 for the state that the provider's breaker is in, 0 for the others."
REMAINING_TEXT = "Seconds until the provider's cooldown is over, 0 without one."
UNTIL_TEXT = "When the provider's cooldown is over, in Unix time; in the past or 0 without one."

#: The better state first.
STATES = ("closed", "half-open", "open")

_NOT_SHOWN = _log.Event(ERROR, "cooldowns not shown to Prometheus", "error")


class TrackerCollector(Collector):
    """Shows the snapshots of trackers, made as they are asked for. Safe for concurrent use.

    Where several of them know a provider, the longest cooldown is shown.

    Args:
        providers: The values of the label `provider`.
    """

    def __init__(self, providers: LabelValues) -> None:
        self._providers = providers
        # By identity, each for as long as somebody uses it.
        self._trackers: weakref.WeakValueDictionary[int, BreakerCooldownTracker] = (
            weakref.WeakValueDictionary()
        )
        # Written by one atomic operation of a dict, which decides who logs.
        self._has_failed: dict[str, object] = {}

    def watch(self, tracker: BreakerCooldownTracker) -> None:
        """Show this tracker's providers, too."""
        self._trackers[id(tracker)] = tracker

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without their samples, by which a registry knows the names."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics; never raises an `Exception`, which would cost the whole scrape."""
        families = states, remaining, until = self._families()
        now = _clock.now().timestamp()
        for provider, status in self._worst().items():
            for state in STATES:
                states.add_metric([provider, state], float(state == status.state))
            seconds = status.cooldown_remaining
            remaining.add_metric([provider], seconds)
            # The clock and the snapshot are read one after the other: no more digits are known.
            until.add_metric([provider], round(now + seconds, 3) if seconds else 0.0)
        return families

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(STATE, STATE_TEXT, labels=["provider", "state"]),
            GaugeMetricFamily(REMAINING, REMAINING_TEXT, labels=["provider"]),
            GaugeMetricFamily(UNTIL, UNTIL_TEXT, labels=["provider"]),
        )

    def _worst(self) -> dict[str, CooldownStatus]:
        """Return one status for each value of the label."""
        worst: dict[str, CooldownStatus] = {}
        for reference in self._trackers.valuerefs():
            tracker = reference()
            try:
                statuses = {} if tracker is None else tracker.snapshot()
                for name, status in statuses.items():
                    provider = self._providers[name]
                    worst[provider] = max(worst.get(provider, status), status, key=_severity)
            except Exception as error:  # of a subclass of the user's
                mark = object()
                if self._has_failed.setdefault("snapshot", mark) is mark:
                    _log.default_log.emit(_NOT_SHOWN, error)
        return worst


def _severity(status: CooldownStatus) -> tuple[int, float]:
    return STATES.index(status.state), status.cooldown_remaining


class EventGauges:
    """What events tell of states, for scrapes that answer for many processes: the newest news are shown.

    Safe for concurrent use.

    Attributes:
        metrics: The gauges, not yet registered.
    """

    def __init__(self) -> None:
        self._state = Gauge(
            STATE, STATE_TEXT, ["provider", "state"], registry=None, multiprocess_mode="livemostrecent"
        )
        self._until = Gauge(
            UNTIL, UNTIL_TEXT, ["provider"], registry=None, multiprocess_mode="livemostrecent"
        )
        self.metrics = (self._state, self._until)
        # By the value of the label: bounded, as those are. Read without a lock. Written, as the gauges are,
        # under `_lock`, so that no two threads leave a mixture of states.
        self._shown: dict[str, _Shown] = {}
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    def take(self, provider: str, event: Event) -> None:
        """Show what an event tells of a provider, by its label."""
        match event:
            case CooldownStarted() | ProviderSkipped():
                seconds = event.cooldown_remaining
                ends = event.time.timestamp() + seconds if seconds else 0.0
                # Passed over without any seconds left: somebody probes it.
                self._show(provider, event, "open" if seconds else "half-open", ends)
            case CooldownEnded():
                self._show(provider, event, "closed", 0.0)
            case ExecutionFinished(outcome=ExecutionOutcome.SUCCESS):
                shown = self._shown.get(provider)
                if shown is None:
                    # There from its first answer on; a cooldown that another process told of stays.
                    self._show(provider, event, "closed", None)
                elif shown.is_outdated_by(event):
                    self._show(provider, event, "closed", 0.0)

    def _show(self, provider: str, event: Event, state: str, ends: float | None) -> None:
        with self._lock:
            shown = self._shown.get(provider)
            if shown is None:
                states = [(each, self._state.labels(provider, each)) for each in STATES]
                shown = _Shown(states, self._until.labels(provider))
            shown.state, shown.at = state, event.time
            self._shown[provider] = shown
            for each, gauge in shown.states:
                gauge.set(float(each == state))
            if ends is not None:
                shown.until.set(ends)

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()


class _Shown:
    """What this process has shown of a provider last, when, and by which gauges."""

    __slots__ = ("at", "state", "states", "until")

    at: datetime
    state: str

    def __init__(self, states: list[tuple[str, Gauge]], until: Gauge) -> None:
        self.states = states
        self.until = until

    def is_outdated_by(self, event: ExecutionFinished) -> bool:
        """Return whether an execution has begun after the news of a cooldown, and was answered all the same.

        A hand has ended that, or another process, which is no event of this one; or the event that told of
        its end was overtaken by an older one.
        """
        return self.state != "closed" and event.time - timedelta(seconds=event.latency) > self.at
