"""How what a process knows is kept fresh: `Following`."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import BreakerCooldownTracker, Permit
from fallback_exec.cooldown.following import ALL
from fallback_exec.cooldown.operations import Operation, Reply
from fallback_exec.shared import NotAppliedError
from helpers import PATIENCE, in_threads
from odd_stores import OddStore

DOWN = ConnectionError("down")


class SlowStore(OddStore):
    """Answers when it is told to."""

    timeout = PATIENCE

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def apply_all(self, operations: Sequence[tuple[str, Operation]]) -> list[Reply | NotAppliedError]:
        self.is_asked.set()
        assert self.may_answer.wait(PATIENCE)
        return super().apply_all(operations)


def tracker_of(store: OddStore, *names: str) -> BreakerCooldownTracker:
    """Return a tracker that knows these providers."""
    tracker = BreakerCooldownTracker(shared=store, fail_max=1)
    for name in names:
        tracker.acquire(name)
    store.forget()
    return tracker


def ask_in_thread(tracker: BreakerCooldownTracker, store: SlowStore) -> threading.Thread:
    """Have a thread ask, and wait for the answer."""
    store.is_asked.clear()
    store.may_answer.clear()
    thread = threading.Thread(target=tracker.acquire, args=("grok",))
    thread.start()
    assert store.is_asked.wait(PATIENCE)
    return thread


def finish(store: SlowStore, *threads: threading.Thread) -> None:
    store.may_answer.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


class TestRefresh:
    """One for all, by one caller."""

    def test_asks_for_all_in_one_round_trip(self, clock: FrozenDateTimeFactory) -> None:
        """Also for those who were not asked for."""
        store = OddStore()
        tracker = tracker_of(store, "gemini", "grok", "laozhang")
        clock.tick(0.25)
        for name in ("gemini", "grok", "laozhang"):
            tracker.acquire(name)
        assert store.forget() == [["Read", "Read", "Read"]]
        clock.tick(3600)
        tracker.acquire("grok")
        tracker.acquire("gemini")
        assert store.forget() == [["Read", "Read", "Read"]]

    def test_of_very_many_asks_for_those_in_use(self, clock: FrozenDateTimeFactory) -> None:
        """Those that somebody has asked for since the last one."""
        store = OddStore()
        names = [f"vendor-{number}" for number in range(ALL + 1)]
        tracker = tracker_of(store, *names)
        clock.tick(0.25)
        tracker.acquire(names[0])
        assert [len(asked) for asked in store.forget()] == [ALL + 1]
        clock.tick(0.1)
        tracker.acquire(names[5])
        clock.tick(0.15)
        tracker.acquire(names[0])
        assert [len(asked) for asked in store.forget()] == [2]

    def test_one_caller_asks_and_the_others_go_on(self, clock: FrozenDateTimeFactory) -> None:
        """With what was known a moment ago."""
        store = SlowStore()
        tracker = tracker_of(store, "grok")
        clock.tick(0.25)
        asking = ask_in_thread(tracker, store)
        assert isinstance(tracker.acquire("grok"), Permit)
        finish(store, asking)
        assert store.forget() == [["Read"]]

    def test_those_whose_knowledge_is_old_wait(self, clock: FrozenDateTimeFactory) -> None:
        """For the one who asks, and do not ask again."""
        store = SlowStore()
        tracker = tracker_of(store, "grok")
        other = tracker_of(store)
        other.cool_down("grok", 10_000)
        clock.tick(3600)
        store.forget()
        asking = ask_in_thread(tracker, store)
        answers: list[object] = []
        waiting = threading.Thread(target=lambda: answers.append(tracker.acquire("grok")))
        waiting.start()
        finish(store, asking, waiting)
        assert not isinstance(answers[0], Permit)
        assert store.forget() == [["Read"]]

    def test_those_who_know_nothing_wait(self) -> None:
        """At first: the cooldown that runs is respected by all threads."""
        store = OddStore()
        tracker_of(store).cool_down("grok", 100)
        tracker = tracker_of(store)
        answers = in_threads(8, lambda _: tracker.acquire("grok"))
        assert not any(isinstance(answer, Permit) for answer in answers)
        assert store.forget() == [["Read"]]

    @pytest.mark.parametrize("knows", ["nothing", "old", "more"])
    def test_nobody_waits_for_longer_than_the_limit(self, clock: FrozenDateTimeFactory, knows: str) -> None:
        """Then they go on with what they know."""
        store = SlowStore()
        store.timeout = 0.001
        tracker = tracker_of(store, *(["grok"] if knows != "nothing" else []))
        clock.tick(3600)
        if knows == "more":
            tracker.breaker("grok").close()
            tracker.breaker("grok").open()
            tracker.breaker("grok").close()
        asking = ask_in_thread(tracker, store)
        assert isinstance(tracker.acquire("grok"), Permit)
        finish(store, asking)

    def test_one_who_is_being_asked_for_is_left_out(self, clock: FrozenDateTimeFactory) -> None:
        """A refresh does not wait for a report of another thread."""
        store = SlowStore()
        tracker = tracker_of(store, "grok", "gemini")
        clock.tick(0.25)
        tracker.breaker("grok").open()
        asking = ask_in_thread(tracker, store)
        store.may_answer.set()
        gemini = tracker.acquire("gemini")
        finish(store, asking)
        assert isinstance(gemini, Permit)
        assert "Report" in {kind for asked in store.forget() for kind in asked}

    def test_nobody_is_asked_while_the_store_is_away(self, clock: FrozenDateTimeFactory) -> None:
        """The first failure is the only one."""
        store = OddStore()
        tracker = tracker_of(store, "grok")
        store.mood = "refuses"
        clock.tick(0.25)
        for _ in range(5):
            tracker.acquire("grok")
        assert store.forget() == [["Read"]]

    def test_the_clock_steps_back(self, clock: FrozenDateTimeFactory) -> None:
        """What was read in the future is not trusted."""
        store = OddStore()
        tracker = tracker_of(store, "grok")
        clock.tick(-60)
        tracker.acquire("grok")
        assert store.forget() == [["Read"]]

    def test_a_child_has_a_turn_of_its_own(self, clock: FrozenDateTimeFactory) -> None:
        """A thread of the parent's may have been asking."""
        store = SlowStore()
        tracker = tracker_of(store, "grok")
        clock.tick(0.25)
        asking = ask_in_thread(tracker, store)
        tracker._following._renew_after_fork()
        with tracker._following._turn.taken() as is_mine:
            assert is_mine
        finish(store, asking)

    def test_a_refresh_reports_what_others_have_to_report(self, clock: FrozenDateTimeFactory) -> None:
        """In the same round trip."""
        store = OddStore()
        tracker = tracker_of(store, "grok", "gemini")
        clock.tick(0.25)
        tracker.breaker("grok").open()
        tracker.acquire("gemini")
        assert sorted(store.forget()[0]) == ["Read", "Report"]
        assert store.records()["grok"].state == "open"
