"""What the Go executor did, this library does; and the comparison that says so can fail."""

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple, cast

import pytest

from fallback_exec import EXEMPT_PROVIDERS
from go_traces import (
    FIELDS_IN_ORDER,
    GO_ERRORS,
    MakeTracker,
    Observation,
    Scenario,
    breaker_tracker,
    compare,
    compare_scenario,
    load,
    replay,
    three_method_tracker,
)

SCENARIOS: Final = load()


class Place(NamedTuple):
    """Where a step stands."""

    scenario: int
    step: int

    @property
    def expected(self) -> Observation:
        """What Go did in the step."""
        return SCENARIOS[self.scenario]["steps"][self.step]["expect"]

    def observed(self, make_tracker: MakeTracker) -> Observation:
        """Return what this library did in it."""
        return replayed(self.scenario, make_tracker)[self.step]

    def scenario_expecting(self, expected: Observation) -> Scenario:
        """Return the scenario, but that something else is expected of this step."""
        scenario = SCENARIOS[self.scenario]
        steps = scenario["steps"].copy()
        steps[self.step] = {**steps[self.step], "expect": expected}
        return {**scenario, "steps": steps}


@cache
def replayed(scenario: int, make_tracker: MakeTracker) -> list[Observation]:
    """Replay a scenario, once for all that is done with it."""
    return replay(SCENARIOS[scenario], make_tracker)


def kinds(expected: Observation) -> set[str]:
    """Name what a step has in it: how it ended, the texts logged, the tracker calls and their values."""
    return {
        expected["error"] or "answer",
        *(line["message"] for line in expected["logs"]),
        *(f"{call['method']} {_kind_of_value(call['returned'])}" for call in expected["tracker_calls"]),
    }


def _kind_of_value(value: object) -> str:
    return str(value) if isinstance(value, bool) else type(value).__name__


def first_of_each_kind() -> dict[str, Place]:
    """Return, for each kind of step, where it occurs first."""
    sizes = enumerate(len(scenario["steps"]) for scenario in SCENARIOS)
    places = [Place(scenario, step) for scenario, size in sizes for step in range(size)]
    return {kind: place for place in reversed(places) for kind in kinds(place.expected)}


FIRST_OF_KIND: Final = first_of_each_kind()


def alterations(expected: Observation) -> Iterator[tuple[str, Observation]]:
    """Yield each copy of what is expected of a step in which one thing is altered, and where that is."""
    for key, value in expected.items():
        for where, other in altered(value):
            yield f"{key}{where}", cast("Observation", {**expected, key: other})


def altered(value: object) -> Iterator[tuple[str, object]]:
    """Yield each copy of a value in which one thing is altered, at any depth, and where that is.

    Values change, also to an equal one of another type; fields and elements go missing, are added, or swap.
    """
    if isinstance(value, dict):
        yield from _altered_fields(value)
    elif isinstance(value, list):
        yield from _altered_elements(value)
    else:
        yield from (("", other) for other in _others(value))


def _altered_fields(fields: dict[str, object]) -> Iterator[tuple[str, object]]:
    yield ".unheard_of added", {**fields, "unheard_of": None}
    for key, value in fields.items():
        yield f".{key} missing", {other: fields[other] for other in fields if other != key}
        for where, other_value in altered(value):
            yield f".{key}{where}", {**fields, key: other_value}


def _altered_elements(elements: list[object]) -> Iterator[tuple[str, object]]:
    yield "[-1] added", [*elements, elements[-1] if elements else None]
    for i, element in enumerate(elements):
        before, after = elements[:i], elements[i + 1 :]
        yield f"[{i}] missing", before + after
        if after and after[0] != element:
            yield f"[{i}] swapped with the next", [*before, after[0], element, *after[1:]]
        for where, other in altered(element):
            yield f"[{i}]{where}", [*before, other, *after]


def _others(value: object) -> list[object]:
    match value:
        case bool():
            return [not value, int(value), None]
        case int():
            return [value + 1, float(value), None]
        case float():
            # 1/8 s is the grain of the traces. A whole number is no duration: 1 must not pass for 1.0.
            return [value + 0.125, int(value), None]
        case str():
            # A text that is cut short, at a colon or a bracket above all, still stands in the whole one.
            cuts = {value[:-1], value[1:], value.partition(": ")[0], value.partition(" (")[0], ""}
            return [f"{value}x", *sorted(cuts - {value})]
        case _:
            return ["something"]


class TestTraces:
    """The file: a shorter one would prove less, and nobody would notice."""

    def test_every_scenario_and_step_is_there(self) -> None:
        """The file holds 120 scenarios, numbered from 0, and 1847 steps."""
        assert [scenario["id"] for scenario in SCENARIOS] == list(range(120))
        assert sum(len(scenario["steps"]) for scenario in SCENARIOS) == 1847

    def test_every_strategy_occurs(self) -> None:
        """The scenarios use every strategy, Go's zero value, and an unknown one."""
        strategies = {scenario["strategy"] for scenario in SCENARIOS}
        assert strategies == {"", "primary_only", "fallback", "round_robin", "bogus"}

    def test_every_kind_of_step_occurs(self) -> None:
        """The steps end in every way, log every text, and make every tracker call with every answer to it."""
        calls = {
            "cooldown_remaining float",
            "is_available False",
            "is_available True",
            "record_failure False",
            "record_failure True",
        }
        assert set(FIRST_OF_KIND) == {"answer", *GO_ERRORS.values(), *FIELDS_IN_ORDER, *calls}


each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: f"scenario-{each['id']:03}")


class TestReplay:
    """Every scenario, step by step, in frozen time."""

    @each_scenario
    def test_agrees_with_the_three_go_methods(self, scenario: Scenario) -> None:
        """With a tracker that has only Go's methods all is as in Go, the calls to the tracker included."""
        observed = replay(scenario, three_method_tracker)
        differences = compare_scenario(scenario, observed, with_tracker_calls=True)
        assert not differences, "\n".join(differences)

    @each_scenario
    def test_agrees_with_the_breaker_tracker(self, scenario: Scenario) -> None:
        """With the breaker tracker the answers, errors, calls, latencies and logs are as in Go."""
        observed = replay(scenario, breaker_tracker)
        differences = compare_scenario(scenario, observed, with_tracker_calls=False)
        assert not differences, "\n".join(differences)

    def test_leaves_the_exempt_providers_as_they_were(self) -> None:
        """A replay has its own exempt providers, and leaves those of the process to the other tests."""
        before = set(EXEMPT_PROVIDERS)
        scenario = next(each for each in SCENARIOS if set(each["exempt"]) != before)
        replay(scenario, breaker_tracker)
        assert before == EXEMPT_PROVIDERS


@pytest.mark.parametrize("kind", sorted(FIRST_OF_KIND))
class TestCompare:
    """The comparison, on a step of each kind: that all agrees says something only if it can fail."""

    def test_reports_every_alteration(self, kind: str) -> None:
        """Whatever is altered in what is expected of a step, that step is said to differ, and no other."""
        place = FIRST_OF_KIND[kind]
        observed = replayed(place.scenario, three_method_tracker)
        for where, expected in alterations(place.expected):
            scenario = place.scenario_expecting(expected)
            differences = compare_scenario(scenario, observed, with_tracker_calls=True)
            named = f"scenario {place.scenario}, step {place.step}: "
            assert differences, f"not noticed: {where}"
            assert all(line.startswith(named) for line in differences), f"{where}: {differences}"

    def test_leaves_out_tracker_calls_alone(self, kind: str) -> None:
        """Without tracker calls, an alteration of them is no difference; one of anything else still is."""
        place = FIRST_OF_KIND[kind]
        observed = place.observed(breaker_tracker)
        for where, expected in alterations(place.expected):
            noticed = compare(expected, observed, with_tracker_calls=False) != []
            assert noticed is not where.startswith("tracker_calls"), where
