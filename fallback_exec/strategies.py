"""Who is tried, in which order, and how many of them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from fallback_exec import _forks, _log
from fallback_exec._clock import Countdown
from fallback_exec._log import Event, Log
from fallback_exec._text import Redact, error_text, name_text
from fallback_exec.cooldown.tracker import CooldownTracker, Permit
from fallback_exec.errors import AllProvidersFailedError, ProviderFailedError
from fallback_exec.results import Row, attempts_of, cooldown_of
from fallback_exec.verdicts import Verdict

if TYPE_CHECKING:
    from fallback_exec.notifying import Notifier


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


@attrs.define
class Route:
    """What a strategy decides, worked out when the config is built.

    Attributes:
        log: Where the execution is logged.
        failed: What is logged when a provider fails.
        give_up: From the story, the error that says that nobody answered; its texts are masked.
        is_chain: Whether a failure leads to the next provider. Only then is there a terminus, and is the
            deadline looked at between attempts.
        tracker: Who is asked and told of cooldowns; None: nobody.
        standings: What the tracker publishes; None without one.
        index: Counts where to begin; None: with the first provider.
        classify: What says what an error means; None: each is a failure.
        accept: What says whether an answer is one; None: each is.
        notifier: Who is told of what happens; None: nobody.
        checked: The tuple of providers that was checked last, with its names: one reference, replaced as a
            whole. It lives until another tuple is executed.
    """

    log: Log
    failed: Event
    give_up: Callable[[list[Row], Redact], ProviderFailedError | AllProvidersFailedError]
    is_chain: bool = False
    tracker: CooldownTracker | None = None
    standings: Mapping[str, Permit | Countdown] | None = None
    index: RoundRobinIndex | None = None
    classify: Callable[[Exception], Verdict] | None = None
    accept: Callable[..., bool] | None = None
    notifier: Notifier | None = None
    checked: tuple[Any, list[str]] = attrs.Factory(lambda: ([], []))


def route_of(
    strategy: Strategy,
    log: Log,
    tracker: CooldownTracker | None,
    index: RoundRobinIndex | None,
    classify: Callable[[Exception], Verdict] | None,
    accept: Callable[..., bool] | None,
    notifier: Notifier | None,
) -> Route:
    """Return the route of a strategy, given the other settings."""
    if strategy is Strategy.FALLBACK:
        route = Route(log, _log.FAILED, _all_failed, is_chain=True, tracker=tracker)
        if tracker is not None:
            # Of the tracker's own making only: a mock of a tracker would make up what it publishes.
            route.standings = getattr(tracker, "__dict__", {}).get("_standings", {})
    elif strategy is Strategy.ROUND_ROBIN:
        route = Route(log, _log.ROUND_ROBIN_FAILED, _one_failed, index=index)
    else:
        route = Route(log, _log.PRIMARY_FAILED, _primary_failed)
    route.classify, route.accept, route.notifier = classify, accept, notifier
    return route


def chain_aborted(rows: list[Row], redact: Redact) -> ProviderFailedError:
    """Return the error of a chain that ends with its last attempt, as no other provider may be tried."""
    return _last_failed("aborted: provider", rows, redact, aborted=True)


def _last_failed(
    subject: str, rows: list[Row], redact: Redact, *, aborted: bool = False
) -> ProviderFailedError:
    attempts = attempts_of(rows)
    provider, error = attempts[-1].provider, attempts[-1].error
    assert error is not None  # noqa: S101  # for the type checker: a failed attempt has one
    message = f"{subject} {name_text(provider, redact)} failed: {error_text(error, redact)}"
    return ProviderFailedError(message, provider=provider, aborted=aborted, attempts=attempts)


def _one_failed(rows: list[Row], redact: Redact) -> ProviderFailedError:
    return _last_failed("provider", rows, redact)


def _primary_failed(rows: list[Row], redact: Redact) -> ProviderFailedError:
    return _last_failed("primary provider", rows, redact)


def _all_failed(rows: list[Row], redact: Redact) -> AllProvidersFailedError:
    errors = [error for _, _, error, *_ in rows if error is not None]
    last = error_text(errors[-1], redact)
    message = f"all providers failed: all {len(rows)} providers failed (last error: {last})"
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
