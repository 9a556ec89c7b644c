"""Timelines: what events come to, in buckets and cooldowns."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import pytest
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given
from hypothesis import strategies as st

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, InvalidConfigError, Outcome, execute
from fallback_exec.events import (
    AttemptFailed,
    AttemptSucceeded,
    CooldownEnded,
    CooldownStarted,
    Event,
    ExecutionFinished,
    ExecutionOutcome,
    ProviderSkipped,
)
from fallback_exec.recorder import Recorder
from fallback_exec.timeline import OTHERS, Bucket, Lane, Span, Timeline, timeline
from helpers import VendorError, replying, vendors

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)  # what the fixture `clock` begins with
EMPTY = Bucket(0, 0, 0, 0)


def moment(seconds: float) -> dt.datetime:
    """Return the moment so many seconds after the beginning."""
    return NOW + dt.timedelta(seconds=seconds)


def span(begins: float, ends: float) -> Span:
    """Return a span by its seconds after the beginning."""
    return Span(moment(begins), moment(ends))


def told(kind: type[Event], seconds: float, provider: str | None = "a", **facts: Any) -> Event:
    """Return an event of that moment, with what does not matter to a timeline."""
    usual: dict[str, Any] = {
        "execution_id": "1",
        "attempt_num": 1,
        "latency": 0.0,
        "error": VendorError("down") if kind in {AttemptFailed, CooldownStarted} else None,
        "outcome": ExecutionOutcome.SUCCESS if kind is ExecutionFinished else Outcome.SUCCESS,
        "was_terminus": False,
        "cooldown_remaining": None if kind is AttemptFailed else 30.0,
    }
    names = {field.name for field in attrs.fields(kind)}
    known = {**usual, "time": moment(seconds), "provider": provider, **facts}
    return kind(**{name: value for name, value in known.items() if name in names})


def answered(seconds: float, provider: str = "a", execution: str = "1") -> Event:
    return told(AttemptSucceeded, seconds, provider, execution_id=execution)


def failed(
    seconds: float, provider: str = "a", execution: str = "1", *, cooling: float | None = None
) -> Event:
    return told(AttemptFailed, seconds, provider, execution_id=execution, cooldown_remaining=cooling)


def skipped(seconds: float, provider: str = "a", execution: str = "1", *, cooling: float = 0.0) -> Event:
    return told(ProviderSkipped, seconds, provider, execution_id=execution, cooldown_remaining=cooling)


def started(seconds: float, provider: str = "a", *, cooling: float = 30.0) -> Event:
    return told(CooldownStarted, seconds, provider, cooldown_remaining=cooling)


def ended(seconds: float, provider: str = "a") -> Event:
    return told(CooldownEnded, seconds, provider)


def minute(events: Iterable[Event], *, buckets: int = 6) -> Timeline:
    """Return the timeline of the first minute."""
    return timeline(events, ends=moment(60), seconds=60, buckets=buckets)


def lane_of(*events: Event) -> Lane:
    """Return the only lane there is in the first minute, in buckets of ten seconds."""
    (lane,) = minute(events).lanes
    return lane


class TestSpan:
    """From when to when."""

    def test_is_the_last_hour(self, clock: FrozenDateTimeFactory) -> None:
        """By default, in 120 parts, up to the moment of the question."""
        clock.move_to(moment(3600))
        drawn = timeline([answered(1800)])
        assert (drawn.begins, drawn.ends, drawn.bucket_seconds) == (NOW, moment(3600), 30.0)
        assert [len(lane.buckets) for lane in drawn.lanes] == [120]
        assert drawn.lanes[0].buckets[60] == Bucket(1, 0, 0, 0)

    @pytest.mark.parametrize("seconds", [90, dt.timedelta(seconds=90)])
    def test_is_as_long_as_is_said(self, seconds: float | dt.timedelta) -> None:
        """Seconds and timedeltas say the same."""
        drawn = timeline([], ends=moment(100), seconds=seconds, buckets=3)
        assert drawn == Timeline(moment(10), moment(100), 30.0, ())

    def test_is_in_utc(self) -> None:
        """Whatever the offset of its end."""
        ends = moment(60).astimezone(dt.timezone(dt.timedelta(hours=2)))
        for seconds in (60, None):
            assert timeline([answered(0)], ends=ends, seconds=seconds).ends.tzinfo is dt.UTC

    def test_without_a_length_is_that_of_the_events(self) -> None:
        """From the first to the last of them, in whatever order they come."""
        drawn = timeline([answered(20), answered(0), told(ExecutionFinished, 40)], seconds=None, buckets=4)
        assert (drawn.begins, drawn.ends, drawn.bucket_seconds) == (NOW, moment(40), 10.0)
        assert [bucket.answers for bucket in drawn.lanes[0].buckets] == [1, 0, 1, 0]

    def test_without_a_length_may_have_an_end(self) -> None:
        """What came later is left out."""
        drawn = timeline([answered(0), answered(20), answered(40)], seconds=None, ends=moment(30), buckets=3)
        assert (drawn.begins, drawn.ends, drawn.lanes[0].answers) == (NOW, moment(30), 2)

    @pytest.mark.parametrize("events", [[answered(0)], [failed(-0.5), answered(0)]])
    def test_is_never_shorter_than_a_second(self, events: list[Event]) -> None:
        """Where all happened at one moment, or nearly so, it is the second before the last of them."""
        drawn = timeline(events, seconds=None)
        assert (drawn.begins, drawn.ends) == (moment(-1), NOW)
        assert drawn.lanes[0].buckets[-1].answers == 1

    def test_of_no_events_is_the_second_before_now(self, clock: FrozenDateTimeFactory) -> None:
        """There is nothing in it."""
        assert timeline([], seconds=None, buckets=2) == Timeline(moment(-1), NOW, 0.5, ())

    def test_before_all_events_is_empty(self) -> None:
        """An end that nothing comes before leaves nothing to show."""
        assert timeline([answered(0)], seconds=None, ends=moment(-9), buckets=1) == Timeline(
            moment(-10), moment(-9), 1.0, ()
        )

    @pytest.mark.parametrize(
        ("settings", "text"),
        [
            ({"seconds": 0}, "seconds must be a finite number of seconds or a timedelta, above 0"),
            ({"buckets": 0}, "buckets must be a whole number of at least 1, got 0"),
            ({"ends": "now"}, "ends must be an aware datetime, got 'now'"),
            (
                {"ends": dt.datetime(2026, 1, 1)},
                "ends must be an aware datetime, got datetime.datetime(2026,",
            ),
        ],
    )
    def test_bad_settings_are_refused(self, settings: dict[str, Any], text: str) -> None:
        """The setting is named, and its value."""
        with pytest.raises(InvalidConfigError) as caught:
            timeline([], **settings)
        assert f"invalid config: {text}" in str(caught.value)


class TestBuckets:
    """What is counted, and where."""

    def test_each_part_begins_where_the_last_one_ended(self) -> None:
        """What happens at an edge belongs to what begins there; at the very end, to the last part."""
        lane = lane_of(*map(answered, [0, 9.999999, 10, 59.999999, 60]))
        assert [bucket.answers for bucket in lane.buckets] == [2, 1, 0, 0, 0, 2]

    def test_each_edge_is_exact(self) -> None:
        """Also where a third of a span is no number that a computer knows."""
        events = [answered(seconds) for seconds in range(60)]
        drawn = timeline(events, ends=moment(60), seconds=60, buckets=60)
        assert drawn.lanes[0].buckets == (Bucket(1, 0, 0, 0),) * 60

    def test_what_is_outside_is_not_counted(self) -> None:
        """Neither what came before nor what came after."""
        lane = lane_of(answered(-0.000001), failed(0), skipped(60.000001))
        assert (lane.answers, lane.failures, lane.skips) == (0, 1, 0)

    def test_each_kind_is_counted_by_itself(self) -> None:
        """Answers, failures and skips; the sums are those of all parts."""
        lane = lane_of(*map(answered, [1, 2, 3, 11]), *map(failed, [4, 12]), *map(skipped, [5, 13, 14]))
        assert lane.buckets == (Bucket(3, 1, 1, 0), Bucket(1, 1, 2, 0), EMPTY, EMPTY, EMPTY, EMPTY)
        assert (lane.answers, lane.failures, lane.skips) == (4, 2, 3)

    @pytest.mark.parametrize("outcome", [Outcome.FAILURE, Outcome.REJECTED, Outcome.NEUTRAL])
    def test_whatever_gave_no_answer_is_a_failure(self, outcome: Outcome) -> None:
        """Counted by the tracker or not."""
        assert lane_of(told(AttemptFailed, 1, outcome=outcome)).failures == 1

    def test_a_stream_that_was_closed_is_an_answer(self) -> None:
        """There were items."""
        assert lane_of(told(AttemptSucceeded, 1, outcome=Outcome.NEUTRAL)).answers == 1

    def test_an_answer_after_another_providers_failure_is_a_fallback(self) -> None:
        """So it is after a skip; one by the first that was asked is none."""
        drawn = minute(
            [
                failed(1, "a", "1"),
                answered(2, "z", "1"),
                skipped(3, "a", "2"),
                answered(4, "z", "2"),
                answered(5, "z", "3"),
            ]
        )
        assert [lane.buckets[0] for lane in drawn.lanes] == [Bucket(0, 1, 1, 0), Bucket(3, 0, 0, 2)]

    def test_an_answer_after_its_own_failure_is_no_fallback(self) -> None:
        """The same provider may stand twice in a chain."""
        assert lane_of(failed(1), answered(2)).buckets[0] == Bucket(1, 1, 0, 0)

    def test_a_fallback_is_known_by_what_came_before_the_span(self) -> None:
        """An execution may have begun earlier."""
        (lane,) = minute([failed(-1, "a"), answered(1, "z")]).lanes
        assert (lane.provider, lane.buckets[0].fallbacks) == ("z", 1)

    def test_a_fallback_is_known_though_the_clock_was_set_back(self) -> None:
        """All that failed in an execution came before its answer, whatever the times say."""
        drawn = minute([failed(20, "a"), answered(1, "z")])
        assert [lane.buckets[0].fallbacks for lane in drawn.lanes] == [1, 0]


class TestLanes:
    """Who is shown."""

    def test_stand_in_the_order_in_which_they_appeared(self) -> None:
        """By time, not by the order of the events."""
        drawn = minute([answered(3, "c"), answered(2, "a"), started(1, "b"), answered(4, "a")])
        assert [lane.provider for lane in drawn.lanes] == ["b", "a", "c"]

    def test_are_those_of_whom_something_is_told_within_the_span(self) -> None:
        """Who neither did anything in it nor was cooling down is left out."""
        events = [answered(-5, "old"), started(-40, "warm", cooling=40.0), started(-40, "cool", cooling=41.0)]
        assert [lane.provider for lane in minute(events).lanes] == ["cool"]

    def test_executions_make_none(self) -> None:
        """How an execution ended says nothing new of a provider, and may say nothing of any."""
        assert minute([told(ExecutionFinished, 1, name) for name in ("a", None)]).lanes == ()

    def test_have_their_share_of_all_answers(self) -> None:
        """The shares are 1 together."""
        drawn = minute(
            [answered(1, "a"), answered(2, "z"), answered(3, "z"), answered(4, "z"), failed(5, "x")]
        )
        assert [lane.share for lane in drawn.lanes] == [0.25, 0.75, 0.0]

    def test_have_no_share_of_no_answers(self) -> None:
        """Nothing is no part of nothing."""
        assert lane_of(failed(1)).share is None

    def test_of_more_than_fifty_providers_are_joined(self) -> None:
        """The last lane has all that happened to the others; its cooldowns are merged where they overlap."""
        events = [answered(0.1 * number, f"{number}") for number in range(50)]
        events += [
            *(failed(6, "x", "9"), started(10, "x", cooling=10.0), started(40, "x", cooling=10.0)),
            *(started(15, "y", cooling=10.0), ended(22, "y"), answered(21, "y", "9")),
            *(started(30, "v", cooling=5.0), started(31, "w", cooling=1.0), started(35, "w", cooling=1.0)),
        ]
        lanes = minute(events).lanes
        assert [lane.provider for lane in lanes] == [*map(str, range(50)), OTHERS]
        others = lanes[-1]
        assert (others.answers, others.failures, others.share) == (1, 1, 1 / 51)
        assert others.buckets[2].fallbacks == 1
        assert others.cooldowns == (span(10, 22), span(30, 35), span(35, 36), span(40, 50))

    def test_of_fifty_providers_are_not_joined(self) -> None:
        """As many as may have a lane of their own have one."""
        lanes = minute(answered(number, f"{number}") for number in range(50)).lanes
        assert [lane.provider for lane in lanes] == [*map(str, range(50))]


class TestCooldowns:
    """Who was cooling down, and when."""

    @pytest.mark.parametrize(
        ("events", "cooldowns"),
        [
            ([started(10)], [span(10, 40)]),
            ([failed(10, cooling=30.0), started(10)], [span(10, 40)]),
            ([started(10, cooling=5.0), started(20, cooling=5.0)], [span(10, 15), span(20, 25)]),
            ([started(10, cooling=5.0), started(15, cooling=5.0)], [span(10, 15), span(15, 20)]),
            ([started(10, cooling=9.0), started(15, cooling=9.0)], [span(10, 24)]),
            ([started(10, cooling=9.0), started(15, cooling=1.0)], [span(10, 19)]),
            ([started(20), started(10, cooling=5.0)], [span(10, 15), span(20, 50)]),
        ],
        ids=["one", "told twice", "two", "touching", "overlapping", "within", "out of order"],
    )
    def test_last_as_long_as_is_told(self, events: list[Event], cooldowns: list[Span]) -> None:
        """Those that overlap are one."""
        assert list(lane_of(*events).cooldowns) == cooldowns

    @pytest.mark.parametrize("tell", [skipped, failed])
    def test_are_moved_later_by_what_is_told_of_them(self, tell: Callable[..., Event]) -> None:
        """A vendor may have said that it takes longer; what is told of an earlier end changes nothing."""
        assert lane_of(started(10), tell(20, cooling=25.0)).cooldowns == (span(10, 45),)
        assert lane_of(started(10), tell(20, cooling=5.0)).cooldowns == (span(10, 40),)

    @pytest.mark.parametrize("tell", [skipped, failed])
    def test_are_known_by_what_is_told_of_them(self, tell: Callable[..., Event]) -> None:
        """Hands, or another process, may have begun one."""
        assert lane_of(tell(20, cooling=25.0)).cooldowns == (span(20, 45),)

    @pytest.mark.parametrize("event", [skipped(20), failed(20), skipped(20, cooling=-1.0)])
    def test_are_none_where_nothing_is_left(self, event: Event) -> None:
        """Who is passed over during a probe is cooling down no more."""
        assert lane_of(event).cooldowns == ()

    def test_are_none_where_the_number_is_none(self) -> None:
        """A tracker of the user's own may return what it likes."""
        assert lane_of(skipped(20, cooling=float("nan"))).cooldowns == ()

    def test_may_have_no_end(self) -> None:
        """They are cut to the span."""
        assert lane_of(started(10, cooling=float("inf"))).cooldowns == (span(10, 60),)

    def test_are_cut_short_by_their_end(self) -> None:
        """What follows begins another one."""
        lane = lane_of(started(10), ended(20), skipped(30, cooling=5.0))
        assert lane.cooldowns == (span(10, 20), span(30, 35))

    def test_are_not_cut_by_anothers_end(self) -> None:
        """Nor by one that comes when they are over."""
        drawn = minute([started(10, "a", cooling=5.0), ended(12, "z"), ended(20, "a")])
        assert [lane.cooldowns for lane in drawn.lanes] == [(span(10, 15),), ()]

    def test_that_end_as_they_begin_are_none(self) -> None:
        """There is nothing to see."""
        assert lane_of(started(10), ended(10)).cooldowns == ()

    def test_are_cut_to_the_span(self) -> None:
        """One that began before it is shown, and one that goes on after it; what is told later is not."""
        lane = lane_of(started(-10), ended(10), started(50), skipped(61, cooling=60.0))
        assert lane.cooldowns == (span(0, 10), span(50, 60))

    def test_that_begin_at_the_end_are_not_seen(self) -> None:
        """The provider has its lane all the same."""
        assert lane_of(started(60)).cooldowns == ()


class TestRealEvents:
    """What a recorder keeps of real executions."""

    def test_tell_who_served_and_who_cooled(self, clock: FrozenDateTimeFactory) -> None:
        """A failure, a skip, and an answer that ends the cooldown."""
        recorder = Recorder()
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=30)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, listeners=[recorder])
        chain = vendors("a", "z")
        execute(chain, config, replying(a=VendorError("down"), z="an answer"))
        clock.tick(20.0)
        execute(chain, config, replying(z="an answer"))
        clock.tick(40.0)
        execute(chain, config, replying(a="an answer"))
        assert timeline(recorder.events(), seconds=60, buckets=3).lanes == (
            Lane(
                provider="a",
                buckets=(Bucket(0, 1, 0, 0), Bucket(0, 0, 1, 0), Bucket(1, 0, 0, 0)),
                cooldowns=(span(0, 30),),
                answers=1,
                failures=1,
                skips=1,
                share=1 / 3,
            ),
            Lane(
                provider="z",
                buckets=(Bucket(1, 0, 0, 1), Bucket(1, 0, 0, 1), EMPTY),
                cooldowns=(),
                answers=2,
                failures=0,
                skips=0,
                share=2 / 3,
            ),
        )


seconds = st.integers(-30, 90)
any_events = st.lists(
    st.one_of(
        st.builds(answered, seconds, st.sampled_from("abc"), st.sampled_from("123")),
        st.builds(
            failed, seconds, st.sampled_from("abc"), st.sampled_from("123"), cooling=st.none() | seconds
        ),
        st.builds(skipped, seconds, st.sampled_from("abc"), st.sampled_from("123"), cooling=seconds),
        st.builds(started, seconds, st.sampled_from("abc"), cooling=seconds),
        st.builds(ended, seconds, st.sampled_from("abc")),
    )
)


class TestAnyEvents:
    """Whatever is told."""

    @given(any_events, st.integers(1, 9))
    def test_add_up(self, events: list[Event], buckets: int) -> None:
        """Nothing within the span is lost or counted twice, and cooldowns keep their order."""
        drawn = minute(events, buckets=buckets)
        for kind, of_lane in (
            (AttemptSucceeded, "answers"),
            (AttemptFailed, "failures"),
            (ProviderSkipped, "skips"),
        ):
            within = [event for event in events if type(event) is kind and NOW <= event.time <= moment(60)]
            assert sum(getattr(lane, of_lane) for lane in drawn.lanes) == len(within)
            for lane in drawn.lanes:
                assert sum(getattr(bucket, of_lane) for bucket in lane.buckets) == getattr(lane, of_lane)
        for lane in drawn.lanes:
            assert all(bucket.fallbacks <= bucket.answers for bucket in lane.buckets)
            edges = [edge for each in lane.cooldowns for edge in (each.begins, each.ends)]
            assert edges == sorted(edges)
            assert all(each.begins < each.ends for each in lane.cooldowns)
            assert all(NOW <= edge <= moment(60) for edge in edges)

    @given(
        st.lists(st.builds(answered, st.integers(0, 60), st.sampled_from("abc")), unique_by=lambda e: e.time)
    )
    def test_may_come_in_any_order(self, events: list[Event]) -> None:
        """The files of several processes are read one after the other."""
        shuffled = random.Random(1).sample(events, len(events))
        assert minute(shuffled) == minute(events)
