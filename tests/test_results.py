"""What comes out of an execution: the answer, and the story of how it was had."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import attrs
import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    Attempt,
    ExecuteConfig,
    ExecuteResult,
    Outcome,
    StaleIfError,
    StandInError,
    Strategy,
    execute,
)
from helpers import (
    KeywordOnlyError,
    LockHoldingError,
    PermitTracker,
    Vendor,
    VendorError,
    meddle_at_each_line,
    replying,
    vendors,
)


def answered_late() -> ExecuteResult[object]:
    """Return the result of a chain of which one is skipped and two fail, one of them into a cooldown."""
    tracker = PermitTracker(cooling={"a": 7.0, "d": 9.0}, opens={"b": 30.0})
    config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker)
    errors = {"b": VendorError("b is down"), "c": VendorError("c is down")}
    return execute(vendors("a", "b", "c", "d"), config, replying(**errors, d="a cat"))


class TestOutcome:
    """What an attempt came to."""

    def test_has_five_members(self) -> None:
        """The outcomes, whose values are what is shown."""
        assert {outcome.name: outcome.value for outcome in Outcome} == {
            "SUCCESS": "success",
            "FAILURE": "failure",
            "REJECTED": "rejected",
            "NEUTRAL": "neutral",
            "SKIPPED": "skipped",
        }

    def test_is_a_string(self) -> None:
        """An outcome prints and compares as its value."""
        assert [*Outcome][-1:] == ["skipped"]
        assert f"{Outcome.SKIPPED}" == "skipped"


class TestAttempt:
    """One line of the story."""

    def test_has_five_facts(self) -> None:
        """Who, what came of it, the error, the seconds it took and those of the cooldown."""
        error = VendorError("down")
        attempt = Attempt("grok", Outcome.FAILURE, error, 1.5, 30.0)
        assert (attempt.provider, attempt.outcome, attempt.error) == ("grok", Outcome.FAILURE, error)
        assert (attempt.latency, attempt.cooldown_remaining) == (1.5, 30.0)

    def test_is_immutable(self) -> None:
        """What has happened does not change."""
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            Attempt("grok", Outcome.SUCCESS, None, 1.5, None).latency = 0.1  # type: ignore[misc]  # on purpose

    def test_equal_facts_are_equal(self) -> None:
        """Attempts compare by their facts, the error by identity, and may stand in a set."""
        error = VendorError("down")
        one, same = (Attempt("grok", Outcome.FAILURE, error, 1.5, None) for _ in range(2))
        assert one == same
        assert one != Attempt("grok", Outcome.FAILURE, VendorError("down"), 1.5, None)
        assert len({one, same}) == 1

    @pytest.mark.parametrize("error", [None, OSError("reset")], ids=repr)
    def test_survives_a_journey(self, error: Exception | None) -> None:
        """An attempt can be pickled, with an error that can."""
        arrived = pickle.loads(pickle.dumps(Attempt("grok", Outcome.FAILURE, error, 1.5, 30.0)))
        assert (arrived.provider, arrived.outcome, repr(arrived.error)) == (
            "grok",
            Outcome.FAILURE,
            repr(error),
        )
        assert (arrived.latency, arrived.cooldown_remaining) == (1.5, 30.0)

    @pytest.mark.parametrize("error", [KeywordOnlyError("slow", status_code=429), LockHoldingError("slow")])
    def test_travels_with_a_stand_in_where_it_must(self, error: Exception) -> None:
        """An error that cannot travel is replaced."""
        arrived = pickle.loads(pickle.dumps(Attempt("grok", Outcome.FAILURE, error, 1.5, 30.0)))
        assert isinstance(arrived.error, StandInError)
        assert str(arrived.error) == "slow"


class TestExecuteResult:
    """An answer, and who gave it."""

    def test_has_the_answer_and_its_facts(self, clock: FrozenDateTimeFactory) -> None:
        """The facts are those of the answering attempt."""
        result = answered_late()
        assert (result.response, result.provider, result.latency) == ("a cat", "d", 0.0)
        assert (result.attempt_num, result.was_terminus) == (3, True)

    def test_tells_the_whole_story(self, clock: FrozenDateTimeFactory) -> None:
        """Each provider has its line, in order; skips have neither error nor latency, the answer is last."""
        story = answered_late().attempts
        assert isinstance(story, tuple)
        assert [
            (each.provider, each.outcome, str(each.error), each.latency, each.cooldown_remaining)
            for each in story
        ] == [
            ("a", "skipped", "None", 0.0, 7.0),
            ("b", "failure", "b is down", 0.0, 30.0),
            ("c", "failure", "c is down", 0.0, None),
            ("d", "success", "None", 0.0, 9.0),
        ]

    def test_each_attempt_has_its_own_latency(self, clock: FrozenDateTimeFactory) -> None:
        """The story has how long each call took."""

        def fn(provider: Vendor) -> str:
            clock.tick({"grok": 2, "gemini": 0.5}[provider.name])
            if provider.name == "grok":
                raise VendorError
            return "a cat"

        result = execute(vendors("grok", "gemini"), ExecuteConfig(strategy="fallback"), fn)
        assert [attempt.latency for attempt in result.attempts] == [pytest.approx(2), pytest.approx(0.5)]
        assert result.latency == result.attempts[-1].latency

    def test_the_story_has_the_very_errors(self) -> None:
        """The error of a failed attempt is the object that the provider raised."""
        error = VendorError("down")
        config = ExecuteConfig(strategy=Strategy.FALLBACK)
        result = execute(vendors("grok", "gemini"), config, replying(grok=error, gemini=1))
        assert result.attempts[0].error is error

    def test_the_story_is_told_once(self) -> None:
        """Asking again gives the same tuple."""
        result = answered_late()
        assert result.attempts is result.attempts

    def test_threads_may_ask_for_the_story_at_once(self) -> None:
        """Whoever asks while another thread is being told gets the same story."""

        def scene() -> tuple[Callable[[], tuple[Attempt, ...]], Callable[[], object]]:
            result = answered_late()
            return lambda: result.attempts, lambda: result.attempts

        told = meddle_at_each_line(scene)
        assert {tuple(attempt.provider for attempt in story) for story in told} == {("a", "b", "c", "d")}

    def test_may_be_built_by_hand(self) -> None:
        """Who tests their own code builds a result from its facts, with or without a story."""
        plain = ExecuteResult("a cat", "grok", 1.5, 1, was_terminus=False)
        assert (plain.response, plain.provider, plain.latency) == ("a cat", "grok", 1.5)
        assert (plain.attempt_num, plain.was_terminus, plain.attempts) == (1, False, ())
        story = (Attempt("grok", Outcome.SUCCESS, None, 1.5, None),)
        assert ExecuteResult("a cat", "grok", 1.5, 1, was_terminus=False, attempts=story).attempts == story
        listed = ExecuteResult("a cat", "grok", 1.5, 1, False, list(story))  # type: ignore[arg-type]  # noqa: FBT003
        assert listed.attempts == story

    def test_of_an_execution_is_like_one_that_was_built_by_hand(self) -> None:
        """Equal where the facts are, shown alike, and of one class for whoever asks."""
        made = execute(vendors("grok"), ExecuteConfig(), lambda _: "a cat")
        built = ExecuteResult("a cat", "grok", made.latency, 1, was_terminus=False)
        assert made == built
        assert built == made
        assert repr(made) == repr(built)
        assert isinstance(made, ExecuteResult)
        other = ExecuteResult("a dog", "grok", made.latency, 1, was_terminus=False)
        assert made != other
        assert other != made
        assert other != built
        assert made != "a cat"
        assert type(pickle.loads(pickle.dumps(made))) is ExecuteResult
        with pytest.raises(TypeError, match="unhashable"):
            hash(made)

    def test_is_not_stale(self) -> None:
        """An answer that was just had has no age, and nothing can give it one."""
        for result in (answered_late(), ExecuteResult("a cat", "grok", 1.5, 1, was_terminus=False)):
            assert (result.is_stale, result.age) == (False, 0.0)
            with pytest.raises(AttributeError):
                result.age = 5.0  # type: ignore[misc]  # on purpose

    def test_is_a_plain_object_with_slots(self) -> None:
        """One is made at each call: nothing checks or freezes what is written, which would take longer."""
        assert "__setattr__" not in vars(ExecuteResult)
        assert not hasattr(ExecuteResult("answer", "grok", 0.1, 1, was_terminus=False), "__dict__")

    def test_shows_the_answer_and_its_facts(self) -> None:
        """The repr is short: it leaves the story out."""
        assert repr(ExecuteResult("a cat", "grok", 1.5, 1, was_terminus=False)) == (
            "ExecuteResult(response='a cat', provider='grok', latency=1.5, attempt_num=1, was_terminus=False)"
        )

    @pytest.mark.parametrize(
        "travel",
        [lambda each: pickle.loads(pickle.dumps(each)), copy.copy, copy.deepcopy],
        ids=["pickle", "copy", "deepcopy"],
    )
    def test_survives_a_journey(
        self, travel: Callable[[ExecuteResult[object]], ExecuteResult[object]]
    ) -> None:
        """A result goes through a process pool, with its story, if its response does."""
        result = answered_late()
        arrived = travel(result)
        assert arrived == result
        assert [(each.provider, each.outcome, str(each.error)) for each in arrived.attempts] == [
            (each.provider, each.outcome, str(each.error)) for each in result.attempts
        ]

    def test_travels_with_stand_ins_where_it_must(self) -> None:
        """An error that cannot travel does not keep an answer from travelling."""
        error = KeywordOnlyError("slow down", status_code=429)
        config = ExecuteConfig(strategy=Strategy.FALLBACK)
        result = execute(vendors("grok", "gemini"), config, replying(grok=error, gemini="a cat"))
        arrived = pickle.loads(pickle.dumps(result))
        assert arrived.response == "a cat"
        assert isinstance(arrived.attempts[0].error, StandInError)


def given_late(
    clock: FrozenDateTimeFactory, age: float = 12.5, error: Exception | None = None
) -> ExecuteResult[object]:
    """Return an old answer that stands in for a provider's failure."""
    stale: StaleIfError[object] = StaleIfError(300)
    stale.execute("key", vendors("grok"), ExecuteConfig(), lambda _: "a cat")
    clock.tick(age)
    failure = VendorError("down") if error is None else error
    return stale.execute("key", vendors("gemini"), ExecuteConfig(), replying(gemini=failure))


class TestStaleResult:
    """An old answer, which stands in for an error."""

    def test_is_of_the_same_class_for_whoever_asks(self, clock: FrozenDateTimeFactory) -> None:
        """It is an ExecuteResult with the same facts, and has no more room than it needs."""
        result = given_late(clock)
        assert isinstance(result, ExecuteResult)
        assert type(result).__qualname__ == "ExecuteResult"
        assert not hasattr(result, "__dict__")
        assert (result.is_stale, result.age) == (True, 12.5)

    def test_shows_that_it_is_stale(self, clock: FrozenDateTimeFactory) -> None:
        """The repr has its age."""
        assert repr(given_late(clock)) == (
            "ExecuteResult(response='a cat', provider='grok', latency=0.0, attempt_num=1, "
            "was_terminus=False, is_stale=True, age=12.5)"
        )

    def test_is_equal_to_one_of_the_same_age(self, clock: FrozenDateTimeFactory) -> None:
        """The age is one of the facts."""
        assert given_late(clock) == given_late(clock)
        assert given_late(clock) != given_late(clock, age=12)
        with pytest.raises(TypeError, match="unhashable"):
            hash(given_late(clock))

    @pytest.mark.parametrize("age", [12.5, 0])
    def test_is_not_equal_to_a_fresh_one(self, clock: FrozenDateTimeFactory, age: float) -> None:
        """Whichever is asked, and also where the answer was had this very moment."""
        fresh = execute(vendors("grok"), ExecuteConfig(), lambda _: "a cat")
        stale = given_late(clock, age)
        assert (fresh.response, fresh.provider) == (stale.response, stale.provider)
        assert fresh != stale
        assert stale != fresh
        assert stale != "a cat"

    @pytest.mark.parametrize(
        "travel",
        [lambda each: pickle.loads(pickle.dumps(each)), copy.copy, copy.deepcopy],
        ids=["pickle", "copy", "deepcopy"],
    )
    def test_survives_a_journey(
        self,
        travel: Callable[[ExecuteResult[object]], ExecuteResult[object]],
        clock: FrozenDateTimeFactory,
    ) -> None:
        """It is as old as it was, and has its story."""
        result = given_late(clock)
        clock.tick(5)
        arrived = travel(result)
        assert arrived == result
        assert (repr(arrived), arrived.age, arrived.is_stale) == (repr(result), 12.5, True)
        assert [(each.provider, str(each.error)) for each in arrived.attempts] == [("gemini", "down")]

    def test_travels_with_stand_ins_where_it_must(self, clock: FrozenDateTimeFactory) -> None:
        """An error that cannot travel does not keep an old answer from travelling either."""
        result = given_late(clock, error=KeywordOnlyError("slow down", status_code=429))
        arrived = pickle.loads(pickle.dumps(result))
        assert arrived.is_stale
        assert isinstance(arrived.attempts[0].error, StandInError)
