"""A tracker that shares its cooldowns with nobody else behaves as one that does not share."""

from __future__ import annotations

import pytest

from cooldown import test_breaker_tracker, test_stress, test_threads
from fallback_exec import BreakerCooldownTracker
from fallback_exec.shared import InMemoryCooldownStore

_MODULES = (test_breaker_tracker, test_stress, test_threads)

#: What differs, and why. Whether a failure opens is known to the store alone, so the jitter is drawn before.
#: And the probe of a name that was forgotten is somebody else's to whoever meets the name again: it is kept
#: for longer, beyond a bound that is soft.
_DIFFERENT = {
    "test_failures_that_do_not_trip_draw_nothing",
    "test_a_generator_of_the_user_s_runs_under_no_lock",
    "test_names_come_and_go_while_outcomes_arrive",
}


class Sharing(BreakerCooldownTracker):
    """Shares by default."""

    def __init__(self, *arguments: object, **settings: object) -> None:
        super().__init__(*arguments, shared=InMemoryCooldownStore(), **settings)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _all_share(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in _MODULES:
        monkeypatch.setattr(module, "BreakerCooldownTracker", Sharing)


def _collect() -> None:
    for module in _MODULES:
        for name, found in list(vars(module).items()):
            if name.startswith("Test"):
                kept = {each: None for each in vars(found) if each in _DIFFERENT}
                globals()[name] = type(name, (found,), {"__doc__": found.__doc__, **kept})
            elif name.startswith("test_") and name not in _DIFFERENT and callable(found):
                globals()[name] = found


_collect()


def test_all_are_run() -> None:
    """Else this file would show nothing."""
    assert sum(name.startswith("Test") for name in globals()) > 15
    assert "test_each_cooldown_is_started_once_and_ended_by_one_probe" in globals()
