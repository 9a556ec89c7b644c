"""The tracker under threads: real ones, that meet at barriers and are held by events."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import TypeVar

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    Cooling,
    ExecuteConfig,
    NamedProvider,
    Outcome,
    Permit,
    Strategy,
    execute,
)

T = TypeVar("T")

DOWN = ConnectionError("down")
GROK = NamedProvider("grok", None)
TERMINUS = NamedProvider("terminus", None)

#: Seconds after which a thread that should have come is given up. A guard against hanging tests only.
PATIENCE = 30


def together(count: int, work: Callable[[int], T]) -> list[T]:
    """Run `work(number)` in `count` threads that start at one moment; return what they return, in order."""
    start = threading.Barrier(count)

    def run(number: int) -> T:
        start.wait(PATIENCE)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(run, number) for number in range(count)]
        # Not as_completed(timeout=), which can hang while time stands still.
        _, pending = wait(futures, PATIENCE)
        assert not pending, f"{len(pending)} of {count} threads did not come back"
        return [future.result() for future in futures]


def config_of(tracker: BreakerCooldownTracker) -> ExecuteConfig:
    """Return a config that falls back, with that tracker."""
    return ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker)


def elapsed_tracker(clock: FrozenDateTimeFactory, **settings: float) -> BreakerCooldownTracker:
    """Return a tracker whose provider `grok` has just come to the end of its cooldown."""
    tracker = BreakerCooldownTracker(**settings)  # type: ignore[arg-type]
    tracker.cool_down("grok", 30)
    clock.tick(30)
    return tracker


class TestCallsInFlight:
    """What a call that takes its time holds up: nothing."""

    def test_64_calls_to_one_provider_overlap(self) -> None:
        """Each of them waits inside the provider until all are there."""
        config = config_of(BreakerCooldownTracker())
        all_inside = threading.Barrier(64)
        results = together(64, lambda _: execute([GROK], config, lambda _: all_inside.wait(PATIENCE)))
        assert sorted(result.response for result in results) == list(range(64))

    def test_nobody_waits_for_them(self) -> None:
        """Views, snapshots, hands and other attempts go on while a call and a probe are in flight."""
        tracker = BreakerCooldownTracker(fail_max=100)
        config = config_of(tracker)
        inside, leave = threading.Semaphore(0), threading.Event()

        def slow(_: object) -> str:
            inside.release()
            assert leave.wait(PATIENCE)
            return "answer"

        with ThreadPoolExecutor(2) as pool:
            calls: list[Future[object]] = [pool.submit(execute, [GROK], config, slow)]
            assert inside.acquire(timeout=PATIENCE)
            tracker.breaker("grok").half_open()
            calls.append(pool.submit(execute, [GROK], config, slow))
            assert inside.acquire(timeout=PATIENCE)
            assert tracker.is_available("grok") is False
            assert tracker.cooldown_remaining("grok") == 0.0
            assert tracker.snapshot()["grok"].state == "half-open"
            assert isinstance(tracker.acquire("grok"), Cooling)
            tracker.breaker("grok").open()
            tracker.cool_down("grok", 5)
            tracker.record_failure("grok", DOWN)
            tracker.reset("grok")
            assert execute([GROK], config, lambda _: "quick").response == "quick"
            assert not any(call.done() for call in calls)
            leave.set()
            wait(calls, PATIENCE)

    def test_fn_may_use_the_tracker(self) -> None:
        """The provider's call runs under no lock, so it may ask and tell whatever it likes."""
        tracker = BreakerCooldownTracker(fail_max=1)

        def meddle(_: object) -> str:
            def elsewhere(_: int) -> None:
                tracker.record_failure("grok", DOWN)
                tracker.breaker("grok").close()
                tracker.reset_all()

            together(2, elsewhere)
            return "answer"

        assert execute([GROK], config_of(tracker), meddle).response == "answer"


@pytest.mark.usefixtures("fast_switching")
class TestCounting:
    """Failures that arrive at once."""

    def test_every_failure_is_counted(self) -> None:
        """9 threads that fail 200 times each make 1,800 failures."""
        tracker = BreakerCooldownTracker(fail_max=10**6)

        def fail(_: int) -> None:
            for _ in range(200):
                permit = tracker.acquire("grok")
                assert isinstance(permit, Permit)
                permit.failure(DOWN)

        together(9, fail)
        assert tracker.snapshot()["grok"].failures == 1800
        assert tracker.breaker("grok").fail_counter == 1800

    @pytest.mark.parametrize("fail_max", [1, 3, 16])
    def test_exactly_one_says_that_it_started_the_cooldown(self, fail_max: int) -> None:
        """Of 16 concurrent failures, in each of many rounds."""
        tracker = BreakerCooldownTracker(fail_max=fail_max)
        rounds = 30
        for number in range(rounds):
            name = f"provider-{number}"
            permits = [tracker.acquire(name) for _ in range(16)]

            def fail(index: int, permits: list[Permit | Cooling] = permits) -> bool:
                permit = permits[index]
                assert isinstance(permit, Permit)
                return permit.failure(DOWN)

            assert Counter(together(16, fail)) == {True: 1, False: 15}
            assert tracker.snapshot()[name].openings == 1

    @pytest.mark.parametrize("jitter", [0.0, 0.5])
    @pytest.mark.parametrize("state", ["closed", "half-open", "open, and over"])
    @pytest.mark.usefixtures("fast_switching")
    def test_exactly_one_cool_down_says_so_and_the_latest_end_wins(
        self, clock: FrozenDateTimeFactory, state: str, jitter: float
    ) -> None:
        """Of 16 vendors' words at once, in each of many rounds, whichever comes first."""
        tracker = BreakerCooldownTracker(fail_max=100, reset_timeout=30.0, jitter=jitter)
        for number in range(20):
            name = f"provider-{number}"
            if state != "closed":
                tracker.cool_down(name, 5)
            if state == "open, and over":
                permits = [tracker.acquire(name, force=True) for _ in range(16)]
            clock.tick(5)
            if state != "open, and over":
                permits = [tracker.acquire(name, force=True) for _ in range(16)]
            before = tracker.snapshot()[name]

            def cool_down(index: int, permits: list[Permit | Cooling] = permits) -> bool:
                permit = permits[index]
                assert isinstance(permit, Permit)
                # The longest that the tracker's own can be is 45 s.
                return permit.cool_down(DOWN, 46.0 + index if index else None)

            assert Counter(together(16, cool_down)) == {True: 1, False: 15}
            after = tracker.snapshot()[name]
            assert after.cooldown_remaining == 61.0
            assert (after.openings, after.failures) == (before.openings + 1, before.failures + 1)

    def test_failures_beside_cool_downs_start_one_cooldown(self, clock: FrozenDateTimeFactory) -> None:
        """Whoever starts it, and the vendor's end holds."""
        tracker = BreakerCooldownTracker(fail_max=1, jitter=1.0)
        for number in range(30):
            name = f"provider-{number}"
            permit = tracker.acquire(name)
            assert isinstance(permit, Permit)

            def tell(index: int, permit: Permit = permit) -> bool:
                return permit.cool_down(DOWN, 61.0) if index == 7 else permit.failure(DOWN)

            assert Counter(together(8, tell)) == {True: 1, False: 7}
            assert tracker.cooldown_remaining(name) == 61.0
            assert tracker.snapshot()[name].openings == 1

    def test_one_name_is_one_breaker(self) -> None:
        """However many threads ask for a new name at once."""
        tracker = BreakerCooldownTracker()
        for number in range(20):
            breakers = together(16, lambda _, name=f"new-{number}": tracker.breaker(name))  # type: ignore[misc]
            assert len({id(breaker) for breaker in breakers}) == 1

    def test_cooldowns_that_overflow_the_bound_warn_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """Not once a thread."""
        tracker = BreakerCooldownTracker(max_providers=8)

        def cool_down(thread: int) -> None:
            for number in range(50):
                tracker.cool_down(f"cooling-{thread}-{number}")

        together(8, cool_down)
        assert len(caplog.records) == 1
        assert len(tracker.snapshot()) == 400


class TestProbe:
    """64 threads at the end of a cooldown."""

    def herd(self, tracker: BreakerCooldownTracker, end: Callable[[], object]) -> tuple[int, Counter[str]]:
        """Send 64 threads to `grok` and a terminus; the probe waits until the others are through, then ends.

        Returns:
            How many attempted `grok`, and what the threads came to: the names of those who answered, and
            of exceptions.
        """
        config = config_of(tracker)
        probes: list[int] = []
        is_through = threading.Semaphore(0)

        def call(provider: NamedProvider[None]) -> str:
            if provider is GROK:
                probes.append(1)
                for _ in range(63):
                    assert is_through.acquire(timeout=PATIENCE)
                end()
            return provider.name

        def attempt(_: int) -> str:
            try:
                return execute([GROK, TERMINUS], config, call).provider
            except BaseException as error:  # Ctrl-C among them
                return type(error).__name__
            finally:
                is_through.release()

        came_to = Counter(together(64, attempt))
        return len(probes), came_to

    def raising(self, error: BaseException) -> Callable[[], None]:
        """Return a function that raises."""

        def end() -> None:
            raise error

        return end

    def test_a_probe_that_succeeds(self, clock: FrozenDateTimeFactory) -> None:
        """One attempts and closes; 63 go on to the next provider."""
        tracker = elapsed_tracker(clock)
        assert self.herd(tracker, lambda: None) == (1, Counter(grok=1, terminus=63))
        assert tracker.snapshot()["grok"].state == "closed"

    def test_a_probe_that_fails(self, clock: FrozenDateTimeFactory) -> None:
        """One attempts and opens again, then goes on itself."""
        tracker = elapsed_tracker(clock)
        assert self.herd(tracker, self.raising(DOWN)) == (1, Counter(terminus=64))
        assert tracker.snapshot()["grok"].openings == 2
        assert tracker.cooldown_remaining("grok") == 30.0

    def test_a_probe_that_comes_to_nothing(
        self, clock: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An exempt provider's failure is not counted, and gives the probe back."""
        monkeypatch.setattr("fallback_exec.EXEMPT_PROVIDERS", {"grok"})
        tracker = elapsed_tracker(clock)
        assert self.herd(tracker, self.raising(DOWN)) == (1, Counter(terminus=64))
        assert tracker.is_available("grok") is True
        assert tracker.snapshot()["grok"].openings == 1

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_a_probe_that_is_interrupted(
        self, clock: FrozenDateTimeFactory, interruption: type[BaseException]
    ) -> None:
        """It is nobody's failure: it propagates, and the next caller probes."""
        tracker = elapsed_tracker(clock)
        came_to = Counter({interruption.__name__: 1, "terminus": 63})
        assert self.herd(tracker, self.raising(interruption())) == (1, came_to)
        assert tracker.is_available("grok") is True
        assert self.herd(tracker, lambda: None) == (1, Counter(grok=1, terminus=63))

    def test_a_probe_that_hangs(self, clock: FrozenDateTimeFactory) -> None:
        """When its lease is over, one of 64 probes anew, and the late outcome changes nothing."""
        tracker = elapsed_tracker(clock)
        hanging = tracker.acquire("grok")
        assert isinstance(hanging, Permit)
        assert self.herd(tracker, lambda: None) == (0, Counter(terminus=64))
        clock.tick(60)
        assert self.herd(tracker, self.raising(DOWN)) == (1, Counter(terminus=64))
        hanging.success()
        assert tracker.snapshot()["grok"].state == "open"

    def test_a_probe_whose_thread_dies(
        self, clock: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its permit goes with its stack, which gives the probe back."""
        # pytest's own hook would keep the exception, and with it the stack.
        monkeypatch.setattr(threading, "excepthook", lambda _: None)
        tracker = elapsed_tracker(clock)

        def die() -> None:
            permit = tracker.acquire("grok")
            assert isinstance(permit, Permit)
            assert tracker.is_available("grok") is False
            raise MemoryError  # ends the thread, without a word to the tracker

        thread = threading.Thread(target=die)
        thread.start()
        thread.join(PATIENCE)
        assert self.herd(tracker, lambda: None) == (1, Counter(grok=1, terminus=63))

    def test_a_probe_that_begins_to_answer_holds_up_nobody(self, clock: FrozenDateTimeFactory) -> None:
        """While its stream goes on, others probe and close; what the stream dies of then is stale."""
        tracker = elapsed_tracker(clock, success_threshold=2, fail_max=2)
        probe = tracker.acquire("grok")
        assert isinstance(probe, Permit)
        stream = probe.begin()
        assert self.herd(tracker, lambda: None) == (1, Counter(grok=1, terminus=63))
        assert tracker.snapshot()["grok"].state == "closed"
        assert stream.failure(DOWN) is False
        assert tracker.snapshot()["grok"].failures == 0

    def test_many_begun_permits_of_one_era_are_told_at_once(self, clock: FrozenDateTimeFactory) -> None:
        """Of 16 streams that die while the breaker is half-open, one opens it again."""
        tracker = elapsed_tracker(clock, success_threshold=17)
        streams = []
        for _ in range(16):
            probe = tracker.acquire("grok")
            assert isinstance(probe, Permit)
            streams.append(probe.begin())
        told = together(16, lambda number: streams[number].cool_down(DOWN, 5.0 + number))
        assert Counter(told) == {True: 1, False: 15}
        assert tracker.cooldown_remaining("grok") == 20.0

    def test_success_threshold_lets_one_through_at_a_time(self, clock: FrozenDateTimeFactory) -> None:
        """Each herd has its one probe, until the threshold closes."""
        tracker = elapsed_tracker(clock, success_threshold=3)
        for state in ("half-open", "half-open", "closed"):
            assert self.herd(tracker, lambda: None) == (1, Counter(grok=1, terminus=63))
            assert tracker.snapshot()["grok"].state == state


class TestTerminus:
    """The last provider of the list while it cools."""

    def test_every_thread_attempts_it(self, clock: FrozenDateTimeFactory) -> None:
        """None is passed over, and its failures do not prolong the cooldown."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("terminus", 30)
        clock.tick(10)
        all_inside = threading.Barrier(16)

        def fail(_: object) -> None:
            all_inside.wait(PATIENCE)
            raise DOWN

        def attempt(_: int) -> list[Outcome]:
            with pytest.raises(AllProvidersFailedError) as failed:
                execute([TERMINUS], config_of(tracker), fail)
            return [attempt.outcome for attempt in failed.value.attempts]

        assert together(16, attempt) == [[Outcome.FAILURE]] * 16
        assert tracker.cooldown_remaining("terminus") == 20.0
        assert tracker.snapshot()["terminus"].openings == 1

    @pytest.mark.usefixtures("clock")
    def test_its_first_answer_closes(self) -> None:
        """The failures of those that went in beside it are stale then."""
        tracker = BreakerCooldownTracker(fail_max=1)
        tracker.cool_down("terminus", 30)
        all_inside = threading.Barrier(8)
        has_answered = threading.Event()

        def attempt(number: int) -> str:
            def call(_: object) -> str:
                all_inside.wait(PATIENCE)
                if number:
                    assert has_answered.wait(PATIENCE)
                    raise DOWN
                return "answer"

            try:
                return execute([TERMINUS], config_of(tracker), call).response
            except AllProvidersFailedError:
                return "failure"
            finally:
                has_answered.set()

        assert together(8, attempt) == ["answer"] + ["failure"] * 7
        assert tracker.snapshot()["terminus"].state == "closed"
        assert tracker.snapshot()["terminus"].failures == 0


@pytest.mark.usefixtures("fast_switching")
class TestHands:
    """Breakers opened, closed and read by hand while traffic goes on."""

    def test_what_is_known_agrees_with_the_breakers(self) -> None:
        """No deadlock, no error, and at the end both say the same of each provider."""
        tracker = BreakerCooldownTracker(fail_max=2, reset_timeout=0.001)
        names = ("a", "b", "c")
        providers = [NamedProvider(name, None) for name in names]
        config = config_of(tracker)
        rounds = 400

        def send(seed: int) -> None:
            for number in range(rounds):

                def call(_: object, number: int = number) -> None:
                    if (number * 7 + seed) % 3:
                        raise DOWN

                with contextlib.suppress(AllProvidersFailedError):
                    execute(providers, config, call)

        def handle(seed: int) -> None:
            for number in range(rounds):
                breaker = tracker.breaker(names[(number + seed) % 3])
                (breaker.open, breaker.close, breaker.half_open)[(number + seed) % 3]()
                assert breaker.current_state in {"open", "closed", "half-open"}
                assert all(status.cooldown_remaining >= 0.0 for status in tracker.snapshot().values())

        together(8, lambda number: handle(number) if number < 2 else send(number))
        for name, status in tracker.snapshot().items():
            breaker = tracker.breaker(name)
            assert status.failures == breaker.fail_counter
            shown = {"open": {"open", "half-open"}}.get(breaker.current_state, {breaker.current_state})
            assert status.state in shown
            # pybreaker's own object for its state is of the same state, so that the next feed works on it.
            assert breaker.state.name == breaker.current_state
        tracker.reset_all()
        assert execute(providers, config, lambda provider: provider.name).provider == "a"


class TestFrozenTime:
    """freezegun in every thread, at every depth of the stack."""

    def look(self, tracker: BreakerCooldownTracker, depth: int) -> float:
        """Return what is left of the cooldown, asked from that many frames down."""
        return self.look(tracker, depth - 1) if depth else tracker.cooldown_remaining("grok")

    @pytest.mark.parametrize("depth", range(11))
    def test_the_clock_is_frozen_in_a_thread_s_own_run(
        self, clock: FrozenDateTimeFactory, depth: int
    ) -> None:
        """However near to the frames of `threading`: in `run()` itself, and in calls further down."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("grok", 30)
        clock.tick(12)
        look = self.look
        seen: list[float] = []

        class Worker(threading.Thread):
            def run(self) -> None:
                # Depth 0 is the nearest that a question can come to the frames of `threading`.
                seen.append(look(tracker, depth - 1) if depth else tracker.cooldown_remaining("grok"))
                story = execute([GROK, TERMINUS], config_of(tracker), lambda _: "answer").attempts
                seen.append(story[0].cooldown_remaining or 0.0)

        worker = Worker()
        worker.start()
        worker.join(PATIENCE)
        assert seen == [18.0] * 2

    @pytest.mark.parametrize("depth", range(11))
    def test_the_clock_is_frozen_at_every_depth(self, clock: FrozenDateTimeFactory, depth: int) -> None:
        """In the main thread, a bare thread and a pool's worker alike."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("grok", 30)
        clock.tick(12)
        seen = [self.look(tracker, depth)]
        # The shallowest stack there is: the thread's target is the question itself.
        bare = threading.Thread(target=lambda: seen.append(tracker.cooldown_remaining("grok")))
        bare.start()
        bare.join(PATIENCE)
        seen += together(2, lambda _: self.look(tracker, depth))
        assert seen == [18.0] * 4

    def test_a_cooldown_ends_for_every_thread_at_once(self, clock: FrozenDateTimeFactory) -> None:
        """A tick in the main thread is seen by workers that wait."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("grok", 30)
        has_ticked = threading.Event()

        def look(_: int) -> tuple[bool, bool]:
            before = tracker.is_available("grok")
            looked.release()
            assert has_ticked.wait(PATIENCE)
            return before, tracker.is_available("grok")

        looked = threading.Semaphore(0)
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(look, number) for number in range(4)]
            for _ in futures:
                assert looked.acquire(timeout=PATIENCE)
            clock.tick(timedelta(seconds=30))
            has_ticked.set()
            wait(futures, PATIENCE)
        assert [future.result() for future in futures] == [(False, True)] * 4

    @pytest.mark.parametrize("built", ["before", "inside", "after"])
    def test_a_tracker_may_be_built_at_any_time(self, built: str) -> None:
        """Before a freeze, inside it or after it: the clock is read when it is needed."""
        before = BreakerCooldownTracker()
        with freeze_time("2026-01-01"):
            inside = BreakerCooldownTracker()
        tracker = {"before": before, "inside": inside, "after": BreakerCooldownTracker()}[built]
        with freeze_time("2026-06-01") as frozen:
            tracker.cool_down("grok", 30)
            frozen.tick(29)
            assert together(1, lambda _: tracker.is_available("grok")) == [False]
            frozen.tick(1)
            assert together(1, lambda _: tracker.is_available("grok")) == [True]
