"""The table of rules: what errors mean, by their shape."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import attrs

from fallback_exec.classify.retry_after import retry_after
from fallback_exec.classify.shape import Shape
from fallback_exec.verdicts import FAILURE, LONGEST_COOLDOWN, Verdict

_ABORT = Verdict.abort()
_COOL_DOWN_LONG = Verdict.cool_down(LONGEST_COOLDOWN)


def _abort(_error: object) -> Verdict:
    """It is the caller's mistake: no other vendor would take it."""
    return _ABORT


def _cool_down_long(_error: object) -> Verdict:
    """A human must do something first: renew a key, pay a bill."""
    return _COOL_DOWN_LONG


def _cool_down(error: object) -> Verdict:
    """The vendor is too busy, for as long as it says, if it does."""
    return Verdict.cool_down(retry_after(error))


def _cool_down_if_told(error: object) -> Verdict | None:
    """The vendor is too busy if it says for how long; otherwise nothing is known yet."""
    seconds = retry_after(error)
    return None if seconds is None else Verdict.cool_down(seconds)


def _fail(_error: object) -> Verdict:
    """It may work again at the next call."""
    return FAILURE


def _one_of(*patterns: str) -> re.Pattern[str]:
    """Return a pattern that matches what one of these does, in which `*` stands for anything."""
    return re.compile("|".join(re.escape(each).replace(r"\*", ".*") for each in patterns), re.DOTALL)


_NONE = re.compile(r"(?!)")


@attrs.frozen(kw_only=True)
class Row:
    """A row of the table: it speaks of an error that shows one of its signs.

    Attributes:
        verdict: From the error, what it means; None: the rows below decide.
        statuses: HTTP statuses.
        grpc: Names of gRPC status codes.
        aws: Patterns of botocore's codes.
        codes: Patterns of vendors' codes and types.
        quotas: Patterns of the ids of Google's quotas.
        words: Words in the names of the error's classes.
        only_without_status: The row speaks of no error that has an HTTP status.
    """

    verdict: Callable[[object], Verdict | None]
    statuses: AbstractSet[int] = frozenset()
    grpc: AbstractSet[str] = frozenset()
    aws: re.Pattern[str] = _NONE
    codes: re.Pattern[str] = _NONE
    quotas: re.Pattern[str] = _NONE
    words: AbstractSet[str] = frozenset()
    only_without_status: bool = False

    def speaks_of(self, shape: Shape) -> bool:
        """Return whether the row decides on errors of that shape."""
        if self.only_without_status and shape.status is not None:
            return False
        return (
            shape.status in self.statuses
            or shape.grpc in self.grpc
            # Most errors have none of the three, and to search for nothing would be most of the work.
            or (shape.aws != "" and self.aws.fullmatch(shape.aws) is not None)
            or (shape.codes != () and any(map(self.codes.fullmatch, shape.codes)))
            or (shape.quotas != () and any(map(self.quotas.fullmatch, shape.quotas)))
            or not shape.words.isdisjoint(self.words)
        )


#: The first row that speaks of an error, and has a verdict, decides. What no row speaks of is a failure:
#: timeouts, broken connections, junk in place of an answer, and what nobody has heard of.
TABLE = (
    Row(
        verdict=_cool_down,
        aws=_one_of("Throttling*", "TooManyRequests*", "SlowDown", "RequestLimitExceeded"),
        grpc={"RESOURCE_EXHAUSTED"},
    ),
    Row(
        verdict=_cool_down_long,
        aws=_one_of("UnrecognizedClient*", "ExpiredToken*", "AccessDenied*", "Signature*"),
        grpc={"UNAUTHENTICATED", "PERMISSION_DENIED"},
        # Gemini says so with status 400, which would otherwise be the caller's mistake.
        codes=_one_of("API_KEY_INVALID"),
    ),
    Row(
        verdict=_cool_down_long,
        statuses={402},
        codes=_one_of("insufficient_quota", "billing_*"),
        quotas=_one_of("*PerDay*"),
    ),
    Row(verdict=_cool_down, statuses={429}),
    Row(verdict=_cool_down_if_told, statuses={503, 529}),
    Row(verdict=_cool_down_long, statuses={401, 403}),
    Row(
        verdict=_fail,
        statuses={408, 409, 423, 425, 499, *range(500, 600)},
        grpc={"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "ABORTED"},
    ),
    Row(
        verdict=_abort,
        statuses={*range(400, 500)},
        grpc={"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "CANCELLED"},
        words={"ParamValidation", "InvalidURL", "ContentFilter"},
    ),
    # Vendors name such errors as connection errors, too: redis' AuthenticationError is one.
    Row(
        verdict=_cool_down_long,
        words={"Authentication", "Credential", "NoRegion"},
        only_without_status=True,
    ),
)
