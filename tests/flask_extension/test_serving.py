"""The extension in a real server, asked over a socket."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import closing

import pytest
from werkzeug.serving import make_server

from fallback_exec import BreakerCooldownTracker
from flask_sites import Site, exhausting, read, site
from helpers import PATIENCE, in_threads


@pytest.fixture
def tried() -> Site:
    """An app whose view asks two providers that are down; with controls."""
    tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=3600)
    tried = site("grok", "gemini", tracker=tracker, controls=True)
    tried.app.add_url_rule("/ask", "ask", exhausting(tried))
    return tried


@pytest.fixture
def port(tried: Site) -> Iterator[int]:
    """Where the app is served, by a thread for each connection."""
    server = make_server("127.0.0.1", 0, tried.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    server.server_close()


def ask(
    port: int, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, str]:
    """Ask once; return the answer and its text."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer, answer.read().decode()


def test_tells_the_story_of_real_executions(port: int) -> None:
    """Before a failure, after it, and after a hand has helped."""
    answer, text = ask(port, "/providers/health")
    assert (answer.status, json.loads(text)["status"]) == (200, "pass")

    answer, text = ask(port, "/ask")
    assert answer.status == 503
    assert answer.getheader("Retry-After") == "3600"
    assert json.loads(text) == {"error": "No provider can answer at the moment."}

    answer, text = ask(port, "/providers/health")
    assert (answer.status, json.loads(text)["status"]) == (503, "fail")
    answer, text = ask(port, "/providers/")
    page = read(text)
    assert page.one("p", class_="headline").text == "No provider is callable"
    assert [card.all("dd")[2].text for card in page.all("li", class_="card")] == ["helpers.VendorError"] * 2
    assert len(page.all("figure")) == 2

    form = {each.attributes["name"]: each.attributes["value"] for each in page.all("form")[1].all("input")}
    cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    kind = "application/x-www-form-urlencoded"
    headers = {"Cookie": cookie, "Content-Type": kind}
    answer, _ = ask(port, "/providers/reset", "POST", urllib.parse.urlencode(form), **headers)
    assert (answer.status, answer.getheader("Location")) == (303, "/providers/")

    answer, text = ask(port, "/providers/health")
    told = json.loads(text)
    assert (answer.status, told["status"]) == (200, "warn")
    assert [told["checks"][name][0]["state"] for name in ("grok", "gemini")] == ["open", "closed"]


def test_bears_many_at_once(port: int, tried: Site) -> None:
    """Pages, health checks and executions, each from a connection of its own."""

    def work(number: int) -> None:
        for _ in range(5):
            assert ask(port, ("/ask", "/providers/", "/providers/health")[number % 3])[0].status in {200, 503}

    in_threads(6, work)
    page = read(ask(port, "/providers/")[1])
    labels = [each.attributes["aria-label"] for each in page.all("svg", role="img")]
    assert len(labels) == 2
    assert "gemini: 10 failures, 1 cooldown" in labels  # the terminus, which is always attempted
