"""The command line: `python -m bench.shared --help`."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.shared import outages
from bench.shared.faults import CALLS, PACE, faults_table
from bench.shared.outages import outages_table
from bench.shared.paths import healthy_table, round_trips_table
from bench.shared.pool import Pool
from bench.shared.sizing import load_table, memory_table
from bench.tables import markdown
from real_servers import Server

PAGE = Path(__file__).resolve().parents[3] / "docs" / "benchmarks" / "sharing.md"


def main() -> None:
    """Measure shared cooldowns beside `pybreaker.CircuitRedisStorage`."""
    parser = argparse.ArgumentParser(prog="python -m bench.shared", description=main.__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE.name}, too")
    write = parser.parse_args().write

    pool = Pool(outages.PROBERS)
    with TemporaryDirectory() as directory:
        server = Server(Path(directory))
        try:
            parts = [_measured(title, measure) for title, measure in _studies(pool, server).items()]
        finally:
            server.stop()
            pool.close()
    if write:
        PAGE.write_text("\n".join(parts))


def _measured(title: str, measure: Callable[[], str]) -> str:
    part = f"{title}:\n\n{measure()}"
    print(part, flush=True)
    return part


def _studies(pool: Pool, server: Server) -> dict[str, Callable[[], str]]:
    return {
        "Calls that reached a dead vendor, `fail_max` 3, the least and the most of "
        f"{outages.ROUNDS} rounds": lambda: outages_table(pool, server),
        "What each path asks, counted by the server; its commands include those within scripts": (
            lambda: round_trips_table(server)
        ),
        f"{CALLS} calls to a healthy vendor, one each {PACE * 1000:g} ms, while the server is away; both "
        "have time limits of 50 ms and repeat nothing": faults_table,
        "A call to a healthy vendor": lambda: healthy_table(server),
        "Bytes on the server for each provider": lambda: memory_table(server),
        "What one process with healthy vendors asks, a second; a refresh of many is read in pieces of "
        "16 kB": lambda: load_table(server),
        "The machine": lambda: _machine(server),
    }


def _machine(server: Server) -> str:
    packages = ("fallback-exec", "pybreaker", "redis")
    facts = {
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "Python": platform.python_version(),
        **{package: version(package) for package in packages},
        "Valkey": str(server.client.info("server")["valkey_version"]),
    }
    return markdown(["", "measured on"], [list(fact) for fact in facts.items()])


if __name__ == "__main__":
    main()
