"""What is wrong with a PromQL expression, beside what a scrape really has."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import promql_parser
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import AggModifierType, AggregateExpr, BinaryExpr, Expr, MatchOp, VectorSelector

#: The values that each label of a metric may have, by the metric's name.
Known: TypeAlias = Mapping[str, Mapping[str, set[str]]]


def known_of(registry: CollectorRegistry) -> Known:
    """Return what a scrape has."""
    known: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = known.setdefault(sample.name, defaultdict(set))
            for label, value in sample.labels.items():
                labels[label].add(value)
    return known


def filled(expression: str, variables: Mapping[str, str]) -> str:
    """Return the expression as Grafana sends it.

    Raises:
        KeyError: there is no such variable.
    """
    return re.sub(r"\$(\w+)", lambda match: variables[match[1]], expression)


def problems(expression: str, known: Known) -> list[str]:
    """Return what is wrong: the syntax, or a metric, a label or a value that no scrape has."""
    try:
        tree = promql_parser.parse(expression)
    except ValueError as error:
        return [f"syntax: {error}"]
    nodes = nodes_of(tree)
    selectors = [node for node in nodes if isinstance(node, VectorSelector)]
    if not selectors:
        return ["no metric"]
    found = [problem for selector in selectors for problem in _wrong_selector(selector, known)]
    if not found:
        found = [
            f"{metric} has no label {label}"
            for node in nodes
            for label in sorted(_labels_asked(node))
            for metric in sorted(
                {each.name or "" for each in nodes_of(node) if isinstance(each, VectorSelector)}
            )
            if label not in known[metric]
        ]
    return found


def labels_of(expression: str) -> set[str]:
    """Return the labels by which the outermost aggregations of the expression group."""
    tree = promql_parser.parse(expression)
    return set().union(*(_labels_asked(node) for node in nodes_of(tree) if isinstance(node, AggregateExpr)))


def nodes_of(tree: Expr) -> list[Expr]:
    """Return all nodes of an expression."""
    nodes: list[Expr] = []
    promql_parser.walk(tree, nodes.append)
    return nodes


def _wrong_selector(selector: VectorSelector, known: Known) -> Iterator[str]:
    labels = known.get(selector.name or "")
    if labels is None:
        yield f"no metric {selector.name}"
        return
    for matcher in selector.matchers.matchers:
        if matcher.name not in labels:
            yield f"{selector.name} has no label {matcher.name}"
        elif matcher.op in (MatchOp.Re, MatchOp.NotRe):  # which cannot be hashed
            if not any(re.fullmatch(matcher.value, value) for value in labels[matcher.name]):
                yield f"no {matcher.name} of {selector.name} matches {matcher.value}"
        elif matcher.value not in labels[matcher.name]:
            yield f"no {matcher.name} of {selector.name} is {matcher.value}"


def _labels_asked(node: Expr) -> set[str]:
    """Return the labels that a node groups or matches by."""
    if isinstance(node, AggregateExpr) and node.modifier and node.modifier.type == AggModifierType.By:
        return set(node.modifier.labels)
    if isinstance(node, BinaryExpr) and node.modifier and node.modifier.matching:
        return set(node.modifier.matching.labels)
    return set()
