"""Tables, as they are printed and as the pages show them: Markdown, its columns aligned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from bench.rounds import Effort


@attrs.frozen
class Table:
    """Figures by row and column; None where there is no such thing."""

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]


@attrs.frozen
class Study:
    """Something that is measured and has no bar to hold.

    Attributes:
        title: What the figures are, their unit included.
        corner: What the rows are.
        measure: Returns the table.
    """

    title: str
    corner: str
    measure: Callable[[Effort], Table]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column stands to the left, and whose others stand to the right."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "".join(_line(cells, widths) for cells in [head, rule, *rows])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join([first, *others])} |\n"


def study_table(corner: str, tables: Sequence[Table]) -> str:
    """Return a study's table, with the rows of the last one; each cell has the figures of all, in order."""
    last = tables[-1]
    nothing = (None,) * len(last.columns)
    rows = []
    for name in last.rows:
        cells = zip(*(table.rows.get(name, nothing) for table in tables), strict=True)
        rows.append([name, *(_cell(figures) for figures in cells)])
    return markdown([corner, *last.columns], rows)


def _cell(figures: Sequence[float | None]) -> str:
    texts = [number(figure) for figure in figures]
    return texts[0] if set(texts) == {"-"} else " / ".join(texts)


def number(figure: float | None) -> str:
    """Return a figure with about three digits; a dash where there is none."""
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"
