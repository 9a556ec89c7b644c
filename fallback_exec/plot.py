"""Draws a timeline into a file, as `python -m fallback_exec timeline FILE -o out.svg` does.

Needs the extra `fallback-exec[plot]`. Not safe for use by two threads at once, as matplotlib is not.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from fallback_exec import _files
from fallback_exec._text import name_text
from fallback_exec.errors import InvalidConfigError
from fallback_exec.timeline import Lane, Span, Timeline

try:
    from matplotlib import dates, style
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Patch
except ImportError as error:
    raise ImportError(
        'fallback_exec.plot needs matplotlib: pip install "fallback-exec[plot]"', name=error.name
    ) from error

# Of each kind of file, what else would differ from one run to the next.
_DATES: dict[str, dict[str, Any]] = {".pdf": {"CreationDate": None}, ".png": {}, ".svg": {"Date": None}}

_Look: TypeAlias = dict[str, Any]

# Of the palette of Okabe and Ito, made for those who see fewer colours. In black and white: dark; light with
# stripes; middle, and downwards; a pale band over a dark line.
_ANSWERS: _Look = {"facecolor": "#0072B2", "edgecolor": "none", "linewidth": 0.0}
_FALLBACKS: _Look = {"facecolor": "#B9DDF2", "edgecolor": "#0072B2", "hatch": "//////", "linewidth": 0.5}
_FAILURES: _Look = {"facecolor": "#D55E00", "edgecolor": "none", "linewidth": 0.0}
_COOLDOWNS: _Look = {"facecolor": "#E4E4E4", "edgecolor": "none", "linewidth": 0.0}
_UNDERLINES: _Look = {"facecolor": "#4D4D4D", "edgecolor": "none", "linewidth": 0.0}
_LEGEND = {
    "answers": _ANSWERS,
    "answers after a fallback": _FALLBACKS,
    "failures": _FAILURES,
    "cooling down": _COOLDOWNS,
}
_INK, _PALE_INK = "#1A1A1A", "#BBBBBB"

_WIDTH = 8.0  # inches: 768 pixels of a page
_FRAME, _LANE = 1.0, 0.85  # inches: legend and axis together; each lane
_MARGIN = 0.1  # inches: room for names where the viewer's letters are wider than ours
_PIXELS = 200  # an inch, in a PNG: sharp where it is shown at the width of an SVG
_LONGEST_NAME = 32  # characters

# Shares of a lane's height, counted from above: where the bars may be; the band of a cooldown and its line,
# each where it begins and how high it is.
_TOP, _ROOM = 0.06, 0.8
_BAND, _UNDERLINE = (0.04, 0.92), (0.9, 0.06)
_LINE_SPACING = 0.2
_LEAST = 0.04  # of a bar: what happened once is seen beside what happened a thousand times

# The labels of the axis by unit, from years to seconds: as a rule; where the next greater unit begins; and
# what all of them have in common. None has a word in it that depends on the locale.
_LABELS = ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%H:%M:%S.%f"]
_LABELS_AT_ZERO = ["", "%Y", "%Y-%m", "%Y-%m-%d", "%H:%M", "%H:%M:%S.%f"]
_COMMON = ["", "", "%Y", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d"]

_SETTINGS = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "svg.hashsalt": "fallback_exec",  # without one, ids are drawn anew each time
}


def save(timeline: Timeline, path: str | os.PathLike[str]) -> None:
    """Draw a timeline into a file: the same timeline as the same picture, whatever the user's settings.

    The file is written whole or not at all; one of that name is replaced.

    Args:
        timeline: What to draw.
        path: Its name ends in `.svg`, `.png` or `.pdf`.

    Raises:
        InvalidConfigError: The name ends in something else.
        OSError: The file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in _DATES:
        raise InvalidConfigError("path", path.name, f"must end in one of {', '.join(_DATES)}")
    picture = io.BytesIO()
    with style.context(["default", _SETTINGS]), warnings.catch_warnings():
        # Of scripts that matplotlib's own font does not have. Who shows an SVG has them.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        metadata = {"Title": _described(timeline), **_DATES[kind]}
        draw(timeline).savefig(picture, format=kind[1:], dpi=_PIXELS, metadata=metadata)
    with _files.replacing(path, "xb") as file:
        file.write(picture.getvalue())


def draw(timeline: Timeline) -> Figure:
    """Draw a timeline: of each provider the answers upwards, the failures downwards, the cooldowns as bands.

    All bars are of one scale, save that none is too low to be seen. The figure belongs to no window, and
    follows the user's settings of matplotlib.
    """
    lanes = timeline.lanes
    figure = Figure(
        figsize=(_WIDTH, _FRAME + _LANE * len(lanes)),
        layout=ConstrainedLayoutEngine(w_pad=_MARGIN, h_pad=_MARGIN),
        facecolor="white",
    )
    axes = figure.add_subplot()
    begins, length = _stretch(Span(timeline.begins, timeline.ends))
    line, scale = _measures(lanes)
    for place, lane in enumerate(lanes):
        count = len(lane.buckets)
        edges = [begins + length * number / count for number in range(count + 1)]
        _draw_bars(axes, lane, place, edges, line, scale)
        _write_beside(axes, lane, place + 0.5)
        axes.axhline(place, color=_PALE_INK, linewidth=0.6)
    axes.set_xlim(begins, begins + length)
    axes.set_ylim(max(len(lanes), 1), 0)
    _draw_axis(axes, timeline.bucket_seconds)
    handles = [Patch(label=label, **look) for label, look in _LEGEND.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def _draw_bars(axes: Axes, lane: Lane, place: int, edges: Sequence[float], line: float, scale: float) -> None:
    spans = [_stretch(span) for span in lane.cooldowns]
    axes.broken_barh(spans, (place + _BAND[0], _BAND[1]), **_COOLDOWNS)
    axes.broken_barh(spans, (place + _UNDERLINE[0], _UNDERLINE[1]), **_UNDERLINES)
    line += place
    # The axis points downwards, as lanes are read.
    first = [line - _height(bucket.answers - bucket.fallbacks, scale) for bucket in lane.buckets]
    then = [top - _height(bucket.fallbacks, scale) for top, bucket in zip(first, lane.buckets, strict=True)]
    failures = [line + _height(bucket.failures, scale) for bucket in lane.buckets]
    axes.stairs(first, edges, baseline=line, fill=True, **_ANSWERS)
    axes.stairs(then, edges, baseline=first, fill=True, **_FALLBACKS)
    axes.stairs(failures, edges, baseline=line, fill=True, **_FAILURES)
    axes.hlines(line, edges[0], edges[-1], color=_INK, linewidth=0.6)


def _write_beside(axes: Axes, lane: Lane, middle: float) -> None:
    # Not as formulas, which a name with two dollar signs would be.
    look: _Look = {
        "transform": axes.get_yaxis_transform(),
        "va": "center",
        "color": _INK,
        "parse_math": False,
    }
    axes.text(-0.015, middle, _name(lane), ha="right", fontsize=11, fontweight="bold", **look)
    share = "" if lane.share is None else f" ({lane.share:.0%})"
    sums = (f"answers {lane.answers:,}{share}", f"failures {lane.failures:,}", f"skips {lane.skips:,}")
    for line, text in enumerate(sums, start=-1):
        axes.text(1.015, middle + line * _LINE_SPACING, text, fontsize=9, **look)


def _draw_axis(axes: Axes, bucket_seconds: float) -> None:
    locator = dates.AutoDateLocator(tz=dt.UTC, minticks=3, maxticks=7)
    labels = dates.ConciseDateFormatter(
        locator, tz=dt.UTC, formats=_LABELS, zero_formats=_LABELS_AT_ZERO, offset_formats=_COMMON
    )
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(labels)
    axes.tick_params(labelsize=9)
    axes.xaxis.get_offset_text().set_fontsize(9)
    axes.set_xlabel(f"UTC; one bar: {_duration(bucket_seconds)}", loc="left", fontsize=9)
    axes.set_yticks([])
    axes.spines[["left", "right", "top"]].set_visible(False)


def _measures(lanes: Sequence[Lane]) -> tuple[float, float]:
    """Return where in its lane the line is, and how high one answer or failure, so that all have room."""
    buckets = [bucket for lane in lanes for bucket in lane.buckets]
    up = max((bucket.answers for bucket in buckets), default=0)
    down = max((bucket.failures for bucket in buckets), default=0)
    scale = _ROOM / max(up + down, 1)
    return _TOP + max(up * scale, _LEAST), scale


def _height(number: int, scale: float) -> float:
    return max(number * scale, _LEAST) if number else 0.0


def _stretch(span: Span) -> tuple[float, float]:
    """Return where a span begins, and its length, as matplotlib counts time."""
    begins, ends = dates.date2num([span.begins, span.ends])
    return float(begins), float(ends - begins)


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2.0 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.3g} s"


def _name(lane: Lane) -> str:
    # XML has no place for the last two characters of Unicode's first plane, however they are written.
    name = name_text(lane.provider).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _described(timeline: Timeline) -> str:
    """Return in words what the picture shows, for those who do not see it."""
    begins, ends = timeline.begins, timeline.ends
    sums = [
        f"{_name(lane)}: answers {lane.answers}, failures {lane.failures}, skips {lane.skips}"
        for lane in timeline.lanes
    ]
    return f"Providers from {begins:%Y-%m-%d %H:%M:%S} to {ends:%Y-%m-%d %H:%M:%S} UTC: {'; '.join(sums)}"
