"""What is made of a store that is away: `Gate` and `Exchange`."""

from __future__ import annotations

import logging
import threading

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec.cooldown.exchange import AwayError, Exchange, Gate
from fallback_exec.cooldown.operations import Fail, Operation, Read, Reply
from fallback_exec.cooldown.store import NotAppliedError
from fallback_exec.redaction import redact
from helpers import PATIENCE
from odd_stores import OddStore

FAILURE = Fail(0, was_closed=True, fail_max=9, cooldown=1, reopenings=0)


class TestGate:
    """When the store may be asked."""

    def test_is_open_at_first(self) -> None:
        """Nobody waits for anything."""
        gate = Gate()
        assert gate.is_shut() is False
        assert gate.enter() is None
        assert gate.answered(None) is False

    def test_is_shut_for_half_a_second_after_a_failure(self, clock: FrozenDateTimeFactory) -> None:
        """Until just before, nobody asks; then one does."""
        gate = Gate()
        assert gate.failed(gate.enter()) is True
        clock.tick(0.499999)
        assert gate.is_shut() is True
        with pytest.raises(AwayError) as refused:
            gate.enter()
        assert refused.value.is_doubtful is False
        clock.tick(0.000001)
        assert gate.is_shut() is False
        assert gate.enter() is not None

    def test_lets_one_try_after_a_pause(self, clock: FrozenDateTimeFactory) -> None:
        """The others stay out, for as long as another pause."""
        gate = Gate()
        gate.failed(gate.enter())
        clock.tick(0.5)
        assert gate.enter() is not None
        with pytest.raises(AwayError):
            gate.enter()
        clock.tick(0.5)
        assert gate.enter() is not None  # the first was interrupted, say

    def test_of_two_who_come_after_a_pause_one_tries(self, clock: FrozenDateTimeFactory) -> None:
        """The one who finds that the pause is another by now stays out."""
        gate = Gate()
        gate.failed(gate.enter())
        clock.tick(0.5)
        tried: list[object] = []

        class Racing:
            def __enter__(self) -> None:
                gate._lock = threading.RLock()
                tried.append(gate.enter())

            def __exit__(self, *_: object) -> None: ...

        gate._lock = Racing()  # type: ignore[assignment]
        with pytest.raises(AwayError):
            gate.enter()
        assert tried[0] is not None

    def test_doubles_its_pauses_up_to_fifteen_seconds(self, clock: FrozenDateTimeFactory) -> None:
        """0.5, 1, 2, 4, 8, 15 and 15 seconds."""
        gate = Gate()
        assert gate.failed(gate.enter()) is True
        for pause in (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0):
            clock.tick(pause - 0.000001)
            assert gate.is_shut() is True
            clock.tick(0.000001)
            assert gate.failed(gate.enter()) is False

    def test_begins_with_the_shortest_pause_again(self, clock: FrozenDateTimeFactory) -> None:
        """After the store was back."""
        gate = Gate()
        gate.failed(gate.enter())
        for _ in range(3):
            clock.tick(15)
            gate.failed(gate.enter())
        clock.tick(15)
        assert gate.answered(gate.enter()) is True
        assert gate.failed(gate.enter()) is True
        clock.tick(0.5)
        assert gate.is_shut() is False

    def test_counts_one_failure_of_those_under_way(self, clock: FrozenDateTimeFactory) -> None:
        """Of many who wait for a store that has stopped, one begins the pause."""
        gate = Gate()
        entered = [gate.enter() for _ in range(3)]
        assert [gate.failed(each) for each in entered] == [True, False, False]
        clock.tick(0.5)
        assert gate.is_shut() is False

    @pytest.mark.usefixtures("clock")
    def test_heeds_no_late_answer(self) -> None:
        """One that was asked for before the store went away does not say that it is back."""
        gate = Gate()
        early, late = gate.enter(), gate.enter()
        gate.failed(early)
        assert gate.answered(late) is False
        assert gate.is_shut() is True

    def test_heeds_no_answer_of_one_who_was_given_up(self, clock: FrozenDateTimeFactory) -> None:
        """Somebody else tries by then."""
        gate = Gate()
        gate.failed(gate.enter())
        clock.tick(0.5)
        slow = gate.enter()
        clock.tick(0.5)
        gate.enter()
        assert gate.answered(slow) is False
        assert gate.is_shut() is True


@pytest.mark.usefixtures("clock")
class TestExchange:
    """What it tells, whom, and how often."""

    @pytest.fixture
    def store(self) -> OddStore:
        return OddStore()

    @pytest.fixture
    def exchange(self, store: OddStore) -> Exchange:
        return Exchange(store, redact)

    def test_returns_what_the_store_says(self, exchange: Exchange) -> None:
        """One operation or several."""
        assert exchange.apply("grok", FAILURE).record is not None
        replies = exchange.apply_all([("grok", FAILURE), ("gemini", Read())])
        assert [reply and reply.record and reply.record.failures for reply in replies] == [2, None]

    @pytest.mark.parametrize(
        ("mood", "is_doubtful"), [("refuses", False), ("loses requests", True), ("loses answers", True)]
    )
    @pytest.mark.parametrize("several", [False, True])
    def test_says_whether_it_may_have_been_done(
        self, store: OddStore, exchange: Exchange, mood: str, is_doubtful: bool, several: bool
    ) -> None:
        """By what the store raises."""
        store.mood = mood
        with pytest.raises(AwayError) as away:
            exchange.apply_all([("grok", FAILURE)]) if several else exchange.apply("grok", FAILURE)
        assert away.value.is_doubtful is is_doubtful

    def test_says_in_one_line_that_it_is_away_and_in_one_that_it_is_back(
        self,
        store: OddStore,
        exchange: Exchange,
        clock: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """However many ask meanwhile."""
        store.mood = "refuses"
        for _ in range(5):
            with pytest.raises(AwayError):
                exchange.apply("grok", FAILURE)
            clock.tick(0.3)
        assert exchange.is_shut() is True
        store.mood = "answers"
        clock.tick(15)
        for _ in range(3):
            exchange.apply("grok", Read())
        assert [record.getMessage() for record in caplog.records] == [
            "store of cooldowns is away, this process goes on by itself error=refused",
            "store of cooldowns is back",
        ]
        assert {record.levelno for record in caplog.records} == {logging.WARNING}

    def test_says_once_that_a_full_store_takes_no_writes(
        self, clock: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It answers those who look: they cannot tell, and say at most once that it is back."""

        class Full(OddStore):
            is_full = True

            def apply(self, name: str, operation: Operation) -> Reply:
                if self.is_full and not isinstance(operation, Read):
                    raise NotAppliedError("out of memory")
                return super().apply(name, operation)

        store = Full()
        exchange = Exchange(store, redact)
        for _ in range(5):
            with pytest.raises(AwayError):
                exchange.apply("grok", FAILURE)
            clock.tick(15)
            exchange.apply("grok", Read())
        away, back = "store of cooldowns is away", "store of cooldowns is back"
        assert [text.partition(",")[0] for text in caplog.messages] == [away, back, away]
        store.is_full = False
        exchange.apply("grok", FAILURE)
        exchange.apply("grok", Read())
        assert caplog.messages[3:] == [back]
        store.mood = "refuses"
        with pytest.raises(AwayError):
            exchange.apply("grok", Read())
        store.mood = "answers"
        clock.tick(15)
        exchange.apply("grok", Read())
        assert [text.partition(",")[0] for text in caplog.messages[4:]] == [away, back]
        exchange.apply("grok", FAILURE)
        store.is_full = True
        with pytest.raises(AwayError):
            exchange.apply("grok", FAILURE)
        clock.tick(15)
        exchange.apply("grok", Read())
        assert [text.partition(",")[0] for text in caplog.messages[6:]] == [away, back]

    def test_asks_nobody_in_a_pause(self, store: OddStore, exchange: Exchange) -> None:
        """The store is left alone."""
        store.mood = "refuses"
        for _ in range(4):
            with pytest.raises(AwayError):
                exchange.apply("grok", Read())
        assert store.asked == [["Read"]]

    @pytest.mark.parametrize("several", [False, True])
    def test_of_one_unusable_record_concerns_no_other(
        self, store: OddStore, exchange: Exchange, several: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is said once, and once more when it was well meanwhile."""

        def ask() -> None:
            if several:
                assert exchange.apply_all([("grok", FAILURE), ("gemini", FAILURE)])[0] is None
            else:
                with pytest.raises(AwayError) as away:
                    exchange.apply("grok", FAILURE)
                assert away.value.is_doubtful is False
                exchange.apply("gemini", FAILURE)

        store.unusable = {"grok"}
        ask()
        ask()
        assert exchange.is_shut() is False
        gemini = exchange.apply("gemini", Read()).record
        assert gemini is not None
        assert gemini.failures == 2
        said = (
            "record of cooldowns is unusable, this process goes on by itself "
            "provider=grok error=grok is no record"
        )
        assert caplog.messages == [said]
        store.unusable = set()
        exchange.apply_all([("grok", FAILURE), ("gemini", FAILURE)])
        store.unusable = {"grok"}
        ask()
        assert caplog.messages == [said, said]

    def test_an_unusable_record_says_that_the_store_is_back(
        self,
        store: OddStore,
        exchange: Exchange,
        clock: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """It has answered."""
        store.mood, store.unusable = "refuses", {"grok"}
        with pytest.raises(AwayError):
            exchange.apply("grok", Read())
        store.mood = "answers"
        clock.tick(0.5)
        with pytest.raises(AwayError):
            exchange.apply("grok", Read())
        assert "store of cooldowns is back" in caplog.messages
        assert exchange.is_shut() is False

    def test_is_asked_by_many_at_once(self, exchange: Exchange) -> None:
        """Under no lock: two exchanges are under way at the same time."""
        both = threading.Barrier(2)

        class Meeting(OddStore):
            def apply(self, name: str, operation: object) -> object:  # type: ignore[override]
                both.wait(PATIENCE)
                return super().apply(name, Read())

        meeting = Exchange(Meeting(), redact)
        threads = [threading.Thread(target=meeting.apply, args=("grok", Read())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
        assert both.broken is False

    def test_finds_out_anew_in_a_child(self, store: OddStore, exchange: Exchange) -> None:
        """Whether the store is away, and with a lock that no thread of the parent's holds."""
        store.mood = "refuses"
        with pytest.raises(AwayError):
            exchange.apply("grok", Read())
        held = exchange._lock
        exchange._renew_after_fork()
        assert exchange._lock is not held
        assert exchange.is_shut() is False

    def test_lets_an_interruption_pass(self, store: OddStore) -> None:
        """It is no failure of the store."""

        class Interrupted(OddStore):
            def apply(self, name: str, operation: object) -> object:  # type: ignore[override]
                raise KeyboardInterrupt

        exchange = Exchange(Interrupted(), redact)
        with pytest.raises(KeyboardInterrupt):
            exchange.apply("grok", Read())
        assert exchange.is_shut() is False
