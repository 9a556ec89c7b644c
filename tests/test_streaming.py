"""Streams: failover until the first item, and what is told of the items after it."""

from __future__ import annotations

import contextlib
import copy
import enum
import gc
import inspect
import itertools
import logging
import pickle
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import CoroutineType, SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    CooldownTracker,
    Cooling,
    Deadline,
    DeadlineExceededError,
    ExecuteConfig,
    ExecutionCancelledError,
    InvalidConfigError,
    NoProvidersError,
    Outcome,
    Permit,
    ProviderFailedError,
    ResponseRejectedError,
    RoundRobinIndex,
    Strategy,
    StreamResult,
    Verdict,
    execute,
    execute_stream,
)
from fallback_exec.streaming import _Keeper
from helpers import (
    PATIENCE,
    Held,
    JournalPermit,
    PermitTracker,
    Records,
    ThreeMethodTracker,
    Vendor,
    VendorError,
    Watch,
    act_at_each_call,
    fields_of,
    in_thread,
    in_threads,
    logger_with,
    meddle_at_each_line,
    replying,
    vendors,
)


class CloseError(Exception):
    """What streams raise that cannot be closed."""


class StopEverythingError(BaseException):
    """Stands for Ctrl-C."""


class Pieces:
    """An iterator over items, of which exceptions are raised; it writes down that it was closed."""

    def __init__(
        self, items: tuple[object, ...], closed: list[str], close_error: BaseException | None
    ) -> None:
        self._items = iter(items)
        self._closed = closed
        self._close_error = close_error

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        item = next(self._items)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self._closed.append("iterator")
        if self._close_error is not None:
            raise self._close_error


class SdkStream:
    """A stream as SDKs have them: an iterable whose iterator is another object, both to be closed."""

    def __init__(self, *items: object, close_error: BaseException | None = None) -> None:
        self.closed: list[str] = []
        self._items = items
        self._close_error = close_error

    def __iter__(self) -> Iterator[object]:
        return Pieces(self._items, self.closed, self._close_error)

    def close(self) -> None:
        self.closed.append("stream")


class OnlyItems:
    """An iterable of the old kind: nothing but `__getitem__`."""

    def __getitem__(self, index: int) -> int:
        return [10, 20, 30][index]


class NoItems:
    """A class that says of itself that it is not iterable, and has items all the same."""

    __iter__ = None

    def __getitem__(self, index: int) -> NoReturn:
        raise AssertionError(index)


class Suit(enum.Enum):
    """The class is iterable, its members are not."""

    HEARTS = 1
    SPADES = 2


class AsyncStream:
    """What an SDK's asynchronous client returns."""

    def __aiter__(self) -> AsyncIterator[int]:
        raise AssertionError


class LyingCoroutine:
    """What claims to be a coroutine, as a mock may."""

    __class__ = CoroutineType  # type: ignore[assignment]


class OddEquality:
    """An item that claims to be everything, and has no truth."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> NoReturn:
        raise AssertionError


class ProbePermit(JournalPermit):
    """A permit that tells of the beginning, too, and goes on with what a test says."""

    def __init__(self, tracker: PermitTracker, begun: Callable[[Permit], Any]) -> None:
        super().__init__(tracker, "grok", None)
        self._begun = begun

    def begin(self) -> Permit:
        self._tracker.note("begin", "grok")
        begun: Permit = self._begun(self)
        return begun


class BeginTracker(PermitTracker):
    """A tracker whose permits are asked to begin."""

    def __init__(self, begun: Callable[[Permit], Any], *, raises: str = "") -> None:
        super().__init__(raises=raises)
        self._begun = begun

    def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
        self.note("acquire", name, force)
        return ProbePermit(self, self._begun)


async def coroutine() -> None:
    """Be a coroutine function."""


async def asynchronous() -> AsyncIterator[int]:
    """Be an asynchronous generator function."""
    yield 1


def saying(**words: tuple[object, ...]) -> Callable[[Vendor], Iterator[Any]]:
    """Return a generator function that yields a provider's words, and raises those that are exceptions."""

    def fn(provider: Vendor) -> Iterator[object]:
        for word in words[provider.name]:
            if isinstance(word, BaseException):
                raise word
            yield word

    return fn


def returning(**streams: object) -> Callable[[Vendor], Any]:
    """Return a `fn` that returns what a provider has, and raises it where that is an exception."""
    return replying(**streams)


def fallback(
    tracker: CooldownTracker | None = None, logger: logging.Logger | None = None, **settings: Any
) -> ExecuteConfig:
    """Return a config of a chain that logs nowhere unless it is told where."""
    quiet = logger_with(logging.NullHandler())
    return ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger or quiet, **settings)


def grok(config: ExecuteConfig, *words: object) -> StreamResult[Any]:
    """Return what comes of a chain of one provider that says this."""
    return execute_stream(vendors("grok"), config, saying(grok=words))


def dies(stream: StreamResult[Any]) -> VendorError:
    """Return the provider's error that the stream must end with."""
    with pytest.raises(VendorError) as caught:
        list(stream)
    return caught.value


def ending(stream: StreamResult[Any]) -> list[object]:
    """Return what is left of a stream, whether it ends well or dies."""
    items: list[object] = []
    with contextlib.suppress(VendorError):
        items.extend(stream)
    return items


def failures(tracker: BreakerCooldownTracker, name: str = "grok") -> int:
    """Return how many failures in a row are known."""
    return tracker.snapshot()[name].failures


def state(tracker: BreakerCooldownTracker, name: str = "grok") -> str:
    """Return the state of the provider's breaker."""
    return tracker.snapshot()[name].state


ENDS: dict[str, Callable[[StreamResult[Any]], object]] = {
    "read to its end": list,
    "closed": lambda stream: stream.close(),
    "left by with": lambda stream: stream.__exit__(None, None, None),
}
every_end = pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)


class Unmakable:
    """A stream that cannot make its iterator."""

    def __iter__(self) -> Iterator[object]:
        raise VendorError("down")


BEFORE_THE_FIRST_ITEM: dict[str, Callable[[], Any]] = {
    "in fn": lambda: VendorError("down"),
    "in the generator": lambda: saying(grok=(VendorError("down"),))(Vendor("grok")),
    "in the iterator": lambda: SdkStream(VendorError("down")),
    "where there is no iterator": Unmakable,
}


class TestExecuteStream:
    """What comes out."""

    def test_items_come_in_order(self) -> None:
        """They are the provider's, as they are."""
        words = ["a", object(), None, ["b"]]
        assert list(grok(fallback(), *words)) == words

    def test_says_who_answers(self) -> None:
        """As the result of `execute()` does, and the story is that until the first item."""
        tracker = ThreeMethodTracker(cooling={"gemini": 20.0})
        fn = saying(grok=(VendorError("down"),), mistral=("a", "b"))
        stream = execute_stream(vendors("gemini", "grok", "mistral"), fallback(tracker), fn)
        assert (stream.provider, stream.attempt_num, stream.was_terminus) == ("mistral", 2, True)
        assert [(line.provider, line.outcome) for line in stream.attempts] == [
            ("gemini", Outcome.SKIPPED),
            ("grok", Outcome.FAILURE),
            ("mistral", Outcome.SUCCESS),
        ]
        assert stream.attempts[-1].latency == stream.latency

    def test_says_that_it_was_not_the_terminus(self) -> None:
        """Where another provider is left."""
        stream = execute_stream(vendors("grok", "gemini"), fallback(), saying(grok=("a",)))
        assert not stream.was_terminus

    def test_latency_ends_with_the_first_item(self, clock: FrozenDateTimeFactory) -> None:
        """What an earlier provider took, and the items that follow, are not in it."""

        def fn(provider: Vendor) -> Iterator[str]:
            clock.tick(2)
            if provider.name == "grok":
                raise VendorError("down")
            yield "a"
            clock.tick(5)
            yield "b"

        stream = execute_stream(vendors("grok", "gemini"), fallback(), fn)
        assert list(stream) == ["a", "b"]
        assert stream.latency == 2.0

    def test_pulls_one_item_and_no_more(self) -> None:
        """The others are asked for when they are wanted."""
        pulled: list[int] = []

        def fn(provider: Vendor) -> Iterator[int]:
            for number in range(3):
                pulled.append(number)
                yield number

        stream = execute_stream(vendors("grok"), fallback(), fn)
        assert pulled == [0]
        assert next(stream) == 0
        assert pulled == [0]
        assert next(stream) == 1
        assert pulled == [0, 1]

    @pytest.mark.parametrize("answer", BEFORE_THE_FIRST_ITEM.values(), ids=BEFORE_THE_FIRST_ITEM)
    def test_what_fails_before_the_first_item_falls_back(self, answer: Callable[[], Any]) -> None:
        """Wherever it fails: the attempt is a failure like any other."""
        tracker = PermitTracker()
        fn = returning(grok=answer(), gemini=["a"])
        stream = execute_stream(vendors("grok", "gemini"), fallback(tracker), fn)
        assert list(stream) == ["a"]
        assert stream.provider == "gemini"
        assert tracker.outcomes() == [("failure", "grok"), ("success", "gemini")]
        assert str(stream.attempts[0].error) == "down"

    def test_what_fails_later_has_no_second_provider(self) -> None:
        """Half of one answer and half of another are no answer."""
        fn = mock.Mock(side_effect=saying(grok=("a", VendorError("down"))))
        stream = execute_stream(vendors("grok", "gemini"), fallback(), fn)
        assert str(dies(stream)) == "down"
        assert list(stream) == []
        fn.assert_called_once()

    def test_when_nobody_begins_all_errors_are_told(self) -> None:
        """As by `execute()`."""
        fn = saying(grok=(VendorError("first"),), gemini=(VendorError("second"),))
        with pytest.raises(AllProvidersFailedError) as caught:
            execute_stream(vendors("grok", "gemini"), fallback(), fn)
        assert [str(error) for error in caught.value.exceptions] == ["first", "second"]
        assert len(caught.value.attempts) == 2

    @pytest.mark.parametrize(
        ("answer", "items"),
        [
            ([1, 2], [1, 2]),
            ((1,), [1]),
            (range(2), [0, 1]),
            ("ab", ["a", "b"]),
            (b"ab", [97, 98]),
            ({"a": 1}, ["a"]),
            (OnlyItems(), [10, 20, 30]),
            (Suit, [Suit.HEARTS, Suit.SPADES]),
            (iter([1]), [1]),
            (SdkStream(1, 2), [1, 2]),
            (mock.MagicMock(), []),
        ],
    )
    def test_takes_what_python_iterates(self, answer: object, items: list[object]) -> None:
        """Each iterable, a text by its characters."""
        stream = execute_stream(vendors("grok"), fallback(), returning(grok=answer))
        assert list(stream) == items

    def test_takes_a_stream_of_its_own_kind(self) -> None:
        """A chain may stand within a chain: closing the outer one closes the inner one."""
        inner = grok(fallback(), "a", "b")
        outer = execute_stream(vendors("chain"), fallback(), returning(chain=inner))
        assert next(outer) == "a"
        outer.close()
        assert inner.outcome is Outcome.NEUTRAL

    @pytest.mark.parametrize("first", [None, 0, "", [], OddEquality(), mock.ANY, StopIteration])
    def test_takes_any_first_item(self, first: object) -> None:
        """Its truth and its equality are not asked."""
        (item,) = grok(fallback(), first)
        assert item is first

    def test_a_stop_iteration_of_fn_is_a_failure(self) -> None:
        """It ends no stream, as none has begun."""
        fn = returning(grok=StopIteration("odd"), gemini=["a"])
        assert execute_stream(vendors("grok", "gemini"), fallback(), fn).attempt_num == 2

    def test_the_end_passes_on_what_a_generator_returned(self) -> None:
        """`yield from` has a value for those who want it."""

        def fn(provider: Vendor) -> Iterator[str]:
            yield "a"
            return "usage"  # type: ignore[return-value]  # what is tested

        stream = execute_stream(vendors("grok"), fallback(), fn)
        next(stream)
        with pytest.raises(StopIteration) as caught:
            next(stream)
        assert caught.value.value == "usage"


class TestEmptyStream:
    """A stream without items."""

    def test_is_an_answer(self) -> None:
        """No second provider is tried, and the success is told."""
        tracker = PermitTracker()
        source = SdkStream()
        stream = execute_stream(vendors("grok", "gemini"), fallback(tracker), returning(grok=source))
        assert stream.outcome is Outcome.SUCCESS
        assert tracker.outcomes() == [("success", "grok")]
        assert list(stream) == []
        assert source.closed == ["iterator", "stream"]
        assert tracker.outcomes() == [("success", "grok")]

    def test_is_not_judged(self) -> None:
        """There is no first item to show to `accept`."""
        accept = mock.Mock(return_value=False)
        assert list(grok(fallback(accept=accept))) == []
        accept.assert_not_called()

    def test_of_a_probe_closes_the_breaker(self, clock: FrozenDateTimeFactory) -> None:
        """The provider has answered."""
        tracker = BreakerCooldownTracker(fail_max=1)
        tracker.record_failure("grok", VendorError())
        clock.tick(30)
        grok(fallback(tracker))
        assert state(tracker) == "closed"


class TestRefusal:
    """What is no stream, and what is no argument."""

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (None, "NoneType"),
            (5, "int"),
            (object(), "object"),
            (asynchronous(), "async_generator"),
            (AsyncStream(), "AsyncStream"),
            (Suit.HEARTS, "Suit"),
            (NoItems(), "NoItems"),
            (mock.Mock(), "Mock"),
            (LyingCoroutine(), "LyingCoroutine"),
        ],
    )
    def test_of_what_is_not_iterable(self, answer: object, kind: str) -> None:
        """The error names `fn`, what it is and what it returned, and tells the story until then."""
        fn = returning(grok=VendorError("down"), gemini=answer)
        tracker = PermitTracker()
        with pytest.raises(
            InvalidConfigError, match=f"fn must return an iterable, not {kind}, got "
        ) as caught:
            execute_stream(vendors("grok", "gemini", "mistral"), fallback(tracker), fn)
        assert caught.value.setting == "fn"
        assert "got <function replying.<locals>.fn" in str(caught.value)
        assert [line.provider for line in caught.value.attempts] == ["grok"]
        assert tracker.outcomes() == [("failure", "grok"), ("release", "gemini")]

    def test_of_a_coroutine_closes_it(self) -> None:
        """Nobody would await it, and Python would complain."""
        made: list[Coroutine[Any, Any, None]] = []

        def fn(provider: Vendor) -> Any:
            made.append(coroutine())
            return made[-1]

        with pytest.raises(InvalidConfigError, match="fn must return an iterable, not coroutine"):
            execute_stream(vendors("grok", "gemini"), fallback(), fn)
        assert [inspect.getcoroutinestate(each) for each in made] == ["CORO_CLOSED"]

    def test_of_a_stream_of_coroutines(self) -> None:
        """The item and the stream are closed, and nothing is counted."""
        tracker = PermitTracker()
        item = coroutine()
        source = SdkStream(item)
        with pytest.raises(InvalidConfigError, match="fn must return an iterable of items, not of corout"):
            execute_stream(vendors("grok", "gemini"), fallback(tracker), returning(grok=source))
        assert inspect.getcoroutinestate(item) == "CORO_CLOSED"
        assert source.closed == ["iterator", "stream"]
        assert tracker.outcomes() == [("release", "grok")]

    def test_comes_too_late_for_later_items(self) -> None:
        """After the first one, items are passed on as they are."""
        item = coroutine()
        assert list(grok(fallback(), 1, item)) == [1, item]
        item.close()

    def test_may_be_interrupted(self) -> None:
        """Then the interruption is raised, and Python complains of nothing."""

        class Interrupted(PermitTracker):
            def note(self, called: str, *arguments: object) -> None:
                if called == "release":
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            execute_stream(vendors("grok"), fallback(Interrupted()), returning(grok=5))

    def test_of_a_config_that_is_none(self) -> None:
        """It is looked at first."""
        with pytest.raises(InvalidConfigError, match="config must be an ExecuteConfig"):
            execute_stream(vendors("grok"), "fallback", saying())  # type: ignore[arg-type]

    def test_of_a_fn_that_cannot_be_called(self) -> None:
        """The error names it."""
        with pytest.raises(InvalidConfigError, match="fn must be callable with a provider, got"):
            execute_stream(vendors("grok"), fallback(), [1])  # type: ignore[arg-type]

    def test_of_a_bad_deadline(self) -> None:
        """As by `execute()`."""
        with pytest.raises(InvalidConfigError) as caught:
            execute_stream(vendors("grok"), fallback(), returning(), deadline="5")  # type: ignore[arg-type]
        assert caught.value.setting == "deadline"

    def test_of_no_providers(self) -> None:
        """As by `execute()`."""
        with pytest.raises(NoProvidersError):
            execute_stream([], fallback(), returning())


class TestStrategies:
    """Those that try one provider."""

    @pytest.mark.parametrize("strategy", [Strategy.PRIMARY_ONLY, Strategy.ROUND_ROBIN])
    def test_neither_ask_nor_tell_the_tracker(self, strategy: Strategy) -> None:
        """However the stream ends."""
        tracker = PermitTracker()
        config = ExecuteConfig(
            strategy=strategy, cooldown=tracker, logger=logger_with(), round_robin_index=None
        )
        assert list(grok(config, 1, 2)) == [1, 2]
        grok(config, 1).close()
        assert dies(grok(config, 1, VendorError())).args == ()
        assert tracker.journal == []

    @pytest.mark.parametrize("strategy", [Strategy.PRIMARY_ONLY, Strategy.ROUND_ROBIN])
    def test_end_with_the_error_of_a_provider_that_does_not_begin(self, strategy: Strategy) -> None:
        """There is no second one."""
        config = ExecuteConfig(strategy=strategy, logger=logger_with())
        with pytest.raises(ProviderFailedError) as caught:
            execute_stream(vendors("grok", "gemini"), config, saying(grok=(VendorError("down"),)))
        assert caught.value.provider == "grok"

    def test_the_rotation_is_that_of_the_user_s_config(self) -> None:
        """One step for each stream, shared with `execute()`."""
        index = RoundRobinIndex()
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN, round_robin_index=index)
        chain = vendors("grok", "gemini", "mistral")
        assert execute_stream(chain, config, lambda each: [each.name]).provider == "grok"
        assert execute(chain, config, lambda each: each.name).provider == "gemini"
        assert list(execute_stream(chain, config, lambda each: [each.name, 1])) == ["mistral", 1]
        assert index.next() == 3

    def test_the_user_s_config_is_left_as_it_was(self) -> None:
        """Streams need another tracker and another predicate: they are not put there."""
        tracker = PermitTracker()
        config = fallback(tracker, accept=bool, classify=lambda _: Verdict.neutral())
        before = {name: getattr(config, name) for name in dir(config) if not name.startswith("__")}
        assert list(grok(config, 1)) == [1]
        assert all(getattr(config, name) is value for name, value in before.items() if not callable(value))
        assert config.cooldown is tracker
        assert config.accept is bool


class TestDeadline:
    """How long the chain may take."""

    def test_over_before_the_first_attempt(self) -> None:
        """Nobody is called."""
        fn = mock.Mock()
        with pytest.raises(DeadlineExceededError):
            execute_stream(vendors("grok"), fallback(), fn, deadline=0)
        fn.assert_not_called()

    def test_over_between_attempts(self, clock: FrozenDateTimeFactory) -> None:
        """The next provider is not tried."""

        def fn(provider: Vendor) -> Iterator[int]:
            clock.tick(10)
            raise VendorError(provider.name)
            yield 1

        with pytest.raises(DeadlineExceededError) as caught:
            execute_stream(vendors("grok", "gemini"), fallback(), fn, deadline=10)
        assert str(caught.value.__cause__) == "grok"

    def test_cancelled_between_attempts(self) -> None:
        """Likewise."""
        deadline = Deadline()

        def fn(provider: Vendor) -> list[int]:
            deadline.cancel()
            raise VendorError(provider.name)

        with pytest.raises(ExecutionCancelledError):
            execute_stream(vendors("grok", "gemini"), fallback(), fn, deadline=deadline)

    def test_ends_with_the_first_item(self, clock: FrozenDateTimeFactory) -> None:
        """What comes later may take its time, and may be cancelled in vain."""
        tracker = PermitTracker()
        deadline = Deadline(10)
        stream = execute_stream(vendors("grok"), fallback(tracker), saying(grok=(1, 2, 3)), deadline=deadline)
        assert next(stream) == 1
        clock.tick(60)
        assert next(stream) == 2
        deadline.cancel()
        assert list(stream) == [3]
        assert tracker.outcomes() == [("success", "grok")]


class TestOutcome:
    """What is told, once, at the end."""

    def test_is_unknown_until_the_end(self) -> None:
        """The first item says nothing, and the last one neither."""
        tracker = PermitTracker()
        stream = grok(fallback(tracker), 1, 2)
        assert (next(stream), next(stream)) == (1, 2)
        assert stream.outcome is None
        assert tracker.outcomes() == []

    def test_is_a_success_at_the_end(self) -> None:
        """Told once, however often the end is asked for."""
        tracker = PermitTracker()
        stream = grok(fallback(tracker), 1, 2)
        assert list(stream) == [1, 2]
        assert list(stream) == []
        stream.close()
        assert stream.outcome is Outcome.SUCCESS
        assert tracker.outcomes() == [("success", "grok")]

    def test_is_a_failure_where_the_provider_fails(self) -> None:
        """Told once, with the provider's error."""
        tracker = PermitTracker()
        stream = grok(fallback(tracker), 1, VendorError("down"))
        error = dies(stream)
        assert list(stream) == []
        stream.close()
        assert stream.outcome is Outcome.FAILURE
        assert tracker.calls("failure") == [("failure", "grok", error)]
        assert len(tracker.outcomes()) == 1

    def test_the_error_is_raised_as_it_is(self) -> None:
        """The same object, with no context of ours and no frames but its own."""
        error = VendorError("down")
        stream = grok(fallback(BreakerCooldownTracker(fail_max=1)), 1, error)
        assert dies(stream) is error
        assert (error.__context__, error.__cause__, error.args) == (None, None, ("down",))
        names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
        assert names == ["dies", "__next__", "fn"]

    @pytest.mark.parametrize(
        "end", [lambda stream: stream.close(), lambda stream: stream.__exit__(*[None] * 3)]
    )
    def test_is_neutral_where_it_is_closed_early(self, end: Callable[[StreamResult[Any]], None]) -> None:
        """Nobody's fault: the permit is given back, once."""
        tracker = PermitTracker()
        stream = grok(fallback(tracker), 1, 2)
        next(stream)
        end(stream)
        end(stream)
        assert stream.outcome is Outcome.NEUTRAL
        assert list(stream) == []
        assert tracker.outcomes() == [("release", "grok")]

    def test_is_neutral_where_the_first_item_was_not_taken(self) -> None:
        """It is dropped with the rest."""
        stream = grok(fallback(), 1, 2)
        stream.close()
        assert (stream.outcome, list(stream)) == (Outcome.NEUTRAL, [])

    def test_is_nothing_where_it_is_dropped(self) -> None:
        """Neither failures nor successes are told, and the permit is dropped, too."""
        tracker = PermitTracker()
        stream = grok(fallback(tracker), 1, 2)
        next(stream)
        assert len(tracker.permits) == 1
        del stream
        gc.collect()
        assert len(tracker.permits) == 0
        assert tracker.outcomes() == []

    def test_needs_no_tracker(self) -> None:
        """The stream knows what it came to."""
        stream = grok(fallback(), 1, VendorError())
        dies(stream)
        assert stream.outcome is Outcome.FAILURE

    def test_of_streams_that_always_die_opens_the_breaker(self) -> None:
        """A first item alone resets nothing, or such a vendor would never reach `fail_max`."""
        tracker = BreakerCooldownTracker(fail_max=3)
        config = fallback(tracker)
        for count in (1, 2, 3):
            dies(grok(config, 1, 2, VendorError("down")))
            assert failures(tracker) == count
        assert state(tracker) == "open"

    def test_of_a_stream_that_ends_well_forgets_failures(self) -> None:
        """At its end, and not earlier."""
        tracker = BreakerCooldownTracker()
        tracker.record_failure("grok", VendorError())
        stream = grok(fallback(tracker), 1)
        assert (next(stream), failures(tracker)) == (1, 1)
        assert next(stream, None) is None
        assert failures(tracker) == 0

    @pytest.mark.parametrize(
        ("verdict", "outcome", "told"),
        [
            (Verdict.failure(), Outcome.FAILURE, "failure"),
            (Verdict.cool_down(7), Outcome.FAILURE, "failure"),
            (Verdict.neutral(), Outcome.NEUTRAL, "release"),
            (Verdict.abort(), Outcome.NEUTRAL, "release"),
            (Verdict.abort(counted=True), Outcome.FAILURE, "failure"),
        ],
    )
    def test_is_what_the_classifier_says(self, verdict: Verdict, outcome: Outcome, told: str) -> None:
        """An error in the middle of a stream is classified like any other, and raised whatever it means."""
        tracker = PermitTracker()
        classify = mock.Mock(return_value=verdict)
        stream = grok(fallback(tracker, classify=classify), 1, VendorError("down"))
        classify.assert_called_once_with(dies(stream))
        assert stream.outcome is outcome
        assert tracker.outcomes() == [(told, "grok")]

    def test_may_be_a_cooldown_of_the_vendor_s(self, clock: FrozenDateTimeFactory) -> None:
        """It lasts as long as the vendor says, from the moment of the error."""
        tracker = BreakerCooldownTracker()
        classify = mock.Mock(return_value=Verdict.cool_down(7))
        stream = grok(fallback(tracker, classify=classify), 1, VendorError("slow down"))
        clock.tick(60)
        dies(stream)
        assert tracker.cooldown_remaining("grok") == 7.0

    @pytest.mark.parametrize("classify", [mock.Mock(side_effect=KeyError("odd")), lambda _: "odd"])
    def test_is_a_failure_where_the_classifier_fails(self, classify: Any, records: Records) -> None:
        """That is logged, and the provider's error is raised."""
        tracker = PermitTracker()
        config = fallback(tracker, logger_with(records), classify=classify)
        stream = grok(config, 1, VendorError("down"))
        assert str(dies(stream)) == "down"
        assert stream.outcome is Outcome.FAILURE
        assert tracker.outcomes() == [("failure", "grok")]
        assert any(line.startswith("ERROR classifier failed provider=grok error=") for line in records.lines)

    def test_of_an_exempt_provider_counts_nothing(self, exempt_providers: set[str]) -> None:
        """Its permit is given back."""
        exempt_providers.add("grok")
        tracker = PermitTracker()
        stream = grok(fallback(tracker), 1, VendorError())
        dies(stream)
        assert stream.outcome is Outcome.FAILURE
        assert tracker.outcomes() == [("release", "grok")]


class TestEras:
    """Streams that outlive what they began in, with the breaker tracker."""

    def test_the_cooldown_starts_when_the_stream_dies(self, clock: FrozenDateTimeFactory) -> None:
        """Not when it began."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        stream = grok(fallback(tracker), 1, VendorError())
        clock.tick(100)
        dies(stream)
        assert tracker.cooldown_remaining("grok") == 30.0

    @pytest.mark.parametrize("last", [(), (VendorError("late"),)])
    def test_a_stream_from_before_an_outage_is_stale(self, last: tuple[VendorError, ...]) -> None:
        """Whether it ends well or dies after the recovery: nothing changes."""
        tracker = BreakerCooldownTracker(fail_max=2)
        stream = grok(fallback(tracker), 1, *last)
        tracker.cool_down("grok")
        tracker.reset("grok")
        tracker.record_failure("grok", VendorError())
        ending(stream)
        assert stream.outcome is (Outcome.FAILURE if last else Outcome.SUCCESS)
        assert (state(tracker), failures(tracker)) == ("closed", 1)

    def test_a_forced_terminus_closes_at_its_end(self, clock: FrozenDateTimeFactory) -> None:
        """Only then is there evidence that the provider is back."""
        tracker = BreakerCooldownTracker(fail_max=1)
        tracker.record_failure("grok", VendorError())
        stream = grok(fallback(tracker), 1)
        assert stream.attempts[0].cooldown_remaining == 30.0
        assert next(stream) == 1
        assert state(tracker) == "open"
        assert list(stream) == []
        assert state(tracker) == "closed"

    def test_a_forced_terminus_that_dies_prolongs_nothing(self, clock: FrozenDateTimeFactory) -> None:
        """The cooldown that runs goes on."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        tracker.record_failure("grok", VendorError())
        stream = grok(fallback(tracker), 1, VendorError())
        clock.tick(10)
        dies(stream)
        assert tracker.cooldown_remaining("grok") == 20.0

    def test_a_vendor_s_word_before_the_first_item_is_in_the_story(
        self, clock: FrozenDateTimeFactory
    ) -> None:
        """A forced terminus that says how long it will be away moves the end that is told."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        tracker.record_failure("grok", VendorError())
        config = fallback(tracker, classify=lambda _: Verdict.cool_down(90))
        with pytest.raises(AllProvidersFailedError) as caught:
            grok(config, VendorError("slow down"))
        assert caught.value.attempts[0].cooldown_remaining == 90.0


class TestProbe:
    """The stream that finds out whether a provider is back."""

    @pytest.fixture
    def tracker(self, clock: FrozenDateTimeFactory) -> BreakerCooldownTracker:
        """A tracker whose provider grok may be probed now."""
        return self.elapsed(clock, fail_max=2)

    @staticmethod
    def elapsed(clock: FrozenDateTimeFactory, **settings: Any) -> BreakerCooldownTracker:
        tracker = BreakerCooldownTracker(**settings)
        tracker.cool_down("grok")
        clock.tick(30)
        assert state(tracker) == "half-open"
        return tracker

    def test_has_succeeded_with_its_first_item(self, tracker: BreakerCooldownTracker) -> None:
        """A long stream does not hold the probe."""
        stream = grok(fallback(tracker), 1, 2)
        assert state(tracker) == "closed"
        assert isinstance(tracker.acquire("grok"), Permit)
        assert stream.outcome is None

    def test_that_dies_later_counts_one_failure(self, tracker: BreakerCooldownTracker) -> None:
        """In the era that its first item began."""
        dies(grok(fallback(tracker), 1, VendorError("down")))
        assert (state(tracker), failures(tracker)) == ("closed", 1)

    def test_that_dies_later_may_open_again(self, clock: FrozenDateTimeFactory) -> None:
        """Where one failure is enough."""
        tracker = self.elapsed(clock, fail_max=1)
        dies(grok(fallback(tracker), 1, VendorError("down")))
        assert state(tracker) == "open"

    def test_that_is_told_to_cool_down_later_opens_again(self, tracker: BreakerCooldownTracker) -> None:
        """For as long as the vendor says."""
        config = fallback(tracker, classify=lambda _: Verdict.cool_down(7))
        dies(grok(config, 1, VendorError("slow down")))
        assert tracker.cooldown_remaining("grok") == 7.0

    def test_that_dies_after_another_outage_is_stale(self, tracker: BreakerCooldownTracker) -> None:
        """The era that followed its first item is over, too."""
        stream = grok(fallback(tracker), 1, VendorError("down"))
        tracker.cool_down("grok")
        tracker.reset("grok")
        dies(stream)
        assert (state(tracker), failures(tracker)) == ("closed", 0)

    @every_end
    def test_is_one_success(
        self, tracker: BreakerCooldownTracker, end: Callable[[StreamResult[Any]], object]
    ) -> None:
        """Failures of others after its first item are not forgotten at its end."""
        stream = grok(fallback(tracker), 1, 2)
        tracker.record_failure("grok", VendorError())
        end(stream)
        assert failures(tracker) == 1

    def test_is_one_of_two_successes(self, clock: FrozenDateTimeFactory) -> None:
        """With `success_threshold=2`, the second probe's first item closes the breaker."""
        tracker = self.elapsed(clock, success_threshold=2)
        first = grok(fallback(tracker), 1, 2)
        assert state(tracker) == "half-open"
        second = grok(fallback(tracker), 1, 2)
        assert state(tracker) == "closed"
        assert list(first) == list(second) == [1, 2]

    def test_that_dies_between_two_successes_opens(self, clock: FrozenDateTimeFactory) -> None:
        """Half-open is the era that its first item began."""
        tracker = self.elapsed(clock, success_threshold=2)
        stream = grok(fallback(tracker), 1, VendorError("down"))
        dies(stream)
        assert state(tracker) == "open"

    def test_that_begins_too_late_is_stale(
        self, tracker: BreakerCooldownTracker, clock: FrozenDateTimeFactory
    ) -> None:
        """Another one has been let through meanwhile: neither its first item nor its death counts."""

        def fn(provider: Vendor) -> Iterator[int]:
            clock.tick(60)
            others.append(tracker.acquire("grok"))
            yield 1
            raise VendorError

        others: list[Permit | Cooling] = []
        stream = execute_stream(vendors("grok"), fallback(tracker), fn)
        assert state(tracker) == "half-open"
        dies(stream)
        assert isinstance(others[0], Permit)
        others[0].success()
        assert (state(tracker), failures(tracker)) == ("closed", 0)

    def test_whose_first_item_is_rejected_has_failed(self, tracker: BreakerCooldownTracker) -> None:
        """The breaker opens again."""
        with pytest.raises(AllProvidersFailedError):
            grok(fallback(tracker, accept=lambda _: False), 1)
        assert state(tracker) == "open"

    def test_whose_predicate_fails_is_given_back(self, tracker: BreakerCooldownTracker) -> None:
        """Nothing is counted, and the next one may probe."""
        with pytest.raises(KeyError):
            grok(fallback(tracker, accept=mock.Mock(side_effect=KeyError)), 1)
        assert state(tracker) == "half-open"
        assert isinstance(tracker.acquire("grok"), Permit)

    @pytest.mark.parametrize("words", [(StopEverythingError(),), (1, StopEverythingError())])
    def test_that_is_interrupted_is_given_back(
        self, words: tuple[object, ...], clock: FrozenDateTimeFactory
    ) -> None:
        """Before its first item, and after it, between two successes."""
        tracker = self.elapsed(clock, success_threshold=3)
        with pytest.raises(StopEverythingError):
            list(grok(fallback(tracker), *words))
        assert state(tracker) == "half-open"
        assert isinstance(tracker.acquire("grok"), Permit)

    def test_is_one_of_many_streams(self, tracker: BreakerCooldownTracker) -> None:
        """The others pass the provider over until its first item, and then do not."""
        waits, goes_on = threading.Event(), threading.Event()

        def fn(provider: Vendor) -> Iterator[str]:
            if provider.name == "grok" and not waits.is_set():
                waits.set()
                assert goes_on.wait(PATIENCE)
            yield provider.name
            yield "more"

        chain, config = vendors("grok", "gemini"), fallback(tracker)

        def work(number: int) -> StreamResult[str]:
            if not number:
                return execute_stream(chain, config, fn)
            assert waits.wait(PATIENCE)
            stream = execute_stream(chain, config, fn)
            others.wait(PATIENCE)
            goes_on.set()
            return stream

        others = threading.Barrier(7)
        streams = in_threads(8, work)
        assert [stream.provider for stream in streams] == ["grok"] + ["gemini"] * 7
        assert state(tracker) == "closed"
        assert execute_stream(chain, config, fn).provider == "grok"


class TestAccept:
    """What judges the first item."""

    def test_is_asked_once(self) -> None:
        """Of the first item alone."""
        accept = mock.Mock(return_value=True)
        assert list(grok(fallback(accept=accept), 1, 2, 3)) == [1, 2, 3]
        accept.assert_called_once_with(1)

    def test_rejects_the_whole_stream(self) -> None:
        """It is closed before the next provider is called, and the attempt was a failure."""
        tracker = PermitTracker()
        source = SdkStream({"error": "overloaded"}, "a")
        closed: list[list[str]] = []

        def fn(provider: Vendor) -> Any:
            closed.append(list(source.closed))
            return source if provider.name == "grok" else ["b"]

        config = fallback(tracker, accept=lambda item: not isinstance(item, dict))
        stream = execute_stream(vendors("grok", "gemini"), config, fn)
        assert closed == [[], ["iterator", "stream"]]
        assert list(stream) == ["b"]
        assert tracker.outcomes() == [("failure", "grok"), ("success", "gemini")]
        assert [line.outcome for line in stream.attempts] == [Outcome.REJECTED, Outcome.SUCCESS]
        error = stream.attempts[0].error
        assert isinstance(error, ResponseRejectedError)
        assert error.response == {"error": "overloaded"}

    def test_may_reject_all_of_them(self) -> None:
        """Then nobody has answered, and all streams are closed."""
        sources = {"grok": SdkStream(1), "gemini": SdkStream(2)}
        with pytest.raises(AllProvidersFailedError) as caught:
            execute_stream(vendors("grok", "gemini"), fallback(accept=lambda _: False), returning(**sources))
        assert [type(error) for error in caught.value.exceptions] == [ResponseRejectedError] * 2
        assert [source.closed for source in sources.values()] == [["iterator", "stream"]] * 2

    def test_of_a_rejected_stream_costs_the_next_provider_no_time(self, clock: FrozenDateTimeFactory) -> None:
        """To close it may take a while, which is not the next one's latency."""

        def fn(provider: Vendor) -> Iterator[str]:
            try:
                yield provider.name
            finally:
                clock.tick(5)

        config = fallback(accept=lambda name: name == "gemini")
        stream = execute_stream(vendors("grok", "gemini"), config, fn)
        assert stream.latency == 0.0

    @pytest.mark.parametrize(
        "error", [KeyError("odd"), StopEverythingError(), InvalidConfigError("a", 1, "b")]
    )
    def test_may_raise(self, error: BaseException) -> None:
        """That is raised as it is; nothing is counted, the permit is given back, the stream closed."""
        tracker = PermitTracker()
        source = SdkStream(1)
        config = fallback(tracker, accept=mock.Mock(side_effect=error))
        with pytest.raises(type(error)) as caught:
            execute_stream(vendors("grok", "gemini"), config, returning(grok=source))
        assert caught.value is error
        assert tracker.outcomes() == [("release", "grok")]
        assert source.closed == ["iterator", "stream"]

    def test_may_not_know(self) -> None:
        """What the truth of its answer raises is raised, too."""
        tracker = PermitTracker()
        source = SdkStream(1)
        config = fallback(tracker, accept=lambda _: OddEquality())
        with pytest.raises(AssertionError):
            execute_stream(vendors("grok"), config, returning(grok=source))
        assert tracker.outcomes() == [("release", "grok")]
        assert source.closed == ["iterator", "stream"]

    def test_must_not_return_a_coroutine(self) -> None:
        """The error names the user's function, and the story; the stream is closed."""
        made = coroutine()

        def judge(item: object) -> Any:
            return made

        tracker = PermitTracker()
        source = SdkStream(1)
        fn = returning(grok=VendorError("down"), gemini=source)
        rule = "accept must be a plain function, and must not return a coroutine, got <function .*judge"
        with pytest.raises(InvalidConfigError, match=rule) as caught:
            execute_stream(vendors("grok", "gemini"), fallback(tracker, accept=judge), fn)
        assert caught.value.setting == "accept"
        assert [line.provider for line in caught.value.attempts] == ["grok"]
        assert tracker.outcomes() == [("failure", "grok"), ("release", "gemini")]
        assert source.closed == ["iterator", "stream"]
        assert inspect.getcoroutinestate(made) == "CORO_CLOSED"


class TestClosing:
    """Who closes what, and what comes of errors meanwhile."""

    @every_end
    def test_reaches_both_parts(self, end: Callable[[StreamResult[Any]], object]) -> None:
        """The iterator, and then what it iterates over; at the end of the items, too."""
        source = SdkStream(1, 2)
        stream = execute_stream(vendors("grok"), fallback(), returning(grok=source))
        end(stream)
        end(stream)
        assert source.closed == ["iterator", "stream"]

    def test_reaches_both_parts_where_the_stream_dies(self) -> None:
        """An SDK's stream that has failed may hold its connection."""
        source = SdkStream(1, VendorError())
        dies(execute_stream(vendors("grok"), fallback(), returning(grok=source)))
        assert source.closed == ["iterator", "stream"]

    def test_reaches_both_parts_where_it_does_not_begin(self) -> None:
        """Before the next provider is called."""
        source = SdkStream(VendorError())
        execute_stream(vendors("grok", "gemini"), fallback(), returning(grok=source, gemini=[1]))
        assert source.closed == ["iterator", "stream"]

    def test_reaches_a_stream_that_has_no_iterator(self) -> None:
        """What fails to make one may hold a connection all the same."""

        class Broken(SdkStream):
            def __iter__(self) -> Iterator[object]:
                raise VendorError

        source = Broken()
        execute_stream(vendors("grok", "gemini"), fallback(), returning(grok=source, gemini=[1]))
        assert source.closed == ["stream"]

    def test_reaches_what_is_its_own_iterator_once(self) -> None:
        """A file, say."""
        closed: list[str] = []
        pieces = Pieces((1, 2), closed, None)
        execute_stream(vendors("grok"), fallback(), returning(grok=pieces)).close()
        assert closed == ["iterator"]

    def test_reaches_the_code_of_a_generator(self) -> None:
        """Its `with` and `finally` blocks run at once."""
        ended: list[str] = []

        def fn(provider: Vendor) -> Iterator[int]:
            try:
                yield 1
                yield 2
            finally:
                ended.append(provider.name)

        with execute_stream(vendors("grok"), fallback(), fn) as stream:
            next(stream)
            assert ended == []
        assert ended == ["grok"]

    def test_leaves_alone_what_cannot_be_closed(self) -> None:
        """A column of a table may be called close."""

        class Table(list[int]):
            close = 5

        execute_stream(vendors("grok"), fallback(), returning(grok=Table([1]))).close()

    @pytest.mark.parametrize("end", list(ENDS.values())[1:], ids=list(ENDS)[1:])
    def test_raises_what_a_close_raises(self, end: Callable[[StreamResult[Any]], object]) -> None:
        """By the time, the permit is given back and the other part is closed."""
        tracker = PermitTracker()
        source = SdkStream(1, close_error=CloseError("stuck"))
        stream = execute_stream(vendors("grok"), fallback(tracker), returning(grok=source))
        with pytest.raises(CloseError, match="stuck"):
            end(stream)
        assert stream.outcome is Outcome.NEUTRAL
        assert tracker.outcomes() == [("release", "grok")]
        assert source.closed == ["iterator", "stream"]
        stream.close()

    def test_gives_the_permit_back_first(self) -> None:
        """To close a connection may take a while."""
        tracker = PermitTracker()
        seen: list[object] = []

        def fn(provider: Vendor) -> Iterator[int]:
            try:
                yield 1
            finally:
                seen.extend(tracker.outcomes())

        execute_stream(vendors("grok"), fallback(tracker), fn).close()
        assert seen == [("release", "grok")]

    def test_closes_the_stream_whatever_the_iterator_has_for_a_close(self) -> None:
        """One that cannot even be looked up hides the other no more than one that raises."""

        class Odd(Pieces):
            @property
            def close(self) -> Any:  # that is odd
                raise CloseError("odd")

        class Stream(SdkStream):
            def __iter__(self) -> Iterator[object]:
                return Odd((1,), self.closed, None)

        source = Stream()
        stream = execute_stream(vendors("grok"), fallback(), returning(grok=source))
        with pytest.raises(CloseError, match="odd"):
            stream.close()
        assert source.closed == ["stream"]

    def test_does_not_hide_an_error_of_the_block(self, records: Records, logger: logging.Logger) -> None:
        """What `with` ends with is the block's own error; the other one is logged."""
        source = SdkStream(1, close_error=CloseError("stuck"))
        with (
            pytest.raises(KeyError) as caught,
            execute_stream(vendors("grok"), fallback(None, logger), returning(grok=source)),
        ):
            raise KeyError("the block's")
        assert caught.value.__context__ is None
        assert source.closed == ["iterator", "stream"]
        assert records.lines[-1] == "WARNING stream could not be closed error=stuck"
        assert fields_of(records.kept[-1]) == {"error": "stuck"}

    def test_does_not_hide_the_provider_s_error(self, records: Records, logger: logging.Logger) -> None:
        """Nor does it count twice."""
        tracker = PermitTracker()
        source = SdkStream(1, VendorError("down"), close_error=CloseError("stuck"))
        stream = execute_stream(vendors("grok"), fallback(tracker, logger), returning(grok=source))
        error = dies(stream)
        assert (str(error), error.__context__) == ("down", None)
        assert tracker.outcomes() == [("failure", "grok")]
        assert records.lines[-2:] == [
            "WARNING provider failed mid-stream provider=grok error=down attempt=1 is_terminus=True",
            "WARNING stream could not be closed error=stuck",
        ]

    def test_does_not_hide_the_end(self, records: Records, logger: logging.Logger) -> None:
        """The answer is complete."""
        source = SdkStream(1, close_error=CloseError("stuck"))
        stream = execute_stream(vendors("grok"), fallback(None, logger), returning(grok=source))
        assert list(stream) == [1]
        assert stream.outcome is Outcome.SUCCESS
        assert records.lines[-1] == "WARNING stream could not be closed error=stuck"

    @pytest.mark.parametrize("first", [VendorError("down"), "rejected"])
    def test_does_not_hide_the_next_provider(
        self, first: object, records: Records, logger: logging.Logger
    ) -> None:
        """A stream that does not begin, or is rejected, and cannot be closed, is one that failed."""
        source = SdkStream(first, close_error=CloseError("stuck"))
        config = fallback(None, logger, accept=lambda item: item != "rejected")
        stream = execute_stream(vendors("grok", "gemini"), config, returning(grok=source, gemini=[1]))
        assert list(stream) == [1]
        assert "WARNING stream could not be closed error=stuck" in records.lines

    @pytest.mark.parametrize("items", [(), (1,)])
    def test_does_not_make_the_stream_s_error_grow(self, items: tuple[object, ...]) -> None:
        """A stream that raises its error again when it is closed."""
        error = VendorError("down")
        source = SdkStream(*items, error, close_error=error)
        with pytest.raises((VendorError, AllProvidersFailedError)):
            list(execute_stream(vendors("grok"), fallback(), returning(grok=source)))
        names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
        assert names[-1] == "__next__"
        assert "close" not in names
        assert error.__context__ is None

    def test_twice_and_nested(self) -> None:
        """Each end after the first is none."""
        tracker = PermitTracker()
        source = SdkStream(1, 2)
        with execute_stream(vendors("grok"), fallback(tracker), returning(grok=source)) as stream:
            with stream as same:
                assert same is stream
                assert iter(stream) is stream
                assert next(stream) == 1
            assert next(stream, "over") == "over"
        assert source.closed == ["iterator", "stream"]
        assert tracker.outcomes() == [("release", "grok")]

    def test_while_it_is_iterated(self) -> None:
        """The loop ends."""
        seen = []
        stream = grok(fallback(), 1, 2, 3)
        for item in stream:
            seen.append(item)
            stream.close()
        assert seen == [1]

    @pytest.mark.parametrize("words", [(1,), (1, VendorError("down")), (1, 2, 3)])
    def test_at_any_step_tells_one_end(self, words: tuple[object, ...]) -> None:
        """Whoever comes first, a reader or somebody who closes: the other one is told of nothing."""

        def scene() -> tuple[
            Callable[[], tuple[list[tuple[object, object]], Outcome | None]], Callable[[], object]
        ]:
            tracker = PermitTracker()
            source = SdkStream(*words)
            stream = execute_stream(vendors("grok"), fallback(tracker), returning(grok=source))

            def read() -> tuple[list[tuple[object, object]], Outcome | None]:
                items = ending(stream)
                assert words[: len(items)] == tuple(items)
                assert source.closed == ["iterator", "stream"]
                return tracker.outcomes(), stream.outcome

            return read, stream.close

        ends = meddle_at_each_line(scene)
        assert all(len(told) == 1 for told, _ in ends)
        assert {"release"} < {told[0][0] for told, _ in ends}
        assert {Outcome.NEUTRAL} < {outcome for _, outcome in ends}

    def test_a_second_reader_is_refused_and_nothing_is_counted(self) -> None:
        """Two threads on one stream are a mistake, and not the provider's: the first one reads on."""
        tracker = PermitTracker()
        entered, goes_on = threading.Event(), threading.Event()

        def items(provider: Vendor) -> Iterator[int]:
            yield 1
            entered.set()
            assert goes_on.wait(PATIENCE)
            yield 2

        stream = execute_stream(vendors("grok"), fallback(tracker), items)
        assert next(stream) == 1
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(next, stream)
            assert entered.wait(PATIENCE)
            with pytest.raises(ValueError, match="for one reader at a time"):
                next(stream)
            assert (tracker.outcomes(), stream.outcome) == ([], None)
            goes_on.set()
            assert reading.result(PATIENCE) == 2
        assert list(stream) == []
        assert tracker.outcomes() == [("success", "grok")]

    @pytest.mark.parametrize("last", ["end", "error"])
    def test_from_within_is_the_first_end(self, last: str) -> None:
        """What the provider's code does after it has closed its own stream is not counted."""
        tracker = PermitTracker()

        class Selfish(SdkStream):
            def __iter__(self) -> Iterator[object]:
                yield 1
                with pytest.raises(ValueError, match="already executing"):
                    stream.close()
                if last == "error":
                    raise VendorError("late")

        source = Selfish()
        stream = execute_stream(vendors("grok"), fallback(tracker), returning(grok=source))
        assert next(stream) == 1
        if last == "error":
            dies(stream)
        else:
            assert list(stream) == []
        assert stream.outcome is Outcome.NEUTRAL
        assert tracker.outcomes() == [("release", "grok")]
        assert source.closed == ["stream"]

    def test_by_another_thread_is_not_the_provider_s_failure(self) -> None:
        """A reader that waits for an item gets the SDK's error, and nothing is counted."""
        tracker = PermitTracker()
        waits, closed = threading.Event(), threading.Event()

        class Socket(Pieces):
            def __next__(self) -> object:
                if not waits.is_set():
                    waits.set()
                    return 1
                reads.set()
                assert closed.wait(PATIENCE)
                raise VendorError("closed under the reader")

            def close(self) -> None:
                closed.set()

        reads = threading.Event()
        stream = execute_stream(vendors("grok"), fallback(tracker), returning(grok=Socket((), [], None)))
        assert next(stream) == 1

        def work(number: int) -> str:
            if number:
                assert reads.wait(PATIENCE)
                stream.close()
                return "closed"
            with pytest.raises(VendorError) as caught:
                next(stream)
            return str(caught.value)

        assert in_threads(2, work) == ["closed under the reader", "closed"]
        assert stream.outcome is Outcome.NEUTRAL
        assert tracker.outcomes() == [("release", "grok")]


class TestInterruption:
    """Ctrl-C, and whatever else is no `Exception`."""

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
    @pytest.mark.parametrize("items", [(), (1,), (1, 2)])
    def test_is_nobody_s_failure(self, items: tuple[object, ...], interruption: BaseException) -> None:
        """Wherever it comes: nothing is counted, the permit is given back, the stream closed."""
        tracker = PermitTracker()
        source = SdkStream(*items, interruption, close_error=CloseError("stuck"))
        with pytest.raises(type(interruption)) as caught:
            list(execute_stream(vendors("grok", "gemini"), fallback(tracker), returning(grok=source)))
        assert caught.value is interruption
        assert tracker.outcomes() == [("release", "grok")]
        assert source.closed == ["iterator", "stream"]

    def test_in_fn_holds_nothing(self) -> None:
        """There is no stream yet."""
        tracker = PermitTracker()
        with pytest.raises(KeyboardInterrupt):
            execute_stream(vendors("grok"), fallback(tracker), returning(grok=KeyboardInterrupt()))
        assert tracker.outcomes() == [("release", "grok")]

    def test_ends_the_stream(self) -> None:
        """What is left of it is not to be had."""
        stream = grok(fallback(), 1, KeyboardInterrupt(), 2)
        with pytest.raises(KeyboardInterrupt):
            list(stream)
        assert stream.outcome is Outcome.NEUTRAL
        assert list(stream) == []

    def test_of_the_classifier_counts_nothing(self) -> None:
        """The stream is closed all the same."""
        tracker = PermitTracker()
        source = SdkStream(1, VendorError("down"))
        config = fallback(tracker, classify=mock.Mock(side_effect=KeyboardInterrupt))
        stream = execute_stream(vendors("grok"), config, returning(grok=source))
        with pytest.raises(KeyboardInterrupt):
            list(stream)
        assert stream.outcome is Outcome.NEUTRAL
        assert tracker.outcomes() == [("release", "grok")]
        assert source.closed == ["iterator", "stream"]

    @pytest.mark.parametrize(
        ("method", "words", "end"),
        [
            ("success", (1,), list),
            ("failure", (1, VendorError()), list),
            ("release", (1, 2), StreamResult.close),
        ],
    )
    def test_of_the_tracker_leaves_nothing_open(
        self, method: str, words: tuple[object, ...], end: Callable[[StreamResult[Any]], object]
    ) -> None:
        """Whichever end it was about to be told."""

        class Interrupted(PermitTracker):
            def note(self, called: str, *arguments: object) -> None:
                if called == method:
                    raise KeyboardInterrupt

        source = SdkStream(*words)
        stream = execute_stream(vendors("grok"), fallback(Interrupted()), returning(grok=source))
        next(stream)
        with pytest.raises(KeyboardInterrupt):
            end(stream)
        assert source.closed == ["iterator", "stream"]

    def test_of_a_logger_after_the_first_item_drops_the_permit(self, no_collector: None) -> None:
        """The execution has its answer, and is interrupted before it can return it."""

        class Interrupting(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if record.getMessage().startswith("succeeded"):
                    raise KeyboardInterrupt

        tracker = PermitTracker()
        source = SdkStream(1, 2)
        fn = returning(grok=VendorError("down"), gemini=source)
        with pytest.raises(KeyboardInterrupt) as caught:
            execute_stream(vendors("grok", "gemini"), fallback(tracker, logger_with(Interrupting())), fn)
        assert source.closed == ["iterator", "stream"]
        assert len(tracker.permits) == 0
        assert caught.value.args == ()

    @pytest.mark.parametrize("words", [(1,), (1, VendorError("down")), (1, 2, 3)])
    def test_at_any_moment_leaves_nothing_behind(
        self, words: tuple[object, ...], clock: FrozenDateTimeFactory
    ) -> None:
        """From the call to the end of the `with` block: no stream is open, and no probe is held."""

        def scene() -> tuple[
            tuple[BreakerCooldownTracker, list[str]], Callable[[], None], Callable[[], object]
        ]:
            tracker = BreakerCooldownTracker(success_threshold=2)
            tracker.cool_down("grok")
            clock.tick(30)
            config, steps = fallback(tracker), []

            def fn(provider: Vendor) -> Iterator[object]:
                steps.append("opened")
                try:
                    yield from saying(grok=words)(provider)
                finally:
                    steps.append("closed")

            def work() -> None:
                with execute_stream(vendors("grok"), config, fn) as stream:
                    for _ in itertools.islice(stream, 2):
                        pass

            return (tracker, steps), work, mock.Mock(side_effect=StopEverythingError)

        moments = 0
        for (tracker, steps), _ in act_at_each_call(scene):
            moments += 1
            assert steps.count("opened") == steps.count("closed")
            assert state(tracker) == "open" or isinstance(tracker.acquire("grok"), Permit)
        assert moments > 50

    def test_while_it_is_closed_early_is_raised(self) -> None:
        """The permit was given back before."""
        tracker = PermitTracker()
        source = SdkStream(1, close_error=KeyboardInterrupt())
        stream = execute_stream(vendors("grok"), fallback(tracker), returning(grok=source))
        with pytest.raises(KeyboardInterrupt):
            stream.close()
        assert tracker.outcomes() == [("release", "grok")]
        assert source.closed == ["iterator", "stream"]


class TestTrackers:
    """Trackers of the user's own."""

    def test_of_three_methods_hear_of_a_death_once(self) -> None:
        """As Go's does: is it available, it failed; and, as that started a cooldown, how long?"""
        tracker = ThreeMethodTracker(opens={"grok": 30.0})
        error = dies(grok(fallback(tracker), 1, VendorError("down")))
        assert tracker.journal == [
            ("is_available", "grok"),
            ("record_failure", "grok", error),
            ("cooldown_remaining", "grok"),
        ]

    def test_of_three_methods_are_not_asked_how_long_where_nothing_started(self) -> None:
        """The failure was one of several."""
        tracker = ThreeMethodTracker()
        error = dies(grok(fallback(tracker), 1, VendorError("down")))
        assert tracker.journal == [("is_available", "grok"), ("record_failure", "grok", error)]

    @every_end
    def test_of_three_methods_have_no_word_for_any_other_end(
        self, end: Callable[[StreamResult[Any]], object]
    ) -> None:
        """Nothing is told."""
        tracker = ThreeMethodTracker()
        end(grok(fallback(tracker), 1))
        assert tracker.journal == [("is_available", "grok")]

    def test_of_three_methods_are_told_of_a_cooldown(self, records: Records, logger: logging.Logger) -> None:
        """A failure like any other to those that cannot do more."""
        tracker = ThreeMethodTracker(opens={"grok": 30.0})
        classify = mock.Mock(return_value=Verdict.cool_down(7))
        dies(grok(fallback(tracker, logger, classify=classify), 1, VendorError("down")))
        assert len(tracker.calls("record_failure")) == 1

    def test_that_cannot_be_asked_are_told(self, records: Records, logger: logging.Logger) -> None:
        """The provider counts as available, and its death is a failure for the three methods."""
        tracker = PermitTracker(raises="acquire")
        error = dies(grok(fallback(tracker, logger), 1, VendorError("down")))
        assert tracker.calls("record_failure") == [("record_failure", "grok", error)]
        assert (
            "ERROR cooldown tracker failed provider=grok call=acquire error=acquire is broken"
            in records.lines
        )

    def test_that_cannot_be_asked_are_told_before_the_first_item(self) -> None:
        """Likewise."""
        tracker = PermitTracker(raises="acquire", opens={"grok": 30.0})
        fn = saying(grok=(VendorError("down"),), gemini=(1,))
        stream = execute_stream(vendors("grok", "gemini"), fallback(tracker), fn)
        assert len(tracker.calls("record_failure")) == 1
        assert stream.attempts[0].cooldown_remaining == 30.0

    def test_that_refuse_the_terminus_hear_of_its_death(self) -> None:
        """It was attempted all the same."""

        class Refusing(ThreeMethodTracker):
            def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
                return Cooling(12.0)

        tracker = Refusing()
        stream = grok(fallback(tracker), 1, VendorError("down"))
        assert stream.attempts[0].cooldown_remaining == pytest.approx(12.0)
        dies(stream)
        assert len(tracker.calls("record_failure")) == 1

    @pytest.mark.parametrize(
        ("method", "words"), [("success", (1,)), ("failure", (1, VendorError("down"))), ("release", (1, 2))]
    )
    def test_that_are_broken_hide_nothing(
        self, method: str, words: tuple[object, ...], records: Records, logger: logging.Logger
    ) -> None:
        """Neither items nor the provider's error; it is logged once."""
        tracker = PermitTracker(raises=method)
        source = SdkStream(*words)
        stream = execute_stream(vendors("grok"), fallback(tracker, logger), returning(grok=source))
        assert next(stream) == 1
        if method == "release":
            stream.close()
        elif method == "failure":
            assert str(dies(stream)) == "down"
        else:
            assert list(stream) == []
        assert source.closed == ["iterator", "stream"]
        assert [line for line in records.lines if "tracker failed" in line] == [
            f"ERROR cooldown tracker failed provider=grok call={method} error={method} is broken"
        ]

    @pytest.mark.parametrize(("words", "told"), [((1,), "success"), ((1, VendorError("down")), "failure")])
    def test_whose_permits_cannot_begin_hear_the_end(
        self, words: tuple[object, ...], told: str, records: Records, logger: logging.Logger
    ) -> None:
        """By the permit that was to begin: the three methods are for those that have no permits."""
        tracker = BeginTracker(lambda permit: permit, raises="begin")
        ending(grok(fallback(tracker, logger), *words))
        assert [line[0] for line in tracker.journal] == ["acquire", "begin", told]
        assert any("tracker failed" in line and "begin is broken" in line for line in records.lines)

    def test_whose_permits_go_on_as_another_tell_that_one(self) -> None:
        """What `begin()` returned hears of the end."""
        other = PermitTracker()
        tracker = BeginTracker(lambda _: JournalPermit(other, "grok", None))
        dies(grok(fallback(tracker), 1, VendorError("down")))
        assert [line[0] for line in tracker.journal] == ["acquire", "begin"]
        assert other.outcomes() == [("failure", "grok")]

    @pytest.mark.parametrize("begun", [None, object(), SimpleNamespace(failure=lambda error: False)])
    @pytest.mark.parametrize("verdict", [Verdict.failure(), Verdict.cool_down(7)])
    def test_whose_permits_go_on_as_nonsense_hide_nothing(self, begun: object, verdict: Verdict) -> None:
        """Neither items nor the provider's error."""
        config = fallback(BeginTracker(lambda _: begun), classify=lambda _: verdict)
        assert list(grok(config, 1, 2)) == [1, 2]
        grok(config, 1, 2).close()
        error = VendorError("down")
        assert dies(grok(config, 1, error)) is error

    def test_whose_permits_go_on_as_less_than_permits_are_heard(
        self, records: Records, logger: logging.Logger
    ) -> None:
        """What is missing is asked for by nobody: the cooldown that has started is logged."""
        begun = SimpleNamespace(cool_down=lambda error, seconds: True)
        classify = mock.Mock(return_value=Verdict.cool_down(7))
        tracker = BeginTracker(lambda _: begun)
        dies(grok(fallback(tracker, logger, classify=classify), 1, VendorError("down")))
        assert records.lines[-2].startswith("WARNING provider entering cooldown provider=grok")

    def test_are_passed_on_each_question(self) -> None:
        """What stands between execution and the tracker has no answers of its own."""
        tracker = ThreeMethodTracker(cooling={"grok": 12.0})
        keeper = _Keeper(tracker)
        assert not keeper.is_available("grok")
        assert keeper.is_available("gemini")
        assert keeper.cooldown_remaining("grok") == 12.0
        assert keeper.record_failure("grok", VendorError()) is False
        assert len(tracker.journal) == 4


class TestThreads:
    """Streams that change hands."""

    def test_are_made_in_one_and_read_in_another(self) -> None:
        """As by a server that writes the response elsewhere."""
        tracker = BreakerCooldownTracker(fail_max=1)
        stream = grok(fallback(tracker), 1, 2, VendorError("down"))

        assert in_thread(lambda: next(stream)) == 1
        assert in_thread(lambda: next(stream)) == 2
        in_thread(lambda: dies(stream))
        assert stream.outcome is Outcome.FAILURE
        assert state(tracker) == "open"

    def test_are_counted_one_by_one(self) -> None:
        """Of 16 streams at once that die, each is one failure."""
        tracker = BreakerCooldownTracker(fail_max=100)
        config = fallback(tracker)
        in_threads(16, lambda _number: dies(grok(config, 1, VendorError("down"))))
        assert failures(tracker) == 16


class TestMemory:
    """What lives on, with the garbage collector off."""

    @staticmethod
    def watched(watch: Watch, *words: object) -> Callable[[Vendor], Iterator[object]]:
        """Return a generator function whose frame holds something large."""

        def fn(provider: Vendor) -> Iterator[object]:
            held = watch("frame", Held())
            yield from saying(grok=words)(Vendor("grok"))
            del held

        return fn

    def test_a_dropped_stream_is_closed_at_once(self, no_collector: None) -> None:
        """The generator ends, and the permit is given back."""
        watch, tracker = Watch(), PermitTracker()
        stream = execute_stream(vendors("grok"), fallback(tracker), self.watched(watch, 1, 2))
        assert next(stream) == 1
        assert (watch.alive, len(tracker.permits)) == ({"frame"}, 1)
        del stream
        assert (watch.alive, len(tracker.permits)) == (set(), 0)

    @every_end
    def test_a_stream_that_is_over_holds_nothing(
        self, end: Callable[[StreamResult[Any]], object], no_collector: None
    ) -> None:
        """However long its result is kept."""
        watch, tracker = Watch(), PermitTracker()

        def fn(provider: Vendor) -> Any:
            return watch("source", SdkStream(watch("item", Held())))

        stream = execute_stream(vendors("grok"), fallback(tracker), fn)
        assert watch.alive == {"source", "item"}
        end(stream)
        assert stream.outcome is not None
        assert watch.alive == set()
        assert len(tracker.permits) == 0

    def test_an_item_is_not_held(self, no_collector: None) -> None:
        """Whoever took it has it alone, the first one, too: the longest stream needs no more memory."""
        watch = Watch()

        def fn(provider: Vendor) -> Iterator[Held]:
            for number in itertools.count():
                yield watch(f"{number}", Held())

        stream = execute_stream(vendors("grok"), fallback(), fn)
        most = 0
        for _ in range(2_000):
            next(stream)
            most = max(most, len(watch.alive)) if len(watch.labels) % 100 == 1 else most
        assert most == 0

    def test_an_error_holds_no_answer(self, no_collector: None) -> None:
        """Its traceback leads to the provider's frames, and to nothing else that is large."""
        watch = Watch()

        def fn(provider: Vendor) -> Any:
            return watch("source", SdkStream(1, VendorError("down")))

        error = dies(execute_stream(vendors("grok"), fallback(), fn))
        assert watch.alive == set()
        assert error.__traceback__ is not None

    def test_an_error_before_the_first_item_holds_no_answer(self, no_collector: None) -> None:
        """Nor does that of an iterator that cannot be made."""
        watch = Watch()

        def fn(provider: Vendor) -> Any:
            return watch("source", SdkStream(VendorError("down")))

        with pytest.raises(AllProvidersFailedError) as caught:
            execute_stream(vendors("grok"), fallback(), fn)
        assert watch.alive == set()
        assert caught.value.__cause__ is not None

    def test_an_error_before_the_first_item_lives_no_longer_than_its_stream(self, no_collector: None) -> None:
        """The traceback leads to the frames that made the stream, which must not lead back to the story."""
        watch = Watch()

        def items(provider: Vendor) -> Iterator[int]:
            held = watch(provider.name, Held())
            if provider.name == "grok":
                raise VendorError("down")
            yield 1
            del held

        def begun() -> StreamResult[int]:
            return execute_stream(vendors("grok", "gemini"), fallback(), items)

        stream = begun()
        assert list(stream) == [1]
        assert watch.alive == {"grok"}
        del stream
        assert watch.alive == set()

    def test_the_story_does_not_hold_the_stream(self, no_collector: None) -> None:
        """An earlier provider's error leads to what the attempts have in common."""
        watch, tracker = Watch(), PermitTracker()

        def fn(provider: Vendor) -> Iterator[object]:
            if provider.name == "grok":
                raise VendorError("down")
            yield from self.watched(watch, 1, 2)(provider)

        stream = execute_stream(vendors("grok", "gemini"), fallback(tracker), fn)
        attempts = stream.attempts
        del stream
        assert attempts[0].error is not None
        assert watch.alive == set()
        assert len(tracker.permits) == 0

    @pytest.mark.parametrize(
        "words",
        [
            (1,),
            (1, VendorError("down")),
            (VendorError("down"),),
            (1, KeyboardInterrupt()),
            ("rejected",),
            (coroutine,),
        ],
    )
    @pytest.mark.parametrize(
        "kind", [lambda: None, PermitTracker, lambda: BreakerCooldownTracker(fail_max=1)]
    )
    def test_no_end_leaves_a_cycle(
        self, words: tuple[object, ...], kind: Callable[[], CooldownTracker | None], no_collector: None
    ) -> None:
        """What an execution and its errors hold is gone with them."""
        watch, tracker = Watch(), kind()
        config = fallback(tracker, accept=lambda item: item != "rejected")

        def fn(provider: Vendor) -> Iterator[object]:
            held = watch("frame", Held())
            for word in words:
                if isinstance(word, BaseException):
                    raise type(word)(*word.args)
                yield word() if word is coroutine else word
            del held

        def run() -> None:
            here = watch("caller", Held())
            try:
                list(execute_stream(vendors("grok"), config, fn))
            except BaseException:
                del here

        run()
        if isinstance(tracker, PermitTracker):
            tracker.journal.clear()  # it keeps errors
        assert watch.labels == {"frame", "caller"}
        assert watch.alive == set()


class TestLog:
    """What is logged."""

    def test_of_a_death(self, records: Records, logger: logging.Logger) -> None:
        """A warning, after that of the cooldown that it started, and nothing else."""
        config = fallback(BreakerCooldownTracker(fail_max=1), logger)
        fn = saying(gemini=(VendorError("down"),), grok=(1, VendorError("re\nset")))
        stream = execute_stream(vendors("gemini", "grok", "mistral"), config, fn)
        before = len(records.lines)
        dies(stream)
        assert records.lines[before:] == [
            r"WARNING provider entering cooldown provider=grok cooldown=30 error=re\nset",
            r"WARNING provider failed mid-stream provider=grok error=re\nset attempt=2 is_terminus=False",
        ]
        assert fields_of(records.kept[-1]) == {
            "provider": "grok",
            "error": r"re\nset",
            "attempt": 2,
            "is_terminus": False,
        }

    @pytest.mark.parametrize("strategy", list(Strategy))
    def test_of_a_death_is_the_same_for_each_strategy(
        self, strategy: Strategy, records: Records, logger: logging.Logger
    ) -> None:
        """One text for what cannot fall back."""
        dies(grok(ExecuteConfig(strategy=strategy, logger=logger), 1, VendorError("down")))
        assert records.lines[-1].startswith("WARNING provider failed mid-stream provider=grok error=down")

    @every_end
    def test_of_other_ends_is_nothing(
        self, end: Callable[[StreamResult[Any]], object], records: Records, logger: logging.Logger
    ) -> None:
        """The first item was logged as an answer is."""
        stream = grok(fallback(None, logger), 1, 2)
        before = records.lines
        end(stream)
        assert records.lines == before

    def test_of_an_answer_comes_with_the_first_item(self, records: Records, logger: logging.Logger) -> None:
        """As that of `execute()`."""
        fn = saying(grok=(VendorError("down"),), gemini=(1, 2))
        execute_stream(vendors("grok", "gemini"), fallback(None, logger), fn)
        assert records.lines[-1].startswith("INFO succeeded on fallback provider provider=gemini attempt=2")

    def test_is_masked(self, records: Records, logger: logging.Logger) -> None:
        """By the config's own function, as is what the stream shows of itself."""
        config = fallback(None, logger, redact=lambda text: text.replace("secret", "***"))
        stream = execute_stream(vendors("secret"), config, saying(secret=(1, VendorError("key=secret"))))
        dies(stream)
        assert not any("secret" in line for line in records.lines)
        assert repr(stream) == "<StreamResult of ***, attempt 1, failure>"

    def test_that_is_broken_hides_nothing(self) -> None:
        """Neither the items nor the provider's error."""
        handler = mock.Mock(level=0, handle=mock.Mock(side_effect=KeyError("odd")))
        stream = grok(fallback(None, logger_with(handler)), 1, VendorError("down"))
        assert str(dies(stream)) == "down"


class TestStreamResult:
    """The object itself."""

    def test_shows_what_it_is(self) -> None:
        """Who answers, and what came of it until now."""
        stream = grok(fallback(), 1, 2)
        assert repr(stream) == "<StreamResult of grok, attempt 1, under way>"
        list(stream)
        assert repr(stream) == "<StreamResult of grok, attempt 1, success>"

    @pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, pickle.dumps])
    def test_cannot_be_copied(self, travel: Callable[[object], object]) -> None:
        """Its items come once, and so does its end."""
        with pytest.raises(TypeError, match="a StreamResult cannot be pickled or copied"):
            travel(grok(fallback(), 1, 2))

    def test_names_its_items_in_annotations(self) -> None:
        """`StreamResult[str]` can be evaluated, and a stream is an iterator to all who ask."""
        assert StreamResult[str].__args__ == (str,)  # type: ignore[attr-defined]
        assert isinstance(grok(fallback(), 1), Iterator)
