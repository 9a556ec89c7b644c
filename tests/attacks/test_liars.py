"""The attacker hands in objects that lie about themselves, or raise when they are looked at.

They want an error of their own to come out of `execute()` or of a constructor, where the library
promises errors of its own; or a setting that is silently not what was meant.
"""

from __future__ import annotations

import math
import numbers
import weakref
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest import mock

import pytest

import fallback_exec
from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    BreakerSettings,
    Deadline,
    ExecuteConfig,
    FallbackExecError,
    InvalidConfigError,
    Outcome,
    ProviderFailedError,
    execute,
)
from helpers import Records, Vendor, VendorError, error_of, logger_with, replying, vendors


class Spite(Exception):
    """What the attacker wants to see come out."""


class HidesItsClass:
    """Raises when `isinstance()` asks what it is."""

    @property  # type: ignore[misc]  # that is the attack
    def __class__(self) -> type:
        raise Spite


class HidesItsTruth(str):
    """A string that is neither true nor false."""

    def __bool__(self) -> bool:
        raise Spite

    def __len__(self) -> int:
        raise Spite


class AnyCase(str):
    """A string that is the same in capitals."""

    def __hash__(self) -> int:
        return hash(("any case", self.lower()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()


class RaisingFloat(float):
    """A float that cannot be converted."""

    def __float__(self) -> float:
        raise Spite


class SoCalledNumber:
    """Registered as a number, with none of its methods."""


numbers.Integral.register(SoCalledNumber)


class LikeNumpy(float):
    """A float that compares to an array of truths, which has no truth of its own."""

    def __le__(self, other: object) -> Any:
        raise Spite

    __lt__ = __ge__ = __gt__ = __eq__ = __le__
    __hash__ = float.__hash__


class LikeNumpyInt(int):
    """The same of a whole number."""

    def __le__(self, other: object) -> Any:
        raise Spite

    __lt__ = __ge__ = __gt__ = __eq__ = __le__
    __hash__ = int.__hash__

    def __index__(self) -> int:
        raise Spite


class CountsWrong(timedelta):
    """A duration of three seconds that says otherwise."""

    def total_seconds(self) -> float:
        return math.nan


class RaisingList(list[Vendor]):
    """A list that cannot be read."""

    def __iter__(self) -> Iterator[Vendor]:
        raise Spite


FALLBACK = ExecuteConfig(strategy="fallback")


class TestNames:
    """Names that are no strings, and strings that are not what they seem."""

    @pytest.mark.parametrize(
        "make", [HidesItsClass, lambda: mock.Mock(spec=str), lambda: mock.MagicMock(spec_set="grok")]
    )
    def test_what_only_claims_to_be_a_string_is_refused(self, make: Callable[[], Any]) -> None:
        """A mock's word that it is a string is not believed, by an execution and by a tracker."""
        name = make()
        with pytest.raises(InvalidConfigError, match="non-empty string as its name"):
            execute([Vendor(name)], FALLBACK, replying())
        with pytest.raises(InvalidConfigError, match="name must be a non-empty string"):
            BreakerCooldownTracker().is_available(name)

    def test_a_string_without_a_truth_is_a_name(self) -> None:
        """A string is a name by its characters, whatever its class makes of them."""
        result = execute([Vendor(HidesItsTruth("grok"))], FALLBACK, lambda provider: "a cat")
        assert type(result.provider) is str
        assert result.provider == "grok"

    def test_an_empty_string_that_is_true_is_refused(self) -> None:
        """A string class cannot smuggle in an empty name."""

        class Full(str):
            def __bool__(self) -> bool:
                return True

            def __len__(self) -> int:
                return 1

        with pytest.raises(InvalidConfigError):
            execute([Vendor(Full())], FALLBACK, replying())

    def test_overrides_are_found_by_the_characters_of_their_names(self) -> None:
        """An override whose key hashes in its own way holds for the provider of that name all the same."""
        settings = BreakerSettings(fail_max=1)
        tracker = BreakerCooldownTracker(overrides={AnyCase("grok"): settings})
        assert tracker.record_failure("grok", VendorError()) is True

    def test_overrides_for_nobody_do_no_harm(self) -> None:
        """An override for a provider that never comes makes nobody known."""
        tracker = BreakerCooldownTracker(overrides={"nobody": BreakerSettings(fail_max=1)})
        tracker.record_failure("grok", VendorError())
        assert set(tracker.snapshot()) == {"grok"}

    def test_names_that_differ_invisibly_are_two_providers(self) -> None:
        """A combining accent, a null and a lone surrogate make other names, and each is known by its own."""
        tracker = BreakerCooldownTracker(fail_max=1)
        names = ["é", "e\u0301", "grok", "grok\0", "grok\ud800"]
        for name in names:
            assert tracker.is_available(name)
            assert tracker.record_failure(name, VendorError()) is True
        assert list(tracker.snapshot()) == names


class TestProviders:
    """Sequences of providers that fight back."""

    @pytest.mark.parametrize("make", [lambda: RaisingList(vendors("grok")), HidesItsClass])
    def test_a_sequence_that_cannot_be_read_is_refused(self, make: Callable[[], Any]) -> None:
        """What the sequence raises is the cause of an error of the library's."""
        with pytest.raises(InvalidConfigError, match="must be a sequence of providers") as caught:
            execute(make(), FALLBACK, replying())
        assert isinstance(caught.value.__cause__, Spite)

    def test_a_list_that_fn_empties_is_tried_to_its_end(self) -> None:
        """The chain is the one that was given, whatever becomes of the list meanwhile."""
        providers = vendors("grok", "gemini", "mistral")

        def fn(provider: Vendor) -> object:
            providers.clear()
            raise VendorError

        failure = error_of(AllProvidersFailedError, providers, FALLBACK, fn)
        assert [attempt.provider for attempt in failure.attempts] == ["grok", "gemini", "mistral"]

    def test_a_name_that_changes_the_list_while_it_is_read(self) -> None:
        """A name that, when asked for, puts more providers in, does not prolong the chain."""
        providers: list[Any] = []

        class Breeding:
            @property
            def name(self) -> str:
                providers.append(Breeding())
                return f"child {len(providers)}"

        providers.append(Breeding())
        failure = error_of(AllProvidersFailedError, providers, FALLBACK)
        assert len(failure.attempts) == 1


class TestNumbers:
    """Numbers of classes that misbehave."""

    @pytest.mark.parametrize(
        "make",
        [
            lambda: RaisingFloat(3.0),
            SoCalledNumber,
            HidesItsClass,
            lambda: Decimal("NaN"),
            lambda: Fraction(10**400),
        ],
        ids=["float", "so-called", "hidden", "NaN", "too large"],
    )
    @pytest.mark.parametrize(
        "setting",
        [
            "reset_timeout",
            "backoff_factor",
            "max_reset_timeout",
            "jitter",
            "probe_lease",
            "fail_max",
            "max_providers",
        ],
    )
    def test_one_that_cannot_be_read_is_named_as_a_bad_setting(
        self, setting: str, make: Callable[[], Any]
    ) -> None:
        """What the number raises does not come out of the constructor."""
        with pytest.raises(InvalidConfigError) as caught:
            BreakerCooldownTracker(**{setting: make()})
        assert caught.value.setting == setting

    @pytest.mark.parametrize("make", [lambda: RaisingFloat(3.0), SoCalledNumber, HidesItsClass])
    def test_one_that_cannot_be_read_is_no_deadline(self, make: Callable[[], Any]) -> None:
        """The same holds for the deadline of an execution."""
        with pytest.raises(InvalidConfigError, match="deadline must be"):
            execute(vendors("grok"), FALLBACK, replying(grok="a cat"), deadline=make())

    def test_one_that_does_not_compare_is_taken_as_plain(self) -> None:
        """A number is converted before it is compared, so its own comparisons are never asked."""
        tracker = BreakerCooldownTracker(LikeNumpyInt(1), LikeNumpy(30.0), jitter=LikeNumpy(0.0))
        assert tracker.record_failure("grok", VendorError()) is True
        assert 0.0 < tracker.cooldown_remaining("grok") <= 30.0

    def test_a_duration_cannot_say_how_long_it_is(self) -> None:
        """A class of durations that counts its seconds wrongly is counted rightly."""
        assert 0.0 < Deadline(CountsWrong(seconds=3)).remaining() <= 3.0
        tracker = BreakerCooldownTracker(reset_timeout=CountsWrong(seconds=3))
        tracker.cool_down("grok")
        assert 0.0 < tracker.cooldown_remaining("grok") <= 3.0

    @pytest.mark.parametrize(
        "value", [timedelta(seconds=-1), timedelta.min, timedelta.max, timedelta(0)], ids=str
    )
    def test_a_timedelta_out_of_range_is_refused(self, value: timedelta) -> None:
        """A duration that is negative, nothing or longer than the calendar is no cooldown."""
        with pytest.raises(InvalidConfigError):
            BreakerCooldownTracker(reset_timeout=value)
        with pytest.raises(InvalidConfigError):
            BreakerCooldownTracker().cool_down("grok", value)

    @pytest.mark.parametrize("reset_timeout", [5e-324, 1e-300, 1e-6])
    @pytest.mark.parametrize("backoff_factor", [math.nextafter(1.0, 2.0), 2.0, 1e308])
    def test_backoff_bears_every_number_that_is_allowed(
        self, reset_timeout: float, backoff_factor: float
    ) -> None:
        """The smallest cooldown and the steepest growth neither overflow nor keep failures from counting."""
        tracker = BreakerCooldownTracker(1, reset_timeout, backoff_factor=backoff_factor)
        for _ in range(50):
            tracker.record_failure("grok", VendorError())
        assert tracker.snapshot()["grok"].openings >= 1
        assert tracker.cooldown_remaining("grok") <= 300.0

    def test_huge_counts_are_never_reached(self) -> None:
        """Numbers beyond any machine's are counted towards without trouble."""
        tracker = BreakerCooldownTracker(10**100, success_threshold=10**100, max_providers=10**100)
        for _ in range(10):
            assert tracker.record_failure("grok", VendorError()) is False
        tracker.breaker("grok").half_open()
        for _ in range(10):
            tracker.record_success("grok")
        assert tracker.snapshot()["grok"].state == "half-open"


class TestAnswers:
    """Answers that raise when they are looked at."""

    @pytest.mark.parametrize(
        "make",
        [
            HidesItsClass,
            lambda: HidesItsTruth("a cat"),
            lambda: mock.Mock(side_effect=Spite),
            lambda: mock.MagicMock(spec=Spite),
        ],
    )
    def test_an_answer_is_not_looked_at(self, make: Callable[[], object]) -> None:
        """Whatever an answer is, nothing of it is asked, and the very object comes out."""
        answer = make()
        assert execute(vendors("grok"), FALLBACK, lambda provider: answer).response is answer

    def test_a_proxy_of_something_dead_is_an_answer(self) -> None:
        """A weak proxy whose object is gone raises whenever it is touched, so it is not."""
        proxy = weakref.proxy(Vendor("gone"))
        result = execute(vendors("grok"), FALLBACK, lambda provider: proxy)
        assert type(result.response) is weakref.ProxyType

    def test_an_answer_that_is_never_lazy_twice(self) -> None:
        """A lazy answer, which would load itself when asked for its class, is handed out unloaded."""
        loaded = []

        class Lazy:
            @property  # type: ignore[misc]  # as lazy objects of web frameworks do
            def __class__(self) -> type:
                loaded.append(self)
                return str

        execute(vendors("grok"), FALLBACK, lambda provider: Lazy())
        assert not loaded


class Nameless(type):
    """A metaclass that keeps the names of its classes secret."""

    def __getattribute__(cls, attribute: str) -> Any:
        if attribute in {"__name__", "__qualname__", "__module__"}:
            raise Spite
        return super().__getattribute__(attribute)


class NamelessError(Exception, metaclass=Nameless):
    """An error of a class whose name cannot be asked for; it has no text."""


class NumberedError(Exception):
    """An error whose text is a string without a truth."""

    def __str__(self) -> str:
        return HidesItsTruth("no truth")


class FalseError(Exception):
    """An error that is false, empty, and equal to everything."""

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class ClassyError(Exception):
    """An error that raises when `isinstance()` asks what it is."""

    @property  # type: ignore[misc]  # that is the attack
    def __class__(self) -> type:
        raise Spite


class TestErrors:
    """Providers' errors that raise when they are looked at."""

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (NamelessError, "NamelessError"),
            (NumberedError, "no truth"),
            (FalseError, "false"),
            (ClassyError, "classy"),
        ],
        ids=["nameless", "without truth", "false", "classy"],
    )
    @pytest.mark.parametrize("strategy", ["fallback", "primary_only", "round_robin"])
    def test_an_error_is_told_of_whatever_it_is(
        self, strategy: str, kind: type[Exception], text: str
    ) -> None:
        """The execution ends with an error of the library's, that says the text and has the very object."""
        error = NamelessError() if text == "NamelessError" else type.__call__(kind, text)
        records = Records()
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy=strategy, cooldown=tracker, logger=logger_with(records))
        expected = AllProvidersFailedError if strategy == "fallback" else ProviderFailedError
        failure: FallbackExecError = error_of(expected, vendors("grok"), config, replying(grok=error))
        assert text in str(failure)
        assert failure.__cause__ is error
        assert failure.attempts[0].error is error
        if strategy == "fallback":
            assert tracker.snapshot()["grok"].last_error == text
        assert not [line for line in records.lines if line.startswith("ERROR cooldown tracker failed")]

    def test_false_errors_are_errors(self) -> None:
        """An error that is false and equal to all others is counted, and kept apart by identity."""
        errors = [FalseError("one"), FalseError("two")]
        fn = replying(grok=errors[0], gemini=errors[1])
        failure = error_of(AllProvidersFailedError, vendors("grok", "gemini"), FALLBACK, fn)
        assert [attempt.outcome for attempt in failure.attempts] == [Outcome.FAILURE, Outcome.FAILURE]
        assert all(member is error for member, error in zip(failure.exceptions, errors, strict=True))


class TestExemptProviders:
    """The set of exempt names, which anybody may replace."""

    @pytest.mark.parametrize("kind", [frozenset, list, tuple, dict.fromkeys], ids=str)
    def test_may_be_any_container(self, kind: Callable[[list[str]], Any]) -> None:
        """Whatever can be asked for a name will do."""
        fallback_exec.EXEMPT_PROVIDERS = kind(["grok"])
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker)
        error_of(AllProvidersFailedError, vendors("grok", "gemini"), config)
        assert {name: status.openings for name, status in tracker.snapshot().items()} == {
            "grok": 0,
            "gemini": 1,
        }
