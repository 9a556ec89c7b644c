"""`StaleIfError`: when an old answer is given, which one, and for how long."""

from __future__ import annotations

import copy
import itertools
import logging
import os
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import fallback_exec.stale
from fallback_exec import (
    AllProvidersFailedError,
    Deadline,
    DeadlineExceededError,
    ExecuteConfig,
    ExecuteResult,
    ExecutionCancelledError,
    FallbackExecError,
    InvalidConfigError,
    NoProvidersError,
    ProviderFailedError,
    StaleIfError,
    Strategy,
    Verdict,
    _forks,
)
from helpers import (
    PATIENCE,
    Held,
    PermitTracker,
    Records,
    Vendor,
    VendorError,
    Watch,
    act_at_each_call,
    fail,
    fields_of,
    forked_child_finishes,
    in_thread,
    in_threads,
    logger_with,
    meddle_at_each_line,
    replying,
    vendors,
)

TTL = 300.0
MICROSECOND = timedelta(microseconds=1)
START = datetime(2026, 1, 1, tzinfo=UTC)

SILENT = ExecuteConfig(strategy=Strategy.FALLBACK, logger=logger_with(logging.NullHandler()))


def remember(
    stale: StaleIfError[Any], key: Hashable, answer: object, config: ExecuteConfig = SILENT
) -> ExecuteResult[Any]:
    """Have a provider answer."""
    return stale.execute(key, vendors("grok"), config, lambda _: answer)


def ask(stale: StaleIfError[Any], key: Hashable, config: ExecuteConfig = SILENT) -> ExecuteResult[Any]:
    """Execute while every provider fails."""
    return stale.execute(key, vendors("gemini", "mistral"), config, fail)


def answer_to(stale: StaleIfError[Any], key: Hashable) -> object:
    """Return the old answer that is given while every provider fails, None where the error is raised."""
    try:
        return ask(stale, key).response
    except AllProvidersFailedError:
        return None


def logging_to(records: Records) -> ExecuteConfig:
    """Return the config of a chain whose log is kept there, without what each execution logs."""
    return ExecuteConfig(strategy=Strategy.FALLBACK, logger=logger_with(records, level=logging.WARNING))


class UncopyableError(Exception):
    """What a copy fails with."""


class Key:
    """A key that does something when it is compared. All are equal, and none is the same object."""

    def __init__(self, act: Callable[[], object] = int) -> None:
        self.act = act

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        self.act()
        return isinstance(other, Key)


class TestSettings:
    """What `StaleIfError` is built with."""

    @pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), "300", None, True, timedelta(0)])
    def test_ttl_must_be_above_0(self, ttl: Any) -> None:
        """A duration that cannot be one is refused, with its name and value."""
        with pytest.raises(InvalidConfigError, match="ttl must be a finite number of seconds") as caught:
            StaleIfError(ttl)
        assert caught.value.setting == "ttl"

    @pytest.mark.parametrize("maxsize", [0, -1, 1.5, "10", None, True])
    def test_maxsize_must_be_a_whole_number(self, maxsize: Any) -> None:
        """Less than one answer is none."""
        with pytest.raises(InvalidConfigError, match="maxsize must be a whole number") as caught:
            StaleIfError(TTL, maxsize)
        assert caught.value.setting == "maxsize"

    def test_copy_must_be_callable(self) -> None:
        """Anything else is refused, with its name and value."""
        with pytest.raises(InvalidConfigError, match="copy must be callable, got 'deep'") as caught:
            StaleIfError(TTL, copy="deep")  # type: ignore[arg-type]  # on purpose
        assert caught.value.setting == "copy"

    def test_copy_must_not_be_a_coroutine_function(self) -> None:
        """Nobody would await the copy."""

        async def duplicate(answer: object) -> object:
            return answer

        with pytest.raises(InvalidConfigError, match="copy must be a plain function"):
            StaleIfError(TTL, copy=duplicate)

    def test_1024_keys_are_remembered(self) -> None:
        """That is the default."""
        stale: StaleIfError[int] = StaleIfError(TTL)
        for number in range(1025):
            remember(stale, number, number)
        assert answer_to(stale, 0) is None
        assert answer_to(stale, 1) == 1

    def test_what_is_callable_and_not_hashable_may_copy(self) -> None:
        """Only calling it matters."""

        class Copier(list[int]):
            def __call__(self, answer: str) -> str:
                return f"{answer}!"

        stale: StaleIfError[str] = StaleIfError(TTL, copy=Copier())
        remember(stale, "key", "a cat")
        assert answer_to(stale, "key") == "a cat!!"


class TestFreshAnswer:
    """What comes out while somebody answers."""

    @pytest.mark.parametrize("duplicate", [None, copy.deepcopy])
    def test_is_untouched(self, duplicate: Callable[[object], object] | None) -> None:
        """It is the very object that the provider gave, and it is not stale."""
        answer = ["a cat"]
        result = remember(StaleIfError(TTL, copy=duplicate), "key", answer)
        assert result.response is answer
        assert (result.provider, result.attempt_num, result.was_terminus) == ("grok", 1, True)
        assert (result.is_stale, result.age) == (False, 0.0)

    def test_is_the_result_of_execute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The result is the object that `execute()` returns, and its story has not been told."""
        made: list[ExecuteResult[str]] = []

        def execute(*arguments: Any, **options: Any) -> ExecuteResult[str]:
            made.append(fallback_exec.execute(*arguments, **options))
            return made[0]

        monkeypatch.setattr(fallback_exec.stale, "execute", execute)
        assert remember(StaleIfError(TTL), "key", "a cat") is made[0]
        assert made[0]._story == []

    def test_is_preferred_to_an_old_one(self, clock: FrozenDateTimeFactory) -> None:
        """What is remembered changes nothing for those whose chain answers."""
        stale: StaleIfError[object] = StaleIfError(TTL)
        remember(stale, "key", "a cat")
        clock.tick(10)
        result = stale.execute(
            "key", vendors("gemini", "grok"), SILENT, replying(gemini=VendorError("down"), grok="a dog")
        )
        assert (result.response, result.is_stale, result.attempt_num) == ("a dog", False, 2)

    def test_replaces_the_one_before(self, clock: FrozenDateTimeFactory) -> None:
        """The last good answer is given, and its age counts from when it was had."""
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, "key", "a cat")
        clock.tick(TTL - 1)
        remember(stale, "key", "a dog")
        clock.tick(2)
        assert (ask(stale, "key").response, ask(stale, "key").age) == ("a dog", 2.0)

    def test_of_none_is_an_answer(self) -> None:
        """None is remembered as anything else."""
        stale: StaleIfError[None] = StaleIfError(TTL)
        remember(stale, "key", None)
        assert ask(stale, "key").is_stale is True


class TestStaleAnswer:
    """What comes out when nobody answers."""

    @pytest.fixture
    def stale(self, clock: FrozenDateTimeFactory) -> StaleIfError[Any]:
        """An answer is remembered that came from the second attempt, and 12.5 seconds have passed."""
        stale: StaleIfError[Any] = StaleIfError(TTL)

        def fn(provider: Vendor) -> str:
            clock.tick(0.5)
            if provider.name == "gemini":
                raise VendorError("down")
            return "a cat"

        stale.execute("key", vendors("gemini", "grok"), SILENT, fn)
        clock.tick(12.5)
        return stale

    def test_has_the_facts_of_the_old_one(self, stale: StaleIfError[Any]) -> None:
        """Who answered, how fast, at which attempt, and whether that was the terminus."""
        result = ask(stale, "key")
        assert (result.response, result.provider) == ("a cat", "grok")
        assert result.latency == pytest.approx(0.5)
        assert (result.attempt_num, result.was_terminus) == (2, True)
        assert (result.is_stale, result.age) == (True, 12.5)

    def test_has_the_attempts_of_this_chain(self, stale: StaleIfError[Any]) -> None:
        """The story is the one that the error would have told, skips included."""
        tracker = PermitTracker(cooling={"gemini": 7.0})
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=SILENT.logger)
        error = VendorError("down")
        result = stale.execute("key", vendors("gemini", "mistral"), config, replying(mistral=error))
        assert [(each.provider, each.outcome, each.error) for each in result.attempts] == [
            ("gemini", "skipped", None),
            ("mistral", "failure", error),
        ]

    @pytest.mark.parametrize("strategy", ["primary_only", "round_robin"])
    def test_stands_in_for_the_failure_of_a_single_provider(
        self, stale: StaleIfError[Any], strategy: str
    ) -> None:
        """With the strategies that attempt one provider, that one's failure is covered up."""
        result = stale.execute("key", vendors("gemini"), ExecuteConfig(strategy=strategy), fail)
        assert (result.response, result.is_stale, len(result.attempts)) == ("a cat", True, 1)

    def test_stands_in_for_a_deadline_that_passed_amid_the_chain(
        self, stale: StaleIfError[Any], clock: FrozenDateTimeFactory
    ) -> None:
        """What was attempted until then is in the story, and the age counts the time that it took."""

        def slow(provider: Vendor) -> object:
            clock.tick(5)
            return fail(provider)

        result = stale.execute("key", vendors("gemini", "grok"), SILENT, slow, deadline=5)
        assert (result.response, result.age) == ("a cat", 17.5)
        assert [each.provider for each in result.attempts] == ["gemini"]

    def test_stands_in_for_a_deadline_that_was_over_before(self, stale: StaleIfError[Any]) -> None:
        """No provider is called, and the story is empty."""
        result = stale.execute("key", vendors("gemini"), SILENT, fail, deadline=Deadline(-1))
        assert (result.response, result.is_stale, result.attempts) == ("a cat", True, ())

    def test_stands_in_for_answers_that_are_rejected(self, stale: StaleIfError[Any]) -> None:
        """What was not accepted is no good answer: it is neither given nor remembered."""
        config = ExecuteConfig(strategy="fallback", logger=SILENT.logger, accept=lambda answer: answer != "")
        result = remember(stale, "key", "", config)
        assert (result.response, result.is_stale) == ("a cat", True)
        assert [each.outcome for each in result.attempts] == ["rejected"]
        assert answer_to(stale, "key") == "a cat"

    def test_is_given_again(self, stale: StaleIfError[Any], clock: FrozenDateTimeFactory) -> None:
        """Giving it neither uses it up nor makes it younger."""
        first = ask(stale, "key")
        clock.tick(1)
        assert (first.age, ask(stale, "key").age) == (12.5, 13.5)
        assert first.age == 12.5

    def test_belongs_to_its_key(self, stale: StaleIfError[Any]) -> None:
        """Another key has another answer, or none."""
        remember(stale, ("key", 1), "a dog")
        assert (answer_to(stale, "key"), answer_to(stale, ("key", 1))) == ("a cat", "a dog")
        assert answer_to(stale, ("key", 2)) is None

    def test_is_the_same_object_each_time(self) -> None:
        """Without a copy, everybody shares what the provider gave."""
        stale: StaleIfError[list[str]] = StaleIfError(TTL)
        answer = ["a cat"]
        remember(stale, "key", answer)
        assert ask(stale, "key").response is answer
        assert ask(stale, "key").response is answer


def chain_failed(stale: StaleIfError[Any]) -> object:
    return ask(stale, "key")


def provider_failed(stale: StaleIfError[Any]) -> object:
    return stale.execute("key", vendors("grok"), ExecuteConfig(logger=SILENT.logger), fail)


def deadline_passed(stale: StaleIfError[Any]) -> object:
    return stale.execute("key", vendors("grok"), SILENT, fail, deadline=-1)


class TestErrorThatNothingStandsInFor:
    """The chain's error, where no answer is remembered."""

    @pytest.mark.parametrize(
        ("use", "kind"),
        [
            (chain_failed, AllProvidersFailedError),
            (provider_failed, ProviderFailedError),
            (deadline_passed, DeadlineExceededError),
        ],
    )
    @pytest.mark.parametrize("is_handling", [False, True])
    def test_is_raised_unchanged(
        self,
        use: Callable[[StaleIfError[Any]], object],
        kind: type[FallbackExecError],
        is_handling: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """It is the object that `execute()` raised, in the context that it was raised in."""
        raised: list[FallbackExecError] = []
        facts: list[object] = []

        def execute(*arguments: Any, **options: Any) -> object:
            try:
                return fallback_exec.execute(*arguments, **options)
            except FallbackExecError as error:
                raised.append(error)
                facts.extend([error.args, error.__cause__, error.__context__, error.__suppress_context__])
                raise

        monkeypatch.setattr(fallback_exec.stale, "execute", execute)
        stale: StaleIfError[Any] = StaleIfError(TTL, copy=copy.deepcopy)

        def use_amid_trouble(stale: StaleIfError[Any]) -> object:
            try:
                raise LookupError("of the caller's own")
            except LookupError:
                return use(stale)

        with pytest.raises(kind) as caught:
            (use_amid_trouble if is_handling else use)(stale)
        error = caught.value
        assert type(error) is kind
        assert [error] == raised
        assert [error.args, error.__cause__, error.__context__, error.__suppress_context__] == facts
        assert isinstance(error.__context__, LookupError) is is_handling

    def test_has_a_traceback_to_where_it_was_raised(self) -> None:
        """Whoever reads it sees `StaleIfError.execute` once, and the loop last."""
        with pytest.raises(AllProvidersFailedError) as caught:
            ask(StaleIfError(TTL), "key")
        assert [each.name for each in caught.traceback][2:] == ["execute", "_outcome_of", "execute"]


class TestWhatIsNotCoveredUp:
    """What is raised although an answer is remembered."""

    @pytest.fixture
    def stale(self) -> StaleIfError[Any]:
        """An answer is remembered."""
        stale: StaleIfError[Any] = StaleIfError(TTL)
        remember(stale, "key", "a cat")
        return stale

    def test_a_deadline_that_was_cancelled(self, stale: StaleIfError[Any]) -> None:
        """Whoever cancels wants no answer."""
        deadline = Deadline()
        deadline.cancel()
        with pytest.raises(ExecutionCancelledError):
            stale.execute("key", vendors("grok"), SILENT, fail, deadline=deadline)

    @pytest.mark.parametrize("verdict", [Verdict.abort(), Verdict.abort(counted=True)])
    def test_an_aborted_chain(self, stale: StaleIfError[Any], verdict: Verdict) -> None:
        """A mistake of the caller's own is told to the caller."""
        config = ExecuteConfig(strategy="fallback", logger=SILENT.logger, classify=lambda _: verdict)
        with pytest.raises(ProviderFailedError) as caught:
            ask(stale, "key", config)
        assert caught.value.aborted

    def test_no_providers(self, stale: StaleIfError[Any]) -> None:
        """An empty chain is a mistake, not an outage."""
        with pytest.raises(NoProvidersError):
            stale.execute("key", [], SILENT, fail)

    def test_a_config_that_is_none(self, stale: StaleIfError[Any]) -> None:
        """Arguments are checked as `execute()` does."""
        with pytest.raises(InvalidConfigError, match="config must be an ExecuteConfig"):
            stale.execute("key", vendors("grok"), "fallback", fail)  # type: ignore[arg-type]  # on purpose

    def test_a_fn_that_returns_a_coroutine(self, stale: StaleIfError[Any]) -> None:
        """That is refused, and what is remembered is left as it is."""

        async def fn(provider: Vendor) -> str:
            return "a dog"

        with pytest.raises(InvalidConfigError, match="fn must be a plain function"):
            stale.execute("key", vendors("grok"), SILENT, fn)
        assert answer_to(stale, "key") == "a cat"

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
    def test_what_is_no_exception(self, stale: StaleIfError[Any], interruption: BaseException) -> None:
        """Ctrl-C ends the execution, unchanged."""
        with pytest.raises(type(interruption)) as caught:
            stale.execute("key", vendors("grok"), SILENT, replying(grok=interruption))
        assert caught.value is interruption


class TestKey:
    """What an answer is remembered by."""

    @pytest.mark.parametrize("key", [["secret"], ("secret", ["secret"]), {"secret": 1}])
    def test_must_be_hashable(self, key: Any) -> None:
        """It is refused before a provider is called, by a text that does not quote it."""
        called: list[Vendor] = []
        with pytest.raises(InvalidConfigError, match="key must be hashable") as caught:
            StaleIfError[Any](TTL).execute(key, vendors("grok"), SILENT, called.append)
        assert caught.value.setting == "key"
        assert type(key).__name__ in str(caught.value)
        assert "secret" not in str(caught.value)
        assert called == []

    def test_whose_hash_raises_is_refused(self) -> None:
        """Whatever it raises is the cause."""

        class Broken:
            def __hash__(self) -> int:
                raise ZeroDivisionError

        with pytest.raises(InvalidConfigError, match="key must be hashable") as caught:
            ask(StaleIfError(TTL), Broken())
        assert type(caught.value.__cause__) is ZeroDivisionError

    def test_must_be_hashable_to_be_forgotten(self) -> None:
        """A key that no answer can have is a mistake there, too."""
        with pytest.raises(InvalidConfigError, match="key must be hashable"):
            StaleIfError(TTL).forget([])  # type: ignore[arg-type]  # on purpose

    def test_that_is_equal_will_do(self) -> None:
        """Keys are compared as those of a dict are."""
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, 1, "a cat")
        assert answer_to(stale, 1.0) == "a cat"

    def test_that_cannot_be_compared_hides_no_answer(self) -> None:
        """The fresh answer is returned, and what is the matter is logged."""

        def refuse() -> None:
            raise VendorError("not comparable")

        records = Records()
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, Key(refuse), "a cat")
        assert remember(stale, Key(), "a dog", logging_to(records)).response == "a dog"
        assert records.lines == ["ERROR answer not remembered provider=grok error=not comparable"]

    def test_that_cannot_be_compared_hides_no_error(self) -> None:
        """The chain's error is raised, and what is the matter is logged."""

        def refuse() -> None:
            raise VendorError("not comparable")

        records = Records()
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, Key(refuse), "a cat")
        with pytest.raises(AllProvidersFailedError):
            ask(stale, Key(), logging_to(records))
        assert records.lines[-1] == "ERROR stale answer not served error=not comparable"


class TestAge:
    """How old an answer is, and when it is too old."""

    @pytest.fixture(params=[TTL, timedelta(seconds=TTL)], ids=["seconds", "timedelta"])
    def stale(self, request: pytest.FixtureRequest, clock: FrozenDateTimeFactory) -> StaleIfError[Any]:
        """An answer is remembered this very moment."""
        stale: StaleIfError[Any] = StaleIfError(request.param)
        remember(stale, "key", "a cat")
        return stale

    @pytest.mark.parametrize("age", [0.0, 0.000001, 0.1, 0.3, 1.1, 29.7, 123.456789])
    def test_is_the_time_since_the_answer_was_had(
        self, stale: StaleIfError[Any], clock: FrozenDateTimeFactory, age: float
    ) -> None:
        """It is a float of seconds, exact as the clock is."""
        clock.tick(timedelta(seconds=age))
        told = ask(stale, "key").age
        assert told == age
        assert type(told) is float

    def test_just_before_ttl_will_do(self, stale: StaleIfError[Any], clock: FrozenDateTimeFactory) -> None:
        """An answer is given until a microsecond before it is so old."""
        clock.tick(timedelta(seconds=TTL) - MICROSECOND)
        assert ask(stale, "key").age == TTL - 0.000001

    @pytest.mark.parametrize("later", [timedelta(0), MICROSECOND, timedelta(days=1)])
    def test_from_ttl_on_is_too_old(
        self, stale: StaleIfError[Any], clock: FrozenDateTimeFactory, later: timedelta
    ) -> None:
        """At that moment and ever after, the error is raised."""
        clock.tick(timedelta(seconds=TTL) + later)
        assert answer_to(stale, "key") is None

    def test_counts_from_the_answer_not_from_the_question(self, clock: FrozenDateTimeFactory) -> None:
        """How long the provider took makes its answer no older."""

        def slow(provider: Vendor) -> str:
            clock.tick(TTL * 2)
            return "a cat"

        stale: StaleIfError[str] = StaleIfError(TTL)
        stale.execute("key", vendors("grok"), SILENT, slow)
        assert ask(stale, "key").age == 0.0

    def test_counts_the_time_that_the_copy_took(self, clock: FrozenDateTimeFactory) -> None:
        """The answer is as old as it is, also where it took long to remember it."""

        def slow(answer: str) -> str:
            clock.tick(10)
            return answer

        stale: StaleIfError[str] = StaleIfError(TTL, copy=slow)
        remember(stale, "key", "a cat")
        assert ask(stale, "key").age == 10.0

    def test_is_never_negative(self, stale: StaleIfError[Any], clock: FrozenDateTimeFactory) -> None:
        """A clock that was set back to before the answer makes it new."""
        clock.tick(-3600)
        assert ask(stale, "key").age == 0.0
        clock.tick(5)
        assert ask(stale, "key").age == 5.0

    def test_of_a_ttl_finer_than_the_clock_is_never_negative(self, clock: FrozenDateTimeFactory) -> None:
        """The clock tells microseconds, and a ttl of other parts is rounded to them."""
        stale: StaleIfError[str] = StaleIfError(0.1234567)
        remember(stale, "key", "a cat")
        assert str(ask(stale, "key").age) == "0.0"

    def test_is_at_most_ttl_from_the_look_at_a_clock_that_was_set_back(
        self, stale: StaleIfError[Any], clock: FrozenDateTimeFactory
    ) -> None:
        """From then on the answer lives as long as a new one, and no longer."""
        clock.tick(-3600)
        assert answer_to(stale, "key") == "a cat"
        clock.tick(timedelta(seconds=TTL) - MICROSECOND)
        assert answer_to(stale, "key") == "a cat"
        clock.tick(MICROSECOND)
        assert answer_to(stale, "key") is None

    def test_of_new_answers_is_right_once_the_clock_was_set_back(
        self, stale: StaleIfError[Any], clock: FrozenDateTimeFactory
    ) -> None:
        """Answers from before and after it do not disturb one another."""
        clock.tick(-100)
        remember(stale, "new", "a dog")
        clock.tick(timedelta(seconds=TTL) - MICROSECOND)
        assert answer_to(stale, "new") == "a dog"
        clock.tick(MICROSECOND)
        assert answer_to(stale, "new") is None

    def test_does_not_grow_younger_when_a_clock_that_was_ahead_is_set_right(
        self, stale: StaleIfError[Any], clock: FrozenDateTimeFactory
    ) -> None:
        """What has been seen to be too old stays so."""
        clock.tick(TTL)
        assert answer_to(stale, "key") is None
        clock.tick(-TTL)
        assert answer_to(stale, "key") is None

    @pytest.mark.parametrize("year", ["1955-11-05", "9999-12-31 23:59"])
    def test_is_right_in_any_year(self, clock: FrozenDateTimeFactory, year: str) -> None:
        """Neither before 1970 nor at the end of all dates is anything raised."""
        stale: StaleIfError[str] = StaleIfError(10)
        clock.move_to(year)
        remember(stale, "key", "a cat")
        clock.tick(9)
        assert ask(stale, "key").age == 9.0
        clock.tick(1)
        assert answer_to(stale, "key") is None


class TestBound:
    """How much is remembered."""

    def test_drops_the_key_that_is_longest_unused(self) -> None:
        """A key is used when its answer is had, and when it is given."""
        stale: StaleIfError[int] = StaleIfError(TTL, maxsize=3)
        for number in range(3):
            remember(stale, number, number)
        ask(stale, 0)
        remember(stale, 1, 1)
        remember(stale, 3, 3)
        assert [answer_to(stale, number) for number in range(4)] == [0, 1, None, 3]

    def test_drops_nobody_for_a_key_that_is_there(self) -> None:
        """Another answer for a key takes no more room."""
        stale: StaleIfError[int] = StaleIfError(TTL, maxsize=2)
        for number in (0, 1, 1):
            remember(stale, number, number)
        assert [answer_to(stale, number) for number in range(2)] == [0, 1]

    def test_of_one_remembers_one(self) -> None:
        """The least there is."""
        stale: StaleIfError[str] = StaleIfError(TTL, 1)
        remember(stale, "one", "a cat")
        remember(stale, "one", "a dog")
        assert answer_to(stale, "one") == "a dog"
        remember(stale, "other", "a cow")
        assert (answer_to(stale, "one"), answer_to(stale, "other")) == (None, "a cow")

    @pytest.mark.usefixtures("no_collector")
    @pytest.mark.parametrize(
        "use",
        [
            lambda stale: remember(stale, "new", "a dog"),
            lambda stale: answer_to(stale, "new"),
            lambda stale: stale.forget("new"),
            repr,
        ],
        ids=["remember", "ask", "forget", "repr"],
    )
    def test_lets_go_of_what_is_too_old(
        self, clock: FrozenDateTimeFactory, use: Callable[[StaleIfError[Any]], object]
    ) -> None:
        """Whatever is done next, old answers are freed with it."""
        watch = Watch()
        stale: StaleIfError[Any] = StaleIfError(TTL)
        remember(stale, "key", watch("answer", Held()))
        clock.tick(timedelta(seconds=TTL) - MICROSECOND)
        use(stale)
        assert watch.alive == {"answer"}
        clock.tick(MICROSECOND)
        use(stale)
        assert watch.alive == set()


class TestCopy:
    """Answers that can be changed."""

    def test_protects_what_is_remembered_from_changes(self) -> None:
        """Neither who got the fresh answer nor who got an old one can change what others get."""
        stale: StaleIfError[list[str]] = StaleIfError(TTL, copy=copy.deepcopy)
        remember(stale, "key", ["a cat"]).response.append("changed")
        ask(stale, "key").response.append("changed")
        assert ask(stale, "key").response == ["a cat"]

    def test_is_made_once_for_each_time(self) -> None:
        """One copy when it is remembered, one each time it is given, none of which anybody else has."""
        numbers = itertools.count(1)
        stale: StaleIfError[str] = StaleIfError(TTL, copy=lambda answer: f"{answer} {next(numbers)}")
        assert remember(stale, "key", "copy").response == "copy"
        assert [ask(stale, "key").response for _ in range(2)] == ["copy 1 2", "copy 1 3"]

    def test_that_fails_when_remembering_hides_no_answer(self) -> None:
        """The fresh answer is returned, and it is logged once what is the matter."""
        records = Records()
        stale: StaleIfError[object] = StaleIfError(TTL, copy=raising(UncopyableError("has\na lock")))
        assert remember(stale, "key", "a cat", logging_to(records)).response == "a cat"
        assert records.lines == ["ERROR answer not remembered provider=grok error=has\\na lock"]
        assert fields_of(records.kept[0]) == {"provider": "grok", "error": "has\\na lock"}
        assert answer_to(stale, "key") is None

    def test_that_fails_when_remembering_keeps_the_answer_before(self, clock: FrozenDateTimeFactory) -> None:
        """The earlier one is as good as it was: better than an error, until it is too old."""
        stale: StaleIfError[Any] = StaleIfError(TTL, copy=copy.deepcopy)
        remember(stale, "key", "a cat")
        clock.tick(10)
        remember(stale, "key", threading.Lock())
        assert (ask(stale, "key").response, ask(stale, "key").age) == ("a cat", 10.0)

    def test_that_fails_when_giving_hides_no_error(self) -> None:
        """The chain's error is raised, without the copy's in its context, and the latter is logged."""
        records = Records()
        flaw = UncopyableError("no")
        copies = iter(["copy", flaw])
        stale: StaleIfError[object] = StaleIfError(TTL, copy=lambda _: returned_or_raised(next(copies)))
        remember(stale, "key", "a cat")
        with pytest.raises(AllProvidersFailedError) as caught:
            ask(stale, "key", logging_to(records))
        assert caught.value.__context__ is None or caught.value.__context__ is caught.value.__cause__
        assert flaw.__context__ is None
        assert records.lines[2:] == ["ERROR stale answer not served error=no"]
        assert fields_of(records.kept[2]) == {"error": "no"}

    def test_that_is_interrupted_when_remembering_propagates(self) -> None:
        """Ctrl-C is nobody's to hide."""
        stale: StaleIfError[object] = StaleIfError(TTL, copy=raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            remember(stale, "key", "a cat")

    def test_that_is_interrupted_when_giving_propagates(self) -> None:
        """Nor is it there; and what is remembered stays."""
        copies = iter(["copy", KeyboardInterrupt(), "another"])
        stale: StaleIfError[object] = StaleIfError(TTL, copy=lambda _: returned_or_raised(next(copies)))
        remember(stale, "key", "a cat")
        with pytest.raises(KeyboardInterrupt) as caught:
            ask(stale, "key")
        assert caught.value.__context__ is None
        assert answer_to(stale, "key") == "another"

    def test_that_takes_long_does_not_undo_a_later_answer(self) -> None:
        """The last answer is the one that was had last, not the one whose copy was made last."""
        stale: StaleIfError[str]

        def duplicate(answer: str) -> str:
            if answer == "first":
                in_thread(lambda: remember(stale, "key", "second"))
            return answer

        stale = StaleIfError(TTL, copy=duplicate)
        assert remember(stale, "key", "first").response == "first"
        assert answer_to(stale, "key") == "second"

    def test_runs_under_no_lock(self) -> None:
        """While one answer is copied, other threads remember, ask and forget."""
        stale: StaleIfError[str]

        def others() -> list[object]:
            remember(stale, "other", "a dog")
            given = answer_to(stale, "other")
            stale.forget("nothing")
            return [given, repr(stale)]

        seen: list[object] = []

        def duplicate(answer: str) -> str:
            if answer == "a cat":
                seen.extend(in_thread(others))
            return answer

        stale = StaleIfError(TTL, copy=duplicate)
        remember(stale, "key", "a cat")
        assert seen[0] == "a dog"
        ask(stale, "key")
        assert len(seen) == 4


def raising(error: BaseException) -> Callable[[object], object]:
    """Return a copy that fails."""
    return lambda _answer: returned_or_raised(error)


def returned_or_raised(reply: object) -> object:
    """Raise what is an exception, return all else."""
    if isinstance(reply, BaseException):
        raise reply
    return reply


class TestLog:
    """What is logged of stale answers."""

    def test_says_who_answered_how_long_ago_and_why_it_is_given(self, clock: FrozenDateTimeFactory) -> None:
        """One record at level WARNING, after those of the chain."""
        records = Records()
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, "key", "a cat")
        clock.tick(12.5)
        ask(stale, "key", logging_to(records))
        error = (
            "all providers failed: all 2 providers failed (last error: mistral is down) (2 sub-exceptions)"
        )
        assert records.lines[2:] == [f"WARNING serving a stale answer provider=grok age=12.5 error={error}"]
        assert fields_of(records.kept[2]) == {"provider": "grok", "age": 12.5, "error": error}

    def test_is_silent_otherwise(self) -> None:
        """A fresh answer is not logged, nor is an error that is raised."""
        records = Records()
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, "key", "a cat", logging_to(records))
        assert records.lines == []
        with pytest.raises(AllProvidersFailedError):
            ask(stale, "other", logging_to(records))
        assert len(records.lines) == 2

    def test_has_neither_key_nor_answer(self) -> None:
        """Both may be what nobody should read in a log."""
        records = Records()
        config = ExecuteConfig(strategy=Strategy.FALLBACK, logger=logger_with(records))
        copies = iter(["secret", "secret", VendorError("no"), VendorError("no")])
        stale: StaleIfError[Any] = StaleIfError(TTL, copy=lambda _: returned_or_raised(next(copies)))
        remember(stale, "alice", "secret", config)
        ask(stale, "alice", config)
        with pytest.raises(AllProvidersFailedError):
            ask(stale, "alice", config)
        remember(stale, "alice", "secret", config)
        texts = [f"{record.getMessage()} {vars(record)}" for record in records.kept]
        assert {"serving", "answer", "stale"} <= {text.split()[0] for text in texts}
        assert [text for text in texts if "alice" in text or "secret" in text] == []

    def test_has_no_credentials(self) -> None:
        """What the chain's error quotes is masked as in all texts, by the function of the config."""
        records = Records()
        stale: StaleIfError[Any] = StaleIfError(TTL)
        remember(stale, "key", "a cat")
        config = ExecuteConfig(
            logger=logger_with(records), redact=lambda text: text.replace("mistral", "[masked]")
        )
        stale.execute("key", vendors("mistral"), config, fail)
        assert fields_of(records.kept[-1])["error"] == "primary provider [masked] failed: [masked] is down"

    def test_that_is_broken_hides_no_answer(self) -> None:
        """A handler that raises changes nothing."""

        class Broken(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise VendorError("disk full")

        config = ExecuteConfig(strategy=Strategy.FALLBACK, logger=logger_with(Broken()))
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, "key", "a cat", config)
        assert ask(stale, "key", config).response == "a cat"


@pytest.mark.usefixtures("no_collector")
class TestNothingIsKeptAlive:
    """With the garbage collector off, what nobody refers to is gone at once."""

    @pytest.fixture
    def watch(self, monkeypatch: pytest.MonkeyPatch) -> Watch:
        """Sees what lives still, the chain's error included."""
        watch = Watch()

        def execute(*arguments: Any, **options: Any) -> object:
            try:
                return fallback_exec.execute(*arguments, **options)
            except FallbackExecError as error:
                watch("chain's error", error)
                raise

        monkeypatch.setattr(fallback_exec.stale, "execute", execute)
        return watch

    @pytest.fixture
    def fn(self, watch: Watch) -> Callable[[Vendor], Held]:
        """A `fn` whose frames hold something."""

        def fn(provider: Vendor) -> Held:
            _local = watch(f"frame of {provider.name}", Held())
            if provider.name == "good":
                return watch("answer", Held())
            raise watch(f"error of {provider.name}", VendorError(provider.name))

        return fn

    def test_of_an_error_that_was_covered_up(self, watch: Watch, fn: Callable[[Vendor], Held]) -> None:
        """The chain's error goes at once; the result's story holds the providers', until it goes too."""
        stale: StaleIfError[Any] = StaleIfError(TTL)
        stale.execute("key", vendors("good"), SILENT, fn)
        kept = [stale.execute("key", vendors("bad"), SILENT, fn)]
        assert watch.alive == {"answer", "frame of bad", "error of bad"}
        kept.clear()
        assert "chain's error" in watch.labels
        assert watch.alive == {"answer"}

    def test_of_an_error_that_was_raised(self, watch: Watch, fn: Callable[[Vendor], Held]) -> None:
        """The error and its frames go when it has been handled."""
        stale: StaleIfError[Any] = StaleIfError(TTL)

        def use() -> int:
            try:
                stale.execute("key", vendors("bad"), SILENT, fn)
            except AllProvidersFailedError as error:
                return len(error.attempts)
            return 0

        assert use() == 1
        assert watch.labels == {"frame of bad", "error of bad", "chain's error"}
        assert watch.alive == set()

    def test_of_a_fresh_result_after_a_failure(self, watch: Watch, fn: Callable[[Vendor], Held]) -> None:
        """Only the answer is remembered: neither the result nor the errors before it."""
        stale: StaleIfError[Any] = StaleIfError(TTL)

        def use() -> int:
            result = watch("result", stale.execute("key", vendors("bad", "good"), SILENT, fn))
            attempt_num = result.attempt_num
            del result
            return attempt_num

        assert use() == 2
        assert watch.alive == {"answer"}
        stale.clear()
        assert watch.alive == set()

    def test_of_the_answer_where_a_copy_is_remembered(
        self, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """The original is the caller's alone."""
        stale: StaleIfError[Any] = StaleIfError(TTL, copy=lambda _: watch("copy", Held()))
        stale.execute("key", vendors("good"), SILENT, fn)
        assert watch.alive == {"copy"}

    @pytest.mark.parametrize("forget", [lambda stale: stale.forget("key"), lambda stale: stale.clear()])
    def test_of_an_answer_that_was_forgotten(
        self, watch: Watch, fn: Callable[[Vendor], Held], forget: Callable[[StaleIfError[Any]], object]
    ) -> None:
        """It is freed at once."""
        stale: StaleIfError[Any] = StaleIfError(TTL)
        stale.execute("key", vendors("good"), SILENT, fn)
        forget(stale)
        assert watch.alive == set()

    def test_of_the_whole(self, watch: Watch, fn: Callable[[Vendor], Held]) -> None:
        """Who drops a `StaleIfError` drops its answers."""
        stale = watch("stale", StaleIfError[Any](TTL))
        stale.execute("key", vendors("good"), SILENT, fn)
        del stale
        assert watch.alive == set()

    def test_of_what_a_copy_raises(self, watch: Watch, fn: Callable[[Vendor], Held]) -> None:
        """Also where the same object is raised each time: it holds no frame of ours, and does not grow."""
        flaw = UncopyableError("no")
        copies = iter([flaw, "copy", flaw])
        stale: StaleIfError[Any] = StaleIfError(TTL, copy=lambda _: returned_or_raised(next(copies)))
        stale.execute("key", vendors("good"), SILENT, fn)
        assert watch.alive == set()
        stale.execute("key", vendors("good"), SILENT, fn)
        with pytest.raises(AllProvidersFailedError):
            stale.execute("key", vendors("bad"), SILENT, fn)
        assert (flaw.__traceback__, flaw.__context__) == (None, None)

    def test_of_a_chain_that_a_copy_could_not_stand_in_for(
        self, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """An error of the copy's that somebody keeps keeps the chain's error not alive."""
        flaw = UncopyableError("no")
        copies = iter(["copy", flaw])
        stale: StaleIfError[Any] = StaleIfError(TTL, copy=lambda _: returned_or_raised(next(copies)))
        stale.execute("key", vendors("good"), SILENT, fn)

        def use() -> None:
            try:
                stale.execute("key", vendors("bad"), SILENT, fn)
            except AllProvidersFailedError:
                return
            raise AssertionError("answered")

        use()
        assert str(flaw) == "no"
        assert watch.alive == set()


class TestForgetting:
    """What is forgotten by hand."""

    def test_of_one_key_leaves_the_others(self) -> None:
        """That answer is not given again, and the key may have another."""
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, "one", "a cat")
        remember(stale, "other", "a dog")
        stale.forget("one")
        assert (answer_to(stale, "one"), answer_to(stale, "other")) == (None, "a dog")
        remember(stale, "one", "a cow")
        assert answer_to(stale, "one") == "a cow"

    def test_of_an_unknown_key_is_no_mistake(self) -> None:
        """Nothing is there to forget."""
        StaleIfError(TTL).forget("key")

    def test_of_all_leaves_none(self) -> None:
        """No key has an answer, and each may have another."""
        stale: StaleIfError[str] = StaleIfError(TTL)
        stale.clear()
        for key in "ab":
            remember(stale, key, "a cat")
        stale.clear()
        assert [answer_to(stale, key) for key in "ab"] == [None, None]
        remember(stale, "a", "a dog")
        assert answer_to(stale, "a") == "a dog"

    def test_holds_however_the_clock_is_set(self, clock: FrozenDateTimeFactory) -> None:
        """A clock that goes forth and back brings nothing back that was forgotten."""
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, "late", "a dog")
        clock.tick(-100)
        remember(stale, "key", "a cat")
        clock.tick(TTL)
        stale.forget("key")
        clock.tick(-TTL)
        assert answer_to(stale, "key") is None


class TestRepr:
    """How it is shown."""

    def test_says_how_many_answers_there_are(self) -> None:
        """Neither a key nor an answer is shown."""
        stale: StaleIfError[str] = StaleIfError(TTL, 10)
        assert repr(stale) == "<StaleIfError of 0 answers, ttl=300.0, maxsize=10>"
        remember(stale, "alice", "secret")
        remember(stale, "bob", "secret")
        assert repr(stale) == "<StaleIfError of 2 answers, ttl=300.0, maxsize=10>"


class TestJourney:
    """It belongs to its process."""

    @pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_is_refused(self, travel: Callable[[object], object]) -> None:
        """A copy would be another one, without what this one remembers later."""
        with pytest.raises(TypeError, match="a StaleIfError cannot be pickled or copied"):
            travel(StaleIfError(TTL))


class TestThreads:
    """Any number of threads at once."""

    def test_calls_run_outside_the_lock(self) -> None:
        """Executions of one key overlap: each waits within its call for all the others."""
        stale: StaleIfError[str] = StaleIfError(TTL)
        meeting = threading.Barrier(4)

        def fn(provider: Vendor) -> str:
            meeting.wait(PATIENCE)
            return "a cat"

        results = in_threads(4, lambda _: stale.execute("key", vendors("grok"), SILENT, fn))
        assert [result.response for result in results] == ["a cat"] * 4

    @pytest.mark.usefixtures("fast_switching")
    def test_lose_no_answer(self) -> None:
        """Whatever all of them do at once, each finds each answer of its own that it has not forgotten."""
        rounds, count = 200, 8
        stale: StaleIfError[Any] = StaleIfError(TTL, maxsize=rounds * count)

        def work(number: int) -> list[object]:
            for step in range(rounds):
                remember(stale, (number, step), (number, step))
                if step % 10 == 0:
                    stale.forget((number, step))
            return [answer_to(stale, (number, step)) for step in range(rounds)]

        found = in_threads(count, work)
        assert found == [
            [None if step % 10 == 0 else (number, step) for step in range(rounds)] for number in range(count)
        ]

    @pytest.mark.usefixtures("fast_switching")
    def test_do_not_break_the_cache(self) -> None:
        """After a storm nothing has failed, each answer is of its key, and the room is all there."""
        size, rounds, count = 8, 300, 8
        records = Records()
        config = logging_to(records)
        stale: StaleIfError[int] = StaleIfError(TTL, maxsize=size)

        def work(number: int) -> list[tuple[int, object]]:
            given = []
            for step in range(rounds):
                key = (number * 7 + step * 5) % (size * 2)
                remember(stale, key, key, config)
                answer = answer_to(stale, key)
                if answer is not None:
                    given.append((key, answer))
                if step % 11 == 0:
                    stale.forget(key)
                    repr(stale)
            return given

        given = [pair for pairs in in_threads(count, work) for pair in pairs]
        assert given
        assert [pair for pair in given if pair[0] != pair[1]] == []
        assert [line for line in records.lines if line.startswith("ERROR")] == []
        for key in range(100, 100 + size):
            remember(stale, key, key)
        assert [answer_to(stale, key) for key in range(100, 100 + size)] == [*range(100, 100 + size)]
        assert repr(stale).startswith(f"<StaleIfError of {size} answers")


class TestReentrance:
    """A key or a finalizer that comes back in while the cache is being changed."""

    @pytest.mark.parametrize(
        "act",
        [
            lambda stale: remember(stale, "other", "a dog"),
            lambda stale: answer_to(stale, "other"),
            lambda stale: stale.forget("other"),
            lambda stale: stale.clear(),
        ],
        ids=["remember", "ask", "forget", "clear"],
    )
    @pytest.mark.parametrize(
        "use",
        [lambda stale: remember(stale, Key(), "a cow"), lambda stale: answer_to(stale, Key())],
        ids=["remember", "ask"],
    )
    def test_does_no_harm(
        self,
        act: Callable[[StaleIfError[Any]], object],
        use: Callable[[StaleIfError[Any]], object],
    ) -> None:
        """What was remembered may be forgotten by it; from then on all is as ever."""
        stale: StaleIfError[Any] = StaleIfError(TTL, maxsize=2)
        remember(stale, Key(lambda: act(stale)), "a cat")
        use(stale)
        stale.clear()
        for key in range(3):
            remember(stale, key, key)
        assert [answer_to(stale, key) for key in range(3)] == [None, 1, 2]

    def test_to_forget_is_heeded(self) -> None:
        """What is forgotten amid a change does not come back with its end."""
        stale: StaleIfError[Any] = StaleIfError(TTL)
        remember(stale, "secret", "a cat")
        remember(stale, Key(lambda: stale.forget("secret")), "a dog")
        answer_to(stale, Key())
        assert answer_to(stale, "secret") is None

    def test_to_clear_is_heeded(self) -> None:
        """Nor does anything else."""
        stale: StaleIfError[Any] = StaleIfError(TTL)
        remember(stale, "secret", "a cat")
        remember(stale, Key(stale.clear), "a dog")
        answer_to(stale, Key())
        assert repr(stale).startswith("<StaleIfError of 0 answers")

    def test_to_remember_is_heeded(self) -> None:
        """An answer that is had amid a change is remembered."""
        stale: StaleIfError[Any] = StaleIfError(TTL)
        remember(stale, Key(lambda: remember(stale, "new", "a cow")), "a dog")
        answer_to(stale, Key())
        assert answer_to(stale, "new") == "a cow"

    def test_to_show_it_disturbs_nothing(self) -> None:
        """A debugger's look amid a change sees no answers, and loses none."""
        seen: list[str] = []
        stale: StaleIfError[Any] = StaleIfError(TTL)
        remember(stale, Key(lambda: seen.append(repr(stale))), "a cat")
        assert answer_to(stale, Key()) == "a cat"
        assert seen
        assert set(seen) == {"<StaleIfError of 0 answers, ttl=300.0, maxsize=1024>"}
        assert repr(stale).startswith("<StaleIfError of 1 answers")

    def test_at_any_line_does_no_harm(self) -> None:
        """Wherever a finalizer forgets all, nothing is raised, and the next answer is remembered."""

        def scene() -> tuple[Callable[[], tuple[object, object]], Callable[[], object]]:
            stale: StaleIfError[str] = StaleIfError(TTL, maxsize=1)
            remember(stale, "one", "a cat")

            def work() -> tuple[object, object]:
                remember(stale, "other", "a dog")
                first = answer_to(stale, "other")
                remember(stale, "one", "a cow")
                return first, answer_to(stale, "one")

            return work, stale.clear

        firsts, seconds = zip(*meddle_at_each_line(scene), strict=True)
        assert set(firsts) == {"a dog", None}
        assert set(seconds) == {"a cow", None}

    @pytest.mark.usefixtures("no_collector")
    @pytest.mark.parametrize(
        "drop",
        [
            lambda stale: remember(stale, "other", "a dog"),
            lambda stale: remember(stale, "key", "a dog"),
            lambda stale: stale.forget("key"),
            lambda stale: stale.clear(),
        ],
        ids=["evicted", "replaced", "forgotten", "cleared"],
    )
    def test_of_finalizers_of_answers_is_outside_the_lock(
        self, drop: Callable[[StaleIfError[Any]], object]
    ) -> None:
        """An answer's finalizer may wait for another thread that executes."""
        shown: list[str] = []

        class Client:
            def __del__(self) -> None:
                shown.append(in_thread(lambda: repr(stale)))

        stale: StaleIfError[Any] = StaleIfError(TTL, maxsize=1)
        remember(stale, "key", Client())
        drop(stale)
        assert len(shown) == 1

    @pytest.mark.usefixtures("no_collector")
    @pytest.mark.parametrize(
        "use",
        [
            lambda stale: remember(stale, "other", "a dog"),
            lambda stale: answer_to(stale, "other"),
            lambda stale: stale.forget("other"),
            repr,
        ],
        ids=["remember", "ask", "forget", "repr"],
    )
    def test_of_finalizers_of_what_is_too_old_is_outside_the_lock(
        self, clock: FrozenDateTimeFactory, use: Callable[[StaleIfError[Any]], object]
    ) -> None:
        """Nor does time free anything under the lock."""
        shown: list[str] = []

        class Client:
            def __del__(self) -> None:
                shown.append(in_thread(lambda: repr(stale)))

        stale: StaleIfError[Any] = StaleIfError(TTL)
        remember(stale, "key", Client())
        clock.tick(TTL)
        use(stale)
        assert len(shown) == 1

    @pytest.mark.usefixtures("no_collector")
    def test_of_finalizers_is_outside_the_lock_however_the_clock_is_set(
        self, clock: FrozenDateTimeFactory
    ) -> None:
        """What time would free, were it not for an answer from before the clock was set back."""
        shown: list[str] = []

        class Client:
            def __del__(self) -> None:
                shown.append(in_thread(lambda: repr(stale)))

        stale: StaleIfError[Any] = StaleIfError(TTL)
        remember(stale, "late", "a dog")
        clock.tick(-100)
        remember(stale, "key", Client())
        clock.tick(TTL)
        remember(stale, "key", "a cat")
        assert len(shown) == 1


class TestInterruption:
    """Ctrl-C amid a change."""

    def test_in_a_key_forgets_rather_than_breaks(self) -> None:
        """The cache that was being changed is not used again."""
        stale: StaleIfError[Any] = StaleIfError(TTL, maxsize=2)
        interruptions = iter([KeyboardInterrupt()])
        remember(stale, Key(lambda: returned_or_raised(next(interruptions, None))), "a cat")
        with pytest.raises(KeyboardInterrupt):
            remember(stale, Key(), "a dog")
        assert repr(stale).startswith("<StaleIfError of 0 answers")
        for key in range(3):
            remember(stale, key, key)
        assert [answer_to(stale, key) for key in range(3)] == [None, 1, 2]

    def test_at_any_moment_breaks_nothing(self) -> None:
        """Wherever the handler of a signal raises, other threads can go on, and answers are remembered."""

        def interrupt() -> None:
            raise KeyboardInterrupt

        def scene() -> tuple[StaleIfError[Any], Callable[[], object], Callable[[], object]]:
            stale: StaleIfError[Any] = StaleIfError(TTL, maxsize=1)
            remember(stale, "one", "a cat")

            def work() -> None:
                remember(stale, "other", "a dog")
                ask(stale, "other")
                stale.forget("other")
                stale.clear()

            return stale, work, interrupt

        for stale, came_out in act_at_each_call(scene):
            assert type(came_out) is KeyboardInterrupt
            in_thread(lambda: [remember(stale, key, key) for key in "ab"])  # noqa: B023  # run at once
            assert (answer_to(stale, "a"), answer_to(stale, "b")) == (None, "b")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
class TestForks:
    """What a forked child has."""

    def test_keeps_the_answers(self) -> None:
        """The parent's answers are the child's, too; from then on each has its own."""
        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, "key", "a cat")

        def work() -> None:
            assert answer_to(stale, "key") == "a cat"
            remember(stale, "key", "a dog")
            assert answer_to(stale, "key") == "a dog"

        assert forked_child_finishes(work)
        assert answer_to(stale, "key") == "a cat"

    def test_begins_empty_where_a_thread_was_changing_them(self) -> None:
        """What may be half changed is not used; the lock of that thread, which is not there, is renewed."""
        inside, leave = threading.Event(), threading.Event()

        def sit() -> None:
            inside.set()
            assert leave.wait(PATIENCE)

        stale: StaleIfError[str] = StaleIfError(TTL)
        remember(stale, "other", "a dog")
        remember(stale, Key(sit), "a cat")
        thread = threading.Thread(target=answer_to, args=(stale, Key()), daemon=True)
        thread.start()
        assert inside.wait(PATIENCE)

        def work() -> None:
            assert repr(stale).startswith("<StaleIfError of 0 answers")
            assert answer_to(stale, "other") is None
            remember(stale, "key", "a cow")
            assert answer_to(stale, "key") == "a cow"

        try:
            assert forked_child_finishes(work)
        finally:
            leave.set()
            thread.join(PATIENCE)
        assert not thread.is_alive()
        assert answer_to(stale, "other") == "a dog"

    def test_is_told_of_a_fork_as_trackers_are(self) -> None:
        """What a child does first, done here while another thread is amid a change: nobody waits for it."""
        stale: StaleIfError[str] = StaleIfError(TTL)
        given: list[object] = []

        def execute_in_another_thread() -> object:
            remember(stale, "key", "a cow")
            return answer_to(stale, "key")

        def renew() -> None:
            _forks._renew_all()
            given.append(in_thread(execute_in_another_thread))

        remember(stale, Key(renew), "a cat")
        answer_to(stale, Key())
        assert given
        assert set(given) == {"a cow"}

    def test_works_where_the_forking_thread_was_changing_them(self) -> None:
        """Also a key that forks finds its way out, in both processes."""
        stale: StaleIfError[str] = StaleIfError(TTL)
        finished: list[bool] = []

        def work() -> None:
            remember(stale, "new", "a cow")
            assert answer_to(stale, "new") == "a cow"

        remember(stale, Key(lambda: finished.append(forked_child_finishes(work))), "a cat")
        assert answer_to(stale, Key()) == "a cat"
        assert finished
        assert all(finished)


class StaleMachine(RuleBasedStateMachine):
    """`StaleIfError` driven together with a dict that says what it must do."""

    keys = st.sampled_from("abcd")

    # Few answers die young, or there would be nothing to tell apart.
    @initialize(maxsize=st.integers(1, 4), ttl=st.sampled_from([300 * 10**6, 300 * 10**6, 10**5 + 1, 1]))
    def begin(self, maxsize: int, ttl: int) -> None:
        """Begin with nothing remembered; `ttl` is in microseconds."""
        self.freezer = freeze_time(START)
        frozen = self.freezer.start()
        assert isinstance(frozen, FrozenDateTimeFactory)
        self.clock = frozen
        self.stale: StaleIfError[Any] = StaleIfError(timedelta(microseconds=ttl), maxsize)
        self.maxsize, self.ttl, self.now = maxsize, ttl, 0
        # Key: the answer and when it was had; the longest unused first.
        self.model: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self.answers = itertools.count()

    def teardown(self) -> None:
        """Let time go on."""
        if hasattr(self, "freezer"):
            self.freezer.stop()

    @rule(key=keys, fails_first=st.booleans())
    def succeed(self, key: str, fails_first: bool) -> None:
        """A fresh answer is given, whatever is remembered, and remembered."""
        answer = next(self.answers)
        names = ["gemini", "grok"] if fails_first else ["grok"]
        result = self.stale.execute(
            key, vendors(*names), SILENT, replying(gemini=VendorError("down"), grok=answer)
        )
        assert (result.response, result.is_stale, result.age) == (answer, False, 0.0)
        self.model.pop(key, None)
        while len(self.model) >= self.maxsize:
            self.model.popitem(last=False)
        self.model[key] = answer, self.now
        self._show()

    @rule(key=keys, fails_by_deadline=st.booleans())
    def fail(self, key: str, fails_by_deadline: bool) -> None:
        """The answer of the dict is given with its age, or the error where it has none."""
        given: tuple[int, float] | None
        try:
            deadline = -1 if fails_by_deadline else None
            result = self.stale.execute(key, vendors("grok"), SILENT, fail, deadline=deadline)
            assert result.is_stale
            given = result.response, result.age
        except (AllProvidersFailedError, DeadlineExceededError):
            given = None
        if key in self.model:
            answer, had = self.model[key]
            self.model.move_to_end(key)
            assert given == (answer, (self.now - had) / 10**6)
        else:
            assert given is None

    @rule(key=keys)
    def cancel(self, key: str) -> None:
        """Nothing is given, and nothing changes."""
        deadline = Deadline()
        deadline.cancel()
        with pytest.raises(ExecutionCancelledError):
            self.stale.execute(key, vendors("grok"), SILENT, fail, deadline=deadline)

    @rule(microseconds=st.integers(0, 50 * 10**6))
    def tick(self, microseconds: int) -> None:
        """Time passes."""
        self._pass(microseconds)

    @rule(key=keys, offset=st.sampled_from([-1, 0, 1]))
    def tick_to_an_edge(self, key: str, offset: int) -> None:
        """Time passes until an answer is just not, or just, or only just, too old."""
        if key in self.model:
            self._pass(max(0, self.model[key][1] + self.ttl + offset - self.now))

    @rule(key=keys)
    def forget(self, key: str) -> None:
        """That answer is gone."""
        self.stale.forget(key)
        self.model.pop(key, None)

    @rule(is_meant=st.sampled_from([False, False, False, True]))
    def clear(self, is_meant: bool) -> None:
        """All are gone, now and then."""
        if is_meant:
            self.stale.clear()
            self.model.clear()
        self._show()

    def _show(self) -> None:
        """It shows as many answers as the dict has."""
        assert repr(self.stale).startswith(f"<StaleIfError of {len(self.model)} answers")

    def _pass(self, microseconds: int) -> None:
        self.clock.tick(timedelta(microseconds=microseconds))
        self.now += microseconds
        for key, (_, had) in list(self.model.items()):
            if self.now - had >= self.ttl:
                del self.model[key]


TestModel = StaleMachine.TestCase
