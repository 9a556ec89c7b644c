"""What is logged: the Go executor's texts, levels and keys."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any, TypeAlias

from fallback_exec._text import error_text, one_line, whole_seconds

#: What a user may pass as a logger.
Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"

#: The logger that is used where none is given.
default_logger = logging.getLogger("fallback_exec")

# How a field's value is written, by its key; other values are logged as they are.
_WRITTEN: dict[str, Callable[[Any], object]] = {
    "provider": one_line,
    "error": error_text,
    "cooldown": whole_seconds,
    "cooldown_remaining": whole_seconds,
}


class Event:
    """A kind of log record: a level, a text, and the keys of its fields in order.

    The template is constant, `"text key=%s key=%s"`, so that tools can group records by it.

    Attributes:
        level: Of `logging`.
        template: The text with a place for each field.
        fields: Of each field that is logged, its key, its place among the values that `emit()` is given,
            and how its value is written, None: as it is.
    """

    __slots__ = ("fields", "level", "template")

    def __init__(self, level: int, text: str, *keys: str, given: tuple[str, ...] | None = None) -> None:
        self.level = level
        self.template = " ".join([text, *(f"{key}=%s" for key in keys)])
        # More is given than is logged where several events share a place.
        places = keys if given is None else given
        self.fields = tuple((key, places.index(key), _WRITTEN.get(key)) for key in keys)


_FAILURE = ("provider", "error", "attempt", "is_terminus", "index", "latency")

SKIPPING = Event(DEBUG, "skipping provider in cooldown", "provider", "cooldown_remaining")
DESPITE_COOLDOWN = Event(
    INFO, "attempting terminus provider despite cooldown", "provider", "cooldown_remaining", "reason"
)
ATTEMPTING = Event(
    DEBUG, "attempting provider", "provider", "attempt", "is_terminus", "provider_index", "total_providers"
)
SUCCEEDED = Event(INFO, "succeeded on fallback provider", "provider", "attempt", "latency", "is_terminus")
ENTERING_COOLDOWN = Event(WARNING, "provider entering cooldown", "provider", "cooldown", "error")
FAILED = Event(WARNING, "provider failed", "provider", "error", "attempt", "is_terminus", given=_FAILURE)
PRIMARY_FAILED = Event(ERROR, "primary provider failed", "provider", "error", "latency", given=_FAILURE)
ROUND_ROBIN_FAILED = Event(
    ERROR, "round-robin provider failed", "provider", "index", "error", "latency", given=_FAILURE
)
# Not of the Go code, where neither a tracker nor a logger can raise.
TRACKER_FAILED = Event(ERROR, "cooldown tracker failed", "provider", "call", "error")
OVERFLOWS = Event(WARNING, "more providers are cooling down than", "max_providers")
LOGGING_FAILED = Event(ERROR, "logging failed", "event", "error")


def emit(logger: Logger, event: Event, *values: object) -> None:
    """Log the event with the values that it is given; never raises an `Exception`.

    Nothing is formatted while the level is off. An error of the user's logger or of one of its filters
    is logged once, to the library's own logger.
    """
    try:
        if logger.isEnabledFor(event.level):
            _emit(logger, event, values)
    except Exception as error:
        with contextlib.suppress(Exception):  # nowhere is left to say it
            _emit(default_logger, LOGGING_FAILED, (event.template, error))


def _emit(logger: Logger, event: Event, values: tuple[object, ...]) -> None:
    extra = {
        key: values[place] if write is None else write(values[place]) for key, place, write in event.fields
    }
    message: Any = event.template
    options: dict[str, Any] = {"extra": extra}
    # A LoggerAdapter overwrites `extra` with its own: what it adds is merged here instead.
    while isinstance(logger, logging.LoggerAdapter):
        message, processed = logger.process(message, dict(options))
        options = {**options, **processed, "extra": {**(processed.get("extra") or {}), **options["extra"]}}
        logger = logger.logger
    logger.log(event.level, message, *extra.values(), **options)
