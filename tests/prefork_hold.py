"""Holding requests to an app of a prefork server until its test lets them go."""

from __future__ import annotations

import os

# Two pipes of the test's.
ARRIVED, GO = (int(descriptor) for descriptor in os.environ["PREFORK_APP_PIPES"].split(","))


def hold_request() -> None:
    """A sync worker takes one request at a time: when all wait here, each of them has one."""
    os.write(ARRIVED, b".")
    os.read(GO, 1)
