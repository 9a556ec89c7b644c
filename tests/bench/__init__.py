"""Measures what the library costs: `tox -e bench`, or `PYTHONPATH=tests python -m bench`.

No tests: pytest collects nothing here. Arrows point down this list::

    __main__.py     the command line
    tables.py       tables, as they are printed
    bars.py         the figures that must hold, each with the most it may be
    threads.py      calls that wait, on many threads
    contenders.py   the library and its peers in one and the same scene
    scenes.py       a chain of providers: who cools down, who fails
    rounds.py       how things are timed against each other
"""
