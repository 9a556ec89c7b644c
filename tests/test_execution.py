"""`execute()`: whom it calls, what it tells the tracker, how it ends, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import threading
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from datetime import timedelta
from typing import Any, overload

import pytest
from freezegun.api import FrozenDateTimeFactory

import fallback_exec
from fallback_exec import (
    AllProvidersFailedError,
    Attempt,
    BreakerCooldownTracker,
    Cooling,
    Deadline,
    DeadlineExceededError,
    ExecuteConfig,
    ExecutionCancelledError,
    FallbackExecError,
    InvalidConfigError,
    NamedProvider,
    NoProvidersError,
    Outcome,
    Permit,
    ProviderFailedError,
    RoundRobinIndex,
    Strategy,
    execute,
)
from helpers import (
    BrokenTrackerError,
    Held,
    PermitTracker,
    Records,
    ThreeMethodTracker,
    Vendor,
    VendorError,
    Watch,
    error_of,
    fail,
    in_thread,
    in_threads,
    logger_with,
    meddle_at_each_line,
    replying,
    vendors,
)

INTERRUPTIONS = [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), asyncio.CancelledError()]

each_strategy = pytest.mark.parametrize("strategy", Strategy)
each_single_strategy = pytest.mark.parametrize("strategy", [Strategy.PRIMARY_ONLY, Strategy.ROUND_ROBIN])
each_interruption = pytest.mark.parametrize(
    "interruption", INTERRUPTIONS, ids=lambda each: type(each).__name__
)


def outcomes_of(attempts: Sequence[Attempt]) -> list[tuple[str, Outcome]]:
    """Return who was tried or passed over, and what came of it."""
    return [(attempt.provider, attempt.outcome) for attempt in attempts]


def fallback(tracker: fallback_exec.CooldownTracker | None = None) -> ExecuteConfig:
    """Return a config of a chain that logs nothing."""
    return ExecuteConfig(
        strategy=Strategy.FALLBACK, cooldown=tracker, logger=logger_with(logging.NullHandler())
    )


class TestExecute:
    """What holds for every strategy."""

    @each_strategy
    def test_returns_the_answer_and_who_gave_it(self, strategy: Strategy) -> None:
        """An answer at once is attempt 1, and the whole story has one line."""
        result = execute(vendors("grok", "gemini"), ExecuteConfig(strategy=strategy), replying(grok="a cat"))
        assert (result.response, result.provider, result.attempt_num) == ("a cat", "grok", 1)
        assert result.was_terminus is False
        assert outcomes_of(result.attempts) == [("grok", Outcome.SUCCESS)]

    @each_strategy
    def test_calls_fn_with_the_provider_itself(self, strategy: Strategy) -> None:
        """Nothing wraps or copies a provider, so its own methods can be called."""
        chain = vendors("grok", "gemini")
        result = execute(chain, ExecuteConfig(strategy=strategy), lambda provider: provider)
        assert result.response is chain[0]

    @pytest.mark.parametrize(
        "answer", [None, False, 0, "", [], VendorError("returned, not raised")], ids=repr
    )
    @each_strategy
    def test_every_returned_value_is_an_answer(self, strategy: Strategy, answer: object) -> None:
        """What `fn` returns is not judged: falsy values and returned exceptions are answers too."""
        result = execute(vendors("grok", "gemini"), ExecuteConfig(strategy=strategy), lambda _: answer)
        assert result.response is answer

    def test_a_generator_is_returned_untouched(self) -> None:
        """A generator is the answer; nothing of it has run when it is returned."""
        progress = []

        def words(provider: Vendor) -> Iterator[str]:
            progress.append("begun")
            yield provider.name

        result = execute(vendors("grok"), fallback(), words)
        assert progress == []
        assert list(result.response) == ["grok"]

    def test_an_asynchronous_generator_is_returned_untouched(self) -> None:
        """Only coroutines are refused: an asynchronous generator runs nothing until it is iterated."""

        async def words(provider: Vendor) -> AsyncIterator[str]:
            yield provider.name

        async def listed(stream: AsyncIterator[str]) -> list[str]:
            return [word async for word in stream]

        assert asyncio.run(listed(execute(vendors("grok"), fallback(), words).response)) == ["grok"]

    @each_strategy
    def test_calls_fn_in_the_thread_of_the_caller(self, strategy: Strategy) -> None:
        """`fn` sees the caller's thread-local state."""
        result = execute(vendors("grok"), ExecuteConfig(strategy=strategy), lambda _: threading.get_ident())
        assert result.response == threading.get_ident()

    def test_may_be_called_within_fn(self) -> None:
        """A provider may itself be a chain; its error is an error as any other."""
        inner = error_of(AllProvidersFailedError, vendors("inner"), fallback())

        def fn(provider: Vendor) -> object:
            if provider.name == "relay":
                return execute(vendors("inner"), fallback(), fail)
            return execute(vendors("inner"), fallback(), replying(inner="a cat")).response

        result = execute(vendors("relay", "direct"), fallback(), fn)
        assert result.response == "a cat"
        assert isinstance(result.attempts[0].error, AllProvidersFailedError)
        assert str(result.attempts[0].error) == str(inner)

    @each_strategy
    def test_threads_share_a_config(self, strategy: Strategy) -> None:
        """Executions at the same time neither mix their answers nor lose one."""
        config = ExecuteConfig(strategy=strategy, cooldown=BreakerCooldownTracker())

        def work(number: int) -> list[int]:
            chain, numbers = vendors("grok", "gemini"), itertools.count(number * 1000)
            return [execute(chain, config, lambda _: next(numbers)).response for _ in range(50)]

        assert in_threads(8, work) == [list(range(first, first + 50)) for first in range(0, 8000, 1000)]

    def test_starts_no_thread(self) -> None:
        """The library has no thread of its own."""
        before = threading.enumerate()
        execute(vendors("grok"), fallback(BreakerCooldownTracker()), replying(grok="a cat"))
        assert threading.enumerate() == before


class TestProviders:
    """The argument `providers`, where it is good."""

    @pytest.mark.parametrize("kind", [list, tuple, deque], ids=lambda kind: kind.__name__)
    def test_any_sequence_will_do(self, kind: Callable[[list[Vendor]], Sequence[Vendor]]) -> None:
        """A list, a tuple and other sequences are taken as they are."""
        result = execute(kind(vendors("grok", "gemini")), fallback(), replying(grok=VendorError(), gemini=1))
        assert (result.provider, result.attempt_num) == ("gemini", 2)

    def test_a_sequence_of_the_users_own_will_do(self) -> None:
        """What implements `collections.abc.Sequence` is a sequence."""

        class Pool(Sequence[Vendor]):
            def __len__(self) -> int:
                return 2

            @overload
            def __getitem__(self, index: int) -> Vendor: ...
            @overload
            def __getitem__(self, index: slice) -> Sequence[Vendor]: ...
            def __getitem__(self, index: int | slice) -> Vendor | Sequence[Vendor]:
                return vendors("grok", "gemini")[index]

        result = execute(Pool(), fallback(), replying(grok=VendorError(), gemini="a cat"))
        assert result.provider == "gemini"

    def test_names_of_a_list_are_read_at_each_execution(self) -> None:
        """What can change is looked at again: a provider goes by the name that it has now."""
        grok = Vendor("grok")
        chain, config = [grok], fallback()
        execute(chain, config, lambda _: "a cat")
        grok.name = "grok-2"
        assert execute(chain, config, lambda _: "a cat").provider == "grok-2"
        grok.name = ""
        with pytest.raises(InvalidConfigError, match=r"providers\[0\] must have a non-empty string"):
            execute(chain, config, lambda _: "a cat")

    def test_a_tuple_is_checked_once(self) -> None:
        """Nobody can change a tuple: while a config meets no other, its names are those of the first look."""
        reads: list[str] = []

        class Counted:
            @property
            def name(self) -> str:
                reads.append("name")
                return "grok"

        chain, config = (Counted(), Counted()), fallback()
        for _ in range(3):
            assert execute(chain, config, lambda _: "a cat").provider == "grok"
        assert len(reads) == 2
        execute((Counted(),), config, lambda _: "a cat")
        execute(chain, config, lambda _: "a cat")
        assert len(reads) == 5

    def test_a_tuple_with_a_bad_name_is_refused_each_time(self) -> None:
        """Only what was found good is not looked at again."""
        chain, config = (Vendor("grok"), Vendor("")), fallback()
        for _ in range(2):
            with pytest.raises(InvalidConfigError, match=r"providers\[1\]"):
                execute(chain, config, lambda _: "a cat")

    def test_an_equal_tuple_is_another_one(self) -> None:
        """Providers that are equal by value are not one: each execution calls its own."""
        config = fallback()
        for client in (1.0, 1):
            chain = (NamedProvider("grok", client),)
            answer = execute(chain, config, lambda provider: provider.client).response
            assert type(answer) is type(client)

    def test_another_tuple_at_any_moment_does_no_harm(self) -> None:
        """Of two threads that share a config, each executes its own chain."""

        def scene() -> tuple[Callable[[], object], Callable[[], object]]:
            config = fallback()
            ours, theirs = tuple(vendors("grok", "gemini")), tuple(vendors("mistral"))
            replies = replying(grok=VendorError("down"), gemini="a cat", mistral="a dog")
            work = lambda: execute(ours, config, replies).response  # noqa: E731
            return work, lambda: in_thread(lambda: execute(theirs, config, replies))

        assert set(meddle_at_each_line(scene)) == {"a cat"}

    def test_a_tuple_lives_until_the_next_one(self) -> None:
        """A config keeps the providers of one tuple alive, not of all that it ever met."""
        config, watch = fallback(), Watch()
        execute((watch("first", Vendor("grok")),), config, lambda _: "a cat")
        execute((watch("second", Vendor("grok")),), config, lambda _: "a cat")
        assert watch.alive == {"second"}

    def test_a_list_that_fn_empties_does_no_harm(self) -> None:
        """The chain is that of the moment of the call, whatever `fn` does to the list."""
        chain = vendors("grok", "gemini", "mistral")

        def fn(provider: Vendor) -> str:
            chain.clear()
            if provider.name != "mistral":
                raise VendorError
            return provider.name

        result = execute(chain, fallback(), fn)
        assert (result.response, result.attempt_num, result.was_terminus) == ("mistral", 3, True)

    def test_a_list_that_another_thread_fills_does_no_harm(self) -> None:
        """A provider that joins the list during the call is not tried, nor does it become the terminus."""
        chain = vendors("grok", "gemini")

        def fn(provider: Vendor) -> str:
            in_thread(lambda: chain.insert(0, Vendor("late")))
            return str(fail(provider))

        error = error_of(AllProvidersFailedError, chain, fallback(), fn)
        assert [attempt.provider for attempt in error.attempts] == ["grok", "gemini"]

    def test_the_same_provider_twice_is_attempted_twice(self) -> None:
        """A provider may stand in the list again, and then has another attempt."""
        grok = Vendor("grok")
        replies = iter([VendorError("busy"), "a cat"])

        def fn(provider: Vendor) -> object:
            return replying(grok=next(replies))(provider)

        result = execute([grok, grok], fallback(), fn)
        assert (result.attempt_num, result.was_terminus) == (2, True)
        assert outcomes_of(result.attempts) == [("grok", Outcome.FAILURE), ("grok", Outcome.SUCCESS)]

    def test_the_same_provider_is_passed_over_first_and_forced_last(self) -> None:
        """Of a provider that cools down, only the place at the end of the list is attempted."""
        grok = Vendor("grok")
        tracker = ThreeMethodTracker(cooling={"grok": 7.0})
        result = execute(
            [grok, Vendor("gemini"), grok], fallback(tracker), replying(grok=1, gemini=VendorError())
        )
        assert outcomes_of(result.attempts) == [
            ("grok", Outcome.SKIPPED),
            ("gemini", Outcome.FAILURE),
            ("grok", Outcome.SUCCESS),
        ]


class TestPrimaryOnly:
    """The first provider, and no other."""

    def test_attempts_nobody_but_the_first(self) -> None:
        """When the first provider fails, the execution has failed."""
        error = VendorError("down")
        failure = error_of(
            ProviderFailedError, vendors("grok", "gemini"), ExecuteConfig(), replying(grok=error)
        )
        assert outcomes_of(failure.attempts) == [("grok", Outcome.FAILURE)]
        assert failure.__cause__ is error

    def test_has_no_terminus(self) -> None:
        """The only provider of a list is not a terminus: none was passed over to come to it."""
        assert execute(vendors("grok"), ExecuteConfig(), replying(grok=1)).was_terminus is False


class TestRoundRobin:
    """One provider a call, in turn."""

    def test_takes_the_next_provider_at_each_call(self) -> None:
        """Calls go round the list, and begin anew at its end."""
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN)
        chain = vendors("grok", "gemini", "mistral")
        turns = [execute(chain, config, lambda provider: provider.name).response for _ in range(7)]
        assert turns == ["grok", "gemini", "mistral", "grok", "gemini", "mistral", "grok"]

    def test_attempts_nobody_but_the_one(self) -> None:
        """When the provider whose turn it is fails, the execution has failed; the turn is used up."""
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN)
        failure = error_of(ProviderFailedError, vendors("grok", "gemini"), config)
        assert outcomes_of(failure.attempts) == [("grok", Outcome.FAILURE)]
        assert execute(vendors("grok", "gemini"), config, replying(gemini=1)).provider == "gemini"

    def test_has_no_terminus_and_one_attempt(self) -> None:
        """The last provider of the list is one as any other, whoever had the turns before."""
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN)
        chain = vendors("grok", "gemini")
        results = [execute(chain, config, lambda _: None) for _ in range(2)]
        assert [(result.attempt_num, result.was_terminus) for result in results] == [(1, False), (1, False)]

    def test_without_an_index_always_takes_the_first(self) -> None:
        """`round_robin_index=None` does not rotate."""
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN, round_robin_index=None)
        chain = vendors("grok", "gemini")
        assert [execute(chain, config, lambda _: None).provider for _ in range(3)] == ["grok"] * 3

    def test_configs_rotate_on_their_own_by_default(self) -> None:
        """Each config has an index of its own."""
        chain = vendors("grok", "gemini")
        configs = [ExecuteConfig(strategy=Strategy.ROUND_ROBIN) for _ in range(2)]
        assert [execute(chain, config, lambda _: None).provider for config in configs] == ["grok", "grok"]

    def test_configs_that_share_an_index_share_the_rotation(self) -> None:
        """Configs with the same index take their turns from it one after the other."""
        index = RoundRobinIndex()
        configs = [ExecuteConfig(strategy=Strategy.ROUND_ROBIN, round_robin_index=index) for _ in range(2)]
        chain = vendors("grok", "gemini", "mistral")
        turns = [execute(chain, config, lambda _: None).provider for config in configs * 2]
        assert turns == ["grok", "gemini", "mistral", "grok"]

    def test_threads_share_the_rotation_evenly(self) -> None:
        """However threads interleave, each provider has exactly its share of the calls."""
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN)
        chain = vendors("grok", "gemini", "mistral", "laozhang")
        turns = in_threads(8, lambda _: [execute(chain, config, lambda _: None).provider for _ in range(50)])
        providers = [provider for turn in turns for provider in turn]
        assert {name: providers.count(name) for name in providers} == dict.fromkeys(
            ["grok", "gemini", "mistral", "laozhang"], 100
        )


class TestFallback:
    """One after the other until one answers."""

    def test_goes_on_after_a_failure(self) -> None:
        """A failure leads to the next provider, whose attempt has the next number."""
        replies = replying(grok=VendorError("down"), gemini="a cat")
        result = execute(vendors("grok", "gemini", "mistral"), fallback(), replies)
        assert (result.response, result.provider, result.attempt_num) == ("a cat", "gemini", 2)
        assert result.was_terminus is False

    @pytest.mark.parametrize(
        "error", [VendorError(), StopIteration(1), RecursionError(), ExceptionGroup("", [OSError()])]
    )
    def test_every_exception_is_a_failure(self, error: Exception) -> None:
        """Whatever `Exception` a provider raises, the next one is tried."""
        result = execute(vendors("grok", "gemini"), fallback(), replying(grok=error, gemini="a cat"))
        assert result.attempts[0].error is error
        assert result.was_terminus is True

    def test_passes_over_whom_the_tracker_says_is_cooling(self) -> None:
        """A skip is a line of the story and not an attempt."""
        tracker = ThreeMethodTracker(cooling={"grok": 7.0})
        result = execute(vendors("grok", "gemini"), fallback(tracker), replying(gemini="a cat"))
        assert (result.provider, result.attempt_num) == ("gemini", 1)
        assert result.attempts[0] == Attempt("grok", Outcome.SKIPPED, None, 0.0, 7.0)

    def test_always_attempts_the_terminus(self) -> None:
        """The last provider is attempted, cooling or not."""
        tracker = ThreeMethodTracker(cooling={"grok": 7.0, "gemini": 9.0})
        result = execute(vendors("grok", "gemini"), fallback(tracker), replying(gemini="a cat"))
        assert (result.provider, result.attempt_num, result.was_terminus) == ("gemini", 1, True)
        assert result.attempts[1].cooldown_remaining == 9.0

    def test_the_only_provider_is_the_terminus(self) -> None:
        """A chain of one provider attempts it even while it cools down."""
        tracker = ThreeMethodTracker(cooling={"grok": 7.0})
        result = execute(vendors("grok"), fallback(tracker), replying(grok="a cat"))
        assert (result.provider, result.was_terminus) == ("grok", True)

    def test_attempts_the_terminus_even_if_a_tracker_refuses_it(self) -> None:
        """A tracker that overlooks `force` cannot keep the last provider from being attempted."""

        class Stubborn(ThreeMethodTracker):
            def acquire(self, name: str, *, force: bool = False) -> Cooling:
                return Cooling(7.0)

        result = execute(vendors("grok", "gemini"), fallback(Stubborn()), replying(gemini="a cat"))
        assert (result.provider, result.attempt_num, result.was_terminus) == ("gemini", 1, True)

    def test_without_a_tracker_passes_over_nobody(self) -> None:
        """`cooldown=None` remembers no failure."""
        for _ in range(5):
            error = error_of(AllProvidersFailedError, vendors("grok", "gemini"), fallback())
            assert outcomes_of(error.attempts) == [("grok", Outcome.FAILURE), ("gemini", Outcome.FAILURE)]

    def test_fails_when_everybody_has_failed(self) -> None:
        """The error has all errors in order, and the last one as its cause."""
        errors = [VendorError("first"), OSError("second")]
        failure = error_of(
            AllProvidersFailedError,
            vendors("grok", "gemini"),
            fallback(),
            replying(grok=errors[0], gemini=errors[1]),
        )
        assert list(failure.exceptions) == errors
        assert failure.__cause__ is errors[1]
        assert [attempt.error for attempt in failure.attempts] == errors

    def test_what_remains_is_as_of_when_a_provider_is_passed_over(self, clock: FrozenDateTimeFactory) -> None:
        """The time that attempts take has passed for the cooldowns of those after them."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30.0)
        tracker.cool_down("b", 60.0)
        tracker.cool_down("c", 70.0)
        tracker.cool_down("d", 10.0)

        def fn(provider: Vendor) -> str:
            clock.tick(10)
            if provider.name == "a":
                raise VendorError
            return provider.name

        result = execute(vendors(*"abcde"), fallback(tracker), fn)
        assert result.response == "d"
        assert result.attempts[1:3] == (
            Attempt("b", Outcome.SKIPPED, None, 0.0, 50.0),
            Attempt("c", Outcome.SKIPPED, None, 0.0, 60.0),
        )

    def test_what_remains_is_as_of_now_also_between_two_skips(self, clock: FrozenDateTimeFactory) -> None:
        """The time of attempts and of log handlers has passed, also after somebody was passed over before."""

        class Slow(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                clock.tick(2)

        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30.0)
        for name in ("a", "c", "d"):
            tracker.cool_down(name, 60.0)
        config = ExecuteConfig(
            strategy=Strategy.FALLBACK, cooldown=tracker, logger=logger_with(Slow(), level=logging.WARNING)
        )

        def fn(provider: Vendor) -> str:
            clock.tick(10)
            if provider.name == "b":
                raise VendorError
            return provider.name

        result = execute(vendors(*"abcde"), config, fn)
        # Two records tell of b: that it cools down now, and that it failed.
        assert [attempt.cooldown_remaining for attempt in result.attempts] == [60.0, 30.0, 46.0, 46.0, None]

    def test_a_cooldown_that_has_been_over_for_a_while_passes_nobody_over(
        self, clock: FrozenDateTimeFactory
    ) -> None:
        """The provider is probed at the next chance, however late that comes."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("grok", 30.0)
        clock.tick(3600)
        result = execute(vendors("grok", "gemini"), fallback(tracker), replying(grok=1, gemini=2))
        assert result.provider == "grok"

    def test_a_cooldown_lasts_its_length_after_a_step_back(self, clock: FrozenDateTimeFactory) -> None:
        """The clock that steps back an hour does not prolong it by an hour."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("grok", 30.0)
        clock.tick(-3600)
        result = execute(vendors("grok", "gemini"), fallback(tracker), replying(gemini=2))
        assert result.attempts[0].cooldown_remaining == 30.0

    def test_cools_down_as_the_breaker_tracker_says(self, clock: FrozenDateTimeFactory) -> None:
        """A provider that failed too often is passed over until its cooldown is over."""
        config = fallback(BreakerCooldownTracker(fail_max=2, reset_timeout=30.0))
        chain = vendors("grok", "gemini")
        down, up = replying(grok=VendorError(), gemini=1), replying(grok=2, gemini=1)
        numbers = [execute(chain, config, down).attempt_num for _ in range(3)]
        clock.tick(29)
        numbers.append(execute(chain, config, up).attempt_num)
        clock.tick(1)
        assert numbers == [2, 2, 1, 1]
        assert execute(chain, config, up).provider == "grok"


class TestTrackerCalls:
    """What the tracker is asked and told."""

    @each_single_strategy
    @pytest.mark.parametrize("reply", ["a cat", VendorError("down"), KeyboardInterrupt()], ids=repr)
    def test_single_strategies_neither_ask_nor_tell(self, strategy: Strategy, reply: object) -> None:
        """Strategies that attempt one provider leave the tracker alone, whatever comes of it."""
        tracker = PermitTracker(cooling={"grok": 7.0})
        config = ExecuteConfig(strategy=strategy, cooldown=tracker)
        with contextlib.suppress(ProviderFailedError, KeyboardInterrupt):
            execute(vendors("grok", "gemini"), config, replying(grok=reply))
        assert tracker.journal == []

    def test_each_attempt_tells_its_permit_one_outcome(self) -> None:
        """An attempt acquires one permit and tells it once what came of it; nobody else is asked."""
        tracker, error = PermitTracker(), VendorError("down")
        execute(vendors("grok", "gemini", "mistral"), fallback(tracker), replying(grok=error, gemini="a cat"))
        assert tracker.journal == [
            ("acquire", "grok", False),
            ("failure", "grok", error),
            ("acquire", "gemini", False),
            ("success", "gemini"),
        ]

    def test_only_the_terminus_is_forced(self) -> None:
        """`force` is for the last place in the list, also where the same provider stands in it twice."""
        grok, tracker = Vendor("grok"), PermitTracker()
        error_of(AllProvidersFailedError, [grok, grok], fallback(tracker))
        assert tracker.calls("acquire") == [("acquire", "grok", False), ("acquire", "grok", True)]

    def test_a_skip_takes_no_permit(self) -> None:
        """Of a provider that is passed over nothing is told."""
        tracker = PermitTracker(cooling={"grok": 7.0})
        execute(vendors("grok", "gemini"), fallback(tracker), replying(gemini="a cat"))
        assert tracker.outcomes() == [("success", "gemini")]

    def test_the_cooldown_is_asked_for_only_after_one_has_started(self) -> None:
        """Only a failure that started a cooldown is followed by a question, for its length."""
        tracker = PermitTracker(opens={"gemini": 30.0})
        failure = error_of(AllProvidersFailedError, vendors("grok", "gemini"), fallback(tracker))
        assert tracker.calls("cooldown_remaining") == [("cooldown_remaining", "gemini")]
        assert [attempt.cooldown_remaining for attempt in failure.attempts] == [None, 30.0]

    def test_a_negative_cooldown_counts_as_none_left(self) -> None:
        """What remains is never negative, whatever a tracker says."""
        tracker = PermitTracker(opens={"grok": -3.0})
        failure = error_of(AllProvidersFailedError, vendors("grok"), fallback(tracker))
        assert failure.attempts[0].cooldown_remaining == 0.0

    def test_a_negative_cooldown_of_a_permit_counts_as_none_left(self) -> None:
        """Also where a tracker makes its own `Cooling`."""
        tracker = PermitTracker(cooling={"grok": -3.0})
        result = execute(vendors("grok"), fallback(tracker), replying(grok=1))
        assert result.attempts[0].cooldown_remaining == 0.0

    def test_a_failure_during_a_cooldown_keeps_what_the_permit_said(self) -> None:
        """A forced attempt that fails tells of the cooldown that was running when it began."""
        tracker = PermitTracker(cooling={"grok": 7.0})
        failure = error_of(AllProvidersFailedError, vendors("grok"), fallback(tracker))
        assert failure.attempts[0].cooldown_remaining == 7.0

    def test_a_breaker_tracker_with_an_acquire_of_its_own_is_asked_each_time(self) -> None:
        """What a subclass decides is not passed by, also where the breaker is closed."""
        asked = []

        class Counting(BreakerCooldownTracker):
            def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
                asked.append((name, force))
                return super().acquire(name, force=force)

        config = fallback(Counting())
        for _ in range(2):
            execute(vendors("grok", "gemini"), config, replying(grok=VendorError(), gemini=1))
        assert asked == [("grok", False), ("gemini", True)] * 2

    def test_fn_runs_under_no_lock(self) -> None:
        """While a provider is being called, other threads execute with the same tracker and provider."""
        tracker = BreakerCooldownTracker(fail_max=1)
        config = fallback(tracker)

        def outer(provider: Vendor) -> object:
            in_thread(lambda: execute([provider], config, replying(grok="inner")))
            raise VendorError

        error_of(AllProvidersFailedError, vendors("grok"), config, outer)
        assert tracker.is_available("grok") is False


class TestExemptProviders:
    """Providers whose failures never start a cooldown."""

    def test_laozhang_is_exempt(self) -> None:
        """The set is Go's: one name."""
        assert set(fallback_exec.EXEMPT_PROVIDERS) == {"laozhang"}

    def test_a_failure_gives_the_permit_back(self) -> None:
        """The failure of an exempt provider is not told; its permit is released, once."""
        tracker = PermitTracker(opens={"grok": 30.0, "laozhang": 30.0})
        error_of(AllProvidersFailedError, vendors("grok", "laozhang"), fallback(tracker))
        assert tracker.outcomes() == [("failure", "grok"), ("release", "laozhang")]

    def test_a_failure_during_a_cooldown_tells_of_it(self) -> None:
        """An exempt provider that was made to cool down, by hand say, has that in its story."""
        tracker = PermitTracker(cooling={"laozhang": 7.0})
        failure = error_of(AllProvidersFailedError, vendors("laozhang"), fallback(tracker))
        assert failure.attempts[0].cooldown_remaining == 7.0

    def test_a_success_is_told(self) -> None:
        """The success of an exempt provider counts as any other's."""
        tracker = PermitTracker()
        execute(vendors("laozhang"), fallback(tracker), replying(laozhang="a cat"))
        assert tracker.outcomes() == [("success", "laozhang")]

    def test_the_set_is_read_at_every_failure(self, exempt_providers: set[str]) -> None:
        """A name that is added or removed holds from the next failure on, also within an execution."""
        tracker = PermitTracker()

        def fn(provider: Vendor) -> object:
            exempt_providers.symmetric_difference_update({"grok", "laozhang"})
            return fail(provider)

        error_of(AllProvidersFailedError, vendors("grok", "laozhang", "grok"), fallback(tracker), fn)
        assert tracker.outcomes() == [("release", "grok"), ("release", "laozhang"), ("release", "grok")]

    def test_the_set_may_be_replaced_at_package_level(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A set that is assigned to `fallback_exec.EXEMPT_PROVIDERS` holds in place of the first."""
        monkeypatch.setattr(fallback_exec, "EXEMPT_PROVIDERS", {"grok"})
        tracker = PermitTracker()
        error_of(AllProvidersFailedError, vendors("grok", "laozhang"), fallback(tracker))
        assert tracker.outcomes() == [("release", "grok"), ("failure", "laozhang")]

    def test_the_breaker_tracker_never_opens_for_them(self) -> None:
        """However often an exempt provider fails, it is attempted first again."""
        config = fallback(BreakerCooldownTracker(fail_max=1))
        replies = replying(laozhang=VendorError(), grok="a cat")
        numbers = [execute(vendors("laozhang", "grok"), config, replies).attempt_num for _ in range(5)]
        assert numbers == [2] * 5


class TestInterruption:
    """What `fn` raises that is not an `Exception` is nobody's failure."""

    @each_strategy
    @each_interruption
    def test_propagates_unchanged(self, strategy: Strategy, interruption: BaseException) -> None:
        """The very object is raised, with no cause or context from the library."""
        config = ExecuteConfig(strategy=strategy, cooldown=PermitTracker())
        with pytest.raises(type(interruption)) as caught:
            execute(vendors("grok", "gemini"), config, replying(grok=interruption))
        assert caught.value is interruption
        assert (interruption.__cause__, interruption.__context__) == (None, None)

    @each_interruption
    def test_releases_the_permit_and_tries_nobody_else(self, interruption: BaseException) -> None:
        """The permit is given back, once, and no further provider is asked for."""
        tracker = PermitTracker()
        with pytest.raises(type(interruption)):
            execute(vendors("grok", "gemini"), fallback(tracker), replying(grok=interruption))
        assert tracker.journal == [("acquire", "grok", False), ("release", "grok")]

    def test_after_a_failure_has_no_context_of_it(self) -> None:
        """Ctrl-C during the second attempt does not drag the first provider's error along."""
        interrupt, tracker = KeyboardInterrupt(), PermitTracker()
        with pytest.raises(KeyboardInterrupt):
            execute(
                vendors("grok", "gemini"), fallback(tracker), replying(grok=VendorError(), gemini=interrupt)
            )
        assert interrupt.__context__ is None
        assert tracker.outcomes() == [("failure", "grok"), ("release", "gemini")]

    def test_during_a_probe_gives_the_probe_back(self, clock: FrozenDateTimeFactory) -> None:
        """A probe that was interrupted leaves the provider available to the next one."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30.0)
        tracker.record_failure("grok", VendorError())
        clock.tick(30)
        with pytest.raises(KeyboardInterrupt):
            execute(vendors("grok", "gemini"), fallback(tracker), replying(grok=KeyboardInterrupt()))
        assert tracker.is_available("grok") is True

    def test_does_not_count_as_a_failure(self) -> None:
        """Any number of interruptions leaves the breaker closed."""
        tracker = BreakerCooldownTracker(fail_max=1)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                execute(vendors("grok"), fallback(tracker), replying(grok=KeyboardInterrupt()))
        assert tracker.is_available("grok") is True


async def coroutine_function(provider: Vendor) -> str:
    """Be a `fn` that was written for another library."""
    raise AssertionError("a coroutine that nobody awaits has run")


class AsynchronousClient:
    """A callable whose call is a coroutine."""

    async def __call__(self, provider: Vendor) -> str:
        return await coroutine_function(provider)


class TestCoroutines:
    """A coroutine is never an answer: nobody would await it."""

    @pytest.mark.parametrize(
        "fn",
        [
            coroutine_function,
            lambda provider: coroutine_function(provider),
            functools.partial(coroutine_function),
            AsynchronousClient(),
        ],
        ids=["function", "lambda", "partial", "callable"],
    )
    @each_strategy
    def test_are_refused(self, strategy: Strategy, fn: Callable[[Vendor], object]) -> None:
        """What returns a coroutine is refused; the coroutine is closed, so that Python does not complain."""
        tracker = PermitTracker()
        config = ExecuteConfig(strategy=strategy, cooldown=tracker)
        error = error_of(InvalidConfigError, vendors("grok", "gemini"), config, fn)
        assert error.setting == "fn"
        assert "fn must be a plain function, and must not return a coroutine, got " in str(error)
        assert repr(fn)[:12] in str(error)
        assert [call for call in tracker.outcomes() if call[0] != "release"] == []

    def test_give_the_permit_back(self) -> None:
        """Nothing is counted, and what the attempt held is released once."""
        tracker = PermitTracker()
        error_of(InvalidConfigError, vendors("grok", "gemini"), fallback(tracker), coroutine_function)
        assert tracker.outcomes() == [("release", "grok")]

    def test_after_a_failure_tell_of_it(self) -> None:
        """The error has the story until then, as every error has."""

        def fn(provider: Vendor) -> object:
            return coroutine_function(provider) if provider.name == "gemini" else fail(provider)

        error = error_of(InvalidConfigError, vendors("grok", "gemini"), fallback(), fn)
        assert outcomes_of(error.attempts) == [("grok", Outcome.FAILURE)]

    def test_that_refuse_to_close_are_refused_all_the_same(self) -> None:
        """A coroutine that has begun may resist; what is said is still whose fault it is."""

        class Pause:
            def __await__(self) -> Generator[None]:
                yield

        async def stubborn() -> None:
            try:
                await Pause()
            except GeneratorExit:
                await Pause()

        coroutine = stubborn()
        coroutine.send(None)
        error = error_of(InvalidConfigError, vendors("grok"), fallback(), lambda _: coroutine)
        assert error.setting == "fn"
        with pytest.raises(StopIteration):
            coroutine.send(None)


class TestDeadline:
    """The limit of a whole execution."""

    @pytest.mark.parametrize("deadline", [0, 0.0, -1, -0.5, timedelta(0), timedelta(seconds=-1)], ids=repr)
    @each_strategy
    def test_over_before_the_first_attempt(self, strategy: Strategy, deadline: float | timedelta) -> None:
        """With a deadline that is over, nobody is called, asked or told of."""
        tracker = PermitTracker()
        called: list[Vendor] = []
        config = ExecuteConfig(strategy=strategy, cooldown=tracker)
        with pytest.raises(DeadlineExceededError) as caught:
            execute(vendors("grok", "gemini"), config, called.append, deadline=deadline)
        assert (called, tracker.journal, caught.value.attempts) == ([], [], ())
        assert caught.value.__cause__ is None
        assert "deadline" in str(caught.value)
        assert f"deadline={Deadline(deadline)}, before the first attempt" in str(caught.value)

    @each_strategy
    def test_cancelled_before_the_first_attempt(self, strategy: Strategy) -> None:
        """With a deadline that was cancelled, nobody is called, asked or told of."""
        deadline, tracker = Deadline(), PermitTracker()
        called: list[Vendor] = []
        deadline.cancel()
        config = ExecuteConfig(strategy=strategy, cooldown=tracker)
        with pytest.raises(ExecutionCancelledError, match=r"deadline=.*cancelled") as caught:
            execute(vendors("grok", "gemini"), config, called.append, deadline=deadline)
        assert (called, tracker.journal, caught.value.attempts) == ([], [], ())
        assert caught.value.__cause__ is None

    def test_that_is_over_takes_no_turn(self) -> None:
        """An execution that is refused uses up no number of the round-robin index."""
        index = RoundRobinIndex()
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN, round_robin_index=index)
        cancelled = Deadline()
        cancelled.cancel()
        error_of(DeadlineExceededError, vendors("grok", "gemini"), config, deadline=0)
        error_of(ExecutionCancelledError, vendors("grok", "gemini"), config, deadline=cancelled)
        assert index.next() == 0

    @pytest.mark.parametrize("deadline", [5, 5.0, timedelta(seconds=5)], ids=repr)
    def test_in_seconds_begins_with_the_execution(
        self, clock: FrozenDateTimeFactory, deadline: float | timedelta
    ) -> None:
        """After a failure at exactly the end no further provider is tried; a microsecond earlier, one is."""

        def failing_after(seconds: float) -> FallbackExecError:
            def fn(provider: Vendor) -> object:
                clock.tick(timedelta(seconds=seconds))
                return fail(provider)

            with pytest.raises(FallbackExecError) as caught:
                execute(vendors("grok", "gemini"), fallback(), fn, deadline=deadline)
            return caught.value

        assert [attempt.provider for attempt in failing_after(5.0).attempts] == ["grok"]
        assert [attempt.provider for attempt in failing_after(4.999999).attempts] == ["grok", "gemini"]

    def test_is_looked_at_after_each_failure(self, clock: FrozenDateTimeFactory) -> None:
        """A deadline that passes during an attempt ends the chain when that attempt fails."""
        error, tracker = VendorError("slow"), PermitTracker(opens={"grok": 30.0})

        def fn(provider: Vendor) -> object:
            clock.tick(5)
            raise error

        failure = error_of(
            DeadlineExceededError, vendors("grok", "gemini"), fallback(tracker), fn, deadline=5
        )
        assert failure.__cause__ is error
        assert tracker.outcomes() == [("failure", "grok")]
        assert failure.attempts == (Attempt("grok", Outcome.FAILURE, error, 5.0, 30.0),)
        assert str(failure).startswith("context deadline exceeded: deadline=<Deadline seconds=5")
        assert str(failure).endswith(", after the last error: slow")

    def test_is_looked_at_after_the_last_failure_too(self, clock: FrozenDateTimeFactory) -> None:
        """Also when the terminus fails, as in Go, the deadline's error goes before the group's."""

        def fn(provider: Vendor) -> object:
            clock.tick(3)
            return fail(provider)

        failure = error_of(DeadlineExceededError, vendors("grok", "gemini"), fallback(), fn, deadline=5)
        assert [attempt.provider for attempt in failure.attempts] == ["grok", "gemini"]
        assert str(failure.__cause__) == "gemini is down"

    def test_a_cancellation_during_an_attempt_ends_the_chain_when_it_fails(self) -> None:
        """`cancel()` by another thread lets no further provider be tried."""
        deadline, error = Deadline(), VendorError("down")

        def fn(provider: Vendor) -> object:
            in_thread(deadline.cancel)
            raise error

        failure = error_of(
            ExecutionCancelledError, vendors("grok", "gemini"), fallback(), fn, deadline=deadline
        )
        assert outcomes_of(failure.attempts) == [("grok", Outcome.FAILURE)]
        assert failure.__cause__ is error
        assert str(failure).startswith("context canceled: deadline=<Deadline seconds=None")
        assert str(failure).endswith(", after the last error: down")

    def test_cancelled_wins_over_expired(self, clock: FrozenDateTimeFactory) -> None:
        """When both are so, before the first attempt or after a failed one, it is said to be cancelled."""
        deadline = Deadline(5)

        def fn(provider: Vendor) -> object:
            clock.tick(5)
            deadline.cancel()
            return fail(provider)

        error_of(ExecutionCancelledError, vendors("grok", "gemini"), fallback(), fn, deadline=deadline)
        assert deadline.expired is True
        error_of(ExecutionCancelledError, vendors("grok"), fallback(), deadline=deadline)

    @each_strategy
    def test_a_late_answer_is_an_answer(self, strategy: Strategy, clock: FrozenDateTimeFactory) -> None:
        """Neither time nor a cancellation takes back what a provider has answered."""
        deadline = Deadline(5)

        def fn(provider: Vendor) -> str:
            clock.tick(60)
            deadline.cancel()
            return "late"

        config = ExecuteConfig(strategy=strategy)
        assert execute(vendors("grok", "gemini"), config, fn, deadline=deadline).response == "late"

    @each_single_strategy
    def test_single_strategies_end_with_the_providers_error(
        self, strategy: Strategy, clock: FrozenDateTimeFactory
    ) -> None:
        """Without a next provider the deadline is not looked at again."""
        deadline = Deadline(5)

        def fn(provider: Vendor) -> object:
            clock.tick(60)
            deadline.cancel()
            return fail(provider)

        error_of(
            ProviderFailedError, vendors("grok"), ExecuteConfig(strategy=strategy), fn, deadline=deadline
        )

    def test_may_be_shared_by_executions(self, clock: FrozenDateTimeFactory) -> None:
        """A `Deadline` runs from when it was built, not from each execution."""
        deadline = Deadline(5)
        execute(vendors("grok"), fallback(), lambda _: clock.tick(4), deadline=deadline)
        execute(vendors("grok"), fallback(), lambda _: clock.tick(1), deadline=deadline)
        error_of(DeadlineExceededError, vendors("grok"), fallback(), deadline=deadline)

    def test_none_is_no_limit(self) -> None:
        """`deadline=None` is as good as none."""
        assert execute(vendors("grok"), fallback(), replying(grok="a cat"), deadline=None).response == "a cat"


class TestLatency:
    """How long calls took."""

    @each_strategy
    def test_is_that_of_the_call(self, strategy: Strategy, clock: FrozenDateTimeFactory) -> None:
        """The latency is the time between the call of `fn` and its return."""
        result = execute(vendors("grok"), ExecuteConfig(strategy=strategy), lambda _: clock.tick(1.5))
        assert result.latency == pytest.approx(1.5)

    def test_is_that_of_the_answering_call_alone(self, clock: FrozenDateTimeFactory) -> None:
        """Neither failed attempts nor the time that a tracker takes count; each attempt has its own."""

        class Slow(ThreeMethodTracker):
            def is_available(self, name: str) -> bool:
                clock.tick(10)
                return True

            def record_failure(self, name: str, error: Exception) -> bool:
                clock.tick(10)
                return False

        def fn(provider: Vendor) -> str:
            clock.tick({"grok": 2, "gemini": 0.25}[provider.name])
            if provider.name == "grok":
                raise VendorError
            return "a cat"

        result = execute(vendors("grok", "gemini"), fallback(Slow()), fn)
        assert result.latency == pytest.approx(0.25)
        assert [attempt.latency for attempt in result.attempts] == [pytest.approx(2), pytest.approx(0.25)]


class NameRaises:
    """A provider whose name cannot be had."""

    @property
    def name(self) -> str:
        raise VendorError("the name is computed, badly")


class Nameless:
    """Not a provider."""


class ReprRaises:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise VendorError("no repr")

    __str__ = __repr__


class ReprOfTwoLines:
    """An object whose repr would forge a line of a log."""

    def __repr__(self) -> str:
        return "two\nlines"


def refused(
    argument: str, providers: Any, config: Any, fn: Any = fail, deadline: Any = None
) -> FallbackExecError:
    """Return the error with which a bad argument is refused; it names the argument."""
    with pytest.raises(FallbackExecError) as caught:
        execute(providers, config, fn, deadline=deadline)
    error = caught.value
    assert isinstance(error, ValueError)
    assert argument in str(error)
    assert getattr(error, "setting", argument) == argument
    assert error.attempts == ()
    assert len(str(error).splitlines()) == 1
    return error


class TestBadInput:
    """Arguments that are refused at once: nobody is called, asked or told of."""

    @pytest.fixture
    def tracker(self) -> Iterator[PermitTracker]:
        """A tracker that nobody asks or tells."""
        tracker = PermitTracker()
        yield tracker
        assert tracker.journal == []

    @pytest.fixture(params=Strategy)
    def config(self, request: pytest.FixtureRequest, tracker: PermitTracker) -> ExecuteConfig:
        """A config of each strategy."""
        return ExecuteConfig(strategy=request.param, cooldown=tracker)

    @pytest.mark.parametrize("providers", [[], (), deque()], ids=repr)
    def test_no_providers(self, config: ExecuteConfig, providers: Sequence[Vendor]) -> None:
        """An empty sequence has an error of its own, which shows it."""
        error = refused("providers", providers, config)
        assert type(error) is NoProvidersError
        assert str(error) == f"no providers: providers must hold at least one, got {providers!r}"

    @pytest.mark.parametrize(
        "providers",
        [
            None,
            "grok",
            b"grok",
            bytearray(b"grok"),
            5,
            {"grok"},
            {"grok": 1},
            iter([]),
            Vendor("grok"),
            object,
        ],
        ids=repr,
    )
    def test_providers_that_are_no_sequence(self, config: ExecuteConfig, providers: object) -> None:
        """A string, an iterator, None and other things that are not a sequence of providers are refused."""
        error = refused("providers", providers, config)
        assert type(error) is InvalidConfigError
        assert "providers must be a sequence of providers, such as a list, got " in str(error)
        assert repr(providers) in str(error)

    def test_an_iterator_is_not_consumed(self, config: ExecuteConfig) -> None:
        """A generator of providers is refused as it is, with nothing taken from it."""
        generator = (vendor for vendor in vendors("grok"))
        assert "generator" in str(refused("providers", generator, config))
        assert next(generator).name == "grok"

    @pytest.mark.parametrize("position", [0, 1, 2])
    @pytest.mark.parametrize("name", ["", None, 5, b"grok", ["grok"], True], ids=repr)
    def test_a_name_that_is_no_string_or_empty(
        self, config: ExecuteConfig, position: int, name: object
    ) -> None:
        """A bad name is found wherever it stands, and shown with its place."""
        chain = vendors("grok", "gemini", "mistral")
        chain[position].name = name  # type: ignore[assignment]  # on purpose
        error = refused(f"providers[{position}]", chain, config)
        assert type(error) is InvalidConfigError
        assert f"] must have a non-empty string as its name, not {name!r}, got <Vendor " in str(error)

    @pytest.mark.parametrize("provider", [Nameless(), None, 5, object()], ids=repr)
    def test_a_provider_without_a_name(self, config: ExecuteConfig, provider: object) -> None:
        """What has no `name` is no provider."""
        error = refused("providers[1]", [Vendor("grok"), provider], config)
        assert type(error) is InvalidConfigError
        assert f"providers[1] must be an object with a name, got {provider!r}"[:80] in str(error)
        assert isinstance(error.__cause__, AttributeError)

    def test_a_provider_whose_name_raises(self, config: ExecuteConfig) -> None:
        """What the name property raises is the cause of ours."""
        error = refused("providers[1]", [Vendor("grok"), NameRaises()], config)
        assert type(error) is InvalidConfigError
        assert "NameRaises" in str(error)
        assert isinstance(error.__cause__, VendorError)

    @pytest.mark.parametrize("bad", [None, "fallback", {}, ExecuteConfig, Strategy.FALLBACK], ids=repr)
    def test_a_config_that_is_none(self, bad: object) -> None:
        """Only an `ExecuteConfig` is one."""
        error = refused("config", vendors("grok"), bad)
        assert type(error) is InvalidConfigError
        assert f"config must be an ExecuteConfig, got {bad!r}" in str(error)

    @pytest.mark.parametrize("fn", [None, "generate", 5, {}], ids=repr)
    def test_a_fn_that_cannot_be_called(self, config: ExecuteConfig, fn: object) -> None:
        """`fn` must be callable."""
        error = refused("fn", vendors("grok"), config, fn)
        assert type(error) is InvalidConfigError
        assert f"fn must be callable with a provider, got {fn!r}" in str(error)

    @pytest.mark.parametrize(
        "deadline",
        [float("nan"), float("inf"), float("-inf"), True, False, "5", "", b"5", [], {}, 1j, object],
        ids=repr,
    )
    def test_a_deadline_that_is_no_duration(self, config: ExecuteConfig, deadline: object) -> None:
        """Only a `Deadline`, a finite number of seconds, a timedelta or None is one."""
        error = refused("deadline", vendors("grok"), config, deadline=deadline)
        assert isinstance(error, InvalidConfigError)
        assert error.setting == "deadline"
        assert "deadline must be a Deadline, a finite number of seconds or a timedelta, got " in str(error)
        assert repr(deadline) in str(error)

    @pytest.mark.parametrize(
        "value", [ReprRaises(), ReprOfTwoLines(), 10**5000], ids=["raises", "lines", "long"]
    )
    def test_a_value_that_cannot_be_shown(self, config: ExecuteConfig, value: object) -> None:
        """However badly a value behaves when it is shown, the library's error is raised, in one line."""
        unnamed = Vendor("grok")
        unnamed.name = value  # type: ignore[assignment]  # on purpose
        refused("providers", value, config)
        refused("providers[0]", [value], config)
        refused("providers[0]", [unnamed], config)
        refused("config", vendors("grok"), value)
        refused("fn", vendors("grok"), config, value)
        refused("deadline", vendors("grok"), config, deadline=value)

    def test_an_empty_sequence_that_cannot_be_shown(self, config: ExecuteConfig) -> None:
        """Also without providers, what is raised is the library's error."""

        class Shy(list[Vendor]):
            def __repr__(self) -> str:
                raise VendorError

        assert type(refused("providers", Shy(), config)) is NoProvidersError


BROKEN_METHODS = ["acquire", "success", "failure", "release"]
BROKEN_GO_METHODS = ["is_available", "cooldown_remaining", "record_failure"]


class TestBrokenTracker:
    """What a tracker raises never hides an answer or a provider's error."""

    @pytest.fixture(params=[*BROKEN_METHODS, *BROKEN_GO_METHODS, "cooldown_remaining of a permit"])
    def tracker(self, request: pytest.FixtureRequest) -> ThreeMethodTracker:
        """A tracker of which one method is broken; `grok` is about to cool down and `gemini` does."""
        method = request.param.split()[0]
        kind = PermitTracker if method in BROKEN_METHODS or method != request.param else ThreeMethodTracker
        return kind(raises=method, opens={"grok": 30.0}, cooling={"gemini": 7.0})

    @pytest.fixture
    def config(self, tracker: ThreeMethodTracker, logger: logging.Logger) -> ExecuteConfig:
        """A chain with the broken tracker."""
        return ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=logger)

    def each_is_logged_once(self, tracker: ThreeMethodTracker, records: Records) -> None:
        """Assert that there is one record for each time the tracker raised, at level ERROR."""
        raised = len(tracker.calls(tracker.raises))
        told = [line for line in records.lines if f"{tracker.raises} is broken" in line]
        assert len(told) == raised
        assert all(line.startswith("ERROR ") for line in told)

    def test_does_not_hide_an_answer(
        self, config: ExecuteConfig, tracker: ThreeMethodTracker, records: Records
    ) -> None:
        """The answer comes as it would have, after a failure and from a terminus that cools down."""
        replies = replying(grok=VendorError("down"), laozhang=VendorError("down"), gemini="a cat")
        result = execute(vendors("grok", "laozhang", "gemini"), config, replies)
        assert (result.response, result.provider, result.was_terminus) == ("a cat", "gemini", True)
        assert tracker.calls(tracker.raises) != []
        self.each_is_logged_once(tracker, records)

    def test_does_not_hide_the_providers_errors(
        self, config: ExecuteConfig, tracker: ThreeMethodTracker, records: Records
    ) -> None:
        """The errors come as they would have, and nothing of the tracker's is their context."""
        error = VendorError("down")
        replies = replying(grok=error, laozhang=error, gemini=error)
        failure = error_of(AllProvidersFailedError, vendors("grok", "laozhang", "gemini"), config, replies)
        assert list(failure.exceptions) == [error] * 3
        assert failure.__cause__ is error
        assert error.__context__ is None
        self.each_is_logged_once(tracker, records)

    def test_does_not_hide_an_interruption(
        self, config: ExecuteConfig, tracker: ThreeMethodTracker, records: Records
    ) -> None:
        """Ctrl-C comes out unchanged."""
        interrupt = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt) as caught:
            execute(vendors("grok", "gemini"), config, replying(grok=interrupt))
        assert caught.value is interrupt
        assert interrupt.__context__ is None
        self.each_is_logged_once(tracker, records)

    def test_does_not_hide_a_refusal(
        self, config: ExecuteConfig, tracker: ThreeMethodTracker, records: Records
    ) -> None:
        """A coroutine is refused all the same."""
        error_of(InvalidConfigError, vendors("grok", "gemini"), config, coroutine_function)
        self.each_is_logged_once(tracker, records)

    @pytest.mark.parametrize("method", ["acquire", "is_available", "cooldown_remaining"])
    def test_a_failed_question_counts_as_available(self, method: str) -> None:
        """A tracker that cannot be asked forbids nothing."""
        kind = PermitTracker if method == "acquire" else ThreeMethodTracker
        tracker = kind(raises=method, cooling={"grok": 7.0})
        result = execute(vendors("grok", "gemini"), fallback(tracker), replying(grok="a cat"))
        assert (result.provider, result.attempts[0].cooldown_remaining) == ("grok", None)

    def test_a_failed_record_counts_as_nothing(self) -> None:
        """A failure that could not be told has started no cooldown."""
        tracker = PermitTracker(raises="failure", opens={"grok": 30.0})
        failure = error_of(AllProvidersFailedError, vendors("grok"), fallback(tracker))
        assert failure.attempts[0].cooldown_remaining is None
        assert failure.retry_after is None

    def test_a_failed_record_changes_nothing_of_a_cooldown_that_runs(self) -> None:
        """What was learned before the attempt still holds when its failure could not be told."""
        tracker = PermitTracker(raises="failure", cooling={"grok": 7.0})
        failure = error_of(AllProvidersFailedError, vendors("grok"), fallback(tracker))
        assert failure.attempts[0].cooldown_remaining == 7.0

    @pytest.mark.parametrize("method", ["success", "failure", "release"])
    def test_a_permit_that_raises_is_not_told_again(self, method: str) -> None:
        """Each permit is told one outcome, once, whether it takes it or not."""
        tracker = PermitTracker(raises=method)
        replies = replying(grok=VendorError(), laozhang=VendorError(), gemini="a cat")
        execute(vendors("grok", "laozhang", "gemini"), fallback(tracker), replies)
        assert tracker.outcomes() == [("failure", "grok"), ("release", "laozhang"), ("success", "gemini")]

    @pytest.mark.parametrize("junk", [None, True, 5, "permit"], ids=repr)
    def test_what_is_no_permit_counts_as_a_failed_question(self, junk: Any, records: Records) -> None:
        """A tracker that hands out something else than a permit is broken too."""

        class Confused(ThreeMethodTracker):
            def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
                return junk  # type: ignore[no-any-return]  # on purpose

        config = ExecuteConfig(strategy="fallback", cooldown=Confused(), logger=logger_with(records))
        assert execute(vendors("grok", "gemini"), config, replying(grok="a cat")).response == "a cat"
        assert [line for line in records.lines if line.startswith("ERROR ")] != []

    def test_an_interruption_in_the_tracker_propagates(self) -> None:
        """Only an `Exception` is kept back: Ctrl-C is raised wherever it comes."""

        class Interrupted(ThreeMethodTracker):
            def is_available(self, name: str) -> bool:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            execute(vendors("grok"), fallback(Interrupted()), replying(grok="a cat"))


def library_frames(error: BaseException) -> list[str]:
    """Return the names of the functions of the library in the error's traceback."""
    package = fallback_exec.__path__[0]
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.name for frame in frames if frame.filename.startswith(package)]


def depth(error: BaseException) -> int:
    """Return how many entries the error's traceback has."""
    return sum(1 for _ in traceback.walk_tb(error.__traceback__))


class TestErrorsAreLeftAsTheyWere:
    """The provider's error is raised once, by the provider, and nothing is done to it."""

    def test_has_no_context_of_another_provider(self) -> None:
        """Errors of a chain do not hang on each other."""
        errors = [VendorError(name) for name in "abc"]
        replies = replying(a=errors[0], b=errors[1], c=errors[2])
        error_of(
            AllProvidersFailedError, vendors("a", "b", "c"), fallback(BreakerCooldownTracker(1)), replies
        )
        assert [(error.__context__, error.__cause__) for error in errors] == [(None, None)] * 3

    def test_keeps_its_own_cause(self) -> None:
        """What the provider raised it from stays where it is."""
        socket_error = OSError("reset")

        def fn(provider: Vendor) -> object:
            try:
                raise socket_error
            except OSError as error:
                raise VendorError from error

        failure = error_of(ProviderFailedError, vendors("grok"), ExecuteConfig(), fn)
        assert failure.__cause__ is not None
        assert failure.__cause__.__cause__ is socket_error
        assert failure.__cause__.__context__ is socket_error

    def test_within_an_except_block_of_the_users(self) -> None:
        """The context is what the user handles, as in a plain call, and nothing of the library's."""
        handled, errors = ValueError("the user's"), [VendorError(name) for name in "ab"]
        try:
            raise handled
        except ValueError:
            error_of(
                AllProvidersFailedError, vendors("a", "b"), fallback(), replying(a=errors[0], b=errors[1])
            )
        assert [error.__context__ for error in errors] == [handled, handled]
        assert handled.__context__ is None

    def test_what_the_user_handles_keeps_its_traceback(self) -> None:
        """An error that is being handled around the call, and so is the context of others, is not touched."""
        handled = ValueError("the user's")
        try:
            raise handled
        except ValueError:
            before = handled.__traceback__
            execute(vendors("grok", "gemini"), fallback(), replying(grok=VendorError(), gemini="a cat"))
        assert before is not None
        assert handled.__traceback__ is before

    def test_its_traceback_is_as_long_wherever_it_stands_in_the_chain(self) -> None:
        """The traceback leads through the library once, and into the provider."""
        errors = [VendorError(name) for name in "abcde"]
        replies = replying(**{error.args[0]: error for error in errors})
        tracker = BreakerCooldownTracker(fail_max=1)
        error_of(AllProvidersFailedError, vendors(*"abcde"), fallback(tracker), replies)
        alone = VendorError("alone")
        error_of(ProviderFailedError, vendors("grok"), ExecuteConfig(), replying(grok=alone))
        assert {tuple(library_frames(error)) for error in errors} == {tuple(library_frames(alone))}
        assert {depth(error) for error in errors} == {depth(alone)}
        assert depth(alone) == len(library_frames(alone)) + 1

    def test_its_traceback_does_not_grow_with_use(self) -> None:
        """Neither the story nor the text nor another record of the failure adds to the traceback."""
        error = VendorError("down")
        tracker = BreakerCooldownTracker(fail_max=2)
        failure = error_of(AllProvidersFailedError, vendors("grok"), fallback(tracker), replying(grok=error))
        before = depth(error)
        for _ in range(5):
            tracker.record_failure("grok", error)
            assert (failure.attempts[0].error, str(failure.exceptions[0])) == (error, "down")
            "".join(traceback.format_exception(failure))
        assert depth(error) == before
        assert error.__context__ is None


class SocketError(OSError):
    """What SDKs raise their own errors from."""


class ForgetfulTracker(PermitTracker):
    """A tracker that keeps no errors."""

    def note(self, method: str, *arguments: object) -> None:
        pass


@pytest.mark.usefixtures("no_collector")
class TestNothingIsKeptAlive:
    """With the garbage collector off, what nobody refers to is gone at once.

    The calls stand in functions that keep what they got in local variables, as the user's do.
    """

    @pytest.fixture(params=["breakers", "permits", "no tracker"])
    def config(self, request: pytest.FixtureRequest) -> ExecuteConfig:
        """A chain with each kind of tracker, and a logger that keeps its records."""
        trackers = {
            "breakers": BreakerCooldownTracker(fail_max=1),
            "permits": ForgetfulTracker(),
            "no tracker": None,
        }
        tracker = trackers[request.param]
        return ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=logger_with(Records()))

    @pytest.fixture
    def watch(self) -> Watch:
        """Sees what lives still."""
        return Watch()

    @pytest.fixture
    def fn(self, watch: Watch) -> Callable[[Vendor], Held]:
        """A `fn` that fails as SDKs do, but for one provider, and whose frames hold something."""

        def fn(provider: Vendor) -> Held:
            _local = watch(f"frame of {provider.name}", Held())
            if provider.name == "good":
                return watch("answer", Held())
            if provider.name == "interrupted":
                raise KeyboardInterrupt
            try:
                raise watch(f"cause of {provider.name}", SocketError("reset"))
            except SocketError as reset:
                raise watch(f"error of {provider.name}", VendorError(provider.name)) from reset

        return fn

    def test_of_an_answer_after_a_failure_that_is_dropped(
        self, config: ExecuteConfig, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """The answer, the error before it and its frames go with the result."""

        def use() -> None:
            execute(vendors("bad", "good"), config, fn)

        use()
        assert watch.labels == {"frame of bad", "cause of bad", "error of bad", "frame of good", "answer"}
        assert watch.alive == set()

    def test_of_an_answer_after_a_failure_in_a_local_variable(
        self, config: ExecuteConfig, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """The answer goes when the result is dropped.

        Dropped by name: an error's traceback refers to the frames of all its callers, as Python has it, so a
        result that a function never lets go of is found by the collector.
        """

        def use() -> int:
            result = execute(vendors("bad", "good"), config, fn)
            attempt_num = result.attempt_num
            del result
            return attempt_num

        assert use() == 2
        assert watch.alive == set()

    def test_of_an_answer_after_a_failure_whose_story_was_read(
        self, config: ExecuteConfig, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """Reading the attempts makes no difference to what lives on."""

        def use() -> str:
            result = execute(vendors("bad", "good"), config, fn)
            text = str(result.attempts[0].error)
            del result
            return text

        assert use() == "bad"
        assert watch.alive == set()

    def test_of_the_answer_when_only_the_error_is_kept(
        self, config: ExecuteConfig, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """An error keeps no answer alive that came after it."""
        kept = [execute(vendors("bad", "good"), config, fn).attempts[0].error]
        assert isinstance(kept[0], VendorError)
        assert "answer" not in watch.alive
        assert "frame of good" not in watch.alive
        kept.clear()
        assert watch.alive == set()

    def test_of_all_that_failed(
        self, config: ExecuteConfig, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """Errors and frames go with the group's error."""

        def use() -> int:
            try:
                execute(vendors("bad", "worse"), config, fn)
            except AllProvidersFailedError as error:
                return len(error.attempts)
            return 0

        assert use() == 2
        assert watch.labels == {
            "frame of bad",
            "cause of bad",
            "error of bad",
            "frame of worse",
            "cause of worse",
            "error of worse",
        }
        assert watch.alive == set()

    def test_of_all_that_failed_when_one_error_is_kept(
        self, config: ExecuteConfig, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """A provider's error keeps neither another's alive nor the group."""

        def first_error() -> Exception:
            try:
                execute(vendors("bad", "worse"), config, fn)
            except AllProvidersFailedError as error:
                watch("group", error)
                return error.exceptions[0]
            raise AssertionError("answered")

        kept = [first_error()]
        assert watch.alive == {"frame of bad", "cause of bad", "error of bad"}
        kept.clear()
        assert watch.alive == set()

    @each_single_strategy
    def test_of_a_provider_that_failed(
        self, strategy: Strategy, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """The provider's error and its frames go with ours."""

        def use() -> str:
            try:
                execute(vendors("bad"), ExecuteConfig(strategy=strategy), fn)
            except ProviderFailedError as error:
                return error.provider
            return ""

        assert use() == "bad"
        assert watch.labels == {"frame of bad", "cause of bad", "error of bad"}
        assert watch.alive == set()

    @pytest.mark.parametrize("kind", [DeadlineExceededError, ExecutionCancelledError])
    def test_of_a_deadline_after_a_failure(
        self,
        config: ExecuteConfig,
        watch: Watch,
        fn: Callable[[Vendor], Held],
        clock: FrozenDateTimeFactory,
        kind: type[FallbackExecError],
    ) -> None:
        """The provider's error and its frames go with the deadline's error."""
        deadline = Deadline(5)

        def slow(provider: Vendor) -> Held:
            clock.tick(5)
            if kind is ExecutionCancelledError:
                deadline.cancel()
            return fn(provider)

        def use() -> int:
            try:
                execute(vendors("bad", "good"), config, slow, deadline=deadline)
            except kind as error:
                return len(error.attempts)
            return 0

        assert use() == 1
        assert watch.labels == {"frame of bad", "cause of bad", "error of bad"}
        assert watch.alive == set()

    def test_of_an_interruption_after_a_failure(
        self, config: ExecuteConfig, watch: Watch, fn: Callable[[Vendor], Held]
    ) -> None:
        """While Ctrl-C is handled, only the frames it came through are alive; later, nothing is."""
        alive = []

        def use() -> None:
            try:
                execute(vendors("bad", "interrupted"), config, fn)
            except KeyboardInterrupt:
                alive.append(watch.alive)

        use()
        assert alive == [{"frame of interrupted"}]
        assert watch.alive == set()

    def test_of_a_permit(self, watch: Watch, fn: Callable[[Vendor], Held]) -> None:
        """An error that is kept keeps no permit: what a permit holds is given back when it is dropped."""
        tracker = ForgetfulTracker()
        config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=logger_with(Records()))
        kept = [execute(vendors("bad", "good"), config, fn).attempts[0].error]
        assert kept != [None]
        assert list(tracker.permits) == []

    def test_of_the_errors_of_a_broken_tracker(self, watch: Watch, fn: Callable[[Vendor], Held]) -> None:
        """What a tracker raises is gone when it is logged, and keeps nothing alive."""

        class Broken(PermitTracker):
            def note(self, method: str, *arguments: object) -> None:
                raise watch(f"broken {method}", BrokenTrackerError(method))

        def use() -> int:
            return execute(vendors("bad", "good"), config, fn).attempt_num

        config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=Broken(), logger=logger_with(Records()))
        assert use() == 2
        assert "broken acquire" in watch.labels
        assert watch.alive == set()
