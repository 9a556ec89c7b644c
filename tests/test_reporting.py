"""What is made of an outcome: verdicts of a classifier, answers that are not accepted, what is told then."""

from __future__ import annotations

import contextlib
import copy
import gc
import logging
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, cast
from unittest.mock import Mock

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    Cooling,
    DeadlineExceededError,
    ErrorClassifier,
    ExecuteConfig,
    InvalidConfigError,
    Outcome,
    Permit,
    ProviderFailedError,
    ResponseRejectedError,
    StandInError,
    Strategy,
    Verdict,
    execute,
    execute_stream,
)
from helpers import (
    BrokenTrackerError,
    Held,
    JournalPermit,
    PermitTracker,
    Records,
    ThreeMethodTracker,
    Vendor,
    VendorError,
    Watch,
    error_of,
    fail,
    fields_of,
    logger_with,
    replying,
    vendors,
)

EVERY_VERDICT = [
    Verdict.failure(),
    Verdict.cool_down(60),
    Verdict.cool_down(),
    Verdict.neutral(),
    Verdict.abort(),
    Verdict.abort(counted=True),
]

each_verdict = pytest.mark.parametrize("verdict", EVERY_VERDICT, ids=repr)
each_single_strategy = pytest.mark.parametrize("strategy", [Strategy.PRIMARY_ONLY, Strategy.ROUND_ROBIN])

down = replying(grok=VendorError("grok is down"), gemini="a cat")


class CoolingPermit(JournalPermit):
    """A permit that is told of cooldowns, too."""

    def cool_down(self, error: Exception, seconds: float | None) -> bool:
        self._tracker.note("cool_down", self._name, seconds)
        return self._tracker.start_cooldown(self._name)


class CoolingTracker(PermitTracker):
    """A tracker whose permits are told of cooldowns, too."""

    def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
        answer = super().acquire(name, force=force)
        return answer if isinstance(answer, Cooling) else CoolingPermit(self, name, answer.cooling)


def config_of(
    verdict: Verdict | None = None,
    tracker: Any = None,
    *,
    strategy: Strategy = Strategy.FALLBACK,
    **settings: Any,
) -> ExecuteConfig:
    """Return a config whose classifier says the same of every error, and that logs nothing."""
    if verdict is not None:
        settings["classify"] = lambda _: verdict
    settings.setdefault("logger", logger_with(logging.NullHandler()))
    return ExecuteConfig(strategy=strategy, cooldown=tracker, **settings)


class TestClassify:
    """`ExecuteConfig(classify=...)`."""

    def test_is_given_the_provider_s_error(self) -> None:
        """The very object, once for each failed attempt, and nothing for an answer or a skip."""
        seen: list[Exception] = []

        def classify(error: Exception) -> Verdict:
            seen.append(error)
            return Verdict.failure()

        error = VendorError("down")
        tracker = ThreeMethodTracker(cooling={"mistral": 9.0})
        config = config_of(tracker=tracker, classify=classify)
        execute(vendors("mistral", "grok", "gemini"), config, replying(grok=error, gemini=1))
        assert seen == [error]

    @pytest.mark.parametrize(
        ("verdict", "told"),
        [
            (Verdict.failure(), ("failure", "grok")),
            (Verdict.cool_down(60), ("cool_down", "grok", 60.0)),
            (Verdict.cool_down(), ("cool_down", "grok", None)),
            (Verdict.neutral(), ("release", "grok")),
            (Verdict.abort(), ("release", "grok")),
            (Verdict.abort(counted=True), ("failure", "grok")),
        ],
        ids=repr,
    )
    def test_decides_what_the_permit_is_told(self, verdict: Verdict, told: tuple[object, ...]) -> None:
        """Each verdict is told in one word, and no other word is said."""
        tracker = CoolingTracker()
        with pytest.raises((AllProvidersFailedError, ProviderFailedError)):
            execute(vendors("grok"), config_of(verdict, tracker), fail)
        (line,) = [line for line in tracker.journal if line[0] != "acquire"]
        assert line[: len(told)] == told

    @pytest.mark.parametrize("verdict", [each for each in EVERY_VERDICT if each.kind != "abort"], ids=repr)
    def test_goes_on_with_the_next_provider(self, verdict: Verdict) -> None:
        """Unless the chain is aborted, somebody else is tried, and the story tells what was counted."""
        result = execute(vendors("grok", "gemini"), config_of(verdict), down)
        assert (result.response, result.attempt_num) == ("a cat", 2)
        expected = Outcome.FAILURE if verdict.counted else Outcome.NEUTRAL
        assert [each.outcome for each in result.attempts] == [expected, Outcome.SUCCESS]
        assert isinstance(result.attempts[0].error, VendorError)

    def test_a_failure_counts_as_without_a_classifier(self) -> None:
        """`fail_max` of them in a row start a cooldown."""
        tracker = BreakerCooldownTracker(fail_max=2)
        for _ in range(2):
            assert tracker.is_available("grok")
            execute(vendors("grok", "gemini"), config_of(Verdict.failure(), tracker), down)
        assert not tracker.is_available("grok")

    @pytest.mark.parametrize(
        ("verdict", "seconds"), [(Verdict.cool_down(90), 90.0), (Verdict.cool_down(), 30.0)]
    )
    def test_a_cooldown_starts_at_once(
        self, verdict: Verdict, seconds: float, clock: FrozenDateTimeFactory
    ) -> None:
        """The first such error opens, for as long as it says, or for the tracker's own cooldown."""
        tracker = BreakerCooldownTracker(fail_max=3, reset_timeout=30)
        result = execute(vendors("grok", "gemini"), config_of(verdict, tracker), down)
        assert tracker.cooldown_remaining("grok") == seconds
        assert result.attempts[0].cooldown_remaining == seconds

    def test_a_cooldown_is_known_to_who_waits(self, clock: FrozenDateTimeFactory) -> None:
        """`retry_after` is what the vendors said, also of a terminus that was forced in its cooldown."""
        tracker = BreakerCooldownTracker()
        config = config_of(Verdict.cool_down(90), tracker)
        tracker.cool_down("gemini", 20)
        error = error_of(AllProvidersFailedError, vendors("grok", "gemini"), config)
        assert error.retry_after == 90.0
        assert [each.cooldown_remaining for each in error.attempts] == [90.0, 90.0]

    def test_a_cooldown_is_a_failure_to_a_tracker_of_three_methods(self) -> None:
        """It is recorded once; there is no other word for it."""
        tracker = ThreeMethodTracker()
        execute(vendors("grok", "gemini"), config_of(Verdict.cool_down(60), tracker), down)
        assert [line[:2] for line in tracker.calls("record_failure")] == [("record_failure", "grok")]

    def test_a_neutral_probe_is_given_back(self, clock: FrozenDateTimeFactory) -> None:
        """What says nothing of the provider neither closes nor opens its breaker, nor holds its probe."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        tracker.cool_down("grok")
        clock.tick(30)
        execute(vendors("grok", "gemini"), config_of(Verdict.neutral(), tracker), down)
        assert tracker.snapshot()["grok"].state == "half-open"
        assert tracker.is_available("grok")

    @each_verdict
    def test_an_exempt_provider_is_never_counted_or_cooled(
        self, verdict: Verdict, exempt_providers: set[str]
    ) -> None:
        """Whatever the verdict, its permit is given back."""
        exempt_providers.add("grok")
        tracker = CoolingTracker()
        with pytest.raises((AllProvidersFailedError, ProviderFailedError)):
            execute(vendors("grok"), config_of(verdict, tracker), fail)
        assert [line for line in tracker.journal if line[0] != "acquire"] == [("release", "grok")]

    @each_single_strategy
    @each_verdict
    def test_without_a_chain_tells_no_tracker(self, strategy: Strategy, verdict: Verdict) -> None:
        """PRIMARY_ONLY and ROUND_ROBIN end with the one provider's error, and the tracker hears nothing."""
        tracker = CoolingTracker()
        config = config_of(verdict, tracker, strategy=strategy)
        error = error_of(ProviderFailedError, vendors("grok"), config)
        assert error.aborted is (verdict.kind == "abort")
        assert [each.outcome for each in error.attempts] == [
            Outcome.FAILURE if verdict.counted else Outcome.NEUTRAL
        ]
        assert tracker.journal == []

    def test_is_logged_like_a_failure(self) -> None:
        """A neutral error is a warning as well: the provider did fail."""
        records = Records()
        config = config_of(Verdict.neutral(), logger=logger_with(records))
        execute(vendors("grok", "gemini"), config, down)
        (warning,) = [line for line in records.lines if line.startswith("WARNING")]
        assert (
            warning == "WARNING provider failed provider=grok error=grok is down attempt=1 is_terminus=False"
        )


class TestAbort:
    """Verdict.abort()."""

    @pytest.mark.parametrize("counted", [False, True])
    def test_ends_the_chain(self, counted: bool) -> None:
        """No other provider is called; the error says so and has the provider's as its cause."""
        called: list[str] = []

        def fn(provider: Vendor) -> object:
            called.append(provider.name)
            raise VendorError(f"{provider.name} takes no such image")

        tracker = ThreeMethodTracker(cooling={"mistral": 3.0})
        config = config_of(Verdict.abort(counted=counted), tracker)
        error = error_of(ProviderFailedError, vendors("mistral", "grok", "gemini"), config, fn)
        assert called == ["grok"]
        assert (error.provider, error.aborted) == ("grok", True)
        assert str(error) == "aborted: provider grok failed: grok takes no such image"
        assert isinstance(error.__cause__, VendorError)
        expected = Outcome.FAILURE if counted else Outcome.NEUTRAL
        assert [each.outcome for each in error.attempts] == [Outcome.SKIPPED, expected]

    def test_wins_over_the_deadline(self, clock: FrozenDateTimeFactory) -> None:
        """That the caller is mistaken is worth more than that it took long."""

        def fn(provider: Vendor) -> object:
            clock.tick(10)
            raise VendorError("no such model")

        assert error_of(
            ProviderFailedError, vendors("a", "b"), config_of(Verdict.abort()), fn, deadline=5
        ).aborted
        with pytest.raises(DeadlineExceededError):
            execute(vendors("a", "b"), config_of(Verdict.failure()), fn, deadline=5)

    @pytest.mark.parametrize(
        "prepare", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
    )
    def test_survives_a_journey(self, prepare: Callable[[Any], Any]) -> None:
        """`aborted` is still True after a copy and a pickle."""
        error = prepare(error_of(ProviderFailedError, vendors("grok"), config_of(Verdict.abort())))
        assert (error.aborted, error.provider) == (True, "grok")

    def test_gives_the_permit_back_before_it_is_raised(self, clock: FrozenDateTimeFactory) -> None:
        """An aborted probe leaves the probe to the next caller."""
        tracker = BreakerCooldownTracker(reset_timeout=30)
        tracker.cool_down("grok")
        clock.tick(30)
        error = error_of(ProviderFailedError, vendors("grok", "gemini"), config_of(Verdict.abort(), tracker))
        assert error.aborted
        assert tracker.is_available("grok")


def unreadable() -> Exception:
    """Return an error that raises when it is first asked for its traceback, which pytest may have later."""
    asked: list[str] = []

    class UnreadableError(Exception):
        def __getattribute__(self, name: str) -> Any:
            if name == "__traceback__" and not asked:
                asked.append(name)
                raise BrokenTrackerError("no traceback")
            return super().__getattribute__(name)

    return UnreadableError("down")


class TestUnreadableError:
    """An error that cannot be asked for its traceback is a provider's error like any other."""

    def test_of_an_attempt_is_judged(self) -> None:
        """The verdict counts, and what comes out is an error of ours."""
        tracker = PermitTracker()
        config = config_of(tracker=tracker, classify=lambda _: Verdict.neutral())
        error = error_of(AllProvidersFailedError, vendors("grok"), config, replying(grok=unreadable()))
        assert [each.outcome for each in error.attempts] == [Outcome.NEUTRAL]
        assert tracker.outcomes() == [("release", "grok")]

    def test_of_a_stream_is_raised_as_it_is(self) -> None:
        """Mid-stream, where its end is told and it is being handled while the stream is closed."""
        broken = unreadable()

        def items(provider: Vendor) -> Iterator[int]:
            yield 1
            raise broken

        tracker = PermitTracker()
        config = config_of(tracker=tracker, classify=lambda _: Verdict.failure())
        stream = execute_stream(vendors("grok"), config, items)
        assert next(stream) == 1
        with pytest.raises(type(broken)):
            next(stream)
        assert tracker.outcomes() == [("failure", "grok")]


class TestBadClassifier:
    """A classifier that raises, or says what is no verdict."""

    @pytest.mark.parametrize(
        "junk", [None, "failure", True, VendorError("x"), Verdict, Mock(spec=Verdict)], ids=repr
    )
    def test_that_says_no_verdict(self, junk: Any) -> None:
        """It is logged with the type, and the attempt counts as a failure."""
        records, tracker = Records(), CoolingTracker()
        config = config_of(tracker=tracker, classify=lambda _: junk, logger=logger_with(records))
        execute(vendors("grok", "gemini"), config, down)
        (told,) = [record for record in records.kept if record.levelname == "ERROR"]
        assert fields_of(told) == {
            "provider": "grok",
            "error": f"a classifier must return a Verdict, not {type(junk).__name__}",
        }
        assert ("failure", "grok") in tracker.outcomes()

    def test_that_returns_a_coroutine(self) -> None:
        """It is closed, so that Python does not miss that it was awaited, and the attempt is a failure."""

        async def later(error: Exception) -> Verdict:
            return Verdict.neutral()

        def classify(error: Exception) -> Any:
            return later(error)

        records, tracker = Records(), CoolingTracker()
        config = config_of(tracker=tracker, classify=classify, logger=logger_with(records))
        execute(vendors("grok", "gemini"), config, down)
        assert "a classifier must return a Verdict, not coroutine" in "\n".join(records.lines)
        assert ("failure", "grok") in tracker.outcomes()

    def test_that_raises(self) -> None:
        """It is logged once with its own error, the attempt counts, and no error is hidden."""
        records, tracker = Records(), CoolingTracker()

        def classify(error: Exception) -> Verdict:
            raise BrokenTrackerError("no idea")

        config = config_of(tracker=tracker, classify=classify, logger=logger_with(records))
        error = error_of(AllProvidersFailedError, vendors("grok"), config)
        assert [line for line in records.lines if line.startswith("ERROR")] == [
            "ERROR classifier failed provider=grok error=no idea"
        ]
        assert tracker.outcomes() == [("failure", "grok")]
        assert isinstance(error.__cause__, VendorError)
        assert error.__cause__.__context__ is None
        assert [each.outcome for each in error.attempts] == [Outcome.FAILURE]

    def test_that_raises_what_it_was_given(self) -> None:
        """The provider's error is none the longer for it."""

        def classify(error: Exception) -> Verdict:
            raise error

        plain = error_of(AllProvidersFailedError, vendors("grok"), config_of()).__cause__
        raised = error_of(AllProvidersFailedError, vendors("grok"), config_of(classify=classify)).__cause__
        assert plain is not None
        assert raised is not None
        assert len(traceback.extract_tb(raised.__traceback__)) == len(
            traceback.extract_tb(plain.__traceback__)
        )

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
    def test_that_is_interrupted(
        self, interruption: type[BaseException], clock: FrozenDateTimeFactory
    ) -> None:
        """Ctrl-C is raised unchanged, nothing is counted, and the probe is given back."""
        tracker = BreakerCooldownTracker(reset_timeout=30)
        tracker.cool_down("grok")
        clock.tick(30)

        def classify(error: Exception) -> Verdict:
            raise interruption

        with pytest.raises(interruption):
            execute(vendors("grok", "gemini"), config_of(tracker=tracker, classify=classify), fail)
        assert tracker.is_available("grok")
        assert tracker.snapshot()["grok"].openings == 1

    def test_runs_under_no_lock(self) -> None:
        """It may use the tracker that the execution uses, also from another thread."""
        tracker = BreakerCooldownTracker(fail_max=1)
        seen: list[bool] = []

        def classify(error: Exception) -> Verdict:
            tracker.record_failure("other", error)
            asker = threading.Thread(target=lambda: seen.append(tracker.is_available("grok")), daemon=True)
            asker.start()
            asker.join(30)
            return Verdict.cool_down()

        execute(vendors("grok", "gemini"), config_of(tracker=tracker, classify=classify), down)
        assert seen == [True]
        assert not tracker.is_available("grok")


class TestAccept:
    """`ExecuteConfig(accept=...)`."""

    def test_a_rejected_answer_is_a_failure(self) -> None:
        """It is counted, its place in the story says REJECTED, and the next provider is tried."""
        tracker = CoolingTracker()
        config = config_of(tracker=tracker, accept=lambda answer: answer != "<html>")
        result = execute(vendors("grok", "gemini"), config, replying(grok="<html>", gemini="a cat"))
        assert (result.response, result.attempt_num) == ("a cat", 2)
        assert [each.outcome for each in result.attempts] == [Outcome.REJECTED, Outcome.SUCCESS]
        assert tracker.outcomes() == [("failure", "grok"), ("success", "gemini")]

    def test_the_error_holds_the_answer(self) -> None:
        """Where all answers are rejected, each error has its response, and says only of what type it is."""
        answers: dict[str, object] = {"grok": "<html>secret</html>", "gemini": None}
        config = config_of(accept=lambda _: False)
        error = error_of(AllProvidersFailedError, vendors("grok", "gemini"), config, replying(**answers))
        rejected = [each for each in error.exceptions if isinstance(each, ResponseRejectedError)]
        assert [each.response for each in rejected] == list(answers.values())
        assert [str(each) for each in rejected] == [
            "response rejected by accept: type=str",
            "response rejected by accept: type=NoneType",
        ]
        assert error.__cause__ is rejected[-1]
        assert [each.error for each in error.attempts] == rejected

    def test_enough_of_them_start_a_cooldown(self) -> None:
        """A vendor that answers by pages of HTML is as good as down."""
        tracker = BreakerCooldownTracker(fail_max=2)
        for _ in range(2):
            execute(vendors("grok", "gemini"), config_of(tracker=tracker, accept="a cat".__eq__), str_or_cat)
        assert not tracker.is_available("grok")
        assert tracker.snapshot()["grok"].last_error == "response rejected by accept: type=str"

    def test_the_classifier_is_not_asked(self) -> None:
        """What an answer means that was rejected has been said."""
        config = config_of(Verdict.abort(), accept=lambda answer: answer == "a cat")
        assert execute(vendors("grok", "gemini"), config, str_or_cat).response == "a cat"

    @each_single_strategy
    def test_holds_without_a_chain(self, strategy: Strategy) -> None:
        """The one provider has failed then."""
        config = config_of(strategy=strategy, accept=lambda _: False)
        error = error_of(ProviderFailedError, vendors("grok"), config, lambda _: "no")
        assert isinstance(error.__cause__, ResponseRejectedError)
        assert [each.outcome for each in error.attempts] == [Outcome.REJECTED]
        assert error.aborted is False

    @pytest.mark.parametrize(
        ("said", "is_answer"), [(1, True), ("no", True), (0, False), (None, False), ([], False)]
    )
    def test_truth_is_enough(self, said: Any, is_answer: bool) -> None:
        """What the predicate says need not be a bool."""
        config = config_of(accept=lambda _: said)
        if is_answer:
            assert execute(vendors("grok"), config, lambda _: "a cat").response == "a cat"
        else:
            error_of(AllProvidersFailedError, vendors("grok"), config, lambda _: "a cat")

    @pytest.mark.parametrize("error", [VendorError("a bug"), KeyboardInterrupt(), SystemExit(2)], ids=repr)
    def test_what_it_raises_is_raised(self, error: BaseException, clock: FrozenDateTimeFactory) -> None:
        """The very object, with no context; nothing is counted, nothing is held, nobody else is tried."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        tracker.cool_down("grok")
        clock.tick(30)
        called: list[str] = []

        def accept(answer: object) -> bool:
            raise error

        def fn(provider: Vendor) -> object:
            called.append(provider.name)
            return 1

        with pytest.raises(type(error)) as caught:
            execute(vendors("grok", "gemini"), config_of(tracker=tracker, accept=accept), fn)
        assert caught.value is error
        assert error.__context__ is None
        assert called == ["grok"]
        assert tracker.is_available("grok")
        assert (tracker.snapshot()["grok"].openings, tracker.snapshot()["grok"].state) == (1, "half-open")

    def test_what_its_answer_raises_is_raised(self) -> None:
        """An answer without a truth, an array say, is the predicate's mistake."""

        class Array:
            def __bool__(self) -> bool:
                raise VendorError("the truth of an array is ambiguous")

        tracker = CoolingTracker()
        with pytest.raises(VendorError, match="ambiguous"):
            execute(vendors("grok"), config_of(tracker=tracker, accept=lambda _: Array()), lambda _: 1)
        assert tracker.outcomes() == [("release", "grok")]

    def test_a_coroutine_is_refused(self) -> None:
        """Nobody would await it, and it would be true of every answer."""

        async def judge(answer: object) -> bool:
            return False

        tracker = CoolingTracker()
        config = config_of(tracker=tracker, accept=lambda answer: judge(answer))  # hides it
        with pytest.raises(InvalidConfigError, match="accept must be a plain function") as caught:
            execute(vendors("grok", "gemini"), config, str_or_error)
        assert [each.outcome for each in caught.value.attempts] == [Outcome.FAILURE]
        assert tracker.outcomes() == [("failure", "grok"), ("release", "gemini")]

    def test_a_rejected_answer_lives_no_longer_than_its_error(self) -> None:
        """No cycle and no frame keeps it once the errors are gone."""
        watch = Watch()

        def fn(provider: Vendor) -> object:
            return watch(provider.name, Held())

        gc.collect()
        gc.disable()
        try:
            with contextlib.suppress(AllProvidersFailedError):
                execute(vendors("grok", "gemini"), config_of(accept=lambda _: False), fn)
            assert watch.labels == {"grok", "gemini"}
            assert watch.alive == set()
        finally:
            gc.enable()


def str_or_cat(provider: Vendor) -> object:
    return "a cat" if provider.name == "gemini" else "<html>"


def str_or_error(provider: Vendor) -> object:
    if provider.name == "grok":
        raise VendorError("down")
    return "a cat"


class TestResponseRejectedError:
    """Its journeys."""

    @pytest.mark.parametrize(
        "prepare", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
    )
    def test_takes_its_response_along(self, prepare: Callable[[Any], Any]) -> None:
        """A copy and a pickle hold an equal response."""
        error = prepare(ResponseRejectedError("no", response={"html": 1}))
        assert type(error) is ResponseRejectedError
        assert (str(error), error.response, error.attempts) == ("no", {"html": 1}, ())

    def test_travels_as_a_stand_in_where_its_response_cannot(self) -> None:
        """Alone, and as a member of what `execute()` raises."""
        config = config_of(accept=lambda _: False)
        error = error_of(AllProvidersFailedError, vendors("grok"), config, lambda _: threading.Lock())
        alone = pickle.loads(pickle.dumps(error.exceptions[0]))
        among = pickle.loads(pickle.dumps(error))
        for each in (alone, among.exceptions[0], among.__cause__, among.attempts[0].error):
            assert type(each) is StandInError
            assert each.type_name == "fallback_exec.errors.ResponseRejectedError"
            assert str(each) == "response rejected by accept: type=lock"

    def test_copied_keeps_any_response(self) -> None:
        """A shallow copy needs no pickle."""
        lock = threading.Lock()
        assert copy.copy(ResponseRejectedError("no", response=lock)).response is lock


class TestSettings:
    """`classify`, `accept` and `redact` are checked when a config is built."""

    @pytest.mark.parametrize("setting", ["classify", "accept", "redact"])
    def test_that_are_not_callable(self, setting: str) -> None:
        """The error names the setting and the value."""
        with pytest.raises(InvalidConfigError, match=f"{setting} must be callable, got 'yes'") as caught:
            ExecuteConfig(**cast("Any", {setting: "yes"}))
        assert caught.value.setting == setting

    @pytest.mark.parametrize("setting", ["classify", "accept", "redact"])
    def test_that_are_coroutine_functions(self, setting: str) -> None:
        """Nobody would await what they return."""

        async def later(value: object) -> bool:
            return True

        class Later:
            async def __call__(self, value: object) -> bool:
                return True

        for each in (later, Later()):
            with pytest.raises(InvalidConfigError, match=f"{setting} must be a plain function, not a corout"):
                ExecuteConfig(**cast("Any", {setting: each}))

    @pytest.mark.parametrize(
        "classify", [Verdict, Verdict.failure, Verdict.cool_down, ErrorClassifier], ids=repr
    )
    def test_a_classifier_is_no_class_and_no_half_of_a_verdict(self, classify: Any) -> None:
        """What was written without its parentheses must not wait for an outage to show."""
        with pytest.raises(InvalidConfigError, match="classify must be a function that returns") as caught:
            ExecuteConfig(classify=classify)
        assert caught.value.setting == "classify"

    @pytest.mark.parametrize("setting", ["classify", "accept"])
    def test_none_is_off(self, setting: str) -> None:
        """None is the default: every error is a failure, every answer an answer."""
        assert getattr(ExecuteConfig(**cast("Any", {setting: None})), setting) is None
        assert getattr(ExecuteConfig(), setting) is None

    def test_none_masks_nothing_by_mistake(self) -> None:
        """To switch masking off is to be said, by a function that returns its text."""
        with pytest.raises(InvalidConfigError, match="redact must be callable, got None"):
            ExecuteConfig(redact=cast("Any", None))
