"""Three processes that share cooldowns, driven together with one reference, with and without partitions."""

from __future__ import annotations

import gc
import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, Literal, TypeAlias

from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cooldown_model import SECOND, ModelPermit, ModelSettings
from fallback_exec import BreakerCooldownTracker, Cooling, Permit
from fallback_exec.cooldown.operations import CoolDown, Fail, Report
from fallback_exec.shared import CooldownStore, NotAppliedError, Operation, Record, Reply, transition
from shared_model import SharedModel

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH: Final = (START - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

#: The provider that is called, and one that is always well: asking for it refreshes both.
NAME: Final = "grok"
PULSE: Final = "pulse"

PROCESSES: Final = range(3)

# In microseconds.
MINUTE: Final = 60 * SECOND
OFFSETS: Final = (0, -7 * MINUTE, 3 * MINUTE + 1, 24 * 60 * MINUTE)
LENGTHS: Final = (10 * SECOND, SECOND // 3, 5_000 * SECOND, 1)
STEPS: Final = (1, SECOND // 10, SECOND // 4, SECOND, 20 * SECOND, 70 * SECOND)

SETTINGS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "fail_max": st.sampled_from((1, 2, 3)),
    "reset_timeout": st.sampled_from((30 * SECOND, SECOND // 4)),
    "success_threshold": st.sampled_from((1, 2, 3)),
    "backoff_factor": st.sampled_from((2.0, 1.0, 1.5)),
    "max_reset_timeout": st.sampled_from((300 * SECOND, 40 * SECOND)),
    "probe_lease": st.sampled_from((None, 10 * SECOND, SECOND // 3, 1)),
}

# How an attempt ends; a number is a failure that says for how many microseconds to leave the provider alone.
Ending: TypeAlias = Literal["failure", "success", "release", "drop", "begin", "cool down"] | int

# What becomes of a request: it arrives and is answered, is refused, or is lost, or its answer is.
Link: TypeAlias = Literal["well", "refuses", "loses requests", "loses answers"]
LINKS: Final[tuple[Link, ...]] = ("well", "refuses", "loses requests", "loses answers")

processes = st.sampled_from(PROCESSES)
endings: st.SearchStrategy[Ending] = st.sampled_from(
    ("failure", "success", "failure", "release", "drop", "begin", "cool down", *LENGTHS[:3])
)
lengths = st.none() | st.sampled_from(LENGTHS)
steps = st.sampled_from(STEPS)
edges = st.sampled_from((0, -1, 1))

RUNS: Final = 10
SHORT: Final = settings(derandomize=True, max_examples=2, stateful_step_count=100, deadline=None)


def to_arguments(drawn: dict[str, Any]) -> dict[str, Any]:
    """Return the model's settings as the tracker takes them: in seconds."""
    return {
        name: value / SECOND if value is not None and name.endswith(("_timeout", "_lease")) else value
        for name, value in drawn.items()
    }


def seconds(microseconds: int | None) -> float | None:
    """Return float seconds."""
    return None if microseconds is None else microseconds / SECOND


def microseconds(seconds: float | None) -> int | None:
    """Return whole microseconds."""
    return None if seconds is None else round(seconds * SECOND)


class World:
    """The true time, which is the store's; three processes whose clocks are others; and what is between.

    Attributes:
        now: The time since it began, in microseconds.
        links: How each process is connected to the store.
        process: Which one is asking.
    """

    def __init__(self, clock: FrozenDateTimeFactory) -> None:
        self.now = 0
        self.links: list[Link] = ["well" for _ in PROCESSES]
        self.offsets = [0 for _ in PROCESSES]
        self.process = 0
        self._clock = clock

    @contextmanager
    def acting(self, process: int) -> Iterator[None]:
        """Have one process act, by its own clock."""
        self.process = process
        self._clock.move_to(START + timedelta(microseconds=self.now + self.offsets[process]))
        yield


class Store(CooldownStore):
    """Carries out what reaches it.

    Attributes:
        records: By the names of providers.
        uncounted: How many failures were in requests that were lost.
    """

    def __init__(self, world: World, refresh_interval: int) -> None:
        self.refresh_interval = refresh_interval / SECOND
        self.records: dict[str, Record] = {}
        self.uncounted = 0
        self._world = world

    @property
    def now(self) -> int:
        """The store's clock."""
        return EPOCH + self._world.now

    def apply(self, name: str, operation: Operation) -> Reply:
        """Carry out one operation, if it arrives."""
        link = self._world.links[self._world.process]
        if link == "refuses":
            raise NotAppliedError
        if link == "loses requests":
            if isinstance(operation, Report):
                self.uncounted += operation.failures
            elif isinstance(operation, Fail | CoolDown):
                self.uncounted += 1
            raise TimeoutError
        reply = transition(self.records.get(name), operation, self.now)
        if reply.record is not None:
            self.records[name] = reply.record
        if link == "loses answers":
            raise TimeoutError
        return reply


@dataclass(eq=False)
class Held:
    """A permit that a process holds, spent or not, and the model's."""

    process: int
    real: Permit
    expected: ModelPermit


class Machine(RuleBasedStateMachine):
    """Three processes, one store."""

    refresh_interval = SECOND // 4

    def __init__(self) -> None:
        super().__init__()
        gc.disable()  # what is dropped is gone at once, by its count of references
        self.logger = logging.getLogger("fallback_exec")
        self.logger.disabled = True
        self.freezer = freeze_time(START)
        clock = self.freezer.start()
        assert isinstance(clock, FrozenDateTimeFactory)
        self.world = World(clock)
        self.store = Store(self.world, self.refresh_interval)
        self.numbers = itertools.count()

    def teardown(self) -> None:
        """Leave everything as it was."""
        self.freezer.stop()
        self.logger.disabled = False
        gc.enable()

    def build(self, drawn: dict[str, Any], offsets: list[int]) -> None:
        """Build the trackers of all processes, with the same settings."""
        self.world.offsets = offsets
        self.trackers = []
        for process in PROCESSES:
            with self.world.acting(process):
                self.trackers.append(BreakerCooldownTracker(**to_arguments(drawn), shared=self.store))

    def new_error(self) -> ConnectionError:
        """Return an error that no other is like."""
        return ConnectionError(f"failure {next(self.numbers)}")

    def pass_time(self, microseconds: int) -> None:
        """Time passes, and whoever reaches the store learns what is new."""
        self.world.now += microseconds
        for process in PROCESSES:
            with self.world.acting(process):
                self.trackers[process].acquire(PULSE)


class Together(Machine):
    """Where all reach the store, all behave as one process does that shares nothing.

    Each step begins with time that passes, and ends with a look at what all processes show. What they know is
    good for a microsecond only, so that none is behind.
    """

    refresh_interval = 1

    @initialize(
        drawn=st.fixed_dictionaries(SETTINGS),
        offsets=st.lists(st.sampled_from(OFFSETS), min_size=len(PROCESSES), max_size=len(PROCESSES)),
    )
    def begin(self, drawn: dict[str, Any], offsets: list[int]) -> None:
        """Build them, and the reference."""
        self.build(drawn, offsets)
        self.model = SharedModel(ModelSettings(**drawn), Random(0))
        self.held: list[Held] = []
        # Who knows the provider: the others have not asked, and show nothing.
        self.knowing: set[int] = set()

    @rule(process=processes, force=st.booleans(), told=st.lists(endings, max_size=2))
    def attempt(self, process: int, force: bool, told: list[Ending]) -> None:
        """A permit is acquired and, at once or later, told of what came of the attempt."""
        self.pass_time(1)
        held = self.acquire(process, force=force)
        for ending in told if held is not None else ():
            assert held is not None
            self.tell(held, ending)

    @rule(order=st.permutations(PROCESSES))
    def rush(self, order: list[int]) -> None:
        """Of three at a time all get a permit, or one gets the probe, or nobody gets anything."""
        self.pass_time(1)
        given = [self.acquire(process, force=False) for process in order]
        assert sum(each is not None for each in given) in {0, 1, 3}

    def acquire(self, process: int, *, force: bool) -> Held | None:
        """Return the permit that was given, which is held from now on."""
        self.knowing.add(process)
        expected = self.model.acquire_in(process, self.world.now, force=force)
        with self.world.acting(process):
            real = self.trackers[process].acquire(NAME, force=force)
            if not isinstance(expected, ModelPermit):
                assert isinstance(real, Cooling)
                assert microseconds(real.cooldown_remaining) == expected
                return None
        assert isinstance(real, Permit)
        cooling = real.cooling
        assert microseconds(None if cooling is None else cooling.cooldown_remaining) == expected.cooling
        self.held.append(Held(process, real, expected))
        return self.held[-1]

    @precondition(lambda self: self.held)
    @rule(
        age=st.sampled_from((0, 1, 2, 0, 3, 5)),
        told=st.lists(endings, min_size=1, max_size=2),
    )
    def settle(self, age: int, told: list[Ending]) -> None:
        """The first outcome of a permit counts, in the permit's era, however late."""
        self.pass_time(1)
        held = self.held[-1 - age % len(self.held)]
        for ending in told:
            self.tell(held, ending)

    def tell(self, held: Held, ending: Ending) -> None:
        """Tell both permits of an outcome, or drop them; what is dropped stays dropped."""
        if held not in self.held:
            return
        now, error = self.world.now, self.new_error()
        with self.world.acting(held.process):
            if ending == "success":
                held.real.success()
                self.model.succeed(held.expected)
            elif ending == "failure":
                assert held.real.failure(error) is self.model.fail(held.expected, now, str(error))
            elif ending == "release":
                held.real.release()
                self.model.release(held.expected)
            elif ending == "drop":
                self.held.remove(held)
                self.model.drop(held.process, held.expected)
            elif ending == "begin":
                begun = self.model.begin(held.expected)
                real = held.real.begin()
                assert (real is held.real) is (begun is held.expected)
                held.real, held.expected = real, begun
            else:
                length = None if ending == "cool down" else ending
                started = held.real.cool_down(error, seconds(length))
                assert started is self.model.fail_for(held.expected, now, str(error), length)

    @rule(process=processes, succeeds=st.booleans())
    def record(self, process: int, succeeds: bool) -> None:
        """An outcome without a permit is that of an attempt that begins now."""
        self.pass_time(1)
        self.knowing.add(process)
        expected = self.model.acquire_in(process, self.world.now, force=True)
        assert isinstance(expected, ModelPermit)
        with self.world.acting(process):
            if succeeds:
                self.trackers[process].record_success(NAME)
                self.model.succeed(expected)
            else:
                started = self.trackers[process].record_failure(NAME, self.new_error())
                assert started is self.model.fail(expected, self.world.now, "")

    @rule(step=steps)
    def wait(self, step: int) -> None:
        """Time passes."""
        self.pass_time(step)

    @precondition(lambda self: self.ends() is not None)
    @rule(edge=edges)
    def wait_for_an_end(self, edge: int) -> None:
        """Time passes until just before, at, or just after the end of a cooldown, or of a lease."""
        ends = self.ends()
        assert ends is not None
        self.pass_time(max(1, ends + edge - 1 - self.world.now))

    def ends(self) -> int | None:
        """Return when what is running ends."""
        probe = self.model.probe
        running = self.model.cooldown if probe is None else probe.lease
        return None if running is None or running.ends <= self.world.now else running.ends

    # By hand.

    @rule(process=processes, length=lengths)
    def cool_down(self, process: int, length: int | None) -> None:
        """A cooldown begins, or ends at another moment, for all."""
        self.pass_time(1)
        self.knowing.add(process)
        with self.world.acting(process):
            self.trackers[process].cool_down(NAME, seconds(length))
        self.model.cool_down(self.world.now, length)

    @rule(process=processes, change=st.sampled_from(("open", "half_open", "close", "reset")))
    def change(self, process: int, change: str) -> None:
        """What is done with one process's breaker, all learn of."""
        self.pass_time(1)
        self.knowing.add(process)
        was = self.model.cooling(self.world.now), self.model.era
        with self.world.acting(process):
            if change == "reset":
                self.trackers[process].reset(NAME)
            else:
                getattr(self.trackers[process].breaker(NAME), change)()
        if change == "reset":
            self.model.reset()
        elif change == "open":
            self.model.open_by_hand(self.world.now)
        elif change == "close":
            self.model.close()
        else:
            self.model.half_open_by_hand(self.world.now)
        if self.model.era == was[1]:
            # A hand's change begins an era here, there, or everywhere, though nothing has changed: whether
            # the outcomes of what is under way count is left open, so they are not told.
            for held in list(self.held):
                self.tell(held, "drop")
        self.pass_time(1)  # it is reported, then the others ask

    # What always holds.

    @invariant()
    def all_agree(self) -> None:
        """All show the same, which is what the reference says."""
        self.pass_time(1)
        for process in sorted(self.knowing):
            cooling = self.model.cooling_in(process, self.world.now)
            expected = self.model.status(self.world.now)
            with self.world.acting(process):
                tracker = self.trackers[process]
                status = tracker.snapshot()[NAME]
                shown = (status.state, status.failures, microseconds(status.cooldown_remaining))
                assert shown == (expected.state, expected.failures, expected.cooldown_remaining)
                assert tracker.is_available(NAME) is (cooling is None)
                assert microseconds(tracker.cooldown_remaining(NAME)) == (cooling or 0)


class Apart(Machine):
    """Whatever is lost on the way, nobody raises; and once all reach the store again, all agree with it."""

    @initialize(
        drawn=st.fixed_dictionaries(SETTINGS),
        offsets=st.lists(st.sampled_from(OFFSETS), min_size=len(PROCESSES), max_size=len(PROCESSES)),
    )
    def begin(self, drawn: dict[str, Any], offsets: list[int]) -> None:
        """Build them."""
        self.build(drawn, offsets)
        self.held: list[tuple[int, Permit]] = []
        # Whether, since all agreed, only failures were told: nothing that ends a cooldown.
        self.only_failures = True

    @rule(process=processes, link=st.sampled_from(LINKS))
    def cut(self, process: int, link: Link) -> None:
        """One process is cut off, in some way, or no longer."""
        self.world.links[process] = link

    @rule(link=st.sampled_from(LINKS[1:]))
    def cut_all(self, link: Link) -> None:
        """The store is away."""
        self.world.links = [link for _ in PROCESSES]

    @rule()
    def lose_all(self) -> None:
        """The store starts anew, empty."""
        self.store.records.clear()

    @rule(step=steps)
    def wait(self, step: int) -> None:
        """Time passes; who asks meanwhile is drawn elsewhere."""
        self.world.now += step

    @rule(process=processes, force=st.booleans(), told=st.lists(endings, max_size=2))
    def attempt(self, process: int, force: bool, told: list[Ending]) -> None:
        """A permit is acquired and, at once or later, told."""
        with self.world.acting(process):
            permit = self.trackers[process].acquire(NAME, force=force)
        if isinstance(permit, Permit):
            self.held.append((process, permit))
            del permit
            for ending in told:
                self.tell(-1, ending)

    @precondition(lambda self: self.held)
    @rule(age=st.sampled_from((0, 1, 2, 5)), told=st.lists(endings, min_size=1, max_size=2))
    def settle(self, age: int, told: list[Ending]) -> None:
        """Outcomes come late."""
        for ending in told:
            if self.held:
                self.tell(-1 - age % len(self.held), ending)

    def tell(self, index: int, ending: Ending) -> None:
        """Tell a permit."""
        if not self.held:
            return
        process, permit = self.held[index]
        self.only_failures = self.only_failures and ending not in {"success", "begin"}
        with self.world.acting(process):
            if ending == "success":
                permit.success()
            elif ending == "failure":
                permit.failure(self.new_error())
            elif ending == "release":
                permit.release()
            elif ending == "drop":
                del self.held[index]
            elif ending == "begin":
                self.held[index] = process, permit.begin()
            else:
                permit.cool_down(self.new_error(), seconds(None if ending == "cool down" else ending))

    @rule(process=processes, length=lengths)
    def cool_down(self, process: int, length: int | None) -> None:
        """A hand begins a cooldown, or sets its end, which may be an earlier one."""
        self.only_failures = False
        with self.world.acting(process):
            self.trackers[process].cool_down(NAME, seconds(length))

    @rule(process=processes, change=st.sampled_from(("open", "half_open", "close", "reset")))
    def change(self, process: int, change: str) -> None:
        """A hand is at work."""
        self.only_failures = False
        with self.world.acting(process):
            if change == "reset":
                self.trackers[process].reset(NAME)
            else:
                getattr(self.trackers[process].breaker(NAME), change)()

    @rule()
    def heal(self) -> None:
        """All reach the store again; once each has asked, all agree, and a cooldown that ran goes on."""
        before = [self.ends(process) for process in PROCESSES]
        self.world.links = ["well" for _ in PROCESSES]
        for _ in range(5):  # the pause is over; all ask; report what is lost; and the others learn of it
            self.pass_time(16 * SECOND)
        record = self.store.records.get(NAME, Record())
        remaining = max(0, record.until - self.store.now)
        state = "half-open" if record.state == "open" and not remaining else record.state
        for process in PROCESSES:
            with self.world.acting(process):
                shown = self.trackers[process].snapshot().get(NAME)
            if shown is not None:
                assert (shown.state, shown.failures) == (state, record.failures)
                assert abs(shown.cooldown_remaining * SECOND - remaining) <= SECOND // 100
        if self.only_failures:
            assert remaining >= max(before) - self.world.now - SECOND // 100
        self.only_failures = True

    def ends(self, process: int) -> int:
        """Return when a process would call the provider again; 0 where it would now."""
        with self.world.acting(process):
            remaining = self.trackers[process].cooldown_remaining(NAME)
        return self.world.now + round(remaining * SECOND) if remaining else 0


class Counting(Machine):
    """Failures add up, whatever is lost on the way: what did not arrive is not counted, and all else once."""

    @initialize(offsets=st.lists(st.sampled_from(OFFSETS), min_size=len(PROCESSES), max_size=len(PROCESSES)))
    def begin(self, offsets: list[int]) -> None:
        """Build them; nothing ever opens."""
        self.build({"fail_max": 1_000_000}, offsets)
        self.told = 0

    @rule(process=processes, link=st.sampled_from(LINKS))
    def cut(self, process: int, link: Link) -> None:
        """One process is cut off, in some way, or no longer."""
        self.world.links[process] = link

    @rule(process=processes, step=steps, count=st.integers(1, 3))
    def fail(self, process: int, step: int, count: int) -> None:
        """Attempts fail."""
        self.world.now += step
        for _ in range(count):
            with self.world.acting(process):
                permit = self.trackers[process].acquire(NAME)
                assert isinstance(permit, Permit)
                assert permit.failure(self.new_error()) is False
            self.told += 1

    @rule()
    def heal(self) -> None:
        """All have counted what has arrived."""
        self.world.links = ["well" for _ in PROCESSES]
        for _ in range(3):
            self.pass_time(16 * SECOND)
        for process in PROCESSES:
            with self.world.acting(process):
                shown = self.trackers[process].snapshot().get(NAME)
            assert shown is None or shown.failures == self.told - self.store.uncounted


class TestTogether:
    """No partition."""

    def test_all_behave_as_one(self) -> None:
        """In thousands of steps, the same ones each time."""
        for number in range(RUNS):
            run_state_machine_as_test(seed(number)(Together), settings=SHORT)


class TestApart:
    """Partitions."""

    def test_all_agree_afterwards(self) -> None:
        """And nothing raises meanwhile."""
        for number in range(RUNS):
            run_state_machine_as_test(seed(number)(Apart), settings=SHORT)

    def test_failures_add_up(self) -> None:
        """None is counted twice, and none is lost that was not lost on the way."""
        for number in range(RUNS):
            run_state_machine_as_test(seed(number)(Counting), settings=SHORT)
