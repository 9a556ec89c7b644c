"""The plots that `docs/benchmarks.md` shows: the same figures give the same files, byte by byte."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.contenders import CONTENDERS
from bench.record import Record
from bench.tables import Table

NO_METADATA = {"Date": None, "Creator": None}

UNIT = "times a healthy pybreaker call"


def draw_plots(record: Record, folder: Path) -> None:
    """Draw one Python's figures."""
    # Text stays text, in the reader's font; with the salt, elements have the same ids each time.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "fallback_exec"}):
        _save(_bars_of(record.studies["scenes"], record), folder / "scenes.svg")
        _save(
            _lines_of(
                record.studies["cooling-chains"], record, "providers, of which the last one answers", UNIT
            ),
            folder / "cooling-chains.svg",
        )
        _save(
            _lines_of(
                record.studies["threads"],
                record,
                "threads that call a provider that takes 5 ms",
                "times bare calls",
            ),
            folder / "threads.svg",
        )


def _bars_of(table: Table, record: Record) -> Figure:
    """Draw a group of bars for each column, a bar for each row."""
    figure, axes = _axes(record)
    height = 0.8 / len(table.rows)
    for place, (name, figures) in enumerate(table.rows.items()):
        there = [(column, value) for column, value in enumerate(figures) if value is not None]
        axes.barh(
            [column + place * height for column, _ in there],
            [value for _, value in there],
            height,
            label=_plain(name),
            color=_color(name),
        )
    axes.set_yticks([column + 0.4 - height / 2 for column in range(len(table.columns))], table.columns)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(UNIT)
    axes.legend()
    return figure


def _lines_of(table: Table, record: Record, across: str, upward: str) -> Figure:
    """Draw a line for each row that has figures, along the numbers that the columns begin with."""
    figure, axes = _axes(record)
    numbers = [int(column.split()[0].replace(",", "")) for column in table.columns]
    for name, figures in table.rows.items():
        values = [value for value in figures if value is not None]
        if len(values) == len(numbers):
            axes.plot(numbers, values, marker="o", label=_plain(name), color=_color(name))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axes.minorticks_off()
    axes.set_xlabel(across)
    axes.set_ylabel(upward)
    axes.legend()
    return figure


def _axes(record: Record) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(f"Python {record.python}; less is better")
    return figure, axes


def _color(name: str) -> str:
    """Return the colour that a contender has in all plots."""
    return f"C{list(CONTENDERS).index(name)}"


def _plain(name: str) -> str:
    return name.replace("`", "")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata=NO_METADATA)
