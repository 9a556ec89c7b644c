"""The script does within the server what `transition()` does, operation by operation."""

from __future__ import annotations

import attrs
import freezegun
import hypothesis
import pytest
import redis
from hypothesis import strategies as st

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
    Record,
    Release,
    Reply,
    Report,
    Succeed,
    transition,
)
from fallback_exec.cooldown.store import InMemoryCooldownStore
from fallback_exec.redis import RedisCooldownStore, keys, script
from real_servers import Server

#: When the sequences begin, in microseconds: any day of this century.
START = 1_800_000_000 * SECOND

# Few, so that they meet: ends that are just reached, and nothing that is left.
durations = st.one_of(st.just(0), st.integers(0, 40).map(lambda fifths: fifths * SECOND // 5))
small = st.integers(0, 3)
tokens = st.sampled_from(["a", "b", "a token: {%}\n\ud83dé"])

# Eras are those of the records that are to be seen, the one before, or none.
eras = st.sampled_from(["present", "before", "never", "stale"])


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """Any operation; its era is a word, which stands for a number that is known only later."""
    kind = draw(st.sampled_from([Read, Claim, Succeed, Fail, CoolDown, Release, Close, Report]))
    values = {
        "token": tokens,
        "lease": durations,
        "replaces": st.one_of(st.just(""), tokens),
        "era": st.one_of(eras, st.none()) if kind is CoolDown else eras,
        "success_threshold": st.integers(1, 3),
        "was_closed": st.booleans(),
        "fail_max": st.integers(1, 3),
        "cooldown": durations,
        "reopenings": small,
        "moves_end": st.booleans(),
        "state": st.sampled_from([None, CLOSED, OPEN, HALF_OPEN]),
        "state_age": durations,
        "remaining": durations,
        "failures": small,
        "failures_age": durations,
        "forgets": st.booleans(),
    }
    operation: Operation = kind(**{field.name: draw(values[field.name]) for field in attrs.fields(kind)})
    return operation


def in_era(operation: Operation, record: Record | None) -> Operation:
    """Return the operation with the number that its word for an era stands for."""
    word = getattr(operation, "era", None)
    if word is None:
        return operation
    present = 0 if record is None else record.era
    numbers = {"present": present, "before": present - 1, "never": 7, "stale": STALE}
    return attrs.evolve(operation, era=numbers[word])  # type: ignore[arg-type]  # of those that have one


#: Steps of the clock, in microseconds; some go back, to before an era began.
steps = st.one_of(durations, st.just(1), durations.map(lambda step: -step))


def ask(client: redis.Redis, key: str, operation: Operation, now: int) -> Reply:
    """Carry out an operation in the server at that time."""
    request = script.Request(key, operation, now)
    return request.reply(client.execute_command(*request.command(whole=True)))


@hypothesis.settings(deadline=None, max_examples=300)
@hypothesis.given(sequence=st.lists(st.tuples(operations(), steps), max_size=25))
def test_any_sequence_of_operations_gives_the_replies_of_the_definition(
    server: Server, sequence: list[tuple[Operation, int]]
) -> None:
    """Whatever is asked in whatever order at whatever times, the script answers what `transition()` does."""
    client = server.client
    client.flushall()
    record: Record | None = None
    now = START
    for drawn, step in sequence:
        now += step
        operation = in_era(drawn, record)
        expected = transition(record, operation, now)
        assert ask(client, "{a:b}", operation, now) == expected
        record = expected.record


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Any record, also one that no sequence of operations leads to."""
    return Record(
        state=draw(st.sampled_from([CLOSED, OPEN, HALF_OPEN])),
        failures=draw(small),
        reopenings=draw(small),
        successes=draw(small),
        until=draw(st.one_of(st.just(0), durations.map(lambda later: START + later))),
        changed=START + draw(steps),
        era=draw(st.sampled_from([0, 7, START])),
        version=draw(st.sampled_from([1, START, START + 9 * SECOND])),
        token=draw(st.one_of(st.just(""), tokens)),
        lease=draw(st.one_of(st.just(0), durations.map(lambda later: START + later))),
    )


@hypothesis.settings(deadline=None, max_examples=1000)
@hypothesis.given(record=records(), drawn=operations(), step=steps)
def test_any_operation_on_any_record_gives_the_reply_of_the_definition(
    server: Server, record: Record, drawn: Operation, step: int
) -> None:
    """Whatever the record is, the script makes of it what `transition()` does, and keeps it."""
    now = START + step
    operation = in_era(drawn, record)
    written = attrs.asdict(attrs.evolve(record, token=keys.encoded(record.token)))
    server.client.hset("{a:c}", mapping=dict(written.items()))
    expected = transition(record, operation, now)
    assert ask(server.client, "{a:c}", operation, now) == expected
    assert expected.record is not None
    kept = server.client.hgetall("{a:c}")
    assert kept[b"version"] == str(expected.record.version).encode()


@hypothesis.settings(deadline=None, max_examples=50)
@hypothesis.given(sequence=st.lists(st.tuples(operations(), durations), max_size=25))
def test_a_frozen_store_is_the_one_in_memory(server: Server, sequence: list[tuple[Operation, int]]) -> None:
    """With `clock="local"` the store answers under freezegun what the store in memory answers."""
    server.client.flushall()
    memory = InMemoryCooldownStore()
    store = RedisCooldownStore(server.url, timeout=5, clock="local")
    record: Record | None = None
    try:
        with freezegun.freeze_time("2027-01-15 08:00:00") as frozen:
            for drawn, step in sequence:
                frozen.tick(step / SECOND)
                operation = in_era(drawn, record)
                expected = memory.apply("grok", operation)
                assert store.apply("grok", operation) == expected
                record = expected.record
    finally:
        store.close()


@hypothesis.settings(deadline=None, max_examples=50)
@hypothesis.given(
    state=st.sampled_from(["closed", "open", "half-open"]),
    numbers=st.lists(st.integers(0, 2**52), min_size=8, max_size=8),
)
def test_large_numbers_stay_whole(server: Server, state: str, numbers: list[int]) -> None:
    """Numbers up to 2 ** 52 come back as they were, without an exponent or a rounded end."""
    failures, reopenings, successes, until, era, version, lease, length = numbers
    record = Record(state, failures, reopenings, successes, until, 0, era, version, "a", lease)  # type: ignore[arg-type]
    server.client.flushall()
    server.client.hset("{a:b}", mapping=dict(attrs.asdict(record).items()))
    assert ask(server.client, "{a:b}", Read(), length) == transition(record, Read(), length)


@pytest.mark.parametrize("text", ["", "a", "ü\n", "%", "{a}:b", "\ud83d", "a" * 1000])
def test_tokens_come_back_as_they_were(server: Server, text: str) -> None:
    """A token is any text, and is given back."""
    server.client.flushall()
    reply = ask(server.client, "{a:b}", Claim(text, SECOND), START)
    assert reply.record is not None
    assert reply.record.token == text
    assert keys.decoded(keys.encoded(text)) == text
