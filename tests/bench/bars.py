"""The figures that must hold: for each path, what it may cost at most, and what is aimed at.

The unit, unless a row says otherwise, is one `pybreaker.CircuitBreaker.call` of a no-op.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import attrs

from bench.contenders import (
    WARNING,
    api_failover,
    failing_breaker_call,
    healthy_breaker_call,
    ours,
)
from bench.rounds import Effort, Figure, Path, Round, figure, over, time_paths
from bench.scenes import HEALTHY, ONE_FAILURE, Scene
from bench.tables import markdown, number
from bench.threads import time_on_threads
from fallback_exec import Strategy

# How many providers are passed over before the one that answers, where the cost of a skip is measured.
SKIPS = (10, 49, 999)

THREADS, CALLS = 64, 640
ONE_OF_20_MS = Scene(total=1, seconds=0.020)


@attrs.frozen
class Bar:
    """A figure that must hold.

    Attributes:
        path: What is measured.
        at_most: Above it, the run fails; None: it is shown only.
        aim: What it should be, if anything.
        needs: The names, in `PATHS`, of what is timed.
        ratio: From the seconds of one round, the figure.
        on_threads: Whether it is timed on many threads.
    """

    path: str
    at_most: float | None
    aim: float | None
    needs: tuple[str, ...]
    ratio: Callable[[Round], float]
    on_threads: bool = False


@attrs.frozen
class Reading:
    """A bar and what it was measured to be."""

    bar: Bar
    figure: Figure

    @property
    def holds(self) -> bool:
        """Whether the figure is no more than it may be."""
        return self.bar.at_most is None or self.figure.median <= self.bar.at_most


def _skipping(count: int) -> Path:
    return ours(Scene(total=count + 1, cooling=count))


PATHS: Mapping[str, Callable[[], Path]] = {
    "unit": healthy_breaker_call,
    "failing unit": failing_breaker_call,
    "apifailover": lambda: api_failover(HEALTHY),
    "fallback": lambda: ours(HEALTHY),
    "in a list": lambda: ours(HEALTHY, kind=list),
    "primary only": lambda: ours(HEALTHY, Strategy.PRIMARY_ONLY),
    "round robin": lambda: ours(HEALTHY, Strategy.ROUND_ROBIN),
    "one failure": lambda: ours(ONE_FAILURE),
    "one failure, logged": lambda: ours(ONE_FAILURE, logger=WARNING),
    "no skip": lambda: ours(Scene(total=1)),
    **{f"{count} skips": partial(_skipping, count) for count in SKIPS},
    "sleeps": lambda: Path("sleep(0.020)", {"sleep": time.sleep}),
    "sleeping provider": lambda: ours(ONE_OF_20_MS),
}


def skip(seconds: Round, count: int) -> float:
    """Return the seconds that one provider more costs that is passed over."""
    return (seconds[f"{count} skips"] - seconds["no skip"]) / count


BARS = (
    Bar(
        "`FALLBACK`, healthy, 3 providers, breaker tracker",
        0.60,
        0.50,
        ("unit", "fallback"),
        over("fallback", "unit"),
    ),
    Bar("the same, the providers in a list", None, None, ("unit", "in a list"), over("in a list", "unit")),
    Bar("`PRIMARY_ONLY`", 0.55, 0.45, ("unit", "primary only"), over("primary only", "unit")),
    Bar("`ROUND_ROBIN`", 0.85, 0.70, ("unit", "round robin"), over("round robin", "unit")),
    Bar(
        "each provider passed over in cooldown",
        0.20,
        0.14,
        ("unit", "no skip", "10 skips"),
        lambda seconds: skip(seconds, 10) / seconds["unit"],
    ),
    Bar(
        "one failure, then an answer, over one failing `pybreaker` call, logging off",
        2.5,
        1.9,
        ("failing unit", "one failure"),
        over("one failure", "failing unit"),
    ),
    Bar(
        "one failure, then an answer, over the same, at `WARNING` with a `NullHandler`",
        7.0,
        5.0,
        ("failing unit", "one failure, logged"),
        over("one failure, logged", "failing unit"),
    ),
    Bar(
        "healthy, over `apifailover.FailoverClient.fetch` with its breaker",
        0.50,
        0.40,
        ("apifailover", "fallback"),
        over("fallback", "apifailover"),
    ),
    Bar(
        "640 calls of 20 ms on 64 threads, one provider, over bare sleeps",
        1.15,
        1.02,
        ("sleeps", "sleeping provider"),
        over("sleeping provider", "sleeps"),
        on_threads=True,
    ),
    Bar(
        "a skip among 1,000 providers over one among 50",
        1.3,
        1.0,
        ("no skip", "49 skips", "999 skips"),
        lambda seconds: skip(seconds, 999) / skip(seconds, 49),
    ),
)


def read_bars(bars: Sequence[Bar], effort: Effort) -> Iterator[Reading]:
    """Measure the bars."""
    calls = [bar for bar in bars if not bar.on_threads]
    waits = [bar for bar in bars if bar.on_threads]
    if calls:
        yield from _readings(calls, time_paths(_paths_of(calls), effort.rounds))
    if waits:
        rounds = time_on_threads(_paths_of(waits), THREADS, CALLS, effort.waiting_rounds)
        yield from _readings(waits, rounds)


def _paths_of(bars: Sequence[Bar]) -> dict[str, Path]:
    return {name: PATHS[name]() for name in dict.fromkeys(name for bar in bars for name in bar.needs)}


def _readings(bars: Sequence[Bar], rounds: Sequence[Round]) -> Iterator[Reading]:
    return (Reading(bar, figure(rounds, bar.ratio)) for bar in bars)


def bars_table(readings: Sequence[Reading]) -> str:
    """Return the table as it is printed."""
    head = ["path", "measured", "half of the rounds", "at most", "aim", ""]
    return markdown(head, [_row(reading) for reading in readings])


def _row(reading: Reading) -> list[str]:
    bar, measured = reading.bar, reading.figure
    spread = f"{number(measured.low)} to {number(measured.high)}"
    if bar.at_most is None or bar.aim is None:
        return [bar.path, number(measured.median), spread, "-", "-", ""]
    verdict = "too much" if not reading.holds else "aim reached" if measured.median <= bar.aim else "holds"
    return [bar.path, number(measured.median), spread, number(bar.at_most), number(bar.aim), verdict]
