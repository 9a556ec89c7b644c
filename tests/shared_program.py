"""A process that shares cooldowns with others, and does what lines of JSON say.

`python shared_program.py GATE`. It reads a line for each thing to do and writes a line with what came of it.
GATE is the file descriptor of a pipe: what is to be done together begins with a byte from there.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from fallback_exec import (
    BreakerCooldownTracker,
    ExecuteConfig,
    NamedProvider,
    Permit,
    Strategy,
    classify_error,
    execute,
)
from fallback_exec.cooldown.operations import Operation, Reply
from fallback_exec.cooldown.store import NotAppliedError
from fallback_exec.redis import RedisCooldownStore
from fork_children import in_child, quiet
from helpers import in_threads

DOWN = ConnectionError("down")

CHAIN = [NamedProvider("grok", None), NamedProvider("gemini", None)]


class TooManyRequests(Exception):
    """What a vendor says that wants to be left alone for an hour, in the shape of an SDK's error."""

    status_code = 429
    headers = {"retry-after": "3600"}  # noqa: RUF012  # as SDKs have it


def tell(what: object) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Telling(RedisCooldownStore):
    """A store that says what it is about to ask."""

    def apply_all(self, operations: Sequence[tuple[str, Operation]]) -> list[Reply | NotAppliedError]:
        tell(["asks", *(type(operation).__name__ for _, operation in operations)])
        return super().apply_all(operations)


class Program:
    """What can be done; each method is one thing, and returns what is told of it."""

    def __init__(self) -> None:
        self.store: RedisCooldownStore | None = None
        self.tracker = BreakerCooldownTracker()
        self.held: list[Permit] = []

    def build(self, url: str, *, tells: bool, store: dict[str, Any], tracker: dict[str, Any]) -> None:
        """Build a store and a tracker, instead of those that there were."""
        self.held.clear()
        if self.store is not None:
            self.store.close()
        self.store = (Telling if tells else RedisCooldownStore)(url, **store)
        self.tracker = BreakerCooldownTracker(shared=self.store, **tracker)

    def fail(self, name: str, count: int = 1) -> int:
        """Record failures; return how many of them started a cooldown."""
        return sum(self.tracker.record_failure(name, DOWN) for _ in range(count))

    def execute(self, does: str = "answer") -> Any:
        """Have a chain answer of which the first does that; return what became of each, or what came out."""

        def fn(provider: NamedProvider[None]) -> str:
            if provider.name == "grok" and does != "answer":
                if does == "hang":
                    tell("calls")
                    signal.pause()
                raise TooManyRequests if does == "ask for an hour" else DOWN
            return "an answer"

        config = ExecuteConfig(
            strategy=Strategy.FALLBACK, cooldown=self.tracker, logger=quiet, classify=classify_error
        )
        try:
            result = execute(CHAIN, config, fn)
        except KeyboardInterrupt:
            return "KeyboardInterrupt"
        return {attempt.provider: attempt.outcome.name for attempt in result.attempts}

    def claim(self, name: str, threads: int = 1) -> int:
        """Claim a probe in as many threads, when a cooldown is over; return how many have got one."""

        def claimed(_: int) -> bool:
            while True:
                answer = self.tracker.acquire(name)
                if isinstance(answer, Permit):
                    self.held.append(answer)
                    return True
                if answer.cooldown_remaining:
                    time.sleep(answer.cooldown_remaining)
                elif self.tracker.breaker(name).current_state == "half-open":
                    return False

        return sum(in_threads(threads, claimed))

    def acquire(self, name: str) -> float | None:
        """Ask for a permit and keep it; return the cooldown that forbids it, or None."""
        answer = self.tracker.acquire(name)
        if isinstance(answer, Permit):
            self.held.append(answer)
            return None
        return answer.cooldown_remaining

    def succeed(self) -> None:
        """Tell the success of the permit got last."""
        self.held.pop().success()

    def cool_down(self, name: str, seconds: float) -> None:
        """Begin a cooldown by hand."""
        self.tracker.cool_down(name, seconds)

    def reset(self, name: str) -> None:
        """Close by hand."""
        self.tracker.reset(name)

    def fork(self, things: list[dict[str, Any]]) -> list[Any]:
        """Do things in a forked child; return what it tells of them."""
        told: list[Any] = in_child(lambda: [self.do(thing) for thing in things])
        return told

    def prefork(self, workers: int, count: int) -> int:
        """Record failures in processes that are forked off, at once; return how many started a cooldown."""
        context = multiprocessing.get_context("fork")
        gate = context.Barrier(workers)
        results = context.SimpleQueue()

        def work() -> None:
            gate.wait(30)
            results.put(self.fail("grok", count))

        children = [context.Process(target=work) for _ in range(workers)]
        for child in children:
            child.start()
        for child in children:
            child.join(30)
        assert [child.exitcode for child in children] == [0] * workers
        return sum(results.get() for _ in children)

    def pool(self, tasks: int, count: int) -> int:
        """Record failures in the workers of a process pool; return how many started a cooldown."""
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            return sum(pool.map(fail_in_pool, [count] * tasks))

    def fork_while_busy(self, children: int, threads: int) -> int:
        """Fork often, while threads ask for all that there is; return how many failures were recorded."""
        sys.setswitchinterval(1e-4)  # instead of 5 ms: forks come at more of the moments that there are
        is_over = threading.Event()
        counts = [0] * threads

        def hammer(number: int) -> None:
            while not is_over.is_set():
                self.fail("mistral")
                counts[number] += 1
                self.execute()

        def live_on() -> Any:
            self.fail("mistral")
            return self.execute()

        hammers = [threading.Thread(target=hammer, args=(number,)) for number in range(threads)]
        for thread in hammers:
            thread.start()
        try:
            told = [in_child(live_on) for _ in range(children)]
        finally:
            is_over.set()
            for thread in hammers:
                thread.join(30)
        assert told == [{"grok": "SUCCESS"}] * children
        return sum(counts) + children

    def do(self, thing: dict[str, Any]) -> Any:
        """Do one thing."""
        return getattr(self, thing.pop("do"))(**thing)


PROGRAM = Program()


def fail_in_pool(count: int) -> int:
    """Record failures by the tracker that was there before the fork."""
    return PROGRAM.fail("grok", count)


def main(gate: int) -> None:
    """Do what is said until nothing more is."""
    for line in sys.stdin:
        thing = json.loads(line)
        if thing.pop("together", False):
            tell("ready")
            os.read(gate, 1)
        tell(PROGRAM.do(thing))


if __name__ == "__main__":
    main(int(sys.argv[1]))
