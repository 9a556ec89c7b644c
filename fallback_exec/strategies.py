"""Who is tried, in which order, and how many of them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NoReturn

import attrs

from fallback_exec import _forks, _log
from fallback_exec._clock import Countdown
from fallback_exec._log import Event
from fallback_exec._text import error_text, one_line
from fallback_exec.cooldown.tracker import CooldownTracker, Permit
from fallback_exec.errors import AllProvidersFailedError, ProviderFailedError
from fallback_exec.results import Row, attempts_of, cooldown_of


class Strategy(StrEnum):
    """How providers are chosen."""

    #: The first provider, and no other. The default, as it is Go's zero value.
    PRIMARY_ONLY = "primary_only"
    #: One after the other until one answers, passing over those that cool down. For production.
    FALLBACK = "fallback"
    #: One provider a call, in turn.
    ROUND_ROBIN = "round_robin"


class RoundRobinIndex:
    """Counts 0, 1, 2, ... for `Strategy.ROUND_ROBIN`. Share one among configs to share the rotation.

    Safe for concurrent use, and in a forked child, where it goes on from where it was.
    """

    def __init__(self) -> None:
        # `_count` is guarded by `_lock`: without the GIL, next() alone is not atomic.
        self._lock = threading.Lock()
        self._count = itertools.count()
        _forks.renew_after_fork(self)

    def next(self) -> int:
        """Return the next number; each is handed out once."""
        with self._lock:
            return next(self._count)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a RoundRobinIndex cannot be pickled or copied: the rotation is one")

    def _renew_after_fork(self) -> None:
        self._lock = threading.Lock()


@attrs.frozen
class Route:
    """What a strategy decides, worked out when the config is built.

    Attributes:
        tracker: Who is asked and told of cooldowns, None: nobody.
        standing: What the tracker shows to those who do not ask; see `CooldownTracker`.
        index: Counts where to begin; None: with the first provider.
        is_chain: Whether a failure leads to the next provider. Only then is there a terminus, and is the
            deadline looked at between attempts.
        failed: What is logged when a provider fails.
        give_up: From the story, the error that says that nobody answered.
    """

    tracker: CooldownTracker | None
    standing: Mapping[str, Permit | Countdown]
    index: RoundRobinIndex | None
    is_chain: bool
    failed: Event
    give_up: Callable[[list[Row]], ProviderFailedError | AllProvidersFailedError]


def route_of(strategy: Strategy, tracker: CooldownTracker | None, index: RoundRobinIndex | None) -> Route:
    """Return the route of a strategy, given the settings `cooldown` and `round_robin_index`."""
    if strategy is Strategy.FALLBACK:
        # Of the tracker's own making only: a mock of a tracker would make up what it shows.
        standing = getattr(tracker, "__dict__", {}).get("_standing", {})
        return Route(tracker, standing, index=None, is_chain=True, failed=_log.FAILED, give_up=_all_failed)
    if strategy is Strategy.ROUND_ROBIN:
        failed = _log.ROUND_ROBIN_FAILED
        return Route(None, {}, index=index, is_chain=False, failed=failed, give_up=_one_failed)
    failed = _log.PRIMARY_FAILED
    return Route(None, {}, index=None, is_chain=False, failed=failed, give_up=_primary_failed)


def _one_failed(rows: list[Row], subject: str = "provider") -> ProviderFailedError:
    (attempt,) = attempts_of(rows)
    assert attempt.error is not None  # noqa: S101  # for the type checker: a failed attempt has one
    message = f"{subject} {one_line(attempt.provider)} failed: {error_text(attempt.error)}"
    return ProviderFailedError(message, provider=attempt.provider, attempts=(attempt,))


def _primary_failed(rows: list[Row]) -> ProviderFailedError:
    return _one_failed(rows, "primary provider")


def _all_failed(rows: list[Row]) -> AllProvidersFailedError:
    errors = [error for _, _, error, *_ in rows if error is not None]
    message = f"all providers failed: all {len(rows)} providers failed (last error: {error_text(errors[-1])})"
    retry_after = _retry_after(rows)
    return AllProvidersFailedError(message, errors, attempts=attempts_of(rows), retry_after=retry_after)


def _retry_after(rows: list[Row]) -> float | None:
    """Return the seconds until the first provider leaves its cooldown, None when one is not cooling."""
    last_word = {provider: (learned, ends) for provider, _, _, _, learned, ends in rows}
    seconds = []
    for learned, ends in last_word.values():
        cooldown = cooldown_of(learned, ends)
        if cooldown is None:
            return None
        seconds.append(Countdown(cooldown, learned).remaining())
    return min(seconds)
