"""Workers of a prefork server that share cooldowns, while their vendor dies and comes back."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from helpers import PATIENCE, in_threads
from prefork_server import PreforkServer
from real_servers import Server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")

WORKERS = 4
FAIL_MAX = 3

SUCCESS = {"grok": "SUCCESS"}
FAILURE = {"grok": "FAILURE", "gemini": "SUCCESS"}
SKIPPED = {"grok": "SKIPPED", "gemini": "SUCCESS"}


class LoopbackVendor(ThreadingHTTPServer):
    """A vendor that may be dead, and counts the calls that reach it then."""

    daemon_threads = False  # their end is waited for

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.is_dead = False
        self.calls_while_dead = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.lock = threading.Lock()

    def reached(self) -> int:
        """Return how many calls have reached the dead vendor since this was last asked."""
        with self.lock:
            count, self.calls_while_dead = self.calls_while_dead, 0
            return count


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackVendor

    def do_GET(self) -> None:
        vendor = self.server
        with vendor.lock:
            is_dead = vendor.is_dead
            vendor.calls_while_dead += is_dead
        assert vendor.may_answer.wait(PATIENCE)
        self.send_response(503 if is_dead else 200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def vendor() -> Iterator[LoopbackVendor]:
    """A vendor that lives."""
    with LoopbackVendor() as vendor:
        thread = threading.Thread(target=vendor.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield vendor
        vendor.may_answer.set()
        vendor.shutdown()
        thread.join(PATIENCE)


@contextlib.contextmanager
def gunicorn(directory: Path, vendor: LoopbackVendor, store: str) -> Iterator[PreforkServer]:
    """Run the app's workers; they share their cooldowns where there is a store."""
    settings = {"SHARED_APP_VENDOR": str(vendor.server_port), "SHARED_APP_STORE": store}
    workers = PreforkServer(directory, "shared_app", workers=WORKERS, **settings)
    try:
        yield workers
    finally:
        workers.close()


@pytest.fixture
def store(server: Server) -> str:
    """An empty store, by its URL."""
    server.client.flushall()
    return server.url


def told_in_turn(workers: PreforkServer, path: str = "/ask") -> Counter[str]:
    """Ask every worker, one after the other; count what became of the vendor's call."""
    return Counter(each["grok"] for each in workers.ask_in_turn("GET", path).values())


def reached_by_probes(workers: PreforkServer, vendor: LoopbackVendor, expected: int) -> int:
    """Ask all workers at once when a cooldown is over; count the calls that reach the vendor meanwhile.

    It answers none of them before all other workers have answered.
    """
    vendor.may_answer.clear()
    answers = workers.ask_all("GET", "/ask")
    skipped = [next(answers) for _ in range(WORKERS - expected)]
    vendor.may_answer.set()
    assert [*skipped, *answers] == [SKIPPED] * (WORKERS - expected) + [FAILURE] * expected
    return vendor.reached()


def test_a_dead_vendor_gets_as_many_calls_as_from_one_process(
    tmp_path: Path, vendor: LoopbackVendor, store: str
) -> None:
    """Four workers send three calls, then one probe a cooldown; when it succeeds, all of them call again."""
    with gunicorn(tmp_path, vendor, store) as workers:
        assert told_in_turn(workers) == {"SUCCESS": WORKERS}
        vendor.is_dead = True
        assert told_in_turn(workers) == {"FAILURE": FAIL_MAX, "SKIPPED": WORKERS - FAIL_MAX}
        assert told_in_turn(workers) == {"SKIPPED": WORKERS}
        assert vendor.reached() == FAIL_MAX

        for _ in range(2):
            assert list(workers.ask("POST", "/elapse")) == ["open"]  # one of the workers, for all
            assert reached_by_probes(workers, vendor, expected=1) == 1
            assert told_in_turn(workers) == {"SKIPPED": WORKERS}

        vendor.is_dead = False
        assert list(workers.ask("POST", "/elapse")) == ["open"]
        assert told_in_turn(workers) == {"SUCCESS": WORKERS}
        assert vendor.reached() == 0


def test_without_a_store_each_worker_learns_for_itself(tmp_path: Path, vendor: LoopbackVendor) -> None:
    """Four workers send twelve calls, and four probes a cooldown: what the store is there to prevent."""
    with gunicorn(tmp_path, vendor, store="") as workers:
        assert told_in_turn(workers) == {"SUCCESS": WORKERS}
        vendor.is_dead = True
        for _ in range(FAIL_MAX):
            assert told_in_turn(workers) == {"FAILURE": WORKERS}
        assert told_in_turn(workers) == {"SKIPPED": WORKERS}
        assert vendor.reached() == FAIL_MAX * WORKERS

        assert workers.told_by_all("POST", "/elapse") == "open"
        assert reached_by_probes(workers, vendor, expected=WORKERS) == WORKERS


def test_under_load(tmp_path: Path, vendor: LoopbackVendor, store: str) -> None:
    """Every request is answered; what is under way when the cooldown starts is all that comes on top."""
    clients, each = 8, 25

    def load() -> Counter[str]:
        told = in_threads(clients, lambda _: list(workers.ask("GET", "/ask", each)))
        return Counter(answer["grok"] for answers in told for answer in answers)

    with gunicorn(tmp_path, vendor, store) as workers:
        assert load() == {"SUCCESS": clients * each}

        vendor.is_dead = True
        outage = load()
        assert outage.keys() == {"FAILURE", "SKIPPED"}
        assert outage.total() == clients * each
        assert FAIL_MAX <= vendor.reached() == outage["FAILURE"] < FAIL_MAX + WORKERS

        assert list(workers.ask("POST", "/elapse")) == ["open"]
        assert load() == {"FAILURE": 1, "SKIPPED": clients * each - 1}
        assert vendor.reached() == 1

        vendor.is_dead = False
        assert list(workers.ask("POST", "/elapse")) == ["open"]
        assert list(workers.ask("GET", "/ask")) == [SUCCESS]
        assert load() == {"SUCCESS": clients * each}
