"""Times calls that wait, as vendors' calls do, on many threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from bench.rounds import Path, Round, interleave


def time_on_threads(paths: Mapping[str, Path], threads: int, calls: int, count: int) -> list[Round]:
    """Time so many calls of each path, shared out among threads, in so many rounds.

    A round has the seconds of the whole: from handing out the first call to the last one's end.
    """
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(time.sleep, [0.01] * threads))  # so that all threads are there before it begins
        functions = {name: path.function() for name, path in paths.items()}
        timings = {name: _whole(pool, function, calls) for name, function in functions.items()}
        return interleave(timings, count)


def _whole(pool: ThreadPoolExecutor, function: Callable[[], object], calls: int) -> Callable[[], float]:
    def seconds() -> float:
        began = time.perf_counter()
        for future in [pool.submit(function) for _ in range(calls)]:
            future.result()
        return time.perf_counter() - began

    return seconds
