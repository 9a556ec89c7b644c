"""What `execute()` raises.

    FallbackExecError                          .attempts
    ├── NoProvidersError                       also a ValueError
    ├── InvalidConfigError                     also a ValueError; .setting
    ├── ProviderFailedError                    .provider, .aborted
    ├── AllProvidersFailedError                also an ExceptionGroup; .retry_after
    ├── DeadlineExceededError                  also a TimeoutError
    ├── ExecutionCancelledError
    └── ResponseRejectedError                  never raised: .response

All of them survive `pickle`, `copy` and a process pool. An exception of a provider's that does not
(vendors' errors often take keyword-only arguments, which fail when they are unpickled) travels as a
`StandInError` that keeps its type's name and its text.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from fallback_exec._clock import Countdown
from fallback_exec._text import Redact, brief, class_name, error_text, name_text
from fallback_exec.redaction import redact

if TYPE_CHECKING:
    from fallback_exec.results import Attempt


class FallbackExecError(Exception):
    """The base of every error that the library raises.

    Attributes:
        attempts: What had happened until then, in order, skips included; empty when nothing had.
    """

    attempts: tuple[Attempt, ...]

    def __init__(self, message: str, *, attempts: tuple[Attempt, ...] = ()) -> None:
        super().__init__(message)
        self.attempts = attempts

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return _rebuild, self._parts(Travellers())

    def __copy__(self) -> FallbackExecError:
        return _rebuild(*self._parts(lambda member: member))

    def _parts(
        self, pack: Callable[[Any], Any]
    ) -> tuple[type[FallbackExecError], tuple[object, ...], dict[str, object], BaseException | None]:
        """Return what rebuilds this error, each exception in it passed through `pack`."""
        args: tuple[object, ...] = tuple(
            [pack(each) for each in arg] if isinstance(arg, list) else arg for arg in self.args
        )
        state: dict[str, object] = {
            **self.__dict__,
            "attempts": tuple(each._with_error(pack(each.error)) for each in self.attempts),
        }
        return type(self), args, state, pack(self.__cause__)


class NoProvidersError(FallbackExecError, ValueError):
    """The sequence of providers is empty."""


class InvalidConfigError(FallbackExecError, ValueError):
    """A setting or an argument cannot be used. The text names it and its value.

    Attributes:
        setting: The name of the argument or setting.
    """

    setting: str

    def __init__(
        self,
        setting: str,
        value: object,
        rule: str,
        *,
        summary: str = "",
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        lead = f"{name_text(summary)}: " if summary else ""
        message = f"invalid config: {lead}{setting} {rule}, got {brief(value)}"
        super().__init__(message, attempts=attempts)
        self.setting = setting


class ProviderFailedError(FallbackExecError):
    """The one provider that the strategy chose has failed, or a failure ended the chain.

    `__cause__` is the provider's error.

    Attributes:
        provider: The provider's name.
        aborted: True where a verdict ended the chain, as with a mistake of the caller's own.
    """

    provider: str
    aborted: bool

    def __init__(
        self, message: str, *, provider: str, aborted: bool = False, attempts: tuple[Attempt, ...] = ()
    ) -> None:
        super().__init__(message, attempts=attempts)
        self.provider = provider
        self.aborted = aborted


class AllProvidersFailedError(FallbackExecError, ExceptionGroup[Exception]):
    """Every provider was passed over, or was attempted and failed, as the terminus always is.

    `exceptions` holds the providers' errors in the order of the attempts; `__cause__` is the last.
    """

    _first_back: Countdown | None

    def __new__(cls, message: str, errors: Sequence[Exception], **_: object) -> Self:
        """Build the group; the keywords are those of `__init__`."""
        return super().__new__(cls, message, errors)

    def __init__(
        self,
        message: str,
        errors: Sequence[Exception],
        *,
        attempts: tuple[Attempt, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        # ExceptionGroup keeps the sequence that it was given in `args`; a list is what `_parts` repacks.
        Exception.__init__(self, message, list(errors))
        self.attempts = attempts
        self._first_back = None if retry_after is None else Countdown(retry_after)

    @property
    def retry_after(self) -> float | None:
        """Seconds until the first of the chain's providers leaves its cooldown, counting down.

        None when one of them is not cooling. Known from the attempts: no tracker is asked.
        """
        return None if self._first_back is None else self._first_back.remaining()

    def __repr__(self) -> str:
        """Show the errors by their classes and texts, masked; a group in a group shows none of its own."""
        members = ", ".join(f"{class_name(each)}({error_text(each)!r})" for each in self.exceptions)
        return f"{class_name(self)}({self.message!r}, [{members}])"

    # The stub's overloads promise a group of any exceptions; ours are Exceptions.
    def derive(self, excs: Sequence[Exception]) -> AllProvidersFailedError:  # type: ignore[override]
        """Return a group of the same story for `split()`, `subgroup()` and `except*`."""
        part = AllProvidersFailedError(self.message, excs, attempts=self.attempts)
        part._first_back = self._first_back
        return part


class DeadlineExceededError(FallbackExecError, TimeoutError):
    """The deadline was over before a provider answered. `__cause__` is the last provider's error, if any."""


class ExecutionCancelledError(FallbackExecError):
    """`Deadline.cancel()` was called. `__cause__` is the last provider's error, if any."""


class ResponseRejectedError(FallbackExecError):
    """The provider's answer was not accepted. Stands where the provider's error would; never raised itself.

    It travels as a `StandInError` where the response cannot.

    Attributes:
        response: What the provider answered.
    """

    response: object

    def __init__(self, message: str, *, response: object) -> None:
        super().__init__(message)
        self.response = response

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        if _survives_pickle(self.response):
            return super().__reduce__()
        replacement = stand_in(self)
        return StandInError, replacement.args


class StandInError(Exception):
    """Stands for an exception that cannot be pickled and unpickled.

    Attributes:
        type_name: The name of the class it stands for, with its module: `"openai.RateLimitError"`.
    """

    def __init__(self, type_name: str, text: str) -> None:
        super().__init__(type_name, text)
        self.type_name = type_name
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<stand-in for {self.type_name}: {self._text}>"


class Travellers:
    """Replaces exceptions that do not survive a journey by stand-ins, the same one for the same object.

    The only way to know is to try: many exceptions can be pickled, and fail when they are unpickled.
    """

    def __init__(self) -> None:
        self._packed: dict[int, Any] = {}

    def __call__(self, error: Any) -> Any:
        """Return `error` itself where it survives, else its stand-in; None stays None."""
        if error is None:
            return None
        key = id(error)
        if key not in self._packed:
            self._packed[key] = error if _survives(error) else stand_in(error)
        return self._packed[key]


def _survives(error: BaseException) -> bool:
    # Not isinstance(), which would ask the error what it is, and it may answer by another.
    if issubclass(type(error), FallbackExecError) and type(error).__module__ == __name__:
        return True  # it packs its own members: to try each level of a nest would triple the work at each
    return _survives_pickle(error)


def _survives_pickle(value: object) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(value))) is type(value)  # noqa: S301  # of our own making
    except Exception:
        return False


def stand_in(error: BaseException, redact: Redact = redact) -> StandInError:
    """Return what stands for an error, with its text as it is shown, and holds none of its frames."""
    text = error_text(error, redact)
    if type(error) is StandInError:  # of another process, say: whose rules masked its text?
        return StandInError(error.type_name, text)
    # A metaclass may hide the module, as it may hide the name.
    module = type.__getattribute__(type(error), "__module__")
    return StandInError(f"{module}.{class_name(error, '__qualname__')}", text)


def _rebuild(
    cls: type[FallbackExecError],
    args: tuple[object, ...],
    state: dict[str, object],
    cause: BaseException | None,
) -> FallbackExecError:
    """Build an error without its `__init__`, whose keywords are in `state` already."""
    error = cls.__new__(cls, *args)
    # A TimeoutError whose class has an `__init__` of its own leaves `args` to it.
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    if cause is not None:
        error.__cause__ = cause
    return error
