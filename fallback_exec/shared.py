"""Cooldowns that several processes share: the interface of a store, and one in memory.

A tracker is given a store by `BreakerCooldownTracker(shared=...)`. `fallback_exec.redis` has the one for
Redis and Valkey. For anything else, subclass `CooldownStore`: it has to carry out an operation on a record,
which `transition()` does, so that nobody else changes the record meanwhile.
"""

from fallback_exec.cooldown.operations import Operation, Record, Reply, transition
from fallback_exec.cooldown.store import (
    CooldownStore,
    InMemoryCooldownStore,
    NotAppliedError,
    RecordUnusableError,
)

__all__ = [
    "CooldownStore",
    "InMemoryCooldownStore",
    "NotAppliedError",
    "Operation",
    "Record",
    "RecordUnusableError",
    "Reply",
    "transition",
]
