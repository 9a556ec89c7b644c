"""A Flask app for prefork servers, whose workers show their metrics together."""

from __future__ import annotations

import http.client
import os
from contextlib import closing

from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, NamedProvider, Strategy, execute
from fallback_exec.events import CooldownStarted, Event, ProviderSkipped
from fallback_exec.prometheus import PrometheusListener
from fork_children import PATIENCE, quiet
from prefork_hold import hold_request

# When the cooldown of grok is over, as far as this worker was told.
told_until: list[float] = []


def remember_end(event: Event) -> None:
    """Be a listener that keeps the ends of cooldowns."""
    if isinstance(event, CooldownStarted | ProviderSkipped):
        told_until.append(event.time.timestamp() + event.cooldown_remaining)


TRACKER = BreakerCooldownTracker(fail_max=3, reset_timeout=3600.0)
LISTENER = PrometheusListener(executor="prefork")
LISTENER.watch(TRACKER)
CONFIG = ExecuteConfig(
    strategy=Strategy.FALLBACK, cooldown=TRACKER, logger=quiet, listeners=[LISTENER, remember_end]
)
# Where each vendor is.
CHAIN = [
    NamedProvider(name, int(port))
    for name, port in zip(("grok", "gemini"), os.environ["PROMETHEUS_APP_VENDORS"].split(","), strict=True)
]

app = Flask(__name__)
app.before_request(hold_request)


@app.get("/ask")
def ask() -> dict[str, object]:
    """Ask the chain."""
    result = execute(CHAIN, CONFIG, answer)
    return told({attempt.provider: attempt.outcome.name for attempt in result.attempts})


@app.post("/elapse")
def elapse() -> dict[str, object]:
    """Set the end of the cooldown to next to now, instead of waiting for it."""
    TRACKER.cool_down("grok", 1e-6)
    return told(TRACKER.breaker("grok").current_state)


@app.get("/until")
def until() -> dict[str, object]:
    """Tell until when grok is cooling down, by this worker's own events."""
    return told(told_until[-1:])


@app.get("/metrics")
def metrics() -> dict[str, object]:
    """Show what all workers have counted."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return told(generate_latest(registry).decode())


def answer(provider: NamedProvider[int]) -> str:
    """Return what the provider answers."""
    with closing(http.client.HTTPConnection("127.0.0.1", provider.client, timeout=PATIENCE)) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise ConnectionError(response.reason)
        return response.read().decode()


def told(what: object) -> dict[str, object]:
    """Return an answer that says whose it is."""
    return {"pid": os.getpid(), "told": what}
