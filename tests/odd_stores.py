"""Stores of cooldowns that go wrong on demand."""

from __future__ import annotations

from collections.abc import Sequence

from fallback_exec.cooldown.operations import Operation, Reply
from fallback_exec.cooldown.store import InMemoryCooldownStore, NotAppliedError, RecordUnusableError


class OddStore(InMemoryCooldownStore):
    """Notes what it is asked.

    Attributes:
        mood: `"answers"`; `"refuses"`: does nothing, and says so; `"loses requests"`: does nothing;
            `"loses answers"`: does what it is asked.
        asked: What it was asked, in order: the kinds of operations in each round trip.
        unusable: Whose records are none.
    """

    def __init__(self, *, refresh_interval: float = 0.25) -> None:
        super().__init__(refresh_interval=refresh_interval)
        self.mood = "answers"
        self.asked: list[list[str]] = []
        self.unusable: set[str] = set()

    def apply(self, name: str, operation: Operation) -> Reply:
        self.asked.append([type(operation).__name__])
        return self._answer(name, operation)

    def apply_all(self, operations: Sequence[tuple[str, Operation]]) -> list[Reply | NotAppliedError]:
        self.asked.append([type(operation).__name__ for _, operation in operations])
        replies: list[Reply | NotAppliedError] = []
        for name, operation in operations:
            try:
                replies.append(self._answer(name, operation))
            except RecordUnusableError as error:
                replies.append(error)
        return replies

    def _answer(self, name: str, operation: Operation) -> Reply:
        if self.mood == "refuses":
            raise NotAppliedError("refused")
        if self.mood == "loses requests":
            raise TimeoutError("no answer")
        if name in self.unusable:
            raise RecordUnusableError(f"{name} is no record")
        reply = super().apply(name, operation)
        if self.mood == "loses answers":
            raise TimeoutError("no answer")
        return reply

    def forget(self) -> list[list[str]]:
        """Return what it was asked since the last time."""
        asked, self.asked = self.asked, []
        return asked
