"""What a caller is answered when no provider has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask
from freezegun.api import FrozenDateTimeFactory
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    DeadlineExceededError,
    ExecutionCancelledError,
    FallbackExecError,
    InvalidConfigError,
    NoProvidersError,
    ProviderFailedError,
)
from fallback_exec.flask import FallbackExec
from flask_sites import exhausting, raising, site

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def app_raising(error: Exception, **config: object) -> Flask:
    """Return an app with the extension whose root raises the error."""
    app = Flask("app")
    app.config.update(config)
    FallbackExec(app, tracker=BreakerCooldownTracker())
    app.add_url_rule("/", "root", raising(error))
    return app


def exhausted(retry_after: float | None = None) -> AllProvidersFailedError:
    """Return the error of a chain that a vendor has told a secret in."""
    return AllProvidersFailedError(
        "all providers failed: a secret", [KeyError("a secret")], retry_after=retry_after
    )


class TestAllProvidersFailed:
    """`AllProvidersFailedError`."""

    def test_becomes_503_in_json(self) -> None:
        """Who asks for nothing in particular is a program."""
        answer = app_raising(exhausted()).test_client().get("/")
        assert answer.status_code == 503
        assert answer.content_type == "application/json"
        assert answer.json == {"error": "No provider can answer at the moment."}
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Vary"] == "Accept"

    @pytest.mark.parametrize(
        ("accepted", "content_type"),
        [
            (BROWSER, "text/html; charset=utf-8"),
            ("text/html", "text/html; charset=utf-8"),
            ("application/json", "application/json"),
            ("*/*", "application/json"),
            ("text/html;q=0.5, application/json", "application/json"),
            ("image/png", "application/json"),
        ],
    )
    def test_becomes_what_the_caller_accepts(self, accepted: str, content_type: str) -> None:
        """A browser is shown a page, and everybody else is sent JSON."""
        answer = app_raising(exhausted(7)).test_client().get("/", headers={"Accept": accepted})
        assert (answer.status_code, answer.content_type) == (503, content_type)
        assert answer.headers["Retry-After"] == "7"
        assert "No provider can answer at the moment." in answer.text
        assert "secret" not in answer.text

    def test_is_a_whole_page_in_html(self) -> None:
        """It has a title and a heading."""
        answer = app_raising(exhausted()).test_client().get("/", headers={"Accept": BROWSER})
        assert "<title>503 Service Unavailable</title>" in answer.text

    @pytest.mark.parametrize(
        ("retry_after", "header"),
        [(None, None), (0.0, "1"), (0.2, "1"), (1.0, "1"), (1.001, "2"), (29.5, "30"), (1e9, "1000000000")],
    )
    def test_tells_when_to_come_back(
        self, clock: FrozenDateTimeFactory, retry_after: float | None, header: str | None
    ) -> None:
        """Whole seconds, rounded up, and never 0; nothing where it is not known."""
        answer = app_raising(exhausted(retry_after)).test_client().get("/")
        assert answer.headers.get("Retry-After") == header

    def test_tells_it_of_a_real_execution(self, clock: FrozenDateTimeFactory) -> None:
        """Once all providers are cooling, the first one's return counts down."""
        tried = site("grok", "gemini")
        tried.app.add_url_rule("/ask", "ask", exhausting(tried))
        assert "Retry-After" not in tried.get("/ask").headers
        assert tried.get("/ask").headers["Retry-After"] == "30"
        clock.tick(12.5)
        answer = tried.get("/ask")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "18")
        assert "is down" not in answer.text

    def test_has_subclasses(self) -> None:
        """Flask finds the handler by the class's bases."""

        class OurError(AllProvidersFailedError):
            pass

        assert app_raising(OurError("none", [KeyError()])).test_client().get("/").status_code == 503

    def test_is_not_looked_for_in_other_groups(self) -> None:
        """A group around it is another error."""
        app = app_raising(ExceptionGroup("several", [exhausted()]))
        assert app.test_client().get("/").status_code == 500


class TestDeadlineExceeded:
    """`DeadlineExceededError`."""

    @pytest.mark.parametrize(
        ("accepted", "body"),
        [
            ("*/*", '{"error":"The providers took too long."}\n'),
            ("text/html", "<p>The providers took too long.</p>"),
        ],
    )
    def test_becomes_504(self, accepted: str, body: str) -> None:
        """It has no `Retry-After`: nobody knows."""
        tried = site("grok")
        tried.app.add_url_rule("/ask", "ask", exhausting(tried, deadline=0))
        answer = tried.get("/ask", headers={"Accept": accepted})
        assert answer.status_code == 504
        assert body in answer.text
        assert "Retry-After" not in answer.headers


class TestOtherErrors:
    """What nobody can say more of than that something went wrong."""

    @pytest.mark.parametrize(
        "error",
        [
            ProviderFailedError("grok failed", provider="grok"),
            ExecutionCancelledError("cancelled"),
            NoProvidersError("no providers"),
            InvalidConfigError("strategy", 7, "must be one"),
            TimeoutError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_are_left_alone(self, error: Exception) -> None:
        """Flask answers 500, and in tests raises them."""
        assert app_raising(error).test_client().get("/").status_code == 500
        with pytest.raises(type(error)):
            app_raising(error, TESTING=True).test_client().get("/")


class TestDevelopment:
    """In tests and while debugging."""

    @pytest.mark.parametrize("config", [{"TESTING": True}, {"DEBUG": True}, {"PROPAGATE_EXCEPTIONS": True}])
    def test_the_answers_are_the_same(self, config: dict[str, object]) -> None:
        """An error that has a handler is none that Flask lets through."""
        assert app_raising(exhausted(), **config).test_client().get("/").status_code == 503
        assert app_raising(DeadlineExceededError("late"), **config).test_client().get("/").status_code == 504


class TestHandlersOfTheApp:
    """What the user has registered wins."""

    @pytest.mark.parametrize("error", [exhausted(), DeadlineExceededError("late")], ids=["exhausted", "late"])
    @pytest.mark.parametrize("comes_first", [True, False])
    def test_for_the_same_class(self, error: Exception, comes_first: bool) -> None:
        """Whether the app had it before the extension came, or after."""
        app = Flask("app")

        def register() -> None:
            app.register_error_handler(type(error), lambda _: ("ours", 418))

        if comes_first:
            register()
        FallbackExec(app, tracker=BreakerCooldownTracker())
        if not comes_first:
            register()
        app.add_url_rule("/", "root", raising(error))
        answer = app.test_client().get("/")
        assert (answer.status_code, answer.text) == (418, "ours")

    def test_of_a_blueprint_for_a_base_class(self) -> None:
        """Flask asks a blueprint's handlers first."""
        app = app_raising(exhausted())
        part = Blueprint("part", __name__)
        part.register_error_handler(FallbackExecError, lambda _: ("ours", 418))
        part.add_url_rule("/part", "part", raising(exhausted()))
        app.register_blueprint(part)
        assert app.test_client().get("/part").status_code == 418
        assert app.test_client().get("/").status_code == 503

    def test_save_for_a_base_class(self) -> None:
        """A handler of all errors is for those that have none of their own: that is how Flask chooses."""
        app = app_raising(exhausted())
        app.register_error_handler(Exception, lambda _: ("any error", 500))
        app.register_error_handler(FallbackExecError, lambda _: ("ours", 418))
        assert app.test_client().get("/").status_code == 503

    def test_of_a_blueprint_for_the_code(self) -> None:
        """A blueprint's page for a 503 comes before the app's."""
        app = app_raising(exhausted())
        app.register_error_handler(503, lambda _: ("of the app", 503))
        part = Blueprint("part", __name__)
        part.register_error_handler(503, lambda _: ("of the part", 503))
        part.add_url_rule("/part", "part", raising(exhausted()))
        app.register_blueprint(part)
        assert app.test_client().get("/part").text == "of the part"
        assert app.test_client().get("/").text == "of the app"

    @pytest.mark.parametrize("kind", [503, ServiceUnavailable, HTTPException])
    def test_for_the_code(self, kind: Any) -> None:
        """The app's own page of a 503 is shown, with the header of ours."""
        app = app_raising(exhausted(29.5))
        seen: list[HTTPException] = []

        def ours(error: HTTPException) -> tuple[str, int]:
            seen.append(error)
            return "our own page", 503

        app.register_error_handler(kind, ours)
        answer = app.test_client().get("/")
        assert (answer.status_code, answer.text) == (503, "our own page")
        assert answer.headers["Retry-After"] == "30"
        assert [error.description for error in seen] == ["No provider can answer at the moment."]

    @pytest.mark.parametrize(
        ("make", "header"),
        [
            (lambda error: error, "30"),
            (lambda error: ("later", 503, {"Retry-After": "5"}), "5"),
            (lambda error: error.get_response(), "30"),
        ],
    )
    def test_for_the_code_may_answer_as_it_likes(self, make: Callable[[Any], Any], header: str) -> None:
        """With the error itself, with its response, or with a header of its own."""
        app = app_raising(exhausted(30))
        app.register_error_handler(503, make)
        answer = app.test_client().get("/")
        assert answer.status_code == 503
        assert answer.headers.getlist("Retry-After") == [header]
