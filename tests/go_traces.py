"""The recorded runs of the Go executor: read them, replay them against this library, compare.

A scenario is one configuration and some steps; a step is one call of `execute()`. What the Go code did in a
step and what this library did have the same shape, `Observation`, so that comparing is walking both at once.
"""

import gzip
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, NotRequired, TypeAlias, TypedDict, cast

from freezegun import freeze_time

import fallback_exec
from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    CooldownTracker,
    Deadline,
    ExecuteConfig,
    ExecuteResult,
    ExecutionCancelledError,
    InvalidConfigError,
    NoProvidersError,
    ProviderFailedError,
    RoundRobinIndex,
    execute,
)

TRACES: Final = Path(__file__).with_name("traces") / "go_executor.jsonl.gz"

# Any start will do. It is fixed so that a replay which fails once always fails.
START: Final = datetime(2024, 1, 1, tzinfo=UTC)

# The fields of each log record in the order of the Go code; the traces, sorted by key, have lost it.
FIELDS_IN_ORDER: Final = {
    "primary provider failed": ("provider", "error", "latency"),
    "round-robin provider failed": ("provider", "index", "error", "latency"),
    "skipping provider in cooldown": ("provider", "cooldown_remaining"),
    "attempting terminus provider despite cooldown": ("provider", "cooldown_remaining", "reason"),
    "attempting provider": ("provider", "attempt", "is_terminus", "provider_index", "total_providers"),
    "succeeded on fallback provider": ("provider", "attempt", "latency", "is_terminus"),
    "provider entering cooldown": ("provider", "cooldown", "error"),
    "provider failed": ("provider", "error", "attempt", "is_terminus"),
}

GO_ERRORS: Final[dict[type[Exception], str]] = {
    NoProvidersError: "no_providers",
    InvalidConfigError: "invalid_config",
    AllProvidersFailedError: "all_failed",
    ProviderFailedError: "provider_failed",
    ExecutionCancelledError: "cancelled",
}

# What our texts may say after Go's: the argument and its value, the last error, the group's size. Each is as
# loose as it can be while a Go text that was cut short, at a colon or a bracket too, does not pass.
ADDED_TO_ERRORS: Final = {
    "no_providers": r": .+",
    "invalid_config": r": strategy .+",
    "all_failed": r" \(\d+ sub-exceptions?\)",
    "cancelled": r": .+",
}

# slog says WARN where logging says WARNING; the other names agree.
GO_LEVELS: Final = {"WARNING": "WARN"}

# What every LogRecord has; whatever else one has came in by `extra=`.
STANDARD_ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({})))


class LogLine(TypedDict):
    """A log record: `message` is the Go text alone, `text` the whole line with its fields."""

    level: str
    message: str
    fields: dict[str, object]
    text: str


class TrackerCall(TypedDict):
    """A call to one of the three Go methods and what it returned."""

    method: str
    provider: str
    returned: object


class Outcome(TypedDict):
    """What the caller of `execute()` got: an answer or an error, the other one's part empty."""

    response: str | None
    provider: str | None
    latency_s: float
    attempt_num: int
    was_terminus: bool
    error: str
    error_text: str


class Observation(Outcome):
    """What came of one step: in Go, by the traces, or here, by a replay."""

    called: list[str]
    logs: list[LogLine]
    tracker_calls: list[TrackerCall]


class Answer(TypedDict):
    """What a provider does in a step when it is called."""

    ok: bool
    takes_s: float
    cancel: NotRequired[bool]


class Step(TypedDict):
    """One call of `execute()`, after the clock has moved by `advance_s`."""

    advance_s: float
    providers: list[str]
    outcomes: dict[str, Answer]
    expect: Observation


class TrackerSettings(TypedDict):
    """What a scenario's tracker is built with."""

    fail_max: int
    reset_timeout_s: float


class Scenario(TypedDict):
    """One configuration, and the steps that share it."""

    id: int
    strategy: str
    exempt: list[str]
    tracker: TrackerSettings | None
    round_robin_index: bool
    steps: list[Step]


def load(path: Path = TRACES) -> list[Scenario]:
    """Return all scenarios in the order of the file, what they expect in the shape of an `Observation`."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        scenarios: list[Scenario] = [json.loads(line) for line in lines]
    for scenario in scenarios:
        for step in scenario["steps"]:
            step["expect"] = _expectation(cast("dict[str, Any]", step["expect"]))
    return scenarios


def _expectation(raw: dict[str, Any]) -> Observation:
    """Fill in what Go omits when empty, and make durations floats: JSON has whole ones as ints."""
    return Observation(
        response=raw.get("response"),
        provider=raw.get("provider"),
        latency_s=float(raw["latency_s"]),
        attempt_num=raw["attempt_num"],
        was_terminus=raw["was_terminus"],
        error=raw["error"],
        error_text=raw.get("error_text", ""),
        called=raw["called"],
        logs=[_expected_log(log) for log in raw["logs"]],
        tracker_calls=[_expected_call(*call) for call in raw["tracker_calls"]],
    )


def _expected_log(raw: dict[str, Any]) -> LogLine:
    message, fields = raw["message"], dict(raw["fields"])
    if "latency" in fields:
        fields["latency"] = float(fields["latency"])
    text = " ".join([message, *(f"{key}={fields[key]}" for key in FIELDS_IN_ORDER[message])])
    return LogLine(level=raw["level"], message=message, fields=fields, text=text)


def _expected_call(method: str, provider: str, returned: bool | float) -> TrackerCall:
    value = float(returned) if method == "cooldown_remaining" else returned
    return TrackerCall(method=method, provider=provider, returned=value)


class ThreeMethodTracker(CooldownTracker):
    """The tracker behind the traces: the three Go methods, no more, each call to them written down.

    The Go interface has no word for success. The harness told the tracker, and so does the replay.
    """

    def __init__(self, fail_max: int, reset_timeout: float) -> None:
        self._calls: list[TrackerCall] = []
        self._fail_max = fail_max
        self._reset_timeout = timedelta(seconds=reset_timeout)
        self._failures: dict[str, int] = {}
        self._ends: dict[str, datetime] = {}

    def is_available(self, name: str) -> bool:
        """Return True when no cooldown runs."""
        available = self._remaining(name) == 0.0
        self._note("is_available", name, available)
        return available

    def cooldown_remaining(self, name: str) -> float:
        """Return the seconds until the cooldown ends, 0.0 when none runs."""
        remaining = self._remaining(name)
        self._note("cooldown_remaining", name, remaining)
        return remaining

    def record_failure(self, name: str, error: Exception) -> bool:
        """Count the failure; return True when it started a cooldown."""
        started = self._fail(name)
        self._note("record_failure", name, started)
        return started

    def succeeded(self, name: str) -> None:
        """Close, whatever the state was."""
        self._failures.pop(name, None)
        self._ends.pop(name, None)

    def take(self) -> list[TrackerCall]:
        """Return the calls since this was last asked."""
        taken, self._calls = self._calls, []
        return taken

    def _fail(self, name: str) -> bool:
        if self._remaining(name) > 0.0:
            return False
        self._failures[name] = self._failures.get(name, 0) + 1
        # A failure after an elapsed cooldown opens again at once: the count still stands at fail_max.
        if self._failures[name] < self._fail_max:
            return False
        self._ends[name] = datetime.now(UTC) + self._reset_timeout
        return True

    def _remaining(self, name: str) -> float:
        now = datetime.now(UTC)
        return max((self._ends.get(name, now) - now).total_seconds(), 0.0)

    def _note(self, method: str, name: str, returned: object) -> None:
        self._calls.append(TrackerCall(method=method, provider=name, returned=returned))


#: Moves the frozen clock.
Tick: TypeAlias = Callable[[timedelta], object]

#: Builds the tracker of a scenario.
MakeTracker: TypeAlias = Callable[[TrackerSettings], CooldownTracker]


def three_method_tracker(settings: TrackerSettings) -> CooldownTracker:
    """Return a tracker that has what Go's had."""
    return ThreeMethodTracker(settings["fail_max"], settings["reset_timeout_s"])


def breaker_tracker(settings: TrackerSettings) -> CooldownTracker:
    """Return the tracker that users have."""
    return BreakerCooldownTracker(fail_max=settings["fail_max"], reset_timeout=settings["reset_timeout_s"])


@dataclass(frozen=True)
class NamedOnly:
    """A provider of the traces: a name, and its script knows the rest."""

    name: str


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._lines: list[LogLine] = []

    def take(self) -> list[LogLine]:
        """Return the lines since this was last asked."""
        taken, self._lines = self._lines, []
        return taken

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        # Every Go message is followed by its provider, so the Go message is what stands before that.
        message = text.partition(" provider=")[0]
        fields = {key: value for key, value in vars(record).items() if key not in STANDARD_ATTRIBUTES}
        level = GO_LEVELS.get(record.levelname, record.levelname)
        self._lines.append(LogLine(level=level, message=message, fields=fields, text=text))


@contextmanager
def _exempt(names: list[str]) -> Iterator[None]:
    exempt = fallback_exec.EXEMPT_PROVIDERS
    before = exempt.copy()
    try:
        _refill(exempt, names)
        yield
    finally:
        _refill(exempt, before)


def _refill(names: set[str], content: Iterable[str]) -> None:
    names.clear()
    names.update(content)


class _Rig:
    """What the steps of one scenario share."""

    def __init__(self, scenario: Scenario, make_tracker: MakeTracker, tick: Tick) -> None:
        settings = scenario["tracker"]
        self._tracker = None if settings is None else make_tracker(settings)
        self._tick = tick
        self._collector = _Collector()
        # One of its own: nothing that another test does to the logging tree reaches it.
        logger = logging.Logger("go_traces", logging.DEBUG)  # noqa: LOG001  # getLogger's are in that tree
        logger.addHandler(self._collector)
        self._config = ExecuteConfig(
            strategy=scenario["strategy"],
            cooldown=self._tracker,
            logger=logger,
            round_robin_index=RoundRobinIndex() if scenario["round_robin_index"] else None,
        )

    def observe(self, index: int, step: Step) -> Observation:
        """Run one step and write down what came of it."""
        called: list[str] = []
        deadline = Deadline()

        def fn(provider: NamedOnly) -> str:
            called.append(provider.name)
            return self._answer(provider.name, index, step["outcomes"][provider.name], deadline)

        self._tick(timedelta(seconds=step["advance_s"]))
        providers = [NamedOnly(name) for name in step["providers"]]
        try:
            outcome = _answered(execute(providers, self._config, fn, deadline=deadline))
        except Exception as error:
            # One that Go has no word for is a difference too, and the step should be named.
            outcome = _failed(error)
        calls = self._tracker.take() if isinstance(self._tracker, ThreeMethodTracker) else []
        return {**outcome, "called": called, "logs": self._collector.take(), "tracker_calls": calls}

    def _answer(self, name: str, index: int, answer: Answer, deadline: Deadline) -> str:
        self._tick(timedelta(seconds=answer["takes_s"]))
        if answer.get("cancel", False):
            deadline.cancel()
        if not answer["ok"]:
            raise ConnectionError(f"{name} is down (step {index})")
        if isinstance(self._tracker, ThreeMethodTracker):
            self._tracker.succeeded(name)
        return f"answer from {name}"


def _answered(result: ExecuteResult[str]) -> Outcome:
    return Outcome(
        response=result.response,
        provider=result.provider,
        latency_s=result.latency,
        attempt_num=result.attempt_num,
        was_terminus=result.was_terminus,
        error="",
        error_text="",
    )


def _failed(error: Exception) -> Outcome:
    return Outcome(
        response=None,
        provider=None,
        latency_s=0.0,
        attempt_num=0,
        was_terminus=False,
        error=GO_ERRORS.get(type(error), type(error).__name__),
        error_text=str(error),
    )


def replay(scenario: Scenario, make_tracker: MakeTracker) -> list[Observation]:
    """Run a scenario in frozen time and return one observation a step.

    Go learns of an unknown strategy in every step, and only after it has looked for providers; this library
    refuses it once, when the config is built. The difference is meant: that one refusal stands for all steps.
    """
    with freeze_time(START, tick=False) as clock, _exempt(scenario["exempt"]):
        try:
            rig = _Rig(scenario, make_tracker, clock.tick)
        except InvalidConfigError as error:
            refusal: Observation = {**_failed(error), "called": [], "logs": [], "tracker_calls": []}
            return [refusal] * len(scenario["steps"])
        return [rig.observe(index, step) for index, step in enumerate(scenario["steps"])]


class _Absent(Enum):
    """Stands where one side has something and the other has nothing."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "nothing"


def compare(expected: Observation, observed: Observation, with_tracker_calls: bool) -> list[str]:
    """Return the differences between two observations of one step, a line each; none when they agree.

    Values agree when they are equal and of the same type: `1` is neither `True` nor `1.0`. Only the text of
    an error may be longer than Go's, by what `ADDED_TO_ERRORS` allows.
    """
    go: dict[str, object] = dict(expected)
    ours: dict[str, object] = dict(observed)
    if not with_tracker_calls:
        del go["tracker_calls"], ours["tracker_calls"]
    added = ADDED_TO_ERRORS.get(expected["error"], "")
    if re.fullmatch(f"{re.escape(expected['error_text'])}({added})?", observed["error_text"], re.DOTALL):
        ours["error_text"] = expected["error_text"]
    return list(_differences("", go, ours))


def compare_scenario(
    scenario: Scenario, observed: Sequence[Observation], with_tracker_calls: bool
) -> list[str]:
    """Return the differences in all steps, each line beginning with the scenario and the step."""
    return [
        f"scenario {scenario['id']}, step {index}: {line}"
        for index, (step, seen) in enumerate(zip(scenario["steps"], observed, strict=True))
        for line in compare(step["expect"], seen, with_tracker_calls)
    ]


def _differences(path: str, expected: object, observed: object) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(observed, dict):
        for key in expected | observed:
            pair = expected.get(key, _Absent.ABSENT), observed.get(key, _Absent.ABSENT)
            yield from _differences(f"{path}.{key}" if path else key, *pair)
    elif isinstance(expected, list) and isinstance(observed, list):
        for index, pair in enumerate(zip_longest(expected, observed, fillvalue=_Absent.ABSENT)):
            yield from _differences(f"{path}[{index}]", *pair)
    elif type(expected) is not type(observed) or expected != observed:
        yield f"{path}: expected {expected!r}, observed {observed!r}"
