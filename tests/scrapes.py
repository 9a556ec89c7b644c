"""What a scrape shows, and events to be counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, generate_latest

from fallback_exec.events import Event

EventT = TypeVar("EventT", bound=Event)

#: When the frozen clock of the tests starts.
START = datetime(2026, 1, 1, tzinfo=UTC)


def series_of(text: str) -> dict[str, float]:
    """Return what a scrape's text says of us: the value of each series, as it stands there.

    When series were created is left out.
    """
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("fallback_exec_")]
    return {series: float(value) for series, value in lines if "_created{" not in series}


def scrape(registry: CollectorRegistry) -> dict[str, float]:
    """Return the value of each series in a registry."""
    return series_of(generate_latest(registry).decode())


def found(registry: CollectorRegistry, metric: str) -> dict[str, float]:
    """Return the values of a metric that are not 0, by their labels, as they stand in the scrape's text."""
    return {
        series.removeprefix(metric): value
        for series, value in scrape(registry).items()
        if series.startswith(f"{metric}{{") and value
    }


def event(kind: type[EventT], **facts: Any) -> EventT:
    """Return an event of provider a, at the start, with these facts."""
    common = {"execution_id": "0" * 32, "time": START, "provider": "a", "attempt_num": 1}
    return kind(**{**common, "latency": 0.0, "error": None, **facts})
