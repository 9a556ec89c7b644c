"""How an app answers when nobody has answered it: 503 and 504, without a word of the providers' errors."""

from __future__ import annotations

import math

from flask import Flask, Response, current_app, jsonify, request
from flask.typing import ErrorHandlerCallable
from werkzeug.exceptions import GatewayTimeout, HTTPException, ServiceUnavailable

from fallback_exec.errors import AllProvidersFailedError, DeadlineExceededError

_JSON, _HTML = "application/json", "text/html"


def register(app: Flask) -> None:
    """Register the handlers, save where the app has one of its own for the same class."""
    # One that is registered later takes the place of ours; of one that was before, only this mapping tells.
    present = app.error_handler_spec[None][None]
    if AllProvidersFailedError not in present:
        app.register_error_handler(AllProvidersFailedError, nobody_answered)
    if DeadlineExceededError not in present:
        app.register_error_handler(DeadlineExceededError, took_too_long)


def nobody_answered(error: AllProvidersFailedError) -> Response:
    """Answer 503, and say when it is worth coming back, where that is known."""
    seconds = error.retry_after
    # HTTP knows whole seconds. 0 would invite a storm while somebody probes.
    retry_after = None if seconds is None else max(1, math.ceil(seconds))
    response = _answer(ServiceUnavailable("No provider can answer at the moment.", retry_after=retry_after))
    if retry_after is not None:
        response.headers.setdefault("Retry-After", str(retry_after))
    return response


def took_too_long(_error: DeadlineExceededError) -> Response:
    """Answer 504."""
    return _answer(GatewayTimeout("The providers took too long."))


def _answer(failure: HTTPException) -> Response:
    """Answer as the app does for that code, where it has a handler; else in short JSON or HTML."""
    own = _handler_of(failure)
    handled = failure if own is None else current_app.ensure_sync(own)(failure)
    response = current_app.make_response(handled)
    if handled is failure:
        if request.accept_mimetypes.best_match([_JSON, _HTML]) != _HTML:
            body = jsonify(error=failure.description)
            response.set_data(body.get_data())
            response.content_type = body.content_type
        response.vary.add("Accept")
        response.cache_control.no_store = True
    return response


def _handler_of(failure: HTTPException) -> ErrorHandlerCallable | None:
    """Return the app's handler for that code or HTTP error, as Flask chooses it.

    One for all exceptions is not for this: it would make any other answer of the 503.
    """
    spec = current_app.error_handler_spec
    kinds = [kind for kind in type(failure).__mro__ if issubclass(kind, HTTPException)]
    places = [spec[name][code] for code in (failure.code, None) for name in (*request.blueprints, None)]
    return next((handlers[kind] for handlers in places for kind in kinds if kind in handlers), None)
