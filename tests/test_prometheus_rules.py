"""The Grafana dashboard and the alert rules of the docs: they ask for what scrapes have."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, execute
from fallback_exec.prometheus import PrometheusListener
from helpers import VendorError, replying, vendors
from promql_checks import Known, filled, known_of, labels_of, problems

DOCS = Path(__file__).parents[1] / "docs"

RULES = yaml.safe_load((DOCS / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((DOCS / "prometheus" / "dashboard.json").read_text(encoding="utf-8"))
RECIPES = re.findall(
    r"^```promql\n(.*?)^```$", (DOCS / "prometheus.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)

ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = DASHBOARD["panels"]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}

#: What a variable stands for where "All" is chosen, and what Grafana puts in the place of its own.
CHOSEN = {"__rate_interval": "5m", **{name: each.get("allValue", "") for name, each in VARIABLES.items()}}

#: The panels that there are to be.
TITLES = {
    "Executions by outcome",
    "Attempts by provider and outcome",
    "Share of fallbacks",
    "Share of answers by provider",
    "Latency by provider",
    "State of each provider",
    "Cooldowns started",
    "Remaining cooldown",
}


@pytest.fixture(params=["one process", "many processes"])
def known(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Known:
    """What a scrape has, of one process or of many, after a chain `[a, z]` has fallen back."""
    if request.param == "many processes":
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return known_in()


def known_in() -> Known:
    """Return what a scrape has after a chain `[a, z]` has fallen back."""
    registry = CollectorRegistry()
    listener = PrometheusListener(registry)
    tracker = BreakerCooldownTracker(fail_max=1)
    listener.watch(tracker)
    config = ExecuteConfig(strategy="fallback", cooldown=tracker, listeners=[listener])
    execute(vendors("a", "z"), config, replying(a=VendorError(), z="answer"))
    return known_of(registry)


def expressions_of(panel: Mapping[str, Any]) -> list[str]:
    """Return what a panel asks for, as Grafana sends it."""
    return [filled(target["expr"], CHOSEN) for target in panel["targets"]]


class TestAlerts:
    """docs/prometheus/alerts.yml."""

    def test_are_a_file_of_rules(self) -> None:
        """Its parts are those that Prometheus reads, and no others: it refuses a file that has more."""
        assert RULES.keys() == {"groups"}
        assert all(group.keys() == {"name", "rules"} for group in RULES["groups"])
        names = [group["name"] for group in RULES["groups"]]
        assert len(set(names)) == len(names) > 0
        alerts = [rule["alert"] for rule in ALERTS]
        assert len(set(alerts)) == len(alerts) >= 4

    @pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
    def test_each_is_a_rule(self, rule: Mapping[str, Any]) -> None:
        """It has an expression, a severity and texts; `for`, where it is there, is a duration."""
        assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"FallbackExec[A-Za-z]+", rule["alert"])
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert promql_parser.parse_duration(rule.get("for", "1m")).total_seconds() > 0

    @pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
    def test_each_asks_for_what_there_is(self, rule: Mapping[str, Any], known: Known) -> None:
        """Its expression can be read; metrics, labels and values are those of a scrape."""
        assert problems(rule["expr"], known) == []

    @pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
    def test_each_text_names_labels_that_it_has(self, rule: Mapping[str, Any]) -> None:
        """What a template names is what the expression groups by; nothing else is left of a series."""
        for text in rule["annotations"].values():
            assert text.count("{{") == text.count("}}") > 0
            assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels_of(rule["expr"])


class TestDashboard:
    """docs/prometheus/dashboard.json."""

    def test_can_be_imported(self) -> None:
        """It has no id of somebody's Grafana, and lets its data source be chosen."""
        assert DASHBOARD["id"] is None
        assert DASHBOARD["title"]
        assert re.fullmatch(r"[a-z-]{1,40}", DASHBOARD["uid"])
        assert DASHBOARD["schemaVersion"] >= 39  # of Grafana 11
        assert VARIABLES["datasource"]["type"] == "datasource"
        assert VARIABLES["datasource"]["query"] == "prometheus"
        sources = [
            each["datasource"] for each in [*PANELS, *targets(), VARIABLES["executor"], VARIABLES["provider"]]
        ]
        assert sources == [{"type": "prometheus", "uid": "${datasource}"}] * len(sources)

    def test_has_its_panels(self) -> None:
        """Each has a number and a place of its own, and says what it shows."""
        assert {panel["title"] for panel in PANELS} == TITLES
        assert len({panel["id"] for panel in PANELS}) == len(PANELS)
        assert {panel["type"] for panel in PANELS} == {"timeseries", "state-timeline", "bargauge"}
        assert all(panel["description"] and panel["targets"] for panel in PANELS)
        covered = [cell for panel in PANELS for cell in cells_of(panel["gridPos"])]
        assert len(covered) == len(set(covered))
        assert max(x for x, _ in covered) == 23  # Grafana's grid has 24 columns

    @pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
    def test_each_panel_asks_for_what_there_is(self, panel: Mapping[str, Any], known: Known) -> None:
        """Its expressions can be read; metrics, labels and values are those of a scrape."""
        assert [problems(expression, known) for expression in expressions_of(panel)] == [[]] * len(
            panel["targets"]
        )

    @pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
    def test_each_legend_names_labels_that_there_are(self, panel: Mapping[str, Any]) -> None:
        """It names those that the expression groups by."""
        for target, expression in zip(panel["targets"], expressions_of(panel), strict=True):
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert set() < named <= labels_of(expression)

    @pytest.mark.parametrize("name", ["executor", "provider"])
    def test_variables_ask_for_what_there_is(self, name: str, known: Known) -> None:
        """They are the values of a label of a metric."""
        query = VARIABLES[name]["query"]["query"]
        parts = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert parts is not None
        assert parts[2] == name
        assert problems(f"sum by ({name}) ({filled(parts[1], CHOSEN)})", known) == []


class TestRecipes:
    """The expressions of docs/prometheus.md."""

    def test_are_there(self) -> None:
        """They are found by their fences."""
        assert len(RECIPES) >= 4

    @pytest.mark.parametrize("recipe", RECIPES)
    def test_each_asks_for_what_there_is(self, recipe: str) -> None:
        """As the alerts do; providers are named as readers may name theirs."""
        assert problems(re.sub(r'provider(=|!=)"gemini"', r'provider\1"a"', recipe), known_in()) == []


class TestChecks:
    """What the checks find."""

    @pytest.mark.parametrize(
        ("expression", "problem"),
        [
            ("sum by (executor (fallback_exec_executions_total)", "syntax: "),
            ("rate(fallback_exec_executions_total)", "syntax: "),
            ("ratio(fallback_exec_executions_total[5m])", "syntax: "),
            ("time() - 5", "no metric"),
            ("rate(fallback_exec_execution_total[5m])", "no metric fallback_exec_execution_total"),
            ("fallback_exec_attempt_duration_seconds", "no metric fallback_exec_attempt_duration_seconds"),
            (
                'fallback_exec_executions_total{provider="a"}',
                "fallback_exec_executions_total has no label provider",
            ),
            (
                'fallback_exec_executions_total{outcome="failure"}',
                "no outcome of fallback_exec_executions_total is failure",
            ),
            (
                'fallback_exec_attempts_total{outcome!="failed"}',
                "no outcome of fallback_exec_attempts_total is failed",
            ),
            (
                'fallback_exec_provider_state{state=~"half.opened|ope"}',
                "no state of fallback_exec_provider_state matches half.opened|ope",
            ),
            (
                "max by (executor) (fallback_exec_provider_state)",
                "fallback_exec_provider_state has no label executor",
            ),
            (
                "fallback_exec_cooldowns_total / on (outcome) fallback_exec_attempts_total",
                "fallback_exec_cooldowns_total has no label outcome",
            ),
            (
                "histogram_quantile(1, sum by (le) (rate(fallback_exec_attempt_duration_seconds_count[5m])))",
                "fallback_exec_attempt_duration_seconds_count has no label le",
            ),
        ],
    )
    def test_each_mistake_is_found(self, expression: str, problem: str, known: Known) -> None:
        """A misspelt metric, label or value; and what Prometheus itself would refuse."""
        (found,) = problems(expression, known)
        assert found.startswith(problem)

    def test_what_one_process_alone_has(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A countdown would be found out where there are many."""
        countdown = "fallback_exec_cooldown_remaining_seconds"
        assert problems(countdown, known_in()) == []
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        assert problems(countdown, known_in()) == [f"no metric {countdown}"]

    def test_a_variable_that_there_is_not(self) -> None:
        """Nobody could choose it."""
        with pytest.raises(KeyError, match="vendor"):
            filled('fallback_exec_attempts_total{provider=~"$vendor"}', CHOSEN)

    def test_what_an_expression_groups_by(self) -> None:
        """Labels that only match two sides are not left of it."""
        expression = "sum by (executor) (a and on (provider) topk by (outcome) (1, b)) / ignoring (le) c"
        assert labels_of(expression) == {"executor", "outcome"}


def targets() -> Iterator[Mapping[str, Any]]:
    """Yield what all panels ask for."""
    return itertools.chain.from_iterable(panel["targets"] for panel in PANELS)


def cells_of(place: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Yield the cells of the grid that a panel covers."""
    return itertools.product(
        range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    )
