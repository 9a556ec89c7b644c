"""`execute()` and the one loop behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from logging import DEBUG
from time import perf_counter
from types import CoroutineType
from typing import NoReturn, TypeVar

from fallback_exec import _clock, _log
from fallback_exec._checks import Seconds
from fallback_exec._clock import Countdown
from fallback_exec._log import Logger, emit
from fallback_exec._text import class_name, error_text
from fallback_exec.config import ExecuteConfig
from fallback_exec.cooldown.tracker import NO_PERMIT, UNKNOWN, CooldownTracker, Cooling, Permit, PlainPermit
from fallback_exec.deadline import Deadline, as_deadline
from fallback_exec.errors import DeadlineExceededError, ExecutionCancelledError, InvalidConfigError
from fallback_exec.providers import Provider, check_providers, is_exempt
from fallback_exec.results import ExecuteResult, FilledResult, Outcome, Row, attempts_of, cooldown_of, row_of

P = TypeVar("P", bound=Provider)
T = TypeVar("T")

# Looking it up in the enum would be a large part of a skip, on Python 3.11.
SKIPPED = Outcome.SKIPPED


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
        config: The strategy, the cooldown tracker and the logger.
        fn: Called with a provider; returns the answer or raises. An `Exception` is that provider's
            failure. Anything else (Ctrl-C, say) is nobody's, and is raised unchanged.
        deadline: A limit for the whole chain: a `Deadline`, or seconds or a timedelta from now. It
            is looked at before the first attempt and, with `FALLBACK`, after each failed one; a
            call in flight is never interrupted.

    Returns:
        The answer, with who gave it and the story of the attempts before it.

    Raises:
        NoProvidersError: `providers` is empty.
        InvalidConfigError: an argument cannot be used, or `fn` returned a coroutine.
        ProviderFailedError: `PRIMARY_ONLY` and `ROUND_ROBIN`: the provider failed.
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
    limit = None
    if deadline is not None:
        limit = as_deadline(deadline)
        _raise_if_over(limit, [], None)

    is_chain = route.is_chain
    standings = route.standings
    logger = route.logger
    debug = False
    if is_chain:
        try:
            debug = logger.isEnabledFor(DEBUG)
        except Exception:  # of a logger of the user's own: the first thing to log says so
            debug = True
    total = len(chain)
    position = 0 if route.index is None else route.index.next() % total
    stop = total if is_chain else position + 1
    attempt_num = 0
    rows: list[Row] = []
    permit: Permit = NO_PERMIT
    at: datetime | None = None
    error: Exception | None = None
    try:
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
                            if debug:
                                emit(logger, _log.SKIPPING, name, cooldown_of(at, ends))
                            continue
                    asked = _ask(route.tracker, name, is_terminus, rows, logger)
                    if asked is None:
                        continue
                    permit = asked
            attempt_num += 1
            if debug:
                _announce(permit, logger, name, attempt_num, is_terminus, position, total)
            started = perf_counter()
            try:
                response = fn(chain[position - 1])
            except Exception as caught:
                latency = perf_counter() - started
                error = caught
            except BaseException:
                _release(permit, name, logger)
                raise
            else:
                latency = perf_counter() - started
                # Not isinstance(), which would ask the answer, a lazy object say, what it is.
                if type(response) is CoroutineType:
                    _release(permit, name, logger)
                    _refuse_coroutine(response, fn, rows)
                try:
                    if permit.awaits_success:
                        permit.success()
                except Exception as failure:
                    emit(logger, _log.TRACKER_FAILED, name, "success", failure)
                if attempt_num > 1:
                    emit(logger, _log.SUCCEEDED, name, attempt_num, latency, is_terminus)
                result: ExecuteResult[T] = FilledResult()  # pyright: ignore[reportCallIssue]  # see there
                result.response = response
                result.provider = name
                result.latency = latency
                result.attempt_num = attempt_num
                result.was_terminus = is_terminus
                result._story = rows
                result._cooling = permit.cooling
                return result
            at = None
            cooling = _count_failure(route.tracker, permit, name, error, logger)
            rows.append(row_of(name, Outcome.FAILURE, error, latency, cooling))
            emit(logger, route.failed, name, error, attempt_num, is_terminus, position - 1, latency)
            if limit is not None and is_chain:
                _raise_if_over(limit, rows, error)
        raise route.give_up(rows) from error
    finally:
        # The traceback of a provider's error holds this frame: what it refers to would live as long
        # as the error, and the error would be part of a cycle.
        error = response = rows = permit = asked = standing = result = None  # type: ignore[assignment]


def _raise_if_over(limit: Deadline, rows: list[Row], error: Exception | None) -> None:
    """Raise when the deadline was cancelled or is over; `error` is the last provider's."""
    if not limit.cancelled and not limit.expired:
        return
    attempts = attempts_of(rows)
    when = f"after the last error: {error_text(error)}" if error is not None else "before the first attempt"
    if limit.cancelled:
        raise ExecutionCancelledError(
            f"context canceled: deadline={limit!r}, {when}", attempts=attempts
        ) from error
    raise DeadlineExceededError(
        f"context deadline exceeded: deadline={limit!r}, {when}", attempts=attempts
    ) from error


# Between the loop and the tracker: an Exception of the tracker's is logged, and changes nothing.


def _ask(
    tracker: CooldownTracker | None, name: str, is_terminus: bool, rows: list[Row], logger: Logger
) -> Permit | None:
    """Return a permit, or None when the provider is passed over, which is written down then.

    A tracker that cannot be asked forbids nothing.
    """
    assert tracker is not None  # noqa: S101  # for the type checker: nothing is published without one
    try:
        answer = tracker.acquire(name, force=is_terminus)
        cooling = _cooling_of(answer)
    except Exception as failure:
        emit(logger, _log.TRACKER_FAILED, name, "acquire", failure)
        return PlainPermit(tracker, name, None)
    if isinstance(answer, Cooling) and not is_terminus:
        rows.append(row_of(name, Outcome.SKIPPED, None, 0.0, answer))
        emit(logger, _log.SKIPPING, name, answer.cooldown_remaining)
        return None
    if cooling is not None:
        emit(logger, _log.DESPITE_COOLDOWN, name, cooling.cooldown_remaining, "terminus_always_tried")
    # A terminus is attempted even if a tracker of the user's refuses what was forced.
    return PlainPermit(tracker, name, cooling) if isinstance(answer, Cooling) else answer


def _cooling_of(answer: Permit | Cooling) -> Cooling | None:
    cooling = answer if isinstance(answer, Cooling) else answer.cooling
    # The type is asked: a mock claims to be what it stands for.
    if cooling is not None and not issubclass(type(cooling), Cooling):
        raise TypeError(f"a permit's cooling must be a Cooling or None, not {class_name(cooling)}")
    return cooling


def _announce(permit: Permit, logger: Logger, name: str, *values: object) -> None:
    """Log that an attempt begins; an interruption meanwhile gives back what it holds."""
    try:
        emit(logger, _log.ATTEMPTING, name, *values)
    except BaseException:
        _release(permit, name, logger)
        raise


def _count_failure(
    tracker: CooldownTracker | None, permit: Permit, name: str, error: Exception, logger: Logger
) -> Cooling | None:
    """Tell of a failure, unless the provider is exempt. Returns the cooldown that is known now."""
    try:
        if tracker is None or is_exempt(name):
            _release(permit, name, logger)
            return permit.cooling
        if not permit.failure(error):
            return permit.cooling
        cooling = Cooling(tracker.cooldown_remaining(name))
    except Exception as failure:
        emit(logger, _log.TRACKER_FAILED, name, "failure", failure)
        return permit.cooling
    emit(logger, _log.ENTERING_COOLDOWN, name, cooling.cooldown_remaining, error)
    return cooling


def _release(permit: Permit, name: str, logger: Logger) -> None:
    try:
        permit.release()
    except Exception as failure:
        emit(logger, _log.TRACKER_FAILED, name, "release", failure)


def _refuse_coroutine(response: object, fn: object, rows: list[Row]) -> NoReturn:
    """Close a coroutine that nobody would await, and say whose fault it is."""
    assert isinstance(response, CoroutineType)  # noqa: S101  # for the type checker
    with contextlib.suppress(Exception):  # one that had begun may refuse
        response.close()
    rule = "must be a plain function, and must not return a coroutine"
    raise InvalidConfigError("fn", fn, rule, attempts=attempts_of(rows))
