"""The plugin by which CI fails for a skipped test, in a session of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

SESSION = """
import pytest

def test_that_passes():
    pass

@pytest.mark.skipif({condition}, reason={reason!r})
def test_that_may_be_skipped():
    pass
"""


@pytest.mark.parametrize(
    ("enforced", "is_skipped", "reason", "code"),
    [
        ("1", True, "no such platform", 1),
        ("1", True, "needs the free-threaded build of Python", 0),
        ("1", False, "no such platform", 0),
        ("0", True, "no such platform", 0),
    ],
)
def test_a_skip_fails_the_run_where_it_must_not_be(
    tmp_path: Path, enforced: str, is_skipped: bool, reason: str, code: int
) -> None:
    """Only in CI, and not for the tests that need a build which few machines have."""
    (tmp_path / "test_session.py").write_text(SESSION.format(condition=is_skipped, reason=reason))
    settings = {"PYTHONPATH": str(TESTS), "FALLBACK_EXEC_NO_SKIPS": enforced, "PYTEST_ADDOPTS": ""}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no_skips", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == code, run.stdout + run.stderr
    assert ("skipped, which is not allowed here" in run.stdout) is (code == 1)
    assert (reason in run.stdout) is (code == 1)
