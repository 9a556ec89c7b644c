"""How Sphinx builds these pages: `sphinx-build -n -W --keep-going docs docs/_build/html`."""

from __future__ import annotations

from importlib.metadata import version as version_of

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import fallback_exec
from fallback_exec import config
from fallback_exec.cooldown import breaker
from fallback_exec.events import Listener
from fallback_exec.shared import CooldownStore

# Imported there for type checkers alone, and here for the hints to be resolved.
vars(breaker)["CooldownStore"] = CooldownStore
vars(config)["Listener"] = Listener

project = "fallback_exec"
author = "The fallback_exec maintainers"
copyright = f"2026, {author}"
release = version_of("fallback-exec")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# Of these two, pages include snippets.
exclude_patterns = ["_build", "benchmarks/*.md", "vendors/*.md"]
html_theme = "furo"
html_title = f"fallback_exec {release}"

autodoc_member_order = "bysource"
# The union behind it is nobody's concern but the library's.
autodoc_type_aliases = {"Operation": "Operation"}
python_use_unqualified_type_names = True
# Docstrings write `code` with one backtick.
default_role = "literal"
# `Attributes:` of a class becomes a list in its text: each attribute has one place, not two.
napoleon_use_ivar = True

nitpick_ignore = [
    # Of the standard library and of other packages. Their inventories are on the web; the build needs no
    # network.
    ("py:class", "collections.abc.Callable"),
    ("py:class", "collections.abc.Hashable"),
    ("py:class", "collections.abc.Iterable"),
    ("py:class", "collections.abc.Iterator"),
    ("py:class", "collections.abc.Mapping"),
    ("py:class", "collections.abc.Sequence"),
    ("py:class", "datetime.datetime"),
    ("py:class", "datetime.timedelta"),
    ("py:class", "flask.app.Flask"),
    ("py:class", "logging.Logger"),
    ("py:class", "logging.LoggerAdapter"),
    ("py:class", "matplotlib.figure.Figure"),
    ("py:class", "os.PathLike"),
    ("py:class", "prometheus_client.CollectorRegistry"),
    ("py:class", "pybreaker.CircuitBreaker"),
    ("py:class", "random.Random"),
    ("py:class", "redis.Redis"),
    ("py:class", "redis.RedisCluster"),
    # Type variables, an alias and imports that only annotations name: Sphinx has no page for such things.
    ("py:class", "Logger"),
    ("py:class", "MeterProvider"),
    ("py:class", "TracerProvider"),
    ("py:class", "fallback_exec.execution.P"),
    ("py:class", "fallback_exec.execution.T"),
    ("py:class", "fallback_exec.providers.ClientT"),
    ("py:class", "fallback_exec.results.T"),
    ("py:class", "fallback_exec.stale.P"),
    ("py:class", "fallback_exec.stale.T"),
    ("py:class", "fallback_exec.streaming.P"),
    ("py:class", "fallback_exec.streaming.T"),
]


# Made by the library or the enum machinery, never by users: how they are made says nothing.
_NOT_BUILT_BY_USERS = {
    "Attempt",
    "Bucket",
    "AttemptFailed",
    "AttemptSucceeded",
    "CooldownEnded",
    "CooldownStarted",
    "CooldownStatus",
    "Event",
    "ExecuteResult",
    "ExecutionFinished",
    "ExecutionOutcome",
    "Lane",
    "Outcome",
    "Provider",
    "ProviderSkipped",
    "Span",
    "Strategy",
    "StreamResult",
    "Timeline",
}


def _leave_out_signature(
    _app: Sphinx, what: str, name: str, _obj: object, _options: object, signature: str | None, returns: str
) -> tuple[str, str] | None:
    if signature is None:
        return None
    hide = what == "exception" or name.removeprefix("fallback_exec.") in _NOT_BUILT_BY_USERS
    return ("", "") if hide else (signature, returns)


def _report_undocumented(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that the API page forgot; with `-W` that ends the build."""
    documented = {name for name, *_ in env.domains.python_domain.get_objects()}
    for name in fallback_exec.__all__:
        if f"fallback_exec.{name}" not in documented:
            logging.getLogger(__name__).warning("%s is public and is not in api.md", name)


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", _leave_out_signature)
    app.connect("env-check-consistency", _report_undocumented)
