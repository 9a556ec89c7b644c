"""What processes that share cooldowns know of one provider, and the operations that change it.

`transition()` is the one definition of each of them, a pure function. The store that lives in the process
calls it; the Redis store's script does the same within the server, and a test compares the two.

    operation   absent or closed            open                              half-open
    Claim       closed: not granted         running: not granted              granted, unless a probe's lease
                absent: granted             over: half-open, granted          runs; a lost one: a new era
    Succeed     failures = 0                closed at once                    counts, closed at the threshold
    Fail        counts, open at fail_max    running: nothing; over: open      open
    CoolDown    open                        running: its end may move;        open
                                            over: open
    Release     nothing                     nothing                           the probe is given back
    Close       closed                      closed                            closed
    Report      see there

`Succeed`, `Fail` and `CoolDown` bring the era of their permit: where the record is in another one, they are
stale and change nothing, save that a vendor's word may move the end of a cooldown.

Points in time and durations are whole microseconds, which Lua's numbers and JSON's hold exactly.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

State: TypeAlias = Literal["closed", "open", "half-open"]

CLOSED: State = "closed"
OPEN: State = "open"
HALF_OPEN: State = "half-open"

SECOND = 1_000_000

#: The era of a permit whose era is over: that of no record.
STALE = -1

#: How long a record is kept after its last write, beyond its cooldown or lease, in microseconds: a day, far
#: above any cooldown, so that a process that was cut off still finds what happened meanwhile.
KEPT = 86_400 * SECOND


@attrs.frozen
class Record:
    """What is known of one provider in all processes.

    Attributes:
        state: `"closed"`, `"open"` (also where the cooldown is over and nobody probes), or `"half-open"`.
        failures: Failures in a row, those that opened the breaker included.
        reopenings: Failed probes in a row that led to the present cooldown.
        successes: Probes in a row that have succeeded in the present half-open era.
        until: When the cooldown is over, in microseconds of the store's clock; 0 while closed.
        changed: When the present era began, in microseconds of the store's clock.
        era: Grows with each change of the state. 0 where there has been none.
        version: Grows with every write.
        token: Whose probe is under way; empty: nobody's.
        lease: When that probe is presumed lost, in microseconds of the store's clock.
    """

    state: State = CLOSED
    failures: int = 0
    reopenings: int = 0
    successes: int = 0
    until: int = 0
    changed: int = 0
    era: int = 0
    version: int = 0
    token: str = ""
    lease: int = 0

    def is_cooling(self, now: int) -> bool:
        """Return whether its cooldown runs."""
        return self.state == OPEN and now < self.until

    def is_probed(self, now: int) -> bool:
        """Return whether somebody's probe is under way."""
        return self.state == HALF_OPEN and bool(self.token) and now < self.lease

    def expires(self, now: int) -> int:
        """Return until when it has to be kept, in microseconds of the store's clock."""
        return max(now, self.until, self.lease) + KEPT


@attrs.frozen
class Read:
    """Look, and change nothing."""


@attrs.frozen
class Claim:
    """Begin a probe, if nobody else's is under way.

    Attributes:
        token: Of the one who asks; unique.
        lease: After how long it is presumed lost, in microseconds.
        replaces: The token of a probe that the same process has dropped; empty: none.
    """

    token: str
    lease: int
    replaces: str = ""


@attrs.frozen
class Succeed:
    """An attempt was answered.

    Attributes:
        era: That of its permit.
        success_threshold: How many probes must succeed, one after the other.
        token: That of the probe that it was; empty: it was none, and one that is under way goes on.
    """

    era: int
    success_threshold: int
    token: str = ""


@attrs.frozen
class Fail:
    """An attempt failed.

    Attributes:
        era: That of its permit.
        was_closed: Whether that was a closed era.
        fail_max: How many failures in a row start a cooldown.
        cooldown: How long the one that it may start lasts, in microseconds.
        reopenings: How many failed probes in a row led to that one.
    """

    era: int
    was_closed: bool
    fail_max: int
    cooldown: int
    reopenings: int


@attrs.frozen
class CoolDown:
    """A provider is to be left alone, by the word of its vendor, of a classifier, or of a hand.

    Attributes:
        era: That of the permit; None: by hand, which is never stale; or `STALE`.
        cooldown: For how long, in microseconds.
        reopenings: How many failed probes in a row led to the cooldown that it may start.
        moves_end: Whether the end of a cooldown that runs moves: a vendor's later, a hand's in any case.
    """

    era: int | None
    cooldown: int
    reopenings: int
    moves_end: bool


@attrs.frozen
class Release:
    """Give a probe back of which nothing is counted.

    Attributes:
        token: The one that it was claimed with.
    """

    token: str


@attrs.frozen
class Close:
    """Close by hand."""


@attrs.frozen
class Report:
    """What a process did by itself while it had no store, or by a hand on its breaker.

    The newer change wins, and of two cooldowns that run the later end. Failures are added, unless the record
    has left the era that they were counted in.

    Attributes:
        era: The last one that the process knew.
        state: What its breaker changed to; None: it has not changed. `"half-open"`: its cooldown has ended.
        state_age: How long ago, in microseconds.
        remaining: What is left of its cooldown, in microseconds; 0 unless `state` is `"open"`.
        reopenings: How many failed probes in a row led to that cooldown.
        failures: How many it counted while it was closed.
        failures_age: How long ago the first of them was, in microseconds.
        forgets: Whether there was a success before them, which ended an older row.
        fail_max: How many failures in a row start a cooldown.
        cooldown: How long the one that the failures may start lasts, in microseconds.
    """

    era: int
    state: State | None
    state_age: int
    remaining: int
    reopenings: int
    failures: int
    failures_age: int
    forgets: bool
    fail_max: int
    cooldown: int


Operation: TypeAlias = Read | Claim | Succeed | Fail | CoolDown | Release | Close | Report


@attrs.frozen
class Reply:
    """What a store answers.

    Attributes:
        record: After the operation; None: there is none, which is a closed breaker without failures.
        now: The store's clock, in microseconds.
        applied: Of a `Claim`: whether the probe was granted. Of the others: whether this operation started a
            cooldown, which of any number of failures one does.
    """

    record: Record | None
    now: int
    applied: bool = False


def transition(  # noqa: PLR0911  # one for each operation
    record: Record | None, operation: Operation, now: int
) -> Reply:
    """Return what the operation makes of the record at that time of the store's clock.

    Where `version` is that of the record given, nothing has changed and nothing need be written.
    """
    known = None if record is None else _settled(record, now)
    match operation:
        case Read():
            return Reply(known, now)
        case Claim():
            return _claim(known, operation, now)
        case Succeed():
            return _succeed(known, operation, now)
        case Fail():
            return _fail(known, operation, now)
        case CoolDown():
            return _cool_down(known, operation, now)
        case Release():
            return _release(known, operation, now)
        case Close():
            return Reply(_closed(known, now), now)
        case Report():  # pragma: no branch  # there is no other
            return _report(known, operation, now)


def _settled(record: Record, now: int) -> Record:
    """Return the record, its ends moved back with a clock that has stepped back to before its era began."""
    ahead = record.changed - now
    if ahead <= 0:
        return record
    return attrs.evolve(
        record,
        changed=now,
        until=max(0, record.until - ahead),
        lease=max(0, record.lease - ahead),
        version=record.version + 1,
    )


def _written(record: Record, now: int, **changes: object) -> Record:
    # Beginning with the time: after a store has lost all, numbers go on above those that were in use.
    return attrs.evolve(record, version=max(record.version + 1, now), **changes)  # type: ignore[arg-type]


def _moved(record: Record | None, now: int, state: State, **changes: object) -> Record:
    """Return the record in a new era of that state."""
    known = record or Record()
    era = max(known.era + 1, now)
    fresh = attrs.evolve(known, state=state, era=era, changed=now, successes=0, until=0, token="", lease=0)
    return _written(fresh, now, **changes)


def _opened(record: Record | None, now: int, cooldown: int, reopenings: int, failures: int) -> Record:
    return _moved(record, now, OPEN, until=now + cooldown, reopenings=reopenings, failures=failures)


def _closed(record: Record | None, now: int) -> Record:
    return _moved(record, now, CLOSED, reopenings=0, failures=0)


def _claim(record: Record | None, claim: Claim, now: int) -> Reply:
    if record is not None:
        if record.state == CLOSED or record.is_cooling(now):
            return Reply(record, now)
        if record.is_probed(now) and record.token != claim.replaces:
            return Reply(record, now)
    lease = now + claim.lease
    if record is not None and record.state == HALF_OPEN and record.token in {"", claim.replaces}:
        probed = _written(record, now, token=claim.token, lease=lease)
    else:  # the first after a cooldown, or after a probe that was lost
        probed = _moved(record, now, HALF_OPEN, token=claim.token, lease=lease)
    return Reply(probed, now, applied=True)


def _succeed(record: Record | None, success: Succeed, now: int) -> Reply:
    if record is None or record.era != success.era:
        return Reply(record, now)
    if record.state == CLOSED:
        return Reply(_written(record, now, failures=0) if record.failures else record, now)
    successes = record.successes + 1
    if record.state == HALF_OPEN and successes < success.success_threshold:
        is_probe = success.token == record.token
        over = {"token": "", "lease": 0} if is_probe else {}
        return Reply(_written(record, now, failures=0, successes=successes, **over), now)
    return Reply(_closed(record, now), now)


def _fail(record: Record | None, failure: Fail, now: int) -> Reply:
    if record is None:
        # Lost, or never there. An attempt of another era than a closed one knows of a cooldown.
        record = Record(era=failure.era, changed=now)
        opens = not failure.was_closed
    elif record.era != failure.era or record.is_cooling(now):
        return Reply(record, now)
    else:
        opens = record.state != CLOSED
    failures = record.failures + 1
    if opens or failures >= failure.fail_max:
        return Reply(_opened(record, now, failure.cooldown, failure.reopenings, failures), now, applied=True)
    return Reply(_written(record, now, failures=failures), now)


def _cool_down(record: Record | None, cool_down: CoolDown, now: int) -> Reply:
    if record is not None and record.is_cooling(now):
        ends = now + cool_down.cooldown
        if cool_down.moves_end and (cool_down.era is None or ends > record.until):
            return Reply(_written(record, now, until=ends), now)
        return Reply(record, now)
    if cool_down.era is not None and (
        cool_down.era == STALE or (record is not None and record.era != cool_down.era)
    ):
        return Reply(record, now)
    failures = (0 if record is None else record.failures) + (cool_down.era is not None)
    opened = _opened(record, now, cool_down.cooldown, cool_down.reopenings, failures)
    return Reply(opened, now, applied=True)


def _release(record: Record | None, release: Release, now: int) -> Reply:
    if record is None or record.state != HALF_OPEN or record.token != release.token:
        return Reply(record, now)
    return Reply(_written(record, now, token="", lease=0), now)


def _report(record: Record | None, report: Report, now: int) -> Reply:
    if report.state is None:
        return _report_failures(record, report, now)
    known = record or Record()
    was_left = record is not None and record.era != report.era
    if was_left and known.changed > now - report.state_age:
        # What is known here is newer. Of two cooldowns the later end holds all the same, until a probe.
        is_longer = report.remaining > 0 and now + report.remaining > known.until
        if report.state == OPEN and known.state == OPEN and is_longer:
            return Reply(_written(known, now, until=now + report.remaining), now)
        return Reply(record, now)
    failures = max(report.failures, known.failures)
    if report.state == CLOSED:
        return Reply(_closed(record, now) if known.state != CLOSED or known.failures else record, now)
    # Half-open, or over: others wait for a probe already, or may begin one now.
    remaining = report.remaining
    if report.state == OPEN and known.is_cooling(now):
        remaining = max(remaining, known.until - now)
    waits = known.state != CLOSED and not known.is_cooling(now)
    if waits and not remaining:
        return Reply(record, now)
    return Reply(_opened(record, now, remaining, report.reopenings, failures), now)


def _report_failures(record: Record | None, report: Report, now: int) -> Reply:
    if record is None:
        record = Record(era=report.era, changed=now - report.failures_age)
    is_stale = record.era != report.era and record.changed > now - report.failures_age
    if record.state != CLOSED or is_stale:
        return Reply(record, now)
    failures = report.failures + (0 if report.forgets else record.failures)
    if failures >= report.fail_max:
        return Reply(_opened(record, now, report.cooldown, 0, failures), now, applied=True)
    return Reply(_written(record, now, failures=failures), now)
