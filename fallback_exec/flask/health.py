"""The health check: JSON in the style of draft-inadarei-api-health-check."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from fallback_exec import _clock
from fallback_exec._text import name_text
from fallback_exec.flask.watched import Known, Watched, look


def health(watched: Watched) -> Response:
    """Answer how all providers are; 503 when none is callable. Asks the tracker alone."""
    seen = look(watched)
    checks: dict[str, list[dict[str, Any]]] = {}
    for each in seen.known:
        # Two names may look alike once their credentials are masked.
        checks.setdefault(name_text(each.name), []).append(_check(each))
    body: dict[str, Any] = {
        "status": seen.verdict,
        "notes": [_note(watched)],
        "checks": checks,
    }
    if seen.trouble is not None:
        body["output"] = seen.trouble
    code = {"fail": 503}.get(seen.verdict, 200)
    response = Response(json.dumps(body), code, content_type="application/health+json")
    response.cache_control.no_store = True
    return response


def _note(watched: Watched) -> str:
    """Say whose states are told."""
    if watched.tracker.is_shared:
        return "States are shared by all processes; this is what this one has last learned of them."
    return "States are those of this worker process alone."


def _check(each: Known) -> dict[str, Any]:
    status = each.status
    return {
        "componentType": "component",
        "status": "pass" if each.is_closed else "warn" if each.is_callable else "fail",
        "time": _clock.now().isoformat(),
        "state": status.state,
        "failures": status.failures,
        "cooldown_remaining": round(status.cooldown_remaining, 3),
        "openings": status.openings,
    }
