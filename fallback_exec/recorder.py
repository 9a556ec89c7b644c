"""A listener that keeps the last hour: what the status page and `python -m fallback_exec timeline` draw from.

>>> import io
>>> from fallback_exec import ExecuteConfig, NamedProvider, execute
>>> recorder = Recorder()
>>> config = ExecuteConfig(listeners=[recorder])
>>> execute([NamedProvider("a", None)], config, lambda provider: "an answer").response
'an answer'
>>> [type(event).__name__ for event in recorder.events()]
['AttemptSucceeded', 'ExecutionFinished']
>>> file = io.StringIO()
>>> recorder.dump(file)
>>> file.seek(0)
0
>>> load(file) == recorder.events()
True
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import IO, Any, NoReturn

import attrs

from fallback_exec import _checks, _clock, _forks, events
from fallback_exec._checks import Seconds
from fallback_exec._text import Redact, class_name, error_text, name_text
from fallback_exec.errors import InvalidConfigError, StandInError, stand_in
from fallback_exec.events import Event, ExecutionOutcome
from fallback_exec.redaction import MAX_LENGTH, redact
from fallback_exec.results import Outcome

_KINDS = {
    kind.__name__: kind
    for kind in (
        events.ProviderSkipped,
        events.AttemptFailed,
        events.CooldownStarted,
        events.AttemptSucceeded,
        events.CooldownEnded,
        events.ExecutionFinished,
    )
}


_FIRST_YEAR = 1970  # no clock is set earlier; spans that end near the year 1 have no beginning


class Recorder:
    """Keeps the events of the last hour, in the order in which they came.

    Of an error it keeps its type's name and its text, without credentials, as a `StandInError`: no frame and
    no answer lives on because of it. Safe for concurrent use, in a signal's handler too, and in a forked
    child, which begins with the parent's events.

    Args:
        seconds: How long an event is kept, by its own time; seconds or a timedelta.
        max_events: How many are kept at most; the oldest go first. An event takes some 300 bytes, one with an
            error some 700, and up to 2,000 characters more where its text is long.
        redact: Masks credentials in the texts of errors, and in the names that are written; by default
            `fallback_exec.redact`.

    Raises:
        InvalidConfigError: a setting is out of its range or of the wrong type.
    """

    def __init__(
        self, seconds: Seconds = 3600.0, max_events: int = 100_000, *, redact: Redact = redact
    ) -> None:
        self._kept_for = dt.timedelta(seconds=_checks.positive_seconds("seconds", seconds))
        self._redact = _checks.function("redact", redact)
        # Guarded by the lock, which is reentrant: a signal's handler may execute, too.
        self._events: deque[Event] = deque(maxlen=_checks.whole("max_events", max_events))
        self._since = _clock.now()
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    def __call__(self, event: Event) -> None:
        """Keep an event, and forget those that are too old."""
        if event.error is not None:
            event = attrs.evolve(event, error=self._stand_in(event.error))
        with self._lock:
            self._forget_locked()
            if len(self._events) == self._events.maxlen:
                self._since = max(self._since, self._events[0].time)
            self._events.append(event)

    @property
    def since(self) -> dt.datetime:
        """Since when no event is missing, aware, in UTC.

        That is `seconds` ago; or later, where it was built or cleared later, or was full then.
        """
        now = _clock.now()
        with self._lock:
            since = self._since
        return max(now - self._kept_for, min(since, now))  # the clock may have been set back

    def events(self) -> list[Event]:
        """Return the events that are kept, in the order in which they came."""
        oldest = self._oldest()
        with self._lock:
            self._forget_locked()
            kept = list(self._events)
        # Also behind one that was told with a clock that has been set back meanwhile.
        return [event for event in kept if event.time > oldest]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._events.clear()
            self._since = _clock.now()

    def dump(self, file: IO[str]) -> None:
        """Write the events that are kept as JSON lines; `load()` reads them.

        Each line is an object: `event`, the class's name, and its attributes by their names; `time` in ISO
        8601, `provider` in one line and without credentials, `error` with its `type` and `text`, or null. All
        of it is ASCII, whatever the file's encoding.
        """
        file.writelines(f"{json.dumps(_as_json(event, self._redact))}\n" for event in self.events())

    def _stand_in(self, error: BaseException) -> StandInError:
        kept = stand_in(error, self._redact)
        text = str(kept)
        # A function of the user's may leave all of a text, which with some vendors is a whole page.
        return kept if len(text) <= MAX_LENGTH else StandInError(kept.type_name, text[:MAX_LENGTH])

    def _oldest(self) -> dt.datetime:
        return _clock.now() - self._kept_for

    def _forget_locked(self) -> None:
        oldest = self._oldest()
        # A signal's handler may come by after each call, not between the look and what follows from it.
        while self._events and self._events[0].time <= oldest:
            self._events.popleft()

    def __repr__(self) -> str:
        return f"<Recorder of {len(self._events)} events>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Recorder cannot be pickled or copied: dump its events instead")

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()


def load(file: Iterable[str]) -> list[Event]:
    """Read events from JSON lines, as `Recorder.dump()` writes them: a text file, or any lines.

    Empty lines are passed over, and fields that are not known.

    Raises:
        InvalidConfigError: a line is no event; it tells which one, and what is wrong with it.
    """
    loaded = []
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                loaded.append(_from_json(line))
            except ValueError as error:
                rule = f"must be an event of a Recorder: {error_text(error)}"
                raise InvalidConfigError(f"line {number}", line.rstrip("\n"), rule) from error
    return loaded


def _as_json(event: Event, redact: Redact) -> dict[str, Any]:
    facts: dict[str, Any] = {"event": type(event).__name__}
    for field in attrs.fields(type(event)):
        value = getattr(event, field.name)
        if value is not None:
            match field.name:
                case "time":
                    value = value.isoformat()
                case "provider":
                    value = name_text(value, redact)
                case "error":
                    value = {"type": value.type_name, "text": str(value)}
                case "latency" | "cooldown_remaining":
                    value = float(min(max(0.0, value), _checks.LONGEST))  # JSON has neither infinity nor NaN
        facts[field.name] = value
    return facts


def _from_json(line: str) -> Event:
    facts = _object(line)
    kind = _KINDS.get(str(facts.get("event")))
    if kind is None:
        raise ValueError(f"'event' must be one of {', '.join(_KINDS)}")
    read: dict[str, Any] = {}
    for field in attrs.fields(kind):
        value = facts.get(field.name)
        if value is None and (kind, field.name) in _MAY_BE_NULL:
            read[field.name] = None
            continue
        try:
            read_value = _OUTCOMES[kind] if field.name == "outcome" else _READ[field.name]
            read[field.name] = read_value(value)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{field.name!r}: {error_text(error)}") from error
    return kind(**read)


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON, {error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    facts: dict[str, Any] = _exactly(dict)(value)
    return facts


def _exactly(*types: type) -> Callable[[object], Any]:
    def check(value: object) -> object:
        if type(value) not in types:
            raise ValueError(f"must be of type {types[0].__name__}, not {class_name(value)}")
        return value

    return check


def _count(value: object) -> int:
    count: int = _exactly(int)(value)
    if count < 0:
        raise ValueError("must be 0 or more")
    return count


def _seconds(value: object) -> float:
    seconds = float(_exactly(float, int)(value))
    if not 0.0 <= seconds <= _checks.LONGEST:
        raise ValueError(f"must be a number of seconds from 0 to {_checks.LONGEST:g}")
    return seconds


def _moment(value: object) -> dt.datetime:
    moment = dt.datetime.fromisoformat(_exactly(str)(value))
    if moment.tzinfo is None:
        raise ValueError("must have an offset from UTC")
    moment = moment.astimezone(dt.UTC)
    if moment.year < _FIRST_YEAR:
        raise ValueError(f"must not be before {_FIRST_YEAR}")
    return moment


def _error(value: object) -> StandInError:
    told = _exactly(dict)(value)
    text = _exactly(str)
    return StandInError(text(told.get("type")), text(told.get("text")))


#: How the value of each field is read, by its name, but for an outcome.
_READ: dict[str, Callable[[object], object]] = {
    "execution_id": _exactly(str),
    "time": _moment,
    "provider": _exactly(str),
    "attempt_num": _count,
    "latency": _seconds,
    "error": _error,
    "was_terminus": _exactly(bool),
    "cooldown_remaining": _seconds,
}
#: What an event's outcome is one of.
_OUTCOMES: dict[type[Event], Callable[[Any], object]] = {
    events.AttemptFailed: Outcome,
    events.AttemptSucceeded: Outcome,
    events.ExecutionFinished: ExecutionOutcome,
}
_MAY_BE_NULL = {
    (events.ProviderSkipped, "attempt_num"),
    (events.ProviderSkipped, "error"),
    (events.AttemptFailed, "cooldown_remaining"),
    (events.AttemptSucceeded, "error"),
    (events.CooldownEnded, "error"),
    (events.ExecutionFinished, "provider"),
    (events.ExecutionFinished, "error"),
}
