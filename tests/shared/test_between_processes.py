"""Processes that share cooldowns by a real server: what adds up, what reaches all, who survives what."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fallback_exec.cooldown.operations import SECOND, Read, Record
from fallback_exec.redis import RedisCooldownStore
from helpers import PATIENCE, forked_child_finishes, held
from prefork_server import TESTS, environment
from real_servers import Server, until

PROCESSES = 8

SUCCESS = {"grok": "SUCCESS"}
FAILURE = {"grok": "FAILURE", "gemini": "SUCCESS"}
SKIPPED = {"grok": "SKIPPED", "gemini": "SUCCESS"}

#: What a machine that is busy with other things needs at most.
UNHURRIED = {"timeout": PATIENCE}

#: What is known is good for no time at all.
ALERT = {**UNHURRIED, "refresh_interval": 1e-6}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")


class Process:
    """A process that does what it is told; see `shared_program`."""

    def __init__(self, gate: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(TESTS / "shared_program.py"), str(gate)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            pass_fds=[gate],
            bufsize=0,
        )

    def build(self, server: Server, *, tells: bool = False, store: Any = UNHURRIED, **tracker: Any) -> None:
        """Have it build a tracker that shares."""
        assert self.ask("build", url=server.url, tells=tells, store=store, tracker=tracker) is None

    def send(self, do: str, **arguments: Any) -> None:
        """Tell it what to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")

    def hear(self) -> Any:
        """Return what it tells next."""
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], PATIENCE)[0], "a process hangs"
        line = self._process.stdout.readline()
        assert line, "a process has ended"
        return json.loads(line)

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have it do that; return what it tells of it."""
        self.send(do, **arguments)
        return self.hear()

    def ask_aloud(self, do: str, **arguments: Any) -> tuple[list[list[str]], Any]:
        """Have a process do that whose store tells; return what it asked, and what came of it."""
        self.send(do, **arguments)
        asked = []
        while isinstance(told := self.hear(), list):
            asked.append(told[1:])
        return asked, told

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self._process.kill()
        self._process.wait(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Team:
    """Several processes that can be let go at the same moment."""

    def __init__(self) -> None:
        self.gate, self._go = os.pipe()
        self._started: list[Process] = []

    def start(self) -> Process:
        """Start one more process."""
        self._started.append(Process(self.gate))
        return self._started[-1]

    def together(self, processes: list[Process], do: str, **arguments: Any) -> list[Any]:
        """Have all of them do that at once; return what they tell of it."""
        for process in processes:
            process.send(do, together=True, **arguments)
        assert [process.hear() for process in processes] == ["ready"] * len(processes)
        os.write(self._go, b"." * len(processes))
        return [process.hear() for process in processes]

    def close(self) -> None:
        """End all of them."""
        for process in self._started:
            process.kill()
        os.close(self.gate)
        os.close(self._go)


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    """Processes are started once: it takes longer than most of what they do."""
    team = Team()
    yield team
    team.close()


@pytest.fixture(scope="module")
def processes(team: Team) -> list[Process]:
    """As many as a busy host has."""
    return [team.start() for _ in range(PROCESSES)]


@pytest.fixture
def empty(server: Server) -> Iterator[Server]:
    """An empty server, on which every key has to have a time to live."""
    server.client.flushall()
    yield server
    assert all_expire(server)


def all_expire(server: Server) -> bool:
    """Return whether every key expires."""
    return all(server.client.pttl(key) > 0 for key in server.client.scan_iter())


def record_of(server: Server, name: str = "grok") -> Record | None:
    """Return what the server knows of a provider."""
    with contextlib.closing(RedisCooldownStore(server.url, timeout=PATIENCE)) as store:
        return store.apply(name, Read()).record


def known_of(server: Server, name: str = "grok") -> Record:
    """Return what the server knows of a provider of which it knows something."""
    record = record_of(server, name)
    assert record is not None
    return record


class TestCounting:
    """What processes tell of attempts, at once."""

    def test_failures_add_up(self, empty: Server, team: Team, processes: list[Process]) -> None:
        """Eight times five hundred are four thousand."""
        for process in processes:
            process.build(empty, fail_max=1_000_000)
        assert team.together(processes, "fail", name="grok", count=500) == [0] * PROCESSES
        assert known_of(empty).failures == 4000

    @pytest.mark.parametrize("fail_max", [1, 5, PROCESSES])
    def test_one_starts_the_cooldown(
        self, empty: Server, team: Team, processes: list[Process], fail_max: int
    ) -> None:
        """Of failures that arrive at once, exactly one says so."""
        for process in processes:
            process.build(empty, fail_max=fail_max)
        for number in range(10):
            told = team.together(processes, "fail", name=f"vendor {number}")
            assert sorted(told) == [0] * (PROCESSES - 1) + [1]
            assert known_of(empty, f"vendor {number}").failures == fail_max

    def test_one_probe_over_all(self, empty: Server, team: Team, processes: list[Process]) -> None:
        """Eight processes with four threads each wait for the end of a cooldown, and one of them probes."""
        for process in processes:
            process.build(empty, store=ALERT)
        for number in range(3):
            name = f"vendor {number}"
            processes[number].ask("cool_down", name=name, seconds=0.3)
            told = team.together(processes, "claim", name=name, threads=4)
            assert sorted(told) == [0] * (PROCESSES - 1) + [1]
            prober = processes[told.index(1)]
            prober.ask("succeed")
            assert [process.ask("acquire", name=name) for process in processes] == [None] * PROCESSES


class TestReach:
    """What one process learns, all know."""

    def test_a_new_process_respects_a_cooldown(
        self, empty: Server, team: Team, processes: list[Process]
    ) -> None:
        """From its first execution on."""
        processes[0].build(empty)
        processes[0].ask("cool_down", name="grok", seconds=3600)
        new = team.start()
        new.build(empty)
        assert new.ask("execute") == SKIPPED

    @pytest.mark.parametrize("by", ["hand", "vendor"])
    def test_a_cooldown_and_a_reset_reach_all(self, empty: Server, processes: list[Process], by: str) -> None:
        """Within the interval: what a hand wants, and for how long a vendor asks to be left alone."""
        first, *others = processes
        for process in processes:
            process.build(empty, reset_timeout=1.0)
            assert process.ask("execute") == SUCCESS
        if by == "hand":
            first.ask("cool_down", name="grok", seconds=3600)
        else:
            assert first.ask("execute", does="ask for an hour") == FAILURE
        for process in others:
            until(lambda: process.ask("execute") == SKIPPED, "it has reached it")  # noqa: B023  # run at once
            assert process.ask("acquire", name="grok") > 1800
        others[-1].ask("reset", name="grok")
        for process in processes:
            until(lambda: process.ask("execute") == SUCCESS, "it has reached it")  # noqa: B023


class TestKilled:
    """A process that ends without a word."""

    def test_a_killed_prober_s_lease_frees_in_its_time(
        self, empty: Server, team: Team, processes: list[Process]
    ) -> None:
        """Not before, and the next claim is granted."""
        prober, other = team.start(), processes[0]
        for process in (prober, other):
            process.build(empty, store=ALERT, probe_lease=1.0)
        prober.ask("cool_down", name="grok", seconds=1e-6)
        assert prober.ask("claim", name="grok") == 1
        probed = known_of(empty)
        assert probed.lease - probed.changed == SECOND
        prober.kill()
        until(lambda: other.ask("acquire", name="grok") is None, "the lease is over")
        granted = known_of(empty)
        assert granted.token not in {"", probed.token}
        # A lease begins with its era.
        assert granted.changed >= probed.lease
        other.ask("succeed")
        assert known_of(empty).state == "closed"

    def test_a_killed_server_s_failures_are_counted_meanwhile(
        self, tmp_path: Path, processes: list[Process]
    ) -> None:
        """Each process counts its own, and when there is a server again, all of them are added once."""
        few = processes[:3]
        server = Server(tmp_path)
        try:
            for process in few:
                process.build(server, fail_max=1_000_000)
                process.ask("fail", name="grok")
            server.stop()
            for process in few:
                assert process.ask("fail", name="grok", count=5) == 0
            server = Server(tmp_path, port=server.port)

            def all_have_told() -> bool:
                for process in few:
                    process.ask("acquire", name="grok")
                record = record_of(server)
                return record is not None and record.failures == 15

            until(all_have_told, "all have told")
            for process in few:
                process.ask("fail", name="grok")
            assert known_of(server).failures == 18
            assert all_expire(server)
        finally:
            server.stop()


class TestForks:
    """Processes that have inherited a tracker."""

    def test_a_child_has_connections_of_its_own(self, empty: Server, team: Team) -> None:
        """It opens them, and both go on in step."""
        parent = team.start()
        parent.build(empty, fail_max=1_000_000)
        parent.ask("fail", name="grok")
        opened = connections_opened(empty)
        assert parent.ask("fork", things=[{"do": "fail", "name": "grok", "count": 10}]) == [0]
        assert connections_opened(empty) == opened + 1
        parent.ask("fail", name="grok")
        assert connections_opened(empty) == opened + 1
        assert known_of(empty).failures == 12

    def test_a_child_leaves_the_parent_s_probe_alone(self, empty: Server, team: Team) -> None:
        """It waits for it, as others do, and the parent's outcome counts."""
        parent = team.start()
        parent.build(empty, store=ALERT)
        parent.ask("cool_down", name="grok", seconds=1e-6)
        assert parent.ask("claim", name="grok") == 1
        assert parent.ask("fork", things=[{"do": "acquire", "name": "grok"}, {"do": "execute"}]) == [
            0.0,
            SKIPPED,
        ]
        assert known_of(empty).state == "half-open"
        parent.ask("succeed")
        assert parent.ask("fork", things=[{"do": "execute"}]) == [SUCCESS]

    @pytest.mark.parametrize("way", ["prefork", "pool"])
    def test_a_tracker_built_before_the_fork(self, empty: Server, team: Team, way: str) -> None:
        """Forked workers count together, and one of them starts the cooldown; the parent goes on, too."""
        parent = team.start()
        parent.build(empty, store=ALERT, fail_max=101)
        parent.ask("fail", name="grok")
        arguments = {"workers": 4} if way == "prefork" else {"tasks": 4}
        assert parent.ask(way, count=20, **arguments) == 0
        assert known_of(empty).failures == 81
        assert parent.ask(way, count=20, **arguments) == 1
        assert parent.ask("execute") == SKIPPED

    def test_a_fork_while_threads_ask(self, empty: Server, team: Team) -> None:
        """The children work, whatever the parent's threads were doing, and nothing is lost."""
        parent = team.start()
        parent.build(empty, store=ALERT, fail_max=1_000_000)
        recorded = parent.ask("fork_while_busy", children=20, threads=3)
        assert known_of(empty, "mistral").failures == recorded > 20

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
    def test_a_thread_that_takes_a_connection_does_not_hinder_a_child(self, empty: Server) -> None:
        """Nobody would release what it holds at the fork."""
        with contextlib.closing(RedisCooldownStore(empty.url, timeout=PATIENCE)) as store:
            store.apply("grok", Read())
            assert store._own_pool is not None
            # Before redis-py 5.3 there is no dispatcher.
            dispatcher = getattr(store._own_pool, "_event_dispatcher", None)
            with held(store._own_pool._lock), held(getattr(dispatcher, "_lock", threading.RLock())):
                assert forked_child_finishes(lambda: store.apply("grok", Read()))
                store._renew_after_fork()  # as a child does
                store.apply("grok", Read())

    def test_what_looks_up_addresses_is_imported_at_once(self) -> None:
        """With the store, and not while somebody may fork, whose child would wait for the import for ever."""
        told = subprocess.run(
            [sys.executable, "-c", "import sys, fallback_exec.redis; print('encodings.idna' in sys.modules)"],
            capture_output=True,
            check=True,
            text=True,
            timeout=PATIENCE,
        )
        assert told.stdout == "True\n"


def connections_opened(server: Server) -> int:
    """Return how many connections the server has taken so far."""
    told: dict[str, int] = server.client.info("stats")
    return told["total_connections_received"]


class TestInterrupted:
    """Ctrl-C while a server says nothing."""

    @pytest.fixture
    def stranger(self, empty: Server, team: Team) -> Process:
        """A process whose store tells what it asks, and which asks nothing that it knows."""
        process = team.start()
        store = {**UNHURRIED, "refresh_interval": 3600}
        process.build(empty, tells=True, store=store, fail_max=3, reset_timeout=3600)
        return process

    @pytest.fixture
    def process(self, stranger: Process) -> Process:
        """One that has asked already."""
        assert stranger.ask_aloud("execute") == ([["Read"]], SUCCESS)
        return stranger

    @staticmethod
    @contextlib.contextmanager
    def stopped(server: Server) -> Iterator[None]:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server.pid, signal.SIGCONT)

    @staticmethod
    def interrupt(process: Process, operation: str) -> None:
        """Interrupt it when it asks that."""
        assert process.hear() == ["asks", operation]
        process.signal(signal.SIGINT)

    def test_a_refresh(self, empty: Server, stranger: Process) -> None:
        """Nothing is counted, and the next answers are in step."""
        with self.stopped(empty):
            stranger.send("execute")
            self.interrupt(stranger, "Read")
            assert stranger.hear() == "KeyboardInterrupt"
        assert stranger.ask_aloud("execute") == ([["Read"]], SUCCESS)
        assert record_of(empty) is None

    def test_a_claim(self, empty: Server, process: Process) -> None:
        """The probe that may have been granted is the process's own, and nobody need wait for it there."""
        process.ask_aloud("cool_down", name="grok", seconds=1e-6)
        with self.stopped(empty):
            process.send("execute")
            self.interrupt(process, "Claim")
            assert process.hear() == "KeyboardInterrupt"
        assert process.ask_aloud("execute") == ([["Claim"], ["Succeed"]], SUCCESS)
        assert known_of(empty).state == "closed"

    def test_an_outcome(self, empty: Server, process: Process) -> None:
        """A failure counts once at most."""
        with self.stopped(empty):
            process.send("execute", does="fail")
            self.interrupt(process, "Fail")
            assert process.hear() == "KeyboardInterrupt"
        assert process.ask_aloud("fail", name="grok") == ([["Fail"]], 0)
        assert known_of(empty).failures in {1, 2}

    def test_a_probe(self, empty: Server, process: Process) -> None:
        """It is given back, or at the latest replaced when the process claims the next one."""
        process.ask_aloud("cool_down", name="grok", seconds=1e-6)
        process.send("execute", does="hang")
        assert process.hear() == ["asks", "Claim"]
        assert process.hear() == "calls"
        with self.stopped(empty):
            process.signal(signal.SIGINT)
            self.interrupt(process, "Release")
            assert process.hear() == "KeyboardInterrupt"
        assert process.ask_aloud("execute") == ([["Claim"], ["Succeed"]], SUCCESS)
        assert known_of(empty).state == "closed"
