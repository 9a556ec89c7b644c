"""Where the time of the healthy path goes: its steps, each timed alone.

The steps are statements of `execute()` and its loop as they stand there, and the library's own functions
called as they are called there. So this module, unlike all others here, follows the library's inside.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import CoroutineType

from bench.contenders import SILENT, healthy_breaker_call, ours
from bench.rounds import Effort, Path, Round, figure, time_paths
from bench.scenes import ANSWER, HEALTHY, Vendor
from bench.tables import Table
from fallback_exec import BreakerCooldownTracker, ExecuteConfig, ExecuteResult, Strategy
from fallback_exec._clock import Countdown
from fallback_exec._log import is_enabled
from fallback_exec.execution import _count_success
from fallback_exec.providers import check_providers

_LOOK_UP = """\
standing = tracker._standing.get(name)
standing is None or isinstance(standing, Countdown)
"""
_FILL = """\
result = object.__new__(ExecuteResult)
result.response, result.provider, result.latency = answer, name, latency
result.attempt_num, result.was_terminus = attempt_num, is_terminus
result._attempts, result._rows, result._cooling = None, rows, None
"""

#: What is done, in the order in which it is done, and the statements that do it.
STEPS = {
    "be called": "be_called(chain, config, fn)",
    "copy the chain, check its three names": "check_providers(chain)",
    "check `config` and `fn`": "isinstance(config, ExecuteConfig)\ncallable(fn)",
    "hand over to the loop": "hand_over(chain, chain, config, logger, fn, None)",
    "ask whether DEBUG is logged": "is_enabled(logger, DEBUG)",
    "look up what is known of the provider": _LOOK_UP,
    "call `fn`": "fn(vendor)",
    "read the clock before and after": "perf_counter()\nperf_counter()",
    "see that the answer is no coroutine": "isinstance(answer, CoroutineType)",
    "count the success": "_count_success(permit, name, logger)",
    "fill the result": _FILL,
    "clear the loop's locals": "a = b = c = d = e = f = g = None",
}
REST = "all else: the loop itself"
WHOLE = "the whole"


def measure_steps(effort: Effort) -> Table:
    """Time the steps, over one healthy call of pybreaker's; what they leave of the whole is the loop's."""
    names = _names()
    paths = {step: Path(statement, names) for step, statement in STEPS.items()}
    paths |= {WHOLE: ours(HEALTHY), "nothing": Path("pass", {}), "unit": healthy_breaker_call()}
    rounds = time_paths(paths, effort.rounds)
    costs = {path: figure(rounds, _alone(path)).median for path in [*STEPS, WHOLE]}
    whole = costs.pop(WHOLE)
    costs |= {REST: whole - sum(costs.values()), WHOLE: whole}
    rows = {step: (cost, 100 * cost / whole) for step, cost in costs.items()}
    return Table(("over the unit", "% of the whole"), rows)


def _alone(path: str) -> Callable[[Round], float]:
    """Return the ratio of a path, without the timing loop, to the unit."""
    return lambda seconds: (seconds[path] - seconds["nothing"]) / seconds["unit"]


def _names() -> dict[str, object]:
    """Return what the names in the steps mean."""
    tracker = BreakerCooldownTracker()
    vendor = Vendor("vendor-0")
    return {
        "CoroutineType": CoroutineType,
        "Countdown": Countdown,
        "DEBUG": logging.DEBUG,
        "ExecuteConfig": ExecuteConfig,
        "ExecuteResult": ExecuteResult,
        "_count_success": _count_success,
        "answer": ANSWER,
        "attempt_num": 1,
        "be_called": _be_called,
        "chain": [Vendor(name) for name in HEALTHY.names],
        "check_providers": check_providers,
        "config": ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker),
        "fn": HEALTHY.fn(),
        "hand_over": _hand_over,
        "is_enabled": is_enabled,
        "is_terminus": False,
        "latency": 0.0,
        "logger": SILENT,
        "name": vendor.name,
        "perf_counter": time.perf_counter,
        "permit": tracker.acquire(vendor.name),
        "rows": [],
        "tracker": tracker,
        "vendor": vendor,
    }


def _be_called(providers: object, config: object, fn: object, *, deadline: object = None) -> None:
    """Take the arguments of `execute()`, and do nothing."""


def _hand_over(
    chain: object, names: object, route: object, logger: object, fn: object, limit: object
) -> None:
    """Take the arguments of the loop, and do nothing."""
