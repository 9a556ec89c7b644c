"""Runs every Python example of README.md and of these pages: `pytest docs README.md`."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser


def _as_a_script(namespace: dict[str, Any]) -> None:
    namespace["__name__"] = "__main__"  # what `Flask(__name__)` finds where somebody runs the example


_EXAMPLES = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)],
    path=str(Path(__file__).resolve().parents[1]),
    patterns=["README.md", "docs/*.md"],
    setup=_as_a_script,
)


class _Collector:
    """A plugin of its own: what a conftest hooks into ends at its directory, and the README stands above."""

    pytest_collect_file = staticmethod(_EXAMPLES.pytest())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Collector(), "fallback_exec docs")
