"""The command line."""

from __future__ import annotations

import argparse
import sys

from bench.bars import BARS, read_bars
from bench.rounds import QUICK, THOROUGH
from bench.tables import bars_table


def main() -> int:
    """Measure, print, and return 1 when a figure is above what it may be."""
    arguments = _arguments()
    effort = QUICK if arguments.quick else THOROUGH
    only: str = arguments.only.lower()
    bars = [bar for bar in BARS if only in bar.path.lower()]
    readings = sorted(read_bars(bars, effort), key=lambda reading: BARS.index(reading.bar))
    print(bars_table(readings))
    return 0 if all(reading.holds for reading in readings) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="measure only what has NAME in its name")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: for a first look")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
