"""A Flask app with the extension, for prefork servers: one call was answered before the server forks."""

from __future__ import annotations

import json
import os

from flask import Flask, Response

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, NamedProvider, Strategy, execute
from fallback_exec.flask import FallbackExec
from fork_children import DOWN, quiet
from prefork_hold import hold_request

TRACKER = BreakerCooldownTracker(fail_max=1, reset_timeout=3600.0)
CHAIN = [NamedProvider("grok", None)]

app = Flask(__name__)
app.before_request(hold_request)
ext = FallbackExec(app, tracker=TRACKER)
app.register_blueprint(ext.blueprint, url_prefix="/providers")
CONFIG = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=TRACKER, logger=quiet, listeners=[ext.recorder])


@app.get("/fail")
def fail() -> str:
    """Ask in vain."""

    def answer(provider: NamedProvider[None]) -> str:
        raise DOWN

    return execute(CHAIN, CONFIG, answer).response


@app.after_request
def told(response: Response) -> Response:
    """Say whose answer it is."""
    answer = {"status": response.status_code, "text": response.get_data(as_text=True)}
    response.set_data(json.dumps({"pid": os.getpid(), "told": answer}))
    return response


execute(CHAIN, CONFIG, lambda provider: "an answer")
