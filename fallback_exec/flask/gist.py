"""What the events of the last hour come to in a few words: who answers, what fails, what nobody answered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import attrs

from fallback_exec._text import class_name, name_text, one_line
from fallback_exec.errors import StandInError
from fallback_exec.events import AttemptFailed, AttemptSucceeded, Event, ExecutionFinished, ExecutionOutcome

#: How an execution ends that no provider has answered, and that nobody has called off.
_UNANSWERED = frozenset(
    {
        ExecutionOutcome.EXHAUSTED,
        ExecutionOutcome.FAILED,
        ExecutionOutcome.ABORTED,
        ExecutionOutcome.DEADLINE,
    }
)


@attrs.frozen
class Moment:
    """Who or what it was, as it is shown, and when."""

    what: str
    at: dt.datetime


@attrs.frozen(kw_only=True)
class Gist:
    """What some events come to.

    Attributes:
        last_answer: Who answered last; None where nobody did.
        last_errors: By provider, the type of its last error.
        answered: How many executions were answered.
        unanswered: How many were not; those that were called off are in neither number.
        last_unanswered: When the last of these ended; None where there was none.
    """

    last_answer: Moment | None
    last_errors: dict[str, Moment]
    answered: int
    unanswered: int
    last_unanswered: dt.datetime | None


def gist(events: Iterable[Event]) -> Gist:
    """Sum up events, the oldest first."""
    last_answer = last_unanswered = None
    last_errors = {}
    answered = unanswered = 0
    for event in events:
        match event:
            case AttemptSucceeded():
                last_answer = Moment(name_text(event.provider), event.time)
            case AttemptFailed():
                last_errors[event.provider] = Moment(_type_name(event.error), event.time)
            case ExecutionFinished(outcome=ExecutionOutcome.SUCCESS):
                answered += 1
            case ExecutionFinished() if event.outcome in _UNANSWERED:
                unanswered += 1
                last_unanswered = event.time
    return Gist(
        last_answer=last_answer,
        last_errors=last_errors,
        answered=answered,
        unanswered=unanswered,
        last_unanswered=last_unanswered,
    )


def _type_name(error: Exception) -> str:
    """Return the name of the error's class, with its module where that says anything."""
    name = error.type_name if isinstance(error, StandInError) else class_name(error)
    return one_line(name.removeprefix("builtins."))
