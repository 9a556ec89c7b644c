"""What a vendor of the demo does with a request: answer, refuse, reset the connection or go down.

Decisions only; `vendors` carries them out over sockets. Each behaviour draws from a `random.Random` of its
own, under its own lock, so the same seed gives the same draws in the same order. Which request meets which
of them is up to the threads, and stays so.
"""

from __future__ import annotations

import abc
import random
import threading
import time

import attrs

#: The least and the most of something that is drawn evenly between the two, in seconds.
Span = tuple[float, float]

_REFUSAL_DELAY = 0.01  # seconds: refusing is cheap, so vendors do it at once


@attrs.frozen
class Reply:
    """What a vendor decided to do with one request.

    Attributes:
        delay: Seconds from reading the request to replying.
        status: The HTTP status to answer with; None resets the connection instead.
        retry_after: Seconds after which it is worth coming back; 0 means nothing is said about it.
        outage: Seconds for which the vendor is down from now on; 0 means that it stays up.
    """

    delay: float
    status: int | None = 200
    retry_after: float = 0.0
    outage: float = 0.0


class Behaviour(abc.ABC):
    """How one vendor decides. Safe to share between threads.

    Args:
        seed: Where the draws start; the same text gives the same draws.
        delay: Seconds that an answer takes.
    """

    def __init__(self, seed: str, *, delay: Span) -> None:
        self._random = random.Random(seed)  # guarded by _lock
        self._delay = delay
        # Held while one decision is made: whoever comes second gets the next draw, never the same one.
        self._lock = threading.Lock()

    def decide(self) -> Reply:
        """Decide what becomes of the next request."""
        with self._lock:
            return self._decide_locked()

    @abc.abstractmethod
    def _decide_locked(self) -> Reply: ...


class Steady(Behaviour):
    """Answers every request."""

    def _decide_locked(self) -> Reply:
        return Reply(self._random.uniform(*self._delay))


class Bursty(Behaviour):
    """Answers until its quota is used up, then refuses everything with a 429 for a while.

    Args:
        seed: Where the draws start.
        delay: Seconds that an answer takes.
        quota: The least and the most requests that it answers between two bursts; with 0 it answers none.
        pause: Seconds that a burst of refusals lasts.
    """

    def __init__(self, seed: str, *, delay: Span, quota: tuple[int, int], pause: Span) -> None:
        super().__init__(seed, delay=delay)
        self._quota = quota
        self._pause = pause
        self._left = self._random.randint(*quota)  # guarded by _lock
        self._refusing_until = 0.0  # seconds of time.monotonic(); guarded by _lock

    def _decide_locked(self) -> Reply:
        # A refusal draws nothing: how many there are is up to the threads, and must not shift later draws.
        now = time.monotonic()
        if self._left == 0:
            self._refusing_until = now + self._random.uniform(*self._pause)
            self._left = self._random.randint(*self._quota)
        if now < self._refusing_until:
            return Reply(_REFUSAL_DELAY, status=429, retry_after=self._refusing_until - now)
        self._left -= 1
        return Reply(self._random.uniform(*self._delay))


class Flaky(Behaviour):
    """Resets some connections, and after so many requests goes down for a while.

    Args:
        seed: Where the draws start.
        delay: Seconds that an answer takes.
        reset_share: The share of requests whose connection is reset, 0 to 1.
        stamina: The least and the most requests that it stands between two outages.
        outage: Seconds that an outage lasts.
    """

    def __init__(
        self, seed: str, *, delay: Span, reset_share: float, stamina: tuple[int, int], outage: Span
    ) -> None:
        super().__init__(seed, delay=delay)
        self._reset_share = reset_share
        self._stamina = stamina
        self._outage = outage
        self._left = self._random.randint(*stamina)  # guarded by _lock

    def _decide_locked(self) -> Reply:
        if self._left == 0:
            self._left = self._random.randint(*self._stamina)
            return Reply(0.0, status=None, outage=self._random.uniform(*self._outage))
        self._left -= 1
        delay = self._random.uniform(*self._delay)
        return Reply(delay, status=None if self._random.random() < self._reset_share else 200)
