"""The status page: what the tracker knows now, and what the recorder has of the last hour."""

from __future__ import annotations

import datetime as dt
import math
import os
import secrets
from collections.abc import Iterable
from importlib import resources

import attrs
from flask import Response, make_response, request
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

import fallback_exec
from fallback_exec import _clock
from fallback_exec._text import name_text
from fallback_exec.events import Event
from fallback_exec.flask import controls, drawing
from fallback_exec.flask.gist import Gist, Moment, gist
from fallback_exec.flask.watched import NOTHING_KNOWN, Known, Look, Watched, key, look, trouble_with
from fallback_exec.timeline import OTHERS, Lane, Timeline, timeline

# Not the app's own, in which delimiters and what is undefined may be otherwise.
_TEMPLATES = Environment(loader=PackageLoader("fallback_exec.flask"), autoescape=True)
# Read at once: whoever asks an environment takes its lock, which a forked child may find held for good.
_LIVE, _WHOLE = (_TEMPLATES.get_template(f"fallback_exec/{name}.html") for name in ("live", "status"))
#: They stand in the page itself: so they come with it, whatever prefix, proxy or cache there is.
_STYLE, _SCRIPT = (
    # Of the package itself: nothing in them is to be escaped.
    Markup(resources.files("fallback_exec.flask").joinpath("assets", name).read_text(encoding="utf-8"))  # noqa: S704
    for name in ("status.css", "status.js")
)
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_MINUTES = 60
_HOUR = dt.timedelta(minutes=_MINUTES)


@attrs.frozen(kw_only=True)
class Card:
    """What is shown of one provider.

    Attributes:
        key: What stands for its name in forms and identifiers.
        name: As it is shown.
        state: `"closed"`, `"open"` or `"half-open"`; `"unknown"` where only the recorder has met it.
        meaning: What that means, in a few words.
        failures: Failures in a row.
        openings: How many cooldowns have started.
        remaining: Seconds of cooldown that are left.
        last_error: The type of its last error of the last hour, and when it was; None where there was none.
        answers: How many it gave in the last hour.
        share: Its part of all answers of the last hour, 0 to 1; None where there were none.
    """

    key: str
    name: str
    state: str
    meaning: str
    failures: int
    openings: int
    remaining: float
    last_error: Moment | None
    answers: int
    share: float | None

    @property
    def countdown(self) -> str:
        """The remaining cooldown as a person reads it. `status.js` writes it alike."""
        left = math.ceil(self.remaining)
        if left < 60:
            return f"{left} s"
        if left < 3600:
            return f"{left // 60} min {left % 60:02} s"
        return f"{left // 3600} h {left % 3600 // 60:02} min"


def page(watched: Watched) -> Response:
    """Answer with the page, or with that part of it which changes, for the script to put in its place."""
    seen = look(watched)
    troubles = [] if seen.trouble is None else [seen.trouble]
    events: list[Event] = []
    since = None
    try:
        events = watched.recorder.events()
        since = watched.recorder.since
    except Exception as error:  # of a subclass: the states are shown all the same
        troubles.append(trouble_with("recorder", error))
    now = _clock.now()  # an hour ago is never before what a recorder of an hour has just called so
    # A recorder of the user's may keep more than is shown; a clock that was ahead has told what is to come.
    events = [event for event in events if now - _HOUR < event.time <= now]
    drawn = timeline(events, ends=now, seconds=_HOUR, buckets=_MINUTES)
    told = gist(events)
    cards = _cards(seen, drawn.lanes, told)
    nonce = secrets.token_urlsafe(16)
    handed_out = controls.hand_out() if watched.has_controls else None
    headline = _headline(seen)
    text = _LIVE.render(
        address=controls.address,
        cards=cards,
        drawing=drawing,
        drawings=drawing.drawings(_in_order(drawn, cards)),
        gist=told,
        headline=headline,
        is_shared=watched.tracker.is_shared,
        now=now,
        pid=os.getpid(),
        quarters=[now - dt.timedelta(minutes=minutes) for minutes in (60, 45, 30, 15)],
        since=None if since is None or since <= now - _HOUR else since,
        token=None if handed_out is None else handed_out.token,
        troubles=troubles,
        verdict=seen.verdict,
    )
    if "fragment" not in request.args:
        live = Markup(text)  # noqa: S704  # its template has escaped it
        text = _WHOLE.render(headline=headline, live=live, nonce=nonce, script=_SCRIPT, style=_STYLE)
    response = make_response(text)
    response.headers.update(_HEADERS)
    response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
    if handed_out is not None:
        handed_out.set_cookie(response)
    return response


def _cards(seen: Look, lanes: Iterable[Lane], told: Gist) -> list[Card]:
    """Return one for each provider that the tracker knows, then for those that only have a lane."""
    by_name = {lane.provider: lane for lane in lanes if lane.provider != OTHERS}
    known = {each.name: each for each in seen.known}
    return [
        _card(name, known.get(name), by_name.get(name), told.last_errors.get(name))
        for name in dict.fromkeys([*known, *by_name])
    ]


def _card(name: str, each: Known | None, lane: Lane | None, last_error: Moment | None) -> Card:
    status = NOTHING_KNOWN if each is None else each.status
    return Card(
        key=key(name),
        name=name_text(name),
        state="unknown" if each is None else status.state,
        meaning="the tracker has not met it" if each is None else _meaning(each),
        failures=status.failures,
        openings=status.openings,
        remaining=status.cooldown_remaining,
        last_error=last_error,
        answers=0 if lane is None else lane.answers,
        share=None if lane is None else lane.share,
    )


def _in_order(drawn: Timeline, cards: Iterable[Card]) -> Timeline:
    """Return the timeline with its lanes in the order of the cards; that of all the others is the last."""
    places = {card.key: place for place, card in enumerate(cards)}
    lanes = sorted(drawn.lanes, key=lambda lane: places.get(key(lane.provider), len(places)))
    return attrs.evolve(drawn, lanes=tuple(lanes))


def _meaning(each: Known) -> str:
    if each.is_closed:
        # Read at each look, as at each failure. Else who fails each time would look as well as the others.
        is_exempt = each.name in fallback_exec.EXEMPT_PROVIDERS
        return "exempt, always called" if is_exempt else "called as usual"
    if each.status.cooldown_remaining:
        return "cooling down"
    return "its next call is a probe" if each.is_callable else "a probe is under way"


def _headline(seen: Look) -> str:
    """Say in one line how it stands."""
    if seen.trouble is not None:
        return "The states are not known"
    if not seen.known:
        return "No provider is known yet"
    closed = sum(each.is_closed for each in seen.known)
    if closed == len(seen.known):
        return "All providers are called as usual"
    if seen.verdict == "fail":
        return "No provider is callable"
    return f"{closed} of {len(seen.known)} providers are called as usual"
