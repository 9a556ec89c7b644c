"""A Flask app for prefork servers: its first vendor is asked by HTTP, its workers may share cooldowns."""

from __future__ import annotations

import http.client
import os
from contextlib import closing

from flask import Flask

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, NamedProvider, Strategy, execute
from fallback_exec.redis import RedisCooldownStore
from fork_children import PATIENCE, quiet
from prefork_hold import hold_request

# Where the vendor is, and the server with the cooldowns, if there is one.
VENDOR_PORT = int(os.environ["SHARED_APP_VENDOR"])
STORE = os.environ["SHARED_APP_STORE"]

# So that the counts are exact, what is known is good for no time at all, and a busy machine has all the time
# it needs. The cooldown lasts until the test ends it.
store = RedisCooldownStore(STORE, refresh_interval=1e-6, timeout=PATIENCE) if STORE else None
TRACKER = BreakerCooldownTracker(fail_max=3, reset_timeout=3600.0, shared=store)
CONFIG = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=TRACKER, logger=quiet)
CHAIN = [NamedProvider("grok", None), NamedProvider("gemini", None)]

app = Flask(__name__)
app.before_request(hold_request)


@app.get("/ask")
def ask() -> dict[str, object]:
    """Ask the chain, whose terminus always answers."""
    result = execute(CHAIN, CONFIG, answer)
    return told({attempt.provider: attempt.outcome.name for attempt in result.attempts})


@app.post("/elapse")
def elapse() -> dict[str, object]:
    """Set the end of the cooldown to next to now, instead of waiting for it."""
    TRACKER.cool_down("grok", 1e-6)
    return told(TRACKER.breaker("grok").current_state)


def answer(provider: NamedProvider[None]) -> str:
    """Return what the provider answers."""
    if provider.name == "gemini":
        return "an answer"
    with closing(http.client.HTTPConnection("127.0.0.1", VENDOR_PORT, timeout=PATIENCE)) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise ConnectionError(response.reason)
        return response.read().decode()


def told(what: object) -> dict[str, object]:
    """Return an answer that says whose it is."""
    return {"pid": os.getpid(), "told": what}
