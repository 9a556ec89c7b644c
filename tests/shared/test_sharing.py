"""Trackers that share a store, as those of several processes do: `SharedMemory`."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import attrs
import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import BreakerCooldownTracker, Cooling, InvalidConfigError, Permit, _clock
from fallback_exec.cooldown.eras import AttemptPermit
from fallback_exec.cooldown.operations import Close, Operation, Record, Reply
from fallback_exec.shared import CooldownStore
from helpers import PATIENCE, forked_child_finishes, in_threads
from odd_stores import OddStore

DOWN = ConnectionError("down")


@pytest.fixture
def store(clock: FrozenDateTimeFactory) -> OddStore:
    return OddStore()


def pair(store: CooldownStore, **settings: object) -> tuple[BreakerCooldownTracker, BreakerCooldownTracker]:
    """Return the trackers of two processes."""
    given = {"fail_max": 3, "reset_timeout": 30.0, **settings}
    one, other = (BreakerCooldownTracker(shared=store, **given) for _ in range(2))  # type: ignore[arg-type]
    return one, other


def permit_of(tracker: BreakerCooldownTracker, *, force: bool = False) -> Permit:
    permit = tracker.acquire("grok", force=force)
    assert isinstance(permit, Permit)
    return permit


def cooling_of(tracker: BreakerCooldownTracker) -> float:
    cooling = tracker.acquire("grok")
    assert isinstance(cooling, Cooling)
    return cooling.cooldown_remaining


def status_of(tracker: BreakerCooldownTracker) -> tuple[str, int, float]:
    """Return what a tracker shows: state, failures, remaining."""
    status = tracker.snapshot()["grok"]
    return status.state, status.failures, status.cooldown_remaining


def record_of(store: OddStore) -> Record:
    return store.records()["grok"]


def down_for(clock: FrozenDateTimeFactory, store: OddStore, tracker: BreakerCooldownTracker) -> None:
    """Have the tracker notice that the store is away."""
    store.mood = "refuses"
    clock.tick(0.25)
    tracker.acquire("grok", force=True)


def back(clock: FrozenDateTimeFactory, store: OddStore, *trackers: BreakerCooldownTracker) -> None:
    """Have the trackers notice, one after the other, that it is back."""
    store.mood = "answers"
    clock.tick(15)
    for tracker in trackers:
        permit = tracker.acquire("grok", force=True)
        assert isinstance(permit, Permit)
        permit.release()


class TestSetting:
    """`BreakerCooldownTracker(shared=...)`."""

    @pytest.mark.parametrize("shared", ["redis://localhost", OddStore, 0])
    def test_must_be_a_store(self, shared: object) -> None:
        """Another value is refused by its name."""
        with pytest.raises(InvalidConfigError, match="shared"):
            BreakerCooldownTracker(shared=shared)  # type: ignore[arg-type]

    def test_is_told_of_by_the_tracker(self, store: OddStore) -> None:
        """Who shows states can say whose they are."""
        assert BreakerCooldownTracker(shared=store).is_shared
        assert not BreakerCooldownTracker().is_shared

    def test_asks_nothing_at_first(self, store: OddStore) -> None:
        """Neither is a store asked when a tracker is built, nor by views."""
        tracker, _ = pair(store)
        assert tracker.is_available("grok") is True
        assert tracker.cooldown_remaining("grok") == 0.0
        assert tracker.snapshot() == {}
        assert store.asked == []


class TestRoundTrips:
    """What a process asks, and when."""

    def test_of_a_healthy_path_there_is_none(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """But one for a provider never seen, and one refresh an interval."""
        tracker, _ = pair(store)
        for _ in range(100):
            permit_of(tracker).success()
        assert store.forget() == [["Read"]]
        clock.tick(0.249999)
        permit_of(tracker)
        assert store.forget() == []
        clock.tick(0.000001)
        for _ in range(100):
            permit_of(tracker)
        assert store.forget() == [["Read"]]

    def test_of_each_path_there_is_one(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """A failure, a trip, a refresh, a claim, the outcome of a probe, a success that ends a row."""
        tracker, _ = pair(store, fail_max=2)
        permit = permit_of(tracker)
        store.forget()
        permit.failure(DOWN)
        assert store.forget() == [["Fail"]]
        permit_of(tracker).success()
        assert store.forget() == [["Succeed"]]
        permit_of(tracker).failure(DOWN)
        assert permit_of(tracker).failure(DOWN) is True
        assert store.forget() == [["Fail"], ["Fail"]]
        clock.tick(30)
        probe = permit_of(tracker)
        assert store.forget() == [["Read"], ["Claim"]]
        probe.success()
        assert store.forget() == [["Succeed"]]

    def test_of_what_is_stale_there_is_none(self, store: OddStore) -> None:
        """What cannot change anything is not asked."""
        tracker, _ = pair(store)
        late = permit_of(tracker)
        tracker.cool_down("grok")
        store.forget()
        late.success()
        assert late.failure(DOWN) is late.cool_down(DOWN, None) is False
        assert store.forget() == []


class TestTwoProcesses:
    """What one learns reaches the other."""

    def test_failures_add_up(self, store: OddStore) -> None:
        """Three are three, whoever counted them; one of them says that it started the cooldown."""
        one, other = pair(store)
        assert [each.record_failure("grok", DOWN) for each in (one, other, one)] == [False, False, True]
        assert record_of(store).state == "open"

    def test_a_success_ends_the_row_of_all(self, store: OddStore) -> None:
        """Of those who know of a row."""
        one, other = pair(store)
        one.record_failure("grok", DOWN)
        other.record_success("grok")
        assert record_of(store).failures == 0
        assert [one.record_failure("grok", DOWN) for _ in range(2)] == [False, False]

    def test_a_cooldown_reaches_the_other_within_the_interval(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """Until then it may go on."""
        one, other = pair(store, fail_max=1)
        permit_of(other)
        one.record_failure("grok", DOWN)
        assert permit_of(other).cooling is None
        clock.tick(0.25)
        assert cooling_of(other) == 29.75
        assert status_of(other) == ("open", 1, 29.75)
        assert other.snapshot()["grok"].openings == 1

    def test_one_who_starts_in_a_cooldown_respects_it(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """From its first question."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(10)
        assert cooling_of(other) == 20.0

    def test_one_probe_over_all(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """The other sees it under way, and its end."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        permit_of(other, force=True)
        clock.tick(30)
        probe = permit_of(one)
        assert cooling_of(other) == 0.0
        assert status_of(other) == ("half-open", 1, 0.0)
        probe.success()
        clock.tick(0.25)
        assert permit_of(other).cooling is None
        assert status_of(other) == ("closed", 0, 0.0)

    def test_two_who_claim_at_once(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Both have seen that the cooldown is over: one gets the probe."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        for tracker in (one, other):
            tracker._following.refresh(tracker._memory("grok"), _clock.now())  # type: ignore[arg-type]
        store.forget()
        assert isinstance(one.acquire("grok"), AttemptPermit)
        assert cooling_of(other) == 0.0
        assert permit_of(other, force=True).cooling == attrs.evolve(other.acquire("grok"))  # type: ignore[misc]
        assert store.forget() == [["Claim"], ["Claim"]]

    def test_a_claim_may_find_it_closed(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Somebody was there before, and succeeded."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        other.acquire("grok")
        probe_of_other = record_of(store).token
        assert probe_of_other
        clock.tick(60)
        one.acquire("grok")
        clock.tick(60)

        def close_first(ask: Callable[[str, Operation], Reply]) -> Callable[[str, Operation], Reply]:
            def answer(name: str, operation: Operation) -> Reply:
                ask("grok", Close())
                return ask(name, operation)

            return answer

        one.acquire("gemini")
        permit_of(one, force=True).release()
        clock.tick(0.1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "apply", close_first(store.apply))
            permit = permit_of(one)
        assert permit.cooling is None
        assert status_of(one)[0] == "closed"

    def test_a_given_back_probe_is_free_at_once(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """By its release, for all."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        permit_of(one).release()
        assert record_of(store).token == ""
        permit_of(other).success()
        assert record_of(store).state == "closed"

    def test_a_dropped_probe_is_free_for_its_process(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """The next caller claims it anew; other processes wait until its time is over."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        permit_of(one)
        assert cooling_of(other) == 0.0
        era = record_of(store).era
        permit_of(one).failure(DOWN)
        assert record_of(store).era > era
        clock.tick(30)
        permit_of(one)
        clock.tick(59)
        assert cooling_of(other) == 0.0
        clock.tick(1)
        permit_of(other).success()

    def test_a_lost_probe_is_stale_for_all(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """When its time is over, the other process probes."""
        one, other = pair(store, fail_max=1, probe_lease=5.0)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        lost = permit_of(one)
        clock.tick(5)
        probe = permit_of(other)
        lost.success()
        assert record_of(store).state == "half-open"
        probe.success()
        assert record_of(store).state == "closed"

    def test_counts_probes_of_all(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Two successes, one of each, close it."""
        one, other = pair(store, fail_max=1, success_threshold=2)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        permit_of(one).success()
        clock.tick(1)
        permit_of(other).success()
        assert record_of(store).state == "closed"

    def test_a_cooldown_by_hand_reaches_all(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Its end, too, when it is moved, and its end by hand."""
        one, other = pair(store)
        permit_of(other)
        one.cool_down("grok", 100)
        clock.tick(1)
        assert cooling_of(other) == 99.0
        one.cool_down("grok", 10)
        clock.tick(1)
        assert cooling_of(other) == 9.0
        other.reset("grok")
        clock.tick(1)
        assert permit_of(one).cooling is None

    def test_a_vendor_s_word_reaches_all(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """That of a stale outcome moves the end later, and never earlier."""
        one, other = pair(store)
        late = permit_of(other)
        assert permit_of(one).cool_down(DOWN, 100.0) is True
        clock.tick(1)
        assert cooling_of(other) == 99.0
        assert late.cool_down(DOWN, 200.0) is False
        assert late.cool_down(DOWN, 20.0) is False
        clock.tick(1)
        assert cooling_of(one) == 199.0

    def test_cooldowns_grow_for_all(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """A probe of the other process that fails makes the next one longer."""
        one, other = pair(store, fail_max=1, backoff_factor=2.0)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        assert permit_of(other).failure(DOWN) is True
        assert cooling_of(other) == 60.0
        clock.tick(60)
        assert permit_of(one).cool_down(DOWN, None) is True
        assert cooling_of(one) == 120.0

    def test_jitter_is_drawn_by_who_opens(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """And is the same for all."""
        one, other = pair(store, fail_max=1, jitter=1.0, random=random.Random(7))
        one.record_failure("grok", DOWN)
        length = 30.0 * (1.0 + random.Random(7).random())
        assert cooling_of(other) == pytest.approx(length, abs=1e-6)
        other.reset("grok")
        one.cool_down("grok")
        clock.tick(1)
        assert 29.0 <= cooling_of(other) <= 59.0

    def test_a_begun_stream_is_a_success_for_all(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """`Permit.begin()` tells it; a stale one tells nothing."""
        one, other = pair(store, fail_max=1, success_threshold=2)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        permit_of(one).begin().success()
        assert record_of(store).successes == 1
        clock.tick(1)
        follower = permit_of(other).begin()
        assert record_of(store).state == "closed"
        follower.failure(DOWN)
        assert record_of(store).state == "open"
        clock.tick(30)
        stale = permit_of(one)
        one.reset("grok")
        assert stale.begin() is stale

    def test_a_begun_stream_whose_breaker_a_hand_opens(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """What comes after the success is stale."""
        one, _ = pair(store, fail_max=1, success_threshold=2)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        probe = permit_of(one)
        with pytest.MonkeyPatch.context() as patch:
            asked = store.apply

            def open_too(name: str, operation: Operation) -> Reply:
                reply = asked(name, operation)
                one.breaker("grok").open()
                return reply

            patch.setattr(store, "apply", open_too)
            follower = probe.begin()
        assert follower.failure(DOWN) is False

    def test_the_text_of_an_error_stays_here(self, store: OddStore) -> None:
        """It may be of use to nobody else, and holds what others need not see."""
        one, other = pair(store)
        one.record_failure("grok", DOWN)
        permit_of(other)
        assert one.snapshot()["grok"].last_error == "down"
        assert other.snapshot()["grok"].last_error is None


class TestByHand:
    """What is done to `breaker(name)`."""

    def test_is_told_at_the_next_attempt(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Opened, half-opened, closed."""
        one, other = pair(store)
        permit_of(other)
        breaker = one.breaker("grok")
        breaker.open()
        assert cooling_of(one) == 30.0
        clock.tick(1)
        assert cooling_of(other) == 29.0
        breaker.half_open()
        permit_of(one).release()
        clock.tick(1)
        permit_of(other).release()
        breaker.close()
        permit_of(one)
        assert record_of(store).state == "closed"

    def test_is_told_once(self, store: OddStore) -> None:
        """Afterwards the record is followed again."""
        one, _ = pair(store)
        permit_of(one)
        one.breaker("grok").open()
        store.forget()
        cooling_of(one)
        cooling_of(one)
        assert store.forget() == [["Report"]]

    def test_is_told_before_an_outcome(self, store: OddStore) -> None:
        """Which is stale by then."""
        one, _ = pair(store)
        late = permit_of(one)
        one.breaker("grok").open()
        assert late.failure(DOWN) is False
        assert record_of(store).state == "open"

    def test_is_told_before_another_hand_s(self, store: OddStore) -> None:
        """A reset after an opening."""
        one, other = pair(store)
        one.breaker("grok").open()
        one.reset("grok")
        assert permit_of(other).cooling is None
        assert one.is_available("grok") is True

    def test_while_a_reply_is_under_way(self, store: OddStore) -> None:
        """The reply does not undo it."""
        one, _ = pair(store)
        permit = permit_of(one)
        with pytest.MonkeyPatch.context() as patch:
            asked = store.apply

            def open_too(name: str, operation: Operation) -> Reply:
                reply = asked(name, operation)
                one.breaker("grok").open()
                return reply

            patch.setattr(store, "apply", open_too)
            permit.failure(DOWN)
        assert one.is_available("grok") is False
        assert cooling_of(one) == 30.0
        assert record_of(store).state == "open"

    def test_while_a_report_is_under_way(self, store: OddStore) -> None:
        """What comes meanwhile is told next."""
        one, _ = pair(store)
        permit_of(one)
        one.breaker("grok").open()
        with pytest.MonkeyPatch.context() as patch:
            asked = store.apply_all

            def close_too(*arguments: object) -> object:
                patch.setattr(store, "apply_all", asked)
                replies = asked(*arguments)  # type: ignore[arg-type]
                one.breaker("grok").close()
                return replies

            patch.setattr(store, "apply_all", close_too)
            one.acquire("grok")
        permit_of(one)
        assert record_of(store).state == "closed"


class TestAway:
    """While the store is away, each process decides by itself."""

    def test_decides_as_one_that_does_not_share(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """From what it knew last."""
        one, other = pair(store)
        one.record_failure("grok", DOWN)
        clock.tick(0.25)
        permit_of(other)
        down_for(clock, store, other)
        assert [permit_of(other).failure(DOWN) for _ in range(2)] == [False, True]
        assert cooling_of(other) == 30.0
        clock.tick(30)
        assert isinstance(permit_of(other), AttemptPermit)

    def test_starts_without_it(self, store: OddStore) -> None:
        """Whoever has never asked takes a provider as well."""
        store.mood = "refuses"
        one, _ = pair(store, fail_max=1)
        assert permit_of(one).failure(DOWN) is True
        assert cooling_of(one) == 30.0
        one.reset("grok")
        assert permit_of(one).cool_down(DOWN, 5.0) is True
        one.cool_down("grok", 7.0)
        assert cooling_of(one) == 7.0

    def test_a_cooldown_that_began_here_is_published(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """With what is left of it."""
        one, other = pair(store, reset_timeout=60.0)
        permit_of(one)
        down_for(clock, store, one)
        for _ in range(3):
            permit_of(one).failure(DOWN)
        back(clock, store, one)
        assert cooling_of(other) == 45.0
        assert record_of(store).failures == 3

    def test_one_that_ended_there_later_is_adopted(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """Somebody else found the provider well after it had failed here."""
        one, other = pair(store, reset_timeout=60.0)
        permit_of(one)
        permit_of(other)
        down_for(clock, store, one)
        one.cool_down("grok")
        store.mood = "answers"
        clock.tick(1)
        other.reset("grok")
        back(clock, store, one)
        assert one.is_available("grok") is True
        assert record_of(store).state == "closed"

    def test_one_that_ended_here_is_told(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """A probe found the provider well."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        down_for(clock, store, one)
        clock.tick(30)
        store.mood = "answers"
        store.mood = "refuses"
        permit_of(one).success()
        back(clock, store, one)
        assert permit_of(other).cooling is None
        assert record_of(store).state == "closed"

    def test_a_probe_under_way_is_waited_for(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """What it comes to is told, and nothing before."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        down_for(clock, store, one)
        clock.tick(30)
        probe = permit_of(one)
        store.mood = "answers"
        clock.tick(15)
        store.forget()
        assert cooling_of(one) == 0.0
        assert store.forget() == []
        assert probe.failure(DOWN) is True
        assert cooling_of(one) == 30.0
        assert cooling_of(other) == 30.0

    def test_failures_are_added_once(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Those that the store has certainly not been told."""
        one, other = pair(store, fail_max=9)
        one.record_failure("grok", DOWN)
        permit_of(other)
        down_for(clock, store, other)
        for _ in range(3):
            permit_of(other).failure(DOWN)
        back(clock, store, other, other)
        assert record_of(store).failures == 4
        assert status_of(other) == ("closed", 4, 0.0)

    def test_failures_may_open_it_when_they_are_added(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """Two here and one there."""
        one, other = pair(store)
        permit_of(one)
        permit_of(other)
        store.mood = "refuses"
        for _ in range(2):
            permit_of(other).failure(DOWN)
        store.mood = "answers"
        one.record_failure("grok", DOWN)
        clock.tick(0.5)
        assert cooling_of(other) == 30.0
        assert record_of(store).failures == 3

    @pytest.mark.parametrize(("mood", "counted"), [("loses answers", 1), ("loses requests", 0)])
    def test_a_doubtful_failure_is_not_told_again(
        self, store: OddStore, clock: FrozenDateTimeFactory, mood: str, counted: int
    ) -> None:
        """It may have been counted: so at most once."""
        one, _ = pair(store, fail_max=9)
        permit_of(one)
        store.mood = mood
        permit_of(one).failure(DOWN)
        assert status_of(one) == ("closed", 1, 0.0)
        back(clock, store, one)
        permit_of(one)
        assert record_of(store).failures == counted if counted else "grok" not in store.records()

    def test_a_doubtful_cooldown_may_be_told_again(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """It is the same one."""
        one, other = pair(store)
        permit_of(one)
        store.mood = "loses answers"
        assert permit_of(one).cool_down(DOWN, 100.0) is True
        back(clock, store, one)
        assert cooling_of(other) == 85.0

    @pytest.mark.parametrize(("mood", "failures"), [("refuses", 2), ("loses requests", 0)])
    def test_a_report_that_fails(
        self, store: OddStore, clock: FrozenDateTimeFactory, mood: str, failures: int
    ) -> None:
        """Is made again where the store has certainly not been told."""
        one, _ = pair(store, fail_max=9)
        permit_of(one)
        store.mood = "refuses"
        permit_of(one).failure(DOWN)
        permit_of(one).failure(DOWN)
        store.mood = mood
        clock.tick(0.5)
        permit_of(one)
        back(clock, store, one)
        assert (record_of(store).failures if failures else len(store.records())) == failures

    def test_a_success_before_them_ends_the_row(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Failures before it are counted no more, there neither; also where the first report fails."""
        one, _ = pair(store, fail_max=9)
        for _ in range(5):
            one.record_failure("grok", DOWN)
        store.mood = "refuses"
        permit_of(one).success()
        permit_of(one).failure(DOWN)
        clock.tick(0.5)
        permit_of(one)
        back(clock, store, one)
        assert record_of(store).failures == 1

    def test_a_success_while_a_report_is_under_way(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """Where the report fails, the failures in it are of a row that has ended."""
        one, _ = pair(store, fail_max=9)
        permit_of(one)
        store.mood = "refuses"
        permit_of(one).failure(DOWN)
        clock.tick(0.5)
        with pytest.MonkeyPatch.context() as patch:
            asked = store.apply_all

            def succeed_too(*arguments: object) -> object:
                patch.setattr(store, "apply_all", asked)
                one._memory("grok").reset_counter()
                return asked(*arguments)  # type: ignore[arg-type]

            patch.setattr(store, "apply_all", succeed_too)
            permit_of(one)
        back(clock, store, one)
        assert record_of(store).failures == 0

    def test_a_store_that_has_lost_all_is_told_again(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """Of a cooldown that runs; of one that is over, nobody need know."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        store.clear()
        clock.tick(1)
        cooling_of(one)
        cooling_of(one)
        assert cooling_of(other) == 29.0
        store.clear()
        clock.tick(29)
        assert permit_of(one).cooling is None
        assert status_of(one) == ("closed", 0, 0.0)

    def test_a_store_that_has_lost_a_probe(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Its process waits for what it comes to."""
        one, _ = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        probe = permit_of(one)
        store.clear()
        clock.tick(1)
        one.acquire("grok")
        probe.failure(DOWN)
        clock.tick(1)
        one.acquire("grok")
        assert record_of(store).state == "open"

    def test_a_store_that_has_lost_the_probe_of_another(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """Nobody here knows what it will come to: the provider counts as well."""
        one, other = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        probe = permit_of(one)
        assert cooling_of(other) == 0.0
        store.clear()
        clock.tick(1)
        assert permit_of(other).cooling is None
        probe.release()

    def test_failures_of_a_store_that_has_lost_all(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """It counts from zero, as it were."""
        one, _ = pair(store, fail_max=9)
        for _ in range(5):
            one.record_failure("grok", DOWN)
        store.clear()
        clock.tick(1)
        permit_of(one)
        assert status_of(one) == ("closed", 0, 0.0)
        one.record_failure("grok", DOWN)
        assert record_of(store).failures == 1

    @pytest.mark.parametrize("mood", ["refuses", "loses answers"])
    def test_a_claim_that_fails(self, store: OddStore, clock: FrozenDateTimeFactory, mood: str) -> None:
        """The process probes by itself, and gets the store's probe when it is back."""
        one, _ = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        permit_of(one).release()
        store.mood = mood
        probe = permit_of(one)
        assert isinstance(probe, AttemptPermit)
        assert cooling_of(one) == 0.0
        probe.release()
        back(clock, store, one)
        permit_of(one).success()
        assert record_of(store).state == "closed"

    def test_an_interrupted_claim_is_free_for_its_process(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """The store may have granted it."""
        one, _ = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        one.acquire("grok")
        with pytest.MonkeyPatch.context() as patch:
            asked = store.apply

            def interrupted(name: str, operation: Operation) -> Reply:
                asked(name, operation)
                raise KeyboardInterrupt

            patch.setattr(store, "apply", interrupted)
            with pytest.raises(KeyboardInterrupt):
                one.acquire("grok")
        permit_of(one).success()
        assert record_of(store).state == "closed"

    def test_a_probe_that_is_given_back_meanwhile(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """Is free for its process."""
        one, _ = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        probe = permit_of(one)
        store.mood = "refuses"
        probe.release()
        store.mood = "answers"
        clock.tick(0.5)
        permit_of(one).success()
        assert record_of(store).state == "closed"

    def test_a_local_probe_is_nobody_else_s(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Given back, it is not given back to the store."""
        store.mood = "refuses"
        one, _ = pair(store, fail_max=1)
        permit_of(one).failure(DOWN)
        clock.tick(30)
        store.mood = "refuses"
        probe = permit_of(one)
        store.forget()
        probe.release()
        assert store.forget() == []

    def test_an_unusable_record_leaves_its_provider_to_each_process(
        self, store: OddStore, clock: FrozenDateTimeFactory
    ) -> None:
        """Until it is usable again."""
        store.unusable = {"grok"}
        one, other = pair(store, fail_max=1)
        assert permit_of(one).failure(DOWN) is True
        assert permit_of(other).cooling is None
        store.unusable = set()
        clock.tick(1)
        cooling_of(one)
        assert cooling_of(other) == 29.0


class TestReplies:
    """They may come in another order than the store gave them in."""

    def test_an_older_one_changes_nothing(self, store: OddStore) -> None:
        """Of two that were under way at the same time, the newer counts."""
        one, other = pair(store, fail_max=9)
        permit = permit_of(one)
        with pytest.MonkeyPatch.context() as patch:
            asked = store.apply

            def late(name: str, operation: Operation) -> Reply:
                patch.setattr(store, "apply", asked)
                reply = asked(name, operation)
                other.record_failure("grok", DOWN)
                permit.failure(DOWN)
                assert status_of(one)[1] == 3
                return reply

            patch.setattr(store, "apply", late)
            permit.failure(DOWN)
        assert status_of(one)[1] == 3

    def test_a_granted_probe_that_is_past(self, store: OddStore, clock: FrozenDateTimeFactory) -> None:
        """Somebody closed it by hand while the reply was on its way."""
        one, _ = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        one._following.refresh(one._memory("grok"), _clock.now())  # type: ignore[arg-type]
        with pytest.MonkeyPatch.context() as patch:
            asked = store.apply

            def late(name: str, operation: Operation) -> Reply:
                patch.setattr(store, "apply", asked)
                reply = asked(name, operation)
                one.reset("grok")
                return reply

            patch.setattr(store, "apply", late)
            permit = permit_of(one)
        assert permit.cooling is None
        assert status_of(one)[0] == "closed"

    def test_an_era_that_has_begun_and_is_not_yet_known(self, store: OddStore) -> None:
        """A failure of another thread in that moment waits, and is told to the store."""
        one, _ = pair(store, fail_max=1)
        permit_of(one)
        memory = one._memory("grok")
        failed: list[bool] = []

        def failing() -> None:
            failed.append(memory.fail(memory.era, DOWN))

        thread = threading.Thread(target=failing)
        with memory._lock:
            thread.start()
            one.cool_down("grok")
            one.reset("grok")
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert memory.is_ahead() is False  # type: ignore[attr-defined]

    @pytest.mark.usefixtures("clock")
    def test_of_many_threads_one_starts_the_cooldown(self) -> None:
        """And failures add up over trackers and threads."""
        store = OddStore()
        trackers = pair(store, fail_max=400)
        said = in_threads(
            8, lambda number: sum(trackers[number % 2].record_failure("grok", DOWN) for _ in range(50))
        )
        assert sum(said) == 1
        assert record_of(store).failures == 400


class TestForks:
    """A child is a process like any other."""

    def test_leaves_the_parent_s_probe_alone(self, clock: FrozenDateTimeFactory) -> None:
        """And what the parent has to report."""
        store = OddStore()
        one, _ = pair(store, fail_max=1)
        one.record_failure("grok", DOWN)
        clock.tick(30)
        probe = permit_of(one)
        store.forget()

        def child() -> None:
            assert cooling_of(one) == 0.0
            assert store.forget() == [["Read"]]
            one.reset("grok")
            assert permit_of(one).cooling is None

        assert forked_child_finishes(child)
        memory = one._memory("grok")
        memory.renew()  # as a child does
        assert memory.era is memory._present[0]  # type: ignore[attr-defined]
        assert cooling_of(one) == 0.0
        del probe

    def test_asks_anew_in_any_state(self, clock: FrozenDateTimeFactory) -> None:
        """Also with something that only the parent is to report, or that a hand has done."""
        store = OddStore()
        one, _ = pair(store, fail_max=9)
        permit_of(one)
        store.mood = "refuses"
        permit_of(one).failure(DOWN)

        def child() -> None:
            store.mood = "answers"
            permit_of(one)
            assert store.records() == {}
            one.breaker("grok").half_open()

        assert forked_child_finishes(child)
        one.breaker("grok").half_open()
        assert forked_child_finishes(lambda: permit_of(one))
