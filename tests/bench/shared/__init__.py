"""Measures cooldowns that are shared: `tox -e bench-shared`, or `PYTHONPATH=tests python -m bench.shared`.

Beside the library's store stands `pybreaker.CircuitRedisStorage`, and what shares nothing. The server is the
tests' own. Arrows point down this list::

    __main__.py    the command line, and what docs/shared.md shows
    outages.py     what reaches a dead vendor              faults.py      what a server costs that is away
    paths.py       round trips, and the healthy path       sizing.py      memory, and commands a second
    pool.py        worker processes
    guards.py      who is measured                         counts.py      what the server has counted
"""
