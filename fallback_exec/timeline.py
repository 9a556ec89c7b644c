"""Condenses events into what a page and a picture draw: who served when, who cooled, where it fell back.

>>> from fallback_exec import ExecuteConfig, NamedProvider, execute
>>> from fallback_exec.recorder import Recorder
>>> recorder = Recorder()
>>> config = ExecuteConfig(listeners=[recorder])
>>> execute([NamedProvider("a", None)], config, lambda provider: "an answer").response
'an answer'
>>> (lane,) = timeline(recorder.events()).lanes
>>> lane.provider, lane.answers, lane.share, lane.buckets[-1]
('a', 1, 1.0, Bucket(answers=1, failures=0, skips=0, fallbacks=0))
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from fallback_exec import _checks, _clock
from fallback_exec._checks import Seconds
from fallback_exec.errors import InvalidConfigError
from fallback_exec.events import (
    AttemptFailed,
    AttemptSucceeded,
    CooldownEnded,
    CooldownStarted,
    Event,
    ProviderSkipped,
)

#: How many providers have a lane of their own. More than these nobody can tell apart.
MOST_LANES = 50
#: The name of the last lane where there are more: that of all the others together.
OTHERS = "other providers"

_SHORTEST = dt.timedelta(seconds=1)  # where the events are of one moment, or nearly so
# Of the others, an `ExecutionFinished`, nothing is drawn.
_OF_COOLDOWNS = (ProviderSkipped, AttemptFailed, CooldownStarted)
_OF_PROVIDERS = (*_OF_COOLDOWNS, AttemptSucceeded, CooldownEnded)


@attrs.frozen
class Span:
    """A stretch of time.

    Attributes:
        begins: Aware, in UTC.
        ends: Later than `begins`.
    """

    begins: dt.datetime
    ends: dt.datetime


@attrs.frozen
class Bucket:
    """What happened to a provider in one part of the time.

    Attributes:
        answers: Attempts that it answered.
        failures: Attempts that it did not answer.
        skips: How often it was passed over, as it was cooling down.
        fallbacks: Those of the answers that were given after another provider of the same execution had
            failed or been skipped.
    """

    answers: int
    failures: int
    skips: int
    fallbacks: int


@attrs.frozen
class Lane:
    """One provider.

    Attributes:
        provider: Its name; `OTHERS` for those that have no lane of their own.
        buckets: One for each part of the time, in order.
        cooldowns: When it was cooling down, in order; no two of them overlap.
        answers: The sum of those of the buckets.
        failures: As `answers`.
        skips: As `answers`.
        share: Its part of all answers, 0 to 1; None where there were none.
    """

    provider: str
    buckets: tuple[Bucket, ...]
    cooldowns: tuple[Span, ...]
    answers: int
    failures: int
    skips: int
    share: float | None


@attrs.frozen
class Timeline:
    """What happened from `begins` to `ends`, both included.

    Attributes:
        begins: Aware, in UTC.
        ends: Later than `begins`.
        bucket_seconds: How long each bucket is, in seconds.
        lanes: One for each provider of which something is told, in the order in which the first of it
            happened; at most `MOST_LANES`, and one of the others.
    """

    begins: dt.datetime
    ends: dt.datetime
    bucket_seconds: float
    lanes: tuple[Lane, ...]


def timeline(
    events: Iterable[Event],
    *,
    ends: dt.datetime | None = None,
    seconds: Seconds | None = 3600.0,
    buckets: int = 120,
) -> Timeline:
    """Condense events, in whatever order, and of however many processes.

    A cooldown is shown from when it is told of until it is over by itself: as a `CooldownStarted` tells, a
    `ProviderSkipped` or an `AttemptFailed`, which may also move the end of one that is known to later. A
    `CooldownEnded` ends it before its time. What hands change is no event, and is not seen.

    Args:
        events: All that are known: also those before the span, whose cooldowns may reach into it.
        ends: Where the span ends, aware. By default now; without `seconds` the time of the last event.
        seconds: How long the span is; seconds or a timedelta. None begins with the first event, and at least
            a second before the end.
        buckets: Into how many parts of equal length the span is divided.

    Raises:
        InvalidConfigError: a setting is out of its range or of the wrong type.
    """
    count = _checks.whole("buckets", buckets)
    told = sorted(events, key=lambda event: event.time)
    span = _span(told, ends, seconds)
    parts = _parts(told, span)
    own, rest = parts[:MOST_LANES], parts[MOST_LANES:]
    if rest:
        own.append(_joined(rest))
    passed = _passed(told)
    answers = sum(isinstance(event, AttemptSucceeded) for part in own for event in part.events)
    return Timeline(
        begins=span.begins,
        ends=span.ends,
        bucket_seconds=(span.ends - span.begins).total_seconds() / count,
        lanes=tuple(_lane(part, span, count, passed, answers) for part in own),
    )


@attrs.frozen
class _Part:
    """What is told of one provider, in order: its events within the span, and its cooldowns."""

    provider: str
    events: Sequence[Event]
    cooldowns: Sequence[Span]


def _span(told: Sequence[Event], ends: dt.datetime | None, seconds: Seconds | None) -> Span:
    if ends is not None and (not isinstance(ends, dt.datetime) or ends.tzinfo is None):
        raise InvalidConfigError("ends", ends, "must be an aware datetime")
    if seconds is not None:
        length = dt.timedelta(seconds=_checks.positive_seconds("seconds", seconds))
        ends = _clock.now() if ends is None else ends.astimezone(dt.UTC)
        return Span(ends - length, ends)
    if ends is None:
        ends = told[-1].time if told else _clock.now()
    begins = told[0].time if told else ends
    return Span(min(begins, ends - _SHORTEST), ends.astimezone(dt.UTC))


def _parts(told: Iterable[Event], span: Span) -> list[_Part]:
    """Sort the events by provider; leave out those of whom nothing is told within the span."""
    by_provider: defaultdict[str, list[Event]] = defaultdict(list)
    for event in told:
        if isinstance(event, _OF_PROVIDERS) and event.time <= span.ends:
            by_provider[event.provider].append(event)
    parts = [
        _Part(
            provider,
            [event for event in of_one if event.time >= span.begins],
            list(_cut(_cooldowns(of_one), span)),
        )
        for provider, of_one in by_provider.items()
    ]
    return [part for part in parts if part.events or part.cooldowns]


def _cooldowns(of_one: Iterable[Event]) -> list[Span]:
    """Return the cooldowns of one provider as its events tell of them, in order."""
    spans: list[Span] = []
    for event in of_one:
        running = spans.pop() if spans and event.time < spans[-1].ends else None
        if isinstance(event, CooldownEnded) and running is not None:
            running = Span(running.begins, event.time)
        elif isinstance(event, _OF_COOLDOWNS) and (remaining := event.cooldown_remaining or 0.0) > 0.0:
            ends = _clock.later(event.time, remaining)
            running = Span(event.time, ends) if running is None else _lengthened(running, ends)
        if running is not None:
            spans.append(running)
    return spans


def _lengthened(span: Span, ends: dt.datetime) -> Span:
    return Span(span.begins, max(span.ends, ends))


def _cut(spans: Iterable[Span], within: Span) -> Iterator[Span]:
    """Cut the spans to those parts that lie within another one."""
    for span in spans:
        begins, ends = max(span.begins, within.begins), min(span.ends, within.ends)
        if begins < ends:
            yield Span(begins, ends)


def _joined(parts: Iterable[_Part]) -> _Part:
    """Make one part of several."""
    events = [event for part in parts for event in part.events]
    spans: list[Span] = []
    for span in sorted((span for part in parts for span in part.cooldowns), key=lambda span: span.begins):
        if spans and span.begins < spans[-1].ends:
            spans[-1] = _lengthened(spans[-1], span.ends)
        else:
            spans.append(span)
    return _Part(OTHERS, events, spans)


def _passed(told: Iterable[Event]) -> dict[str, set[str]]:
    """Return by execution who failed or was skipped in it: all of them before the answer."""
    passed: defaultdict[str, set[str]] = defaultdict(set)
    for event in told:
        if isinstance(event, AttemptFailed | ProviderSkipped):
            passed[event.execution_id].add(event.provider)
    return passed


def _lane(part: _Part, span: Span, count: int, passed: Mapping[str, set[str]], all_answers: int) -> Lane:
    tallies = [[0, 0, 0, 0] for _ in range(count)]
    length = span.ends - span.begins
    for event in part.events:
        tally = tallies[min((event.time - span.begins) * count // length, count - 1)]
        if isinstance(event, AttemptSucceeded):
            tally[0] += 1
            tally[3] += bool(passed.get(event.execution_id, set()) - {event.provider})
        elif isinstance(event, AttemptFailed):
            tally[1] += 1
        elif isinstance(event, ProviderSkipped):
            tally[2] += 1
    answers, failures, skips, _ = map(sum, zip(*tallies, strict=True))
    return Lane(
        provider=part.provider,
        buckets=tuple(Bucket(*tally) for tally in tallies),
        cooldowns=tuple(part.cooldowns),
        answers=answers,
        failures=failures,
        skips=skips,
        share=answers / all_answers if all_answers else None,
    )
