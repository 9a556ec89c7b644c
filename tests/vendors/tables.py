"""Findings as Markdown, as they stand in docs/vendors/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

from vendors.findings import Finding
from vendors.retries import Patience
from vendors.sdks import SDKS

Findings = Mapping[str, Mapping[str, Finding]]

#: What is installed to get an SDK, where that has another name; None: the standard library.
_PACKAGES = {"grpc": "grpcio", "urllib": None}


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def matrix(found: Findings) -> str:
    """Return the table of SDKs over HTTP by cases, each with its verdict."""
    cases = found[next(iter(SDKS))]
    rows = ([case, *(found[name][case].verdict for name in SDKS)] for case in cases)
    return _table(["over HTTP", *SDKS], rows)


def column(found: Findings, name: str) -> str:
    """Return the table of one SDK, each case with its verdict."""
    return _table([f"over {name}", "verdict"], ([case, each.verdict] for case, each in found[name].items()))


def by_class(found: Mapping[str, Finding]) -> str:
    """Return the table of one SDK, each class of errors with its verdict and the cases that raised it."""
    raised: dict[tuple[str, str], list[str]] = {}
    for case, each in found.items():
        raised.setdefault((each.error, each.verdict), []).append(case)
    rows = (
        [f"`{error}`" if error else "nothing", "; ".join(cases), verdict]
        for (error, verdict), cases in raised.items()
    )
    return _table(["what is raised", "when", "verdict"], rows)


def with_version(name: str) -> str:
    """Return the SDK's name and version."""
    package = _PACKAGES.get(name, name)
    return f"`{name}`, of the standard library" if package is None else f"`{package}` {version(package)}"


def by_sdk(found: Findings) -> str:
    """Return a section for each SDK."""
    return "\n".join(f"### {with_version(name)}\n\n{by_class(cases)}" for name, cases in found.items())


def retries(measured: Mapping[str, Patience]) -> str:
    """Return the table of what the SDKs' own retries do."""
    rows = (
        [with_version(name), str(each.calls), str(each.calls_without), _times(each.ratio)]
        for name, each in measured.items()
    )
    return _table(["SDK", "calls", "calls, retries off", "takes as long as with retries off"], rows)


def _times(ratio: float) -> str:
    # Below that, a difference is one of the machine's timers.
    return "the same" if ratio < 1.5 else f"{ratio:.0f} times"
