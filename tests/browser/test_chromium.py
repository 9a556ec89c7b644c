"""The browser as the other tests see with it: what is wrong with a page, they notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask, Response

from browser import chromium
from browser.chromium import PHONE, Tab
from browser.serving import Server

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-1'; connect-src *"
_PAGE = """<!doctype html>
<meta name=viewport content="width=device-width">
<title>A page with faults</title>
<p style="width: 400px; color: #bbb">Too wide and too pale</p>
<img src="/picture.png">
<script>document.title = "not allowed"</script>
<script nonce=1>setTimeout(() => { throw new Error("a fault") }); fetch("http://127.0.0.2:81/")</script>
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """Serves a page of which much is wrong."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: Response(_PAGE, headers={"Content-Security-Policy": _POLICY}))
    with ExitStack() as stack:
        server = Server(app)
        stack.callback(server.stop)
        yield server


class TestTab:
    """What a tab tells of a page."""

    def test_hears_complaints(self, tab: Tab, server: Server) -> None:
        """Errors of scripts and of requests, and breaches of the policy."""
        tab.open(server.url)
        for what in ("Loading the image", "Executing inline script", "a fault", "ERR_CONNECTION_REFUSED"):
            tab.until(lambda: any(what in line for line in tab.console()), what)  # noqa: B023  # run at once

    def test_sees_requests(self, tab: Tab, server: Server) -> None:
        """Each request is seen, also to somebody else."""
        tab.open(server.url)
        for url in (f"{server.url}/", f"{server.url}/picture.png", "http://127.0.0.2:81/"):
            tab.until(lambda: url in tab.requests(), url)  # noqa: B023  # run at once

    def test_measures_width(self, tab: Tab, server: Server) -> None:
        """What is too wide for a phone scrolls there, and not on a desktop."""
        tab.open(server.url)
        assert tab.overflow() == 0
        tab.show(*PHONE)
        assert tab.overflow() > 0

    def test_finds_violations(self, tab: Tab, server: Server) -> None:
        """What axe-core is made for: contrast, and texts for pictures."""
        tab.open(server.url)
        rules = {violation.partition(":")[0] for violation in tab.violations()}
        assert {"color-contrast", "image-alt", "html-has-lang"} <= rules


def test_where_there_is_no_browser_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With that, the tests are skipped."""
    for name in ("CHROMIUM", "CHROMEDRIVER"):
        monkeypatch.setattr(chromium, name, Path(__file__))
    assert chromium.missing() is None
    monkeypatch.setattr(chromium, "CHROMIUM", Path("/nowhere/chromium"))
    assert chromium.missing() == "needs Debian's chromium and chromium-driver: no /nowhere/chromium"
