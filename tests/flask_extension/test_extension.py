"""The extension, as it is set up."""

from __future__ import annotations

import gc
import importlib
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask

from fallback_exec import BreakerCooldownTracker, InvalidConfigError
from fallback_exec.flask import FallbackExec
from fallback_exec.recorder import Recorder
from flask_sites import read, site
from helpers import ThreeMethodTracker


def names_shown(app: Flask, path: str) -> list[str]:
    """Return the providers that an app's page shows."""
    return [card.one("h2").text for card in read(app.test_client().get(path)).all("li", class_="card")]


class TestInitApp:
    """How an app comes by the extension."""

    def test_may_be_left_to_the_constructor(self) -> None:
        """With an app, the constructor does it all."""
        app = Flask("app")
        ext = FallbackExec(app, tracker=BreakerCooldownTracker(), providers=["grok"])
        app.register_blueprint(ext.blueprint, url_prefix="/status")
        assert app.extensions["fallback_exec"] is ext
        assert names_shown(app, "/status/") == ["grok"]

    def test_serves_several_apps(self) -> None:
        """Each app shows what it was given, and what the constructor was given where that was left out."""
        common = BreakerCooldownTracker()
        ext = FallbackExec(tracker=common, providers=["grok"])
        first, second = Flask("first"), Flask("second")
        own = BreakerCooldownTracker()
        own.record_success("gemini")
        ext.init_app(first)
        ext.init_app(second, tracker=own, providers=[])
        for app in (first, second):
            app.register_blueprint(ext.blueprint, url_prefix="/status")
        assert names_shown(first, "/status/") == ["grok"]
        assert names_shown(second, "/status/") == ["gemini"]

    def test_keeps_no_app_alive(self) -> None:
        """An app that nobody needs any more goes, also while the extension stays."""
        ext = FallbackExec(tracker=BreakerCooldownTracker())
        app = Flask("app")
        ext.init_app(app)
        gone = weakref.ref(app)
        del app
        gc.collect()
        assert gone() is None

    def test_bears_two_extensions_in_one_app(self) -> None:
        """Two trackers have a page each; the one that came last is found by its name."""
        one = site(providers=["grok"])
        other = FallbackExec(one.app, tracker=BreakerCooldownTracker(), providers=["twilio"])
        one.app.register_blueprint(other.blueprint, name="texts", url_prefix="/texts")
        assert one.app.extensions["fallback_exec"] is other
        assert names_shown(one.app, "/providers/") == ["grok"]
        assert names_shown(one.app, "/texts/") == ["twilio"]

    def test_comes_before_the_first_look(self) -> None:
        """A blueprint in an app that the extension does not know says what is missing."""
        app = Flask("app")
        app.testing = True
        app.register_blueprint(FallbackExec().blueprint, url_prefix="/status")
        with pytest.raises(RuntimeError, match=r"init_app\(\) was not called for this app"):
            app.test_client().get("/status/health")


class TestSettings:
    """What may be given."""

    @pytest.mark.parametrize("given", [None, ThreeMethodTracker(), BreakerCooldownTracker])
    def test_tracker_has_to_be_one_with_snapshots(self, given: Any) -> None:
        """Another tracker has nothing to show."""
        with pytest.raises(InvalidConfigError, match="tracker must be a BreakerCooldownTracker, got"):
            FallbackExec(Flask("app"), tracker=given)

    @pytest.mark.parametrize(
        "build",
        [
            lambda: FallbackExec(recorder=[].append),  # type: ignore[arg-type]
            lambda: FallbackExec(tracker=BreakerCooldownTracker()).init_app(
                Flask("app"),
                recorder=[].append,  # type: ignore[arg-type]
            ),
        ],
    )
    def test_recorder_has_to_be_one(self, build: Callable[[], object]) -> None:
        """Any other listener keeps no events."""
        with pytest.raises(InvalidConfigError, match=r"recorder must be a fallback_exec\.recorder\.Recorder"):
            build()

    @pytest.mark.parametrize(
        ("given", "rule"),
        [
            ("grok", "providers must be an iterable of names, got 'grok'"),
            (7, "providers must be an iterable of names, got 7"),
            (["grok", ""], "providers must be a non-empty string, got ''"),
        ],
    )
    def test_providers_are_names(self, given: Any, rule: str) -> None:
        """One name alone would be taken for its letters."""
        with pytest.raises(InvalidConfigError, match=rule):
            FallbackExec(providers=given)

    def test_recorder_is_the_extension_s_own_by_default(self) -> None:
        """Each extension has one."""
        assert isinstance(FallbackExec().recorder, Recorder)
        assert FallbackExec().recorder is not FallbackExec().recorder

    def test_recorder_may_be_given(self) -> None:
        """Then it is that one; and an app may have another."""
        common, own = Recorder(), Recorder()
        tried = site("grok", recorder=common)
        assert tried.ext.recorder is common
        tried.answer(grok="an answer")
        app = Flask("app")
        tried.ext.init_app(app, recorder=own)
        app.register_blueprint(tried.ext.blueprint, url_prefix="/status")
        assert "1 answer" in tried.get("/providers/").text
        assert "Nothing was recorded" in app.test_client().get("/status/").text


class TestBlueprint:
    """Where it may be registered."""

    def test_may_have_another_name_and_be_nested(self) -> None:
        """Its own links lead back to it, wherever it is."""
        app = Flask("app")
        app.secret_key = "of the tests"
        ext = FallbackExec(app, tracker=BreakerCooldownTracker(), providers=["grok"], controls=True)
        admin = Blueprint("admin", __name__, url_prefix="/admin")
        admin.register_blueprint(ext.blueprint, name="vendors", url_prefix="/vendors")
        app.register_blueprint(admin)
        page = read(app.test_client().get("/admin/vendors/"))
        assert page.one("form").attributes["action"] == "/admin/vendors/reset"

    def test_may_stand_at_the_root(self) -> None:
        """Without a prefix, nothing is lost."""
        tried = site(prefix="", providers=["grok"])
        assert names_shown(tried.app, "/") == ["grok"]
        assert tried.get("/health").status_code == 200

    def test_takes_checks_of_the_user_s(self) -> None:
        """`before_request` decides who may see what."""
        app = Flask("app")
        ext = FallbackExec(app, tracker=BreakerCooldownTracker())
        ext.blueprint.before_request(lambda: ("no", 401))
        app.register_blueprint(ext.blueprint, url_prefix="/status")
        client = app.test_client()
        codes = [client.get("/status/").status_code, client.get("/status/health").status_code]
        assert [*codes, client.post("/status/reset").status_code] == [401, 401, 401]


class TestImport:
    """Without Flask."""

    def test_says_what_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error names the extra, and keeps its cause."""
        for name in [name for name in sys.modules if name.startswith("fallback_exec.flask")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "flask", None)
        with pytest.raises(ImportError, match=r'pip install "fallback-exec\[flask\]"') as caught:
            importlib.import_module("fallback_exec.flask")
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)
