"""All that is measured beside the bars, by name."""

from __future__ import annotations

from collections.abc import Mapping

from bench.anatomy import measure_steps
from bench.footprint import measure_imports, measure_memory
from bench.listening import measure_listeners
from bench.side_by_side import (
    measure_cooling_chains,
    measure_healthy_chains,
    measure_scenes,
    measure_threads,
)
from bench.tables import Study

STUDIES: Mapping[str, Study] = {
    "scenes": Study("A chain of three, over one healthy `pybreaker` call", "what is called", measure_scenes),
    "threads": Study(
        "Calls that take 5 ms, on so many threads, over bare calls", "what is called", measure_threads
    ),
    "healthy-chains": Study(
        "So many providers, the first answers, over one healthy `pybreaker` call",
        "what is called",
        measure_healthy_chains,
    ),
    "cooling-chains": Study(
        "So many providers, all but the last cool down, over one healthy `pybreaker` call",
        "what is called",
        measure_cooling_chains,
    ),
    "listeners": Study(
        "A chain of three, with listeners, over one healthy `pybreaker` call",
        "who listens",
        measure_listeners,
    ),
    "imports": Study("The time of an import in a fresh interpreter", "import", measure_imports),
    "memory": Study("Bytes that are kept of each provider", "who keeps them", measure_memory),
    "anatomy": Study(
        "The healthy path of `FALLBACK`, step by step, over one healthy `pybreaker` call",
        "step",
        measure_steps,
    ),
}
