"""The attacker is the store that processes share, or comes while it is asked.

They want an error out of the tracker, a cooldown that is lost, or callers who wait for ever again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import attrs
import pytest

from fallback_exec import BreakerCooldownTracker, Cooling, InvalidConfigError
from fallback_exec.cooldown.operations import Operation, Record, Reply
from fallback_exec.cooldown.store import InMemoryCooldownStore, NotAppliedError
from fallback_exec.redis import RedisCooldownStore
from helpers import VendorError, act_at_each_call, in_thread
from odd_stores import OddStore


class LyingStore(InMemoryCooldownStore):
    """Answers to one question, and to several, with what is made of its answers."""

    def __init__(self, *, one: Callable[[Any], Any], several: Callable[[Any], Any]) -> None:
        super().__init__()
        self.one = one
        self.several = several

    def apply(self, name: str, operation: Operation) -> Reply:
        return self.one(super().apply(name, operation))  # type: ignore[no-any-return]

    def apply_all(self, operations: Sequence[tuple[str, Operation]]) -> list[Reply | NotAppliedError]:
        replies = [InMemoryCooldownStore.apply(self, *each) for each in operations]
        return self.several(replies)  # type: ignore[no-any-return]


def honest(answer: object) -> object:
    """Return what was to be answered."""
    return answer


def broken(reply: Reply) -> object:
    """Return what fails while it is looked through."""
    raise VendorError


def with_record(**changes: Any) -> Callable[[Reply], Reply]:
    """Return what gives replies a record with other values."""
    return lambda reply: attrs.evolve(reply, record=attrs.evolve(reply.record or Record(), **changes))


LIES: list[Callable[[Reply], object]] = [
    lambda _: None,
    lambda _: 3,
    lambda reply: (reply.record, reply.now),
    lambda reply: Reply(3, reply.now),  # type: ignore[arg-type]  # as a user's store may, unchecked
    lambda reply: Reply(reply.record, None),  # type: ignore[arg-type]
    with_record(state="weird"),
    with_record(state="open", until=float("nan")),
    with_record(state="open", until=10**400),
    with_record(failures="three"),
]


class TestLies:
    """A store is the user's, too: what is no reply is as good as none."""

    @pytest.mark.parametrize("lie", LIES)
    def test_as_one_answer(self, lie: Callable[[Reply], object]) -> None:
        """The process goes on by itself."""
        assert_cools_down(LyingStore(one=lie, several=honest))

    @pytest.mark.parametrize("lie", LIES)
    def test_as_every_answer(self, lie: Callable[[Reply], object]) -> None:
        """Also one who knows nothing yet."""
        assert_cools_down(LyingStore(one=lie, several=lambda replies: [lie(each) for each in replies]))

    @pytest.mark.parametrize(
        "lie",
        [
            lambda _: None,
            lambda _: [],
            lambda replies: replies * 2,
            lambda replies: (broken(each) for each in replies),
            lambda replies: [VendorError("not carried out") for _ in replies],
        ],
    )
    def test_as_several_answers(self, lie: Callable[[list[Reply]], object]) -> None:
        """So is another number of them."""
        assert_cools_down(LyingStore(one=honest, several=lie))


def assert_cools_down(store: InMemoryCooldownStore) -> None:
    """See that nothing comes out of a tracker that shares this store, and that failures count."""
    tracker = BreakerCooldownTracker(fail_max=2, shared=store)
    assert not isinstance(tracker.acquire("grok"), Cooling)
    started = [tracker.record_failure("grok", VendorError("down")) for _ in range(2)]
    assert started == [False, True]
    assert isinstance(tracker.acquire("grok"), Cooling)
    tracker.cool_down("grok", 90)
    assert tracker.cooldown_remaining("grok") > 80
    tracker.reset("grok")
    assert not isinstance(tracker.acquire("grok"), Cooling)
    tracker.record_success("grok")


class TestOddSettings:
    """A store's own settings are the user's, too."""

    @pytest.mark.parametrize("setting", ["timeout", "refresh_interval"])
    @pytest.mark.parametrize("value", [None, -1, -5.0, math.nan, math.inf, 1e12, "1", True])
    def test_are_refused_when_the_tracker_is_built(self, setting: str, value: object) -> None:
        """Rather than at every attempt, or with a wait that never ends."""
        store = InMemoryCooldownStore()
        setattr(store, setting, value)
        with pytest.raises(InvalidConfigError) as caught:
            BreakerCooldownTracker(shared=store)
        assert caught.value.setting == f"shared.{setting}"

    def test_may_be_timedeltas(self) -> None:
        """As everywhere."""
        store: Any = InMemoryCooldownStore()
        store.timeout = store.refresh_interval = timedelta(seconds=1)
        assert_cools_down(store)


class TestInterruptions:
    """Ctrl-C, or what a signal's handler raises, at any moment of an exchange."""

    @pytest.mark.parametrize("knows", [False, True])
    @pytest.mark.parametrize("by_hand", ["", "open", "half_open"])
    def test_leave_the_next_question_to_another_thread(self, *, knows: bool, by_hand: str) -> None:
        """Who was interrupted has nothing left of it that others would wait for, at each attempt."""

        def interrupt() -> None:
            raise KeyboardInterrupt

        def scene() -> tuple[
            tuple[BreakerCooldownTracker, OddStore], Callable[[], object], Callable[[], None]
        ]:
            store = OddStore(refresh_interval=1e-6)
            store.timeout = 0.001
            tracker = BreakerCooldownTracker(shared=store)
            if knows:
                tracker.acquire("grok")
            if by_hand:
                getattr(tracker.breaker("grok"), by_hand)()
            return (tracker, store), lambda: tracker.record_failure("grok", VendorError("down")), interrupt

        for (tracker, store), _ in act_at_each_call(scene):
            store.forget()
            in_thread(lambda: tracker.acquire("grok"))  # noqa: B023  # run at once
            assert store.forget()


class TestCredentials:
    """A password that nobody has encoded, in a URL that is wrong in yet another way."""

    @pytest.mark.parametrize(
        "url",
        [
            "redis://me:p@ss:w/rd#?%",
            "redis://localhost?password=p@ss:w/rd#?%",
            "redis://localhost?password=p@ss",
            "redis://me:p@ss:w@ss:w",
            "redis://me:secret@localhost:p@ss:w/rd",
            "http://localhost?p@ss",
            "p@ss:w/rd",
        ],
    )
    def test_no_part_of_it_is_shown(self, url: str) -> None:
        """Also not what stands behind an @ of its own."""
        with pytest.raises(InvalidConfigError) as caught:
            RedisCooldownStore(url)
        assert "ss" not in str(caught.value).partition("got ")[2]

    def test_a_place_is_shown(self) -> None:
        """Where it can be nothing else."""
        with pytest.raises(InvalidConfigError, match=r"got 'redis://db\.example:6379/x'"):
            RedisCooldownStore("redis://me:secret@db.example:6379/x")
