"""Calls from many threads through `execute()`, each kept with all of its attempts."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import attrs

from fallback_exec import (
    AllProvidersFailedError,
    Attempt,
    Deadline,
    DeadlineExceededError,
    ExecuteConfig,
    execute,
)
from fallback_exec.demo.client import VendorClient

# Both far above what the vendors take: a busy machine makes the demo slower, it does not make a call fail.
_CALL_LIMIT = 30.0  # seconds for a whole chain
_CLIENT_TIMEOUT = 10.0  # seconds for one wait on a socket


@attrs.frozen
class Call:
    """One request, as `execute()` told it.

    Attributes:
        attempts: What happened, in order, skips included.
        error: Why nobody answered; None if somebody did.
    """

    attempts: Sequence[Attempt]
    error: Exception | None = None


def place_call(providers: Sequence[VendorClient], config: ExecuteConfig, number: int) -> Call:
    """Send one request down the chain of providers.

    Args:
        providers: Most preferred first.
        config: How to go through them.
        number: The request's, from 0; part of the prompt.

    Returns:
        How it went, a call that nobody answered included.
    """
    prompt = f"prompt {number}"
    deadline = Deadline(_CALL_LIMIT)
    try:
        result = execute(
            providers,
            config,
            lambda provider: provider.ask(prompt, timeout=deadline.timeout(at_most=_CLIENT_TIMEOUT)),
            deadline=deadline,
        )
    except (AllProvidersFailedError, DeadlineExceededError) as error:
        return Call(error.attempts, error)
    return Call(result.attempts)


class Traffic:
    """So many calls from so many worker threads, which start as the `with` block does.

    Leaving the block waits for the calls, and raises what a worker died of, if one did. Safe to share between
    threads.

    Args:
        providers: Most preferred first.
        config: How to go through them.
        calls: How many requests to send, at least 1.
        workers: How many threads send them, at least 1.
    """

    def __init__(
        self, providers: Sequence[VendorClient], config: ExecuteConfig, *, calls: int, workers: int
    ) -> None:
        self._providers = providers
        self._config = config
        self._workers = workers
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="caller")
        self._done: list[Call] = []  # in the order in which they ended; guarded by _lock
        self._numbers = iter(range(calls))  # guarded by _lock
        self._stopped = False  # guarded by _lock
        # Held to take a number and to put a call down: after stop() returns, no worker takes another number.
        self._lock = threading.Lock()

    @property
    def done(self) -> tuple[Call, ...]:
        """The calls that have ended so far, in the order in which they did."""
        with self._lock:
            return tuple(self._done)

    def __enter__(self) -> Self:
        self._running = [self._pool.submit(self._work) for _ in range(self._workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        for worker in self._running:
            worker.result()

    def wait(self, timeout: float) -> bool:
        """Wait until all calls have ended.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether they have ended.
        """
        return not concurrent.futures.wait(self._running, timeout).not_done

    def stop(self) -> None:
        """Send no further call. Those under way go on."""
        with self._lock:
            self._stopped = True

    def _work(self) -> None:
        while (number := self._next_number()) is not None:
            call = place_call(self._providers, self._config, number)
            with self._lock:
                self._done.append(call)

    def _next_number(self) -> int | None:
        with self._lock:
            return None if self._stopped else next(self._numbers, None)
