"""What the server needs: memory for each provider, and what a steady load asks of it."""

from __future__ import annotations

import time

from bench.shared.counts import Counter
from bench.shared.guards import PATIENT, config_of
from bench.tables import markdown, number
from fallback_exec import BreakerCooldownTracker, NamedProvider, execute
from fallback_exec.redis import RedisCooldownStore
from real_servers import Server

LENGTHS = (8, 24, 64)
MANY = 1000
SECONDS = 3.0


def memory_table(server: Server) -> str:
    """Weigh what is kept of a provider."""
    rows = []
    for length in LENGTHS:
        server.client.flushall()
        store = RedisCooldownStore(server.url, timeout=PATIENT)
        tracker = BreakerCooldownTracker(reset_timeout=3600.0, max_providers=2 * MANY, shared=store)
        name = "x" * length
        tracker.record_failure(name, ConnectionError("down"))
        (key,) = server.client.keys("*")
        weights = [server.client.memory_usage(key, samples=0)]
        tracker.cool_down(name, 1e-6)
        permit = tracker.acquire(name)
        weights.append(server.client.memory_usage(key, samples=0))
        del permit
        before = server.client.info("memory")["used_memory"]
        for i in range(MANY):
            tracker.cool_down(f"{i:0{length}}", 3600.0)
        weights.append((server.client.info("memory")["used_memory"] - before) // MANY)
        rows.append([str(length), *map(str, weights)])
        store.close()
    head = ["characters of the name", "a failure", "a probe under way", "each of 1,000 that cool down"]
    return markdown(head, rows)


def load_table(server: Server) -> str:
    """Count what a process asks whose vendors are healthy, which calls some 500 times a second."""
    rows = []
    for providers in (1, 10, 100):
        store = RedisCooldownStore(server.url, namespace=f"load-{providers}", timeout=PATIENT)
        config = config_of(BreakerCooldownTracker(shared=store))
        chains = [
            (NamedProvider(f"vendor-{i}", None), NamedProvider("terminus", None)) for i in range(providers)
        ]
        for chain in chains:
            execute(chain, config, lambda _provider: "answer")
        counter = Counter(server)
        began, calls = time.monotonic(), 0
        while time.monotonic() - began < SECONDS:
            execute(chains[calls % providers], config, lambda _provider: "answer")
            calls += 1
            time.sleep(0.002)
        seconds = time.monotonic() - began
        count = counter.since()
        figures = (calls, count.round_trips, count.scripts, count.commands)
        rows.append([str(providers), *(number(each / seconds) for each in figures)])
        store.close()
    return markdown(["providers", "calls", "reads", "scripts", "commands"], rows)
