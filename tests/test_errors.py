"""The errors: their tree and texts, what they carry, and that they survive a journey."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from freezegun import freeze_time
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
    FallbackExecError,
    InvalidConfigError,
    NoProvidersError,
    Outcome,
    ProviderFailedError,
    StandInError,
    Strategy,
    execute,
)
from helpers import (
    PATIENCE,
    ChangelingError,
    KeywordOnlyError,
    LockHoldingError,
    PermitTracker,
    ThreeMethodTracker,
    Vendor,
    VendorError,
    error_of,
    fail,
    failing_chain,
    raise_failing_chain,
    raise_this,
    replying,
    vendors,
)


def by_pickle(protocol: int) -> Callable[[Any], Any]:
    """Return a journey by pickle in one of its protocols."""
    return lambda error: pickle.loads(pickle.dumps(error, protocol))


TRAVEL: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {protocol}": by_pickle(protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
    "deepcopy": copy.deepcopy,
    "pickle twice": lambda error: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(error)))),
    "deepcopy of a copy": lambda error: copy.deepcopy(copy.copy(error)),
}

each_journey = pytest.mark.parametrize("travel", TRAVEL.values(), ids=TRAVEL)
each_journey_and_copy = pytest.mark.parametrize(
    "travel", [*TRAVEL.values(), copy.copy], ids=[*TRAVEL, "copy"]
)


def fallback(tracker: CooldownTracker | None = None) -> ExecuteConfig:
    """Return a config of a chain."""
    return ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker)


def provider_failed(error: Exception | None = None, name: str = "grok") -> ProviderFailedError:
    """Return what comes of a failing provider with PRIMARY_ONLY."""
    return error_of(
        ProviderFailedError,
        vendors(name),
        ExecuteConfig(),
        lambda _: raise_this(error or VendorError("down")),
    )


def all_failed(tracker: CooldownTracker | None = None, **replies: Exception) -> AllProvidersFailedError:
    """Return what comes of a chain of failing providers."""
    chain = replies or {"grok": VendorError("first"), "gemini": OSError("second")}
    return error_of(AllProvidersFailedError, vendors(*chain), fallback(tracker), replying(**chain))


def deadline_exceeded() -> DeadlineExceededError:
    """Return what comes of a deadline that is over before the first attempt."""
    return error_of(DeadlineExceededError, vendors("grok"), fallback(), deadline=0)


def cancelled_after_failure(error: Exception) -> ExecutionCancelledError:
    """Return what comes of a cancellation during an attempt that fails."""
    deadline = Deadline()

    def fn(provider: Vendor) -> object:
        deadline.cancel()
        raise error

    return error_of(ExecutionCancelledError, vendors("grok", "gemini"), fallback(), fn, deadline=deadline)


def exceeded_after_failure(error: Exception) -> DeadlineExceededError:
    """Return what comes of a deadline that passes during an attempt that fails."""
    with freeze_time("2026-01-01") as frozen:

        def fn(provider: Vendor) -> object:
            frozen.tick(5)
            raise error

        return error_of(DeadlineExceededError, vendors("grok", "gemini"), fallback(), fn, deadline=5)


def no_providers() -> NoProvidersError:
    """Return what comes of an empty chain."""
    return error_of(NoProvidersError, [], fallback())


def invalid_config() -> InvalidConfigError:
    """Return what comes of an unknown strategy."""
    with pytest.raises(InvalidConfigError) as caught:
        ExecuteConfig(strategy="bogus")
    return caught.value


EVERY_ERROR: dict[str, Callable[[], FallbackExecError]] = {
    "no providers": no_providers,
    "invalid config": invalid_config,
    "provider failed": provider_failed,
    "all failed": all_failed,
    "deadline exceeded": deadline_exceeded,
    "deadline exceeded after a failure": lambda: exceeded_after_failure(VendorError("slow")),
    "cancelled after a failure": lambda: cancelled_after_failure(VendorError("slow")),
}

every_error = pytest.mark.parametrize("make", EVERY_ERROR.values(), ids=EVERY_ERROR)


class TestFallbackExecError:
    """The base."""

    @pytest.mark.parametrize(
        ("kind", "bases"),
        [
            (NoProvidersError, {ValueError}),
            (InvalidConfigError, {ValueError}),
            (ProviderFailedError, set()),
            (AllProvidersFailedError, {ExceptionGroup, BaseExceptionGroup}),
            (DeadlineExceededError, {TimeoutError, OSError}),
            (ExecutionCancelledError, set()),
        ],
        ids=lambda each: getattr(each, "__name__", ""),
    )
    def test_is_the_base_of_all(self, kind: type[Exception], bases: set[type]) -> None:
        """Every error is a `FallbackExecError`, and besides what a user would look for without knowing it."""
        builtin = {base for base in kind.__mro__ if base.__module__ == "builtins"}
        assert issubclass(kind, FallbackExecError)
        assert builtin - {object, BaseException, Exception} == bases

    @every_error
    def test_carries_a_tuple_of_attempts(self, make: Callable[[], FallbackExecError]) -> None:
        """Every error has the attempts until then, none where none was made."""
        attempts = make().attempts
        assert isinstance(attempts, tuple)
        assert all(attempt.outcome is Outcome.FAILURE for attempt in attempts)

    def test_carries_no_attempts_by_default(self) -> None:
        """An error that somebody builds with a text alone has no attempts."""
        assert FallbackExecError("text").attempts == ()
        assert str(FallbackExecError("text")) == "text"

    @every_error
    def test_has_a_text_of_one_line(self, make: Callable[[], FallbackExecError]) -> None:
        """Every error has something to say, and says it in one line."""
        assert len(str(make()).splitlines()) == 1

    @pytest.mark.parametrize("error", [VendorError("two\nlines"), VendorError("two\rlines")])
    def test_has_a_text_of_one_line_around_one_of_two(self, error: Exception) -> None:
        """The text of a provider's error, or its name, breaks no line of ours."""
        made: list[FallbackExecError] = [
            provider_failed(error, "gr\nok"),
            all_failed(grok=error),
            exceeded_after_failure(error),
            cancelled_after_failure(error),
        ]
        assert [len(str(each).splitlines()) for each in made] == [1, 1, 1, 1]

    def test_has_a_text_around_an_error_that_has_none(self) -> None:
        """Where a provider's error cannot say what it is, ours names its class."""

        class MuteError(Exception):
            def __str__(self) -> str:
                raise ValueError

        made: list[FallbackExecError] = [
            provider_failed(MuteError()),
            all_failed(grok=MuteError()),
            exceeded_after_failure(MuteError()),
            cancelled_after_failure(MuteError()),
        ]
        assert ["MuteError" in str(each) for each in made] == [True] * 4
        assert [str(pickle.loads(pickle.dumps(each)).__cause__) for each in made] == ["MuteError"] * 4


class TestNoProvidersError:
    """The sequence of providers is empty."""

    def test_contains_the_go_text(self) -> None:
        """The text is Go's and names the argument."""
        assert str(no_providers()) == "no providers: providers must hold at least one, got []"


class TestInvalidConfigError:
    """A setting or an argument cannot be used."""

    def test_contains_the_go_text(self) -> None:
        """The text of an unknown strategy is Go's, and says what would be known."""
        assert str(invalid_config()) == (
            "invalid config: unknown strategy bogus: "
            "strategy must be one of primary_only, fallback, round_robin, got 'bogus'"
        )

    def test_names_the_setting(self) -> None:
        """The setting's name is an attribute too."""
        assert invalid_config().setting == "strategy"

    @pytest.mark.parametrize(
        "value", ["x" * 1000, ["x" * 1000] * 100, "x\n" * 1000], ids=["text", "list", "lines"]
    )
    def test_shows_a_long_value_in_short(self, value: object) -> None:
        """A value that is large is shown in part, in one line."""
        error = InvalidConfigError("setting", value, "must be short")
        assert str(error).startswith("invalid config: setting must be short, got ")
        assert len(str(error)) < 1000
        assert len(str(error).splitlines()) == 1


class TestProviderFailedError:
    """The one provider has failed."""

    def test_contains_the_go_text(self) -> None:
        """The text is Go's for the primary, and Go's for round robin."""
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN)
        in_turn = error_of(ProviderFailedError, vendors("grok"), config, replying(grok=VendorError("down")))
        assert str(provider_failed(VendorError("down"))) == "primary provider grok failed: down"
        assert str(in_turn) == "provider grok failed: down"

    def test_names_the_provider_and_its_error(self) -> None:
        """The provider's name is an attribute, its error the cause and that of the one attempt."""
        error = VendorError("down")
        failure = provider_failed(error)
        assert (failure.provider, failure.aborted) == ("grok", False)
        assert failure.__cause__ is error
        assert [attempt.error for attempt in failure.attempts] == [error]

    @pytest.mark.parametrize("error", [VendorError(), VendorError("")])
    def test_names_the_class_of_an_error_without_a_text(self, error: Exception) -> None:
        """Where a provider's error says nothing, its class's name stands."""
        assert str(provider_failed(error)) == "primary provider grok failed: VendorError"

    def test_may_say_that_the_chain_was_aborted(self) -> None:
        """`aborted` is False unless it is said."""
        assert ProviderFailedError("text", provider="grok").aborted is False
        assert ProviderFailedError("text", provider="grok", aborted=True).aborted is True


class TestAllProvidersFailedError:
    """Every provider was passed over or has failed."""

    def test_contains_the_go_text(self) -> None:
        """The text counts the providers, skips included, and has the last error's text."""
        text = "all providers failed: all 2 providers failed (last error: second)"
        assert str(all_failed()) == f"{text} (2 sub-exceptions)"
        assert str(all_failed(ThreeMethodTracker(cooling={"grok": 7.0}))) == f"{text} (1 sub-exception)"

    def test_holds_the_errors_in_order(self) -> None:
        """The group has the providers' errors, without those passed over; the cause is the last."""
        first, last = VendorError("first"), VendorError("last")
        failure = all_failed(ThreeMethodTracker(cooling={"b": 7.0}), a=first, b=VendorError("unseen"), c=last)
        assert failure.exceptions == (first, last)
        assert failure.__cause__ is last
        assert [attempt.outcome for attempt in failure.attempts] == ["failure", "skipped", "failure"]

    def test_holds_an_error_as_often_as_it_was_raised(self) -> None:
        """One exception object that two providers raised is two failures."""
        error = VendorError("down")
        assert all_failed(a=error, b=error).exceptions == (error, error)

    def test_is_split_into_groups_of_the_same_story(self, clock: FrozenDateTimeFactory) -> None:
        """`split()` gives parts of the same type, with the attempts and what is left to wait."""
        whole = all_failed(PermitTracker(opens={"grok": 30.0, "gemini": 40.0}))
        match, rest = whole.split(OSError)
        clock.tick(10)
        assert isinstance(match, AllProvidersFailedError)
        assert isinstance(rest, AllProvidersFailedError)
        assert [str(error) for error in (*match.exceptions, *rest.exceptions)] == ["second", "first"]
        assert {match.attempts, rest.attempts} == {whole.attempts}
        assert (match.retry_after, rest.retry_after, whole.retry_after) == (20.0, 20.0, 20.0)
        assert match.__cause__ is whole.__cause__

    def test_a_subgroup_is_one_of_its_own_type(self) -> None:
        """`subgroup()` gives None where nothing matches, itself where all does, else a part."""
        whole = all_failed()
        part = whole.subgroup(OSError)
        assert isinstance(part, AllProvidersFailedError)
        assert part.attempts == whole.attempts
        assert part.message == whole.message
        assert whole.subgroup(KeyError) is None
        assert whole.subgroup(Exception) is whole

    def test_may_be_handled_by_kind_of_error(self) -> None:
        """`except*` takes the errors of one type and leaves those of another."""
        handled: list[object] = []

        def use() -> None:
            replies = replying(grok=VendorError("a"), gemini=OSError("b"))
            try:
                execute(vendors("grok", "gemini"), fallback(), replies)
            except* OSError as group:
                handled.append(group)

        with pytest.raises(AllProvidersFailedError) as caught:
            use()
        assert [type(group) for group in handled] == [AllProvidersFailedError]
        assert [str(error) for error in caught.value.exceptions] == ["a"]
        assert [attempt.provider for attempt in caught.value.attempts] == ["grok", "gemini"]

    def test_may_be_handled_whole(self) -> None:
        """`except* FallbackExecError` takes all of it."""
        handled: list[object] = []
        try:
            execute(vendors("grok"), fallback(), fail)
        except* FallbackExecError as group:
            handled.append(group)
        assert [type(group) for group in handled] == [AllProvidersFailedError]


class TestRetryAfter:
    """When it is worth trying the chain again."""

    def test_is_when_the_first_cooldown_ends(self, clock: FrozenDateTimeFactory) -> None:
        """Of several cooldowns, the one that ends first counts."""
        tracker = PermitTracker(cooling={"a": 50.0}, opens={"b": 20.0, "c": 30.0})
        chain = {name: VendorError(name) for name in "abc"}
        assert all_failed(tracker, **chain).retry_after == 20.0

    def test_counts_down(self, clock: FrozenDateTimeFactory) -> None:
        """It is always as of now, and never negative."""
        failure = all_failed(PermitTracker(opens={"grok": 30.0, "gemini": 40.0}))
        left = []
        for step in (0, 10.5, 19.5, 100):
            clock.tick(step)
            left.append(failure.retry_after)
        assert left == [30.0, 19.5, 0.0, 0.0]

    def test_counts_from_when_each_cooldown_was_learned(self, clock: FrozenDateTimeFactory) -> None:
        """What later attempts took has passed for the cooldowns that were learned before."""
        tracker = ThreeMethodTracker(cooling={"grok": 30.0}, opens={"gemini": 60.0, "mistral": 60.0})

        def slow(provider: Vendor) -> object:
            clock.tick(4)
            return fail(provider)

        failure = error_of(
            AllProvidersFailedError, vendors("grok", "gemini", "mistral"), fallback(tracker), slow
        )
        assert failure.retry_after == 22.0

    def test_asks_the_tracker_nothing(self, clock: FrozenDateTimeFactory) -> None:
        """What the attempts have told is enough, whenever it is asked for."""
        tracker = ThreeMethodTracker(opens={"grok": 30.0, "gemini": 40.0})
        failure = all_failed(tracker)
        tracker.cooling.clear()
        asked = len(tracker.journal)
        assert failure.retry_after == 30.0
        assert len(tracker.journal) == asked

    def test_is_none_where_a_provider_is_not_cooling(self) -> None:
        """A provider that may be tried at once is nothing to wait for."""
        assert all_failed(PermitTracker(opens={"grok": 30.0})).retry_after is None
        assert all_failed(PermitTracker(opens={"gemini": 30.0})).retry_after is None

    def test_is_none_without_a_tracker(self) -> None:
        """Without a tracker nobody cools down."""
        assert all_failed().retry_after is None

    def test_is_none_with_an_exempt_terminus(self) -> None:
        """An exempt provider never cools down."""
        tracker = BreakerCooldownTracker(fail_max=1)
        assert all_failed(tracker, grok=VendorError(), laozhang=VendorError()).retry_after is None

    def test_is_zero_during_the_probe_of_another(self, clock: FrozenDateTimeFactory) -> None:
        """Somebody else's probe may end at any moment: there is nothing to wait for that is known."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30.0)
        all_failed(tracker)
        clock.tick(30)
        probe = tracker.acquire("grok")
        assert not isinstance(probe, Cooling)
        assert all_failed(tracker).retry_after == 0.0
        probe.release()

    def test_of_a_provider_that_stands_in_the_chain_twice(self, clock: FrozenDateTimeFactory) -> None:
        """What was learned of it last counts: it cools down, though its first failure did not start that."""
        grok = Vendor("grok")
        tracker = BreakerCooldownTracker(fail_max=2, reset_timeout=30.0)
        failure = error_of(AllProvidersFailedError, [grok, grok], fallback(tracker))
        assert [attempt.cooldown_remaining for attempt in failure.attempts] == [None, 30.0]
        assert failure.retry_after == 30.0

    def test_of_a_forced_terminus_that_goes_on_cooling(self, clock: FrozenDateTimeFactory) -> None:
        """A cooldown that ran before the attempt and goes on after it counts."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30.0)
        all_failed(tracker, grok=VendorError())
        clock.tick(12)
        assert all_failed(tracker, grok=VendorError()).retry_after == 18.0

    def test_with_the_breaker_tracker(self, clock: FrozenDateTimeFactory) -> None:
        """A chain whose breakers are all open may be tried when the first cooldown is over, not before."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30.0)
        all_failed(tracker, grok=VendorError())
        clock.tick(10)
        failure = all_failed(tracker)
        assert failure.retry_after == 20.0
        clock.tick(timedelta(seconds=20) - timedelta(microseconds=1))
        assert tracker.is_available("grok") is False
        clock.tick(timedelta(microseconds=1))
        assert failure.retry_after == 0.0
        assert tracker.is_available("grok") is True

    def test_is_in_seconds_or_none_when_built_by_hand(self, clock: FrozenDateTimeFactory) -> None:
        """Who builds the error gives seconds from now, or None."""
        errors = [VendorError("down")]
        waiting = AllProvidersFailedError("text", errors, retry_after=30.0)
        clock.tick(10)
        assert waiting.retry_after == 20.0
        assert AllProvidersFailedError("text", errors).retry_after is None
        assert AllProvidersFailedError("text", errors).attempts == ()
        assert AllProvidersFailedError("text", errors, retry_after=0.0).retry_after == 0.0


class TestDeadlineExceededError:
    """The deadline was over."""

    def test_contains_the_go_text(self) -> None:
        """The text is Go's and names the deadline."""
        assert "context deadline exceeded" in str(deadline_exceeded())
        assert "deadline=" in str(deadline_exceeded())

    def test_is_a_timeout(self) -> None:
        """Who handles timeouts handles this one."""
        with pytest.raises(TimeoutError):
            execute(vendors("grok"), fallback(), fail, deadline=0)


class TestExecutionCancelledError:
    """`Deadline.cancel()` was called."""

    def test_contains_the_go_text(self) -> None:
        """The text is Go's, and has the last error's text."""
        text = str(cancelled_after_failure(VendorError("slow")))
        assert "context canceled" in text
        assert "slow" in text


class TestStandInError:
    """Stands for an exception that does not survive the journey."""

    def test_keeps_the_name_of_the_type_and_the_text(self) -> None:
        """The name is qualified by its module; the text is what the exception's was."""
        error = pickle.loads(pickle.dumps(provider_failed(KeywordOnlyError("slow down", status_code=429))))
        assert isinstance(error.__cause__, StandInError)
        assert error.__cause__.type_name == f"{KeywordOnlyError.__module__}.KeywordOnlyError"
        assert str(error.__cause__) == "slow down"

    def test_shows_what_it_stands_for(self) -> None:
        """Its repr is not mistaken for the original."""
        assert repr(StandInError("openai.RateLimitError", "slow down")) == (
            "<stand-in for openai.RateLimitError: slow down>"
        )

    @each_journey_and_copy
    def test_survives_a_journey(self, travel: Callable[[StandInError], StandInError]) -> None:
        """A stand-in needs no stand-in."""
        stand_in = travel(StandInError("openai.RateLimitError", "slow down"))
        assert type(stand_in) is StandInError
        assert (stand_in.type_name, str(stand_in)) == ("openai.RateLimitError", "slow down")

    def test_has_the_text_that_logs_have(self) -> None:
        """Where the exception says nothing, or cannot, its class's name is the text."""
        empty = pickle.loads(pickle.dumps(provider_failed(KeywordOnlyError("", status_code=429))))
        assert str(empty.__cause__) == "KeywordOnlyError"


def story(error: FallbackExecError) -> tuple[object, ...]:
    """Return what must be the same after a journey."""
    attempts = [
        (each.provider, each.outcome, each.latency, each.cooldown_remaining, str(each.error))
        for each in error.attempts
    ]
    attributes = {
        name: getattr(error, name, "none")
        for name in ("provider", "aborted", "setting", "retry_after", "message", "errno")
    }
    members = [str(each) for each in getattr(error, "exceptions", [])]
    return type(error), str(error), str(error.__cause__), attempts, attributes, members


@pytest.mark.usefixtures("clock")
class TestJourney:
    """All errors survive pickle and copy."""

    @each_journey_and_copy
    @every_error
    def test_keeps_everything(
        self, make: Callable[[], FallbackExecError], travel: Callable[[FallbackExecError], FallbackExecError]
    ) -> None:
        """Type, text, cause, attempts and attributes are what they were."""
        error = make()
        assert story(travel(error)) == story(error)

    @each_journey_and_copy
    def test_keeps_members_that_survive(
        self, travel: Callable[[FallbackExecError], FallbackExecError]
    ) -> None:
        """An exception that can travel is itself afterwards, with its arguments."""
        failure = travel(all_failed(grok=KeyError("field"), gemini=OSError(104, "reset")))
        assert isinstance(failure, AllProvidersFailedError)
        assert [(type(error), error.args) for error in failure.exceptions] == [
            (KeyError, ("field",)),
            (ConnectionResetError, (104, "reset")),
        ]

    @each_journey
    @pytest.mark.parametrize(
        "error",
        [
            KeywordOnlyError("slow down", status_code=429),
            LockHoldingError("locked"),
            ChangelingError("changed"),
        ],
        ids=lambda each: type(each).__name__,
    )
    def test_sends_stand_ins_for_those_that_do_not(
        self, error: Exception, travel: Callable[[FallbackExecError], FallbackExecError]
    ) -> None:
        """Wherever such an exception hangs, its stand-in does afterwards; the error is left as it is."""
        failure = all_failed(grok=error, gemini=error)
        arrived = travel(failure)
        assert isinstance(arrived, AllProvidersFailedError)
        stand_ins = [*arrived.exceptions, arrived.__cause__, *(attempt.error for attempt in arrived.attempts)]
        assert {type(each) for each in stand_ins} == {StandInError}
        assert {str(each) for each in stand_ins} == {str(error)}
        assert {getattr(each, "type_name", "") for each in stand_ins} == {
            f"{type(error).__module__}.{type(error).__qualname__}"
        }
        assert story(arrived) == story(failure)
        assert failure.exceptions == (error, error)

    @each_journey
    @pytest.mark.parametrize("kind", [list, tuple, deque], ids=lambda kind: kind.__name__)
    def test_of_a_group_that_was_built_by_hand(
        self, kind: Callable[[list[Exception]], Any], travel: Callable[[Any], Any]
    ) -> None:
        """In whatever sequence the errors were given, those that cannot travel have stand-ins."""
        errors = [KeywordOnlyError("slow down", status_code=429), OSError("reset")]
        arrived = travel(AllProvidersFailedError("text", kind(errors)))
        assert [type(error) for error in arrived.exceptions] == [StandInError, OSError]

    @each_journey
    def test_sends_a_stand_in_for_one_that_cannot_be_asked_what_it_is(
        self, travel: Callable[[FallbackExecError], FallbackExecError]
    ) -> None:
        """An error may answer every question by another error, also that for its class."""

        class UnreadableError(Exception):
            def __getattribute__(self, name: str) -> Any:
                raise VendorError(f"no {name}")

        arrived = travel(all_failed(grok=UnreadableError("down")))
        assert isinstance(arrived, AllProvidersFailedError)
        assert [str(each) for each in arrived.exceptions] == ["down"]

    def test_of_a_copy_needs_no_stand_in(self) -> None:
        """`copy.copy()` copies the error, not what hangs on it."""
        error = KeywordOnlyError("slow down", status_code=429)
        failure = provider_failed(error)
        duplicate = copy.copy(failure)
        assert duplicate is not failure
        assert duplicate.__cause__ is error
        assert [attempt.error for attempt in duplicate.attempts] == [error]

    @each_journey
    def test_keeps_one_object_one(self, travel: Callable[[FallbackExecError], FallbackExecError]) -> None:
        """The last member, the cause and the last attempt's error are one object before and after."""
        for error in (VendorError("down"), KeywordOnlyError("slow down", status_code=429)):
            failure = travel(all_failed(grok=VendorError("first"), gemini=error))
            assert isinstance(failure, AllProvidersFailedError)
            assert failure.exceptions[-1] is failure.__cause__
            assert failure.attempts[-1].error is failure.__cause__

    @each_journey
    def test_keeps_a_class_that_is_local(
        self, travel: Callable[[FallbackExecError], FallbackExecError]
    ) -> None:
        """An exception class that cannot be imported has a stand-in with its qualified name."""

        class LocalError(Exception):
            pass

        cause = travel(provider_failed(LocalError("here"))).__cause__
        assert isinstance(cause, StandInError)
        assert cause.type_name.endswith("<locals>.LocalError")

    @pytest.mark.parametrize("module", ["app", "zoo"])
    def test_of_an_error_of_the_users_within_an_error(self, module: str) -> None:
        """A class of theirs that derives from ours is tried like any other: this one is not found again."""

        class LocalError(FallbackExecError):
            pass

        LocalError.__module__ = module
        error = ProviderFailedError("grok failed", provider="grok")
        error.__cause__ = LocalError("down")
        arrived = pickle.loads(pickle.dumps(error))
        assert type(arrived.__cause__) is StandInError
        assert str(arrived.__cause__) == "down"

    @each_journey
    def test_of_an_error_within_an_error(
        self, travel: Callable[[FallbackExecError], FallbackExecError]
    ) -> None:
        """A chain in a chain travels whole, with stand-ins at any depth."""
        inner = all_failed(grok=KeywordOnlyError("slow down", status_code=429), gemini=OSError("reset"))
        arrived = travel(all_failed(relay=inner)).__cause__
        assert isinstance(arrived, AllProvidersFailedError)
        assert [type(error) for error in arrived.exceptions] == [StandInError, OSError]
        assert isinstance(arrived.__cause__, OSError)

    @each_journey_and_copy
    def test_keeps_notes(self, travel: Callable[[FallbackExecError], FallbackExecError]) -> None:
        """What was noted on an error goes with it."""
        failure = all_failed()
        failure.add_note("while drawing a cat")
        assert travel(failure).__notes__ == ["while drawing a cat"]

    @each_journey_and_copy
    def test_keeps_counting_down(
        self, clock: FrozenDateTimeFactory, travel: Callable[[FallbackExecError], FallbackExecError]
    ) -> None:
        """The time of the journey counts too."""
        failure = travel(all_failed(PermitTracker(opens={"grok": 30.0, "gemini": 40.0})))
        clock.tick(10)
        assert isinstance(failure, AllProvidersFailedError)
        assert failure.retry_after == 20.0

    @each_journey_and_copy
    def test_leaves_it_a_group(self, travel: Callable[[FallbackExecError], FallbackExecError]) -> None:
        """After a journey, too, it can be split."""
        failure = travel(all_failed())
        assert isinstance(failure, AllProvidersFailedError)
        part = failure.subgroup(OSError)
        assert isinstance(part, AllProvidersFailedError)
        assert [str(error) for error in part.exceptions] == ["second"]
        assert part.attempts == failure.attempts

    @each_journey_and_copy
    def test_keeps_a_class_of_the_users(
        self, travel: Callable[[FallbackExecError], FallbackExecError]
    ) -> None:
        """A subclass with a constructor of its own survives like ours."""
        error = OverloadedError(7)
        assert isinstance(error, FallbackExecError)
        arrived = travel(error)
        assert isinstance(arrived, OverloadedError)
        assert (arrived.queue, str(arrived), arrived.attempts) == (7, "7 waiting", ())


class OverloadedError(FallbackExecError):
    """A user's error, built from something else than its text."""

    def __init__(self, queue: int) -> None:
        super().__init__(f"{queue} waiting")
        self.queue = queue


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """A worker that shares no memory with this process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


class TestProcessPool:
    """Errors cross the border of a process, in both directions."""

    def test_a_worker_that_fails_tells_the_whole_story(self, pool: ProcessPoolExecutor) -> None:
        """What a worker raises around an unpicklable error arrives, with a stand-in, and breaks no pool."""
        with pytest.raises(AllProvidersFailedError) as caught:
            pool.submit(raise_failing_chain).result(PATIENCE)
        failure, here = caught.value, failing_chain()
        assert str(failure) == str(here)
        assert [type(error) for error in failure.exceptions] == [StandInError, ConnectionError]
        assert [(attempt.provider, attempt.outcome) for attempt in failure.attempts] == [
            (attempt.provider, attempt.outcome) for attempt in here.attempts
        ]
        assert failure.retry_after is not None
        assert 0.0 < failure.retry_after <= 20.0

    @every_error
    def test_every_error_goes_there_and_back(
        self, pool: ProcessPoolExecutor, make: Callable[[], FallbackExecError]
    ) -> None:
        """An error that is sent to a worker, raised and sent back has lost nothing but its cause.

        The cause of what a pool raises is the pool's own, the worker's traceback.
        """
        error = make()
        with pytest.raises(type(error)) as caught:
            pool.submit(raise_this, error).result(PATIENCE)
        assert str(caught.value) == str(error)
        assert len(caught.value.attempts) == len(error.attempts)
