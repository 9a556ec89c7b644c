"""What a provider's error means for the chain and for the provider's breaker."""

from __future__ import annotations

from types import MethodType
from typing import Literal, TypeAlias, get_args

import attrs

from fallback_exec import _checks
from fallback_exec._checks import Seconds
from fallback_exec.errors import InvalidConfigError

#: What a verdict may be.
Kind: TypeAlias = Literal["failure", "cool_down", "neutral", "abort"]
KINDS: tuple[str, ...] = get_args(Kind)

#: The longest cooldown that a verdict asks for, in seconds. A vendor that says "tomorrow" is worth asking
#: within the hour: quotas are raised, keys are replaced, and a header may be wrong.
LONGEST_COOLDOWN = 3600.0


def _check_kind(_verdict: object, _field: attrs.Attribute[Kind], value: object) -> None:
    if value not in KINDS:
        raise InvalidConfigError("kind", value, f"must be one of {', '.join(KINDS)}")


def _check_seconds(verdict: Verdict, _field: attrs.Attribute[float | None], value: float | None) -> None:
    if value is not None and (verdict.kind != "cool_down" or _usable(value) != value):
        rule = f"must be None, or with cool_down a number above 0 and at most {LONGEST_COOLDOWN:g}"
        raise InvalidConfigError("seconds", value, rule)


@attrs.frozen(repr=False)
class Verdict:
    """What an error means. Immutable; build one by a class method.

    =========================  ===========================  ==================================
    verdict                    the chain                    the provider's breaker
    =========================  ===========================  ==================================
    `failure()`                goes on                      counts a failure
    `cool_down(seconds)`       goes on                      opens now
    `neutral()`                goes on                      counts nothing
    `abort()`                  ends, `ProviderFailedError`  counts nothing
    `abort(counted=True)`      ends, `ProviderFailedError`  counts a failure
    =========================  ===========================  ==================================

    Attributes:
        kind: `"failure"`, `"cool_down"`, `"neutral"` or `"abort"`.
        seconds: How long to cool down, above 0 and at most 3600; None: as long as the tracker's own
            cooldowns last. Always None but for `"cool_down"`.
        counted: Whether the breaker hears of a failure.

    Raises:
        InvalidConfigError: there is no such verdict.
    """

    kind: Kind = attrs.field(validator=_check_kind)
    seconds: float | None = attrs.field(default=None, validator=_check_seconds)
    counted: bool = attrs.field(default=True, converter=bool)

    @classmethod
    def failure(cls) -> Verdict:
        """Return the verdict that the provider failed: count it, and go on with the next one."""
        return cls("failure")

    @classmethod
    def cool_down(cls, seconds: Seconds | None = None) -> Verdict:
        """Return the verdict that the provider is to be left alone from now on; go on with the next one.

        Args:
            seconds: How long, in seconds or as a timedelta, at most 3600: what is more is cut. None, and
                what no cooldown can last (0, less than 0, NaN, infinity): as long as the tracker's own.

        Raises:
            InvalidConfigError: `seconds` is not a number.
        """
        return cls("cool_down", None if seconds is None else _usable(seconds))

    @classmethod
    def neutral(cls) -> Verdict:
        """Return the verdict that the error says nothing about the provider; go on with the next one."""
        return cls("neutral", counted=False)

    @classmethod
    def abort(cls, *, counted: bool = False) -> Verdict:
        """Return the verdict that no other provider may be tried: the chain ends.

        Args:
            counted: Count a failure of the provider's. For outcomes that may have happened all the same,
                such as a payment that timed out after it was sent.
        """
        return cls("abort", counted=counted)

    def __repr__(self) -> str:
        arguments = {"cool_down": f"{self.seconds}", "abort": f"counted={self.counted}"}.get(self.kind, "")
        return f"Verdict.{self.kind}({arguments})"


def is_half_written(value: object) -> bool:
    """Return whether it is `Verdict`, or `Verdict.neutral` without its parentheses: both can be called."""
    return value is Verdict or (type(value) is MethodType and value.__self__ is Verdict)


def _usable(seconds: Seconds) -> float | None:
    number = _checks.any_seconds("seconds", seconds)
    # NaN compares false with everything, and infinity is nobody's word for an hour.
    return min(number, LONGEST_COOLDOWN) if 0.0 < number < float("inf") else None


#: The verdict where nobody is asked for one.
FAILURE = Verdict.failure()
