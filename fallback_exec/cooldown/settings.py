"""Settings of breakers: their checks, and the length of a cooldown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Concatenate, ParamSpec, TypeVar

import attrs

from fallback_exec import _checks
from fallback_exec._checks import Seconds
from fallback_exec._text import masked_repr
from fallback_exec.errors import InvalidConfigError

ValueT = TypeVar("ValueT")
LimitsP = ParamSpec("LimitsP")

#: Seconds after which a probe is presumed lost, at the earliest: the timeout that HTTP clients of SDKs
#: and proxies commonly give to one call. A probe in flight must not be doubled by a short cooldown.
SHORTEST_DEFAULT_LEASE = 60.0


@attrs.frozen(kw_only=True)
class Rules:
    """One breaker's settings, complete and checked. Durations are float seconds."""

    fail_max: int
    reset_timeout: float
    success_threshold: int
    backoff_factor: float
    max_reset_timeout: float
    jitter: float
    probe_lease: float | None

    @property
    def lease(self) -> float:
        """Seconds after which a probe is presumed lost."""
        if self.probe_lease is None:
            return max(SHORTEST_DEFAULT_LEASE, self.reset_timeout)
        return self.probe_lease

    def cooldown(self, reopenings: int) -> float:
        """Return the seconds of a cooldown after that many failed probes in a row, without jitter."""
        limit = max(self.reset_timeout, self.max_reset_timeout)
        try:
            return min(limit, self.reset_timeout * self.backoff_factor**reopenings)
        except OverflowError:
            return limit

    def overridden(self, settings: BreakerSettings) -> Rules:
        """Return these rules with everything that `settings` sets."""
        given = {name: value for name, value in attrs.asdict(settings).items() if value is not None}
        return attrs.evolve(self, **given)


@attrs.frozen(kw_only=True, init=False)
class BreakerSettings:
    """Settings for the breaker of one provider; None leaves a setting as the tracker has it.

    What each of them means stands at `BreakerCooldownTracker`.

    Raises:
        InvalidConfigError: a value is out of its range or of the wrong type.
    """

    fail_max: int | None
    reset_timeout: float | None
    success_threshold: int | None
    backoff_factor: float | None
    max_reset_timeout: float | None
    jitter: float | None
    probe_lease: float | None

    def __init__(
        self,
        *,
        fail_max: int | None = None,
        reset_timeout: Seconds | None = None,
        success_threshold: int | None = None,
        backoff_factor: float | None = None,
        max_reset_timeout: Seconds | None = None,
        jitter: float | None = None,
        probe_lease: Seconds | None = None,
    ) -> None:
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue]  # made by attrs, known to mypy alone
            fail_max=_unless_none(_checks.whole, "fail_max", fail_max),
            reset_timeout=_unless_none(_checks.positive_seconds, "reset_timeout", reset_timeout),
            success_threshold=_unless_none(_checks.whole, "success_threshold", success_threshold),
            backoff_factor=_unless_none(
                _checks.real_between, "backoff_factor", backoff_factor, 1.0, math.inf
            ),
            max_reset_timeout=_unless_none(_checks.positive_seconds, "max_reset_timeout", max_reset_timeout),
            jitter=_unless_none(_checks.real_between, "jitter", jitter, 0.0, 1.0),
            probe_lease=_unless_none(_checks.positive_seconds, "probe_lease", probe_lease),
        )


def complete_rules(settings: BreakerSettings) -> Rules:
    """Return settings of which only `probe_lease` may be None as rules.

    Raises:
        InvalidConfigError: another one is None.
    """
    values = attrs.asdict(settings)
    for setting, value in values.items():
        if value is None and setting != "probe_lease":
            raise InvalidConfigError(setting, value, "must be a number")
    return Rules(**values)


def check_overrides(overrides: object) -> dict[str, BreakerSettings]:
    """Return a copy of the tracker's `overrides`, checked."""
    if overrides is None:
        return {}
    if not isinstance(overrides, Mapping):
        raise InvalidConfigError("overrides", overrides, "must be a mapping of names to BreakerSettings")
    by_name = {_checks.name("overrides", name): settings for name, settings in overrides.items()}
    for name, settings in by_name.items():
        if not isinstance(settings, BreakerSettings):
            raise InvalidConfigError(f"overrides[{masked_repr(name)}]", settings, "must be BreakerSettings")
    return by_name


def _unless_none(
    check: Callable[Concatenate[str, object, LimitsP], ValueT],
    setting: str,
    value: object,
    *limits: LimitsP.args,
    **named: LimitsP.kwargs,
) -> ValueT | None:
    return None if value is None else check(setting, value, *limits, **named)
