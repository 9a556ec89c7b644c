"""What each operation makes of a record: the table of `operations`, row by row."""

from __future__ import annotations

import attrs
import pytest

from fallback_exec.cooldown.operations import (
    CLOSED,
    HALF_OPEN,
    KEPT,
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
    Report,
    Succeed,
    transition,
)

NOW = 1_800_000_000 * SECOND
ERA = NOW - 60 * SECOND
OTHER = ERA - 1

AGED = Record(changed=ERA, era=ERA, version=ERA)
FAILING = attrs.evolve(AGED, failures=2)
RUNNING = attrs.evolve(AGED, state=OPEN, failures=3, reopenings=1, until=NOW + 5 * SECOND)
OVER = attrs.evolve(RUNNING, until=NOW)
FREE = attrs.evolve(AGED, state=HALF_OPEN, failures=3, reopenings=1, successes=1)
PROBED = attrs.evolve(FREE, token="a", lease=NOW + 1)
LOST = attrs.evolve(PROBED, lease=NOW)

REPORT = Report(
    era=ERA,
    state=None,
    state_age=0,
    remaining=0,
    reopenings=0,
    failures=0,
    failures_age=0,
    forgets=False,
    fail_max=3,
    cooldown=30 * SECOND,
)


def claim(token: str = "b", replaces: str = "") -> Claim:
    """Return a claim for ten seconds."""
    return Claim(token, 10 * SECOND, replaces)


def fail(era: int = ERA, *, was_closed: bool = True) -> Fail:
    """Return a failure, of three that open for thirty seconds."""
    return Fail(era, was_closed, fail_max=3, cooldown=30 * SECOND, reopenings=2)


def cool_down(era: int | None = ERA, seconds: int = 10, *, moves_end: bool = True) -> CoolDown:
    """Return a cooldown."""
    return CoolDown(era, seconds * SECOND, reopenings=2, moves_end=moves_end)


def report(**said: object) -> Report:
    """Return a report of that, and of nothing else."""
    return attrs.evolve(REPORT, **said)  # type: ignore[arg-type]


def began(state: str, **fields: object) -> dict[str, object]:
    """Return what a record has in a new era, beside what is said of it."""
    blank = {"until": 0, "successes": 0, "token": "", "lease": 0}
    return {"state": state, "era": NOW, "changed": NOW, **blank, **fields}


def opened(seconds: int, failures: int, reopenings: int) -> dict[str, object]:
    """Return what a record has whose cooldown has just begun."""
    return began(OPEN, until=NOW + seconds * SECOND, failures=failures, reopenings=reopenings)


SHUT = began(CLOSED, failures=0, reopenings=0)
PROBING = {"state": HALF_OPEN, "token": "b", "lease": NOW + 10 * SECOND}
NEW_PROBE = began(HALF_OPEN, token="b", lease=NOW + 10 * SECOND)
GIVEN_BACK = {"token": "", "lease": 0}


@pytest.mark.parametrize("record", [None, AGED, FAILING, RUNNING, OVER, FREE, PROBED, LOST])
def test_a_look_changes_nothing(record: Record | None) -> None:
    """Whatever there is, a Read returns it, with the time."""
    reply = transition(record, Read(), NOW)
    assert (reply.record, reply.now, reply.applied) == (record, NOW, False)


@pytest.mark.parametrize(
    ("record", "operation"),
    [
        (AGED, claim()),
        (RUNNING, claim()),
        (PROBED, claim()),
        (PROBED, claim(replaces="c")),
        (None, Succeed(ERA, 1)),
        (AGED, Succeed(ERA, 1)),
        (FAILING, Succeed(OTHER, 1)),
        (RUNNING, Succeed(OTHER, 1)),
        (PROBED, Succeed(OTHER, 1, "a")),
        (FAILING, fail(OTHER)),
        (RUNNING, fail()),
        (OVER, fail(OTHER)),
        (PROBED, fail(OTHER)),
        (None, cool_down(STALE)),
        (AGED, cool_down(STALE)),
        (FAILING, cool_down(OTHER)),
        (OVER, cool_down(OTHER)),
        (OVER, cool_down(STALE)),
        (PROBED, cool_down(OTHER)),
        (RUNNING, cool_down(seconds=5)),
        (RUNNING, cool_down(STALE, 4)),
        (RUNNING, cool_down(moves_end=False)),
        (None, Release("a")),
        (AGED, Release("a")),
        (RUNNING, Release("a")),
        (PROBED, Release("b")),
        # A report of a change that is older than what is known.
        (RUNNING, report(era=OTHER, state=CLOSED, state_age=61 * SECOND)),
        (AGED, report(era=OTHER, state=OPEN, state_age=61 * SECOND, remaining=SECOND)),
        (RUNNING, report(era=OTHER, state=OPEN, state_age=61 * SECOND, remaining=5 * SECOND)),
        # Of one that is known, or that others wait for already.
        (AGED, report(state=CLOSED)),
        (None, report(state=CLOSED)),
        (OVER, report(state=HALF_OPEN)),
        (PROBED, report(state=HALF_OPEN)),
        (OVER, report(state=OPEN)),
        # Of failures while another era began, or that one is no closed one.
        (FAILING, report(era=OTHER, failures=2, failures_age=61 * SECOND)),
        (RUNNING, report(failures=2)),
        (PROBED, report(failures=2)),
    ],
)
def test_nothing_changes(record: Record | None, operation: Operation) -> None:
    """What is not granted, stale, too late or known already leaves the record as it is."""
    reply = transition(record, operation, NOW)
    assert (reply.record, reply.applied) == (record, False)


@pytest.mark.parametrize(
    ("record", "operation", "changes", "applied"),
    [
        # Claim.
        (None, claim(), NEW_PROBE, True),
        (OVER, claim(), NEW_PROBE, True),
        (FREE, claim(), PROBING, True),
        (PROBED, claim(replaces="a"), PROBING, True),
        (LOST, claim(replaces="a"), PROBING, True),
        (LOST, claim(), NEW_PROBE, True),
        (LOST, claim(replaces="c"), NEW_PROBE, True),
        # Succeed.
        (FAILING, Succeed(ERA, 1), {"failures": 0}, False),
        (RUNNING, Succeed(ERA, 3), SHUT, False),
        (OVER, Succeed(ERA, 3), SHUT, False),
        (PROBED, Succeed(ERA, 2, "a"), SHUT, False),
        (PROBED, Succeed(ERA, 3, "a"), {"failures": 0, "successes": 2, **GIVEN_BACK}, False),
        (PROBED, Succeed(ERA, 3), {"failures": 0, "successes": 2}, False),
        # Fail.
        (None, fail(), {"failures": 1, "era": ERA, "changed": NOW}, False),
        (None, fail(was_closed=False), opened(30, 1, 2), True),
        (AGED, fail(), {"failures": 1}, False),
        (FAILING, fail(), opened(30, 3, 2), True),
        (OVER, fail(was_closed=False), opened(30, 4, 2), True),
        (FREE, fail(was_closed=False), opened(30, 4, 2), True),
        (PROBED, fail(was_closed=False), opened(30, 4, 2), True),
        # CoolDown.
        (None, cool_down(), opened(10, 1, 2), True),
        (None, cool_down(None), opened(10, 0, 2), True),
        (FAILING, cool_down(), opened(10, 3, 2), True),
        (FAILING, cool_down(None), opened(10, 2, 2), True),
        (RUNNING, cool_down(), {"until": NOW + 10 * SECOND}, False),
        (RUNNING, cool_down(STALE, 6), {"until": NOW + 6 * SECOND}, False),
        (RUNNING, cool_down(OTHER, 6), {"until": NOW + 6 * SECOND}, False),
        (RUNNING, cool_down(None, 4), {"until": NOW + 4 * SECOND}, False),
        (OVER, cool_down(), opened(10, 4, 2), True),
        (PROBED, cool_down(), opened(10, 4, 2), True),
        (PROBED, cool_down(None), opened(10, 3, 2), True),
        # Release.
        (PROBED, Release("a"), GIVEN_BACK, False),
        (LOST, Release("a"), GIVEN_BACK, False),
        # Close.
        (None, Close(), SHUT, False),
        (AGED, Close(), SHUT, False),
        (RUNNING, Close(), SHUT, False),
        (PROBED, Close(), SHUT, False),
        # Report, of a change.
        (FAILING, report(state=CLOSED), SHUT, False),
        (RUNNING, report(era=OTHER, state=CLOSED, state_age=60 * SECOND), SHUT, False),
        (RUNNING, report(state=CLOSED, state_age=61 * SECOND), SHUT, False),
        (None, report(state=OPEN, remaining=9 * SECOND, reopenings=2, failures=4), opened(9, 4, 2), False),
        (FAILING, report(state=OPEN, remaining=9 * SECOND, failures=1), opened(9, 2, 0), False),
        (RUNNING, report(state=OPEN, remaining=9 * SECOND, failures=4), opened(9, 4, 0), False),
        (RUNNING, report(state=OPEN, remaining=4 * SECOND), opened(5, 3, 0), False),
        (OVER, report(state=OPEN, remaining=SECOND), opened(1, 3, 0), False),
        (
            RUNNING,
            report(era=OTHER, state=OPEN, state_age=61 * SECOND, remaining=6 * SECOND),
            {"until": NOW + 6 * SECOND},
            False,
        ),
        (
            OVER,
            report(era=OTHER, state=OPEN, state_age=61 * SECOND, remaining=SECOND),
            {"until": NOW + SECOND},
            False,
        ),
        (AGED, report(state=OPEN), opened(0, 0, 0), False),
        (RUNNING, report(state=HALF_OPEN), opened(0, 3, 0), False),
        (FAILING, report(state=HALF_OPEN, reopenings=2), opened(0, 2, 2), False),
        (PROBED, report(state=OPEN, remaining=SECOND), opened(1, 3, 0), False),
        # Report, of failures.
        (None, report(failures=2, failures_age=7), {"failures": 2, "era": ERA, "changed": NOW - 7}, False),
        (None, report(failures=3), opened(30, 3, 0), True),
        (AGED, report(failures=2), {"failures": 2}, False),
        (FAILING, report(failures=2), opened(30, 4, 0), True),
        (FAILING, report(failures=2, forgets=True), {"failures": 2}, False),
        (FAILING, report(forgets=True), {"failures": 0}, False),
        (AGED, report(era=OTHER, failures=2, failures_age=60 * SECOND), {"failures": 2}, False),
    ],
)
def test_what_follows(
    record: Record | None, operation: Operation, changes: dict[str, object], applied: bool
) -> None:
    """A change is all that is said of it and no more, and makes the version grow."""
    reply = transition(record, operation, NOW)
    assert reply.applied is applied
    assert reply.now == NOW
    assert reply.record == attrs.evolve(record or Record(), version=NOW, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("operation", [claim(), fail(NOW + 5), Close(), cool_down(NOW + 5)])
def test_numbers_grow_also_above_the_time(operation: Operation) -> None:
    """Where the clock has stepped back, an era and a version follow on those that were in use."""
    reply = transition(attrs.evolve(OVER, era=NOW + 5, version=NOW + 7), operation, NOW)
    assert reply.record is not None
    assert (reply.record.era, reply.record.version) == (NOW + 6, NOW + 8)


def test_ends_move_back_with_the_clock() -> None:
    """A clock before the era's beginning makes it begin now, and a cooldown lasts its full length at most."""
    back = ERA - 10 * SECOND
    reply = transition(RUNNING, Read(), back)
    assert reply.record == attrs.evolve(
        RUNNING, changed=back, until=RUNNING.until - 10 * SECOND, version=ERA + 1
    )
    assert reply.record.is_cooling(back + 65 * SECOND - 1)
    assert not reply.record.is_cooling(back + 65 * SECOND)


def test_a_lease_moves_back_with_the_clock() -> None:
    """Neither end becomes negative."""
    reply = transition(PROBED, Read(), ERA - 10 * SECOND)
    assert reply.record is not None
    assert (reply.record.lease, reply.record.until) == (PROBED.lease - 10 * SECOND, 0)
    assert transition(AGED, Read(), ERA - 1).record == attrs.evolve(AGED, changed=ERA - 1, version=ERA + 1)


def test_an_operation_meets_what_a_clock_has_moved() -> None:
    """The ends move first."""
    back = ERA - 10 * SECOND
    reply = transition(RUNNING, cool_down(seconds=56), back)
    assert reply.record is not None
    assert reply.record.until == back + 65 * SECOND


@pytest.mark.parametrize(
    ("record", "last"), [(AGED, NOW), (RUNNING, RUNNING.until), (PROBED, PROBED.lease), (OVER, NOW)]
)
def test_a_record_is_kept_a_day_beyond_its_last_end(record: Record, last: int) -> None:
    """From its cooldown, its lease, or the last write."""
    assert record.expires(NOW) == last + KEPT
