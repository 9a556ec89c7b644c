"""What the tests share: providers, trackers that keep a journal, loggers that keep their records, threads."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import pytest

import fallback_exec
from fallback_exec import (
    CooldownTracker,
    Cooling,
    Deadline,
    ExecuteConfig,
    FallbackExecError,
    Permit,
    execute,
)

T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=BaseException)

PATIENCE = 30.0  # seconds after which a test gives up; none of them needs so long

# What every LogRecord has; whatever else one has came in by `extra=`.
STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({})))


# Providers.


class Vendor:
    """A provider as users write them: a class of their own that has a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Vendor {self.name!r}>"


def vendors(*names: str) -> list[Vendor]:
    """Return a chain of providers with those names."""
    return [Vendor(name) for name in names]


class VendorError(Exception):
    """What providers fail with, where nothing else is at stake."""


def replying(**replies: object) -> Callable[[Vendor], object]:
    """Return a `fn` that raises the provider's reply where that is an exception, and returns it otherwise."""

    def fn(provider: Vendor) -> object:
        reply = replies[provider.name]
        if isinstance(reply, BaseException):
            raise reply
        return reply

    return fn


def fail(provider: Vendor) -> object:
    """Be the `fn` of which nothing good comes."""
    raise VendorError(f"{provider.name} is down")


def error_of(
    kind: type[ErrorT],
    providers: Sequence[Vendor],
    config: ExecuteConfig,
    fn: Callable[[Vendor], object] = fail,
    *,
    deadline: Deadline | float | None = None,
) -> ErrorT:
    """Return the error that the execution must end with, of exactly that type."""
    with pytest.raises(kind) as caught:
        execute(providers, config, fn, deadline=deadline)
    assert type(caught.value) is kind
    return caught.value


# Trackers.


class BrokenTrackerError(Exception):
    """What a tracker raises that is broken."""


class ThreeMethodTracker(CooldownTracker):
    """As much of a tracker as a user must write, with a journal of what it was asked and told.

    `cooling` has the seconds that providers cool down for, `opens` the same for those whose next failure
    starts a cooldown; `raises` names the one method that is broken, if any.
    """

    def __init__(
        self,
        *,
        cooling: Mapping[str, float] | None = None,
        opens: Mapping[str, float] | None = None,
        raises: str = "",
    ) -> None:
        self.journal: list[tuple[object, ...]] = []
        self.cooling = dict(cooling or {})
        self._opens = dict(opens or {})
        self.raises = raises

    def is_available(self, name: str) -> bool:
        self.note("is_available", name)
        return name not in self.cooling

    def cooldown_remaining(self, name: str) -> float:
        self.note("cooldown_remaining", name)
        return self.cooling.get(name, 0.0)

    def record_failure(self, name: str, error: Exception) -> bool:
        self.note("record_failure", name, error)
        return self.start_cooldown(name)

    def start_cooldown(self, name: str) -> bool:
        """Cool down if that is planned; return whether it was."""
        if name not in self._opens:
            return False
        self.cooling[name] = self._opens[name]
        return True

    def note(self, method: str, *arguments: object) -> None:
        """Write the call down, and fail if that is the broken method."""
        self.journal.append((method, *arguments))
        if method == self.raises:
            raise BrokenTrackerError(f"{method} is broken")

    def calls(self, method: str) -> list[tuple[object, ...]]:
        """Return the journal's lines of one method."""
        return [line for line in self.journal if line[0] == method]


class PermitTracker(ThreeMethodTracker):
    """A tracker that hands out permits of its own, which write in its journal."""

    def __init__(
        self,
        *,
        cooling: Mapping[str, float] | None = None,
        opens: Mapping[str, float] | None = None,
        raises: str = "",
    ) -> None:
        super().__init__(cooling=cooling, opens=opens, raises=raises)
        self.permits: weakref.WeakSet[Permit] = weakref.WeakSet()

    def acquire(self, name: str, *, force: bool = False) -> Permit | Cooling:
        self.note("acquire", name, force)
        cooling = Cooling(self.cooling[name]) if name in self.cooling else None
        if cooling is not None and not force:
            return cooling
        permit = JournalPermit(self, name, cooling)
        self.permits.add(permit)
        return permit

    def outcomes(self) -> list[tuple[object, object]]:
        """Return what the permits were told, in order: the method and the provider's name."""
        told = ("success", "failure", "release")
        return [(line[0], line[1]) for line in self.journal if line[0] in told]


class JournalPermit(Permit):
    """The permit of a `PermitTracker`."""

    def __init__(self, tracker: PermitTracker, name: str, cooling: Cooling | None) -> None:
        self.cooling = cooling
        self._tracker = tracker
        self._name = name

    def success(self) -> None:
        self._tracker.note("success", self._name)

    def failure(self, error: Exception) -> bool:
        self._tracker.note("failure", self._name, error)
        return self._tracker.start_cooldown(self._name)

    def release(self) -> None:
        self._tracker.note("release", self._name)


# Logs.


class Records(logging.Handler):
    """A handler that keeps its records."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)

    @property
    def lines(self) -> list[str]:
        """The records as level and text."""
        return [f"{record.levelname} {record.getMessage()}" for record in self.kept]


def logger_with(*handlers: logging.Handler, level: int = logging.DEBUG) -> logging.Logger:
    """Return a logger that no other test knows of, with those handlers and no others."""
    logger = logging.Logger("test", level)  # noqa: LOG001  # getLogger() would share it among tests
    for handler in handlers:
        logger.addHandler(handler)
    return logger


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what came in by `extra=`."""
    return {key: value for key, value in vars(record).items() if key not in STANDARD_ATTRIBUTES}


# What lives on.


class Held:
    """Something large that must not live longer than it has to."""


class Watch:
    """Watches objects without holding them."""

    def __init__(self) -> None:
        self._seen: dict[str, weakref.ref[object]] = {}

    def __call__(self, label: str, thing: T) -> T:
        """Watch `thing` and return it."""
        self._seen[label] = weakref.ref(thing)
        return thing

    @property
    def labels(self) -> set[str]:
        """Everything that was ever watched."""
        return set(self._seen)

    @property
    def alive(self) -> set[str]:
        """What lives still."""
        return {label for label, reference in self._seen.items() if reference() is not None}


# Threads and processes.


def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own; return what it returned, raise what it raised."""
    return in_threads(1, lambda _number: work())[0]


def in_threads(count: int, work: Callable[[int], T]) -> list[T]:
    """Run `work(0)`, `work(1)`, ... in threads that begin at the same moment; return what they returned."""
    barrier = threading.Barrier(count)
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait(PATIENCE)
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]
    return [results[number] for number in range(count)]


@contextlib.contextmanager
def held(lock: contextlib.AbstractContextManager[object]) -> Iterator[None]:
    """Have another thread hold the lock until the end of the block."""
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            inside.set()
            assert leave.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert inside.wait(PATIENCE)
        yield
    finally:
        leave.set()
        thread.join(PATIENCE)


def meddle_at_each_line(scene: Callable[[], tuple[Callable[[], T], Callable[[], object]]]) -> list[T]:
    """Force each interleaving there is of some work with something that meddles.

    `scene()` sets up a fresh scene and returns the work and the meddling. The work is run as often as
    it has lines of the library to run; each time, the meddling happens before another one of them.

    Returns:
        What the work returned, once for each interleaving.
    """
    results = []
    for line in itertools.count():
        work, meddle = scene()
        result, has_meddled = in_thread(lambda: _meddle_at_line(line, work, meddle))  # noqa: B023  # run at once
        if not has_meddled:
            break
        results.append(result)
    assert results, "the work ran none of the library's lines"
    return results


def _meddle_at_line(line: int, work: Callable[[], T], meddle: Callable[[], object]) -> tuple[T, bool]:
    package = str(Path(fallback_exec.__file__).parent)
    lines = itertools.count()
    has_meddled = False

    def trace(frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        nonlocal has_meddled
        if not frame.f_code.co_filename.startswith(package):
            return None
        if event == "line" and next(lines) == line:
            has_meddled = True
            meddle()
        return trace

    # In a thread of its own, which ends here: coverage's own trace function is not missed.
    sys.settrace(trace)
    try:
        return work(), has_meddled
    finally:
        sys.settrace(None)


def act_at_each_call(
    scene: Callable[[], tuple[T, Callable[[], object], Callable[[], object]]],
) -> Iterator[tuple[T, BaseException | None]]:
    """Act at each moment at which the interpreter may run a signal's handler or a finalizer.

    Those are where functions of the library's and of pybreaker's begin, and where their calls of C functions
    have ended. `scene()` sets up a fresh scene and returns its subject, the work, and the act. The work is
    run as often as there are such moments; each time, the act happens at another one, and what it raises is
    raised there.

    Yields:
        The subject, and what came out of the work.
    """
    for moment in itertools.count():
        subject, work, act = scene()
        moments = itertools.count()
        has_acted = False

        def profile(frame: FrameType, event: str, _argument: object) -> None:
            nonlocal has_acted
            package = str(frame.f_globals.get("__name__")).partition(".")[0]
            if (
                has_acted
                or event not in {"call", "c_return"}
                or package not in {"fallback_exec", "pybreaker"}
            ):
                return
            if next(moments) == moment:  # noqa: B023  # run at once
                has_acted = True
                act()  # noqa: B023

        came_out: BaseException | None = None
        try:
            sys.setprofile(profile)
            work()
        except BaseException as error:
            came_out = error.with_traceback(None)
        finally:
            sys.setprofile(None)
        if not has_acted:
            assert moment, "there was no moment"
            return
        yield subject, came_out


def forked_child_finishes(work: Callable[[], object]) -> bool:
    """Fork; return whether the child did its work, which it must within seconds."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(5)  # a deadlock ends with the child, killed
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


# Errors that travel. They stand here because a child process can import this module.


class KeywordOnlyError(Exception):
    """An error as SDKs have them: it can be pickled and then fails to be unpickled."""

    def __init__(self, message: str, *, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class LockHoldingError(Exception):
    """An error that cannot be pickled at all."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class ChangelingError(Exception):
    """An error that comes out of a pickle as something else."""

    def __reduce__(self) -> tuple[type[Exception], tuple[object, ...]]:
        return Exception, self.args


def failing_chain() -> FallbackExecError:
    """Return what comes of a chain of which one cools down and two fail, the first of them unpicklably."""
    tracker = ThreeMethodTracker(cooling={"gemini": 20.0}, opens={"grok": 30.0, "mistral": 40.0})
    fn = replying(grok=KeywordOnlyError("slow down", status_code=429), mistral=ConnectionError("down"))
    logger = logger_with(logging.NullHandler())
    config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger)
    try:
        execute(vendors("gemini", "grok", "mistral"), config, fn)
    except FallbackExecError as error:
        return error
    raise AssertionError("the chain answered")


def raise_failing_chain() -> None:
    """Do in a worker process what `failing_chain()` does."""
    raise failing_chain()


def raise_this(error: BaseException) -> None:
    """Raise in a worker process what has travelled there."""
    raise error
