"""What happens in an execution, as records for listeners: `ExecuteConfig(listeners=[...])`.

A listener is called with each event as it happens, in order, by the thread that executes and under no lock of
ours. So it must be safe for concurrent use, it may ask the tracker, and the caller waits for it. What it
raises is logged once for each listener, and changes nothing else.

For a chain `[a, z]` in which `a` fails and enters its cooldown::

    AttemptFailed(a, 1), CooldownStarted(a, 1), AttemptSucceeded(z, 2), ExecutionFinished(z, 2)

and, while that lasts::

    ProviderSkipped(a), AttemptSucceeded(z, 1), ExecutionFinished(z, 1)

The names of outcomes follow `fallback_exec.Outcome`; those of executions are in `ExecutionOutcome`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

import attrs

from fallback_exec._text import masked_repr
from fallback_exec.errors import Travellers
from fallback_exec.results import Outcome


class ExecutionOutcome(StrEnum):
    """What an execution came to."""

    #: A provider answered, with a stream until its end.
    SUCCESS = "success"
    #: `FALLBACK`: nobody answered. `AllProvidersFailedError`.
    EXHAUSTED = "exhausted"
    #: With another strategy, the provider did, `ProviderFailedError`; a stream, after its first item.
    FAILED = "failed"
    #: By an error's verdict, no other provider was to be tried. `ProviderFailedError` with `aborted`.
    ABORTED = "aborted"
    #: The deadline was over. `DeadlineExceededError`.
    DEADLINE = "deadline"
    #: The deadline was cancelled, `ExecutionCancelledError`; or a stream was closed before its end.
    CANCELLED = "cancelled"
    #: By something that is nobody's failure, as Ctrl-C is, or what `accept` raises.
    INTERRUPTED = "interrupted"


@attrs.frozen(kw_only=True)
class Event:
    """What all events tell.

    Events can be pickled; an error that does not survive that is replaced by a `StandInError`.

    Attributes:
        execution_id: The same for all events of one call of `execute()`, and for no other: 32 hexadecimal
            digits.
        time: When it happened, aware, in UTC, by the clock of cooldowns.
        provider: Whose event it is. Of an `ExecutionFinished` see there.
        attempt_num: Which attempt it is of, from 1; None for a skip, which is none.
        latency: Seconds that the attempt's call took, by `time.perf_counter`; 0.0 for a skip. Of an
            `ExecutionFinished`: those of the whole execution.
        error: What was raised, the object itself; None where nothing was. A listener that keeps it keeps
            the frames of its traceback, and all that they refer to.
    """

    execution_id: str
    time: datetime
    provider: str | None = attrs.field(repr=masked_repr)
    attempt_num: int | None
    latency: float
    error: BaseException | None = attrs.field(repr=masked_repr)

    def __reduce__(self) -> tuple[Callable[..., Event], tuple[object, ...]]:
        facts = {field.name: getattr(self, field.name) for field in attrs.fields(type(self))}
        return _rebuilt, (type(self), {**facts, "error": Travellers()(self.error)})


@attrs.frozen(kw_only=True)
class ProviderSkipped(Event):
    """A provider was passed over, as it is cooling down.

    Attributes:
        cooldown_remaining: Seconds that were left; 0.0 while somebody else probes it.
    """

    provider: str = attrs.field(repr=masked_repr)
    cooldown_remaining: float


@attrs.frozen(kw_only=True)
class AttemptFailed(Event):
    """A provider was called, and gave no answer.

    Attributes:
        outcome: `FAILURE`, `REJECTED` by `accept`, or `NEUTRAL`, which the tracker does not count.
        was_terminus: Whether it was the terminus of a `FALLBACK` chain.
        cooldown_remaining: Seconds of cooldown that are left to it; None when it is not cooling.
    """

    provider: str = attrs.field(repr=masked_repr)
    attempt_num: int
    error: Exception = attrs.field(repr=masked_repr)
    outcome: Outcome
    was_terminus: bool
    cooldown_remaining: float | None


@attrs.frozen(kw_only=True)
class CooldownStarted(Event):
    """The failure that was told of before has started a cooldown.

    Attributes:
        cooldown_remaining: Seconds that it will last.
    """

    provider: str = attrs.field(repr=masked_repr)
    attempt_num: int
    error: Exception = attrs.field(repr=masked_repr)
    cooldown_remaining: float


@attrs.frozen(kw_only=True)
class AttemptSucceeded(Event):
    """A provider answered.

    Of a stream, this comes with its end, and `latency` is that until its first item.

    Attributes:
        outcome: `SUCCESS`; of a stream that was closed before its end `NEUTRAL`: nothing is counted of it.
        was_terminus: Whether it was the terminus of a `FALLBACK` chain.
    """

    provider: str = attrs.field(repr=masked_repr)
    attempt_num: int
    outcome: Outcome
    was_terminus: bool


@attrs.frozen(kw_only=True)
class CooldownEnded(Event):
    """An answer of this execution has closed the provider's breaker: it is called as usual again.

    The answer is that of a probe, or of a terminus that was attempted despite its cooldown. Of a stream it
    is known with its first item where it is a probe. What hands and other processes change is no event;
    `BreakerCooldownTracker.snapshot()` shows it.
    """

    provider: str = attrs.field(repr=masked_repr)
    attempt_num: int


@attrs.frozen(kw_only=True)
class ExecutionFinished(Event):
    """The last event of an execution. A stream that is dropped without being closed has none.

    Here `provider` is who answered; where a provider failed with whom the execution ended, or was
    interrupted, it is that one; else, as where the chain is exhausted, None. `attempt_num` counts the
    attempts that were made, from 0, and `error` is what `execute()` raises.

    Attributes:
        outcome: What it came to.
    """

    attempt_num: int
    outcome: ExecutionOutcome


#: What may be a listener.
Listener: TypeAlias = Callable[[Event], object]


def _rebuilt(kind: type[Event], facts: dict[str, Any]) -> Event:
    """Rebuild an event."""
    return kind(**facts)
