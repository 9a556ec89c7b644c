"""A plugin for CI: a run in which a test was skipped has failed.

A skip that nobody sees is a promise that nobody checks. In force where `FALLBACK_EXEC_NO_SKIPS` is `1`; only
tests of the free-threaded build may be skipped even then, for few machines have one.
"""

from __future__ import annotations

import os

import pytest

#: The beginning of the reason of the skips that are allowed.
FREE_THREADED = "needs the free-threaded build"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session for its skips."""
    if os.environ.get("FALLBACK_EXEC_NO_SKIPS") != "1":
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    skips = reporter.stats.get("skipped", ())
    forbidden = [report for report in skips if FREE_THREADED not in str(report.longrepr)]
    for report in forbidden:
        reporter.write_line(
            f"skipped, which is not allowed here: {report.nodeid}: {report.longrepr}", red=True
        )
    if forbidden and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
