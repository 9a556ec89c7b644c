"""The package as it is imported and installed."""

from __future__ import annotations

import doctest
import importlib.metadata
import importlib.resources
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

import fallback_exec

INSTALLED = os.environ.get("FALLBACK_EXEC_TEST_INSTALLED") == "1"

only_installed = pytest.mark.skipif(not INSTALLED, reason="the package under test is not an installed one")


def output_of(program: str) -> str:
    """Return what a fresh interpreter prints that finds the same package."""
    root = str(Path(fallback_exec.__file__).parents[1])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "error", "-c", program]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


class TestNames:
    """What `from fallback_exec import ...` gives."""

    def test_are_these(self) -> None:
        """The public names, each once: a name that is added or lost is a decision."""
        assert sorted(fallback_exec.__all__) == [
            "AllProvidersFailedError",
            "Attempt",
            "BreakerCooldownTracker",
            "BreakerSettings",
            "CooldownStatus",
            "CooldownTracker",
            "Cooling",
            "Deadline",
            "DeadlineExceededError",
            "EXEMPT_PROVIDERS",
            "ErrorClassifier",
            "ExecuteConfig",
            "ExecuteResult",
            "ExecutionCancelledError",
            "FallbackExecError",
            "InvalidConfigError",
            "NamedProvider",
            "NoProvidersError",
            "Outcome",
            "Permit",
            "Provider",
            "ProviderFailedError",
            "ResponseRejectedError",
            "RoundRobinIndex",
            "StaleIfError",
            "StandInError",
            "Strategy",
            "StreamResult",
            "Verdict",
            "classify_error",
            "execute",
            "execute_stream",
            "redact",
        ]

    def test_can_all_be_imported(self) -> None:
        """Each name is there, and has a docstring unless it is a plain set."""
        for name in fallback_exec.__all__:
            assert name == "EXEMPT_PROVIDERS" or getattr(fallback_exec, name).__doc__

    def test_stand_in_order(self) -> None:
        """Constants, classes, functions, each by the alphabet: a name is found, and added, at its place."""
        names = fallback_exec.__all__
        assert names == sorted(names, key=lambda name: (not name.isupper(), name.islower(), name))


class TestImport:
    """What `import fallback_exec` does."""

    def test_loads_no_integration_and_no_demo(self) -> None:
        """Only what every user needs is loaded; leaves are imported by those who want them."""
        program = (
            "import sys, fallback_exec\n"
            "leaves = ('fallback_exec.cooldown.sharing', 'fallback_exec.cooldown.store',\n"
            "          'fallback_exec.demo', 'fallback_exec.events', 'fallback_exec.flask',\n"
            "          'fallback_exec.notifying', 'fallback_exec.opentelemetry', 'fallback_exec.plot',\n"
            "          'fallback_exec.prometheus', 'fallback_exec.recorder', 'fallback_exec.redis',\n"
            "          'fallback_exec.shared', 'fallback_exec.timeline', 'flask', 'http.', 'matplotlib',\n"
            "          'prometheus_client')\n"
            "print(sorted(name for name in sys.modules if name.startswith(leaves)))"
        )
        assert output_of(program) == "[]\n"

    def test_starts_nothing_and_configures_nothing(self) -> None:
        """No thread is started, and logging is left to the application."""
        program = (
            "import logging, threading, fallback_exec\n"
            "logger = logging.getLogger('fallback_exec')\n"
            "print(threading.active_count(), logging.root.handlers)\n"
            "print(logger.handlers, logger.level, logger.propagate)"
        )
        assert output_of(program) == "1 []\n[] 0 True\n"


class TestDocstring:
    """The example that a newcomer reads first."""

    def test_example_runs(self) -> None:
        """The package's docstring has an example, and says what comes out of it."""
        result = doctest.testmod(fallback_exec)
        assert result.attempted > 5
        assert result.failed == 0


class TestTyping:
    """That the package has types is known to type checkers."""

    def test_marker_is_there(self) -> None:
        """`py.typed` lies beside the modules, also in the wheel."""
        assert importlib.resources.files(fallback_exec).joinpath("py.typed").is_file()


class TestGroups:
    """What developers install."""

    def test_have_no_stubs(self) -> None:
        """All dependencies are typed inline: stubs beside them would hide what they say of themselves."""
        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
        declared = [each for group in project["dependency-groups"].values() for each in group]
        names = [each for each in declared if isinstance(each, str)]
        assert "pytest>=8.4" in names
        assert [name for name in names if name.startswith("types-")] == []


class TestDistribution:
    """The installed wheel. Without tox there need not be one, and nothing is claimed."""

    @only_installed
    def test_is_what_is_tested(self) -> None:
        """The package was imported from where packages are installed, and not from a checkout."""
        site_packages = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
        assert Path(fallback_exec.__file__).resolve().parents[1] in site_packages

    @only_installed
    def test_has_a_version(self) -> None:
        """The version is one that packaging tools order."""
        assert re.fullmatch(
            r"\d+\.\d+\.\d+((a|b|rc)\d+|\.dev\d+)?", importlib.metadata.version("fallback-exec")
        )

    @only_installed
    def test_needs_three_packages_and_python_3_11(self) -> None:
        """Whatever else is declared is an extra: no vendor's SDK comes along."""
        metadata = importlib.metadata.metadata("fallback-exec")
        requirements = [each for each in metadata.get_all("Requires-Dist") or [] if "extra ==" not in each]
        names = [re.split(r"[^\w.-]", each)[0].lower() for each in requirements]
        assert sorted(names) == ["attrs", "cachetools", "pybreaker"]
        assert metadata["Requires-Python"] == ">=3.11"

    @only_installed
    def test_says_what_it_is(self) -> None:
        """Name, summary, licence and the classifier of typed packages are there."""
        metadata = importlib.metadata.metadata("fallback-exec")
        assert metadata["Name"] in {"fallback-exec", "fallback_exec"}
        assert metadata["Summary"]
        assert metadata["License-Expression"] == "MIT"
        assert "Typing :: Typed" in (metadata.get_all("Classifier") or [])

    @only_installed
    def test_holds_the_package_and_nothing_else(self) -> None:
        """No tests, docs or build files are installed beside it."""
        files = importlib.metadata.files("fallback-exec") or []
        tops = {file.parts[0] for file in files if not file.parts[0].startswith("..")}
        assert {top for top in tops if not top.endswith(".dist-info")} == {"fallback_exec"}
        assert any(file.name == "py.typed" for file in files)

    @only_installed
    def test_holds_what_the_status_page_is_made_of(self) -> None:
        """Templates, style and script lie beside the modules."""
        files = importlib.metadata.files("fallback-exec") or []
        assert {file.name for file in files if "flask" in file.parts and file.suffix != ".py"} >= {
            "live.html",
            "status.css",
            "status.html",
            "status.js",
        }
