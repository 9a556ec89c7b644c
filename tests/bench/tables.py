"""Tables as they are printed and as the pages show them: Markdown, its columns aligned."""

from __future__ import annotations

from collections.abc import Sequence

from bench.bars import Reading


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column stands to the left and whose others are numbers."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "".join(_line(cells, widths) for cells in [head, rule, *rows])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join([first, *others])} |\n"


def bars_table(readings: Sequence[Reading]) -> str:
    """Return the table of the figures that must hold."""
    head = ["path", "measured", "half of the rounds", "at most", "aim", ""]
    return markdown(head, [_bar_row(reading) for reading in readings])


def _bar_row(reading: Reading) -> list[str]:
    bar, measured = reading.bar, reading.figure
    verdict = "too much" if not reading.holds else "aim reached" if measured.median <= bar.aim else "holds"
    spread = f"{number(measured.low)} to {number(measured.high)}"
    return [bar.path, number(measured.median), spread, number(bar.at_most), number(bar.aim), verdict]


def number(value: float | None) -> str:
    """Return a figure with about three digits; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
