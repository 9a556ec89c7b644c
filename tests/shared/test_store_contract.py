"""What every store promises; a store of a user's is added to `stores`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import fakeredis
import pytest

from fallback_exec.cooldown.operations import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    SECOND,
    STALE,
    Claim,
    Close,
    CoolDown,
    Fail,
    Operation,
    Read,
    Release,
    Reply,
    Report,
    Succeed,
)
from fallback_exec.cooldown.store import CooldownStore, InMemoryCooldownStore
from fallback_exec.redis import RedisCooldownStore
from helpers import PATIENCE
from real_servers import Server

THREADS = 8
NAME = "grok"


@pytest.fixture(params=["memory", "redis", "redis-local", "fakeredis"])
def store(request: pytest.FixtureRequest, server: Server) -> Iterator[CooldownStore]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield InMemoryCooldownStore()
    elif request.param == "fakeredis":
        client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        yield RedisCooldownStore(client, clock="local")
        client.close()
    else:
        server.client.flushall()
        redis_store = RedisCooldownStore(
            server.url, timeout=PATIENCE, clock="server" if request.param == "redis" else "local"
        )
        yield redis_store
        redis_store.close()


def failure(era: int = 0, *, fail_max: int = 2, cooldown: int = 60 * SECOND, was_closed: bool = True) -> Fail:
    return Fail(era, was_closed, fail_max, cooldown, 0)


def opened(store: CooldownStore, *, cooldown: int = 60 * SECOND, name: str = NAME) -> int:
    """Have the provider cool down; return the era."""
    record = store.apply(name, CoolDown(None, cooldown, 0, moves_end=True)).record
    assert record is not None
    return record.era


def test_nothing_is_known_of_a_new_provider(store: CooldownStore) -> None:
    """Where nothing happened there is no record, and to look makes none."""
    assert store.apply(NAME, Read()).record is None
    assert store.apply(NAME, Read()).record is None


def test_failures_add_up_and_the_last_one_starts_a_cooldown(store: CooldownStore) -> None:
    """The failure that reaches `fail_max` is told that it started the cooldown, and no other."""
    replies = [store.apply(NAME, failure()) for _ in range(3)]
    assert [reply.applied for reply in replies] == [False, True, False]
    record = replies[-1].record
    assert record is not None
    assert (record.state, record.failures) == (OPEN, 2)
    assert record.is_cooling(replies[-1].now)
    assert record.until == record.changed + 60 * SECOND


def test_a_success_ends_a_row_of_failures(store: CooldownStore) -> None:
    """A success of the same era sets the failures to 0; it leaves the state."""
    store.apply(NAME, failure())
    record = store.apply(NAME, Succeed(0, 1)).record
    assert record is not None
    assert (record.state, record.failures, record.era) == (CLOSED, 0, 0)


def test_one_probe_is_granted_when_a_cooldown_is_over(store: CooldownStore) -> None:
    """The first claim after a cooldown is granted; the others are not, until it is given back."""
    opened(store, cooldown=0)
    first = store.apply(NAME, Claim("a", 60 * SECOND))
    second = store.apply(NAME, Claim("b", 60 * SECOND))
    assert (first.applied, second.applied) == (True, False)
    assert second.record is not None
    assert (second.record.state, second.record.token) == (HALF_OPEN, "a")
    store.apply(NAME, Release("a"))
    assert store.apply(NAME, Claim("b", 60 * SECOND)).applied


def test_no_probe_is_granted_while_a_cooldown_runs(store: CooldownStore) -> None:
    """A claim changes nothing while the cooldown runs."""
    era = opened(store)
    reply = store.apply(NAME, Claim("a", SECOND))
    assert not reply.applied
    assert reply.record is not None
    assert (reply.record.state, reply.record.era) == (OPEN, era)


def test_a_lost_probe_is_replaced_in_a_new_era(store: CooldownStore) -> None:
    """When its lease is over, another one gets the probe, and the lost one's outcome is stale."""
    opened(store, cooldown=0)
    lost = store.apply(NAME, Claim("a", 0)).record
    found = store.apply(NAME, Claim("b", 60 * SECOND))
    assert lost is not None
    assert found.applied
    assert found.record is not None
    assert found.record.era > lost.era
    assert store.apply(NAME, Succeed(lost.era, 1)).record == found.record


def test_a_successful_probe_closes(store: CooldownStore) -> None:
    """As many successes as the threshold says close the breaker."""
    opened(store, cooldown=0)
    states = []
    for token in ("a", "b"):
        probe = store.apply(NAME, Claim(token, 60 * SECOND)).record
        assert probe is not None
        closed = store.apply(NAME, Succeed(probe.era, 2, token)).record
        assert closed is not None
        states.append((closed.state, closed.failures))
    assert states == [(HALF_OPEN, 0), (CLOSED, 0)]


def test_a_failed_probe_opens_again(store: CooldownStore) -> None:
    """A failure of the probe's era starts a cooldown of the length that it brings."""
    opened(store, cooldown=0)
    probe = store.apply(NAME, Claim("a", 60 * SECOND)).record
    assert probe is not None
    reply = store.apply(
        NAME, Fail(probe.era, was_closed=False, fail_max=9, cooldown=5 * SECOND, reopenings=1)
    )
    assert reply.applied
    assert reply.record is not None
    assert (reply.record.state, reply.record.reopenings) == (OPEN, 1)
    assert reply.record.until == reply.now + 5 * SECOND


def test_a_vendors_word_moves_the_end_later_also_when_it_is_stale(store: CooldownStore) -> None:
    """A stale word moves the end of a cooldown that runs, later only, and starts none."""
    era = opened(store)
    for cooldown in (120, 10):
        reply = store.apply(NAME, CoolDown(STALE, cooldown * SECOND, 0, moves_end=True))
        assert not reply.applied
        assert reply.record is not None
        assert reply.record.era == era
        assert reply.record.until > reply.record.changed + 110 * SECOND


def test_closing_by_hand_closes(store: CooldownStore) -> None:
    """`Close` ends a cooldown at once."""
    era = opened(store)
    record = store.apply(NAME, Close()).record
    assert record is not None
    assert (record.state, record.failures, record.until) == (CLOSED, 0, 0)
    assert record.era > era


def test_what_was_counted_alone_is_added(store: CooldownStore) -> None:
    """A report's failures are added to the others."""
    store.apply(NAME, failure(fail_max=9))
    report = Report(0, None, 0, 0, 0, 3, SECOND, forgets=False, fail_max=9, cooldown=SECOND)
    record = store.apply(NAME, report).record
    assert record is not None
    assert record.failures == 4


def test_a_reported_cooldown_is_taken_over(store: CooldownStore) -> None:
    """What is left of a cooldown that began elsewhere runs on here."""
    report = Report(0, OPEN, SECOND, 30 * SECOND, 1, 3, SECOND, forgets=False, fail_max=3, cooldown=SECOND)
    reply = store.apply(NAME, report)
    assert reply.record is not None
    assert (reply.record.state, reply.record.reopenings) == (OPEN, 1)
    assert reply.record.until == reply.now + 30 * SECOND


def test_eras_and_versions_grow(store: CooldownStore) -> None:
    """Each change of the state is a new era, each write a new version."""
    operations: list[Operation] = [
        CoolDown(None, 0, 0, moves_end=True),
        Claim("a", 60 * SECOND),
        Close(),
        CoolDown(None, 0, 0, moves_end=True),
    ]
    records = [store.apply(NAME, operation).record for operation in operations]
    numbers = [(record.era, record.version) for record in records if record is not None]
    assert len(numbers) == len(operations)
    assert numbers == sorted(set(numbers))
    assert len({era for era, _ in numbers}) == len(operations)


def test_several_operations_are_answered_in_their_order(store: CooldownStore) -> None:
    """Each of several operations, on a provider each, has its own reply, in their order."""
    opened(store, name="b")
    replies = store.apply_all([("a", Read()), ("b", Read()), ("c", failure())])
    states = [reply.record and reply.record.state for reply in replies if isinstance(reply, Reply)]
    assert states == [None, OPEN, CLOSED]
    assert store.apply_all([]) == []


ODD_NAMES = ["{", "}", "{a}", "a:b", "a b", "a\nb", "%7B", "é", "\ud83d", "\x00", "n" * 1000, "n" * 1001]


def test_odd_names_are_names_like_any_other(store: CooldownStore) -> None:
    """Whatever characters names have, and how many, no two providers share a record."""
    for name in ODD_NAMES:
        assert store.apply(name, Read()).record is None
        opened(store, name=name)
    for i, name in enumerate(ODD_NAMES):
        report = Report(0, None, 0, 0, 0, 0, 0, forgets=False, fail_max=9, cooldown=SECOND)
        record = store.apply(name, report).record
        assert record is not None
        assert record.state == OPEN, i


def in_threads(work: Callable[[int], object]) -> list[object]:
    """Return what `work` returned in each of several threads that begin at the same time."""
    barrier = threading.Barrier(THREADS)
    answers: list[object] = [None] * THREADS

    def run(i: int) -> None:
        barrier.wait(PATIENCE)
        answers[i] = work(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return answers


def test_no_failure_is_lost_among_threads(store: CooldownStore) -> None:
    """Failures of many threads add up exactly."""
    in_threads(lambda _: [store.apply(NAME, failure(fail_max=10_000)) for _ in range(25)])
    record = store.apply(NAME, Read()).record
    assert record is not None
    assert record.failures == 25 * THREADS


def test_one_thread_starts_the_cooldown_and_one_gets_the_probe(store: CooldownStore) -> None:
    """Of threads that ask at once, one is told that it started the cooldown, and one has the probe."""
    started = in_threads(lambda _: store.apply(NAME, failure(fail_max=1, cooldown=0)).applied)
    assert started.count(True) == 1
    granted = in_threads(lambda i: store.apply(NAME, Claim(f"token {i}", 60 * SECOND)).applied)
    assert granted.count(True) == 1
