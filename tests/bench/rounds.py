"""Times things against each other, in one process and in interleaved rounds.

A figure is a ratio: each round times every path for one short batch, the ratio is taken within the
round, and the median over the rounds is the figure. So a slow stretch of the machine is slow for both
sides of a ratio, and a slow moment is an outlier that the median drops.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from timeit import Timer
from typing import TypeAlias

import attrs

#: Seconds that one path took in a round, for a single call, by the path's name.
Round: TypeAlias = Mapping[str, float]

# The thread's own time: a long path would be interrupted by other processes in most rounds, a short one in
# few, and no median would help. Where that clock is coarse, the machine had better be idle.
_IS_FINE = time.get_clock_info("thread_time").resolution < 1e-6
CLOCK = time.thread_time if _IS_FINE else time.perf_counter

#: Seconds of a batch: a thousand times what it costs to read the clock.
BATCH = 0.0003


@attrs.frozen
class Path:
    """A statement to be timed, and what its names mean.

    It is text, as for `timeit`, so that it stands in the timing loop itself: a function around it
    would be a call more on both sides of a ratio and bring it nearer to 1.
    """

    statement: str
    names: Mapping[str, object]

    def timer(self) -> Timer:
        """Return a timer of the statement."""
        return Timer(self.statement, timer=CLOCK, globals=dict(self.names))

    def function(self) -> Callable[[], object]:
        """Return the statement, which must be an expression, as a function."""
        function: Callable[[], object] = eval(f"lambda: {self.statement}", dict(self.names))
        return function


@attrs.frozen
class Effort:
    """How often things are measured.

    Attributes:
        rounds: Rounds of what takes microseconds.
        waiting_rounds: Rounds of what waits.
        starts: Fresh interpreters for the time of an import.
    """

    rounds: int
    waiting_rounds: int
    starts: int


THOROUGH = Effort(rounds=1000, waiting_rounds=7, starts=21)
#: For a first look while one changes the code: the figures tremble by some percent.
QUICK = Effort(rounds=100, waiting_rounds=2, starts=5)


@attrs.frozen
class Figure:
    """The median over the rounds, and its quartiles: half of the rounds lie between them."""

    median: float
    low: float
    high: float


def figure(rounds: Sequence[Round], ratio: Callable[[Round], float]) -> Figure:
    """Return what the ratio came to in the rounds, of which there are at least two."""
    low, median, high = statistics.quantiles(map(ratio, rounds), n=4, method="inclusive")
    return Figure(median, low, high)


def over(path: str, unit: str) -> Callable[[Round], float]:
    """Return the ratio of two paths."""
    return lambda seconds: seconds[path] / seconds[unit]


def interleave(timings: Mapping[str, Callable[[], float]], count: int) -> list[Round]:
    """Take each timing once a round, in an order that rotates from round to round."""
    names = list(timings)
    rounds: list[Round] = []
    for number in range(count):
        shift = number % len(names)
        gc.collect()  # what was left behind in a round is collected at nobody's cost
        rounds.append({name: timings[name]() for name in names[shift:] + names[:shift]})
    return rounds


def time_paths(paths: Mapping[str, Path], count: int) -> list[Round]:
    """Time the paths for a batch each, in so many rounds."""
    with _quiet_collector():
        return interleave({name: _batch_of(path) for name, path in paths.items()}, count)


def _batch_of(path: Path) -> Callable[[], float]:
    """Return a function that runs a batch, and returns the seconds that one call took."""
    timer = path.timer()
    number = 1
    # Until the interpreter has adapted to it, and it is known how many calls make a batch.
    for _ in range(3):
        timer.timeit(number)
        once = min(timer.timeit(number) for _ in range(3)) / number
        number = max(1, round(BATCH / once))
    return lambda: timer.timeit(number) / number  # timeit keeps the collector off meanwhile


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Leave what there is already out of all collections, so that they are short."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
