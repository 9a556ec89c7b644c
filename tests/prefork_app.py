"""A Flask app for prefork servers: its tracker is built at import, and in use while the server forks."""

from __future__ import annotations

import os

from flask import Flask, request

from fallback_exec import (
    BreakerCooldownTracker,
    ExecuteConfig,
    NamedProvider,
    RoundRobinIndex,
    Strategy,
    execute,
)
from fork_children import Hammer, quiet
from prefork_hold import hold_request

TRACKER = BreakerCooldownTracker(fail_max=2, reset_timeout=3600.0)
INDEX = RoundRobinIndex()
CHAIN = [NamedProvider("grok", None), NamedProvider("gemini", None)]
FALLBACK = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=TRACKER, logger=quiet)
IN_TURN = ExecuteConfig(strategy=Strategy.ROUND_ROBIN, round_robin_index=INDEX, logger=quiet)

app = Flask(__name__)
app.before_request(hold_request)


@app.get("/ask")
def ask() -> dict[str, object]:
    """Ask the chain; `down` names those that fail."""

    def answer(provider: NamedProvider[None]) -> str:
        if provider.name in request.args.getlist("down"):
            raise ConnectionError("down")
        return provider.name

    result = execute(CHAIN, FALLBACK, answer)
    return told({attempt.provider: attempt.outcome.name for attempt in result.attempts})


@app.get("/ask-in-turn")
def ask_in_turn() -> dict[str, object]:
    """Ask both providers, one each time."""
    return told(sorted(execute(CHAIN, IN_TURN, lambda provider: provider.name).response for _ in CHAIN))


@app.post("/reset")
def reset() -> dict[str, object]:
    """Begin anew, whatever the master's threads had done."""
    TRACKER.reset_all()
    TRACKER.reset("grok")  # which may have been forgotten for all the names that the threads use
    return told(TRACKER.snapshot()["grok"].state)


@app.post("/elapse")
def elapse() -> dict[str, object]:
    """Set the end of the cooldown to next to now, instead of waiting for it."""
    TRACKER.cool_down("grok", 1e-6)
    return told(TRACKER.breaker("grok").current_state)


def told(what: object) -> dict[str, object]:
    """Return an answer that says whose it is."""
    return {"pid": os.getpid(), "told": what}


# It goes on for as long as the master lives: workers that are replaced are forked under it, too.
Hammer(TRACKER, INDEX).start()
