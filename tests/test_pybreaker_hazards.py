"""What a bare pybreaker does that this library works around.

Each test here shows one behaviour of pybreaker itself, and the workaround is tested elsewhere: which test
belongs to which stands in docs/hazards.md. A test that fails after an update of pybreaker says that a
behaviour is gone, so that its workaround may go as well.
"""

from __future__ import annotations

import ast
import gc
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pybreaker
import pytest
from freezegun.api import FrozenDateTimeFactory
from pybreaker import CircuitBreaker, CircuitBreakerError, CircuitBreakerListener, CircuitMemoryStorage

import fallback_exec
from fallback_exec.cooldown import eras
from helpers import PATIENCE, Held, VendorError, Watch, in_threads

#: Seconds to wait for what must not happen: all that a test can do is to wait a little.
A_MOMENT = 0.1


class Transitions(CircuitBreakerListener):
    """A listener that notes each change of state."""

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, str]] = []

    def state_change(
        self,
        cb: CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        self.seen.append((old_state.name if old_state is not None else None, new_state.name))


def raising(error: BaseException) -> Callable[[], None]:
    """Return a function that raises that very object."""

    def fail() -> None:
        raise error

    return fail


def feed(breaker: CircuitBreaker, error: BaseException) -> None:
    """Let the breaker call what raises `error`, and handle what comes of it."""
    try:
        breaker.call(raising(error))
    except (type(error), CircuitBreakerError):
        pass


def frames_of(error: BaseException) -> int:
    """Return the length of the error's traceback."""
    count = 0
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        count, traceback = count + 1, traceback.tb_next
    return count


class TestCall:
    """`CircuitBreaker.call()` holds the breaker's lock for as long as the call takes."""

    def test_two_calls_do_not_overlap(self) -> None:
        """Two threads that would meet inside the call do not: the second one is not let in."""
        breaker = CircuitBreaker(fail_max=10)
        both_inside = threading.Barrier(2, timeout=A_MOMENT)

        def call(_: int) -> str:
            try:
                breaker.call(both_inside.wait)
            except threading.BrokenBarrierError:
                return "alone"
            return "met"

        assert in_threads(2, call) == ["alone", "alone"]

    def test_a_hand_waits_for_a_call_in_flight(self) -> None:
        """`open()` comes back when the call does, and not before."""
        breaker = CircuitBreaker()
        hand = threading.Thread(target=breaker.open, daemon=True)

        def slow() -> bool:
            hand.start()
            hand.join(A_MOMENT)
            return hand.is_alive()

        assert breaker.call(slow) is True
        hand.join(PATIENCE)
        assert not hand.is_alive()
        assert breaker.current_state == "open"

    def test_an_interruption_counts_as_a_failure(self) -> None:
        """Ctrl-C counts, and the one that trips comes out as something that is no Ctrl-C."""
        breaker = CircuitBreaker(fail_max=2)
        with pytest.raises(KeyboardInterrupt):
            breaker.call(raising(KeyboardInterrupt()))
        assert breaker.fail_counter == 1
        with pytest.raises(CircuitBreakerError):
            breaker.call(raising(KeyboardInterrupt()))

    def test_a_generator_that_is_closed_early_counts_as_a_failure(self) -> None:
        """Who has read enough of an answer counts against the provider."""

        def answer() -> Iterator[int]:
            yield from range(3)

        breaker = CircuitBreaker()
        items = breaker.call(answer)
        assert next(items) == 0
        items.close()  # type: ignore[attr-defined]  # it is a generator, around the one of `answer`
        assert breaker.fail_counter == 1


class TestCalling:
    """`CircuitBreaker.calling()` holds no lock, and lets everybody in."""

    def test_a_herd_is_let_in_at_half_open(self, clock: FrozenDateTimeFactory) -> None:
        """When the timeout has elapsed, 32 of 32 threads are inside at once."""
        breaker = CircuitBreaker(reset_timeout=30)
        breaker.open()
        clock.tick(30)
        all_inside = threading.Barrier(32)

        def probe(_: int) -> int:
            with breaker.calling():
                return all_inside.wait(PATIENCE)

        assert sorted(in_threads(32, probe)) == list(range(32))

    def test_each_failure_in_flight_opens_anew(self) -> None:
        """Of 32 failures in flight, the third opens, and so does each after it."""
        transitions = Transitions()
        breaker = CircuitBreaker(fail_max=3, listeners=[transitions])
        all_inside = threading.Barrier(32)

        def fail(_: int) -> None:
            try:
                with breaker.calling():
                    all_inside.wait(PATIENCE)
                    raise VendorError
            except (VendorError, CircuitBreakerError):
                pass

        in_threads(32, fail)
        assert transitions.seen[0] == ("closed", "open")
        assert transitions.seen[1:] == [("open", "open")] * 29

    def test_a_late_failure_opens_again(self) -> None:
        """The failure of a call from before the recovery opens at once, whatever `fail_max` is."""
        breaker = CircuitBreaker(fail_max=3)
        breaker.half_open()
        late = breaker.calling()
        late.__enter__()
        breaker.call(str)  # another probe, which recovers
        assert breaker.current_state == "closed"
        with pytest.raises(CircuitBreakerError):
            late.__exit__(VendorError, VendorError(), None)
        assert breaker.current_state == "open"

    def test_stop_iteration_is_swallowed(self) -> None:
        """An error that is a `StopIteration` disappears and counts as a success."""
        breaker = CircuitBreaker()
        feed(breaker, VendorError())
        with breaker.calling():
            raise StopIteration
        assert breaker.fail_counter == 0


class TestFedErrors:
    """What becomes of an exception that goes through pybreaker."""

    def test_its_traceback_grows_with_each_feed(self) -> None:
        """The frames of pybreaker are added to the same object again and again."""
        breaker = CircuitBreaker(fail_max=100)
        error = VendorError()
        lengths = []
        for _ in range(5):
            feed(breaker, error)
            lengths.append(frames_of(error))
        assert lengths == [lengths[0] * times for times in range(1, 6)]

    def test_it_gets_the_context_of_what_is_being_handled(self) -> None:
        """An error that is fed while another is handled drags that one along."""
        breaker = CircuitBreaker(fail_max=100)
        error, other = VendorError(), VendorError()
        try:
            raise other
        except VendorError:
            feed(breaker, error)
        assert error.__context__ is other

    @pytest.mark.usefixtures("no_collector")
    def test_a_cycle_pins_the_calling_frames(self) -> None:
        """What callers refer to lives on after the call, until the garbage collector runs."""
        watch = Watch()

        def call() -> None:
            response = watch("response", Held())
            feed(CircuitBreaker(), VendorError())
            assert isinstance(response, Held)

        call()
        assert watch.alive == {"response"}
        gc.collect()
        assert watch.alive == set()


class TestStates:
    """What the states do with outcomes that they are told late."""

    def test_open_refuses_a_success_too(self) -> None:
        """An outcome cannot be fed while the breaker is open, whatever it is."""
        breaker = CircuitBreaker()
        breaker.open()
        with pytest.raises(CircuitBreakerError):
            breaker.call(str)

    def test_a_stale_success_closes(self, clock: FrozenDateTimeFactory) -> None:
        """Fed after the timeout, an outcome from before the trip is taken for the probe's."""
        breaker = CircuitBreaker(reset_timeout=30)
        breaker.open()
        clock.tick(30)
        breaker.call(str)
        assert breaker.current_state == "closed"

    def test_current_state_says_open_after_the_timeout(self, clock: FrozenDateTimeFactory) -> None:
        """Nothing changes until somebody calls."""
        breaker = CircuitBreaker(reset_timeout=30)
        breaker.open()
        clock.tick(3600)
        assert breaker.current_state == "open"

    def test_a_clock_that_steps_back_prolongs_it(self, clock: FrozenDateTimeFactory) -> None:
        """After a step back of an hour, a timeout of 30 s is not over for an hour."""
        breaker = CircuitBreaker(reset_timeout=30)
        breaker.open()
        clock.tick(-3600)
        clock.tick(3599)
        with pytest.raises(CircuitBreakerError):
            breaker.call(str)

    def test_reading_state_may_write(self) -> None:
        """A look at `state` forgets failures and calls listeners, where the storage has changed."""
        transitions = Transitions()
        storage = CircuitMemoryStorage("open")
        breaker = CircuitBreaker(state_storage=storage, listeners=[transitions])
        storage.increment_counter()
        storage.state = "closed"
        assert breaker.fail_counter == 1
        assert breaker.state.name == "closed"
        assert breaker.fail_counter == 0
        assert transitions.seen == [("open", "closed")]


class TestSettings:
    """What the constructor takes."""

    @pytest.mark.parametrize(
        "settings",
        [
            {"fail_max": -1},
            {"fail_max": "three"},
            {"reset_timeout": -1},
            {"reset_timeout": float("nan")},
            {"reset_timeout": float("inf")},
            {"success_threshold": -1},
        ],
    )
    def test_nothing_is_checked(self, settings: dict[str, Any]) -> None:
        """Numbers that mean nothing, and what is no number, are taken."""
        CircuitBreaker(**settings)

    @pytest.mark.parametrize(
        ("timeout", "error"), [(float("nan"), ValueError), (float("inf"), OverflowError)]
    )
    def test_they_raise_at_the_first_call_while_open(self, timeout: float, error: type[Exception]) -> None:
        """A bad timeout shows when the provider is down."""
        breaker = CircuitBreaker(reset_timeout=timeout)
        breaker.open()
        with pytest.raises(error):
            breaker.call(str)

    def test_excluding_an_error_makes_it_a_success(self) -> None:
        """An excluded error closes a half-open breaker."""
        breaker = CircuitBreaker(exclude=[VendorError])
        breaker.half_open()
        feed(breaker, VendorError())
        assert breaker.current_state == "closed"

    def test_excluding_a_class_with_a_metaclass_excludes_everything(self) -> None:
        """Such a class is taken for a predicate, and what it returns is true."""

        class Meta(type):
            """Any metaclass but `type`."""

        class OddError(Exception, metaclass=Meta):
            """An error whose class has it."""

        breaker = CircuitBreaker(exclude=[OddError])
        feed(breaker, VendorError())
        assert breaker.fail_counter == 0

    def test_a_listener_that_raises_replaces_the_answer(self) -> None:
        """What a listener raises comes out in place of what was called for."""

        class Broken(CircuitBreakerListener):
            def success(self, cb: CircuitBreaker) -> None:
                raise RuntimeError("broken listener")

        breaker = CircuitBreaker(listeners=[Broken()])
        with pytest.raises(RuntimeError, match="broken listener"):
            breaker.call(lambda: "answer")


class TestImport:
    """What comes along with pybreaker."""

    @pytest.mark.parametrize("package", ["redis", "tornado"])
    def test_loads_what_is_installed(self, package: str, tmp_path: Path) -> None:
        """Both redis and tornado are imported wherever they are found."""
        found = tmp_path / package
        found.mkdir()
        (found / "__init__.py").touch()
        code = "import sys; sys.path.insert(0, sys.argv[1]); import pybreaker; print(*sys.modules)"
        command = [sys.executable, "-c", code, str(tmp_path)]
        loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert package in loaded


class TestOurUse:
    """How much of pybreaker the library touches."""

    def test_one_package_alone_imports_it(self) -> None:
        """What the others know of breakers they know from `cooldown`."""
        root = Path(fallback_exec.__file__).parent
        importing = {
            path.relative_to(root).parts[0]
            for path in root.rglob("*.py")
            if any("pybreaker" in line for line in _imports_of(path))
        }
        assert importing == {"cooldown"}

    def test_nothing_private_is_used(self) -> None:
        """Neither a private name is imported nor a private attribute of a breaker read."""
        for module in (Path(fallback_exec.__file__).parent / "cooldown").glob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module == "pybreaker":
                    assert {alias.name for alias in node.names} <= set(pybreaker.__all__)
                if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("breaker"):
                    assert not node.attr.startswith("_"), ast.unparse(node)

    def test_neither_exclusions_nor_listeners_are_used(self) -> None:
        """What is no failure is not told to pybreaker, and nobody listens."""
        breaker = fallback_exec.BreakerCooldownTracker().breaker("grok")
        assert breaker.excluded_exceptions == ()
        assert breaker.listeners == ()

    def test_our_attributes_do_not_hide_those_of_the_storage(self) -> None:
        """What `Memory` calls its own is not what pybreaker's storage calls its own."""
        theirs = set(vars(CircuitMemoryStorage("closed")))
        tree = ast.parse(inspect.getsource(eras.Memory))
        ours = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) == "self"
        }
        assert {"era", "_lock"} <= ours
        assert ours & theirs == set()


def _imports_of(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
