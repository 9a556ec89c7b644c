"""What each path asks of the server, and what the healthy one costs."""

from __future__ import annotations

import time
from collections.abc import Callable

from pybreaker import CircuitBreaker

from bench.rounds import Path, figure, over, time_paths
from bench.shared.counts import Count, Counter
from bench.shared.guards import (
    FAIL_MAX,
    PATIENT,
    STORAGE,
    STORE,
    VendorError,
    config_of,
    guard,
    storage_breaker,
)
from bench.tables import markdown, number
from fallback_exec import BreakerCooldownTracker, NamedProvider, execute
from fallback_exec.redis import RedisCooldownStore
from real_servers import Server

RESET_TIMEOUT = 1.0
ROUNDS = 300


def round_trips_table(server: Server) -> str:
    """Count the round trips of each path."""
    ours, theirs = (_counts(kind, server) for kind in (STORE, STORAGE))
    head = ["", f"{STORE}: round trips", "commands", f"{STORAGE}: round trips", "commands"]
    return markdown(head, [[path, *_cells(ours[path]), *_cells(theirs[path])] for path in ours])


def _cells(count: Count) -> list[str]:
    return [str(count.round_trips), str(count.commands)]


def _counts(kind: str, server: Server) -> dict[str, Count]:
    # Long, so that a refresh falls due where it is counted, and nowhere else.
    interval = 2 * RESET_TIMEOUT
    call = guard(kind, server.url, "paths", RESET_TIMEOUT, timeout=PATIENT, refresh_interval=interval)
    counter = Counter(server)

    def succeed() -> None:
        counts["before"] = counter.since()

    def fail() -> None:
        succeed()
        raise VendorError("down")

    def count(fn: Callable[[], None]) -> tuple[Count, Count]:
        """Return what was asked before the vendor was called, and after."""
        counts["before"] = Count(0, 0, 0)
        counter.since()
        call(fn)
        after = counter.since()
        return counts.pop("before"), after

    def whole(fn: Callable[[], None]) -> Count:
        before, after = count(fn)
        return Count(
            before.round_trips + after.round_trips,
            before.scripts + after.scripts,
            before.commands + after.commands,
        )

    counts: dict[str, Count] = {}
    call(succeed)  # which connects
    call(fail)
    call(succeed)
    found = {"a call that succeeds": whole(succeed)}
    time.sleep(interval)
    found["the same when a refresh is due"] = whole(succeed)
    found["a failure"] = whole(fail)
    found["a success after it"] = whole(succeed)
    for _ in range(FAIL_MAX - 1):
        call(fail)
    found["the failure that starts a cooldown"] = whole(fail)
    found["a call during the cooldown"] = whole(succeed)
    time.sleep(RESET_TIMEOUT + 0.1)
    found["the claim of a probe"], found["a probe's failure"] = count(fail)
    time.sleep(RESET_TIMEOUT + 0.1)
    _, found["a probe's success"] = count(succeed)
    return found


def healthy_table(server: Server) -> str:
    """Time a call to a healthy vendor, over one of a bare breaker."""
    store = RedisCooldownStore(server.url, timeout=PATIENT)
    chain = tuple(NamedProvider(name, None) for name in ("grok", "gemini", "mistral"))
    names = {"execute": execute, "chain": chain, "fn": lambda _provider: "answer"}
    shared = config_of(BreakerCooldownTracker(shared=store))
    alone = config_of(BreakerCooldownTracker())
    paths = {
        "`pybreaker`": _breaker_path(CircuitBreaker()),
        "`execute()`": Path("execute(chain, config, fn)", {**names, "config": alone}),
        f"`execute()` with {STORE}": Path("execute(chain, config, fn)", {**names, "config": shared}),
        f"`pybreaker` with {STORAGE}": _breaker_path(storage_breaker(server.url, "healthy", 60.0, PATIENT)),
    }
    rounds = time_paths(paths, ROUNDS)
    unit = next(iter(paths))
    rows = [[name, number(figure(rounds, over(name, unit)).median)] for name in paths]
    store.close()
    return markdown(["", "processor time over `pybreaker`"], rows)


def _breaker_path(breaker: CircuitBreaker) -> Path:
    return Path("breaker.call(no_op)", {"breaker": breaker, "no_op": lambda: "answer"})
