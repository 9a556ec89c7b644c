"""Metrics of a prefork server, whose workers are scraped as one, while one of their vendors is dead."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from helpers import PATIENCE
from prefork_server import PreforkServer
from scrapes import series_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")

WORKERS = 4
PAGE = Path(__file__).parents[1] / "docs" / "prometheus.md"

FAILURE = {"grok": "FAILURE", "gemini": "SUCCESS"}
SKIPPED = {"grok": "SKIPPED", "gemini": "SUCCESS"}
SUCCESS = {"grok": "SUCCESS"}


class LoopbackVendor(ThreadingHTTPServer):
    """A vendor that may be dead."""

    daemon_threads = False  # their end is waited for

    def __init__(self, *, is_dead: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.is_dead = is_dead


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackVendor

    def do_GET(self) -> None:
        self.send_response(503 if self.server.is_dead else 200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(vendor: LoopbackVendor) -> Iterator[LoopbackVendor]:
    """Have the vendor answer."""
    with vendor:
        thread = threading.Thread(target=vendor.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield vendor
        vendor.shutdown()
        thread.join(PATIENCE)


@pytest.fixture
def grok() -> Iterator[LoopbackVendor]:
    """The first vendor of the chain, which is dead."""
    with serving(LoopbackVendor(is_dead=True)) as vendor:
        yield vendor


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    """The directory that the workers' metrics are in."""
    directory = tmp_path / "metrics"
    directory.mkdir()
    return directory


@pytest.fixture
def workers(tmp_path: Path, metrics: Path, grok: LoopbackVendor) -> Iterator[PreforkServer]:
    """A gunicorn with the configuration that the docs tell of."""
    (configuration,) = re.findall(
        r"^```python\n(# gunicorn\.conf\.py\n.*?)^```$",
        PAGE.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    (tmp_path / "gunicorn.conf.py").write_text(configuration)
    with serving(LoopbackVendor()) as gemini:
        server = PreforkServer(
            tmp_path,
            "prometheus_app",
            workers=WORKERS,
            PROMETHEUS_APP_VENDORS=f"{grok.server_port},{gemini.server_port}",
            PROMETHEUS_MULTIPROC_DIR=str(metrics),
        )
        try:
            yield server
        finally:
            server.close()


def scraped(workers: PreforkServer) -> dict[str, float]:
    """Return what every worker shows alike of all of them."""
    return series_of(workers.told_by_all("GET", "/metrics"))


def counts_of(series: dict[str, float]) -> dict[str, float]:
    """Return what was counted; buckets and sums depend on how fast the machine is."""
    return {
        name.removeprefix("fallback_exec_"): value
        for name, value in series.items()
        if value and re.match(r"\w+_(total|count)\{", name)
    }


def shown_of_grok(series: dict[str, float]) -> tuple[list[str], float]:
    """Return the states that are 1, and when the cooldown is over."""
    states = [
        state
        for state in ("closed", "half-open", "open")
        if series[f'fallback_exec_provider_state{{provider="grok",state="{state}"}}']
    ]
    return states, series['fallback_exec_cooldown_until_timestamp_seconds{provider="grok"}']


#: What twenty executions come to, five in each of four workers, of which each finds out for itself.
TWENTY = {
    'executions_total{executor="prefork",outcome="success"}': 20,
    'attempts_total{executor="prefork",outcome="failure",provider="grok"}': 12,
    'attempts_total{executor="prefork",outcome="skipped",provider="grok"}': 8,
    'attempts_total{executor="prefork",outcome="success",provider="gemini"}': 20,
    'attempt_duration_seconds_count{executor="prefork",provider="grok"}': 12,
    'attempt_duration_seconds_count{executor="prefork",provider="gemini"}': 20,
    'cooldowns_total{executor="prefork",provider="grok"}': 4,
}


def test_four_workers_are_scraped_as_one(workers: PreforkServer, metrics: Path, grok: LoopbackVendor) -> None:
    """Counts are those of all workers, dead ones too; gauges are what a living one was told last."""
    for _ in range(3):
        assert workers.told_by_all("GET", "/ask") == FAILURE
    for _ in range(2):
        skips = workers.ask_in_turn("GET", "/ask")
        assert list(skips.values()) == [SKIPPED] * WORKERS
    *_, newest_but_one, newest = skips
    until = {pid: ends for pid, (ends,) in workers.ask_each("GET", "/until").items()}

    series = scraped(workers)
    assert counts_of(series) == TWENTY
    assert shown_of_grok(series) == (["open"], until[newest])
    assert series['fallback_exec_provider_state{provider="gemini",state="closed"}'] == 1
    assert not any("remaining" in name for name in series)

    os.kill(newest, signal.SIGKILL)  # a new one takes its place
    series = scraped(workers)
    assert counts_of(series) == TWENTY
    assert shown_of_grok(series) == (["open"], until[newest_but_one])
    gauges = {path.name for path in metrics.glob("gauge_*.db")}
    assert gauges == {f"gauge_livemostrecent_{pid}.db" for pid in until if pid != newest}

    grok.is_dead = False
    assert workers.told_by_all("POST", "/elapse") == "open"
    assert workers.told_by_all("GET", "/ask") == SUCCESS
    series = scraped(workers)
    assert shown_of_grok(series) == (["closed"], 0)
    assert counts_of(series)['attempts_total{executor="prefork",outcome="success",provider="grok"}'] == 4
