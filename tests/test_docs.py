"""The page of hazards, whose tests are there, and the README, whose files are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "hazards.md").read_text(encoding="utf-8")

HEADER = ["hazard", "what pybreaker and peers do", "what we promise", "tests"]

#: A test's id as pytest shows it, without the brackets of a parameter.
TEST_ID = re.compile(r"`(tests/[^`]+::[^`]+)`")


def rows_of(page: str) -> list[list[str]]:
    """Return the cells of each row of each table, the headers left out."""
    lines = [line.strip().strip("|") for line in page.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in rows if row != HEADER and set("".join(row)) != {"-"}]


def ids_in(file: Path) -> set[str]:
    """Return the ids of all tests that a file defines; none where there is no such file."""
    if not file.is_file():
        return set()
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            f"{file.relative_to(ROOT).as_posix()}::{prefix}{each.name}"
            for each in members
            if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
        }
    return found


class TestHazards:
    """docs/hazards.md."""

    def test_has_tables(self) -> None:
        """Rows are found, each with a cell for every column."""
        rows = rows_of(PAGE)
        assert len(rows) > 50
        assert [row for row in rows if len(row) != len(HEADER) or not all(row)] == []

    def test_each_row_names_a_test(self) -> None:
        """A promise without a test is none."""
        assert [row[0] for row in rows_of(PAGE) if not TEST_ID.search(row[-1])] == []

    def test_each_test_that_is_named_exists(self) -> None:
        """A test that is renamed is renamed there, too."""
        named = set(TEST_ID.findall(PAGE))
        files = {ROOT / each.split("::")[0] for each in named}
        assert named - set().union(*map(ids_in, files)) == set()

    @pytest.mark.parametrize("library", ["pybreaker", "freezegun", "cachetools"])
    def test_each_behaviour_of_others_is_named(self, library: str) -> None:
        """Whoever sees one of those tests fail finds there which workaround may go."""
        shown = ids_in(ROOT / "tests" / f"test_{library}_hazards.py")
        assert shown
        assert shown - set(TEST_ID.findall(PAGE)) == set()


class TestReadme:
    """README.md."""

    def test_shows_the_demo_s_run_and_the_page(self) -> None:
        """Sphinx does not build it, and would not miss a picture."""
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
        assert pictures == ["docs/images/demo.svg", "docs/images/status-light.png"]
        links = {link for link in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in link}
        assert [link for link in links if not (ROOT / link).is_file()] == []
