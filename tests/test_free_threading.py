"""What only the free-threaded build can show. `tox run -e py314t` runs all other tests there, too."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import pytest

pytestmark = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs the free-threaded build of Python"
)


def test_the_gil_stays_off() -> None:
    """Neither the package nor what it needs asks for the GIL."""
    program = "import sys, fallback_exec; print(sys._is_gil_enabled())"
    command = [sys.executable, "-W", "error", "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
