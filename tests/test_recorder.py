"""The recorder: what it keeps and forgets, and what it writes and reads."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import io
import json
import math
import pickle
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given
from hypothesis import strategies as st

from fallback_exec import (
    BreakerCooldownTracker,
    Deadline,
    ExecuteConfig,
    FallbackExecError,
    InvalidConfigError,
    Outcome,
    StandInError,
    Verdict,
    execute,
    execute_stream,
)
from fallback_exec._text import name_text
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
from fallback_exec.recorder import Recorder, load
from helpers import (
    Held,
    Vendor,
    VendorError,
    Watch,
    act_at_each_call,
    fail,
    forked_child_finishes,
    held,
    in_threads,
    replying,
    vendors,
)

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)  # what the fixture `clock` begins with

KINDS = (ProviderSkipped, AttemptFailed, CooldownStarted, AttemptSucceeded, CooldownEnded, ExecutionFinished)

#: What the example of an event has in each field, whichever its class.
FACTS: Mapping[str, Any] = {
    "execution_id": "0123456789abcdef0123456789abcdef",
    "time": NOW,
    "provider": "gemini",
    "attempt_num": 2,
    "latency": 0.25,
    "error": StandInError("builtins.OSError", "gemini is down"),
    "outcome": "success",
    "was_terminus": True,
    "cooldown_remaining": 30.0,
}
SUCCESSES = {AttemptSucceeded: Outcome.SUCCESS, ExecutionFinished: ExecutionOutcome.SUCCESS}


def event_of(kind: type[Event], **facts: object) -> Event:
    """Return an event of that class, with what a test does not care about."""
    usual = {**FACTS, "error": None, "outcome": SUCCESSES.get(kind, Outcome.FAILURE)}
    if kind in {AttemptFailed, CooldownStarted}:
        usual["error"] = FACTS["error"]
    return kind(**{field.name: {**usual, **facts}[field.name] for field in attrs.fields(kind)})


def at(time: dt.datetime) -> Event:
    """Return an event that happened then."""
    return event_of(AttemptSucceeded, time=time)


def line_of(kind: type[Event], **facts: object) -> str:
    """Return the line of an event, some of whose fields are as they should not be."""
    line = json.loads(dumped(recording(event_of(kind))))
    return json.dumps({**line, **facts})


def recording(*events: Event) -> Recorder:
    """Return a recorder that keeps those, however old."""
    recorder = Recorder(1e9)
    for event in events:
        recorder(event)
    return recorder


def dumped(recorder: Recorder) -> str:
    """Return what the recorder writes."""
    file = io.StringIO()
    recorder.dump(file)
    return file.getvalue()


def comparable(event: Event) -> dict[str, object]:
    """Return all that an event tells, by value: two errors are equal only if they are the same object."""
    facts = {field.name: getattr(event, field.name) for field in attrs.fields(type(event))}
    error = facts["error"]
    if error is not None:
        assert type(error) is StandInError
        facts["error"] = (error.type_name, str(error))
    return {"event": type(event), **facts}


def read_back(recorder: Recorder) -> list[dict[str, object]]:
    """Return what is read of what the recorder writes."""
    return [comparable(event) for event in load(io.StringIO(dumped(recorder)))]


class TestBounds:
    """What is kept, and for how long."""

    def test_events_are_kept_in_the_order_in_which_they_came(self) -> None:
        """The oldest come first, and all calls of one execution come together."""
        recorder = Recorder()
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, listeners=[recorder])
        execute(vendors("a", "z"), config, replying(a=VendorError("down"), z="an answer"))
        execute(vendors("a", "z"), config, replying(z="an answer"))
        assert [(type(event), event.provider) for event in recorder.events()] == [
            (AttemptFailed, "a"),
            (CooldownStarted, "a"),
            (AttemptSucceeded, "z"),
            (ExecutionFinished, "z"),
            (ProviderSkipped, "a"),
            (AttemptSucceeded, "z"),
            (ExecutionFinished, "z"),
        ]

    def test_an_event_without_an_error_is_kept_as_it_is(self) -> None:
        """Nothing is copied that need not be."""
        event = event_of(AttemptSucceeded)
        assert recording(event).events()[0] is event

    def test_events_are_kept_for_an_hour(self, clock: FrozenDateTimeFactory) -> None:
        """One that is an hour old is forgotten, one that is a microsecond younger is not."""
        recorder = Recorder()
        recorder(at(NOW))
        clock.tick(dt.timedelta(hours=1) - dt.timedelta(microseconds=1))
        assert [event.time for event in recorder.events()] == [NOW]
        clock.tick(dt.timedelta(microseconds=1))
        assert recorder.events() == []

    @pytest.mark.parametrize("seconds", [90, 90.0, dt.timedelta(seconds=90)])
    def test_events_are_kept_for_as_long_as_is_said(
        self, clock: FrozenDateTimeFactory, seconds: float | dt.timedelta
    ) -> None:
        """Seconds and timedeltas say the same."""
        recorder = Recorder(seconds)
        recorder(at(NOW))
        clock.tick(89.0)
        recorder(at(NOW + dt.timedelta(seconds=89)))
        clock.tick(1.0)
        assert [event.time.second for event in recorder.events()] == [29]

    @pytest.mark.parametrize("seconds", [3600.0, 4000.0])
    def test_a_new_event_drops_those_that_are_too_old(
        self, clock: FrozenDateTimeFactory, seconds: float
    ) -> None:
        """Nobody need ask for the events to have memory given back."""
        recorder = Recorder()
        for _ in range(2):
            recorder(at(NOW))
        old = [weakref.ref(event) for event in recorder.events()]
        clock.tick(seconds)
        recorder(at(NOW + dt.timedelta(seconds=seconds)))
        assert [reference() for reference in old] == [None, None]

    def test_asking_drops_those_that_are_too_old(self, clock: FrozenDateTimeFactory) -> None:
        """Nor need anything happen."""
        recorder = Recorder()
        recorder(at(NOW))
        clock.tick(3600.0)
        recorder.events()
        assert repr(recorder) == "<Recorder of 0 events>"

    def test_so_many_events_are_kept(self) -> None:
        """Of more than that the oldest go."""
        recorder = Recorder(1e9, 3)
        for number in range(5):
            recorder(event_of(AttemptSucceeded, attempt_num=number))
        assert [event.attempt_num for event in recorder.events()] == [2, 3, 4]

    def test_a_hundred_thousand_events_are_kept_by_default(self) -> None:
        """What is kept is bounded whatever the traffic is."""
        recorder = Recorder(1e9)
        event = event_of(AttemptSucceeded)
        for _ in range(100_001):
            recorder(event)
        assert len(recorder.events()) == 100_000

    @pytest.mark.parametrize("seconds", [3600.0, 4000.0])
    def test_a_clock_that_was_ahead_keeps_nothing_for_longer(
        self, clock: FrozenDateTimeFactory, seconds: float
    ) -> None:
        """An event of a time to come does not hold back the old ones behind it."""
        recorder = Recorder()
        recorder(at(NOW + dt.timedelta(days=1)))
        recorder(at(NOW))
        clock.tick(seconds)
        assert [event.time.day for event in recorder.events()] == [2]

    def test_clear_forgets_all(self) -> None:
        """What comes afterwards is kept."""
        recorder = recording(at(NOW), at(NOW))
        recorder.clear()
        assert recorder.events() == []
        recorder(at(NOW))
        assert len(recorder.events()) == 1

    def test_what_is_returned_is_the_callers(self) -> None:
        """A list that is changed changes nothing that is kept."""
        recorder = recording(at(NOW))
        recorder.events().clear()
        assert len(recorder.events()) == 1

    @pytest.mark.parametrize(
        ("settings", "text"),
        [
            (
                {"seconds": 0},
                "invalid config: seconds must be a finite number of seconds or a timedelta, above 0",
            ),
            ({"seconds": 2e9}, "and at most 1e+09, got 2000000000.0"),
            ({"seconds": "60"}, "got '60'"),
            ({"max_events": 0}, "invalid config: max_events must be a whole number of at least 1, got 0"),
            ({"max_events": 1.5}, "got 1.5"),
            ({"redact": None}, "invalid config: redact must be callable, got None"),
        ],
    )
    def test_bad_settings_are_refused(self, settings: dict[str, Any], text: str) -> None:
        """The setting is named, and its value."""
        with pytest.raises(InvalidConfigError) as caught:
            Recorder(**settings)
        assert text in str(caught.value)


class TestErrors:
    """What is kept of an error."""

    def kept(self, error: BaseException, **settings: Any) -> StandInError:
        recorder = Recorder(1e9, **settings)
        recorder(event_of(AttemptFailed, error=error))
        kept = recorder.events()[0].error
        assert type(kept) is StandInError
        return kept

    def test_type_and_text_are_kept(self) -> None:
        """The type is named with its module."""
        kept = self.kept(VendorError("gemini is down"))
        assert (kept.type_name, str(kept)) == ("helpers.VendorError", "gemini is down")

    def test_credentials_are_masked(self) -> None:
        """As in the log."""
        kept = self.kept(OSError("https://user:hunter2@gemini.example failed\nand more"))
        assert str(kept) == "https://[redacted]@gemini.example failed\\nand more"

    def test_a_function_of_the_users_masks_instead(self) -> None:
        """It is the same kind of function that a config takes."""
        kept = self.kept(OSError("account 4711"), redact=lambda text: text.replace("4711", "..."))
        assert str(kept) == "account ..."

    def test_a_function_that_raises_leaves_the_type(self) -> None:
        """What it should have masked is not kept."""

        def broken(text: str) -> str:
            raise LookupError

        assert str(self.kept(OSError("account 4711"), redact=broken)) == "OSError"

    def test_a_stand_in_is_kept_as_another_one(self) -> None:
        """One that came from another process may have been raised here, and holds the frames of that."""
        stand_in = StandInError("openai.RateLimitError", "key https://user:hunter2@openai.example")
        kept = self.kept(stand_in)
        assert kept is not stand_in
        assert (kept.type_name, str(kept)) == (
            "openai.RateLimitError",
            "key https://[redacted]@openai.example",
        )

    @pytest.mark.parametrize("error_class", [VendorError, lambda text: StandInError("x.Error", text)])
    @pytest.mark.usefixtures("no_collector")
    def test_no_frame_lives_on(self, error_class: Callable[[str], Exception]) -> None:
        """What was in use where the error was raised is let go when the caller lets go of the error."""
        watch, recorder = Watch(), Recorder()

        def fn(provider: Vendor) -> object:
            large = watch("large", Held())
            raise watch("error", error_class(f"{provider.name} is down {large is None}"))

        config = ExecuteConfig(strategy="fallback", listeners=[recorder])
        with contextlib.suppress(FallbackExecError):
            execute(vendors("a", "z"), config, fn)
        assert watch.labels == {"large", "error"}
        assert watch.alive == set()
        assert [str(event.error) for event in recorder.events()][:2] == ["a is down False", "z is down False"]


class TestThreads:
    """Many callers, signals, and children."""

    @pytest.mark.usefixtures("fast_switching")
    def test_nothing_is_lost_among_threads(self) -> None:
        """Each of many executions is there whole and in its order, however they ran and were looked at."""
        recorder = Recorder()
        config = ExecuteConfig(strategy="fallback", listeners=[recorder])

        def work(number: int) -> None:
            for _ in range(50):
                execute(vendors("a", "z"), config, replying(a=VendorError("down"), z="an answer"))
                recorder.events()

        in_threads(8, work)
        by_execution: dict[str, list[type[Event]]] = {}
        for event in recorder.events():
            by_execution.setdefault(event.execution_id, []).append(type(event))
        assert list(by_execution.values()) == [[AttemptFailed, AttemptSucceeded, ExecutionFinished]] * 400

    def test_a_signal_may_come_at_any_moment(self, clock: FrozenDateTimeFactory) -> None:
        """Whatever is interrupted, each event is kept once, and the old ones are forgotten."""
        clock.move_to(NOW + dt.timedelta(hours=1))
        new = NOW + dt.timedelta(hours=1)

        def scene() -> tuple[Recorder, Callable[[], object], Callable[[], object]]:
            recorder = Recorder()
            recorder._events.extend([at(NOW), at(NOW)])
            return recorder, lambda: recorder(at(new)), lambda: recorder(at(new))

        for recorder, came_out in act_at_each_call(scene):
            assert came_out is None
            assert [event.time for event in recorder.events()] == [new, new]

    def test_a_forked_child_begins_with_the_parents_events(self) -> None:
        """It works on even where a thread of the parent was at work at that moment."""
        recorder = Recorder()
        recorder(at(dt.datetime.now(dt.UTC)))

        def work() -> None:
            recorder(at(dt.datetime.now(dt.UTC)))
            assert len(recorder.events()) == 2

        with held(recorder._lock):
            assert forked_child_finishes(work)
            recorder._renew_after_fork()  # as a child does
            assert len(recorder.events()) == 1

    @pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_it_cannot_be_pickled_or_copied(self, travel: Callable[[object], object]) -> None:
        """The text says what to do instead."""
        with pytest.raises(
            TypeError, match="a Recorder cannot be pickled or copied: dump its events instead"
        ):
            travel(Recorder())


def outcomes_of_executions() -> Iterator[tuple[ExecutionOutcome, Callable[[ExecuteConfig], object]]]:
    """Yield each outcome of an execution with what leads to it."""
    chain = vendors("a", "z")

    def interrupted(_provider: Vendor) -> object:
        raise KeyboardInterrupt

    def cancelled(config: ExecuteConfig) -> object:
        deadline = Deadline(60.0)
        deadline.cancel()
        return execute(chain, config, fail, deadline=deadline)

    def aborting(config: ExecuteConfig) -> object:
        return execute(chain, attrs.evolve(config, classify=lambda error: Verdict.abort()), fail)

    yield ExecutionOutcome.SUCCESS, lambda config: execute(chain, config, replying(a="an answer"))
    yield ExecutionOutcome.EXHAUSTED, lambda config: execute(chain, config, fail)
    yield (
        ExecutionOutcome.FAILED,
        lambda config: execute(chain, attrs.evolve(config, strategy="primary_only"), fail),
    )
    yield ExecutionOutcome.ABORTED, aborting
    yield ExecutionOutcome.DEADLINE, lambda config: execute(chain, config, fail, deadline=0.0)
    yield ExecutionOutcome.CANCELLED, cancelled
    yield ExecutionOutcome.INTERRUPTED, lambda config: execute(chain, config, interrupted)


def outcomes_of_attempts() -> Iterator[tuple[Outcome, Callable[[ExecuteConfig], object]]]:
    """Yield each outcome of an attempt with what leads to it."""
    chain = vendors("a", "z")

    def neutral(config: ExecuteConfig) -> object:
        return execute(chain, attrs.evolve(config, classify=lambda error: Verdict.neutral()), fail)

    def rejected(config: ExecuteConfig) -> object:
        return execute(chain, attrs.evolve(config, accept=bool), replying(a="", z="an answer"))

    yield Outcome.SUCCESS, lambda config: execute(chain, config, replying(a="an answer"))
    yield Outcome.FAILURE, lambda config: execute(chain, config, fail)
    yield Outcome.REJECTED, rejected
    yield Outcome.NEUTRAL, neutral


def broken_stream(_provider: Vendor) -> Iterator[str]:
    """Be a stream that dies after its first item."""
    yield "an item"
    raise VendorError("lost")


def closed_stream(config: ExecuteConfig) -> None:
    """Close a stream after its first item."""
    with execute_stream(vendors("a"), config, lambda provider: ["an item", "another"]) as stream:
        next(stream)


class TestDump:
    """What is written, and that it is read again."""

    def test_each_event_is_a_line(self) -> None:
        """The fields have the names of the attributes."""
        recorder = recording(
            event_of(ProviderSkipped, attempt_num=None, latency=0.0),
            event_of(AttemptFailed, outcome=Outcome.REJECTED),
        )
        assert [json.loads(line) for line in dumped(recorder).splitlines()] == [
            {
                "event": "ProviderSkipped",
                "execution_id": "0123456789abcdef0123456789abcdef",
                "time": "2026-01-01T00:00:00+00:00",
                "provider": "gemini",
                "attempt_num": None,
                "latency": 0.0,
                "error": None,
                "cooldown_remaining": 30.0,
            },
            {
                "event": "AttemptFailed",
                "execution_id": "0123456789abcdef0123456789abcdef",
                "time": "2026-01-01T00:00:00+00:00",
                "provider": "gemini",
                "attempt_num": 2,
                "latency": 0.25,
                "error": {"type": "builtins.OSError", "text": "gemini is down"},
                "outcome": "rejected",
                "was_terminus": True,
                "cooldown_remaining": 30.0,
            },
        ]

    def test_nothing_is_written_of_nothing(self) -> None:
        """An empty recorder writes an empty file, which can be read."""
        assert dumped(Recorder()) == ""
        assert load([]) == []

    def test_all_of_it_is_ascii(self) -> None:
        """So that it can be written to a file of any encoding."""
        recorder = recording(event_of(AttemptFailed, provider="日本", error=OSError("größer")))
        assert dumped(recorder).isascii()
        assert [event.provider for event in load([dumped(recorder)])] == ["日本"]

    def test_names_are_written_as_they_are_logged(self) -> None:
        """In one line and without credentials; who asks for the events finds the names as they are."""
        recorder = recording(event_of(AttemptSucceeded, provider="https://me:hunter2@gemini.example\nforged"))
        assert [event.provider for event in load([dumped(recorder)])] == [
            "https://[redacted]@gemini.example\\nforged"
        ]
        assert [event.provider for event in recorder.events()] == [
            "https://me:hunter2@gemini.example\nforged"
        ]

    def test_names_are_masked_by_a_function_of_the_users(self) -> None:
        """The one that masks errors, too."""
        recorder = Recorder(1e9, redact=lambda text: text.replace("gemini", "..."))
        recorder(event_of(AttemptSucceeded))
        assert json.loads(dumped(recorder))["provider"] == "..."

    @pytest.mark.parametrize(
        ("told", "written"),
        [(math.inf, 1e9), (math.nan, 0.0), (-1.0, 0.0), (-math.inf, 0.0), (2e9, 1e9), (30, 30.0)],
    )
    def test_durations_are_written_as_numbers_that_json_knows(self, told: float, written: float) -> None:
        """A tracker of the user's own may return whatever it likes."""
        recorder = recording(event_of(ProviderSkipped, cooldown_remaining=told))
        line = json.loads(dumped(recorder), parse_constant=pytest.fail)
        assert line["cooldown_remaining"] == written
        assert read_back(recorder)[0]["cooldown_remaining"] == written

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_class_is_read_as_it_was(self, kind: type[Event]) -> None:
        """With all that it has, and all that it may lack."""
        recorder = recording(event_of(kind), event_of(kind, error=FACTS["error"]))
        assert read_back(recorder) == [comparable(event) for event in recorder.events()]

    def test_each_outcome_of_an_execution_is_read_as_it_was(self) -> None:
        """Those of real executions, all that there are."""
        told = dict(outcomes_of_executions())
        assert set(told) == set(ExecutionOutcome)
        for outcome, run in told.items():
            recorder = Recorder()
            with contextlib.suppress(FallbackExecError, KeyboardInterrupt):
                run(ExecuteConfig(strategy="fallback", listeners=[recorder]))
            read = read_back(recorder)
            assert read == [comparable(event) for event in recorder.events()]
            assert (read[-1]["event"], read[-1]["outcome"]) == (ExecutionFinished, outcome)
            assert type(read[-1]["outcome"]) is ExecutionOutcome

    def test_each_outcome_of_an_attempt_is_read_as_it_was(self) -> None:
        """Those of real attempts, all that there are; a skip is none."""
        told = dict(outcomes_of_attempts())
        assert set(told) == set(Outcome) - {Outcome.SKIPPED}
        for outcome, run in told.items():
            recorder = Recorder()
            with contextlib.suppress(FallbackExecError):
                run(ExecuteConfig(strategy="fallback", listeners=[recorder]))
            read = read_back(recorder)
            assert read == [comparable(event) for event in recorder.events()]
            assert read[0]["outcome"] is outcome

    def test_cooldowns_are_read_as_they_were(self, clock: FrozenDateTimeFactory) -> None:
        """Those of a real tracker: begun, passed over, ended by a probe."""
        recorder = Recorder()
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, listeners=[recorder])
        execute(vendors("a", "z"), config, replying(a=VendorError("down"), z="an answer"))
        execute(vendors("a", "z"), config, replying(z="an answer"))
        clock.tick(30.0)
        execute(vendors("a", "z"), config, replying(a="an answer"))
        read = read_back(recorder)
        assert read == [comparable(event) for event in recorder.events()]
        assert {fact["event"] for fact in read} == set(KINDS)

    @pytest.mark.parametrize(
        ("run", "outcomes"),
        [
            (
                lambda config: list(execute_stream(vendors("a"), config, lambda provider: ["an item"])),
                [Outcome.SUCCESS, ExecutionOutcome.SUCCESS],
            ),
            (
                lambda config: list(execute_stream(vendors("a"), config, broken_stream)),
                [Outcome.FAILURE, ExecutionOutcome.FAILED],
            ),
            (closed_stream, [Outcome.NEUTRAL, ExecutionOutcome.CANCELLED]),
        ],
        ids=["exhausted", "broken", "closed"],
    )
    def test_streams_are_read_as_they_were(
        self, run: Callable[[ExecuteConfig], object], outcomes: Sequence[Outcome | ExecutionOutcome]
    ) -> None:
        """Those that came to their end, that broke, and that were closed."""
        recorder = Recorder()
        with contextlib.suppress(FallbackExecError, VendorError):
            run(ExecuteConfig(strategy="fallback", listeners=[recorder]))
        read = read_back(recorder)
        assert read == [comparable(event) for event in recorder.events()]
        assert [fact["outcome"] for fact in read] == outcomes

    def test_a_file_is_read_as_it_was(self, tmp_path: Path) -> None:
        """Files on disk, of whatever encoding, are what it is for."""
        recorder = recording(*map(event_of, KINDS))
        path = tmp_path / "events.jsonl"
        with path.open("w", encoding="utf-16") as file:
            recorder.dump(file)
        with path.open(encoding="utf-16") as file:
            assert [comparable(event) for event in load(file)] == list(map(comparable, recorder.events()))


texts = st.text() | st.sampled_from(["gemini", "a\nb", "\ud800", "https://me:secret@host.example"])
seconds = st.floats(0.0, 1e9)
errors = st.builds(OSError, texts) | st.builds(StandInError, st.text(), texts)


def facts_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Return any event of a class."""
    may_lack_it = kind not in {AttemptFailed, CooldownStarted}
    fields: dict[str, st.SearchStrategy[Any]] = {
        "execution_id": st.text(),
        "time": st.datetimes(dt.datetime(2000, 1, 1), timezones=st.just(dt.UTC)),
        "provider": st.none() | texts if kind is ExecutionFinished else texts,
        "attempt_num": st.none() if kind is ProviderSkipped else st.integers(0, 2**70),
        "latency": seconds,
        "error": st.none() | errors if may_lack_it else errors,
        "outcome": st.sampled_from(list(ExecutionOutcome if kind is ExecutionFinished else Outcome)),
        "was_terminus": st.booleans(),
        "cooldown_remaining": st.none() | seconds if kind is AttemptFailed else seconds,
    }
    return st.builds(kind, **{field.name: fields[field.name] for field in attrs.fields(kind)})


class TestAnyEvents:
    """Whatever is told."""

    @given(st.lists(st.one_of(*map(facts_of, KINDS)), max_size=8))
    def test_are_read_as_they_were(self, events: list[Event]) -> None:
        """Any events, written and read, are the same, but for names that are not fit to be logged."""
        recorder = recording(*events)
        kept = [comparable(event) for event in recorder.events()]
        for fact, event in zip(kept, recorder.events(), strict=True):
            fact["provider"] = event.provider and name_text(event.provider)
        assert read_back(recorder) == kept
        again = recording(*load(io.StringIO(dumped(recorder))))
        assert dumped(again) == dumped(recorder)


class TestLoad:
    """What is read, and what is refused."""

    def test_empty_lines_are_passed_over(self) -> None:
        """A file may be put together of several."""
        line = line_of(CooldownEnded)
        assert len(load(["\n", f"{line}\n", "  \n", line])) == 2

    def test_fields_that_are_not_known_are_passed_over(self) -> None:
        """A later version may write more."""
        assert load([line_of(CooldownEnded, colour="green")]) == [event_of(CooldownEnded)]

    def test_times_begin_with_1970(self) -> None:
        """As clocks do that were never set."""
        (event,) = load([line_of(CooldownEnded, time="1970-01-01T01:00+01:00")])
        assert event.time == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

    def test_times_are_in_utc(self) -> None:
        """Whatever their offset was."""
        (event,) = load([line_of(CooldownEnded, time="2026-01-01T05:30:00+05:30")])
        assert (event.time, event.time.tzinfo) == (NOW, dt.UTC)

    @pytest.mark.parametrize(
        ("line", "rule"),
        [
            ("half a li", "no JSON, Expecting value at character 1"),
            ('{"event": ', "no JSON, Expecting value at character 11"),
            ("[" * 100_000, "nested too deeply"),
            ("[]", "must be of type dict, not list"),
            ("{}", "'event' must be one of ProviderSkipped, AttemptFailed, CooldownStarted,"),
            ('{"event": ["x"]}', "'event' must be one of ProviderSkipped, AttemptFailed, CooldownStarted,"),
            ('{"event": "Event"}', "'event' must be one of ProviderSkipped, AttemptFailed, CooldownStarted,"),
            (line_of(AttemptFailed, execution_id=None), "'execution_id': must be of type str, not NoneType"),
            (line_of(AttemptFailed, time=5), "'time': must be of type str, not int"),
            (line_of(AttemptFailed, time="yesterday"), "'time': Invalid isoformat string: 'yesterday'"),
            (line_of(AttemptFailed, time="2026-01-01"), "'time': must have an offset from UTC"),
            (line_of(AttemptFailed, time="0001-01-01T00:00+01:00"), "'time': date value out of range"),
            (line_of(AttemptFailed, time="1970-01-01T00:59+01:00"), "'time': must not be before 1970"),
            (line_of(AttemptFailed, provider=None), "'provider': must be of type str, not NoneType"),
            (line_of(AttemptFailed, attempt_num=None), "'attempt_num': must be of type int, not NoneType"),
            (line_of(AttemptFailed, attempt_num=True), "'attempt_num': must be of type int, not bool"),
            (line_of(AttemptFailed, attempt_num=-1), "'attempt_num': must be 0 or more"),
            (line_of(AttemptFailed, latency="1"), "'latency': must be of type float, not str"),
            (line_of(AttemptFailed, latency=math.nan), "'latency': must be a number of seconds from 0 to"),
            (line_of(AttemptFailed, latency=-0.1), "'latency': must be a number of seconds from 0 to 1e+09"),
            (line_of(AttemptFailed, latency=1.1e9), "'latency': must be a number of seconds from 0 to"),
            (line_of(AttemptFailed, latency=10**400), "'latency': int too large to convert to float"),
            (line_of(AttemptFailed, error=None), "'error': must be of type dict, not NoneType"),
            (line_of(CooldownStarted, error=None), "'error': must be of type dict, not NoneType"),
            (line_of(AttemptFailed, error={"type": "x"}), "'error': must be of type str, not NoneType"),
            (line_of(AttemptFailed, error={"type": 1, "text": ""}), "'error': must be of type str, not int"),
            (line_of(AttemptFailed, outcome="exhausted"), "'outcome': 'exhausted' is not a valid Outcome"),
            (line_of(AttemptFailed, outcome=None), "'outcome': None is not a valid Outcome"),
            (line_of(ExecutionFinished, outcome=["x"]), "'outcome': ['x'] is not a valid ExecutionOutcome"),
            (line_of(AttemptFailed, was_terminus=1), "'was_terminus': must be of type bool, not int"),
            (line_of(CooldownStarted, cooldown_remaining=None), "'cooldown_remaining': must be of type"),
        ],
    )
    def test_a_bad_line_is_named(self, line: str, rule: str) -> None:
        """By its number, with what is wrong with it, and its beginning."""
        with pytest.raises(InvalidConfigError) as caught:
            load([line_of(CooldownEnded), "", line])
        assert str(caught.value).startswith(f"invalid config: line 3 must be an event of a Recorder: {rule}")
        assert caught.value.setting == "line 3"

    def test_no_credential_of_a_bad_line_is_shown(self) -> None:
        """What is read may be anybody's."""
        with pytest.raises(InvalidConfigError) as caught:
            load([line_of(AttemptFailed, time="https://me:hunter2@host.example")])
        assert "hunter2" not in str(caught.value)
