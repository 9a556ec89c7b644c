"""BreakerCooldownTracker in one thread: the outcome table, the probe, views, hands, clocks, names."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import random
import weakref
from datetime import timedelta
from typing import Any

import attrs
import pybreaker
import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    BreakerCooldownTracker,
    BreakerSettings,
    CooldownStatus,
    Cooling,
    ExecuteConfig,
    InvalidConfigError,
    NamedProvider,
    Permit,
    Strategy,
    execute,
)

DOWN = ConnectionError("down")
MICROSECOND = timedelta(microseconds=1)


def permit_of(tracker: BreakerCooldownTracker, name: str = "grok", *, force: bool = False) -> Permit:
    """Return a permit, which the tracker must give."""
    permit = tracker.acquire(name, force=force)
    assert isinstance(permit, Permit)
    return permit


def cooling_of(tracker: BreakerCooldownTracker, name: str = "grok") -> float:
    """Return the seconds for which the tracker refuses a permit, which it must."""
    cooling = tracker.acquire(name)
    assert isinstance(cooling, Cooling)
    return cooling.cooldown_remaining


def state_of(tracker: BreakerCooldownTracker, name: str = "grok") -> str:
    """Return the state that the snapshot shows."""
    return tracker.snapshot()[name].state


def open_tracker(**settings: Any) -> BreakerCooldownTracker:
    """Return a tracker whose provider `grok` has begun a cooldown of 30 s with its first failure."""
    tracker = BreakerCooldownTracker(**{"fail_max": 1, "reset_timeout": 30.0, **settings})
    assert permit_of(tracker).failure(DOWN) is True
    return tracker


@pytest.mark.usefixtures("clock")
class TestClosed:
    """The first column of the outcome table."""

    def test_a_fail_max_that_a_hand_lowers_is_heeded(self) -> None:
        """The breaker is the user's to set: more failures in a row than it bears by now open it."""
        tracker = BreakerCooldownTracker(fail_max=5)
        for _ in range(3):
            permit_of(tracker).failure(DOWN)
        tracker.breaker("grok").fail_max = 2
        assert permit_of(tracker).failure(DOWN) is True

    def test_failures_open_at_fail_max_and_only_then(self) -> None:
        """The failure that reaches fail_max, and no other, says that it started the cooldown."""
        tracker = BreakerCooldownTracker(fail_max=3)
        assert [permit_of(tracker).failure(DOWN) for _ in range(3)] == [False, False, True]
        assert state_of(tracker) == "open"

    def test_a_success_forgets_the_failures(self) -> None:
        """Only failures in a row count."""
        tracker = BreakerCooldownTracker(fail_max=2)
        permit_of(tracker).failure(DOWN)
        permit_of(tracker).success()
        assert permit_of(tracker).failure(DOWN) is False
        assert tracker.snapshot()["grok"].failures == 1

    def test_a_success_of_an_earlier_permit_forgets_later_failures(self) -> None:
        """All permits of one era are equal: a success that arrives forgets the failures before it."""
        tracker = BreakerCooldownTracker(fail_max=3)
        early = permit_of(tracker)
        permit_of(tracker).failure(DOWN)
        early.success()
        assert tracker.snapshot()["grok"].failures == 0

    def test_release_counts_nothing(self) -> None:
        """An outcome that is neither leaves the failures as they are."""
        tracker = BreakerCooldownTracker(fail_max=3)
        permit_of(tracker).failure(DOWN)
        permit_of(tracker).release()
        assert tracker.snapshot()["grok"].failures == 1

    def test_providers_do_not_share_failures(self) -> None:
        """Each provider has a breaker of its own."""
        tracker = BreakerCooldownTracker(fail_max=2)
        permit_of(tracker, "grok").failure(DOWN)
        assert permit_of(tracker, "gemini").failure(DOWN) is False
        assert tracker.breaker("grok") is not tracker.breaker("gemini")

    def test_force_makes_no_difference(self) -> None:
        """A terminus that is healthy is attempted like any other provider."""
        tracker = BreakerCooldownTracker(fail_max=1)
        permit = permit_of(tracker, force=True)
        assert permit.cooling is None
        assert permit.failure(DOWN) is True


class TestOpen:
    """The second column: what a forced terminus brings while the provider cools."""

    def test_nobody_is_let_through(self, clock: FrozenDateTimeFactory) -> None:
        """An attempt is refused, with what is left of the cooldown."""
        tracker = open_tracker()
        clock.tick(12.5)
        assert cooling_of(tracker) == 17.5

    def test_a_forced_permit_tells_of_the_cooldown(self, clock: FrozenDateTimeFactory) -> None:
        """Who must attempt all the same learns what is left."""
        tracker = open_tracker()
        clock.tick(1)
        cooling = permit_of(tracker, force=True).cooling
        assert cooling is not None
        assert cooling.cooldown_remaining == 29.0

    @pytest.mark.usefixtures("clock")
    def test_success_closes_at_once(self) -> None:
        """An answer is evidence, whatever success_threshold says of probes."""
        tracker = open_tracker(success_threshold=3)
        permit_of(tracker, force=True).success()
        assert tracker.snapshot()["grok"] == CooldownStatus("closed", 0, 0.0, 1, "down")
        assert tracker.breaker("grok").current_state == pybreaker.STATE_CLOSED

    def test_success_closes_when_the_cooldown_is_over_meanwhile(self, clock: FrozenDateTimeFactory) -> None:
        """The era is still the same, so the evidence counts."""
        tracker = open_tracker()
        permit = permit_of(tracker, force=True)
        clock.tick(31)
        permit.success()
        assert state_of(tracker) == "closed"

    def test_failure_does_not_prolong(self, clock: FrozenDateTimeFactory) -> None:
        """A terminus that fails while it cools changes nothing."""
        tracker = open_tracker()
        clock.tick(10)
        assert permit_of(tracker, force=True).failure(DOWN) is False
        assert tracker.cooldown_remaining("grok") == 20.0
        assert tracker.snapshot()["grok"].openings == 1

    def test_failure_after_the_end_is_a_failed_probe(self, clock: FrozenDateTimeFactory) -> None:
        """When the cooldown is over meanwhile, the failure opens again and says so."""
        tracker = open_tracker(backoff_factor=2.0)
        permit = permit_of(tracker, force=True)
        clock.tick(30)
        assert permit.failure(DOWN) is True
        assert tracker.cooldown_remaining("grok") == 60.0
        assert tracker.snapshot()["grok"].openings == 2

    def test_release_changes_nothing(self, clock: FrozenDateTimeFactory) -> None:
        """A forced attempt without an outcome leaves the cooldown as it is."""
        tracker = open_tracker()
        clock.tick(10)
        permit_of(tracker, force=True).release()
        assert cooling_of(tracker) == 20.0

    @pytest.mark.parametrize("settle", ["success", "release"])
    @pytest.mark.usefixtures("clock")
    def test_a_permit_takes_one_outcome(self, settle: str) -> None:
        """What is told to a spent permit is ignored."""
        tracker = open_tracker()
        permit = permit_of(tracker, force=True)
        getattr(permit, settle)()
        tracker.cool_down("grok", 5)
        permit.success()
        assert permit.failure(DOWN) is False
        assert state_of(tracker) == "open"


class TestHalfOpen:
    """The third column: the probe, and a forced terminus beside it."""

    @pytest.fixture
    def tracker(self, clock: FrozenDateTimeFactory) -> BreakerCooldownTracker:
        """A tracker whose provider's cooldown is over."""
        tracker = open_tracker()
        clock.tick(30)
        return tracker

    def test_one_probe_is_let_through(self, tracker: BreakerCooldownTracker) -> None:
        """While the probe is under way, everybody else treats the provider as cooling, with nothing left."""
        probe = permit_of(tracker)
        assert probe.cooling is None
        assert cooling_of(tracker) == 0.0
        assert tracker.is_available("grok") is False

    def test_a_successful_probe_closes(self, tracker: BreakerCooldownTracker) -> None:
        """The provider is back."""
        permit_of(tracker).success()
        assert state_of(tracker) == "closed"
        assert permit_of(tracker).failure(DOWN) is True  # fail_max=1 counts from zero again

    def test_a_failed_probe_opens_again(self, tracker: BreakerCooldownTracker) -> None:
        """The provider cools down anew, for its full time."""
        assert permit_of(tracker).failure(DOWN) is True
        assert cooling_of(tracker) == 30.0
        assert tracker.snapshot()["grok"].openings == 2

    def test_a_released_probe_is_given_back(self, tracker: BreakerCooldownTracker) -> None:
        """The next caller probes, in the same era."""
        permit_of(tracker).release()
        assert tracker.is_available("grok") is True
        permit_of(tracker).success()
        assert state_of(tracker) == "closed"

    def test_a_dropped_probe_is_given_back(self, tracker: BreakerCooldownTracker) -> None:
        """A permit that is lost without an outcome does not hold the slot."""
        probe = permit_of(tracker)
        del probe
        assert permit_of(tracker).cooling is None

    @pytest.mark.parametrize("settle", ["success", "release"])
    def test_a_settled_probe_is_given_back_though_its_permit_lives(
        self, clock: FrozenDateTimeFactory, settle: str
    ) -> None:
        """The next probe waits for the outcome, not for the garbage collector."""
        tracker = open_tracker(success_threshold=2)
        clock.tick(30)
        probe = permit_of(tracker)
        getattr(probe, settle)()
        assert permit_of(tracker) is not probe

    def test_a_forced_terminus_claims_a_free_probe(self, tracker: BreakerCooldownTracker) -> None:
        """The terminus is a probe like any other when nobody probes."""
        probe = permit_of(tracker, force=True)
        assert probe.cooling is None
        assert cooling_of(tracker) == 0.0

    def test_a_forced_terminus_beside_a_probe_is_let_through(self, tracker: BreakerCooldownTracker) -> None:
        """It is attempted, and its permit says that the provider is not free."""
        probe = permit_of(tracker)
        cooling = permit_of(tracker, force=True).cooling
        assert cooling is not None
        assert cooling.cooldown_remaining == 0.0
        probe.release()

    def test_a_forced_success_counts(self, tracker: BreakerCooldownTracker) -> None:
        """Its success closes, which makes the probe's outcome stale."""
        probe = permit_of(tracker)
        permit_of(tracker, force=True).success()
        assert state_of(tracker) == "closed"
        assert probe.failure(DOWN) is False
        assert state_of(tracker) == "closed"

    def test_a_forced_failure_opens_again(self, tracker: BreakerCooldownTracker) -> None:
        """Its failure opens, which makes the probe's outcome stale."""
        probe = permit_of(tracker)
        assert permit_of(tracker, force=True).failure(DOWN) is True
        probe.success()
        assert state_of(tracker) == "open"

    def test_a_forced_release_leaves_the_probe_alone(self, tracker: BreakerCooldownTracker) -> None:
        """What was not held is not given back."""
        probe = permit_of(tracker)
        permit_of(tracker, force=True).release()
        assert tracker.is_available("grok") is False
        probe.release()

    def test_success_threshold_takes_probes_one_by_one(self, clock: FrozenDateTimeFactory) -> None:
        """Each success frees the slot for the next probe, until the threshold closes."""
        tracker = open_tracker(success_threshold=3)
        clock.tick(30)
        for _ in range(2):
            permit_of(tracker).success()
            assert state_of(tracker) == "half-open"
        permit_of(tracker).success()
        assert state_of(tracker) == "closed"

    def test_a_failure_between_successes_starts_over(self, clock: FrozenDateTimeFactory) -> None:
        """The successes of one half-open era do not count in the next."""
        tracker = open_tracker(success_threshold=2)
        clock.tick(30)
        permit_of(tracker).success()
        permit_of(tracker).failure(DOWN)
        clock.tick(30)
        permit_of(tracker).success()
        assert state_of(tracker) == "half-open"

    def test_a_probe_counts_once(self, clock: FrozenDateTimeFactory) -> None:
        """A spent probe cannot reach the threshold on its own."""
        tracker = open_tracker(success_threshold=2)
        clock.tick(30)
        probe = permit_of(tracker)
        probe.success()
        probe.success()
        assert state_of(tracker) == "half-open"


class TestLease:
    """A probe without an outcome is presumed lost after a time."""

    @pytest.mark.parametrize(
        ("settings", "lease"),
        [({}, 60.0), ({"reset_timeout": 90.0}, 90.0), ({"probe_lease": 5.0}, 5.0)],
    )
    def test_ends_exactly(self, clock: FrozenDateTimeFactory, settings: dict[str, Any], lease: float) -> None:
        """The next probe begins when the lease is over, not a microsecond before."""
        tracker = open_tracker(**settings)
        clock.tick(90)
        lost = permit_of(tracker)
        clock.tick(timedelta(seconds=lease) - MICROSECOND)
        assert tracker.is_available("grok") is False
        clock.tick(MICROSECOND)
        assert tracker.is_available("grok") is True
        assert permit_of(tracker) is not lost

    @pytest.mark.parametrize("late", ["success", "failure", "release", "drop"])
    def test_what_comes_of_a_lost_probe_is_stale(self, clock: FrozenDateTimeFactory, late: str) -> None:
        """The new probe is of a new era: nothing that the old one brings touches it."""
        tracker = open_tracker(probe_lease=5.0)
        clock.tick(30)
        held = [permit_of(tracker)]
        clock.tick(5)
        probe = permit_of(tracker)
        lost = held.pop()
        if late == "success":
            lost.success()
        elif late == "failure":
            assert lost.failure(DOWN) is False
        elif late == "release":
            lost.release()
        del lost
        assert state_of(tracker) == "half-open"
        assert tracker.is_available("grok") is False
        probe.success()
        assert state_of(tracker) == "closed"

    def test_a_lost_probe_discards_the_successes_before_it(self, clock: FrozenDateTimeFactory) -> None:
        """A new era counts towards success_threshold from zero."""
        tracker = open_tracker(probe_lease=5.0, success_threshold=2)
        clock.tick(30)
        permit_of(tracker).success()
        lost = permit_of(tracker)
        clock.tick(5)
        permit_of(tracker).success()
        assert state_of(tracker) == "half-open"
        lost.release()


class TestStaleOutcomes:
    """Outcomes of calls that began before the trip."""

    @pytest.mark.parametrize("is_success", [True, False])
    @pytest.mark.parametrize(
        "moment", ["while open", "after the cooldown", "during the probe", "after recovery"]
    )
    def test_change_nothing(self, clock: FrozenDateTimeFactory, moment: str, is_success: bool) -> None:
        """Whenever it arrives, and whatever it is."""
        tracker = BreakerCooldownTracker(fail_max=2)
        late = permit_of(tracker)
        for _ in range(2):
            permit_of(tracker).failure(DOWN)
        probe = None
        if moment != "while open":
            clock.tick(30)
        if moment in {"during the probe", "after recovery"}:
            probe = permit_of(tracker)
        if moment == "after recovery":
            assert probe is not None
            probe.success()
        before = tracker.snapshot()
        if is_success:
            late.success()
        else:
            assert late.failure(ValueError("late")) is False
        assert tracker.snapshot() == before


class TestCoolDownByVerdict:
    """A failure that says to leave the provider alone, and perhaps for how long."""

    @pytest.mark.parametrize("seconds", [0.001, 5.0, 5000.0])
    @pytest.mark.usefixtures("clock")
    def test_opens_a_closed_breaker_for_exactly_that_long(self, seconds: float) -> None:
        """However far `fail_max` is, and whatever jitter and `max_reset_timeout` say of other cooldowns."""
        tracker = BreakerCooldownTracker(fail_max=100, jitter=1.0, max_reset_timeout=40.0)
        assert permit_of(tracker).cool_down(DOWN, seconds) is True
        assert tracker.snapshot()["grok"] == CooldownStatus("open", 1, seconds, 1, "down")
        assert cooling_of(tracker) == seconds

    @pytest.mark.usefixtures("clock")
    def test_counts_one_failure_beside_those_before(self) -> None:
        """The breaker has it, too, and is open."""
        tracker = BreakerCooldownTracker(fail_max=100)
        permit_of(tracker).failure(DOWN)
        permit_of(tracker).cool_down(DOWN, 5.0)
        breaker = tracker.breaker("grok")
        assert (breaker.fail_counter, breaker.current_state, breaker.state.name) == (2, "open", "open")

    @pytest.mark.usefixtures("clock")
    def test_lasts_as_long_as_the_tracker_s_own_without_seconds(self) -> None:
        """With jitter, drawn once."""
        tracker = BreakerCooldownTracker(backoff_factor=2.0, jitter=0.5, random=random.Random(7))
        assert permit_of(tracker).cool_down(DOWN, None) is True
        expected = random.Random(7)
        assert cooling_of(tracker) == round(30.0 * (1.0 + 0.5 * expected.random()), 6)
        assert tracker._random.getstate() == expected.getstate()

    @pytest.mark.parametrize("seconds", [None, 5.0])
    @pytest.mark.usefixtures("clock")
    def test_draws_nothing_where_there_is_no_length_to_draw(self, seconds: float | None) -> None:
        """With seconds, and where nothing opens: while it cools, and when it is stale or spent."""
        generator = random.Random(7)
        tracker = BreakerCooldownTracker(jitter=1.0, random=generator)
        shared = permit_of(tracker)
        tracker.cool_down("grok", 60.0)
        forced = permit_of(tracker, force=True)
        before = generator.getstate()
        assert [each.cool_down(DOWN, seconds) for each in (shared, forced, forced)] == [False] * 3
        tracker.reset("grok")
        assert shared.cool_down(DOWN, seconds) is False
        if seconds is not None:
            assert permit_of(tracker).cool_down(DOWN, seconds) is True
        assert generator.getstate() == before

    @pytest.mark.usefixtures("clock")
    def test_opens_once(self) -> None:
        """The first of several says so; the others are stale, and the latest end of them all holds."""
        tracker = BreakerCooldownTracker()
        permits = [permit_of(tracker) for _ in range(4)]
        ends = (10.0, 40.0, None, 20.0)
        told = [permit.cool_down(DOWN, seconds) for permit, seconds in zip(permits, ends, strict=True)]
        assert told == [True, False, False, False]
        assert tracker.snapshot()["grok"] == CooldownStatus("open", 1, 40.0, 1, "down")

    @pytest.mark.parametrize(("seconds", "length"), [(5.0, 5.0), (5000.0, 5000.0), (None, 60.0)])
    @pytest.mark.parametrize("whose", ["the probe's", "a terminus's beside the probe", "a terminus's before"])
    def test_opens_again_once_the_cooldown_is_over(
        self, clock: FrozenDateTimeFactory, whose: str, seconds: float | None, length: float
    ) -> None:
        """It is a failed probe: seconds as they are, else with backoff, and the probe is given back."""
        tracker = open_tracker(backoff_factor=2.0)
        early = permit_of(tracker, force=True)
        clock.tick(30)
        if whose == "a terminus's before":
            permit = early
        else:
            probe = permit_of(tracker)
            permit = probe if whose == "the probe's" else permit_of(tracker, force=True)
        assert permit.cool_down(ValueError("again"), seconds) is True
        assert tracker.snapshot()["grok"] == CooldownStatus("open", 2, length, 2, "again")
        clock.tick(length)
        assert permit_of(tracker) is not permit

    @pytest.mark.parametrize("seconds", [5.0, None])
    def test_is_one_more_failed_probe_for_the_backoff(
        self, clock: FrozenDateTimeFactory, seconds: float | None
    ) -> None:
        """The cooldown after it grows, whether its own length was the vendor's or not."""
        tracker = open_tracker(backoff_factor=2.0)
        clock.tick(30)
        permit_of(tracker).cool_down(DOWN, seconds)
        clock.tick(60)
        assert permit_of(tracker).failure(DOWN) is True
        assert cooling_of(tracker) == 120.0

    def test_of_a_closed_breaker_is_no_failed_probe(self, clock: FrozenDateTimeFactory) -> None:
        """The probe that fails after it is the first of its row."""
        tracker = BreakerCooldownTracker(backoff_factor=2.0)
        permit_of(tracker).cool_down(DOWN, 5.0)
        clock.tick(5)
        permit_of(tracker).failure(DOWN)
        assert cooling_of(tracker) == 60.0

    def test_makes_the_successes_before_it_count_for_nothing(self, clock: FrozenDateTimeFactory) -> None:
        """`success_threshold` is reached within one half-open era."""
        tracker = open_tracker(success_threshold=2)
        clock.tick(30)
        permit_of(tracker).success()
        permit_of(tracker).cool_down(DOWN, 5.0)
        clock.tick(5)
        permit_of(tracker).success()
        assert state_of(tracker) == "half-open"

    @pytest.mark.parametrize(
        ("seconds", "left"),
        [(19.999999, 20.0), (20.0, 20.0), (20.000001, 20.000001), (60.0, 60.0), (None, 20.0)],
    )
    @pytest.mark.parametrize("whose", ["a terminus's", "a stale one's", "a stale probe's"])
    def test_may_move_the_end_of_a_running_cooldown_later(
        self, clock: FrozenDateTimeFactory, whose: str, seconds: float | None, left: float
    ) -> None:
        """Never earlier, and without seconds not at all. It is no new opening, and says False."""
        tracker = BreakerCooldownTracker(fail_max=1, probe_lease=1.0)
        permit = permit_of(tracker)
        permit_of(tracker).failure(DOWN)
        if whose == "a stale probe's":
            clock.tick(30)
            permit = permit_of(tracker)
            clock.tick(1)
            permit_of(tracker).failure(DOWN)
        elif whose == "a terminus's":
            permit = permit_of(tracker, force=True)
        clock.tick(10)
        before = tracker.snapshot()["grok"]
        assert permit.cool_down(ValueError("later"), seconds) is False
        text = "later" if whose == "a terminus's" else "down"
        assert tracker.snapshot()["grok"] == attrs.evolve(before, cooldown_remaining=left, last_error=text)
        clock.tick(timedelta(seconds=left) - MICROSECOND)
        assert tracker.is_available("grok") is False
        clock.tick(MICROSECOND)
        assert tracker.is_available("grok") is True

    def test_an_end_that_was_moved_is_the_one_that_executions_see(self, clock: FrozenDateTimeFactory) -> None:
        """They pass the provider over until then, though they need not ask."""
        tracker = BreakerCooldownTracker(fail_max=1)
        late = permit_of(tracker)
        permit_of(tracker).failure(DOWN)
        late.cool_down(DOWN, 60.0)
        clock.tick(45)
        config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker)
        chain = [NamedProvider("grok", None), NamedProvider("gemini", None)]
        result = execute(chain, config, lambda provider: provider.name)
        assert [line.cooldown_remaining for line in result.attempts] == [15.0, None]

    def test_an_end_that_was_moved_moves_back_with_the_clock(self, clock: FrozenDateTimeFactory) -> None:
        """At worst it is the vendor's seconds away, from the next look."""
        tracker = open_tracker()
        clock.tick(20)
        permit_of(tracker, force=True).cool_down(DOWN, 60.0)
        clock.tick(-15)
        assert tracker.cooldown_remaining("grok") == 60.0

    def test_permits_of_an_era_whose_end_was_moved_stay_good(self, clock: FrozenDateTimeFactory) -> None:
        """No era has begun."""
        tracker = open_tracker()
        permit = permit_of(tracker, force=True)
        permit_of(tracker, force=True).cool_down(DOWN, 60.0)
        clock.tick(40)
        permit.success()
        assert state_of(tracker) == "closed"

    @pytest.mark.parametrize(("seconds", "left"), [(60.0, 60.0), (5.0, 20.0), (None, 20.0)])
    def test_a_forced_permit_tells_the_end_that_is_known_then(
        self, clock: FrozenDateTimeFactory, seconds: float | None, left: float
    ) -> None:
        """Whoever has moved it."""
        tracker = open_tracker()
        permit = permit_of(tracker, force=True)
        clock.tick(10)
        permit.cool_down(DOWN, seconds)
        assert permit.cooling == Cooling(left)

    @pytest.mark.parametrize("seconds", [60.0, 5.0])
    @pytest.mark.parametrize("whose", ["a cooldown's before", "a probe's before"])
    def test_a_forced_permit_of_an_earlier_era_tells_the_present_end(
        self, clock: FrozenDateTimeFactory, whose: str, seconds: float
    ) -> None:
        """What it learned when it was given out has been over for long."""
        tracker = open_tracker()
        permit = permit_of(tracker, force=True)
        clock.tick(30)
        probe = permit_of(tracker)
        if whose == "a probe's before":
            permit = permit_of(tracker, force=True)
        probe.failure(DOWN)
        clock.tick(10)
        assert permit.cool_down(DOWN, seconds) is False
        assert permit.cooling == Cooling(max(20.0, seconds))
        assert tracker.cooldown_remaining("grok") == max(20.0, seconds)

    @pytest.mark.parametrize("seconds", [60.0, None])
    @pytest.mark.parametrize("state", ["closed", "half-open", "probed", "over"])
    def test_a_stale_one_changes_nothing_where_nothing_cools(
        self, clock: FrozenDateTimeFactory, state: str, seconds: float | None
    ) -> None:
        """While closed, half-open, with or without a probe, and when a later cooldown is over."""
        tracker = BreakerCooldownTracker(fail_max=2, success_threshold=2)
        stale = [permit_of(tracker)]
        for _ in range(2):
            permit_of(tracker).failure(DOWN)
        stale.append(permit_of(tracker, force=True))
        clock.tick(30)
        probe = permit_of(tracker)
        stale.append(permit_of(tracker, force=True))
        if state == "closed":
            tracker.reset("grok")
            permit_of(tracker).failure(DOWN)
        elif state == "over":
            probe.failure(DOWN)
            clock.tick(30)
        else:
            tracker.breaker("grok").half_open()
            permit_of(tracker).success()
            probe = permit_of(tracker) if state == "probed" else probe
        before, cooling = tracker.snapshot(), [permit.cooling for permit in stale]
        assert [permit.cool_down(ValueError("late"), seconds) for permit in stale] == [False] * 3
        assert tracker.snapshot() == before
        assert [permit.cooling for permit in stale] == cooling
        assert tracker.is_available("grok") is (state != "probed")
        probe.release()

    @pytest.mark.parametrize("settle", ["success", "release", "failure", "cool_down"])
    @pytest.mark.parametrize("permit_s", ["a terminus", "a probe"])
    def test_a_spent_permit_tells_nothing(
        self, clock: FrozenDateTimeFactory, permit_s: str, settle: str
    ) -> None:
        """Not even a later end."""
        tracker = open_tracker()
        if permit_s == "a probe":
            clock.tick(30)
        permit = permit_of(tracker, force=True)
        arguments = {"failure": (DOWN,), "cool_down": (DOWN, 1.0)}.get(settle, ())
        getattr(permit, settle)(*arguments)
        tracker.cool_down("grok", 5)
        before, cooling = tracker.snapshot(), permit.cooling
        assert permit.cool_down(ValueError("twice"), 60.0) is False
        assert permit.failure(ValueError("twice")) is False
        assert tracker.snapshot() == before
        assert permit.cooling == cooling

    @pytest.mark.usefixtures("clock")
    def test_a_hand_may_end_it_earlier(self) -> None:
        """Vendors only move the end later; who sets it by hand sets it."""
        tracker = BreakerCooldownTracker()
        permit_of(tracker).cool_down(DOWN, 60.0)
        tracker.cool_down("grok", 5)
        assert cooling_of(tracker) == 5.0
        tracker.reset("grok")
        assert permit_of(tracker).cooling is None

    @pytest.mark.usefixtures("clock")
    def test_makes_one_that_was_forgotten_known_again(self) -> None:
        """Its cooldown runs on when the permit is gone."""
        tracker = BreakerCooldownTracker(max_providers=1)
        permit = permit_of(tracker)
        tracker.breaker("gemini")
        assert permit.cool_down(DOWN, 60.0) is True
        del permit
        gc.collect()
        assert tracker.cooldown_remaining("grok") == 60.0


class TestBegin:
    """A permit of an answer that has begun, and whose end is not in sight."""

    def probe(self, clock: FrozenDateTimeFactory, **settings: Any) -> tuple[BreakerCooldownTracker, Permit]:
        """Return a tracker whose provider is being probed, and the probe's permit."""
        tracker = open_tracker(backoff_factor=2.0, **settings)
        clock.tick(30)
        return tracker, permit_of(tracker)

    def test_counts_the_probe_s_success_now(self, clock: FrozenDateTimeFactory) -> None:
        """The provider is back, and nobody waits for the end."""
        tracker, probe = self.probe(clock)
        begun = probe.begin()
        assert begun is not probe
        assert (begun.cooling, state_of(tracker)) == (None, "closed")
        assert tracker.snapshot()["grok"].failures == 0

    def test_frees_the_slot_for_the_next_probe(self, clock: FrozenDateTimeFactory) -> None:
        """While both permits live, others probe and reach `success_threshold`."""
        tracker, probe = self.probe(clock, success_threshold=3)
        held = [probe.begin()]
        assert state_of(tracker) == "half-open"
        held.append(permit_of(tracker).begin())
        assert state_of(tracker) == "half-open"
        permit_of(tracker).success()
        assert state_of(tracker) == "closed"

    @pytest.mark.parametrize("settle", ["success", "release", "drop"])
    @pytest.mark.parametrize("success_threshold", [1, 2])
    def test_an_end_without_a_failure_counts_nothing(
        self, clock: FrozenDateTimeFactory, success_threshold: int, settle: str
    ) -> None:
        """One attempt is one success; failures of others in the era stay."""
        tracker, probe = self.probe(clock, success_threshold=success_threshold)
        tracker.breaker("grok").fail_max = 9
        begun = probe.begin()
        if success_threshold == 1:
            permit_of(tracker).failure(DOWN)
        before = tracker.snapshot()
        if settle != "drop":
            getattr(begun, settle)()
        del begun
        assert tracker.snapshot() == before
        assert permit_of(tracker).cooling is None

    def test_a_failure_counts_in_the_closed_era_that_follows(self, clock: FrozenDateTimeFactory) -> None:
        """As one among others."""
        tracker, probe = self.probe(clock)
        tracker.breaker("grok").fail_max = 2
        begun = probe.begin()
        assert begun.failure(ValueError("broken off")) is False
        assert tracker.snapshot()["grok"] == CooldownStatus("closed", 1, 0.0, 1, "broken off")
        assert permit_of(tracker).failure(DOWN) is True
        assert cooling_of(tracker) == 30.0

    def test_a_failure_opens_again_while_half_open(self, clock: FrozenDateTimeFactory) -> None:
        """With probes to go, it is a failed probe."""
        tracker, probe = self.probe(clock, success_threshold=2)
        assert probe.begin().failure(DOWN) is True
        assert cooling_of(tracker) == 60.0

    @pytest.mark.parametrize(("seconds", "left"), [(5.0, 5.0), (None, 30.0)])
    def test_a_cool_down_opens_the_closed_era_that_follows(
        self, clock: FrozenDateTimeFactory, seconds: float | None, left: float
    ) -> None:
        """At once, and as the first cooldown of its row."""
        tracker, probe = self.probe(clock)
        tracker.breaker("grok").fail_max = 9
        assert probe.begin().cool_down(DOWN, seconds) is True
        assert cooling_of(tracker) == left

    @pytest.mark.parametrize(("seconds", "left"), [(5.0, 5.0), (None, 60.0)])
    def test_a_cool_down_opens_again_while_half_open(
        self, clock: FrozenDateTimeFactory, seconds: float | None, left: float
    ) -> None:
        """With probes to go, it is a failed probe."""
        tracker, probe = self.probe(clock, success_threshold=2)
        assert probe.begin().cool_down(DOWN, seconds) is True
        assert cooling_of(tracker) == left

    @pytest.mark.parametrize("success_threshold", [1, 2])
    def test_what_arrives_in_a_later_era_is_stale(
        self, clock: FrozenDateTimeFactory, success_threshold: int
    ) -> None:
        """A failure changes nothing, a vendor's cooldown may move the end."""
        tracker, probe = self.probe(clock, success_threshold=success_threshold)
        begun = probe.begin()
        tracker.cool_down("grok", 10)
        clock.tick(10)
        permit_of(tracker).failure(DOWN)
        before = tracker.snapshot()
        assert begun.failure(ValueError("late")) is False
        assert tracker.snapshot() == before

        tracker, probe = self.probe(clock, success_threshold=success_threshold)
        begun = probe.begin()
        tracker.cool_down("grok", 10)
        assert begun.cool_down(DOWN, 60.0) is False
        assert cooling_of(tracker) == 60.0

    def test_a_begun_permit_takes_one_outcome(self, clock: FrozenDateTimeFactory) -> None:
        """Like that of any single attempt, though the era that follows may be a closed one."""
        for settle in ("success", "release", "failure", "cool_down"):
            tracker, probe = self.probe(clock)
            tracker.breaker("grok").fail_max = 9
            begun = probe.begin()
            arguments = {"failure": (DOWN,), "cool_down": (DOWN, 1.0)}.get(settle, ())
            getattr(begun, settle)(*arguments)
            before = tracker.snapshot()
            assert begun.failure(ValueError("twice")) is False
            assert begun.cool_down(ValueError("twice"), 60.0) is False
            assert tracker.snapshot() == before

    def test_begins_once(self, clock: FrozenDateTimeFactory) -> None:
        """The permit for the rest is its own rest, and the probe's is spent."""
        tracker, probe = self.probe(clock, success_threshold=3)
        begun = probe.begin()
        assert begun.begin() is begun
        assert probe.begin() is probe
        probe.success()
        permit_of(tracker).success()
        assert state_of(tracker) == "half-open"
        assert probe.failure(DOWN) is False
        assert state_of(tracker) == "half-open"

    def lost(self, clock: FrozenDateTimeFactory) -> tuple[BreakerCooldownTracker, Permit, Permit]:
        """Return a tracker, the permit of a probe whose lease is over, and that of the next probe."""
        tracker, probe = self.probe(clock, probe_lease=5.0)
        clock.tick(5)
        return tracker, probe, permit_of(tracker)

    @pytest.mark.parametrize("settle", ["success", "release", "failure", "drop"])
    def test_of_a_lost_probe_is_stale(self, clock: FrozenDateTimeFactory, settle: str) -> None:
        """It neither counts nor touches the next probe, and what comes after it does not, either."""
        tracker, probe, following = self.lost(clock)
        begun = probe.begin()
        assert cooling_of(tracker) == 0.0
        if settle == "failure":
            assert begun.failure(DOWN) is False
        elif settle != "drop":
            getattr(begun, settle)()
        del begun, probe
        assert (state_of(tracker), cooling_of(tracker)) == ("half-open", 0.0)
        following.success()
        assert state_of(tracker) == "closed"

    def test_of_a_lost_probe_stays_stale_once_the_breaker_is_closed(
        self, clock: FrozenDateTimeFactory
    ) -> None:
        """Its failure is none of the closed era's."""
        tracker, probe, following = self.lost(clock)
        following.success()
        begun = probe.begin()
        assert begun.failure(DOWN) is begun.cool_down(DOWN, 5.0) is False
        assert tracker.snapshot()["grok"] == CooldownStatus("closed", 0, 0.0, 1, "down")

    def test_of_a_lost_probe_may_move_the_end_later(self, clock: FrozenDateTimeFactory) -> None:
        """As anything stale may."""
        tracker, probe, following = self.lost(clock)
        begun = probe.begin()
        following.failure(DOWN)
        assert begun.cool_down(DOWN, 90.0) is False
        assert cooling_of(tracker) == 90.0

    def test_of_a_probe_whose_lease_is_over_counts_where_nobody_else_has_come(
        self, clock: FrozenDateTimeFactory
    ) -> None:
        """It is presumed lost by the next caller, and by nobody else."""
        tracker, probe = self.probe(clock, probe_lease=5.0)
        clock.tick(5)
        assert probe.begin() is not probe
        assert state_of(tracker) == "closed"

    @pytest.mark.parametrize("state", ["closed", "open", "half-open"])
    @pytest.mark.usefixtures("clock")
    def test_any_other_permit_is_its_own_rest(self, state: str) -> None:
        """That of a closed breaker, and a forced terminus's while it cools or beside a probe."""
        tracker = BreakerCooldownTracker()
        permit_of(tracker).failure(DOWN)
        probe = None
        if state == "open":
            tracker.cool_down("grok")
        elif state == "half-open":
            tracker.breaker("grok").half_open()
            probe = permit_of(tracker)
        permit = permit_of(tracker, force=True)
        before = tracker.snapshot()
        assert permit.begin() is permit
        assert tracker.snapshot() == before
        permit.success()
        assert (state_of(tracker), tracker.snapshot()["grok"].failures) == ("closed", 0)
        assert probe is None or probe.failure(DOWN) is False

    def test_holds_nothing_once_it_is_spent(self, clock: FrozenDateTimeFactory) -> None:
        """A permit that somebody keeps does not keep the provider's memory."""
        tracker, probe = self.probe(clock)
        begun = probe.begin()
        watched = weakref.ref(tracker.breaker("grok"))
        begun.success()
        del tracker, probe
        gc.collect()
        assert watched() is None


class TestRedact:
    """What is kept of errors."""

    @pytest.mark.parametrize("outcome", ["failure", "cool_down"])
    def test_is_masked(self, outcome: str) -> None:
        """By the tracker's function, whatever the outcome was."""
        tracker = BreakerCooldownTracker(redact=lambda text: text.replace("secret", "***"))
        permit = permit_of(tracker)
        error = ValueError("key=secret")
        _ = permit.failure(error) if outcome == "failure" else permit.cool_down(error, 5.0)
        assert tracker.snapshot()["grok"].last_error == "key=***"

    def test_that_raises_shows_nothing(self) -> None:
        """Of the text; the class says what it was, and the failure counts."""

        def broken(text: str) -> str:
            raise RuntimeError

        tracker = BreakerCooldownTracker(fail_max=1, redact=broken)
        assert tracker.record_failure("grok", ValueError("key=secret")) is True
        assert tracker.snapshot()["grok"].last_error == "ValueError"

    def test_must_be_a_function(self) -> None:
        """And none that has to be awaited."""

        async def later(text: str) -> str:
            return text

        for junk in (None, "x", later):
            with pytest.raises(InvalidConfigError, match="redact must be"):
                BreakerCooldownTracker(redact=junk)  # type: ignore[arg-type]  # what is tested


@pytest.mark.usefixtures("clock")
class TestViews:
    """is_available and cooldown_remaining."""

    def test_an_unknown_provider_is_available(self) -> None:
        """Asking makes nobody known."""
        tracker = BreakerCooldownTracker()
        assert tracker.is_available("new") is True
        assert tracker.cooldown_remaining("new") == 0.0
        assert tracker.snapshot() == {}

    def test_claim_nothing(self, clock: FrozenDateTimeFactory) -> None:
        """Any number of looks leaves the probe to who acquires it."""
        tracker = open_tracker()
        clock.tick(30)
        assert [tracker.is_available("grok") for _ in range(3)] == [True] * 3
        assert permit_of(tracker).cooling is None

    def test_an_elapsed_cooldown_shows_half_open(self, clock: FrozenDateTimeFactory) -> None:
        """What is shown is derived from the time, while pybreaker goes on saying open."""
        tracker = open_tracker()
        clock.tick(timedelta(seconds=30) - MICROSECOND)
        assert state_of(tracker) == "open"
        clock.tick(MICROSECOND)
        assert state_of(tracker) == "half-open"
        assert tracker.breaker("grok").current_state == "open"

    def test_remaining_is_never_negative(self, clock: FrozenDateTimeFactory) -> None:
        """Long after the end nothing is left, not less."""
        tracker = open_tracker()
        clock.tick(timedelta(days=1))
        assert tracker.cooldown_remaining("grok") == 0.0

    def test_snapshot_tells_of_each_provider(self) -> None:
        """State, failures, remaining cooldown, openings and the last error's text."""
        tracker = BreakerCooldownTracker(fail_max=2, reset_timeout=10)
        permit_of(tracker, "fine").success()
        permit_of(tracker, "shaky").failure(ValueError("line\nbreak"))
        for _ in range(2):
            permit_of(tracker, "down").failure(TimeoutError())
        assert tracker.snapshot() == {
            "fine": CooldownStatus("closed", 0, 0.0, 0, None),
            "shaky": CooldownStatus("closed", 1, 0.0, 0, "line\\nbreak"),
            "down": CooldownStatus("open", 2, 10.0, 1, "TimeoutError"),
        }

    def test_last_error_is_text(self) -> None:
        """The tracker keeps no exception, which would keep every frame of its traceback."""
        tracker = open_tracker()
        assert type(tracker.snapshot()["grok"].last_error) is str


class TestRecord:
    """Outcomes of attempts that the user made without a permit."""

    @pytest.mark.usefixtures("clock")
    def test_failures_count_like_an_attempt_s(self) -> None:
        """fail_max of them start a cooldown; the last one says so."""
        tracker = BreakerCooldownTracker(fail_max=2)
        assert [tracker.record_failure("grok", DOWN) for _ in range(2)] == [False, True]

    @pytest.mark.usefixtures("clock")
    def test_exempt_providers_are_counted(self) -> None:
        """EXEMPT_PROVIDERS is execution's business."""
        assert BreakerCooldownTracker(fail_max=1).record_failure("laozhang", DOWN) is True

    def test_a_failure_while_open_changes_nothing(self, clock: FrozenDateTimeFactory) -> None:
        """As a forced terminus's."""
        tracker = open_tracker()
        clock.tick(10)
        assert tracker.record_failure("grok", DOWN) is False
        assert tracker.cooldown_remaining("grok") == 20.0

    def test_a_failure_after_the_cooldown_opens_again(self, clock: FrozenDateTimeFactory) -> None:
        """It begins now, so it is a failed probe."""
        tracker = open_tracker()
        clock.tick(30)
        assert tracker.record_failure("grok", DOWN) is True

    def test_a_failure_during_a_probe_opens_again(self, clock: FrozenDateTimeFactory) -> None:
        """The probe's own outcome is stale then."""
        tracker = open_tracker()
        clock.tick(30)
        probe = permit_of(tracker)
        assert tracker.record_failure("grok", DOWN) is True
        probe.success()
        assert state_of(tracker) == "open"

    def test_successes_are_the_twin(self, clock: FrozenDateTimeFactory) -> None:
        """They forget failures, close an open breaker, and count as a probe when the cooldown is over."""
        tracker = BreakerCooldownTracker(fail_max=2)
        tracker.record_failure("grok", DOWN)
        tracker.record_success("grok")
        assert tracker.snapshot()["grok"].failures == 0
        tracker.cool_down("grok")
        tracker.record_success("grok")
        assert state_of(tracker) == "closed"
        tracker.cool_down("grok")
        clock.tick(30)
        tracker.record_success("grok")
        assert state_of(tracker) == "closed"


class TestByHand:
    """cool_down, reset and the breaker that is handed out."""

    @pytest.mark.parametrize(("seconds", "expected"), [(None, 30.0), (5, 5.0), (timedelta(hours=1), 3600.0)])
    @pytest.mark.usefixtures("clock")
    def test_cool_down_starts_a_cooldown(self, seconds: float | timedelta | None, expected: float) -> None:
        """Of the length given, shorter or longer than reset_timeout; None is reset_timeout."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("grok", seconds)
        assert cooling_of(tracker) == expected
        assert tracker.snapshot()["grok"].openings == 1

    @pytest.mark.parametrize("seconds", [5.0, 300.0])
    def test_cool_down_sets_the_end_of_a_running_cooldown(
        self, clock: FrozenDateTimeFactory, seconds: float
    ) -> None:
        """Earlier or later, and it is no new opening: permits of the era stay good."""
        tracker = open_tracker()
        clock.tick(10)
        permit = permit_of(tracker, force=True)
        tracker.cool_down("grok", seconds)
        assert tracker.cooldown_remaining("grok") == seconds
        assert tracker.snapshot()["grok"].openings == 1
        permit.success()
        assert state_of(tracker) == "closed"

    @pytest.mark.parametrize("seconds", [5.0, 300.0])
    def test_seconds_given_by_hand_outlive_the_breaker_s_timeout(
        self, clock: FrozenDateTimeFactory, seconds: float
    ) -> None:
        """The breaker's own timeout decides nothing: not when it is longer, not when it has passed."""
        tracker = BreakerCooldownTracker(reset_timeout=30)
        tracker.cool_down("grok", seconds)
        clock.tick(timedelta(seconds=seconds) - MICROSECOND)
        assert cooling_of(tracker) > 0.0
        assert permit_of(tracker, force=True).failure(DOWN) is False
        clock.tick(MICROSECOND)
        assert tracker.snapshot()["grok"].openings == 1
        permit_of(tracker).success()
        assert state_of(tracker) == "closed"

    def test_cool_down_after_the_end_is_a_new_opening(self, clock: FrozenDateTimeFactory) -> None:
        """An elapsed cooldown is half-open, so the permits from before are stale."""
        tracker = open_tracker()
        permit = permit_of(tracker, force=True)
        clock.tick(30)
        tracker.cool_down("grok", 5)
        permit.success()
        assert cooling_of(tracker) == 5.0
        assert tracker.snapshot()["grok"].openings == 2

    def test_a_failure_after_an_end_by_hand_is_a_failed_probe(self, clock: FrozenDateTimeFactory) -> None:
        """A cooldown that was set shorter than reset_timeout is over when it is over."""
        tracker = BreakerCooldownTracker(fail_max=1)
        tracker.cool_down("grok", 5)
        forced = permit_of(tracker, force=True)
        clock.tick(5)
        assert forced.failure(DOWN) is True
        assert cooling_of(tracker) == 30.0

    @pytest.mark.parametrize("hand", ["cool_down", "open", "half_open"])
    def test_a_hand_is_no_failed_probe(self, clock: FrozenDateTimeFactory, hand: str) -> None:
        """The first probe that fails afterwards is the first of its row."""
        tracker = BreakerCooldownTracker(backoff_factor=2.0)
        if hand == "cool_down":
            tracker.cool_down("grok")
        else:
            getattr(tracker.breaker("grok"), hand)()
        clock.tick(30)
        assert permit_of(tracker).failure(DOWN) is True
        assert cooling_of(tracker) == 60.0

    @pytest.mark.parametrize("earlier", ["a failed probe", "cool_down"])
    def test_opening_by_hand_lasts_reset_timeout(self, clock: FrozenDateTimeFactory, earlier: str) -> None:
        """However long the cooldown before it was."""
        tracker = open_tracker(backoff_factor=2.0)
        clock.tick(30)
        if earlier == "cool_down":
            tracker.cool_down("grok", 5)
        else:
            permit_of(tracker).failure(DOWN)
        tracker.reset("grok")
        tracker.breaker("grok").open()
        assert cooling_of(tracker) == 30.0

    @pytest.mark.usefixtures("clock")
    def test_reset_closes(self) -> None:
        """The provider is called again at once, its failures forgotten, its history kept."""
        tracker = open_tracker()
        tracker.reset("grok")
        assert tracker.snapshot()["grok"] == CooldownStatus("closed", 0, 0.0, 1, "down")

    @pytest.mark.usefixtures("clock")
    def test_reset_forgets_failures_in_a_row(self) -> None:
        """Also while the breaker is closed."""
        tracker = BreakerCooldownTracker(fail_max=2)
        permit_of(tracker).failure(DOWN)
        tracker.reset("grok")
        assert permit_of(tracker).failure(DOWN) is False

    @pytest.mark.usefixtures("clock")
    def test_reset_of_a_stranger_is_no_error(self) -> None:
        """There is nothing to close."""
        tracker = BreakerCooldownTracker()
        tracker.reset("new")
        assert tracker.is_available("new") is True

    @pytest.mark.usefixtures("clock")
    def test_reset_all_closes_everything(self) -> None:
        """Every provider is called again."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("a")
        tracker.cool_down("b")
        tracker.reset_all()
        assert {status.state for status in tracker.snapshot().values()} == {"closed"}

    @pytest.mark.usefixtures("clock")
    def test_the_breaker_is_pybreaker_s(self) -> None:
        """With the provider's name and the tracker's settings, and always the same object."""
        tracker = BreakerCooldownTracker(4, 7.5, success_threshold=2)
        breaker = tracker.breaker("grok")
        assert type(breaker) is pybreaker.CircuitBreaker
        assert (breaker.name, breaker.fail_max, breaker.reset_timeout, breaker.success_threshold) == (
            "grok",
            4,
            7.5,
            2,
        )
        assert tracker.breaker("grok") is breaker

    @pytest.mark.usefixtures("clock")
    def test_the_breaker_counts_what_the_tracker_counts(self) -> None:
        """Its counter and its state can be read."""
        tracker = BreakerCooldownTracker(fail_max=2)
        breaker = tracker.breaker("grok")
        permit_of(tracker).failure(DOWN)
        assert (breaker.fail_counter, breaker.current_state) == (1, "closed")
        permit_of(tracker).failure(DOWN)
        assert (breaker.fail_counter, breaker.current_state) == (2, "open")

    def test_opening_by_hand_is_noticed(self, clock: FrozenDateTimeFactory) -> None:
        """By the next acquire; it lasts reset_timeout, without jitter or backoff."""
        tracker = BreakerCooldownTracker(jitter=1.0, backoff_factor=3.0)
        permit = permit_of(tracker)
        tracker.breaker("grok").open()
        assert cooling_of(tracker) == 30.0
        assert permit.failure(DOWN) is False
        clock.tick(30)
        assert permit_of(tracker).cooling is None

    @pytest.mark.usefixtures("clock")
    def test_closing_by_hand_is_noticed(self) -> None:
        """By the next acquire."""
        tracker = open_tracker()
        tracker.breaker("grok").close()
        assert permit_of(tracker).cooling is None
        assert state_of(tracker) == "closed"

    @pytest.mark.usefixtures("clock")
    def test_half_opening_by_hand_is_noticed(self) -> None:
        """The next caller probes before the cooldown is over."""
        tracker = open_tracker()
        tracker.breaker("grok").half_open()
        assert state_of(tracker) == "half-open"
        permit_of(tracker).success()
        assert state_of(tracker) == "closed"

    @pytest.mark.usefixtures("clock")
    def test_closing_what_is_closed_keeps_the_era(self) -> None:
        """Nothing has changed, so a permit from before still counts."""
        tracker = BreakerCooldownTracker(fail_max=1)
        permit = permit_of(tracker)
        tracker.breaker("grok").close()
        assert permit.failure(DOWN) is True


class TestSettings:
    """Lengths of cooldowns, and settings for single providers."""

    def fail_again(self, tracker: BreakerCooldownTracker, clock: FrozenDateTimeFactory) -> float:
        """Let the probe of the elapsed cooldown fail; return the next one's length."""
        clock.tick(timedelta(seconds=tracker.cooldown_remaining("grok")))
        assert permit_of(tracker).failure(DOWN) is True
        return tracker.cooldown_remaining("grok")

    def test_backoff_grows_to_its_limit(self, clock: FrozenDateTimeFactory) -> None:
        """Each cooldown straight from a failed probe is longer by the factor, up to max_reset_timeout."""
        tracker = open_tracker(backoff_factor=2.0, max_reset_timeout=200.0)
        assert tracker.cooldown_remaining("grok") == 30.0
        assert [self.fail_again(tracker, clock) for _ in range(4)] == [60.0, 120.0, 200.0, 200.0]

    def test_closing_starts_the_backoff_over(self, clock: FrozenDateTimeFactory) -> None:
        """The next trouble begins with reset_timeout."""
        tracker = open_tracker(backoff_factor=2.0)
        self.fail_again(tracker, clock)
        clock.tick(60)
        permit_of(tracker).success()
        permit_of(tracker).failure(DOWN)
        assert tracker.cooldown_remaining("grok") == 30.0

    def test_a_probe_given_back_is_no_failed_probe(self, clock: FrozenDateTimeFactory) -> None:
        """The backoff counts failed probes alone."""
        tracker = open_tracker(backoff_factor=2.0)
        clock.tick(30)
        permit_of(tracker).release()
        assert permit_of(tracker).failure(DOWN) is True
        assert tracker.cooldown_remaining("grok") == 60.0

    def test_a_reset_timeout_above_the_limit_is_the_limit(self, clock: FrozenDateTimeFactory) -> None:
        """max_reset_timeout never shortens a cooldown."""
        tracker = open_tracker(reset_timeout=900.0, backoff_factor=2.0)
        assert self.fail_again(tracker, clock) == 900.0

    @pytest.mark.parametrize("factor", [1.000001, 10.0, 1e300])
    def test_backoff_does_not_overflow(self, clock: FrozenDateTimeFactory, factor: float) -> None:
        """The exponent is capped before the power."""
        tracker = open_tracker(reset_timeout=0.001, max_reset_timeout=1e6, backoff_factor=factor)
        for _ in range(400):
            length = self.fail_again(tracker, clock)
        assert 0.001 <= length <= 1e6

    @pytest.mark.parametrize("factor", [10.0, 1e300])
    def test_backoff_reaches_its_limit_from_below_a_second(
        self, clock: FrozenDateTimeFactory, factor: float
    ) -> None:
        """The cap of the exponent does not keep the cooldown below max_reset_timeout."""
        tracker = open_tracker(reset_timeout=0.001, max_reset_timeout=1e6, backoff_factor=factor)
        assert [self.fail_again(tracker, clock) for _ in range(10)][-1] == 1e6

    def test_seconds_by_hand_are_taken_as_they_are(self, clock: FrozenDateTimeFactory) -> None:
        """Neither jitter nor the limit of the backoff applies, and no probe has failed."""
        tracker = open_tracker(jitter=1.0, backoff_factor=2.0, random=random.Random(1))
        tracker.cool_down("grok", 5000)
        assert tracker.cooldown_remaining("grok") == 5000.0
        clock.tick(5000)
        permit_of(tracker).failure(DOWN)
        assert 60.0 <= tracker.cooldown_remaining("grok") <= 120.0

    def test_jitter_is_drawn_once_an_opening(self, clock: FrozenDateTimeFactory) -> None:
        """From the generator given, in order; looks and refusals draw nothing."""
        expected = random.Random(7)
        tracker = open_tracker(jitter=0.5, random=random.Random(7))
        for _ in range(5):
            length = round(30.0 * (1.0 + 0.5 * expected.random()), 6)
            assert tracker.cooldown_remaining("grok") == length
            clock.tick(1)
            assert cooling_of(tracker) == pytest.approx(length - 1.0, abs=1e-6)
            self.fail_again(tracker, clock)
            expected_next = random.Random()
            expected_next.setstate(expected.getstate())
            assert tracker.cooldown_remaining("grok") == round(30.0 * (1.0 + 0.5 * expected_next.random()), 6)

    @pytest.mark.usefixtures("clock")
    def test_nothing_is_drawn_without_jitter(self) -> None:
        """A generator that is shared with something else is left as it was."""
        generator = random.Random(7)
        state = generator.getstate()
        tracker = open_tracker(jitter=0.0, random=generator)
        tracker.cool_down("grok")
        assert permit_of(tracker, "gemini").cool_down(DOWN, None) is True
        assert generator.getstate() == state

    @pytest.mark.usefixtures("clock")
    def test_failures_that_do_not_trip_draw_nothing(self) -> None:
        """Only an opening has a length."""
        generator = random.Random(3)
        before = generator.getstate()
        tracker = BreakerCooldownTracker(fail_max=3, jitter=1.0, random=generator)
        permit_of(tracker).failure(DOWN)
        assert generator.getstate() == before

    @pytest.mark.usefixtures("clock")
    def test_cool_down_without_seconds_has_jitter(self) -> None:
        """It is the tracker's own cooldown."""
        tracker = BreakerCooldownTracker(jitter=1.0, random=random.Random(7))
        tracker.cool_down("grok")
        assert tracker.cooldown_remaining("grok") == round(30.0 * (1.0 + random.Random(7).random()), 6)

    @pytest.mark.usefixtures("clock")
    def test_a_generator_of_the_user_s_runs_under_no_lock(self) -> None:
        """It may use the tracker, and set another end, which then holds."""

        class Curious(random.Random):
            def random(self) -> float:
                tracker.cool_down("grok", 1.0)
                return 0.5

        tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0, random=Curious())
        assert permit_of(tracker).failure(DOWN) is True
        assert tracker.cooldown_remaining("grok") == 1.0

    @pytest.mark.usefixtures("clock")
    def test_overrides_leave_the_rest_to_the_tracker(self) -> None:
        """A provider's own settings replace the tracker's one by one."""
        tracker = BreakerCooldownTracker(
            fail_max=1,
            reset_timeout=30,
            overrides={"slow": BreakerSettings(reset_timeout=timedelta(minutes=5))},
        )
        assert permit_of(tracker, "slow").failure(DOWN) is True
        assert cooling_of(tracker, "slow") == 300.0
        permit_of(tracker, "fast").failure(DOWN)
        assert cooling_of(tracker, "fast") == 30.0

    def test_every_setting_can_be_overridden(self, clock: FrozenDateTimeFactory) -> None:
        """Not only those of pybreaker."""
        own = BreakerSettings(
            fail_max=1,
            reset_timeout=10,
            success_threshold=2,
            backoff_factor=4.0,
            max_reset_timeout=30,
            jitter=0.0,
            probe_lease=3,
        )
        tracker = BreakerCooldownTracker(jitter=1.0, overrides={"grok": own})
        assert permit_of(tracker).failure(DOWN) is True
        assert self.fail_again(tracker, clock) == 30.0
        clock.tick(30)
        lost = permit_of(tracker)
        clock.tick(3)
        permit_of(tracker).success()
        assert state_of(tracker) == "half-open"
        lost.release()

    @pytest.mark.usefixtures("clock")
    def test_overrides_are_copied(self) -> None:
        """Changing the mapping later changes nothing."""
        overrides = {"grok": BreakerSettings(fail_max=1)}
        tracker = BreakerCooldownTracker(overrides=overrides)
        overrides.clear()
        assert permit_of(tracker).failure(DOWN) is True

    def test_settings_are_values(self) -> None:
        """They compare by what they say, and cannot be changed."""
        assert BreakerSettings(reset_timeout=timedelta(seconds=2)) == BreakerSettings(reset_timeout=2.0)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            BreakerSettings().fail_max = 3  # type: ignore[misc]


class TestClock:
    """Edges and steps of the clock."""

    @pytest.mark.parametrize("length", [0.000001, 0.1, 1 / 3, 30.0, 90.5, 1e9])
    def test_a_cooldown_ends_exactly(self, clock: FrozenDateTimeFactory, length: float) -> None:
        """A microsecond before it is running, then it is over; shown, viewed and acquired alike."""
        tracker = open_tracker(reset_timeout=length)
        clock.tick(timedelta(seconds=length) - MICROSECOND)
        assert (tracker.is_available("grok"), state_of(tracker)) == (False, "open")
        assert cooling_of(tracker) > 0.0
        clock.tick(MICROSECOND)
        assert (tracker.is_available("grok"), state_of(tracker)) == (True, "half-open")
        assert permit_of(tracker).cooling is None

    def test_a_step_forward_ends_it(self, clock: FrozenDateTimeFactory) -> None:
        """The end is a time of day."""
        tracker = open_tracker()
        clock.tick(timedelta(days=365))
        assert tracker.is_available("grok") is True

    @pytest.mark.parametrize("look", ["is_available", "cooldown_remaining", "snapshot", "acquire", "execute"])
    def test_a_step_back_moves_the_end_back(self, clock: FrozenDateTimeFactory, look: str) -> None:
        """After a step back of an hour a cooldown of 30 s is over 30 s after the next look."""
        tracker = open_tracker()
        clock.tick(20)
        clock.tick(timedelta(hours=-1))
        if look == "snapshot":
            tracker.snapshot()
        elif look == "execute":
            config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker)
            chain = [NamedProvider("grok", None), NamedProvider("gemini", None)]
            result = execute(chain, config, lambda provider: provider.name)
            assert result.response == "gemini"
            assert result.attempts[0].cooldown_remaining == 30.0
        else:
            getattr(tracker, look)("grok")
        assert tracker.cooldown_remaining("grok") == 30.0
        clock.tick(timedelta(seconds=30) - MICROSECOND)
        assert tracker.is_available("grok") is False
        clock.tick(MICROSECOND)
        assert tracker.is_available("grok") is True

    def test_a_step_back_moves_the_lease_back(self, clock: FrozenDateTimeFactory) -> None:
        """A lost probe holds its slot no longer than its lease from the next look."""
        tracker = open_tracker(probe_lease=5.0)
        clock.tick(30)
        lost = permit_of(tracker)
        clock.tick(timedelta(hours=-1))
        assert tracker.is_available("grok") is False
        clock.tick(5)
        assert tracker.is_available("grok") is True
        lost.release()

    def test_what_was_over_stays_over(self, clock: FrozenDateTimeFactory) -> None:
        """A step back does not bring a cooldown back that was seen to have ended."""
        tracker = open_tracker()
        clock.tick(30)
        assert tracker.is_available("grok") is True
        clock.tick(timedelta(hours=-1))
        assert tracker.is_available("grok") is True

    def test_a_tracker_may_be_older_than_the_freeze(self) -> None:
        """Built before, failing inside, looked at after: no clock is captured anywhere."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=3600)
        with freeze_time("2020-01-01") as frozen:
            permit_of(tracker).failure(DOWN)
            frozen.tick(1800)
            assert tracker.cooldown_remaining("grok") == 1800.0
        assert tracker.is_available("grok") is True  # years later


class TestNames:
    """How many providers are remembered."""

    @pytest.mark.usefixtures("clock")
    def test_the_healthy_are_forgotten_first(self) -> None:
        """At the bound, providers with nothing to lose make room; failures and cooldowns are kept."""
        tracker = BreakerCooldownTracker(fail_max=2, max_providers=16)
        tracker.cool_down("cooling")
        permit_of(tracker, "failing").failure(DOWN)
        for number in range(1000):
            permit_of(tracker, f"healthy-{number}").success()
        known = tracker.snapshot()
        assert len(known) <= 16
        assert known["cooling"].state == "open"
        assert known["failing"].failures == 1

    @pytest.mark.usefixtures("clock")
    def test_nobody_is_forgotten_while_there_is_room(self) -> None:
        """The bound itself is no excess."""
        tracker = BreakerCooldownTracker(max_providers=8)
        for number in range(8):
            permit_of(tracker, f"failing-{number}").failure(DOWN)
            assert len(tracker.snapshot()) == number + 1

    @pytest.mark.usefixtures("clock")
    def test_room_is_made_for_an_eighth_at_a_time(self) -> None:
        """Of the default, 1024, there are 896 left when one more has come."""
        tracker = BreakerCooldownTracker()
        for number in range(1024):
            tracker.breaker(f"healthy-{number}")
        assert len(tracker.snapshot()) == 1024
        tracker.breaker("one more")
        assert len(tracker.snapshot()) == 896

    @pytest.mark.usefixtures("clock")
    def test_who_has_recovered_has_nothing_to_lose(self) -> None:
        """Failures that a success has wiped out keep nobody longer than others."""
        tracker = BreakerCooldownTracker(max_providers=8)
        for number in range(7):
            permit_of(tracker, f"failing-{number}").failure(DOWN)
        permit_of(tracker, "recovered").failure(DOWN)
        permit_of(tracker, "recovered").success()
        tracker.breaker("newest")
        assert "recovered" not in tracker.snapshot()
        assert "failing-6" in tracker.snapshot()

    @pytest.mark.usefixtures("clock")
    def test_the_newest_is_known_beside_running_cooldowns(self) -> None:
        """It is not forgotten in the place of somebody who cannot be."""
        tracker = BreakerCooldownTracker(max_providers=8)
        for number in range(8):
            tracker.cool_down(f"cooling-{number}")
        tracker.breaker("newest")
        assert "newest" in tracker.snapshot()

    @pytest.mark.usefixtures("clock")
    def test_making_room_is_no_reason_to_warn(self, caplog: pytest.LogCaptureFixture) -> None:
        """Neither with room to spare afterwards nor with none, where an eighth more is borne."""
        tracker = BreakerCooldownTracker(max_providers=8)
        for number in range(20):
            tracker.breaker(f"healthy-{number}")
        tracker = BreakerCooldownTracker(max_providers=8)
        for number in range(7):
            tracker.cool_down(f"cooling-{number}")
        for number in range(2):
            tracker.breaker(f"healthy-{number}")
        assert len(tracker.snapshot()) == 9
        assert caplog.records == []

    @pytest.mark.usefixtures("clock")
    def test_recent_failures_are_kept(self) -> None:
        """Of many that failed once, the ones longest untouched are forgotten."""
        tracker = BreakerCooldownTracker(fail_max=2, max_providers=16)
        for number in range(1000):
            permit_of(tracker, f"failing-{number}").failure(DOWN)
        assert permit_of(tracker, "failing-999").failure(DOWN) is True
        assert permit_of(tracker, "failing-986").failure(DOWN) is True
        assert len(tracker.snapshot()) <= 16

    def test_elapsed_cooldowns_may_be_forgotten(self, clock: FrozenDateTimeFactory) -> None:
        """When nobody has asked for them for long."""
        tracker = BreakerCooldownTracker(max_providers=16)
        for number in range(16):
            tracker.cool_down(f"elapsed-{number}")
        clock.tick(30)
        for number in range(100):
            permit_of(tracker, f"healthy-{number}").failure(DOWN)
        assert len(tracker.snapshot()) <= 16

    def test_running_cooldowns_exceed_the_bound_with_one_warning(
        self, clock: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        """None of them is forgotten."""
        tracker = BreakerCooldownTracker(max_providers=16)
        for number in range(200):
            tracker.cool_down(f"cooling-{number}")
        assert all(not tracker.is_available(f"cooling-{number}") for number in range(200))
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "max_providers=16" in caplog.text
        clock.tick(30)
        for number in range(400):
            permit_of(tracker, f"healthy-{number}").success()
        assert len(tracker.snapshot()) <= 16

    @pytest.mark.usefixtures("clock")
    def test_failures_beside_many_cooldowns_are_kept_without_a_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Room is left for an eighth of the bound; it is cooldowns that are warned of, not failures."""
        tracker = BreakerCooldownTracker(fail_max=2, max_providers=16)
        for number in range(15):
            tracker.cool_down(f"cooling-{number}")
        for number in range(50):
            permit_of(tracker, f"failing-{number}").failure(DOWN)
        assert len(tracker.snapshot()) <= 15 + 16 // 8 + 2  # room is made when two more have come
        assert permit_of(tracker, "failing-49").failure(DOWN) is True
        assert permit_of(tracker, "failing-48").failure(DOWN) is True
        assert caplog.records == []

    def test_live_probes_are_kept(self, clock: FrozenDateTimeFactory) -> None:
        """A probe under way is not doubled because its provider was forgotten."""
        tracker = open_tracker(max_providers=2)
        clock.tick(30)
        probe = permit_of(tracker)
        for number in range(50):
            permit_of(tracker, f"healthy-{number}").success()
        assert tracker.is_available("grok") is False
        probe.success()

    @pytest.mark.usefixtures("clock")
    def test_a_live_permit_keeps_its_breaker(self) -> None:
        """A provider that was forgotten during a long call is known again when the call fails."""
        tracker = BreakerCooldownTracker(fail_max=1, max_providers=2)
        permit = permit_of(tracker)
        for number in range(50):
            permit_of(tracker, f"healthy-{number}").success()
        assert "grok" not in tracker.snapshot()
        assert permit.failure(DOWN) is True
        del permit
        assert state_of(tracker) == "open"

    @pytest.mark.usefixtures("clock")
    def test_a_hand_that_opens_one_that_was_forgotten_makes_it_known_again(self) -> None:
        """The cooldown runs on when the handle is gone."""
        tracker = BreakerCooldownTracker(max_providers=1)
        breaker = tracker.breaker("grok")
        tracker.breaker("gemini")
        assert "grok" not in tracker.snapshot()
        breaker.open()
        del breaker
        gc.collect()
        assert tracker.is_available("grok") is False
        assert tracker.snapshot()["grok"].cooldown_remaining == 30.0

    @pytest.mark.usefixtures("clock")
    def test_a_live_handle_keeps_its_breaker(self) -> None:
        """What a hand does with a breaker whose provider was forgotten is noticed."""
        tracker = BreakerCooldownTracker(max_providers=2)
        breaker = tracker.breaker("grok")
        for number in range(50):
            permit_of(tracker, f"healthy-{number}").success()
        assert "grok" not in tracker.snapshot()
        assert tracker.is_available("grok") is True
        assert tracker.breaker("grok") is breaker
        for number in range(50, 100):
            permit_of(tracker, f"healthy-{number}").success()
        breaker.open()
        del breaker
        assert tracker.is_available("grok") is False

    @pytest.mark.usefixtures("clock")
    def test_one_provider_may_be_the_bound(self) -> None:
        """The newest is always known."""
        tracker = BreakerCooldownTracker(max_providers=1)
        for name in "abc":
            permit_of(tracker, name).success()
            assert list(tracker.snapshot()) == [name]


class TestBadInput:
    """Each error names the setting and the value."""

    WHOLE = ("fail_max", "success_threshold", "max_providers")
    SECONDS = ("reset_timeout", "max_reset_timeout")
    BAD_NUMBERS: tuple[object, ...] = (float("nan"), float("inf"), float("-inf"), -1, True, "3", [])

    @pytest.mark.parametrize("setting", [*WHOLE, *SECONDS, "backoff_factor", "jitter", "probe_lease"])
    @pytest.mark.parametrize("value", BAD_NUMBERS, ids=str)
    def test_numbers_that_are_none(self, setting: str, value: Any) -> None:
        """NaN, the infinities, negatives, bools and strings are refused."""
        with pytest.raises(InvalidConfigError, match=setting) as refused:
            BreakerCooldownTracker(**{setting: value})
        assert refused.value.setting == setting
        assert repr(value)[:10] in str(refused.value)

    @pytest.mark.parametrize("setting", [*WHOLE, *SECONDS, "backoff_factor", "jitter"])
    def test_none_for_a_number(self, setting: str) -> None:
        """Only probe_lease has a meaning for None."""
        with pytest.raises(InvalidConfigError, match=f"{setting} .*None"):
            BreakerCooldownTracker(**{setting: None})  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            *((setting, 0) for setting in (*WHOLE, *SECONDS, "probe_lease", "backoff_factor")),
            *((setting, 1.5) for setting in WHOLE),
            *((setting, 1e9 + 1) for setting in (*SECONDS, "probe_lease")),
            ("reset_timeout", timedelta(0)),
            ("backoff_factor", 10**400),
            ("jitter", 1.1),
            ("backoff_factor", 0.99),
            ("overrides", [("grok", BreakerSettings())]),
            ("random", 0.5),
        ],
    )
    def test_values_out_of_range(self, setting: str, value: Any) -> None:
        """Zero, fractions of a failure, centuries and wrong types are refused."""
        with pytest.raises(InvalidConfigError, match=setting):
            BreakerCooldownTracker(**{setting: value})

    @pytest.mark.parametrize(
        "overrides", [{"": BreakerSettings()}, {3: BreakerSettings()}, {"grok": {"fail_max": 3}}]
    )
    def test_bad_overrides(self, overrides: Any) -> None:
        """Names are names, and settings are BreakerSettings."""
        with pytest.raises(InvalidConfigError, match="overrides"):
            BreakerCooldownTracker(overrides=overrides)

    @pytest.mark.parametrize("value", [-1, 0, float("nan"), "3"])
    def test_bad_settings_of_an_override(self, value: Any) -> None:
        """They are checked when they are built."""
        with pytest.raises(InvalidConfigError, match="fail_max"):
            BreakerSettings(fail_max=value)

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "3", timedelta(0)])
    def test_cool_down_for_no_time(self, seconds: Any) -> None:
        """Nothing is opened then."""
        tracker = BreakerCooldownTracker()
        with pytest.raises(InvalidConfigError, match="seconds"):
            tracker.cool_down("grok", seconds)
        assert tracker.snapshot() == {}

    @pytest.mark.parametrize("name", ["", None, 3])
    @pytest.mark.parametrize(
        "method", ["is_available", "cooldown_remaining", "acquire", "breaker", "reset", "cool_down"]
    )
    def test_a_name_that_is_none(self, method: str, name: Any) -> None:
        """Every question about a provider needs its name."""
        with pytest.raises(InvalidConfigError, match="name"):
            getattr(BreakerCooldownTracker(), method)(name)

    def test_a_name_of_another_string_class_is_the_same_name(self) -> None:
        """An enum's member and its value are one provider."""

        class Vendor(str):
            __slots__ = ()

        tracker = BreakerCooldownTracker()
        tracker.cool_down(Vendor("grok"))
        assert [type(name) for name in tracker.snapshot()] == [str]
        assert tracker.is_available("grok") is False


class TestIdentity:
    """A tracker belongs to one process."""

    @pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_cannot_be_pickled_or_copied(self, duplicate: Any) -> None:
        """And says why."""
        with pytest.raises(TypeError, match="cooldowns belong to one process"):
            duplicate(BreakerCooldownTracker())

    def test_repr_tells_the_settings(self) -> None:
        """For logs and debuggers."""
        assert "fail_max=3" in repr(BreakerCooldownTracker())

    def test_the_defaults_are_those_that_are_documented(self) -> None:
        """As the settings of a tracker that was given none."""
        settings = repr(BreakerCooldownTracker())
        for default in (
            *("fail_max=3", "reset_timeout=30.0", "success_threshold=1", "backoff_factor=1.0"),
            *("max_reset_timeout=300.0", "jitter=0.0", "probe_lease=None"),
        ):
            assert default in settings
