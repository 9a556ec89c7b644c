"""What the library takes without being called: the time of its import, and memory."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import apifailover
from pybreaker import CircuitBreaker

from bench.contenders import AN_HOUR, NEVER, SILENT, call_in_turn
from bench.rounds import Effort, Round, figure, interleave, over
from bench.scenes import ANSWER, Vendor, VendorError
from bench.tables import Table
from fallback_exec import AllProvidersFailedError, BreakerCooldownTracker, ExecuteConfig, Strategy, execute

DEPENDENCIES = "pybreaker, attrs, cachetools"
IMPORTS = {
    f"`import {DEPENDENCIES}`": DEPENDENCIES,
    "`import fallback_exec`": "fallback_exec",
    "`import apifailover`": "apifailover",
    "`import langchain_core.runnables`": "langchain_core.runnables",
}

Fn: TypeAlias = Callable[[Vendor], str]
Keeper: TypeAlias = Callable[[Sequence[Vendor], Fn], object]

# Fewer than a tracker remembers by default.
PROVIDERS = 1000


def measure_imports(effort: Effort) -> Table:
    """Time each import in fresh interpreters, over that of the library's dependencies."""
    timings = {name: _import_of(modules) for name, modules in IMPORTS.items()}
    for timing in timings.values():
        timing()  # the first import compiles
    rounds = interleave(timings, effort.starts)
    first = next(iter(IMPORTS))
    rows = {
        name: (
            figure(rounds, over(name, first)).median,
            figure(rounds, _milliseconds(name)).median,
        )
        for name in IMPORTS
    }
    return Table(("over the dependencies", "milliseconds"), rows)


def _milliseconds(name: str) -> Callable[[Round], float]:
    return lambda seconds: seconds[name] * 1000


def _import_of(modules: str) -> Callable[[], float]:
    program = (
        f"import time; began = time.perf_counter()\nimport {modules}\nprint(time.perf_counter() - began)"
    )
    # -I: what is installed, and nothing of the checkout.
    command = [sys.executable, "-I", "-c", program]
    return lambda: float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure_memory(_effort: Effort) -> Table:
    """Weigh what is kept of a provider that has answered, and of one that has failed once."""
    keepers = {"naive port": _naive_port, "apifailover": _apifailover, "fallback_exec": _ours}
    rows = {
        name: (_bytes_a_provider(keep, _answer), _bytes_a_provider(keep, _fail))
        for name, keep in keepers.items()
    }
    return Table(("after an answer", "after a failure"), rows)


def _bytes_a_provider(keep: Keeper, fn: Fn) -> float:
    vendors = [Vendor(f"vendor-{number}") for number in range(PROVIDERS)]
    keep(vendors, fn)  # what is made once and for all is not a provider's
    gc.collect()
    tracemalloc.start()
    kept = keep(vendors, fn)
    gc.collect()
    weight, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return weight / PROVIDERS


# Each calls every provider once, and returns what has to be kept of them.


def _naive_port(vendors: Sequence[Vendor], fn: Fn) -> object:
    breakers = {
        vendor.name: CircuitBreaker(fail_max=NEVER, reset_timeout=AN_HOUR, name=vendor.name)
        for vendor in vendors
    }
    for vendor in vendors:
        with contextlib.suppress(RuntimeError):
            call_in_turn([vendor], breakers, fn)
    return breakers


def _apifailover(vendors: Sequence[Vendor], fn: Fn) -> object:
    breaker = apifailover.CircuitBreaker(failure_threshold=NEVER, reset_after=AN_HOUR)
    client = apifailover.FailoverClient(circuit_breaker=breaker)
    for vendor in vendors:
        with contextlib.suppress(apifailover.AllProvidersFailed):
            client.fetch([apifailover.Provider(vendor.name, partial(fn, vendor))])
    return client


def _ours(vendors: Sequence[Vendor], fn: Fn) -> object:
    tracker = BreakerCooldownTracker(fail_max=NEVER, reset_timeout=AN_HOUR)
    config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=SILENT)
    for vendor in vendors:
        with contextlib.suppress(AllProvidersFailedError):
            execute([vendor], config, fn)
    return config


def _answer(_vendor: Vendor) -> str:
    return ANSWER


def _fail(_vendor: Vendor) -> str:
    raise VendorError("down")
