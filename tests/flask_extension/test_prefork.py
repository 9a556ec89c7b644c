"""The extension in a prefork server with several workers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_sites import read
from prefork_server import PreforkServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PreforkServer]:
    """A gunicorn with two workers."""
    with contextlib.closing(PreforkServer(tmp_path, "flask_app", workers=2)) as server:
        yield server


def test_each_worker_speaks_for_itself(server: PreforkServer) -> None:
    """Each says who it is, knows what was recorded before the fork, and nothing of the other since then."""
    for pid, answer in server.ask_each("GET", "/providers/").items():
        page = read(answer["text"])
        assert f"one worker process only (pid {pid})" in page.one("p", class_="scope").text
        assert page.one("svg", role="img").attributes["aria-label"] == "grok: 1 answer"

    (failed,) = server.ask("GET", "/fail")
    assert failed["status"] == 503
    by_process = server.ask_each("GET", "/providers/health").values()
    assert sorted(answer["status"] for answer in by_process) == [200, 503]
    pages = [read(answer["text"]) for answer in server.ask_each("GET", "/providers/").values()]
    labels = [page.one("svg", role="img").attributes["aria-label"] for page in pages]
    assert sorted(labels) == ["grok: 1 answer", "grok: 1 answer, 1 failure, 1 cooldown"]
