"""What is measured on, as far as figures depend on it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("fallback-exec", "pybreaker", "attrs", "cachetools", "apifailover", "langchain-core")


def describe_machine() -> dict[str, str]:
    """Return the machine, the Python and the packages; no name that tells whose machine it is."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{package: version(package) for package in PACKAGES},
    }


def _processor() -> str:
    """Return the processor's model, which only Linux tells well."""
    description = Path("/proc/cpuinfo")
    if description.exists():
        for line in description.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
