"""The figures of one run, kept as JSON: one file for each Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import attrs

from bench.tables import Table


@attrs.frozen
class Record:
    """What one Python's run has measured.

    Attributes:
        machine: What it ran on.
        bars: The median of each bar, by its path.
        studies: The table of each study, by its name.
    """

    machine: Mapping[str, str]
    bars: Mapping[str, float]
    studies: Mapping[str, Table]

    @property
    def python(self) -> str:
        """The Python's version without its last part."""
        return ".".join(self.machine["Python"].split()[-1].split(".")[:2])


def write_record(record: Record, folder: Path) -> None:
    """Keep the record in place of the one of the same Python."""
    text = json.dumps(attrs.asdict(record), indent=1, sort_keys=False)
    (folder / f"python-{record.python}.json").write_text(text + "\n")


def read_records(folder: Path) -> list[Record]:
    """Return the records that are kept, the oldest Python's first."""
    records = [_read(path) for path in folder.glob("python-*.json")]
    return sorted(records, key=lambda record: [int(part) for part in record.python.split(".")])


def _read(path: Path) -> Record:
    kept = json.loads(path.read_text())
    studies = {
        name: Table(tuple(table["columns"]), {row: tuple(figures) for row, figures in table["rows"].items()})
        for name, table in kept["studies"].items()
    }
    return Record(kept["machine"], kept["bars"], studies)
