"""Where the parts of a timeline stand in its drawing, and what they say.

Each lane is a drawing of its own, 720 units wide and as high as `HEIGHT`, which is stretched to the width of
the page: answers rise from a line and failures hang from it, marks along the upper edge tell that it stood in
for another provider, and hatched bands are cooldowns. So nothing is told by a colour alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

import attrs

from fallback_exec._text import name_text
from fallback_exec.timeline import Bucket, Lane, Span, Timeline

WIDTH = 720
HEIGHT = 48
#: Where the line is that answers rise from.
LINE = 32
_HIGHEST = 20  # a bar of answers
_DEEPEST = 14  # a bar of failures
_LEAST = 3  # any bar: one of a thousand is to be seen, too
#: Into how many parts the table divides the time; the drawing has more.
_TABLE_LINES = 12


@attrs.frozen(kw_only=True)
class Column:
    """What happened in one bucket; all lengths in units of the drawing.

    Attributes:
        x: Its left edge.
        width: How wide it is.
        rise: How far answers rise; 0 where there were none.
        fall: How far failures hang down; 0 where there were none.
        stands_in: Whether one of the answers was given in another provider's place.
        text: What happened, and when.
    """

    x: float
    width: float
    rise: float
    fall: float
    stands_in: bool
    text: str


@attrs.frozen
class Band:
    """One cooldown, as `Column`."""

    x: float
    width: float
    text: str


@attrs.frozen
class Line:
    """One line of the table: what happened in some minutes."""

    when: str
    tally: Bucket
    is_cooling: bool


@attrs.frozen(kw_only=True)
class Drawing:
    """The lane of one provider.

    Attributes:
        name: As it is shown.
        summary: What happened in all, in a sentence.
        columns: Those in which anything happened.
        bands: Its cooldowns.
        lines: Those in which anything happened.
    """

    name: str
    summary: str
    columns: tuple[Column, ...]
    bands: tuple[Band, ...]
    lines: tuple[Line, ...]


def drawings(timeline: Timeline) -> list[Drawing]:
    """Draw all lanes to the same scale, in their order."""
    if not timeline.lanes:
        return []
    buckets = [bucket for lane in timeline.lanes for bucket in lane.buckets]
    rise = _scale(_HIGHEST, (bucket.answers for bucket in buckets))
    fall = _scale(_DEEPEST, (bucket.failures for bucket in buckets))
    return [
        Drawing(
            name=name_text(lane.provider),
            summary=_story(_sum(lane.buckets), len(lane.cooldowns)),
            columns=_columns(timeline, lane, rise, fall),
            bands=_bands(timeline, lane),
            lines=_lines(timeline, lane),
        )
        for lane in timeline.lanes
    ]


def _scale(longest: float, counts: Iterable[int]) -> Callable[[int], float]:
    most = max(counts)
    return lambda count: round(max(_LEAST, longest * count / most), 1) if count else 0


def _columns(
    timeline: Timeline, lane: Lane, rise: Callable[[int], float], fall: Callable[[int], float]
) -> tuple[Column, ...]:
    width = WIDTH / len(lane.buckets)
    return tuple(
        Column(
            x=place * width,
            width=width,
            rise=rise(bucket.answers),
            fall=fall(bucket.failures),
            stands_in=bool(bucket.fallbacks),
            text=f"{_hours(_part(timeline, place, len(lane.buckets)))}: {_story(bucket)}",
        )
        for place, bucket in enumerate(lane.buckets)
        if _has_any(bucket)
    )


def _bands(timeline: Timeline, lane: Lane) -> tuple[Band, ...]:
    def x(moment: dt.datetime) -> float:
        return WIDTH * ((moment - timeline.begins) / (timeline.ends - timeline.begins))

    return tuple(
        Band(
            x=round(x(span.begins), 1),
            width=round(max(1, x(span.ends) - x(span.begins)), 1),
            text=f"{span.begins:%H:%M:%S} to {span.ends:%H:%M:%S}: cooling down",
        )
        for span in lane.cooldowns
    )


def _lines(timeline: Timeline, lane: Lane) -> tuple[Line, ...]:
    at_once = len(lane.buckets) // _TABLE_LINES
    lines = []
    for place in range(_TABLE_LINES):
        part = _part(timeline, place, _TABLE_LINES)
        tally = _sum(lane.buckets[place * at_once : (place + 1) * at_once])
        is_cooling = any(span.begins < part.ends and part.begins < span.ends for span in lane.cooldowns)
        if is_cooling or _has_any(tally):
            lines.append(Line(_hours(part), tally, is_cooling))
    return tuple(lines)


def _story(tally: Bucket, cooldowns: int = 0) -> str:
    """Tell in a few words what happened; of what did not, nothing."""
    answers = _count(tally.answers, "answer")
    if tally.fallbacks:
        answers += f" ({tally.fallbacks} in place of another)"
    counts = (_count(tally.failures, "failure"), _count(tally.skips, "skip"), _count(cooldowns, "cooldown"))
    return ", ".join(filter(None, (answers, *counts)))


def _sum(buckets: Iterable[Bucket]) -> Bucket:
    return Bucket(*map(sum, zip(*map(attrs.astuple, buckets), strict=True)))


def _has_any(tally: Bucket) -> bool:
    return any(attrs.astuple(tally))


def _part(timeline: Timeline, place: int, count: int) -> Span:
    length = (timeline.ends - timeline.begins) / count
    return Span(timeline.begins + place * length, timeline.begins + (place + 1) * length)


def _hours(span: Span) -> str:
    return f"{span.begins:%H:%M} to {span.ends:%H:%M}"


def _count(number: int, what: str) -> str:
    """Return the number with its word; of nothing, no word."""
    if not number:
        return ""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
