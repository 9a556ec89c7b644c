"""What went wrong: whether it says that nothing was carried out, and how to show it."""

from __future__ import annotations

from redis import exceptions

from fallback_exec._text import class_name, error_text
from fallback_exec.cooldown.store import NotAppliedError

# A server's answers that redis-py raises as if the connection had been lost.
_ANSWERS = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.BusyLoadingError)
_FULL = "max number of clients reached"


class NotDoneError(Exception):
    """Nothing was carried out.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__("nothing was carried out")
        self.reason = reason


def is_answer(error: Exception) -> bool:
    """Return whether the server answered with it, so that it has carried out nothing.

    The script's last step that can fail is its write, and what keeps it from beginning is said before.
    """
    return (
        isinstance(error, (exceptions.ResponseError, *_ANSWERS))
        # Raised in its place by Sentinel's connections.
        or isinstance(error.__context__, exceptions.ReadOnlyError)
        or (isinstance(error, exceptions.ConnectionError) and str(error) == _FULL)
    )


def not_applied(reason: Exception) -> NotAppliedError:
    """Return what says that nothing was carried out, for that reason."""
    error = NotAppliedError(f"{class_name(reason)}: {error_text(reason)}")
    error.__cause__ = shown(reason)
    return error


def shown(error: Exception) -> Exception:
    """Return the error as it may be shown: without credentials, and without those that led to it."""
    if not isinstance(error, exceptions.RedisError):
        # Its text may be made of anything.
        return exceptions.ConnectionError(f"{class_name(error)}: {error_text(error)}")
    error.args = (error_text(error),)
    error.__cause__ = error.__context__ = error.__traceback__ = None
    return error
