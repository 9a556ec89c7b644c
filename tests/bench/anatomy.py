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
from fallback_exec import BreakerCooldownTracker, ExecuteConfig, Strategy, execute
from fallback_exec._clock import Countdown
from fallback_exec.cooldown.tracker import UNKNOWN
from fallback_exec.results import FilledResult

_CHECK = """\
isinstance(config, ExecuteConfig)
route = config._route
checked, names = route.checked
chain is not checked
callable(fn)
"""
_LOOK_UP = """\
standing = standings.get(name, UNKNOWN)
type(standing) is not Countdown
"""
_FILL = """\
result = FilledResult()
result.response = answer
result.provider = name
result.latency = latency
result.attempt_num = attempt_num
result.was_terminus = is_terminus
result._story = rows
result._cooling = None
"""

#: What is done, in the order in which it is done, and the statements that do it.
STEPS = {
    "be called": "be_called(chain, config, fn)",
    "check `config`, `fn`, and that the chain was checked": _CHECK,
    "ask whether DEBUG is logged": "logger.isEnabledFor(DEBUG)",
    "look up what is known of the provider": _LOOK_UP,
    "call `fn`": "fn(vendor)",
    "read the clock before and after": "perf_counter()\nperf_counter()",
    "see that the answer is no coroutine": "type(answer) is CoroutineType",
    "see whether a success must be told": "permit.awaits_success",
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
    chain = tuple(Vendor(name) for name in HEALTHY.names)
    config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=SILENT)
    execute(chain, config, HEALTHY.fn())  # from now on the chain is a checked one
    return {
        "CoroutineType": CoroutineType,
        "Countdown": Countdown,
        "DEBUG": logging.DEBUG,
        "ExecuteConfig": ExecuteConfig,
        "FilledResult": FilledResult,
        "UNKNOWN": UNKNOWN,
        "answer": ANSWER,
        "attempt_num": 1,
        "be_called": _be_called,
        "chain": chain,
        "config": config,
        "fn": HEALTHY.fn(),
        "is_terminus": False,
        "latency": 0.0,
        "logger": SILENT,
        "name": vendor.name,
        "perf_counter": time.perf_counter,
        "permit": tracker.acquire(vendor.name),
        "rows": [],
        "standings": tracker._standings,
        "vendor": vendor,
    }


def _be_called(providers: object, config: object, fn: object, *, deadline: object = None) -> None:
    """Take the arguments of `execute()`, and do nothing."""
