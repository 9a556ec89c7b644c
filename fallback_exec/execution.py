"""`execute()` and the one loop behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from logging import DEBUG
from time import perf_counter
from types import CoroutineType
from typing import TYPE_CHECKING, TypeVar

from fallback_exec import _clock, _log
from fallback_exec._checks import Seconds
from fallback_exec._clock import Countdown
from fallback_exec._log import Log
from fallback_exec._text import Redact, class_name, error_text
from fallback_exec.config import ExecuteConfig
from fallback_exec.cooldown.tracker import NO_PERMIT, UNKNOWN, CooldownTracker, Cooling, Permit, PlainPermit
from fallback_exec.deadline import Deadline, as_deadline
from fallback_exec.errors import DeadlineExceededError, ExecutionCancelledError, InvalidConfigError
from fallback_exec.providers import Provider, check_providers
from fallback_exec.reporting import (
    has_ended_cooldown,
    is_accepted,
    judge,
    outcome_of,
    refuse_coroutine,
    rejection,
    release,
    tell_failure,
)
from fallback_exec.results import ExecuteResult, FilledResult, Outcome, Row, attempts_of, row_of
from fallback_exec.strategies import Route, chain_aborted
from fallback_exec.verdicts import FAILURE

if TYPE_CHECKING:
    from fallback_exec.notifying import Watch

P = TypeVar("P", bound=Provider)
T = TypeVar("T")

# Looking them up in the enum would be a large part of a skip, on Python 3.11.
SKIPPED = Outcome.SKIPPED
FAILED = Outcome.FAILURE


def execute(  # noqa: C901, PLR0912, PLR0915  # the one loop, whole: each call it made would cost every user
    providers: Sequence[P],
    config: ExecuteConfig,
    fn: Callable[[P], T],
    *,
    deadline: Deadline | Seconds | None = None,
) -> ExecuteResult[T]:
    """Call `fn` with one provider after the other, as the strategy says, until one answers.

    Blocks until then. With `Strategy.FALLBACK`, providers that are cooling down are passed over, except for
    the last one, the terminus, which is always attempted.

    Safe for concurrent use. `fn` is called in the caller's thread and under no lock.

    Args:
        providers: At least one, the most preferred first; the same one may stand in it twice. A tuple is
            fastest: it is checked, and its names are read, once for as long as `config` meets no other.
        config: The strategy, the cooldown tracker, what judges errors and answers, and the logger.
        fn: Called with a provider; returns the answer or raises. An `Exception` is that provider's
            failure, unless the config's classifier says otherwise. Anything else (Ctrl-C, say) is nobody's,
            and is raised unchanged.
        deadline: A limit for the whole chain: a `Deadline`, or seconds or a timedelta from now. It
            is looked at before the first attempt and, with `FALLBACK`, after each failed one; a
            call in flight is never interrupted.

    Returns:
        The answer, with who gave it and the story of the attempts before it.

    Raises:
        NoProvidersError: `providers` is empty.
        InvalidConfigError: an argument cannot be used, or `fn` returned a coroutine.
        ProviderFailedError: `PRIMARY_ONLY` and `ROUND_ROBIN`: the provider failed. With any strategy, and
            `aborted` then: by its verdict, no other provider may be tried.
        AllProvidersFailedError: `FALLBACK`: every provider that was not passed over failed.
        DeadlineExceededError: the deadline was over before the first attempt, or after a failed one.
        ExecutionCancelledError: likewise, for a deadline that was cancelled.
    """
    if not isinstance(config, ExecuteConfig):
        raise InvalidConfigError("config", config, "must be an ExecuteConfig")
    route = config._route
    chain, names = route.checked
    if providers is not chain:
        chain, names = check_providers(providers)
        if providers is chain:  # a tuple, which nobody can change
            route.checked = chain, names
    if not callable(fn):
        raise InvalidConfigError("fn", fn, "must be callable with a provider")
    limit = None if deadline is None else as_deadline(deadline)

    is_chain = route.is_chain
    standings = route.standings
    log = route.log
    total = len(chain)
    attempt_num = 0
    rows: list[Row] = []
    permit: Permit = NO_PERMIT
    at: datetime | None = None
    error: Exception | None = None
    watch: Watch | None = None
    # Whether anybody wants to know each step: a listener, or a log at DEBUG.
    is_told = False
    try:
        if route.notifier is not None:
            watch, is_told = route.notifier.watch(), True
        if limit is not None:
            _raise_if_over(limit, rows, None, log.redact)
        if is_chain:
            try:
                if log.logger.isEnabledFor(DEBUG):
                    is_told = True
            except Exception:  # of a logger of the user's own: the first thing to log says so
                is_told = True
        position = 0 if route.index is None else route.index.next() % total
        stop = total if is_chain else position + 1
        while position < stop:
            name = names[position]
            position += 1
            is_terminus = is_chain and position == total
            if standings is not None:
                standing = standings.get(name, UNKNOWN)
                if type(standing) is not Countdown:
                    permit = standing
                else:
                    if standing is not UNKNOWN and not is_terminus:
                        if at is None:  # one reading of the clock serves all that are passed over in a row
                            at = _clock.now()
                        began, ends = standing.span
                        if began <= at < ends:
                            rows.append((name, SKIPPED, None, 0.0, at, ends))
                            if is_told:
                                _tell_skip(log, watch, name, (ends - at).total_seconds())
                            continue
                    asked = _ask(route.tracker, name, is_terminus, rows, log, watch)
                    if asked is None:
                        continue
                    permit = asked
            attempt_num += 1
            if is_told:
                _announce(route, watch, permit, name, attempt_num, is_terminus, position, total)
            started = perf_counter()
            try:
                response = fn(chain[position - 1])
            except Exception as caught:
                latency = perf_counter() - started
                error, outcome = caught, FAILED
            except BaseException:
                release(permit, name, log)
                raise
            else:
                latency = perf_counter() - started
                # Not isinstance(), which would ask the answer, a lazy object say, what it is.
                if type(response) is CoroutineType:
                    release(permit, name, log)
                    refuse_coroutine("fn", fn, response, rows)
                if route.accept is None or is_accepted(route, permit, name, response, rows):
                    try:
                        if permit.awaits_success:
                            permit.success()
                    except Exception as failure:
                        log.emit(_log.TRACKER_FAILED, name, "success", failure)
                    if attempt_num > 1:
                        log.emit(_log.SUCCEEDED, name, attempt_num, latency, is_terminus)
                    if watch is not None:
                        watch.succeeded(latency, has_ended_cooldown(permit, name, log))
                    result: ExecuteResult[T] = FilledResult()  # pyright: ignore[reportCallIssue]  # see there
                    result.response = response
                    result.provider = name
                    result.latency = latency
                    result.attempt_num = attempt_num
                    result.was_terminus = is_terminus
                    result._story = rows
                    result._cooling = permit.cooling
                    return result
                error, outcome = rejection(response), Outcome.REJECTED
            at = None
            verdict = FAILURE
            if route.classify is not None and outcome is FAILED:
                verdict = judge(route, permit, name, error)
                outcome = outcome_of(verdict)
            cooling, has_started = tell_failure(route, permit, name, error, verdict)
            rows.append(row_of(name, outcome, error, latency, cooling))
            log.emit(route.failed, name, error, attempt_num, is_terminus, position - 1, latency)
            if watch is not None:
                watch.failed(outcome, error, latency, cooling, has_started)
            if verdict.kind == "abort":
                raise chain_aborted(rows, log.redact) from error  # noqa: TRY301  # told there
            if limit is not None and is_chain:
                _raise_if_over(limit, rows, error, log.redact)
        raise route.give_up(rows, log.redact) from error  # noqa: TRY301  # likewise
    except BaseException as ending:
        if watch is not None:
            watch.ended(ending)
        raise
    finally:
        # The traceback of a provider's error holds this frame: what it refers to would live as long
        # as the error, and the error would be part of a cycle.
        error = response = rows = permit = asked = standing = result = None  # type: ignore[assignment]


def _raise_if_over(limit: Deadline, rows: list[Row], error: Exception | None, redact: Redact) -> None:
    """Raise when the deadline was cancelled or is over; `error` is the last provider's."""
    if not limit.cancelled and not limit.expired:
        return
    attempts = attempts_of(rows)
    when = "before the first attempt"
    if error is not None:
        when = f"after the last error: {error_text(error, redact)}"
    if limit.cancelled:
        raise ExecutionCancelledError(
            f"context canceled: deadline={limit!r}, {when}", attempts=attempts
        ) from error
    raise DeadlineExceededError(
        f"context deadline exceeded: deadline={limit!r}, {when}", attempts=attempts
    ) from error


def _ask(
    tracker: CooldownTracker | None,
    name: str,
    is_terminus: bool,
    rows: list[Row],
    log: Log,
    watch: Watch | None,
) -> Permit | None:
    """Return a permit, or None when the provider is passed over, which is written down then.

    A tracker that cannot be asked forbids nothing.
    """
    assert tracker is not None  # noqa: S101  # for the type checker: nothing is published without one
    try:
        answer = tracker.acquire(name, force=is_terminus)
        cooling = _cooling_of(answer)
    except Exception as failure:
        log.emit(_log.TRACKER_FAILED, name, "acquire", failure)
        return PlainPermit(tracker, name, None)
    if isinstance(answer, Cooling) and not is_terminus:
        rows.append(row_of(name, Outcome.SKIPPED, None, 0.0, answer))
        _tell_skip(log, watch, name, answer.cooldown_remaining)
        return None
    if cooling is not None:
        log.emit(_log.DESPITE_COOLDOWN, name, cooling.cooldown_remaining, "terminus_always_tried")
    # A terminus is attempted even if a tracker of the user's refuses what was forced.
    return PlainPermit(tracker, name, cooling) if isinstance(answer, Cooling) else answer


def _cooling_of(answer: Permit | Cooling) -> Cooling | None:
    cooling = answer if isinstance(answer, Cooling) else answer.cooling
    # The type is asked: a mock claims to be what it stands for.
    if cooling is not None and not issubclass(type(cooling), Cooling):
        raise TypeError(f"a permit's cooling must be a Cooling or None, not {class_name(cooling)}")
    return cooling


def _tell_skip(log: Log, watch: Watch | None, name: str, cooldown_remaining: float) -> None:
    log.emit(_log.SKIPPING, name, cooldown_remaining)
    if watch is not None:
        watch.skipped(name, cooldown_remaining)


def _announce(
    route: Route,
    watch: Watch | None,
    permit: Permit,
    name: str,
    attempt_num: int,
    is_terminus: bool,
    position: int,
    total: int,
) -> None:
    """Tell that an attempt begins; an interruption meanwhile gives back what it holds."""
    try:
        if watch is not None:
            watch.attempting(name, attempt_num, is_terminus)
        if route.is_chain:
            route.log.emit(_log.ATTEMPTING, name, attempt_num, is_terminus, position, total)
    except BaseException:
        release(permit, name, route.log)
        raise
