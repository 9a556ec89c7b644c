"""Measures what the library costs: `tox -e bench`, or `PYTHONPATH=tests python -m bench`.

No tests: pytest collects nothing here. `docs/benchmarks.md` explains the method. Arrows point down
this list::

    __main__.py       the command line
    pages.py          what docs/benchmarks.md shows         plots.py      its plots
    record.py         the figures of one run, kept
    bars.py           the figures that must hold            studies.py    all others
    anatomy.py        where the healthy path's time goes
    footprint.py      the time of an import, memory
    side_by_side.py   each contender in each scene
    contenders.py     the library and its peers             scenes.py     who cools down, who fails
    tables.py         tables, as they are printed           machine.py    what it was measured on
    threads.py        calls that wait, on many threads
    rounds.py         how things are timed against each other

`bench.shared` measures what needs a server, by a command of its own.
"""
