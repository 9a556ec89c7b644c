"""Mutation testing of the core: cosmic-ray changes the code in one place, and a test must notice.

    python tests/mutation/run.py [--workers N] [module ...]

Prints a table, and those mutants that no test noticed with the reason that `survivors.toml` has for
each. Fails when fewer than 95 % were noticed, or when a survivor has no reason. Only copies of the
code are ever changed.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import fnmatch
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import attrs
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_and_test, mutate_code
from cosmic_ray.plugins import OPERATOR_PROVIDERS, get_operator, operator_names
from cosmic_ray.testing import run_tests
from cosmic_ray.work_item import MutationSpec, TestOutcome
from parso.python.tree import Keyword

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = "fallback_exec"
AT_LEAST = 95.0  # per cent
CONFIG = tomllib.loads((HERE / "config.toml").read_text("utf-8"))

# Some mutants allocate without end: they are to meet an error, not to take the machine down.
MEMORY = 4 << 30  # bytes of address space


class DeleteStatement:
    """Puts `pass` in the place of a statement of a function, which no operator of cosmic-ray's does.

    Docstrings and asserts, which are for type checkers here, stay. An `Operator` by its methods.
    """

    KINDS = frozenset({"expr_stmt", "atom_expr", "return_stmt", "raise_stmt", "del_stmt"})
    WORDS = frozenset({"return", "raise", "continue", "break"})

    @classmethod
    def arguments(cls) -> tuple[()]:
        """There are none."""
        return ()

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Yield where a statement stands."""
        if node.type == "simple_stmt" and _in_function(node):
            statement = node.children[0]
            if statement.type in self.KINDS or (
                statement.type == "keyword" and statement.value in self.WORDS
            ):
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Delete it."""
        statement = node.children[0]
        node.children[0] = Keyword("pass", statement.start_pos, statement.get_first_leaf().prefix)
        return node


def _in_function(node: Any) -> bool:
    while node is not None and node.type not in {"funcdef", "classdef"}:
        node = node.parent
    return node is not None and node.type == "funcdef"


OPERATOR_PROVIDERS[PACKAGE] = {"DeleteStatement": DeleteStatement}


@attrs.frozen(eq=False)
class Mutant:
    """One change of one module: in which function or class, and the lines before and after."""

    module: str
    place: str
    spec: MutationSpec
    before: str
    after: str

    @property
    def key(self) -> tuple[str, ...]:
        """What stays the same while lines move."""
        return self.module, self.place, self.before, self.after


class _Untyped(ast.NodeTransformer):
    """Takes the annotations away, and how arguments may be given: `*` is no product in a signature."""

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.defaults += [default for default in node.kw_defaults if default is not None]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        is_alias = isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"
        if is_alias or node.value is None:
            return ast.Pass()
        return ast.Assign([node.target], self.visit(node.value))


def _meaning(source: str) -> str:
    """Return what the code says but for its annotations, which nothing reads at run time."""
    return ast.dump(_Untyped().visit(ast.parse(source)))


def mutants_of(module: str) -> list[Mutant]:
    """Return the mutants of a module, each with a meaning of its own."""
    path = Path(PACKAGE, module)
    source = (ROOT / path).read_text("utf-8")
    nodes = list(ast_nodes(get_ast(source)))
    seen = {_meaning(source)}
    mutants = []
    for name in operator_names():
        if any(re.fullmatch(each, name) for each in CONFIG["excluded_operators"]):
            continue
        operator = get_operator(name)()
        found = [(node, *position) for node in nodes for position in operator.mutation_positions(node)]
        for occurrence, (node, start, end) in enumerate(found):
            mutated = mutate_code(source, operator, occurrence)
            try:
                meaning = _meaning(mutated)
            except SyntaxError:  # that `*` again
                continue
            if meaning not in seen:
                seen.add(meaning)
                spec = MutationSpec(path, name, occurrence, start, end)
                place = ASTQuery(node).get_definition_name() or ""
                mutants.append(Mutant(module, place, spec, *_change(source, mutated)))
    return mutants


def _change(source: str, mutated: str) -> tuple[str, str]:
    """Return the lines that differ, before and after, each as one line."""
    lines = [*difflib.ndiff(source.splitlines(), mutated.splitlines())]
    before, after = (
        " ".join(word for line in lines if line.startswith(sign) for word in line[2:].split())
        for sign in ("- ", "+ ")
    )
    return before, after


# The tests.


def _command(tests: list[str]) -> str:
    options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    return shlex.join([sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)])


def own_tests(module: str) -> str:
    """Return the command that runs the module's own tests."""
    return _command(CONFIG["modules"][module])


def all_tests(_module: str) -> str:
    """Return the command that runs all tests of the core."""
    return _command(CONFIG["all_tests"])


def _move_into_copy(parent: str) -> None:
    """Let this process and the tests it starts work on a copy of the code."""
    copy = Path(tempfile.mkdtemp(dir=parent))
    for part in (PACKAGE, "tests"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    # cosmic-ray's runs write no bytecode, of which pytest's rewriting takes half the time of a run.
    paths = [f"tests/{test}" for test in CONFIG["all_tests"]]
    collect = [sys.executable, "-m", "pytest", "-q", "--collect-only", *paths]
    subprocess.run(
        collect, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""}, check=True, capture_output=True
    )
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def patience_for(command: str) -> float:
    """Return the seconds that the tests may take with a mutant: several times what they take without."""
    started = time.perf_counter()
    outcome, output = run_tests(command, timeout=600)
    if outcome is not TestOutcome.SURVIVED:
        raise SystemExit(f"without a mutant, {command} fails:\n{output}")
    return 10 + 3 * (time.perf_counter() - started)


def outcome_of(mutant: Mutant, command: str, patience: float) -> str:
    """Return "killed" where a test notices the mutant, "hung" where one hangs by it, or "survived"."""
    result = mutate_and_test([mutant.spec], command, patience)
    if result.test_outcome is TestOutcome.SURVIVED:
        return "survived"
    if result.test_outcome is not TestOutcome.KILLED:
        raise RuntimeError(f"{mutant} was not tested: {result}")
    return "hung" if result.output == "timeout" else "killed"


def run_all(mutants: list[Mutant], tests_of: Callable[[str], str], pool: Executor) -> dict[Mutant, str]:
    """Return what becomes of each mutant under those tests."""
    commands = [tests_of(mutant.module) for mutant in mutants]
    unique = sorted(set(commands))
    patience = dict(zip(unique, pool.map(patience_for, unique), strict=True))
    outcomes = {}
    tested = pool.map(outcome_of, mutants, commands, [patience[command] for command in commands])
    for number, (mutant, outcome) in enumerate(zip(mutants, tested, strict=True), 1):
        outcomes[mutant] = outcome
        if outcome != "killed":
            print(f"{number} of {len(mutants)} {outcome}: {mutant.module}: {mutant.after}", flush=True)
    return outcomes


# The report.


def reasons_by_key() -> dict[tuple[str, ...], str]:
    """Return the explanations, by what a mutant has as its `key`."""
    return {
        (each["module"], each["place"], each["before"], after): each["reason"]
        for each in tomllib.loads((HERE / "survivors.toml").read_text("utf-8"))["survivor"]
        for after in each["after"]
    }


def report(outcomes: dict[Mutant, str], reasons: dict[tuple[str, ...], str]) -> bool:
    """Print the figures, and the survivors with their reasons. Return whether all is well."""
    survivors = [mutant for mutant, outcome in outcomes.items() if outcome == "survived"]
    keys = {survivor.key for survivor in survivors}
    for survivor in survivors:
        print(f"\n{survivor.module}:{survivor.spec.start_pos[0]}, {survivor.place}")
        print(f"  - {survivor.before}\n  + {survivor.after}")
        print(f"  {reasons.get(survivor.key, 'NOT EXPLAINED')}")
    modules = list(dict.fromkeys(mutant.module for mutant in outcomes))
    for key in sorted(reasons.keys() - keys):
        if key[0] in modules:
            print("\nexplained, but killed or not made:", *key, sep="\n  ")
    print(f"\n{'module':<22}{'mutants':>9}{'killed':>9}{'of these hung':>15}{'survived':>10}{'%':>8}")
    for module in modules:
        print_figures(module, Counter(outcomes[mutant] for mutant in outcomes if mutant.module == module))
    share = print_figures("total", Counter(outcomes.values()))
    return reasons.keys() >= keys and share >= AT_LEAST


def print_figures(title: str, figures: Counter[str]) -> float:
    """Print a line of the table. Return the percentage of mutants that were noticed."""
    made, lived = figures.total(), figures["survived"]
    share = 100 * (made - lived) / made
    print(f"{title:<22}{made:>9}{made - lived:>9}{figures['hung']:>15}{lived:>10}{share:>8.1f}")
    return share


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description="Mutation testing of the core.")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="how many run at once")
    parser.add_argument("modules", nargs="*", metavar="module", help="as in config.toml; by default, all")
    arguments = parser.parse_args()

    found = {path.relative_to(ROOT / PACKAGE).as_posix() for path in (ROOT / PACKAGE).rglob("*.py")}
    core = {name for name in found if not any(fnmatch.fnmatch(name, each) for each in CONFIG["not_core"])}
    if core != set(CONFIG["modules"]):
        parser.error(f"config.toml leaves out, or knows alone: {core ^ set(CONFIG['modules'])}")
    modules = arguments.modules or list(CONFIG["modules"])
    reasons = reasons_by_key()

    with (
        tempfile.TemporaryDirectory() as directory,
        ProcessPoolExecutor(arguments.workers, initializer=_move_into_copy, initargs=(directory,)) as pool,
    ):
        mutants = [mutant for each in pool.map(mutants_of, modules) for mutant in each]
        outcomes = run_all(mutants, own_tests, pool)
        unexplained = [each for each in outcomes if outcomes[each] == "survived" and each.key not in reasons]
        outcomes |= run_all(unexplained, all_tests, pool)
    return 0 if report(outcomes, reasons) else 1


if __name__ == "__main__":
    sys.exit(main())
