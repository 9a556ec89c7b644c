"""The attacker raises exceptions that misbehave: when they are pickled, printed, compared, shared or nested.

They want an error of the library's that cannot travel, that grows, that takes for ever, or that hides what
a provider raised.
"""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    ExecuteConfig,
    FallbackExecError,
    Outcome,
    ProviderFailedError,
    StandInError,
    execute,
)
from fallback_exec.redaction import MAX_LENGTH
from helpers import (
    PATIENCE,
    Vendor,
    VendorError,
    Watch,
    error_of,
    in_threads,
    logger_with,
    replying,
    vendors,
)

FALLBACK = ExecuteConfig(strategy="fallback", logger=logger_with(logging.NullHandler()))


class Spite(Exception):
    """What the attacker wants to see come out."""


class BasicSpite(BaseException):
    """The same, where `except Exception` does not look."""


class CountedError(Exception):
    """An error that counts how often it is pickled."""

    pickled = 0

    def __reduce__(self) -> tuple[Any, ...]:
        type(self).pickled += 1
        return CountedError, self.args


class EndlessError(Exception):
    """An error that is pickled by way of another one like it, and so on."""

    def __reduce__(self) -> tuple[Any, ...]:
        return EndlessError, (EndlessError(),)


class RaisingReduceError(Exception):
    """An error that raises when it is pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise Spite


class ImpostorError(Exception):
    """An error that claims, in a pickle, to be of a module that does not exist."""


ImpostorError.__module__ = "no.such.module"


class SelfishError(Exception):
    """An error that holds itself."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.myself = self


class Unhandleable(Exception):
    """An error that will not have attributes set."""

    def __setattr__(self, name: str, value: object) -> None:
        raise Spite

    def __eq__(self, other: object) -> bool:
        raise Spite

    def __hash__(self) -> int:
        raise Spite

    def __repr__(self) -> str:
        raise Spite


class LastWordsError(Exception):
    """An error that raises when it dies."""

    def __del__(self) -> None:
        raise Spite


class NotedError(Exception):
    """An error whose notes are no list of strings."""

    __notes__ = 5  # type: ignore[assignment]  # that is the attack


def nest(depth: int, error: Exception) -> FallbackExecError:
    """Return what comes of executions within one another, the innermost of which fails with the error."""
    for _ in range(depth):
        error = error_of(AllProvidersFailedError, vendors("grok"), FALLBACK, replying(grok=error))
    assert isinstance(error, FallbackExecError)
    return error


class TestTravelling:
    """Errors on their way to another process."""

    def test_a_nest_is_pickled_in_one_pass(self) -> None:
        """Executions within executions do not multiply the work: the innermost error is tried once."""
        CountedError.pickled = 0
        there = pickle.loads(pickle.dumps(nest(30, CountedError("deep"))))
        assert CountedError.pickled <= 3
        for _ in range(29):
            (there,) = there.exceptions
        assert str(there.exceptions[0]) == "deep"

    @pytest.mark.parametrize(
        "kind", [EndlessError, RaisingReduceError, ImpostorError, SelfishError, NotedError]
    )
    @pytest.mark.parametrize(
        "journey", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy]
    )
    def test_an_error_that_resists_travels_all_the_same(self, kind: type[Exception], journey: Any) -> None:
        """The error of the library's arrives whole, with the provider's error or a stand-in of its name."""
        arrived = journey(nest(1, kind("down")))
        assert type(arrived) is AllProvidersFailedError
        (member,) = arrived.exceptions
        name = (
            member.type_name.rpartition(".")[2] if isinstance(member, StandInError) else type(member).__name__
        )
        assert name == kind.__name__
        assert arrived.attempts[0].error is member
        assert arrived.__cause__ is member

    def test_many_threads_may_pickle_one_error_while_it_is_raised(self) -> None:
        """An error that several threads pickle, copy and read at once is the same for all of them."""
        failure = nest(3, RaisingReduceError("down"))

        def work(number: int) -> set[str]:
            texts = set()
            for _ in range(50):
                arrived = pickle.loads(pickle.dumps(failure))
                texts |= {str(arrived), str(copy.copy(failure))}
            return texts

        assert in_threads(6, work) == [{str(failure)}] * 6

    def test_a_mutilated_error_still_says_what_it_is(self) -> None:
        """Attributes that somebody has put on or taken off do not keep an error from travelling."""
        failure = nest(1, VendorError("down"))
        failure.add_note("seen by the attacker")
        failure.request_id = "5"  # type: ignore[attr-defined]
        failure.__cause__ = None
        arrived = pickle.loads(pickle.dumps(failure))
        assert arrived.__notes__ == ["seen by the attacker"]
        assert arrived.request_id == "5"
        assert arrived.__cause__ is None


class TestRaising:
    """Errors that do not want to be handled."""

    def test_an_error_that_forbids_everything_is_only_passed_on(self) -> None:
        """No attribute of a provider's error is set, nothing of it compared, hashed or shown."""
        error = Unhandleable("down")
        failure = error_of(AllProvidersFailedError, vendors("grok"), FALLBACK, replying(grok=error))
        assert failure.exceptions[0] is error
        assert failure.attempts[0].error is error

    @pytest.mark.parametrize("strategy", ["fallback", "primary_only"])
    def test_a_text_that_interrupts_is_an_interruption(self, strategy: str) -> None:
        """What is no `Exception` comes out, wherever it is raised, and holds no probe."""

        class InterruptingError(Exception):
            def __str__(self) -> str:
                raise BasicSpite

        tracker = BreakerCooldownTracker()
        tracker.breaker("grok").half_open()
        config = ExecuteConfig(strategy=strategy, cooldown=tracker, logger=logger_with())
        with pytest.raises(BasicSpite):
            execute(vendors("grok"), config, replying(grok=InterruptingError()))
        gc.collect()
        assert tracker.is_available("grok")

    def test_a_text_that_recurses_is_the_name_of_the_class(self) -> None:
        """An error whose text is its own text, for ever, is known by its class."""

        class EchoError(Exception):
            def __str__(self) -> str:
                return f"again: {self}"

        failure = error_of(AllProvidersFailedError, vendors("grok"), FALLBACK, replying(grok=EchoError()))
        assert "last error: EchoError" in str(failure)

    def test_a_text_that_calls_execute_is_told(self) -> None:
        """An error that needs an execution of its own to say what it is finds no lock held."""
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with())

        class AskingError(Exception):
            def __str__(self) -> str:
                return str(execute(vendors("grok"), config, lambda provider: "translated").response)

        failure = error_of(AllProvidersFailedError, vendors("grok"), config, replying(grok=AskingError()))
        assert "translated" in str(failure)

    def test_an_error_with_last_words_dies_quietly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What an error raises when it dies reaches nobody, and the next execution is as ever."""
        last_words = []
        monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: last_words.append(unraisable.exc_type))

        def fn(provider: Vendor) -> object:
            raise LastWordsError

        for _ in range(3):
            failure = error_of(AllProvidersFailedError, vendors("grok"), FALLBACK, fn)
            assert len(failure.attempts) == 1
            del failure
            gc.collect()
        assert last_words == [Spite] * 3

    def test_an_error_without_a_traceback_ends_a_chain_too(self) -> None:
        """An error that is raised again and again, stripped each time, is an error each time."""
        error = VendorError("down")

        def fn(provider: Vendor) -> object:
            raise error.with_traceback(None)

        for _ in range(5):
            failure = error_of(AllProvidersFailedError, vendors("grok", "gemini"), FALLBACK, fn)
            assert failure.exceptions == (error, error)
        assert len(traceback.extract_tb(error.__traceback__)) <= 3

    def test_one_error_of_all_threads_stays_what_it_is(self) -> None:
        """An error object that all threads raise has neither cause nor context of any of them."""
        error = VendorError("down")
        cause = error.__cause__ = ValueError("the vendor's own")

        def work(number: int) -> set[int]:
            ends = set()
            for _ in range(30):
                failure = error_of(
                    AllProvidersFailedError,
                    vendors("grok", "gemini"),
                    FALLBACK,
                    replying(grok=error, gemini=error),
                )
                ends.add(len(failure.exceptions))
            return ends

        assert in_threads(6, work) == [{2}] * 6
        assert (error.__cause__, error.__context__) == (cause, None)

    def test_an_error_whose_cause_is_itself(self) -> None:
        """A chain of causes that is a ring is neither walked nor broken."""
        error = VendorError("down")
        error.__cause__ = error
        failure = error_of(ProviderFailedError, vendors("grok"), ExecuteConfig(), replying(grok=error))
        assert failure.__cause__ is error
        assert error.__cause__ is error

    def test_a_text_of_megabytes_is_an_error_like_any_other(self) -> None:
        """Size alone breaks nothing: what is shown, kept and sent of the text is bounded."""
        error = VendorError("x" * 5_000_000)
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with())
        failure = error_of(AllProvidersFailedError, vendors("grok"), config, replying(grok=error))
        assert "[cut: 5000000 characters]" in str(failure)
        assert len(str(failure)) < MAX_LENGTH + 200
        assert len(tracker.snapshot()["grok"].last_error or "") <= MAX_LENGTH
        assert str(failure.exceptions[0]) == "x" * 5_000_000  # the exception object stays as it is
        assert len(pickle.dumps(failure)) < 11_000_000


class TestGroups:
    """Groups of errors, in groups of errors."""

    def test_a_group_is_one_error(self) -> None:
        """A provider's `ExceptionGroup`, however deep, is that provider's one error."""
        group = ExceptionGroup("inner", [ExceptionGroup("innermost", [VendorError("down"), ValueError()])])
        failure = error_of(AllProvidersFailedError, vendors("grok"), FALLBACK, replying(grok=group))
        assert failure.exceptions == (group,)
        matched, rest = failure.split(VendorError)
        assert isinstance(matched, AllProvidersFailedError)
        assert isinstance(rest, AllProvidersFailedError)
        assert matched.attempts == rest.attempts == failure.attempts

    def test_a_group_with_an_interruption_in_it_is_an_interruption(self) -> None:
        """A `BaseExceptionGroup` is no `Exception`: it comes out unchanged and counts for nobody."""
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker)
        group = BaseExceptionGroup("stop", [KeyboardInterrupt(), ValueError()])
        with pytest.raises(BaseExceptionGroup) as caught:
            execute(vendors("grok", "gemini"), config, replying(grok=group))
        assert caught.value is group
        assert tracker.snapshot()["grok"].failures == 0

    def test_a_deep_nest_can_be_split_and_printed(self) -> None:
        """Executions within executions make groups that Python's own tools take apart."""
        failure: Any = nest(50, VendorError("deep"))
        assert failure.subgroup(ValueError) is None
        assert failure.subgroup(VendorError) is not None
        assert "[cut: " in "".join(traceback.format_exception_only(failure))
        shallower = nest(30, VendorError("deep"))
        assert "deep" in "".join(traceback.format_exception_only(shallower))


class TestFrames:
    """What an error keeps alive."""

    def test_a_pool_that_keeps_errors_keeps_no_answers(self, no_collector: None) -> None:
        """A future that holds the error of a chain holds none of the answers that came before it."""
        watch = Watch()

        class Answer:
            """An answer."""

        def work() -> object:
            execute(vendors("grok"), FALLBACK, lambda provider: watch("answer", Answer()))
            return execute(vendors("grok"), FALLBACK, replying(grok=VendorError("down")))

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            wait([future], PATIENCE)
            assert isinstance(future.exception(), AllProvidersFailedError)
            assert not watch.alive

    def test_outcomes_outlive_what_they_were_told_of(self) -> None:
        """The story keeps its words when the group is cleared of its tracebacks."""
        failure = nest(2, VendorError("down"))
        failure.with_traceback(None)
        failure.__cause__ = failure.__context__ = None
        assert [attempt.outcome for attempt in failure.attempts] == [Outcome.FAILURE]
