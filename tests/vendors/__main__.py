"""The command line: `python -m vendors --help`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import attrs

from vendors import tables
from vendors.findings import find
from vendors.retries import measure

#: Where the pages have their tables.
FOLDER = Path(__file__).parents[2] / "docs" / "vendors"


def main() -> None:
    """Have real SDKs fail on loopback, and print what `classify_error()` says of their errors."""
    parser = argparse.ArgumentParser(prog="python -m vendors", description=main.__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--retries", action="store_true", help="measure what the SDKs' own retries do")
    what.add_argument("--json", action="store_true", help="print the findings for a program to read")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/vendors/, too")
    arguments = parser.parse_args()

    if arguments.retries:
        pages = {"retries": tables.retries(measure())}
    else:
        found = find()
        pages = {
            "http": tables.matrix(found),
            "grpc": tables.column(found, "grpc"),
            "redis": tables.column(found, "redis"),
            "classes": tables.by_sdk(found),
        }
        if arguments.json:
            print(json.dumps({"findings": found, "pages": pages}, default=attrs.asdict))
            return
    print("\n".join(pages.values()))
    if arguments.write:
        FOLDER.mkdir(exist_ok=True)
        for name, page in pages.items():
            (FOLDER / f"{name}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
