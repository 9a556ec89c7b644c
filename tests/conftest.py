"""Fixtures that more than one test file uses."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator

import freezegun
import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
from hypothesis import settings

import fallback_exec
from helpers import Records, logger_with

pytest_plugins = ["no_skips"]

# No test may depend on how fast the machine is.
settings.register_profile("fallback_exec", deadline=None)
settings.load_profile("fallback_exec")

# freezegun looks through all modules each time it stops the clock, and these have thousands, none of which
# reads the clock of a test.
freezegun.configure(extend_ignore_list=["anthropic", "matplotlib", "numpy", "openai"])


@pytest.fixture(autouse=True)
def exempt_providers() -> Iterator[set[str]]:
    """The names that are exempt; the package has the same object with the same content after each test."""
    exempt = fallback_exec.EXEMPT_PROVIDERS
    names = set(exempt)
    yield exempt
    fallback_exec.EXEMPT_PROVIDERS = exempt
    exempt.clear()
    exempt.update(names)


@pytest.fixture
def clock() -> Iterator[FrozenDateTimeFactory]:
    """All clocks, standing still until they are ticked."""
    with freeze_time("2026-01-01") as frozen:
        assert isinstance(frozen, FrozenDateTimeFactory)
        yield frozen


@pytest.fixture
def records() -> Records:
    """The handler of `logger`."""
    return Records()


@pytest.fixture
def logger(records: Records) -> logging.Logger:
    """A logger that takes all levels, and whose only handler is `records`."""
    return logger_with(records)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """No garbage collector: what dies has no cycle."""
    # What others have left behind may leave something behind in its turn, when it is finalized.
    for _ in range(20):
        if not gc.collect():
            break
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def fast_switching() -> Iterator[None]:
    """Threads change places as often as the interpreter can, so that what is not atomic shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
