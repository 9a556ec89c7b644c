"""Writes what `docs/benchmarks.md` shows, from the records: snippets with tables, and plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.bars import BARS
from bench.plots import draw_plots
from bench.record import Record, read_records
from bench.studies import STUDIES
from bench.tables import Table, markdown, number, study_table

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"


def write_pages() -> None:
    """Write all snippets and plots anew."""
    records = read_records(FOLDER)
    snippets = {"bars": _bars(records), "machine": _machine(records)}
    # One that the last Python has not measured yet has no page yet.
    for name, study in ((name, STUDIES[name]) for name in STUDIES if name in records[-1].studies):
        nothing = Table(records[-1].studies[name].columns, {})
        table = study_table(study.corner, [record.studies.get(name, nothing) for record in records])
        snippets[name] = f"{study.title}; {_legend(records)}:\n\n{table}"
    for name, text in snippets.items():
        (FOLDER / f"{name}.md").write_text(text)
    draw_plots(records[-1], FOLDER)


def _legend(records: Sequence[Record]) -> str:
    """Say which figure of a cell is which Python's."""
    return f"Python {' / '.join(record.python for record in records)}"


def _bars(records: Sequence[Record]) -> str:
    head = ["path", "at most", "aim", *(f"Python {record.python}" for record in records)]
    rows = [
        [
            bar.path,
            number(bar.at_most),
            number(bar.aim),
            *(number(record.bars.get(bar.path)) for record in records),
        ]
        for bar in BARS
    ]
    return markdown(head, rows)


def _machine(records: Sequence[Record]) -> str:
    rows = []
    for fact in records[-1].machine:
        # What is the same for all Pythons is said once.
        values = dict.fromkeys(record.machine[fact] for record in records)
        rows.append([fact, ", ".join(values)])
    return markdown(["", "measured on"], rows)
