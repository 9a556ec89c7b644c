"""Who is measured: each guards the calls to one vendor."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import TypeAlias

import redis
from pybreaker import CircuitBreaker, CircuitRedisStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

from fallback_exec import (
    BreakerCooldownTracker,
    CooldownTracker,
    ExecuteConfig,
    FallbackExecError,
    NamedProvider,
    Strategy,
    execute,
)
from fallback_exec.redis import RedisCooldownStore

#: Calls the function if the vendor does not cool down; swallows its error.
Guard: TypeAlias = Callable[[Callable[[], object]], None]

FAIL_MAX = 3
#: Seconds; of the store by default, and here of both.
TIMEOUT = 0.05
#: Where no fault is measured, a busy machine is to make none.
PATIENT = 5.0

# Takes no level at all.
SILENT = logging.getLogger("bench.silent")
SILENT.setLevel(logging.CRITICAL + 1)

NOTHING = "no store"
STORE = "`RedisCooldownStore`"
STORAGE = "`CircuitRedisStorage`"


class VendorError(Exception):
    """What a dead vendor fails with."""


def guard(
    kind: str,
    url: str,
    namespace: str,
    reset_timeout: float,
    *,
    timeout: float = TIMEOUT,
    refresh_interval: float = 0.25,
) -> Guard:
    """Return a new one, whose processes share what they know by the namespace."""
    if kind == STORAGE:
        return _by_breaker(storage_breaker(url, namespace, reset_timeout, timeout))
    store = None
    if kind == STORE:
        store = RedisCooldownStore(
            url, namespace=namespace, timeout=timeout, refresh_interval=refresh_interval
        )
    tracker = BreakerCooldownTracker(fail_max=FAIL_MAX, reset_timeout=reset_timeout, shared=store)
    return _by_execution(config_of(tracker))


def config_of(tracker: CooldownTracker) -> ExecuteConfig:
    """Return the config of a chain with that tracker."""
    return ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=SILENT)


def storage_breaker(url: str, namespace: str, reset_timeout: float, timeout: float) -> CircuitBreaker:
    """Return a breaker of pybreaker's whose client has a time limit as the store has, and repeats nothing."""
    client = redis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
    )
    storage = CircuitRedisStorage("closed", client, namespace=namespace)
    return CircuitBreaker(fail_max=FAIL_MAX, reset_timeout=reset_timeout, state_storage=storage)


def _by_breaker(breaker: CircuitBreaker) -> Guard:
    def call(fn: Callable[[], object]) -> None:
        # Also what redis-py raises, which it lets through here and there.
        with contextlib.suppress(Exception):
            breaker.call(fn)

    return call


def _by_execution(config: ExecuteConfig) -> Guard:
    # The terminus would be tried while it cools down.
    vendor, terminus = NamedProvider("vendor", None), NamedProvider("terminus", None)

    def call(fn: Callable[[], object]) -> None:
        with contextlib.suppress(FallbackExecError):
            execute((vendor, terminus), config, lambda provider: fn() if provider is vendor else None)

    return call
