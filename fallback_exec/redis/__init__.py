"""One cooldown for all workers, kept in Redis or Valkey.

    BreakerCooldownTracker(shared=RedisCooldownStore("redis://localhost:6379/0"))

Needs the extra `fallback-exec[redis]`.
"""

from fallback_exec.redis.store import RedisCooldownStore

__all__ = ["RedisCooldownStore"]
