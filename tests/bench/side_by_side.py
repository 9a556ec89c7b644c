"""The library beside its peers: in each scene, along longer and longer chains, and on many threads."""

from __future__ import annotations

from collections.abc import Mapping

from bench.contenders import CONTENDERS, healthy_breaker_call
from bench.rounds import Effort, Path, figure, over, time_paths
from bench.scenes import ALL_BUT_ONE_COOLING, HEALTHY, ONE_FAILURE, Scene
from bench.tables import Table
from bench.threads import time_on_threads

SCENES = {"healthy": HEALTHY, "one failure": ONE_FAILURE, "all but one cooling": ALL_BUT_ONE_COOLING}
LENGTHS = (3, 10, 50, 200, 1000)
# How many calls are shared out among so many threads: enough to take a moment, and few enough for those who
# make one call at a time.
CALLS_ON_THREADS = {1: 40, 8: 160, 64: 320}
OF_5_MS = Scene(seconds=0.005)


def measure_scenes(effort: Effort) -> Table:
    """Time each contender in each scene."""
    return _over_the_unit(SCENES, effort)


def measure_healthy_chains(effort: Effort) -> Table:
    """Time each contender with longer and longer chains whose first provider answers."""
    return _over_the_unit({f"{length:,}": Scene(total=length) for length in LENGTHS}, effort)


def measure_cooling_chains(effort: Effort) -> Table:
    """Time each contender with longer and longer chains whose last provider alone does not cool down."""
    scenes = {f"{length:,}": Scene(total=length, cooling=length - 1) for length in LENGTHS}
    return _over_the_unit(scenes, effort)


def measure_threads(effort: Effort) -> Table:
    """Time each contender on more and more threads, with a provider that takes 5 ms, over bare calls."""
    paths = _paths_in(OF_5_MS)
    columns = {
        f"{threads} thread{'s' * (threads > 1)}": time_on_threads(
            paths, threads, calls, effort.waiting_rounds
        )
        for threads, calls in CALLS_ON_THREADS.items()
    }
    rows = {
        name: tuple(figure(rounds, over(name, "bare call")).median for rounds in columns.values())
        for name in paths
    }
    return Table(tuple(columns), rows)


def _over_the_unit(scenes: Mapping[str, Scene], effort: Effort) -> Table:
    """Time each contender in each of the scenes, over one healthy call of pybreaker's."""
    paths = {
        f"{name}, {column}": path
        for column, scene in scenes.items()
        for name, path in _paths_in(scene).items()
    }
    rounds = time_paths({"unit": healthy_breaker_call()} | paths, effort.rounds)

    def cell(name: str, column: str) -> float | None:
        path = f"{name}, {column}"
        return figure(rounds, over(path, "unit")).median if path in paths else None

    return Table(tuple(scenes), {name: tuple(cell(name, column) for column in scenes) for name in CONTENDERS})


def _paths_in(scene: Scene) -> dict[str, Path]:
    """Return the path of each contender that has such a thing."""
    paths = {name: contender(scene) for name, contender in CONTENDERS.items()}
    return {name: path for name, path in paths.items() if path is not None}
