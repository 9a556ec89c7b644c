"""Servers for the tests of shared cooldowns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from real_servers import Server, binaries


@pytest.fixture(scope="session", params=binaries())
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of each kind that there is, which all tests share; each empties it first."""
    server = Server(tmp_path_factory.mktemp("server"), kind=request.param)
    yield server
    server.stop()
