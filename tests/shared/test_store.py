"""What a store that has only `apply()` does by default: `CooldownStore`."""

from __future__ import annotations

import math

import pytest

from fallback_exec import BreakerCooldownTracker, Permit
from fallback_exec.cooldown.operations import Operation, Read, Reply
from fallback_exec.shared import CooldownStore, InMemoryCooldownStore, NotAppliedError, RecordUnusableError


class Plain(CooldownStore):
    """A store as a user writes it. `gemini` has no usable record; for `laozhang` it is away."""

    def apply(self, name: str, operation: Operation) -> Reply:
        if name == "gemini":
            raise RecordUnusableError("no record")
        if name == "laozhang":
            raise NotAppliedError("away")
        return Reply(None, 7)


class TestApplyAll:
    """Several operations, one after the other."""

    def test_of_one_unusable_record_concerns_no_other(self) -> None:
        """Its place has what says so."""
        first, second, third = Plain().apply_all([("grok", Read()), ("gemini", Read()), ("mistral", Read())])
        assert first == third == Reply(None, 7)
        assert isinstance(second, RecordUnusableError)

    def test_of_a_store_that_is_away_is_raised(self) -> None:
        """None of them has an answer then."""
        with pytest.raises(NotAppliedError, match="away"):
            Plain().apply_all([("grok", Read()), ("laozhang", Read())])


@pytest.mark.usefixtures("clock")
def test_a_cooldown_without_end_is_the_longest_that_is_taken() -> None:
    """Times stay numbers that every store can hold."""
    tracker = BreakerCooldownTracker(shared=InMemoryCooldownStore())
    permit = tracker.acquire("grok")
    assert isinstance(permit, Permit)
    assert permit.cool_down(ConnectionError("down"), math.inf) is True
    assert tracker.cooldown_remaining("grok") == 1e9
