"""The command line: `python -m bench --help`."""

from __future__ import annotations

import argparse
import sys

from bench.bars import BARS, bars_table, read_bars
from bench.machine import describe_machine
from bench.record import Record, write_record
from bench.rounds import QUICK, THOROUGH
from bench.studies import STUDIES
from bench.tables import markdown, study_table


def main() -> int:
    """Measure the library beside its peers, and end with 1 when a figure is above what it may be."""
    arguments = _arguments()
    effort = QUICK if arguments.quick else THOROUGH
    wanted = arguments.only.lower()

    bars = [bar for bar in BARS if wanted in bar.path.lower()]
    studies = [name for name in STUDIES if wanted in name]
    if not bars and not studies:
        print(
            f"nothing has {wanted!r} in its name; there are: {', '.join(STUDIES)}, and the rows of the table"
        )
        return 2

    machine = describe_machine() | {"rounds": str(effort.rounds)}
    print(markdown(["", "measured on"], list(machine.items())), flush=True)
    readings = list(read_bars(bars, effort))
    if readings:
        print(bars_table(readings), flush=True)
    tables = {}
    for name in studies:
        study = STUDIES[name]
        tables[name] = study.measure(effort)
        print(f"{study.title} ({name}):\n\n{study_table(study.corner, [tables[name]])}", flush=True)

    if arguments.write:
        from bench import pages  # it draws: matplotlib takes longer to load than a quick look takes

        medians = {reading.bar.path: reading.figure.median for reading in readings}
        write_record(Record(machine, medians, tables), pages.FOLDER)
        pages.write_pages()
    return 0 if all(reading.holds for reading in readings) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--only", default="", metavar="NAME", help="measure what has NAME in its name")
    what.add_argument("--write", action="store_true", help="write the figures into docs/benchmarks/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
