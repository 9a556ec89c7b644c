"""Cooling down and resetting providers by hand: by POST, with a token that only the page hands out.

The token is a secret of the browser's own cookie, signed with the app's key. So nothing is kept, and any
worker can check what another one has handed out.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import cast

import attrs
from flask import abort, current_app, redirect, request, url_for
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from fallback_exec.errors import InvalidConfigError
from fallback_exec.flask.watched import Watched, key

_COOKIE = "fallback_exec_controls"
_SALT = "fallback_exec.flask.controls"
#: Seconds. The page renews its token every few seconds for as long as somebody sees it.
_TOKEN_LASTS = 3600
_SECRET = re.compile(r"[\w-]{43}", re.ASCII)  # token_urlsafe(32)


@attrs.frozen
class Token:
    """What the page's forms bring with them.

    Attributes:
        token: For the forms.
        secret: For the cookie.
    """

    token: str
    secret: str

    def set_cookie(self, response: Response) -> None:
        """Set the cookie that the token belongs to."""
        response.set_cookie(
            _COOKIE,
            self.secret,
            path=address("page"),
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )


def address(view: str) -> str:
    """Return the path of another view below the prefix of this request, which may have variables."""
    return url_for(f".{view}", **(request.view_args or {}))


def hand_out() -> Token:
    """Return a token for the browser that asks.

    Raises:
        InvalidConfigError: the app has no `SECRET_KEY`.
    """
    secret = request.cookies.get(_COOKIE, "")
    if not _SECRET.fullmatch(secret):  # kept where there is one: several tabs have the same
        secret = secrets.token_urlsafe(32)
    return Token(str(_signer().dumps(secret)), secret)


def cool_down(watched: Watched) -> Response:
    """Start a cooldown of the provider that the form names."""
    watched.tracker.cool_down(_asked_for(watched))
    return _back()


def reset(watched: Watched) -> Response:
    """Close the breaker of the provider that the form names."""
    watched.tracker.reset(_asked_for(watched))
    return _back()


def _asked_for(watched: Watched) -> str:
    """Return the name of the provider; refuse who may not ask, and names that nobody knows."""
    if not watched.has_controls:
        abort(404)
    _check_token()
    asked = request.form.get("provider", "")
    names = {key(name): name for name in (*watched.providers, *watched.tracker.snapshot())}
    if asked not in names:
        abort(404, "No such provider is known here. Another worker may know it.")
    return names[asked]


def _check_token() -> None:
    # Who controls a subdomain can set cookies for this host. Browsers say where a request comes from.
    is_from_elsewhere = request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"
    cookie = request.cookies.get(_COOKIE, "")
    try:
        secret = str(_signer().loads(request.form.get("token", ""), max_age=_TOKEN_LASTS))
    except BadData:
        secret = ""
    is_genuine = hmac.compare_digest(secret.encode("utf-8", "replace"), cookie.encode("utf-8", "replace"))
    if is_from_elsewhere or not secret or not is_genuine:
        abort(403, "The token is missing, too old, or not of this browser. Load the page again.")


def _signer() -> URLSafeTimedSerializer:
    present = current_app.secret_key
    if not present:
        raise InvalidConfigError("SECRET_KEY", present, "must be set in an app that has controls=True")
    former = current_app.config.get("SECRET_KEY_FALLBACKS") or ()
    keys = cast("list[str]", [*former, present])  # or bytes, of which it bears a mixture, too
    return URLSafeTimedSerializer(keys, salt=_SALT)  # the last one signs


def _back() -> Response:
    return redirect(address("page"), 303)
