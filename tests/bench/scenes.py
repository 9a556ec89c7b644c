"""Chains of providers: who of them cools down, who fails, who answers."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

ANSWER = "answer"


class Vendor:
    """A provider."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class VendorError(Exception):
    """What a provider fails with."""


def no_op() -> str:
    """Answer at once. Not with None, which apifailover takes for a failure."""
    return ANSWER


def fail() -> str:
    """Fail at once."""
    raise VendorError("down")


@attrs.frozen
class Scene:
    """A chain: the first `cooling` providers cool down, the next `failing` fail, the others answer.

    Attributes:
        total: How many providers there are.
        cooling: How many of them cool down.
        failing: How many of them fail; none of them ever so often that it cools down.
        seconds: How long a call takes.
    """

    total: int = 3
    cooling: int = 0
    failing: int = 0
    seconds: float = 0.0

    @property
    def names(self) -> list[str]:
        """The providers' names."""
        return [f"vendor-{number}" for number in range(self.total)]

    @property
    def cooling_names(self) -> list[str]:
        """The names of those that cool down."""
        return self.names[: self.cooling]

    def calls(self) -> dict[str, Callable[[], str]]:
        """Return each provider's call, by name, for those who have one function a provider."""
        answers = self.answer if self.seconds else no_op
        failing = self.names[self.cooling :][: self.failing]
        return {name: fail if name in failing else answers for name in self.names}

    def fn(self) -> Callable[[Vendor], str]:
        """Return the call of any provider, for those who have one function for all."""
        if self.seconds:
            return lambda _vendor: self.answer()
        if not self.failing:
            return lambda _vendor: ANSWER
        failing = frozenset(self.names[self.cooling :][: self.failing])

        def fn(vendor: Vendor) -> str:
            if vendor.name in failing:
                raise VendorError("down")
            return ANSWER

        return fn

    def answer(self) -> str:
        """Answer when the call has taken its time."""
        time.sleep(self.seconds)
        return ANSWER


HEALTHY = Scene()
ONE_FAILURE = Scene(failing=1)
ALL_BUT_ONE_COOLING = Scene(cooling=2)
