"""The interface of trackers: what has to be written, and what comes of it by default."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    AllProvidersFailedError,
    CooldownTracker,
    Cooling,
    ExecuteConfig,
    Outcome,
    Permit,
    Strategy,
    execute,
)
from fallback_exec.cooldown.tracker import NO_PERMIT
from helpers import (
    PermitTracker,
    Records,
    ThreeMethodTracker,
    VendorError,
    error_of,
    logger_with,
    replying,
    vendors,
)

DOWN = VendorError("down")


def fallback(tracker: CooldownTracker) -> ExecuteConfig:
    """Return a config of a chain."""
    return ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker)


def permit_of(tracker: CooldownTracker, *, force: bool = False) -> Permit:
    """Return a permit for `grok`, which the tracker must give."""
    permit = tracker.acquire("grok", force=force)
    assert isinstance(permit, Permit)
    return permit


class TestCooldownTracker:
    """A tracker that has only the three methods of the Go interface."""

    @pytest.mark.parametrize("missing", ["is_available", "cooldown_remaining", "record_failure"])
    def test_needs_all_three_methods(self, missing: str) -> None:
        """Without one of the three a tracker cannot be built."""
        methods = {
            name: getattr(ThreeMethodTracker, name)
            for name in CooldownTracker.__abstractmethods__ - {missing}
        }
        assert len(methods) == 2
        with pytest.raises(TypeError, match=missing):
            type("Incomplete", (CooldownTracker,), methods)()

    def test_needs_nothing_else(self) -> None:
        """The three are enough, without an `__init__` or a call of the base's."""
        methods = {name: getattr(ThreeMethodTracker, name) for name in CooldownTracker.__abstractmethods__}
        assert isinstance(type("Complete", (CooldownTracker,), methods)(), CooldownTracker)

    def test_an_available_provider_is_asked_for_once(self) -> None:
        """`acquire()` asks `is_available()`, and where that is True nothing else."""
        tracker = ThreeMethodTracker()
        assert permit_of(tracker).cooling is None
        assert tracker.journal == [("is_available", "grok")]

    def test_a_cooling_provider_is_refused(self, clock: FrozenDateTimeFactory) -> None:
        """Only after a False does `acquire()` ask for the rest of the cooldown, and says it."""
        tracker = ThreeMethodTracker(cooling={"grok": 7.0})
        assert tracker.acquire("grok") == Cooling(7.0)
        assert tracker.journal == [("is_available", "grok"), ("cooldown_remaining", "grok")]

    def test_force_gives_a_permit_that_tells_of_the_cooldown(self, clock: FrozenDateTimeFactory) -> None:
        """Forced, the same questions are asked in the same order, and the permit has the answer."""
        tracker = ThreeMethodTracker(cooling={"grok": 7.0})
        assert permit_of(tracker, force=True).cooling == Cooling(7.0)
        assert tracker.journal == [("is_available", "grok"), ("cooldown_remaining", "grok")]

    def test_force_of_an_available_provider_is_nothing_special(self) -> None:
        """Forced, an available provider is asked for once, too."""
        tracker = ThreeMethodTracker()
        assert permit_of(tracker, force=True).cooling is None
        assert tracker.journal == [("is_available", "grok")]

    def test_a_negative_rest_is_none(self) -> None:
        """What remains is never negative."""
        cooling = ThreeMethodTracker(cooling={"grok": -3.0}).acquire("grok")
        assert isinstance(cooling, Cooling)
        assert cooling.cooldown_remaining == 0.0

    def test_an_execution_calls_in_the_order_of_go(self) -> None:
        """Skips ask twice, attempts once; a failure that started a cooldown is followed by a question."""
        tracker = ThreeMethodTracker(cooling={"a": 7.0, "d": 9.0}, opens={"b": 30.0})
        error_of(
            AllProvidersFailedError, vendors("a", "b", "c", "d"), fallback(tracker), lambda _: raise_down()
        )
        assert tracker.journal == [
            ("is_available", "a"),
            ("cooldown_remaining", "a"),
            ("is_available", "b"),
            ("record_failure", "b", DOWN),
            ("cooldown_remaining", "b"),
            ("is_available", "c"),
            ("record_failure", "c", DOWN),
            ("is_available", "d"),
            ("cooldown_remaining", "d"),
            ("record_failure", "d", DOWN),
        ]

    def test_an_answer_is_not_recorded(self) -> None:
        """The three methods have no word for a success."""
        tracker = ThreeMethodTracker()
        execute(vendors("grok"), fallback(tracker), replying(grok="a cat"))
        assert tracker.journal == [("is_available", "grok")]

    def test_names_are_passed_on_as_they_are(self) -> None:
        """The tracker is asked by the provider's name, whatever that is."""
        tracker = ThreeMethodTracker()
        execute(vendors("a\nb %s"), fallback(tracker), lambda _: None)
        assert tracker.journal == [("is_available", "a\nb %s")]

    @pytest.mark.parametrize("truthy", [1, "yes", [0]], ids=repr)
    def test_an_answer_need_not_be_a_bool(self, truthy: Any) -> None:
        """What a tracker returns is taken by its truth."""

        class Loose(ThreeMethodTracker):
            def is_available(self, name: str) -> bool:
                return truthy if name == "gemini" else type(truthy)()  # type: ignore[no-any-return]  # on purpose

            def record_failure(self, name: str, error: Exception) -> bool:
                return truthy  # type: ignore[no-any-return]  # on purpose

        result = execute(
            vendors("grok", "gemini", "mistral"), fallback(Loose()), replying(gemini=DOWN, mistral="a cat")
        )
        assert [attempt.outcome for attempt in result.attempts] == ["skipped", "failure", "success"]
        assert [attempt.cooldown_remaining for attempt in result.attempts] == [0.0, 0.0, 0.0]

    @pytest.mark.parametrize("seconds", [math.inf, math.nan, -math.inf, 1e300, 7], ids=repr)
    def test_any_number_may_remain(self, seconds: float, records: Records) -> None:
        """However odd a number a tracker says, the provider is passed over and that is logged."""
        tracker = ThreeMethodTracker(cooling={"grok": seconds}, opens={"gemini": seconds})
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with(records))
        failure = error_of(AllProvidersFailedError, vendors("grok", "gemini"), config)
        assert [attempt.outcome for attempt in failure.attempts] == [Outcome.SKIPPED, Outcome.FAILURE]
        assert [line.split(" provider=")[0] for line in records.lines] == [
            "DEBUG skipping provider in cooldown",
            "DEBUG attempting provider",
            "WARNING provider entering cooldown",
            "WARNING provider failed",
        ]

    @pytest.mark.parametrize("junk", [None, "soon", object()], ids=["None", "text", "object"])
    def test_what_is_no_number_is_an_error_of_the_tracker(self, junk: Any, records: Records) -> None:
        """A tracker that says something else than a number is logged as broken, and forbids nothing."""
        tracker = ThreeMethodTracker(cooling={"grok": junk})
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with(records))
        assert execute(vendors("grok", "gemini"), config, replying(grok="a cat")).provider == "grok"
        assert len([line for line in records.lines if line.startswith("ERROR ")]) == 1


def raise_down() -> None:
    """Fail with an error that can be compared."""
    raise DOWN


class TestPermit:
    """What a tracker with the three methods hands out."""

    def test_passes_a_failure_on_once(self) -> None:
        """The first failure is recorded and says what the tracker said; a second one is not told."""
        tracker = ThreeMethodTracker(opens={"grok": 30.0})
        permit = permit_of(tracker)
        assert [permit.failure(DOWN), permit.failure(DOWN)] == [True, False]
        assert tracker.calls("record_failure") == [("record_failure", "grok", DOWN)]

    @pytest.mark.parametrize("outcome", ["success", "release"])
    def test_tells_nobody_of_anything_else(self, outcome: str) -> None:
        """A success or a release records nothing, and uses the permit up."""
        tracker = ThreeMethodTracker()
        permit = permit_of(tracker)
        getattr(permit, outcome)()
        assert permit.failure(DOWN) is False
        assert tracker.calls("record_failure") == []

    def test_is_used_up_by_a_failure_that_could_not_be_recorded(self) -> None:
        """A failure that the tracker did not take is not told again."""
        tracker = ThreeMethodTracker(raises="record_failure")
        permit = permit_of(tracker)
        with pytest.raises(Exception, match="record_failure is broken"):
            permit.failure(DOWN)
        assert permit.failure(DOWN) is False

    def test_says_whether_the_failure_started_a_cooldown(self) -> None:
        """The tracker's word is passed on."""
        assert permit_of(ThreeMethodTracker()).failure(DOWN) is False

    def test_where_there_is_no_tracker_tells_nobody(self) -> None:
        """Without a tracker there is a permit for everything, which may be told anything."""
        NO_PERMIT.success()
        NO_PERMIT.release()
        assert NO_PERMIT.failure(DOWN) is NO_PERMIT.cool_down(DOWN, 5.0) is False
        assert NO_PERMIT.begin() is NO_PERMIT
        assert NO_PERMIT.cooling is None

    def test_passes_a_cool_down_on_as_a_failure(self) -> None:
        """The three methods have no word for a length: the tracker is told once, and its word holds."""
        tracker = ThreeMethodTracker(opens={"grok": 30.0})
        permit = permit_of(tracker)
        assert [permit.cool_down(DOWN, 5.0), permit.cool_down(DOWN, None), permit.failure(DOWN)] == [
            True,
            False,
            False,
        ]
        assert tracker.calls("record_failure") == [("record_failure", "grok", DOWN)]
        assert permit_of(ThreeMethodTracker()).cool_down(DOWN, 5.0) is False

    def test_has_nothing_to_do_where_an_answer_begins(self) -> None:
        """The permit is its own rest, the tracker is not told, and the end of the answer still counts."""
        tracker = ThreeMethodTracker(opens={"grok": 30.0})
        permit = permit_of(tracker)
        assert permit.begin() is permit
        assert tracker.journal == [("is_available", "grok")]
        assert permit.failure(DOWN) is True

    def test_of_ones_own_that_knows_three_outcomes_hears_a_cool_down_as_a_failure(self) -> None:
        """With the very error; its word on a cooldown is passed on. An answer that begins is not told."""
        tracker = PermitTracker(opens={"grok": 30.0})
        permit = permit_of(tracker)
        assert permit.begin() is permit
        assert tracker.outcomes() == []
        assert permit.cool_down(DOWN, 5.0) is True
        assert tracker.calls("failure") == [("failure", "grok", DOWN)]

    def test_must_be_written_whole(self) -> None:
        """A permit of one's own needs all three methods."""
        assert Permit.__abstractmethods__ == {"success", "failure", "release"}

    def test_of_ones_own_is_told_instead_of_the_three_methods(self) -> None:
        """A tracker that overrides `acquire()` hears of outcomes through its permits alone."""
        tracker = PermitTracker()
        execute(vendors("grok", "gemini"), fallback(tracker), replying(grok=DOWN, gemini="a cat"))
        assert tracker.outcomes() == [("failure", "grok"), ("success", "gemini")]
        assert tracker.calls("is_available") + tracker.calls("record_failure") == []


class TestCooling:
    """A tracker's word that a provider is cooling down."""

    def test_has_the_seconds_and_the_moment(self, clock: FrozenDateTimeFactory) -> None:
        """What remained, and when that was so; by default that is now."""
        cooling = Cooling(7.0)
        clock.tick(3)
        assert (cooling.cooldown_remaining, cooling.at) == (7.0, datetime(2026, 1, 1, tzinfo=UTC))

    def test_may_be_of_another_moment(self) -> None:
        """Who learned of it earlier may say so."""
        moment = datetime(2020, 2, 2, tzinfo=UTC)
        assert Cooling(7.0, moment).at == moment
        assert attrs.asdict(Cooling(7.0, moment)) == {"cooldown_remaining": 7.0, "at": moment}

    def test_equal_words_are_equal(self) -> None:
        """Two of the same seconds and moment are the same."""
        moment = datetime(2020, 2, 2, tzinfo=UTC)
        assert Cooling(7.0, moment) == Cooling(7.0, moment)
        assert Cooling(7.0, moment) != Cooling(8.0, moment)
