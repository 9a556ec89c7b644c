"""The attacker is the app around the page, the file that a record goes to, or a busy hour.

They want an operator who sees nothing, or something that is not so.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import threading
from pathlib import Path
from typing import Any

import jinja2
import pytest
from flask import Blueprint, Flask
from freezegun.api import FrozenDateTimeFactory

import fallback_exec
import fallback_exec.__main__ as command_line
from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    ExecuteConfig,
    InvalidConfigError,
    execute,
    plot,
)
from fallback_exec.errors import StandInError
from fallback_exec.events import AttemptFailed
from fallback_exec.flask import FallbackExec, page
from fallback_exec.recorder import Recorder
from fallback_exec.shared import InMemoryCooldownStore
from fallback_exec.timeline import Span, Timeline, timeline
from flask_sites import read, site
from fork_children import in_child
from helpers import PATIENCE, Vendor, VendorError, vendors


class TestTemplates:
    """The page in an app whose own templates are of another kind."""

    @pytest.mark.parametrize(
        "settings",
        [
            {"undefined": jinja2.StrictUndefined},
            {"variable_start_string": "[[", "variable_end_string": "]]"},
            {"block_start_string": "<%", "block_end_string": "%>"},
            {"line_statement_prefix": "<"},
            {"finalize": lambda value: ""},
        ],
        ids=lambda settings: next(iter(settings)),
    )
    def test_are_those_of_the_page(self, settings: dict[str, object]) -> None:
        """An app may be strict, or share its delimiters with a framework of the browser's."""
        tried = site(providers=["grok"])
        tried.app.jinja_options = settings
        tried.app.testing = True
        (card,) = read(tried.get("/providers/")).all("li", class_="card")
        assert card.one("h2").text == "grok"


RECORD = ("demo", "--calls", "1", "--workers", "1", "--record")


class TestForks:
    """A child, whatever its parent's threads were doing."""

    def test_do_not_keep_the_page_from_being_shown(self) -> None:
        """A thread of the parent's looked for a template at that moment."""
        tried = site("grok")
        tried.get("/providers/")
        cache = page._TEMPLATES.cache
        assert isinstance(cache, jinja2.utils.LRUCache)
        is_held, may_go = threading.Event(), threading.Event()

        def hold() -> None:
            with cache._wlock:
                is_held.set()
                may_go.wait(PATIENCE)

        thread = threading.Thread(target=hold)
        thread.start()
        is_held.wait(PATIENCE)
        try:
            assert in_child(lambda: tried.get("/providers/").status_code) == 200
        finally:
            may_go.set()
            thread.join(PATIENCE)


class TestSettings:
    """What an extension is given by mistake."""

    @pytest.mark.parametrize("controls", ["false", "0", "", 1, 0, []])
    def test_controls_are_not_asked_for_by_a_string(self, controls: Any) -> None:
        """Of an environment's variable, each but the empty one would be a yes."""
        text = "controls must be True or False"
        with pytest.raises(InvalidConfigError, match=text):
            FallbackExec(controls=controls)
        with pytest.raises(InvalidConfigError, match=text):
            FallbackExec(tracker=BreakerCooldownTracker()).init_app(Flask("site"), controls=controls)

    @pytest.mark.parametrize("app", [BreakerCooldownTracker(), "site", Flask])
    def test_an_app_is_one(self, app: Any) -> None:
        """A tracker that comes first is not said to be missing."""
        with pytest.raises(InvalidConfigError, match="app must be a Flask app, got "):
            FallbackExec(app, tracker=BreakerCooldownTracker())


class TestPrefixes:
    """Where the blueprint is."""

    def test_may_have_variables(self) -> None:
        """As below the blueprint of a tenant; all that leads from the page leads to where it is."""
        app = Flask("site")
        app.secret_key = "of the tests"
        tracker = BreakerCooldownTracker()
        ext = FallbackExec(app, tracker=tracker, providers=["grok"], controls=True)
        tenant = Blueprint("tenant", "site", url_prefix="/tenants/<name>")
        tenant.register_blueprint(ext.blueprint, url_prefix="/providers")
        app.register_blueprint(tenant)
        client = app.test_client()
        assert client.get("/tenants/a b/providers/health").status_code == 200
        answer = client.get("/tenants/a b/providers/")
        form = read(answer).one("form")
        assert form.attributes["action"] == "/tenants/a%20b/providers/reset"
        assert "Path=/tenants/a%20b/providers/;" in answer.headers["Set-Cookie"]
        where = form.all("button")[0].attributes["formaction"]
        assert where == "/tenants/a%20b/providers/cool-down"
        fields = {each.attributes["name"]: each.attributes["value"] for each in form.all("input")}
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        done = app.test_client(use_cookies=False).post(where, data=fields, headers={"Cookie": cookie})
        assert (done.status_code, done.headers["Location"]) == (303, "/tenants/a%20b/providers/")
        assert not tracker.is_available("grok")


class TestSince:
    """What a recorder does not know is not shown as if it had not happened."""

    def test_a_young_process_says_so(self, clock: FrozenDateTimeFactory) -> None:
        """After a restart, an empty hour is none in which all was well; after an hour it is."""
        tried = site("grok")
        clock.tick(600)
        text = read(tried.get("/providers/")).text
        assert "Nothing was recorded since 00:00:00." in text
        tried.answer(grok="an answer")
        text = read(tried.get("/providers/")).text
        assert "Executions since 00:00:00: 1, all answered." in text
        assert "Recorded since 00:00:00: of what was before, nothing is known here." in text
        clock.tick(3000)
        text = read(tried.get("/providers/")).text
        assert "Executions in the last hour: 1, all answered." in text
        assert "Recorded since" not in text

    def test_a_busy_process_says_so(self, clock: FrozenDateTimeFactory) -> None:
        """Of which the recorder keeps less than an hour."""
        recorder = Recorder(max_events=10)
        tried = site("grok", recorder=recorder)
        clock.tick(7200)
        began = dt.datetime.now(dt.UTC)
        for _ in range(5):  # two events each
            tried.answer(grok="an answer")
            clock.tick(60)
        assert recorder.since == began + dt.timedelta(seconds=300 - 3600)
        assert "Executions in the last hour: 5, all" in read(tried.get("/providers/")).text
        tried.answer(grok="an answer")
        assert recorder.since == began
        assert "Executions since 02:00:00: 5, all answered." in read(tried.get("/providers/")).text
        clock.tick(3600)
        assert recorder.since == began + dt.timedelta(seconds=300)

    def test_a_cleared_recorder_knows_nothing(self, clock: FrozenDateTimeFactory) -> None:
        """Nor does one whose clock was set back know of what is to come."""
        recorder = Recorder()
        clock.tick(60)
        recorder.clear()
        assert recorder.since == dt.datetime.now(dt.UTC)
        clock.tick(-30)
        assert recorder.since == dt.datetime.now(dt.UTC)


class TestClocks:
    """What is told by a clock that is wrong."""

    def test_nothing_is_told_of_the_future(self, clock: FrozenDateTimeFactory) -> None:
        """A clock was a day ahead for a moment; the drawing and the words know of the same events."""
        tried = site("grok")
        clock.tick(86_400)
        with pytest.raises(AllProvidersFailedError):
            tried.answer(grok=VendorError("down"))
        clock.tick(-86_400)
        tried.answer(grok="an answer")
        shown = read(tried.get("/providers/"))
        said = shown.one("p", class_="gist").text
        assert said == "grok answered last, at 00:00:00. Executions since 00:00:00: 1, all answered."
        assert shown.one("figure").one("span", class_="summary").text == "1 answer"
        assert "VendorError" not in shown.text


class TestMemory:
    """How much a recorder keeps."""

    @pytest.mark.parametrize("length", [2000, 2001, 1_000_000])
    @pytest.mark.parametrize("travels", [False, True])
    def test_of_an_error_is_bounded(self, length: int, travels: bool) -> None:
        """Whatever the user's function leaves of a vendor's page that says that it is down."""
        recorder = Recorder(redact=str)
        tried = site("grok", recorder=recorder)
        error = StandInError("vendor.Error", "x" * length) if travels else VendorError("x" * length)
        with pytest.raises(AllProvidersFailedError):
            tried.answer(grok=error)
        failed, *_ = recorder.events()
        assert str(failed.error) == "x" * 2000


class TestHonesty:
    """What an operator would take for something else."""

    def test_an_exempt_provider_is_not_just_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No failure of it is counted: it is closed, with none in a row, however often it fails."""
        tried = site(providers=["laozhang", "grok"])
        said = "closed: exempt, always called"
        assert [line.text for line in read(tried.get("/providers/")).all("p", class_="state")] == [
            said,
            "closed: called as usual",
        ]
        monkeypatch.setattr(fallback_exec, "EXEMPT_PROVIDERS", {"grok"})
        assert read(tried.get("/providers/")).all("p", class_="state")[1].text == said

    @pytest.mark.parametrize("store", [None, InMemoryCooldownStore()])
    @pytest.mark.parametrize("controls", [True, False])
    def test_a_button_acts_on_one_worker(self, controls: bool, store: InMemoryCooldownStore | None) -> None:
        """Which need not be the one whose page it is on; with a store, on all of them."""
        tried = site(tracker=BreakerCooldownTracker(shared=store), controls=controls)
        text = read(tried.get("/providers/")).text
        assert ("a button acts on the worker that its request comes to" in text) is (controls and not store)


class TestFiles:
    """Where a record goes, and where one comes from."""

    def test_a_pipe_stays_one(self, tmp_path: Path) -> None:
        """Nor would a device be replaced, by root /dev/null even; who reads gets it all."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        read_text: list[str] = []
        # Open for writing, too: so the reader's end is there, and comes, whatever is done with the pipe.
        descriptor = os.open(pipe, os.O_RDWR)
        reader = threading.Thread(target=lambda: read_text.append(pipe.read_text()), daemon=True)
        reader.start()
        try:
            assert command_line.main([*RECORD, str(pipe)]) == 0
        finally:
            os.close(descriptor)
        assert pipe.is_fifo()
        reader.join(PATIENCE)
        assert [line[:10] for line in read_text[0].splitlines()] == ['{"event": '] * 2
        assert os.listdir(tmp_path) == ["pipe"]

    def test_a_link_stays_one(self, tmp_path: Path) -> None:
        """It is written where it leads."""
        link = tmp_path / "link.jsonl"
        link.symlink_to("record.jsonl")
        assert command_line.main([*RECORD, str(link)]) == 0
        assert link.is_symlink()
        assert (tmp_path / "record.jsonl").is_file()

    def test_what_is_in_two_files_happened_once(
        self, tmp_path: Path, clock: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two records of one process overlap, and that of a forked child begins with its parent's events."""
        drawn: list[Timeline] = []
        monkeypatch.setattr(plot, "save", lambda timeline, path: drawn.append(timeline))
        tried = site("a", "a", "b")  # the first of whom is passed over twice, at one moment
        tried.open("a")
        files = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
        for path in files:
            clock.tick(10)
            tried.answer(b="an answer")
            with path.open("w") as file:
                tried.ext.recorder.dump(file)
        assert command_line.main(["timeline", *map(str, files), "-o", "night.svg"]) == 0
        a, b = drawn[0].lanes
        assert (a.skips, b.answers) == (4, 2)

    def test_no_standard_input_has_no_events(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A service may have been started without one."""
        monkeypatch.setattr(sys, "stdin", None)
        assert command_line.main(["timeline", "-", "-o", str(tmp_path / "night.svg")]) == 2
        assert capsys.readouterr().err == "python -m fallback_exec: error: no events in -\n"


class TestCooldowns:
    """How long a cooldown is shown."""

    def test_do_not_last_longer_for_a_slow_terminus(self, clock: FrozenDateTimeFactory) -> None:
        """What was left before the call is not what is left after it."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        recorder = Recorder()
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, listeners=[recorder])
        began = dt.datetime.now(dt.UTC)

        def fail_slowly(provider: Vendor) -> None:
            clock.tick(10)
            raise VendorError("down")

        for left in (30.0, 20.0):
            with pytest.raises(AllProvidersFailedError):
                execute(vendors("grok"), config, fail_slowly)
            failed = [event for event in recorder.events() if isinstance(event, AttemptFailed)][-1]
            assert failed.cooldown_remaining == left
            assert tracker.cooldown_remaining("grok") == left
        clock.tick(60)
        (lane,) = timeline(recorder.events()).lanes
        assert lane.cooldowns == (Span(began + dt.timedelta(seconds=10), began + dt.timedelta(seconds=40)),)
