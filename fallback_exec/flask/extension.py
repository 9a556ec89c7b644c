"""The extension: what it registers with an app, and its blueprint."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable

from flask import Blueprint, Flask, current_app
from flask.typing import ResponseReturnValue

from fallback_exec import _checks
from fallback_exec.cooldown.breaker import BreakerCooldownTracker
from fallback_exec.errors import InvalidConfigError
from fallback_exec.flask import controls, error_handlers, health, page
from fallback_exec.flask.watched import Watched
from fallback_exec.recorder import Recorder


class FallbackExec:
    """Answers 503 and 504 for errors of `execute()`, and has a health check and a status page.

    `AllProvidersFailedError` becomes 503, with `Retry-After` where it is known, and `DeadlineExceededError`
    504: by the app's own handlers for these classes or these codes where it has any, else in short JSON or
    HTML that tells nothing of the providers' errors. All other errors are left alone.

    `blueprint` has two views: `health`, JSON for machines, and the root, a page for operators. They are there
    once you register it, under a prefix of yours. Who may see them is up to you.

    One extension may serve several apps. What follows is taken by `init_app()`, too, and holds for that app.

    Args:
        app: An app to begin with: short for `init_app(app)`.
        tracker: The tracker whose states are shown.
        recorder: A recorder of yours to draw from; by default one of the extension's own.
        providers: Names of providers to show even before they are first called, in order.
        controls: Whether the page has buttons that cool providers down and reset them. The app needs a
            `SECRET_KEY` then, and you have to say who may see the page: see the docs.

    Attributes:
        blueprint: To be registered once or more: `app.register_blueprint(ext.blueprint, url_prefix=...)`.
        recorder: What the timeline is drawn from, once it is one of an `ExecuteConfig`'s `listeners`; for all
            apps that are given none of their own.

    Raises:
        InvalidConfigError: a setting cannot be used.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        tracker: BreakerCooldownTracker | None = None,
        recorder: Recorder | None = None,
        providers: Iterable[str] = (),
        controls: bool = False,
    ) -> None:
        self.recorder = Recorder() if recorder is None else _recorder(recorder)
        self._tracker = tracker
        self._providers = _names(providers)
        self._has_controls = _controls(controls)
        # Written while apps are built, and only read by requests. No app lives on because of it.
        self._watched: weakref.WeakKeyDictionary[Flask, Watched] = weakref.WeakKeyDictionary()
        self.blueprint = self._build_blueprint()
        if app is not None:
            self.init_app(app)

    def init_app(
        self,
        app: Flask,
        *,
        tracker: BreakerCooldownTracker | None = None,
        recorder: Recorder | None = None,
        providers: Iterable[str] | None = None,
        controls: bool | None = None,
    ) -> None:
        """Register the error handlers with an app, and remember what its page shows.

        What is left out is as it was given to the constructor. The extension is to be found again as
        `app.extensions["fallback_exec"]`.

        Raises:
            InvalidConfigError: a setting cannot be used; or no tracker was given, here or before.
        """
        if not isinstance(app, Flask):
            raise InvalidConfigError("app", app, "must be a Flask app")
        tracker = self._tracker if tracker is None else tracker
        if not isinstance(tracker, BreakerCooldownTracker):
            raise InvalidConfigError("tracker", tracker, "must be a BreakerCooldownTracker")
        self._watched[app] = Watched(
            tracker=tracker,
            recorder=self.recorder if recorder is None else _recorder(recorder),
            providers=self._providers if providers is None else _names(providers),
            has_controls=self._has_controls if controls is None else _controls(controls),
        )
        error_handlers.register(app)
        app.extensions["fallback_exec"] = self

    def _build_blueprint(self) -> Blueprint:
        blueprint = Blueprint("fallback_exec", "fallback_exec.flask")
        blueprint.add_url_rule("/", "page", self._view(page.page))
        blueprint.add_url_rule("/health", "health", self._view(health.health))
        blueprint.add_url_rule("/cool-down", "cool_down", self._view(controls.cool_down), methods=["POST"])
        blueprint.add_url_rule("/reset", "reset", self._view(controls.reset), methods=["POST"])
        return blueprint

    def _view(self, view: Callable[[Watched], ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
        def watching(**_of_the_prefix: object) -> ResponseReturnValue:
            watched = self._watched.get(current_app._get_current_object())  # type: ignore[attr-defined]
            if watched is None:
                raise RuntimeError("the blueprint is registered, but init_app() was not called for this app")
            return view(watched)

        return watching


def _recorder(recorder: Recorder) -> Recorder:
    if not isinstance(recorder, Recorder):
        raise InvalidConfigError("recorder", recorder, "must be a fallback_exec.recorder.Recorder")
    return recorder


def _names(providers: Iterable[str]) -> tuple[str, ...]:
    if isinstance(providers, str) or not isinstance(providers, Iterable):
        raise InvalidConfigError("providers", providers, "must be an iterable of names")
    return tuple(_checks.name("providers", name) for name in providers)


def _controls(controls: bool) -> bool:
    # What an environment's variable says is a string, and "0" is as true as "false".
    if type(controls) is not bool:
        raise InvalidConfigError("controls", controls, "must be True or False")
    return controls
