"""Forks in processes that are as small as servers are at their start, told as JSON.

`python fork_script.py busy|each-line|fork|spawn|forkserver`. Whoever calls it guards against its hanging.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from queue import SimpleQueue
from types import FrameType
from typing import Any

import pybreaker

from fallback_exec import BreakerCooldownTracker, RoundRobinIndex, strategies
from fallback_exec.cooldown import breaker, eras
from fork_children import (
    DOWN,
    NAME,
    PATIENCE,
    Hammer,
    go_by_the_snapshot,
    in_child,
    live_on,
    new_tracker,
    permit_of,
    use_tracker,
)

# Built at import, as applications do: a forked child inherits them, a spawned one builds its own.
TRACKER = new_tracker()
INDEX = RoundRobinIndex()


def fork_under_busy_threads() -> dict[str, Any]:
    """Fork often, while threads do all that takes a lock, back to back."""
    sys.setswitchinterval(1e-4)  # instead of 5 ms, so that forks come at more of the moments that there are
    with Hammer(TRACKER, INDEX).hammering():
        finished = sum(in_child(lambda: live_on(TRACKER, INDEX)) for _ in range(200))
    return {"finished": finished, "the parent works": live_on(TRACKER, INDEX)}


def fork_at_each_line() -> dict[str, Any]:
    """Fork at each line that a thread comes to that uses the tracker."""
    # Not for the children of the other ways, which would import it, too.
    from freezegun import freeze_time

    with freeze_time("2026-01-01") as clock:

        def work() -> None:
            use_tracker(TRACKER)
            TRACKER.cool_down(NAME, 1.0)
            clock.tick(1.0)
            assert permit_of(TRACKER).failure(DOWN) is True
            INDEX.next()

        def live() -> bool:
            go_by_the_snapshot(TRACKER)
            return live_on(TRACKER, INDEX)

        return {"places": at_each_line(work, lambda: in_child(live))}


# Where locks are held. The rest of the package would only add forks at which nothing is under way.
SOURCES = {module.__file__ for module in (breaker, eras, strategies, pybreaker)}


def at_each_line(work: Callable[[], object], visit: Callable[[], object]) -> int:
    """Call `visit` while a thread that runs `work` stands still, at each line of `SOURCES` that it comes to.

    Returns how many they were.
    """
    places: set[str] = set()
    stops: SimpleQueue[str] = SimpleQueue()
    go_on = threading.Semaphore(0)

    def trace(frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in SOURCES:
            return None
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if event == "line" and place not in places:
            places.add(place)
            stops.put(place)
            go_on.acquire()
        return trace

    def run() -> None:
        sys.settrace(trace)
        work()
        stops.put("")

    # A daemon: where it stands when something fails, it may stand for ever.
    threading.Thread(target=run, daemon=True).start()
    while place := stops.get(timeout=PATIENCE):
        try:
            visit()
        except AssertionError as failed:
            failed.add_note(f"while a thread was at {place}")
            raise
        go_on.release()
    return len(places)


def live_on_in_module(_number: int = 0) -> int:
    """Use the tracker and the index of this module; returns whose process it was."""
    live_on(TRACKER, INDEX)
    return os.getpid()


def live_on_with(tracker: BreakerCooldownTracker) -> bool:
    """Use a tracker that came as an argument."""
    return live_on(tracker, INDEX)


def start_and_pass(context: multiprocessing.context.BaseContext) -> str:
    """Start a child with the tracker among its arguments; returns what came of it."""
    child = context.Process(target=live_on_with, args=(TRACKER,))  # type: ignore[attr-defined]  # typeshed has it in the subclasses
    try:
        child.start()
    except TypeError as refused:
        return str(refused)
    child.join()
    return f"exit code {child.exitcode}"


def start_children(method: str) -> dict[str, Any]:
    """Start children by that method of `multiprocessing`, while threads use the tracker."""
    context = multiprocessing.get_context(method)
    with Hammer(TRACKER, INDEX).hammering():
        children = [context.Process(target=live_on_in_module) for _ in range(2)]  # type: ignore[attr-defined]  # as above
        for child in children:
            child.start()
        for child in children:
            child.join()
        passed = start_and_pass(context)
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            pids = list(pool.map(live_on_in_module, range(4)))
            refused = pool.submit(live_on_with, TRACKER).exception()
    return {
        "exit codes": [child.exitcode for child in children],
        "answers of the pool": len(pids),
        "answered by the parent": os.getpid() in pids,
        "passed to a process": passed,
        "passed to the pool": [type(refused).__name__, str(refused)],
    }


def main(way: str) -> None:
    """Fork in that way."""
    if way == "busy":
        told = fork_under_busy_threads()
    elif way == "each-line":
        told = fork_at_each_line()
    else:
        told = start_children(way)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
