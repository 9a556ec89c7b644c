"""The demo itself: vendors up, traffic through `execute()`, a look at it ten times a second, the table."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from typing import TextIO

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, Strategy
from fallback_exec.demo.behaviour import Bursty, Flaky, Steady
from fallback_exec.demo.client import VendorClient
from fallback_exec.demo.display import Progress, display_for, states
from fallback_exec.demo.interruption import Interruption
from fallback_exec.demo.report import rows, table, verdict
from fallback_exec.demo.traffic import Call, Traffic
from fallback_exec.demo.vendors import Vendor
from fallback_exec.events import Listener

#: The exit code after Ctrl-C, as shells give it: 128 and the signal's number, 2.
INTERRUPTED = 130

_REDRAW_INTERVAL = 0.1  # seconds
# Shorter than the bursts and outages below, so that within seconds some probes fail and some succeed.
_RESET_TIMEOUT = 0.5  # seconds


def usual_vendors(seed: int) -> list[Vendor]:
    """Return one vendor that refuses in bursts, one that is slow and breaks, and a steady one, paid per use.

    Args:
        seed: Where their draws start.
    """
    bursty = Bursty(f"gemini {seed}", delay=(0.1, 0.2), quota=(20, 35), pause=(0.7, 1.4))
    flaky = Flaky(f"grok {seed}", delay=(0.25, 0.5), reset_share=0.2, stamina=(15, 30), outage=(0.8, 1.4))
    steady = Steady(f"laozhang {seed}", delay=(0.12, 0.2))
    return [Vendor("gemini", bursty), Vendor("grok", flaky), Vendor("laozhang", steady)]


def run_demo(
    vendors: Sequence[Vendor], *, calls: int, workers: int, out: TextIO, listeners: Sequence[Listener] = ()
) -> int:
    """Start the vendors, send the calls, show what happens meanwhile, and write the table.

    To be called in the main thread: it takes Ctrl-C for itself.

    Args:
        vendors: Not yet started, most preferred first, each name once.
        calls: How many requests to send, at least 1.
        workers: How many threads send them, at least 1.
        out: Where to write.
        listeners: Who is told of what happens.

    Returns:
        The exit code: 0, 1 if a request failed altogether, 130 after Ctrl-C.
    """
    names = [vendor.name for vendor in vendors]
    tracker = BreakerCooldownTracker(fail_max=3, reset_timeout=_RESET_TIMEOUT)
    config = ExecuteConfig(
        strategy=Strategy.FALLBACK, cooldown=tracker, logger=_quiet_logger(), listeners=listeners
    )
    with Interruption() as interruption:
        began = time.perf_counter()
        done = _send(vendors, config, tracker, interruption, calls=calls, workers=workers, out=out)
        seconds = time.perf_counter() - began
        out.write(f"\n{table(rows(names, done, tracker.snapshot()))}\n\n{verdict(done, seconds)}\n")
        if interruption.noted:
            out.write(f"Interrupted: {len(done)} of {calls} calls were made.\n")
        out.flush()
    return INTERRUPTED if interruption.noted else int(any(call.error for call in done))


def _send(
    vendors: Sequence[Vendor],
    config: ExecuteConfig,
    tracker: BreakerCooldownTracker,
    interruption: Interruption,
    *,
    calls: int,
    workers: int,
    out: TextIO,
) -> Sequence[Call]:
    names = [vendor.name for vendor in vendors]
    display = display_for(out)
    with contextlib.ExitStack() as running:
        providers = [VendorClient(vendor.name, running.enter_context(vendor).port) for vendor in vendors]
        traffic = running.enter_context(Traffic(providers, config, calls=calls, workers=workers))
        # First to go, however the block ends: what is under way ends at once, and the vendors still answer.
        for vendor in vendors:
            running.callback(vendor.hurry)
        running.callback(traffic.stop)
        finished = False
        while not (finished or interruption.noted):
            finished = traffic.wait(_REDRAW_INTERVAL)
            display.show(Progress(len(traffic.done), calls, states(names, tracker.snapshot())))
    display.finish()
    return traffic.done


def _quiet_logger() -> logging.Logger:
    # Failures are what the demo is about; a record for each would tear the progress line apart.
    logger = logging.getLogger("fallback_exec.demo")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
