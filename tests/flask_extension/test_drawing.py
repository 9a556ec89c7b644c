"""Where the parts of a timeline stand."""

from __future__ import annotations

import datetime as dt

import attrs

from fallback_exec.flask.drawing import HEIGHT, LINE, Band, Column, Line, drawings
from fallback_exec.timeline import Bucket, Lane, Span, Timeline

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
NOTHING = Bucket(answers=0, failures=0, skips=0, fallbacks=0)


def hour(**buckets_at: dict[int, Bucket]) -> Timeline:
    """Return the hour before noon, of providers of which this happened in these minutes."""
    lanes = []
    for name, at in buckets_at.items():
        buckets = [at.get(minute, NOTHING) for minute in range(60)]
        answers, failures, skips, _ = map(sum, zip(*map(attrs.astuple, buckets), strict=True))
        lanes.append(Lane(name, tuple(buckets), (), answers, failures, skips, None))
    return Timeline(NOON - dt.timedelta(hours=1), NOON, 60.0, tuple(lanes))


def cooling(drawn: Timeline, *spans: tuple[float, float]) -> Timeline:
    """Return it with cooldowns of its first provider, from one minute to another."""
    minutes = [Span(*(drawn.begins + dt.timedelta(minutes=at) for at in span)) for span in spans]
    return attrs.evolve(
        drawn, lanes=(attrs.evolve(drawn.lanes[0], cooldowns=tuple(minutes)), *drawn.lanes[1:])
    )


class TestColumns:
    """What happened in a minute."""

    def test_stands_where_the_minute_is(self) -> None:
        """Twelve units a minute; minutes in which nothing happened are left out."""
        (lane,) = drawings(hour(grok={0: Bucket(1, 0, 0, 0), 59: Bucket(0, 2, 3, 0)}))
        assert lane.columns == (
            Column(x=0, width=12, rise=20, fall=0, stands_in=False, text="11:00 to 11:01: 1 answer"),
            Column(
                x=708, width=12, rise=0, fall=14, stands_in=False, text="11:59 to 12:00: 2 failures, 3 skips"
            ),
        )

    def test_all_lanes_have_one_scale(self) -> None:
        """The most answers of all rise highest; a few beside many are seen all the same."""
        many, few = drawings(
            hour(
                grok={0: Bucket(1000, 50, 0, 0), 1: Bucket(500, 0, 0, 0)},
                gemini={0: Bucket(1, 1, 0, 0), 1: Bucket(250, 25, 0, 0)},
            )
        )
        assert [(column.rise, column.fall) for column in many.columns] == [(20, 14), (10, 0)]
        assert [(column.rise, column.fall) for column in few.columns] == [(3, 3), (5, 7)]

    def test_is_as_exact_as_a_screen(self) -> None:
        """A tenth of a unit is less than a pixel."""
        (lane,) = drawings(hour(grok={0: Bucket(3, 3, 0, 0), 1: Bucket(2, 2, 0, 0)}))
        assert (lane.columns[1].rise, lane.columns[1].fall) == (13.3, 9.3)

    def test_stay_within_the_drawing(self) -> None:
        """Neither the highest nor the deepest meets an edge, or the marks."""
        ((column,),) = (lane.columns for lane in drawings(hour(grok={0: Bucket(7, 7, 0, 7)})))
        assert LINE - column.rise > 9
        assert LINE + column.fall < HEIGHT

    def test_tell_who_stood_in(self) -> None:
        """A mark, and in words how often."""
        (lane,) = drawings(hour(grok={1: Bucket(3, 1, 0, 2), 2: Bucket(1, 0, 0, 1), 3: Bucket(1, 0, 0, 0)}))
        assert [column.stands_in for column in lane.columns] == [True, True, False]
        assert lane.columns[0].text == "11:01 to 11:02: 3 answers (2 in place of another), 1 failure"


class TestBands:
    """Cooldowns."""

    def test_stand_where_they_were(self) -> None:
        """To the second, and at least a unit wide."""
        (lane,) = drawings(cooling(hour(grok={}), (0, 0.5), (1, 2.1371), (15, 45), (59.999, 60)))
        assert lane.bands == (
            Band(0, 6, "11:00:00 to 11:00:30: cooling down"),
            Band(12, 13.6, "11:01:00 to 11:02:08: cooling down"),
            Band(180, 360, "11:15:00 to 11:45:00: cooling down"),
            Band(720, 1, "11:59:59 to 12:00:00: cooling down"),
        )
        assert lane.summary == "4 cooldowns"


class TestLines:
    """The same in a table."""

    def test_are_of_five_minutes(self) -> None:
        """Sums of what the minutes have; five minutes in which nothing happened are left out."""
        drawn = hour(grok={4: Bucket(1, 2, 3, 0), 5: Bucket(1, 0, 0, 1), 9: Bucket(1, 1, 0, 0)})
        (lane,) = drawings(cooling(drawn, (9, 10), (31, 33)))
        assert lane.lines == (
            Line("11:00 to 11:05", Bucket(1, 2, 3, 0), is_cooling=False),
            Line("11:05 to 11:10", Bucket(2, 1, 0, 1), is_cooling=True),
            Line("11:30 to 11:35", NOTHING, is_cooling=True),
        )

    def test_end_before_a_cooldown_that_begins_with_the_next(self) -> None:
        """A moment that two lines share belongs to one of them."""
        (lane,) = drawings(cooling(hour(grok={}), (5, 10)))
        assert [line.when for line in lane.lines] == ["11:05 to 11:10"]


class TestSummary:
    """A lane in a sentence."""

    def test_tells_what_there_was(self) -> None:
        """In the singular and the plural; nothing of what did not happen."""
        one, many, none = drawings(
            hour(
                grok={1: Bucket(1, 1, 1, 1)}, gemini={1: Bucket(2, 2, 2, 0)}, laozhang={1: Bucket(0, 1, 0, 0)}
            )
        )
        assert one.summary == "1 answer (1 in place of another), 1 failure, 1 skip"
        assert many.summary == "2 answers, 2 failures, 2 skips"
        assert none.summary == "1 failure"

    def test_of_nothing_at_all(self) -> None:
        """No lanes, no drawings."""
        assert drawings(hour()) == []
