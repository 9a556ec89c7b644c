"""Everything at once for a few seconds: what no forced interleaving has thought of may show here."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from fallback_exec import BreakerCooldownTracker, Permit
from fallback_exec.cooldown.eras import Closed
from helpers import in_threads

DOWN = ConnectionError("down")
NAMES = ("a", "b", "c")
THREADS = 8
ROUNDS = 10_000

pytestmark = pytest.mark.usefixtures("fast_switching")


class Traffic:
    """Threads that attempt providers, and what they saw of them."""

    def __init__(self, tracker: BreakerCooldownTracker) -> None:
        self._tracker = tracker
        self._lock = threading.Lock()
        self._probing: Counter[str] = Counter()
        self.most_probes = 0
        self.started: Counter[str] = Counter()

    def send(self, number: int) -> None:
        """Attempt `ROUNDS` times; probes end well, badly, in nothing or without a word."""
        draw = random.Random(number)
        for _ in range(ROUNDS):
            name = draw.choice(NAMES)
            permit = self._tracker.acquire(name)
            if not isinstance(permit, Permit):
                continue
            is_probe = not isinstance(permit, Closed)
            self._probe(name, is_probe)
            ending = draw.choice((permit.success, permit.release, self._failing(name, permit), None))
            self._probe(name, -is_probe)
            if ending is not None:
                ending()
            # A name of the loop's would keep a dropped probe until the next round.
            del permit, ending

    def _probe(self, name: str, change: int) -> None:
        with self._lock:
            self._probing[name] += change
            self.most_probes = max(self.most_probes, self._probing[name])

    def _failing(self, name: str, permit: Permit) -> Callable[[], None]:
        def fail() -> None:
            started = permit.failure(DOWN)
            with self._lock:
                self.started[name] += started

        return fail


def test_each_cooldown_is_started_once_and_ended_by_one_probe() -> None:
    """As many failures say that they started a cooldown as there were, and no two probes ever met."""
    tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=1e-6, success_threshold=2)
    traffic = Traffic(tracker)
    in_threads(THREADS, traffic.send)
    openings = {name: status.openings for name, status in tracker.snapshot().items()}
    assert traffic.started == openings
    assert min(openings.values()) > 1
    assert traffic.most_probes == 1


def test_names_come_and_go_while_outcomes_arrive() -> None:
    """However few are remembered: nobody sees an error, and at the end the bound holds."""
    tracker = BreakerCooldownTracker(fail_max=2, reset_timeout=1e-6, max_providers=4)

    def send(number: int) -> None:
        draw = random.Random(number)
        for _ in range(ROUNDS):
            name = f"provider-{draw.randrange(16)}"
            permit = tracker.acquire(name, force=draw.random() < 0.1)
            if isinstance(permit, Permit):
                draw.choice((permit.success, permit.release, partial(permit.failure, DOWN)))()
            by_hand = (tracker.snapshot, partial(tracker.reset, name), partial(tracker.cool_down, name, 1e-6))
            draw.choice(by_hand)()

    in_threads(THREADS, send)
    tracker.reset_all()
    for number in range(16):
        tracker.breaker(f"provider-{number}")
    assert len(tracker.snapshot()) <= 4
    assert {status.state for status in tracker.snapshot().values()} == {"closed"}
