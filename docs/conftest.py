"""Runs every Python example of README.md and of these pages: `pytest docs README.md`.

The examples of shared.md find a server at `os.environ["REDIS_URL"]`.
"""

from __future__ import annotations

import doctest
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

from fallback_exec.redis import RedisCooldownStore
from helpers import PATIENCE
from real_servers import Server

_ROOT = Path(__file__).resolve().parents[1]
_OF_SERVERS = "docs/shared.md"

_parser = PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)


def _as_a_script(namespace: dict[str, Any]) -> None:
    namespace["__name__"] = "__main__"  # what `Flask(__name__)` finds where somebody runs the example


def _beside_a_server(namespace: dict[str, Any]) -> None:
    _as_a_script(namespace)
    with ExitStack() as undo:
        directory = undo.enter_context(tempfile.TemporaryDirectory())
        server = Server(Path(directory))
        undo.callback(server.stop)
        patch = undo.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("REDIS_URL", server.url)
        # On a busy machine, the examples' server may take longer than a store waits for it.
        patch.setitem(RedisCooldownStore.__init__.__kwdefaults__ or {}, "timeout", PATIENCE)
        namespace["_undo"] = undo.pop_all()


def _without_it(namespace: dict[str, Any]) -> None:
    namespace.pop("_undo").close()


_EXAMPLES = Sybil(
    parsers=[_parser],
    path=str(_ROOT),
    patterns=["README.md", "docs/*.md"],
    excludes=[_OF_SERVERS],
    setup=_as_a_script,
)
_EXAMPLES_WITH_A_SERVER = Sybil(
    parsers=[_parser],
    path=str(_ROOT),
    patterns=[_OF_SERVERS],
    setup=_beside_a_server,
    teardown=_without_it,
)


class _Collector:
    """A plugin of its own: what a conftest hooks into ends at its directory, and the README stands above."""

    pytest_collect_file = staticmethod((_EXAMPLES + _EXAMPLES_WITH_A_SERVER).pytest())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Collector(), "fallback_exec docs")
