"""The table at the end of the demo: what each provider came to, added up from the attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from fallback_exec import CooldownStatus, Outcome
from fallback_exec.demo.traffic import Call

_HEADINGS = ("provider", "attempts", "answers", "failures", "skips", "cooldowns", "p50 ms", "p99 ms")
_NOTHING = "-"


@attrs.frozen
class Row:
    """What one provider came to. `attempts` is always `answers` and `failures` together.

    Attributes:
        provider: Its name.
        answers: Attempts that succeeded.
        failures: Attempts that did not.
        skips: How often it was passed over because it was cooling down.
        cooldowns: How often a cooldown started.
        latencies: Those of the answers, in seconds, ascending.
    """

    provider: str
    answers: int
    failures: int
    skips: int
    cooldowns: int
    latencies: Sequence[float]

    @property
    def attempts(self) -> int:
        """How often it was called."""
        return self.answers + self.failures


def rows(names: Iterable[str], calls: Sequence[Call], statuses: Mapping[str, CooldownStatus]) -> list[Row]:
    """Add up the calls, a row for each name, in that order.

    Args:
        names: The providers' names.
        calls: All calls that ended.
        statuses: The tracker's snapshot; a provider that it does not know has had no cooldown.
    """
    return [_row(name, calls, statuses.get(name)) for name in names]


def table(rows: Iterable[Row]) -> str:
    """Write the rows out under their headings, with a dash where there is no number."""
    lines = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_aligned(cells, widths) for cells in lines)


def verdict(calls: Sequence[Call], seconds: float) -> str:
    """Say how many requests failed altogether, and of what the first of them did.

    Args:
        calls: All calls that ended.
        seconds: How long they took together.
    """
    errors = [call.error for call in calls if call.error]
    answered = len(calls) - len(errors)
    line = f"{len(calls)} requests in {seconds:.1f} s: {answered} answered, {len(errors)} failed altogether."
    return f"{line}\nThe first that failed: {errors[0]}" if errors else line


def percentile(latencies: Sequence[float], percent: int) -> float:
    """Return the least of the latencies that `percent` per cent of them do not exceed (the nearest rank).

    Args:
        latencies: At least one, ascending.
        percent: 1 to 100.
    """
    rank = -(-percent * len(latencies) // 100)  # rounded up, in whole numbers: floats may miss the edge
    return latencies[rank - 1]


def _row(name: str, calls: Sequence[Call], status: CooldownStatus | None) -> Row:
    attempts = [attempt for call in calls for attempt in call.attempts if attempt.provider == name]
    skips = sum(attempt.outcome is Outcome.SKIPPED for attempt in attempts)
    latencies = sorted(attempt.latency for attempt in attempts if attempt.outcome is Outcome.SUCCESS)
    return Row(
        provider=name,
        answers=len(latencies),
        failures=len(attempts) - skips - len(latencies),
        skips=skips,
        cooldowns=status.openings if status else 0,
        latencies=latencies,
    )


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.attempts, row.answers, row.failures, row.skips, row.cooldowns)
    return (row.provider, *map(str, counts), _milliseconds(row, 50), _milliseconds(row, 99))


def _milliseconds(row: Row, percent: int) -> str:
    return f"{percentile(row.latencies, percent) * 1000:.0f}" if row.latencies else _NOTHING


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return "  ".join([cells[0].ljust(widths[0]), *numbers])
