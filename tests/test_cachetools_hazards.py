"""What cachetools does that keeps the tracker from bounding its names with it."""

from __future__ import annotations

import cachetools

from fallback_exec import BreakerCooldownTracker


class Watched(cachetools.TTLCache[str, str]):
    """A cache that notes who is removed by the methods that a subclass would override."""

    def __init__(self, now: list[float]) -> None:
        super().__init__(maxsize=2, ttl=30, timer=lambda: now[0])
        self.removed: list[str] = []

    def popitem(self) -> tuple[str, str]:
        key, value = super().popitem()
        self.removed.append(key)
        return key, value

    def __delitem__(self, key: str) -> None:
        self.removed.append(key)
        super().__delitem__(key)


class TestEviction:
    """Who is removed from a bounded cache."""

    def test_asks_nothing_of_the_value(self) -> None:
        """An LRU cache drops the longest unused, also a provider that is cooling down."""
        tracker = BreakerCooldownTracker()
        breakers = cachetools.LRUCache[str, object](maxsize=1)
        breakers["grok"] = tracker.breaker("grok")
        tracker.breaker("grok").open()
        breakers["gemini"] = tracker.breaker("gemini")
        assert "grok" not in breakers

    def test_by_time_reaches_no_method(self) -> None:
        """What expires goes without `popitem()` and `__delitem__()`: nobody could object."""
        now = [0.0]
        cache = Watched(now)
        cache["grok"] = "open"
        now[0] = 30.0
        cache["gemini"] = "closed"
        assert list(cache) == ["gemini"]
        assert cache.removed == []
