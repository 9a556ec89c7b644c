"""What came out of an execution: the answer, and the story of how it was had."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from fallback_exec._text import masked_repr
from fallback_exec.cooldown.tracker import Cooling
from fallback_exec.errors import Travellers

T = TypeVar("T")


class Outcome(StrEnum):
    """What an attempt came to."""

    SUCCESS = "success"
    FAILURE = "failure"
    REJECTED = "rejected"
    NEUTRAL = "neutral"
    SKIPPED = "skipped"


@attrs.frozen
class Attempt:
    """One line of the story: an attempt, or a provider that was passed over.

    Attributes:
        provider: The provider's name.
        outcome: What it came to; `SKIPPED` is not an attempt and has no attempt number.
        error: The provider's error; None for an answer and for a skip. It is the object that
            the provider raised.
        latency: Seconds that the call took, by `time.perf_counter`; 0.0 for a skip.
        cooldown_remaining: Seconds of cooldown that were left when the provider was passed over or
            attempted all the same, or that its failure started; None when it was not cooling.
    """

    provider: str = attrs.field(repr=masked_repr)
    outcome: Outcome
    error: Exception | None = attrs.field(repr=masked_repr)
    latency: float
    cooldown_remaining: float | None

    def _with_error(self, error: Exception | None) -> Attempt:
        """Return the same line with another error."""
        return self if error is self.error else attrs.evolve(self, error=error)

    def __reduce__(self) -> tuple[Callable[..., Attempt], tuple[object, ...]]:
        error = Travellers()(self.error)
        return Attempt, (self.provider, self.outcome, error, self.latency, self.cooldown_remaining)


#: A line of the story as execution writes it: provider, outcome, error, latency, and when it was
#: learned that a cooldown runs, and when that ends. A plain tuple, because few are ever read.
Row: TypeAlias = tuple[str, Outcome, Exception | None, float, datetime | None, datetime | None]


def row_of(
    provider: str, outcome: Outcome, error: Exception | None, latency: float, cooling: Cooling | None
) -> Row:
    """Return a line with the cooldown that a tracker told of."""
    learned, ends = (None, None) if cooling is None else (cooling.at, cooling.ends)
    return provider, outcome, error, latency, learned, ends


def attempts_of(rows: Iterable[Row]) -> tuple[Attempt, ...]:
    """Return the story for users."""
    return tuple(
        Attempt(provider, outcome, error, latency, cooldown_of(learned, ends))
        for provider, outcome, error, latency, learned, ends in rows
    )


def cooldown_of(learned: datetime | None, ends: datetime | None) -> float | None:
    """Return the seconds of cooldown that were left when it was learned of, None without one."""
    return None if learned is None or ends is None else (ends - learned).total_seconds()


@attrs.define(init=False, eq=False)
class ExecuteResult(Generic[T]):
    """An answer, and who gave it.

    Attributes:
        response: What `fn` returned, untouched.
        provider: The name of the provider that answered.
        latency: Seconds that the answering call took, and it alone, by `time.perf_counter`.
        attempt_num: Which attempt answered, from 1; skips do not count.
        was_terminus: Whether it was the terminus of a `FALLBACK` chain: a sign that all before it
            have trouble. A chain of one provider is its own terminus.

    A stale answer's facts are those of the execution that had it; its `attempts` are those of the chain that
    it stands in for.
    """

    response: T
    provider: str
    latency: float
    attempt_num: int
    was_terminus: bool
    # The story, or, until somebody asks for it, the rows before the answer, and the cooldown in spite
    # of which it was asked for. Execution fills these places itself.
    _story: tuple[Attempt, ...] | list[Row] = attrs.field(repr=False)
    _cooling: Cooling | None = attrs.field(repr=False)

    def __init__(
        self,
        response: T,
        provider: str,
        latency: float,
        attempt_num: int,
        was_terminus: bool,
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        self.response = response
        self.provider = provider
        self.latency = latency
        self.attempt_num = attempt_num
        self.was_terminus = was_terminus
        self._story = tuple(attempts)  # a list would be taken for rows

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The whole story, in order, skips included; the last line is the answer's, unless that is stale."""
        story = self._story
        if isinstance(story, list):
            answer = row_of(self.provider, Outcome.SUCCESS, None, self.latency, self._cooling)
            story = self._story = attempts_of([*story, answer])
        return story

    @property
    def is_stale(self) -> bool:
        """Whether it is an old answer, which `StaleIfError` gives in place of an error."""
        return False

    @property
    def age(self) -> float:
        """Seconds since the answer was had, never negative; 0.0 unless it is stale."""
        return 0.0

    def __eq__(self, other: object) -> bool:
        return self._answer() == other._answer() if isinstance(other, ExecuteResult) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of all that is equal by value and can change

    def __reduce__(self) -> tuple[Callable[..., ExecuteResult[T]], tuple[object, ...]]:
        return ExecuteResult, (*self._answer(), self.attempts)

    def _answer(self) -> tuple[object, ...]:
        return self.response, self.provider, self.latency, self.attempt_num, self.was_terminus


class FilledResult(ExecuteResult[T]):
    """A result as execution makes it: it fills the places itself, for less than `__init__` costs."""

    __slots__ = ()
    __qualname__ = ExecuteResult.__qualname__  # for users there is no difference
    __init__ = object.__init__  # pyright: ignore[reportAssignmentType]  # there is nothing to give it


class StaleResult(ExecuteResult[T]):
    """A result that is stale: an old answer, with the story of the chain that it stands in for."""

    __slots__ = ("_age",)
    __qualname__ = ExecuteResult.__qualname__  # for users it differs in what it says, not in what it is

    def __init__(
        self,
        response: T,
        provider: str,
        latency: float,
        attempt_num: int,
        was_terminus: bool,
        age: float,
        attempts: tuple[Attempt, ...],
    ) -> None:
        super().__init__(response, provider, latency, attempt_num, was_terminus, attempts)
        self._age = age

    @property
    def is_stale(self) -> bool:
        """True."""
        return True

    @property
    def age(self) -> float:
        """Seconds since the answer was had."""
        return self._age

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, is_stale=True, age={self._age})"

    def __reduce__(self) -> tuple[Callable[..., ExecuteResult[T]], tuple[object, ...]]:
        # Not the class: by its name, pickle would find the one of fresh results.
        return _stale_result, (*self._answer(), self.attempts)

    def _answer(self) -> tuple[object, ...]:
        return *super()._answer(), self._age


def _stale_result(*parts: Any) -> StaleResult[Any]:
    """Rebuild a stale result."""
    return StaleResult(*parts)
