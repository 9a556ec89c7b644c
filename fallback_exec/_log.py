"""What is logged: the Go executor's texts, levels and keys."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any, TypeAlias

from fallback_exec._text import Redact, error_text, name_text, whole_seconds
from fallback_exec.redaction import redact

#: What a user may pass as a logger.
Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"

#: The logger that is used where none is given.
default_logger = logging.getLogger("fallback_exec")


def _rounded(seconds: float, _redact: Redact) -> float:
    return whole_seconds(seconds)


# How a field's value is written, by its key; other values are logged as they are.
_WRITTEN: dict[str, Callable[[Any, Redact], object]] = {
    "provider": name_text,
    "error": error_text,
    "cooldown": _rounded,
    "cooldown_remaining": _rounded,
}


class Event:
    """A kind of log record: a level, a text, and the keys of its fields in order.

    The template is constant, `"text key=%s key=%s"`, so that tools can group records by it.

    Attributes:
        level: Of `logging`.
        template: The text with a place for each field.
        fields: Of each field that is logged, its key, its place among the values that `emit()` is
            given, and how its value is written, None: as it is.
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
# Not of the Go code, which has no streams, and where neither a tracker, a classifier nor a logger can raise.
TRACKER_FAILED = Event(ERROR, "cooldown tracker failed", "provider", "call", "error")
SERVING_STALE = Event(WARNING, "serving a stale answer", "provider", "age", "error")
NOT_REMEMBERED = Event(ERROR, "answer not remembered", "provider", "error")
NOT_SERVED = Event(ERROR, "stale answer not served", "error")
OVERFLOWS = Event(WARNING, "more providers are cooling down than", "max_providers")
STREAM_FAILED = Event(WARNING, "provider failed mid-stream", "provider", "error", "attempt", "is_terminus")
NOT_CLOSED = Event(WARNING, "stream could not be closed", "error")
CLASSIFIER_FAILED = Event(ERROR, "classifier failed", "provider", "error")
STORE_AWAY = Event(WARNING, "store of cooldowns is away, this process goes on by itself", "error")
STORE_BACK = Event(WARNING, "store of cooldowns is back")
RECORD_UNUSABLE = Event(
    ERROR, "record of cooldowns is unusable, this process goes on by itself", "provider", "error"
)
LISTENER_FAILED = Event(ERROR, "listener failed", "listener", "event", "error")
LOGGING_FAILED = Event(ERROR, "logging failed", "event", "error")


class Log:
    """Where events are logged, and what masks the credentials in their texts."""

    __slots__ = ("logger", "redact")

    def __init__(self, logger: Logger, redact: Redact) -> None:
        self.logger = logger
        self.redact = redact

    def emit(self, event: Event, *values: object) -> None:
        """Log the event with the values that it is given; never raises an `Exception`.

        Nothing is formatted while the level is off. An error of the user's logger or of one of its filters
        is logged once, to the library's own logger.
        """
        try:
            if self.logger.isEnabledFor(event.level):
                self._emit(event, values)
        except Exception as error:
            with contextlib.suppress(Exception):  # nowhere is left to say it
                default_log._emit(LOGGING_FAILED, (event.template, error))

    def _emit(self, event: Event, values: tuple[object, ...]) -> None:
        extra = {
            key: values[place] if write is None else write(values[place], self.redact)
            for key, place, write in event.fields
        }
        logger = self.logger
        message: Any = event.template
        options: dict[str, Any] = {"extra": extra}
        # A LoggerAdapter overwrites `extra` with its own: what it adds is merged here instead.
        while isinstance(logger, logging.LoggerAdapter):
            message, processed = logger.process(message, dict(options))
            options = {
                **options,
                **processed,
                "extra": {**(processed.get("extra") or {}), **options["extra"]},
            }
            logger = logger.logger
        logger.log(event.level, message, *extra.values(), **options)


#: For what is logged where no config is known.
default_log = Log(default_logger, redact)
