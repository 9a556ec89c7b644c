"""The attacker forks where nobody forks: in a log handler, a generator of jitter, a text, a probe.

They want a child that hangs, or that counts in its parent's name.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

import pytest

from fallback_exec import AllProvidersFailedError, BreakerCooldownTracker, Cooling, ExecuteConfig, execute
from helpers import Vendor, VendorError, error_of, forked_child_finishes, logger_with, replying, vendors

# Threads of other tests' may still be ending, of which Python 3.12 warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)


def use(tracker: BreakerCooldownTracker) -> None:
    """Use every lock there is: open a provider, meet a new one, and close everything."""
    for name in ("grok", "newcomer"):
        for _ in range(2):
            tracker.record_failure(name, VendorError())
        assert isinstance(tracker.acquire(name), Cooling)
    tracker.reset_all()
    config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with(logging.NullHandler()))
    assert execute(vendors("grok", "newcomer"), config, replying(grok="a cat")).provider == "grok"


class Forks:
    """Forks once, when it is called, and keeps whether the child could use the tracker."""

    def __init__(self, tracker: Callable[[], BreakerCooldownTracker]) -> None:
        self._tracker = tracker
        self.finished: list[bool] = []

    def __call__(self) -> None:
        if not self.finished:
            self.finished.append(False)
            self.finished[0] = forked_child_finishes(lambda: use(self._tracker()))


class TestForks:
    """A fork in the middle of something."""

    @pytest.mark.parametrize("place", ["handler", "jitter", "text", "name", "fn"])
    def test_the_child_works_and_the_parent_goes_on(self, place: str) -> None:
        """Wherever the user's code forks, the child can use the tracker, and the parent's outcome counts."""
        fork = Forks(lambda: tracker)

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if place == "handler":
                    fork()

        class Jitter(random.Random):
            def random(self) -> float:
                if place == "jitter":
                    fork()
                return 0.5

        class TextError(VendorError):
            def __str__(self) -> str:
                if place == "text":
                    fork()
                return "down"

        class Named:
            @property
            def name(self) -> str:
                if place == "name":
                    fork()
                return "grok"

        def fn(provider: Named) -> object:
            if place == "fn":
                fork()
            raise TextError

        tracker = BreakerCooldownTracker(fail_max=2, jitter=0.5, random=Jitter())
        tracker.breaker("grok").half_open()
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with(Handler()))
        with pytest.raises(AllProvidersFailedError):
            execute([Named()], config, fn)
        assert fork.finished == [True]
        assert isinstance(tracker.acquire("grok"), Cooling)
        assert tracker.snapshot()["grok"].openings == 1

    def test_a_child_that_dies_in_the_probe_leaves_the_parents_probe_alone(self) -> None:
        """A child that never comes back has neither taken nor returned its parent's probe."""
        tracker = BreakerCooldownTracker()
        tracker.breaker("grok").half_open()
        config = ExecuteConfig(
            strategy="fallback", cooldown=tracker, logger=logger_with(logging.NullHandler())
        )

        def fn(provider: Vendor) -> object:
            assert not forked_child_finishes(
                lambda: error_of(AllProvidersFailedError, vendors("grok"), config, die)
            )
            assert isinstance(tracker.acquire("grok"), Cooling)
            return "a cat"

        execute(vendors("grok"), config, fn)
        assert tracker.snapshot()["grok"].state == "closed"


def die(provider: Vendor) -> object:
    """Raise what is nobody's failure, in the child."""
    raise SystemExit(3)
