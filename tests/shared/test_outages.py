"""What execution makes of a server that is away: local breakers decide, and afterwards both sides agree."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, Strategy, _log, execute
from fallback_exec.cooldown.operations import Operation, Read, Record, Reply
from fallback_exec.cooldown.store import NotAppliedError
from fallback_exec.redis import RedisCooldownStore, keys
from fork_children import quiet
from helpers import Vendor, in_threads, replying, vendors
from real_servers import HOST, Server, free_port

SUCCESS = {"grok": "SUCCESS"}
FAILURE = {"grok": "FAILURE", "gemini": "SUCCESS"}
SKIPPED = {"grok": "SKIPPED", "gemini": "SUCCESS"}

USER, PASSWORD = "worker", "s3cr3t"

#: How long a healthy server may take on a busy machine; a stopped one takes as long each time.
UNHURRIED = 1.0

#: Longer than any pause.
LATER = 20.0

#: After this, what is known is stale.
SOON = 1.0


class CountingStore(RedisCooldownStore):
    """Counts how often the server was asked."""

    asked = 0

    def apply_all(self, operations: Sequence[tuple[str, Operation]]) -> list[Reply | NotAppliedError]:
        self.asked += 1
        return super().apply_all(operations)


class Place:
    """Where a server is that comes and goes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._server: Server | None = None
        self._stores: list[CountingStore] = []

    @property
    def server(self) -> Server:
        """The one that is there."""
        assert self._server is not None
        return self._server

    def start(self) -> None:
        """Start an empty one."""
        self._server = Server(self._directory, port=self._port)
        self._server.client.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+@all")

    def kill(self) -> None:
        """Kill it, with all that it knows."""
        self.server.stop()
        self._server = None

    def stop(self) -> None:
        """Have it say nothing."""
        os.kill(self.server.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on."""
        os.kill(self.server.pid, signal.SIGCONT)

    def follow(self) -> None:
        """Have it follow a master that is not there."""
        self.server.client.replicaof(HOST, 1)

    def lead(self) -> None:
        """Have it be a master."""
        self.server.client.replicaof("NO", "ONE")

    def fill(self) -> None:
        """Have it be out of memory."""
        self.server.client.config_set("maxmemory", 1)

    def grow(self) -> None:
        """Have it have memory."""
        self.server.client.config_set("maxmemory", 0)

    def store(self, timeout: float = UNHURRIED) -> CountingStore:
        """Return a store that asks there, as a user that has a password."""
        url = f"redis://{USER}:{PASSWORD}@{HOST}:{self._port}"
        self._stores.append(CountingStore(url, timeout=timeout, clock="local"))
        return self._stores[-1]

    def tracker(self, **settings: float) -> BreakerCooldownTracker:
        """Return a tracker of one more process."""
        given: dict[str, float] = {"fail_max": 3, "reset_timeout": 60.0, **settings}
        return BreakerCooldownTracker(shared=self.store(), **given)  # type: ignore[arg-type]

    def record(self, name: str = "grok") -> Record | None:
        """Return what the server knows of a provider."""
        return self.store().apply(name, Read()).record

    def close(self) -> None:
        """Leave nothing behind."""
        for store in self._stores:
            store.close()
        if self._server is not None:
            self.go_on()
            assert all(self.server.client.pttl(key) > 0 for key in self.server.client.scan_iter())
            self.kill()


@attrs.frozen
class Fault:
    """What happens to a server, and how it ends.

    Attributes:
        loses: Whether what the server knew is lost.
    """

    begin: Callable[[Place], None]
    end: Callable[[Place], None]
    loses: bool = False


FAULTS = {
    "stopped": Fault(Place.stop, Place.go_on),
    "killed": Fault(Place.kill, Place.start, loses=True),
    "replica": Fault(Place.follow, Place.lead),
    "full": Fault(Place.fill, Place.grow),
}


@pytest.fixture
def place(tmp_path: Path, clock: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture) -> Iterator[Place]:
    """A place where a server is; no text has its password."""
    place = Place(tmp_path)
    place.start()
    yield place
    place.close()
    assert PASSWORD not in caplog.text


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest) -> Fault:
    """What happens."""
    return FAULTS[request.param]


def asked(tracker: BreakerCooldownTracker, fn: Callable[[Vendor], object] | None = None) -> dict[str, str]:
    """Execute a chain whose terminus answers; return what became of each."""
    config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=quiet)
    result = execute(vendors("grok", "gemini"), config, fn or (lambda _: "an answer"))
    return {attempt.provider: attempt.outcome.name for attempt in result.attempts}


def failing(tracker: BreakerCooldownTracker) -> dict[str, str]:
    """Execute the chain while its first provider is down."""
    return asked(tracker, replying(grok=ConnectionError("down"), gemini="an answer"))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return which of the lines about the store were logged, in order."""
    names = {
        event.template: name
        for name, event in (
            ("away", _log.STORE_AWAY),
            ("back", _log.STORE_BACK),
            ("unusable", _log.RECORD_UNUSABLE),
        )
    }
    return [names[str(record.msg)] for record in caplog.records if record.msg in names]


class TestAway:
    """Each fault, from its beginning to its end."""

    def test_local_breakers_decide_and_their_cooldown_is_published(
        self, place: Place, fault: Fault, clock: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Execution answers all the time, `fail_max` holds, and one line says each change."""
        one, other = place.tracker(), place.tracker()
        assert failing(one) == FAILURE
        fault.begin(place)
        clock.tick(SOON)
        assert [failing(one), failing(one)] == [FAILURE, FAILURE]
        assert asked(one) == SKIPPED
        clock.tick(SOON)
        assert asked(one) == SKIPPED
        assert told(caplog) == ["away"]
        fault.end(place)
        clock.tick(LATER)
        assert asked(one) == SKIPPED
        assert told(caplog) == ["away", "back"]
        record = place.record()
        assert record is not None
        assert record.state == "open"
        assert asked(other) == SKIPPED
        assert other.cooldown_remaining("grok") == 60 - SOON - LATER
        assert [one.snapshot()["grok"].openings, other.snapshot()["grok"].openings] == [1, 1]

    def test_failures_are_added_once(
        self, place: Place, fault: Fault, clock: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Those that each process counted meanwhile, exactly."""
        trackers = [place.tracker(fail_max=100) for _ in range(2)]
        for tracker in trackers:
            assert failing(tracker) == FAILURE
        fault.begin(place)
        clock.tick(SOON)
        for tracker, count in zip(trackers, (3, 4), strict=True):
            for _ in range(count):
                assert failing(tracker) == FAILURE
        fault.end(place)
        for _ in range(2):
            clock.tick(LATER)
            for tracker in trackers:
                tracker.acquire("grok")
        record = place.record()
        assert record is not None
        assert record.failures == 3 + 4 + (0 if fault.loses else 2)
        assert {tracker.snapshot()["grok"].failures for tracker in trackers} == {record.failures}
        assert told(caplog) == ["away", "away", "back", "back"]

    def test_one_that_was_closed_there_later_is_adopted(
        self, place: Place, fault: Fault, clock: FrozenDateTimeFactory
    ) -> None:
        """A hand in another process knew more than the breaker that opened before."""
        one = place.tracker()
        asked(one)
        fault.begin(place)
        clock.tick(SOON)
        for _ in range(3):
            failing(one)
        assert asked(one) == SKIPPED
        fault.end(place)
        clock.tick(SOON)
        place.tracker().reset("grok")
        clock.tick(LATER)
        assert asked(one) == SUCCESS
        assert one.snapshot()["grok"].failures == 0

    def test_a_probe_goes_on_without_the_server(
        self, place: Place, fault: Fault, clock: FrozenDateTimeFactory
    ) -> None:
        """The cooldown of all is over here, too, and that it has succeeded is told afterwards."""
        one, other = place.tracker(), place.tracker()
        one.cool_down("grok", 10)
        assert [asked(one), asked(other)] == [SKIPPED, SKIPPED]
        fault.begin(place)
        clock.tick(10)
        assert asked(one) == SUCCESS
        fault.end(place)
        clock.tick(LATER)
        assert asked(one) == SUCCESS
        record = place.record()
        assert record is None or record.state == "closed"
        assert asked(other) == SUCCESS


class TestLost:
    """A server that starts anew."""

    def test_a_cooldown_that_runs_is_published_again(
        self, place: Place, clock: FrozenDateTimeFactory
    ) -> None:
        """By the first who notices; also one that was begun by somebody else."""
        one, other = place.tracker(), place.tracker()
        one.cool_down("grok", 3600)
        assert asked(other) == SKIPPED
        place.kill()
        place.start()
        clock.tick(LATER)
        for _ in range(2):  # the first may find a connection that is closed
            assert asked(other) == SKIPPED
            clock.tick(LATER)
        assert asked(place.tracker()) == SKIPPED
        assert asked(one) == SKIPPED
        assert one.cooldown_remaining("grok") == 3600 - 3 * LATER

    def test_one_that_was_absent_at_the_start(
        self, tmp_path: Path, clock: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What happened before it came is published."""
        place = Place(tmp_path)
        one = place.tracker()
        assert [failing(one) for _ in range(3)] == [FAILURE] * 3
        assert asked(one) == SKIPPED
        assert told(caplog) == ["away"]
        place.start()
        clock.tick(LATER)
        assert asked(one) == SKIPPED
        assert told(caplog) == ["away", "back"]
        assert asked(place.tracker()) == SKIPPED
        place.close()
        assert PASSWORD not in caplog.text


class TestUnusable:
    """A key that has something else in it."""

    def test_leaves_its_provider_to_each_process(
        self, place: Place, clock: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One line says so, other providers are shared, and so is this one when the key is free again."""
        one, other = place.tracker(), place.tracker()
        key = keys.key("fallback_exec", "grok")
        place.server.client.set(key, "no record", ex=3600)
        assert [failing(one) for _ in range(3)] == [FAILURE] * 3
        assert asked(one) == SKIPPED
        one.cool_down("mistral", 30)
        assert not isinstance(other.acquire("gemini"), type(other.acquire("mistral")))
        clock.tick(SOON)
        assert asked(one) == SKIPPED
        assert told(caplog) == ["unusable"]
        place.server.client.delete(key)
        clock.tick(SOON)
        assert asked(one) == SKIPPED
        assert asked(other) == SKIPPED
        assert told(caplog) == ["unusable"]

    def test_is_asked_for_once_an_interval(self, place: Place, clock: FrozenDateTimeFactory) -> None:
        """Also while there is something to report, which it does not take."""
        store = place.store()
        tracker = BreakerCooldownTracker(fail_max=3, shared=store)
        place.server.client.set(keys.key("fallback_exec", "grok"), "no record", ex=3600)
        for _ in range(3):
            failing(tracker)
        for _ in range(2):
            clock.tick(SOON)
            store.asked = 0
            for _ in range(10):
                assert asked(tracker) == SKIPPED
            assert store.asked <= 2  # the two providers


class TestSlowCalls:
    """A server that was stopped, which holds up whoever asks it."""

    def test_one_call_a_pause_asks(self, place: Place, clock: FrozenDateTimeFactory) -> None:
        """At first one, then one after each pause, of any number of calls and threads."""
        place.stop()
        store = place.store(timeout=0.05)
        tracker = BreakerCooldownTracker(fail_max=1000, shared=store)
        for _ in range(20):
            assert failing(tracker) == FAILURE
        assert store.asked == 1
        for number, pause in enumerate((0.5, 1, 2, 4, 8, 15, 15), start=2):
            clock.tick(pause - 0.001)
            assert failing(tracker) == FAILURE
            assert store.asked == number - 1
            clock.tick(0.001)
            assert in_threads(8, lambda _: [failing(tracker), asked(tracker)]) == [[FAILURE, SUCCESS]] * 8
            assert store.asked == number
