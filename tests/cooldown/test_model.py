"""BreakerCooldownTracker driven together with a plain-Python model of it, which must agree at every step."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, Literal, TypeAlias

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
from hypothesis import Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pybreaker import CircuitBreaker

from cooldown_model import (
    SECOND,
    CooldownModel,
    ModelPermit,
    ModelProvider,
    ModelSettings,
    ModelStatus,
    Stretch,
)
from fallback_exec import (
    EXEMPT_PROVIDERS,
    AllProvidersFailedError,
    Attempt,
    BreakerCooldownTracker,
    BreakerSettings,
    Cooling,
    ExecuteConfig,
    NamedProvider,
    Permit,
    Strategy,
    Verdict,
    execute,
)

START: Final = datetime(2026, 1, 1, tzinfo=UTC)

# The second one has settings of its own, and is exempt, which `execute()` knows and the tracker does not.
NAMES: Final = ("grok", "laozhang")

# max_providers: room for every name there is; for those under test whatever else comes; for hardly any.
AMPLE: Final = 1024
ROOMY: Final = 8
TIGHT: Final = (1, 2)

# In microseconds. What a backoff multiplies is whole in binary as well: half a microsecond is then rounded
# alike in the model's whole numbers and in the tracker's floats.
RESET_TIMEOUTS: Final = (30 * SECOND, 90 * SECOND, SECOND // 4)
LIMITS: Final = (300 * SECOND, 40 * SECOND, 1_000_000 * SECOND)
LEASES: Final = (10 * SECOND, SECOND // 3, 1)
LENGTHS: Final = (10 * SECOND, SECOND // 3, 1, 5_000 * SECOND)

# How an attempt ends, or the telling of it: a permit may also be dropped without a word, or told that the
# answer has begun. A number is a failure that says for how many microseconds to leave the provider alone;
# "cool down" says it without one.
Ending: TypeAlias = Literal["failure", "success", "neither", "dropped", "begin", "cool down"] | int
# How the clock moves, in microseconds: by so much, or to so much after a cooldown or a lease is over.
Move: TypeAlias = tuple[Literal["by", "to an edge"], int]
# An attempt of a chain: whose, what the clock does meanwhile, and how it ends.
Plan: TypeAlias = tuple[str, Move, Ending]
# A line of a chain's story: whose, how it ended, and the cooldown that was learned of.
Line: TypeAlias = tuple[str, str, int | None]

EDGES: Final[tuple[Move, ...]] = (("to an edge", 0), ("to an edge", -1), ("to an edge", 1))
STEPS: Final[tuple[Move, ...]] = (
    *(("by", step * SECOND) for step in (1, 20, 70)),
    *(("by", -step * SECOND) for step in (1, 20, 3_600)),
)
STILL: Final[Move] = ("by", 0)

SETTINGS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "fail_max": st.sampled_from((1, 2, 3, 1)),
    "reset_timeout": st.sampled_from(RESET_TIMEOUTS),
    "success_threshold": st.integers(1, 3),
    "backoff_factor": st.sampled_from((2.0, 1.0, 1.5, 10.0)),
    "max_reset_timeout": st.sampled_from(LIMITS),
    "jitter": st.sampled_from((0.0, 0.5, 1.0)),
    "probe_lease": st.sampled_from(LEASES),
}

# Where something stands more than once, that is its weight.
names = st.sampled_from(NAMES)
ENDINGS: Final[tuple[Ending, ...]] = ("failure", "success", "neither", "dropped", "failure", "cool down")
endings: st.SearchStrategy[Ending] = st.sampled_from((*ENDINGS, "begin", *LENGTHS[:2]))
chain_endings: st.SearchStrategy[Ending] = st.sampled_from((*ENDINGS, *LENGTHS[2:]))
moves = st.sampled_from((*EDGES, *EDGES, *STEPS))
maybe_moves = st.sampled_from((*(STILL,) * 9, *EDGES, *EDGES, *EDGES, *STEPS))

# The first example of a run is the simplest, the second a new one, and most of the others are made from
# those before them: many short runs, each with its seed, find more than a long one.
RUNS: Final = 40
SHORT: Final = settings(derandomize=True, max_examples=2, stateful_step_count=120, deadline=None)

# What `execute()` logs is not of interest here.
SILENT: Final = logging.getLogger("silent")
SILENT.disabled = True


def to_arguments(drawn: dict[str, Any]) -> dict[str, Any]:
    """Return the model's settings as the tracker takes them: in seconds."""
    return {
        name: value / SECOND if value is not None and name.endswith(("_timeout", "_lease")) else value
        for name, value in drawn.items()
    }


def is_exactly(seconds: float | None, microseconds: int | None) -> bool:
    """Return whether float seconds are so many microseconds, 0.0 if and only if those are 0; or both None."""
    if seconds is None or microseconds is None:
        return seconds is microseconds
    return round(seconds * SECOND) == microseconds and (seconds > 0.0) is (microseconds > 0)


class DownError(ConnectionError):
    """What attempts fail with, and what it means."""

    verdict = Verdict.failure()


class Interrupted(BaseException):
    """What ends an attempt without being anybody's failure."""


@dataclass(eq=False)
class Held:
    """A permit that somebody holds, spent or not, and the model's. What begins changes both."""

    name: str
    real: Permit
    expected: ModelPermit


class Warnings(logging.Handler):
    """Counts what the tracker logs."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        self.count += 1


class CooldownMachine(RuleBasedStateMachine):
    """Whatever is done, in whatever order, the tracker shows and answers what the model does.

    The clock moves first in a step, then something is done, and after the step everything is looked at. So
    what is done after a move is the first to look, and has to notice by itself what has ended or moved.
    """

    tracker_class = BreakerCooldownTracker

    def __init__(self) -> None:
        super().__init__()
        # What is dropped must be gone at once, by its count of references: the collector is off. What was
        # there before is set aside, so that collecting by hand, when a provider was forgotten, is quick.
        gc.disable()
        gc.freeze()
        self.warnings = Warnings()
        self.logger = logging.getLogger("fallback_exec")
        self.logger.addHandler(self.warnings)
        self.logger.propagate = False
        self.freezer = freeze_time(START)
        clock = self.freezer.start()
        assert isinstance(clock, FrozenDateTimeFactory)
        self.clock = clock
        self.held: list[Held] = []
        self.handles: dict[str, CircuitBreaker] = {}
        self.in_flight: str | None = None
        self.started: Counter[str] = Counter()
        self.numbers = iter(range(1_000_000))
        self.was_warned = False
        self.is_blind = False

    def teardown(self) -> None:
        """Leave everything as it was."""
        self.freezer.stop()
        self.logger.propagate = True
        self.logger.removeHandler(self.warnings)
        gc.unfreeze()
        gc.enable()

    @initialize(
        drawn=st.fixed_dictionaries(SETTINGS | {"probe_lease": st.sampled_from((None, None, *LEASES))}),
        own=st.fixed_dictionaries({}, optional=SETTINGS),
        max_providers=st.sampled_from((AMPLE, ROOMY, *TIGHT)),
        chance=st.integers(0, 9),
    )
    def build(self, drawn: dict[str, Any], own: dict[str, Any], max_providers: int, chance: int) -> None:
        """Build both, with the same settings and the same chance."""
        self.max_providers = max_providers
        self.tracker = self.tracker_class(
            **to_arguments(drawn),
            random=Random(chance),
            overrides={NAMES[-1]: BreakerSettings(**to_arguments(own))},
            max_providers=max_providers,
        )
        everyone_s = ModelSettings(**drawn)
        self.model = CooldownModel(everyone_s, {NAMES[-1]: replace(everyone_s, **own)}, Random(chance))
        self.config = ExecuteConfig(
            strategy=Strategy.FALLBACK,
            cooldown=self.tracker,
            logger=SILENT,
            classify=lambda error: error.verdict if isinstance(error, DownError) else Verdict.neutral(),
        )

    # Attempts.

    @rule(move=maybe_moves, name=names, force=st.booleans(), told=st.lists(endings, max_size=2))
    def attempt(self, move: Move, name: str, force: bool, told: list[Ending]) -> None:
        """A permit is acquired and, at once or later, told of what came of the attempt."""
        self.move(move, name)
        for permit in self.acquire(name, force=force):
            for ending in told:
                self.tell(permit, ending)

    @rule(move=maybe_moves, name=names)
    def rush(self, move: Move, name: str) -> None:
        """Of three at a time all get a permit, or one gets the probe, or nobody gets anything."""
        self.move(move, name)
        assert len(self.acquire(name, force=False, times=3)) in {0, 1, 3}

    def acquire(self, name: str, *, force: bool, times: int = 1) -> list[Held]:
        """Return the permits that were given, which are held from now on."""
        given = []
        for _ in range(times):
            real = self.tracker.acquire(name, force=force)
            expected = self.model.provider(name).acquire(self.model.now, force=force)
            if isinstance(expected, ModelPermit):
                assert isinstance(real, Permit)
                given.append(Held(name, real, expected))
                self.check_cooling(real.cooling, expected.cooling)
            else:
                assert isinstance(real, Cooling)
                self.check_cooling(real, expected)
        self.held += given
        return given

    @precondition(lambda self: self.held)
    @rule(
        move=maybe_moves,
        shared=st.booleans(),
        age=st.sampled_from((0, 1, 2, 0, 3, 5)),
        told=st.lists(endings, min_size=1, max_size=3),
    )
    def settle(self, move: Move, shared: bool, age: int, told: list[Ending]) -> None:
        """The first outcome of a permit counts, in the permit's era.

        The permits that are held are told by whether all attempts share them, and by their age: the newest,
        the one before it, and so on.
        """
        permits = [held for held in self.held if held.expected.is_shared is shared] or self.held
        held = permits[-1 - age % len(permits)]
        self.move(move, held.name)
        for ending in told:
            self.tell(held, ending)

    @precondition(lambda self: self.live_probes())
    @rule(move=st.sampled_from(EDGES), force=st.booleans(), late=endings)
    def miss_a_probe(self, move: Move, force: bool, late: Ending) -> None:
        """Once a probe's lease is over, the next one begins, and what comes of the first is stale."""
        probe = self.live_probes()[0]
        self.move(move, probe.name)
        self.acquire(probe.name, force=force)
        self.tell(probe, late)

    def live_probes(self) -> list[Held]:
        """Return those of the permits held that are probes under way, as far as is known."""
        return [held for held in self.held if self.model.providers[held.name].probe is held.expected]

    def tell(self, held: Held, ending: Ending) -> None:
        """Tell both permits of an outcome, or drop them; what is dropped stays dropped."""
        provider = self.model.providers[held.name]
        if held not in self.held:
            return
        if ending == "success":
            held.real.success()
            provider.succeed(held.expected)
        elif ending == "failure":
            error = self.new_error()
            started = held.real.failure(error)
            assert started is provider.fail(held.expected, self.model.now, str(error))
            self.started[held.name] += started
        elif ending == "neither":
            held.real.release()
            provider.release(held.expected)
        elif ending == "dropped":
            self.held.remove(held)
            provider.release(held.expected)
        elif ending == "begin":
            begun = provider.begin(held.expected)
            real = held.real.begin()
            assert (real is held.real) is (begun is held.expected)
            held.real, held.expected = real, begun
        else:
            self.tell_to_cool_down(held, None if ending == "cool down" else ending)

    def tell_to_cool_down(self, held: Held, microseconds: int | None) -> None:
        """Tell both permits of a failure that says to leave the provider alone, perhaps for how long."""
        error = self.new_error()
        started = held.real.cool_down(error, None if microseconds is None else microseconds / SECOND)
        provider = self.model.providers[held.name]
        assert started is provider.fail_for(held.expected, self.model.now, str(error), microseconds)
        self.started[held.name] += started
        cooling = held.real.cooling
        assert is_exactly(None if cooling is None else cooling.cooldown_remaining, held.expected.cooling)

    @rule(move=maybe_moves, name=names, succeeds=st.sampled_from((False, True, False)))
    def record(self, move: Move, name: str, succeeds: bool) -> None:
        """An outcome without a permit is that of an attempt that begins now."""
        self.move(move, name)
        if succeeds:
            self.tracker.record_success(name)
            self.model.record_success(name)
        else:
            error = self.new_error()
            started = self.tracker.record_failure(name, error)
            assert started is self.model.record_failure(name, str(error))
            self.started[name] += started

    @rule(
        move=maybe_moves, chain=st.lists(st.tuples(names, maybe_moves, chain_endings), min_size=1, max_size=3)
    )
    def run_a_chain(self, move: Move, chain: list[Plan]) -> None:
        """What `execute()` knows of a cooldown without asking is what it would have been told."""
        self.move(move, chain[0][0])
        story: list[Line] = []
        follow = self.follow(chain, story)

        def call(provider: NamedProvider[None]) -> None:
            assert next(follow) == provider.name
            self.in_flight = provider.name
            self.everything_agrees()
            error = next(follow)
            if isinstance(error, BaseException):
                raise error

        attempts: Sequence[Attempt] = ()
        try:
            attempts = execute(
                [NamedProvider(name, None) for name, _, _ in chain], self.config, call
            ).attempts
        except AllProvidersFailedError as failed:
            attempts = failed.attempts
        except Interrupted:
            story.clear()
        self.in_flight = None
        assert next(follow, None) is None
        assert [(each.provider, each.outcome) for each in attempts] == [line[:2] for line in story]
        for each, (_, _, cooldown) in zip(attempts, story, strict=True):
            assert is_exactly(each.cooldown_remaining, cooldown)

    def follow(self, chain: list[Plan], story: list[Line]) -> Iterator[str | BaseException | None]:
        """Have the model do what `execute()` does; pause at the beginning and at the end of each call."""
        for position, (name, move, ending) in enumerate(chain, 1):
            provider = self.model.provider(name)
            permit = provider.acquire(self.model.now, force=position == len(chain))
            if not isinstance(permit, ModelPermit):
                story.append((name, "skipped", permit))
                continue
            yield name
            self.move(move, name)
            cooling = permit.cooling
            error: BaseException | None = None
            if ending == "success":
                provider.succeed(permit)
            elif ending in {"neither", "dropped"}:
                error = Interrupted()
                provider.release(permit)
            else:
                error = self.new_error(ending)
                if name in EXEMPT_PROVIDERS:
                    provider.release(permit)
                else:
                    started = self.fail_as_the_verdict_says(provider, permit, error)
                    self.started[name] += started
                    cooling = provider.cooling(self.model.now) if started else permit.cooling
            story.append((name, "success" if error is None else "failure", cooling))
            yield error
            if not isinstance(error, Exception):
                return

    def fail_as_the_verdict_says(
        self, provider: ModelProvider, permit: ModelPermit, error: DownError
    ) -> bool:
        """Tell the model's permit of a failure as `execute()` tells the real one."""
        if error.verdict.kind == "failure":
            return provider.fail(permit, self.model.now, str(error))
        seconds = error.verdict.seconds
        microseconds = None if seconds is None else round(seconds * SECOND)
        return provider.fail_for(permit, self.model.now, str(error), microseconds)

    def new_error(self, ending: Ending = "failure") -> DownError:
        """Return an error that no other is like, and that means what the ending says."""
        error = DownError(f"failure {next(self.numbers)}")
        if ending != "failure":
            error.verdict = Verdict.cool_down(ending / SECOND if isinstance(ending, int) else None)
        return error

    # Time.

    @rule(
        move=moves,
        name=names,
        view=st.sampled_from((None, None, "is_available", "cooldown_remaining", "snapshot")),
    )
    def pass_time(self, move: Move, name: str, view: str | None) -> None:
        """Time passes, or the clock is put back, and one view is the first that looks, or nobody does."""
        self.move(move, name)
        self.is_blind = view is None
        if view == "is_available":
            assert self.tracker.is_available(name) is (self.model.cooling(name) is None)
        elif view == "cooldown_remaining":
            assert is_exactly(self.tracker.cooldown_remaining(name), self.model.cooling(name) or 0)
        elif view == "snapshot":
            self.check_snapshot()

    def move(self, move: Move, name: str) -> None:
        """Move both clocks; the edge is one of this provider's if it has any."""
        kind, step = move
        if kind == "to an edge":
            edges = self.model.edges([name]) or self.model.edges(NAMES)
            step = edges[0] + step - self.model.now if edges else 0
        self.clock.tick(timedelta(microseconds=step))
        self.model.now += step

    # By hand.

    @rule(move=maybe_moves, name=names, seconds=st.none() | st.sampled_from(LENGTHS))
    def cool_down(self, move: Move, name: str, seconds: int | None) -> None:
        """A cooldown begins, or ends at another moment."""
        self.move(move, name)
        self.tracker.cool_down(name, None if seconds is None else seconds / SECOND)
        self.started[name] += self.model.provider(name).cool_down(self.model.now, seconds)

    @rule(
        move=maybe_moves,
        name=names,
        change=st.sampled_from(("open", "half_open", "close", "reset", "reset_all", "open", "half_open")),
    )
    def change(self, move: Move, name: str, change: str) -> None:
        """What is done with the real breaker, the tracker notices, whoever's handle it was done through."""
        self.move(move, name)
        if change == "reset_all":
            self.tracker.reset_all()
            self.model.reset_all()
            return
        provider = self.model.provider(name)
        if change.startswith("reset"):
            self.tracker.reset(name)
        else:
            getattr(self.handles.get(name) or self.tracker.breaker(name), change)()
        if change == "open":
            self.started[name] += provider.open_by_hand(self.model.now)
        elif change == "half_open":
            provider.half_open()
        else:
            provider.close()

    # Names.

    @rule(name=names, keep=st.booleans())
    def hold(self, name: str, keep: bool) -> None:
        """A handle that is held is the provider's breaker; or nobody holds anything of it any more."""
        if keep:
            breaker = self.tracker.breaker(name)
            self.model.provider(name)
            assert self.handles.setdefault(name, breaker) is breaker
        else:
            self.handles.pop(name, None)
            for held in self.held:
                if held.name == name:
                    self.model.providers[name].release(held.expected)
            self.held = [held for held in self.held if held.name != name]

    @precondition(lambda self: self.max_providers != AMPLE)
    @rule(number=st.integers(1, 2 * ROOMY))
    def crowd(self, number: int) -> None:
        """Providers come that are never seen again, and others must make room for them."""
        for _ in range(number):
            self.tracker.record_success(f"healthy-{next(self.numbers)}")

    # What always holds.

    @invariant()
    def everything_agrees(self) -> None:
        """All views show what the model says, of everybody."""
        if self.is_blind:
            self.is_blind = False
            return
        for name in NAMES:
            cooling = self.model.cooling(name)
            assert self.tracker.is_available(name) is (cooling is None)
            assert is_exactly(self.tracker.cooldown_remaining(name), cooling or 0)
        self.check_snapshot()
        self.check_warnings()

    def check_cooling(self, real: Cooling | None, expected: int | None) -> None:
        """What is said of a cooldown is what is left of it now."""
        assert is_exactly(None if real is None else real.cooldown_remaining, expected)
        assert real is None or real.at == datetime.now(UTC)

    def check_snapshot(self) -> None:
        """Everybody is shown who has something to lose."""
        known = self.tracker.snapshot()
        assert len(known) <= self.max_providers + len(NAMES)
        assert known.keys().isdisjoint(set(NAMES) - self.model.providers.keys())
        for name in known.keys() & NAMES:
            status, expected = known[name], self.model.providers[name].status(self.model.now)
            assert is_exactly(status.cooldown_remaining, expected.cooldown_remaining)
            assert (status.state, status.failures) == (expected.state, expected.failures)
            assert (status.openings, status.last_error) == (expected.openings, expected.last_error)
            assert status.openings == self.started[name]
            self.check_breaker(self.tracker.breaker(name), name)
        for name in sorted(self.model.providers.keys() - known.keys()):
            self.check_forgotten(name, self.model.providers[name])

    def check_breaker(self, breaker: CircuitBreaker, name: str) -> None:
        """A breaker can be read, and there is one a provider."""
        assert self.handles.get(name, breaker) is breaker
        provider = self.model.providers[name]
        assert (breaker.current_state, breaker.fail_counter) == (provider.state, provider.failures)

    def check_forgotten(self, name: str, provider: ModelProvider) -> None:
        """Who is not shown has nothing to lose; who is not held either begins anew."""
        assert self.max_providers != AMPLE
        assert provider.cooling(self.model.now) is None
        # Where there are enough of the healthy, nobody else has to go.
        assert self.max_providers in TIGHT or (provider.state == "closed" and not provider.failures)
        if name in self.handles:
            self.check_breaker(self.handles[name], name)
        elif name != self.in_flight and all(held.name != name for held in self.held):
            gc.collect()  # a breaker and its state hold each other
            del self.model.providers[name], self.started[name]

    def check_warnings(self) -> None:
        """One warning says that there is more to keep than max_providers; there is never another."""
        assert self.warnings.count <= 1
        if self.warnings.count and not self.was_warned:
            self.was_warned = True
            busy = [name for name in NAMES if self.model.cooling(name) is not None]
            assert len(busy) >= self.max_providers  # not counting the newcomer, who may be one of them


class Herding(BreakerCooldownTracker):
    """Lets everybody through."""

    def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
        """Force."""
        return super().acquire(name, force=True)


class Silent(BreakerCooldownTracker):
    """Does not say when a cooldown begins."""

    def record_failure(self, name: str, error: Exception) -> bool:
        """Count it, and say no."""
        super().record_failure(name, error)
        return False


class Claiming(BreakerCooldownTracker):
    """Gives the probe to who only looks."""

    def is_available(self, name: str) -> bool:
        """Claim it, and keep it."""
        self.kept = self.acquire(name)
        return isinstance(self.kept, Permit)


class TestMachine:
    """The tracker and the model, driven together."""

    def test_the_tracker_does_what_the_model_does(self) -> None:
        """In thousands of steps, the same ones each time."""
        for number in range(RUNS):
            run_state_machine_as_test(seed(number)(CooldownMachine), settings=SHORT)

    @pytest.mark.parametrize("wrong", [Herding, Silent, Claiming])
    def test_a_tracker_that_does_something_else_is_found_out(
        self, wrong: type[BreakerCooldownTracker]
    ) -> None:
        """The machine can fail."""

        class WrongMachine(CooldownMachine):
            tracker_class = wrong

        with pytest.raises(AssertionError):
            run_state_machine_as_test(
                seed(0)(WrongMachine),
                settings=settings(
                    SHORT, max_examples=100, phases=[Phase.generate], report_multiple_bugs=False
                ),
            )


class TestModel:
    """The model, by itself, where its promise is a number."""

    def test_a_stretch_ends_exactly(self) -> None:
        """It runs until just before its end."""
        assert [Stretch(5, 10).left(now) for now in (5, 14, 15, 16)] == [10, 1, 0, 0]

    def test_a_stretch_moves_back_with_the_clock(self) -> None:
        """It then lasts its full length from that look, and ends earlier than it did."""
        stretch = Stretch(5, 10)
        assert [stretch.left(now) for now in (7, 3, 12, 13)] == [8, 10, 1, 0]

    def test_a_stretch_that_was_seen_over_stays_over(self) -> None:
        """One that nobody saw over does not."""
        stretch = Stretch(5, 10)
        assert [stretch.left(now) for now in (14, 15, 5)] == [1, 0, 0]

    def test_backoff(self) -> None:
        """Each is so many times as long as the one before, up to a limit that is never below the first."""
        rules = ModelSettings(reset_timeout=30, backoff_factor=1.5, max_reset_timeout=100)
        assert [rules.length(n) for n in range(5)] == [30, 45, 68, 100, 100]
        assert replace(rules, max_reset_timeout=1).length(1) == 30

    def test_a_vendor_s_word(self) -> None:
        """It opens, moves the end later when it is stale, and opens again what has begun to answer."""
        provider = ModelProvider(ModelSettings(success_threshold=2, backoff_factor=2.0), Random(0))
        first, late = provider.acquire(0, force=False), provider.acquire(0, force=False)
        assert isinstance(first, ModelPermit)
        assert isinstance(late, ModelPermit)
        assert provider.fail_for(first, 0, "a", 10) is True
        told = [provider.fail_for(late, 5, "b", seconds) for seconds in (4, None, 10)]
        assert (told, provider.status(5)) == ([False] * 3, ModelStatus("open", 1, 10, 1, "a"))
        probe = provider.acquire(15, force=False)
        assert isinstance(probe, ModelPermit)
        begun = provider.begin(probe)
        assert (provider.begin(probe), provider.begin(begun), provider.successes) == (probe, begun, 1)
        provider.succeed(ModelPermit(provider.era, has_begun=True))
        assert provider.status(15) == ModelStatus("half-open", 0, 0, 1, "a")
        assert [provider.fail_for(begun, 15, "c", None) for _ in range(2)] == [True, False]
        assert provider.status(15) == ModelStatus("open", 1, 60 * SECOND, 2, "c")

    def test_a_provider_s_life(self) -> None:
        """Failures open it, a probe fails, another is lost, and the third closes it."""
        provider = ModelProvider(ModelSettings(fail_max=2, reset_timeout=10, probe_lease=5), Random(0))
        first, second = provider.acquire(0, force=False), provider.acquire(0, force=False)
        assert isinstance(first, ModelPermit)
        assert isinstance(second, ModelPermit)
        assert [
            provider.fail(first, 0, "a"),
            provider.fail(second, 0, "b"),
            provider.fail(first, 0, "c"),
        ] == [
            False,
            True,
            False,
        ]
        assert provider.status(4) == ModelStatus("open", 2, 6, 1, "b")
        failing = provider.acquire(10, force=False)
        assert provider.acquire(10, force=False) == 0
        assert isinstance(failing, ModelPermit)
        assert provider.fail(failing, 11, "d") is True
        lost, third = provider.acquire(21, force=False), provider.acquire(26, force=False)
        assert isinstance(lost, ModelPermit)
        assert isinstance(third, ModelPermit)
        assert provider.fail(lost, 26, "e") is False
        provider.succeed(third)
        assert provider.status(26) == ModelStatus("closed", 0, 0, 2, "d")
