"""From an error to a verdict: the table of rules, and a classifier with rules of a user's before it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias, TypeGuard, TypeVar, final

from fallback_exec._text import brief, masked_repr
from fallback_exec.classify.names import WordFinder, mro_of
from fallback_exec.classify.rules import TABLE
from fallback_exec.classify.shape import is_status, shape_of, status_of
from fallback_exec.errors import InvalidConfigError
from fallback_exec.verdicts import FAILURE, Verdict, is_half_written

#: What a user says of an error: a verdict, or a callable that returns one. None from it: it does not say.
Rule: TypeAlias = Verdict | Callable[[Exception], Verdict | None]

KeyT = TypeVar("KeyT")

_words_of = WordFinder(word for row in TABLE for word in row.words)


def classify_error(error: Exception) -> Verdict:
    """Return what an error means, whatever library it comes from. It never raises an `Exception`.

    It looks at what the error shows: its HTTP or gRPC status, the vendor's codes, the headers, the parsed
    body, the names of its classes. The first line that fits decides:

    ==========================  ===========================================================================
    verdict                     what the error shows
    ==========================  ===========================================================================
    `cool_down(retry_after)`    botocore `Throttling*`, `TooManyRequests*`, `SlowDown`,
                                `RequestLimitExceeded`; gRPC `RESOURCE_EXHAUSTED`
    `cool_down(3600)`           botocore `UnrecognizedClient*`, `ExpiredToken*`, `AccessDenied*`,
                                `Signature*`; gRPC `UNAUTHENTICATED`, `PERMISSION_DENIED`; Google's
                                reason `API_KEY_INVALID`, which comes with a 400
    `cool_down(3600)`           402; code or type `insufficient_quota`, `billing_*`; a Google quota `PerDay`
    `cool_down(retry_after)`    429; 503 or 529 that say when to come back
    `cool_down(3600)`           401, 403
    `failure()`                 408, 409, 423, 425, 499, 5xx; gRPC `UNAVAILABLE`, `DEADLINE_EXCEEDED`,
                                `INTERNAL`, `UNKNOWN`, `ABORTED`
    `abort()`                   other 4xx; gRPC `INVALID_ARGUMENT`, `NOT_FOUND`, `FAILED_PRECONDITION`,
                                `CANCELLED`; classes named `ParamValidation`, `InvalidURL`, `ContentFilter`
    `cool_down(3600)`           no status, and classes named `Authentication`, `Credential`, `NoRegion`
    `failure()`                 timeouts, broken connections, junk in place of an answer, anything else
    ==========================  ===========================================================================

    `retry_after` is what the vendor asks for, at most an hour; None, the tracker's own cooldown, where it
    does not ask. Safe for concurrent use; nothing is read from the network.

    >>> classify_error(TimeoutError("no answer"))
    Verdict.failure()
    """
    try:
        shape = shape_of(error, _words_of(error))
        for row in TABLE:
            if row.speaks_of(shape):
                verdict = row.verdict(error)
                if verdict is not None:
                    return verdict
    except Exception:  # where the stack is nearly used up, whatever is called raises RecursionError
        return FAILURE
    return FAILURE


@final
class ErrorClassifier:
    """`classify_error()` with rules of your own before its table. Immutable, safe for concurrent use.

    A rule is a `Verdict`, or a callable that takes the error and returns one; None from it leaves the
    error to the next rule, and in the end to the table. What it raises propagates.

    A model that was retired answers 404 until somebody changes the configuration, and other vendors do not
    mind; a context that is too long for one vendor may fit into the next one's:

    >>> def context_too_long(error):
    ...     return Verdict.neutral() if "maximum context length" in str(error) else None
    >>> classify = ErrorClassifier(
    ...     types={NotImplementedError: Verdict.abort()},
    ...     statuses={404: Verdict.cool_down(3600), 400: context_too_long},
    ... )
    >>> classify(NotImplementedError())
    Verdict.abort(counted=False)

    Args:
        types: Rules by the class of the error, asked first, that of the most derived class before those
            of its bases. Only real bases count, not what is registered with an ABC.
        statuses: Rules by the HTTP status of the error, from 100 to 599.

    Raises:
        InvalidConfigError: an argument is no mapping, a key is no class of exceptions or no status, or a
            rule is neither a verdict nor callable.
    """

    __slots__ = ("_by_type", "_statuses", "_types")

    def __init__(
        self,
        *,
        types: Mapping[type[Exception], Rule] | None = None,
        statuses: Mapping[int, Rule] | None = None,
    ) -> None:
        self._types = _checked("types", types, _is_exception_class, "a class of exceptions")
        self._statuses = _checked("statuses", statuses, is_status, "an HTTP status from 100 to 599")
        # By identity: a metaclass may hash and compare as it likes.
        self._by_type = {id(kind): rule for kind, rule in self._types.items()}

    @property
    def types(self) -> Mapping[type[Exception], Rule]:
        """The rules by class, to read."""
        return MappingProxyType(self._types)

    @property
    def statuses(self) -> Mapping[int, Rule]:
        """The rules by HTTP status, to read."""
        return MappingProxyType(self._statuses)

    def extended(
        self,
        *,
        types: Mapping[type[Exception], Rule] | None = None,
        statuses: Mapping[int, Rule] | None = None,
    ) -> ErrorClassifier:
        """Return a classifier with these rules, too; where both have one for a key, the new one holds."""
        new = ErrorClassifier(types=types, statuses=statuses)
        return ErrorClassifier(
            types={**self._types, **new._types}, statuses={**self._statuses, **new._statuses}
        )

    def __call__(self, error: Exception) -> Verdict:
        """Return what an error means.

        Raises:
            TypeError: a rule returned what is neither a verdict nor None.
            Exception: whatever a rule raises.
        """
        for rule in self._rules_for(error):
            verdict = rule(error) if callable(rule) else rule
            if _is_verdict(verdict):
                return verdict
            if verdict is not None:
                raise TypeError(f"a rule must return a Verdict or None, not {brief(verdict)}")
        return classify_error(error)

    def __repr__(self) -> str:
        return f"ErrorClassifier(types={masked_repr(self._types)}, statuses={masked_repr(self._statuses)})"

    def __reduce__(self) -> tuple[Callable[..., ErrorClassifier], tuple[object, ...]]:
        # Classes have other identities where they are unpickled.
        return _rebuild, (self._types, self._statuses)

    def _rules_for(self, error: Exception) -> Iterator[Rule]:
        if self._by_type:
            for kind in mro_of(error):
                if id(kind) in self._by_type:
                    yield self._by_type[id(kind)]
        if self._statuses:
            status = status_of(error)
            if status in self._statuses:
                yield self._statuses[status]


def _rebuild(types: Mapping[type[Exception], Rule], statuses: Mapping[int, Rule]) -> ErrorClassifier:
    return ErrorClassifier(types=types, statuses=statuses)


def _checked(
    setting: str, rules: Mapping[KeyT, Rule] | None, is_key: Callable[[object], bool], key: str
) -> dict[KeyT, Rule]:
    """Return a copy of the rules, none for None."""
    if rules is None:
        return {}
    try:
        copied = dict(rules.items())
    except Exception:
        raise InvalidConfigError(setting, rules, "must be a mapping or None") from None
    for each, rule in copied.items():
        if not is_key(each):
            raise InvalidConfigError(setting, each, f"must have {key} for each key")
        if not _is_rule(rule):
            must = "must be a Verdict, or a plain callable that returns one or None"
            raise InvalidConfigError(f"{setting}[{brief(each)}]", rule, must)
    return copied


def _is_exception_class(value: object) -> bool:
    # The types are asked, not the objects: those believe what a class says of itself.
    return issubclass(type(value), type) and Exception in type.__dict__["__mro__"].__get__(value)


def _is_rule(value: object) -> bool:
    # What would say no verdict must not wait for an outage to show.
    if is_half_written(value) or inspect.iscoroutinefunction(value):
        return False
    return _is_verdict(value) or callable(value)


def _is_verdict(value: object) -> TypeGuard[Verdict]:
    return issubclass(type(value), Verdict)
