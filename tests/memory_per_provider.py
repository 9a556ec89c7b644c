"""How many bytes a tracker needs for an idle provider: `python tests/memory_per_provider.py` prints it."""

from __future__ import annotations

import gc
import platform
import tracemalloc

from fallback_exec import BreakerCooldownTracker

PROVIDERS = 10_000


def bytes_per_provider() -> float:
    """Return the bytes that each of many idle providers takes, without its name, which is the caller's."""
    names = [f"provider-{number}" for number in range(PROVIDERS + 1)]
    tracker = BreakerCooldownTracker(max_providers=2 * PROVIDERS)
    tracker.acquire(names.pop())  # what the first one needs is needed once
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for name in names:
            tracker.acquire(name)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / PROVIDERS


if __name__ == "__main__":
    print(f"Python {platform.python_version()}: {bytes_per_provider():.0f} bytes per idle provider")  # noqa: T201  # its purpose
