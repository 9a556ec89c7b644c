"""What reaches a dead vendor: until it cools down, and when its cooldown is over."""

from __future__ import annotations

import itertools
import time

from bench.shared.guards import FAIL_MAX, NOTHING, STORAGE, STORE
from bench.shared.pool import Order, Pool, Who
from bench.tables import markdown
from real_servers import Server

WORKERS = 4
PROBERS = 8
ROUNDS = 5

_names = (f"round-{number}" for number in itertools.count())


def outages_table(pool: Pool, server: Server) -> str:
    """Count the calls that reach the dead vendor."""
    rows = []
    for kind in (NOTHING, STORE, STORAGE):
        under_load = [_under_load(pool, kind, server.url) for _ in range(ROUNDS)]
        probes = [_probes(pool, kind, server.url) for _ in range(ROUNDS)]
        rows.append([kind, str(_in_turn(pool, kind, server.url)), _span(under_load), _span(probes)])
    head = [
        "",
        f"{WORKERS} processes, in turn",
        f"{WORKERS} processes, each on its own",
        "probes of 8 processes",
    ]
    return markdown(head, rows)


def _in_turn(pool: Pool, kind: str, url: str) -> int:
    """A call each tenth of a second, of one process after the other."""
    who = _healthy(pool, kind, url)
    pool.vendor.set_dead(True)
    for worker in list(range(WORKERS)) * 2 * FAIL_MAX:
        pool.tell(Order(who), worker)
        time.sleep(0.1)
    return pool.vendor.reached


def _under_load(pool: Pool, kind: str, url: str) -> int:
    """Each process calls as a client of its own does: 20 ms until the call has failed, 20 ms of rest."""
    who = _healthy(pool, kind, url)
    pool.vendor.set_dead(True, seconds=0.02)
    pool.tell(Order(who, calls=25, pause=0.02, begin=time.time() + 0.05), *range(WORKERS))
    return pool.vendor.reached


def _healthy(pool: Pool, kind: str, url: str) -> Who:
    who = Who(kind, url, next(_names), reset_timeout=60.0)
    pool.vendor.set_dead(False)
    pool.tell(Order(who), *range(WORKERS))
    return who


def _probes(pool: Pool, kind: str, url: str) -> int:
    """All call at the same moment when the cooldown is over, and fail after 0.2 seconds."""
    who = Who(kind, url, next(_names), reset_timeout=1.0)
    pool.vendor.set_dead(True)
    pool.tell(Order(who, calls=FAIL_MAX), *range(PROBERS))
    time.sleep(1.1)
    pool.vendor.set_dead(True, seconds=0.2)
    pool.tell(Order(who, begin=time.time() + 0.1), *range(PROBERS))
    return pool.vendor.reached


def _span(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
