"""What the SDKs' own retries do to a call of a vendor that does not answer."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import attrs

from vendors.cases import STALLS
from vendors.findings import Subject, subjects

#: Seconds that each call is given.
TIMEOUT = 0.5


@attrs.frozen
class Patience:
    """How an SDK deals with a vendor that does not answer.

    Attributes:
        calls: How many calls reached the vendor with the SDK's retries as they come.
        calls_without: The same with its retries off.
        ratio: How many times as long the former took.
    """

    calls: int
    calls_without: int
    ratio: float


def _call(subject: Subject) -> tuple[int, float]:
    began = time.perf_counter()
    with contextlib.suppress(Exception):
        subject.ask(subject.address, STALLS, TIMEOUT)
    took = time.perf_counter() - began
    return subject.vendor.calls(STALLS), took


def measure() -> dict[str, Patience]:
    """Return what was measured, by SDK."""
    found = []
    for retries in (True, False):
        with subjects(retries=retries) as opened, ThreadPoolExecutor(len(opened)) as pool:
            running = {each.name: pool.submit(_call, each) for each in opened}
            found.append({name: each.result() for name, each in running.items()})
    on, off = found
    return {name: Patience(on[name][0], off[name][0], on[name][1] / off[name][1]) for name in on}
