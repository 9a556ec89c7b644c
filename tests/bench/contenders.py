"""The library and its peers, each put into one and the same scene.

A contender is a function from a scene to the path that is timed; None where it has no such thing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import apifailover
from langchain_core.runnables import RunnableLambda
from pybreaker import CircuitBreaker

from bench.rounds import Path
from bench.scenes import ANSWER, Scene, Vendor, VendorError, fail, no_op
from fallback_exec import BreakerCooldownTracker, ExecuteConfig, Strategy, execute
from fallback_exec.events import Listener

Contender: TypeAlias = Callable[[Scene], Path | None]

# No failure of these measurements starts a cooldown, and no cooldown ends while they run.
NEVER = 10**9
AN_HOUR = 3600.0

# Takes no level at all.
SILENT = logging.getLogger("bench.silent")
SILENT.setLevel(logging.CRITICAL + 1)

# As an application has it that logs nothing below WARNING, save that writing costs nothing.
WARNING = logging.getLogger("bench.warning")
WARNING.setLevel(logging.WARNING)
WARNING.propagate = False
WARNING.addHandler(logging.NullHandler())


def bare(scene: Scene) -> Path | None:
    """Call the function, and after a failure another one: no chain, no breaker."""
    if scene.cooling:
        return None
    if scene.failing:
        statement = "try:\n    fail()\nexcept VendorError:\n    no_op()"
        return Path(statement, {"fail": fail, "no_op": no_op, "VendorError": VendorError})
    return Path("call()", {"call": scene.calls()["vendor-0"]})


def breaker_call(scene: Scene) -> Path | None:
    """Call one function through one breaker of pybreaker's, which has no chain."""
    if scene.cooling or scene.failing:
        return None
    breaker = CircuitBreaker(fail_max=NEVER, reset_timeout=AN_HOUR)
    return Path("breaker.call(call)", {"breaker": breaker, "call": scene.calls()["vendor-0"]})


def healthy_breaker_call() -> Path:
    """Call a no-op through one breaker of pybreaker's: the unit of most figures."""
    breaker = CircuitBreaker(fail_max=NEVER, reset_timeout=AN_HOUR)
    return Path("breaker.call(no_op)", {"breaker": breaker, "no_op": no_op})


def failing_breaker_call() -> Path:
    """Call a function that fails through one breaker of pybreaker's."""
    breaker = CircuitBreaker(fail_max=NEVER, reset_timeout=AN_HOUR)
    statement = "try:\n    breaker.call(fail)\nexcept VendorError:\n    pass"
    return Path(statement, {"breaker": breaker, "fail": fail, "VendorError": VendorError})


def call_in_turn(
    chain: Sequence[Vendor], breakers: Mapping[str, CircuitBreaker], fn: Callable[[Vendor], str]
) -> str:
    """Be the port that one writes first: a loop over the breakers' calls."""
    last: Exception | None = None
    for vendor in chain:
        try:
            return breakers[vendor.name].call(fn, vendor)
        except Exception as error:  # the vendor's, or CircuitBreakerError while it cools down
            last = error
    raise RuntimeError("nobody answered") from last


def naive_port(scene: Scene) -> Path:
    """Loop over `breaker.call`."""
    breakers = {name: CircuitBreaker(fail_max=NEVER, reset_timeout=AN_HOUR) for name in scene.names}
    for name in scene.cooling_names:
        breakers[name].open()
    chain = [Vendor(name) for name in scene.names]
    names = {"call_in_turn": call_in_turn, "chain": chain, "breakers": breakers, "fn": scene.fn()}
    return Path("call_in_turn(chain, breakers, fn)", names)


def api_failover(scene: Scene) -> Path:
    """Fetch by apifailover, with its breaker."""
    breaker = apifailover.CircuitBreaker(failure_threshold=NEVER, reset_after=AN_HOUR)
    for name in scene.cooling_names:
        breaker.failure_threshold = 1
        breaker.record_failure(name)
        breaker.failure_threshold = NEVER
    client = apifailover.FailoverClient(circuit_breaker=breaker)
    chain = [apifailover.Provider(name, call) for name, call in scene.calls().items()]
    return Path("client.fetch(chain)", {"client": client, "chain": chain})


def with_fallbacks(scene: Scene) -> Path | None:
    """Invoke a Runnable of LangChain's with fallbacks, which know no cooldowns."""
    if scene.cooling:
        return None
    first, *others = [RunnableLambda(_of_a_question(call)) for call in scene.calls().values()]
    return Path("chain.invoke('question')", {"chain": first.with_fallbacks(others)})


def _of_a_question(call: Callable[[], str]) -> Callable[[str], str]:
    """Return the call as a Runnable's function, which takes an input. What is timed is not wrapped."""
    if call is no_op:
        return _answer_question
    if call is fail:
        return _fail_question
    return lambda _question: call()


def _answer_question(_question: str) -> str:
    return ANSWER


def _fail_question(_question: str) -> str:
    raise VendorError("down")


def ours(
    scene: Scene,
    strategy: Strategy = Strategy.FALLBACK,
    logger: logging.Logger = SILENT,
    kind: Callable[[Iterable[Vendor]], Sequence[Vendor]] = tuple,
    listeners: Sequence[Listener] = (),
) -> Path:
    """Execute by this library, with its breakers; the providers stand in a tuple, or another `kind`."""
    tracker = BreakerCooldownTracker(fail_max=NEVER, reset_timeout=AN_HOUR)
    for name in scene.cooling_names:
        tracker.cool_down(name)
    config = ExecuteConfig(strategy=strategy, cooldown=tracker, logger=logger, listeners=listeners)
    chain = kind(Vendor(name) for name in scene.names)
    names = {"execute": execute, "chain": chain, "config": config, "fn": scene.fn()}
    return Path("execute(chain, config, fn)", names)


CONTENDERS: Mapping[str, Contender] = {
    "bare call": bare,
    "pybreaker `call`": breaker_call,
    "naive port": naive_port,
    "apifailover": api_failover,
    "LangChain `with_fallbacks`": with_fallbacks,
    "fallback_exec": ours,
}
