"""After an attempt: what is made of its outcome, and how its permit is told.

What a tracker raises, and a classifier, is logged and changes nothing: the attempt has already happened.
"""

from __future__ import annotations

import contextlib
from types import CoroutineType, TracebackType
from typing import NoReturn

import fallback_exec
from fallback_exec import _log
from fallback_exec._log import Log
from fallback_exec._text import class_name
from fallback_exec.cooldown.tracker import Cooling, Permit
from fallback_exec.errors import InvalidConfigError, ResponseRejectedError
from fallback_exec.results import Outcome, Row, attempts_of
from fallback_exec.strategies import Route
from fallback_exec.verdicts import FAILURE, Verdict

#: The rule for functions of the user's, of which nobody would await what they return.
NO_COROUTINE = "must be a plain function, and must not return a coroutine"


def refuse_coroutine(setting: str, function: object, coroutine: object, rows: list[Row]) -> NoReturn:
    """Close a coroutine that nobody would await, and say whose fault it is."""
    assert isinstance(coroutine, CoroutineType)  # noqa: S101  # for the type checker
    with contextlib.suppress(Exception):  # one that had begun may refuse
        coroutine.close()
    raise InvalidConfigError(setting, function, NO_COROUTINE, attempts=attempts_of(rows))


def is_accepted(route: Route, permit: Permit, name: str, response: object, rows: list[Row]) -> bool:
    """Return whether the answer is one. What the user's predicate raises is raised: nothing is counted."""
    assert route.accept is not None  # noqa: S101  # for the type checker: nobody asks without one
    try:
        answer: object = route.accept(response)
        if type(answer) is CoroutineType:
            refuse_coroutine("accept", route.accept, answer, rows)
        return bool(answer)
    except BaseException:
        release(permit, name, route.log)
        raise


def rejection(response: object) -> ResponseRejectedError:
    """Return the error that stands for an answer that was not accepted. Its text quotes nothing of it."""
    message = f"response rejected by accept: type={class_name(response)}"
    return ResponseRejectedError(message, response=response)


def judge(route: Route, permit: Permit, name: str, error: Exception) -> Verdict:
    """Return what the error means: a failure, where nobody says anything else."""
    if route.classify is None:
        return FAILURE
    traceback = traceback_of(error)
    try:
        return _verdict(route.classify(error))
    except Exception as failure:
        route.log.emit(_log.CLASSIFIER_FAILED, name, failure)
        return FAILURE
    except BaseException:
        release(permit, name, route.log)
        raise
    finally:
        # A classifier may raise what it was given, which would make it grow.
        BaseException.with_traceback(error, traceback)


def traceback_of(error: BaseException) -> TracebackType | None:
    """Return the traceback of an error, whatever its class says when it is asked for an attribute."""
    traceback: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(error)
    return traceback


def _verdict(answer: object) -> Verdict:
    # Not isinstance(): a mock claims to be what it stands for.
    if issubclass(type(answer), Verdict):
        assert isinstance(answer, Verdict)  # noqa: S101  # for the type checker
        return answer
    if type(answer) is CoroutineType:
        answer.close()  # nobody would await it
    raise TypeError(f"a classifier must return a Verdict, not {class_name(answer)}")


def outcome_of(verdict: Verdict) -> Outcome:
    """Return what an attempt that failed came to."""
    return Outcome.FAILURE if verdict.counted else Outcome.NEUTRAL


def tell_failure(
    route: Route, permit: Permit, name: str, error: Exception, verdict: Verdict
) -> tuple[Cooling | None, bool]:
    """Tell the permit of a failed attempt.

    Returns:
        The cooldown of the provider that is known now, and whether this failure has started it.
    """
    log = route.log
    try:
        # The package's attribute, not that of its module: as in Go, it may be mutated or replaced.
        is_exempt = name in fallback_exec.EXEMPT_PROVIDERS
        if route.tracker is None or not verdict.counted or is_exempt:
            release(permit, name, log)
            return permit.cooling, False
        if verdict.kind == "cool_down":
            has_started = permit.cool_down(error, verdict.seconds)
        else:
            has_started = permit.failure(error)
        if not has_started:
            return permit.cooling, False
        cooling = Cooling(route.tracker.cooldown_remaining(name))
    except Exception as failure:
        log.emit(_log.TRACKER_FAILED, name, "failure", failure)
        return permit.cooling, False
    log.emit(_log.ENTERING_COOLDOWN, name, cooling.cooldown_remaining, error)
    return cooling, True


def tell_success(permit: Permit, name: str, log: Log) -> None:
    """Tell the permit of an answer that has ended well."""
    try:
        permit.success()
    except Exception as failure:
        log.emit(_log.TRACKER_FAILED, name, "success", failure)


def has_ended_cooldown(permit: Permit, name: str, log: Log) -> bool:
    """Return whether the success that the permit was told of has closed the breaker."""
    try:
        return permit.has_ended_cooldown is True
    except Exception as failure:
        log.emit(_log.TRACKER_FAILED, name, "has_ended_cooldown", failure)
        return False


def release(permit: Permit, name: str, log: Log) -> None:
    """Give back what an attempt held of which nothing is counted."""
    try:
        permit.release()
    except Exception as failure:
        log.emit(_log.TRACKER_FAILED, name, "release", failure)
