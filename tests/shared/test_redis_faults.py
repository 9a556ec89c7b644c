"""What the Redis store makes of a server that is away, slow, or answers with errors.

An error that says that nothing was carried out is a `NotAppliedError`; any other leaves it open. In either
case the next exchange is in step.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import socketserver
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from fallback_exec.cooldown.operations import SECOND, CoolDown, Fail, Read
from fallback_exec.cooldown.store import NotAppliedError, RecordUnusableError
from fallback_exec.redis import RedisCooldownStore
from fallback_exec.redis.connections import BoundedConnection, BoundedSocket
from helpers import PATIENCE
from real_servers import Server, free_port

FAILURE = Fail(0, was_closed=True, fail_max=99, cooldown=60 * SECOND, reopenings=0)

#: The store's limit where it is to be reached, and how long after it a busy machine may notice.
SHORT = 0.05
SLACK = 10


def failures(store: RedisCooldownStore, name: str = "grok") -> int:
    record = store.apply(name, Read()).record
    return 0 if record is None else record.failures


def refusals_of(store: RedisCooldownStore) -> Iterator[NotAppliedError]:
    """Ask on and on, and yield what says that nothing was carried out."""
    for _ in range(100_000):
        try:
            store.apply("grok", Read())
        except NotAppliedError as error:
            yield error


class Command(list[bytes]):
    """What a client has sent."""

    @property
    def nonce(self) -> bytes:
        return self[4]

    def answer(self) -> bytes:
        """Return the script's answer to it where there is no record."""
        return b"*3\r\n$%d\r\n%s\r\n$1\r\n1\r\n$1\r\n0\r\n" % (len(self.nonce), self.nonce)


#: What a server says to a command; None: it closes the connection.
Answer = Callable[[Command], bytes | None]


class Scripted:
    """A server that says what it is told to. The last of its answers is that to all that follow."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [Command.answer]
        self.commands: list[Command] = []
        self.connections = 0
        self.is_over = threading.Event()
        scripted = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                scripted.connections += 1
                with contextlib.suppress(OSError):
                    while (count := self.rfile.readline()) and scripted.answer_one(self, int(count[1:])):
                        pass

        class TCPServer(socketserver.ThreadingTCPServer):
            daemon_threads = False
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                raise AssertionError from None

        self.server = TCPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.server.server_address[1]}"

    def answer_one(self, handler: socketserver.StreamRequestHandler, count: int) -> bool:
        command = Command()
        for _ in range(count):
            size = int(handler.rfile.readline()[1:])
            command.append(handler.rfile.read(size + 2)[:-2])
        self.commands.append(command)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        reply = answer(command)
        if reply is None:
            return False
        handler.wfile.write(reply)
        return True

    def say(self, *answers: Answer) -> None:
        self.answers[:] = answers

    def close(self) -> None:
        self.is_over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server that says what it is told to."""
    server = Scripted()
    yield server
    server.close()


@contextlib.contextmanager
def store_of(url: str, timeout: float = PATIENCE) -> Iterator[RedisCooldownStore]:
    store = RedisCooldownStore(url, timeout=timeout)
    try:
        yield store
    finally:
        store.close()


def error_line(text: str) -> Answer:
    return lambda _: b"-%s\r\n" % text.encode()


def chain(error: BaseException | None) -> list[BaseException]:
    """Return the error with all that it is chained to."""
    if error is None:
        return []
    return [error, *chain(error.__cause__), *chain(error.__context__)]


REFUSALS = [
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOAUTH Authentication required.",
    "NOPERM User worker has no permissions to run the 'evalsha' command",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "MOVED 866 127.0.0.1:1",
    "ERR unknown command 'EVALSHA'",
    "ERR max number of clients reached",
    "NOSCRIPT No matching script. Please use EVAL.",
]


class TestRefusals:
    @pytest.mark.parametrize("text", REFUSALS)
    def test_a_server_that_answers_with_an_error_has_done_nothing(
        self, scripted: Scripted, text: str
    ) -> None:
        """The error says so, from the server's own, and the next exchange has a new connection."""
        with store_of(scripted.url) as store:
            scripted.say(error_line(text))
            with pytest.raises(NotAppliedError) as caught:
                store.apply("grok", FAILURE)
            assert not isinstance(caught.value, RecordUnusableError)
            assert isinstance(caught.value.__cause__, redis.RedisError)
            assert caught.value.__context__ is None
            scripted.say(Command.answer)
            assert store.apply("grok", Read()).record is None
            assert scripted.connections == 2

    @pytest.mark.parametrize("text", REFUSALS[:-1])
    def test_it_has_done_none_of_several(self, scripted: Scripted, text: str) -> None:
        """Also where those that only read were answered."""
        with store_of(scripted.url) as store:
            scripted.say(Command.answer, error_line(text))
            with pytest.raises(NotAppliedError):
                store.apply_all([("a", Read()), ("b", FAILURE), ("c", Read())])
            scripted.say(Command.answer)
            assert store.apply("grok", Read()).record is None

    @pytest.mark.parametrize("text", REFUSALS[:-1])
    def test_it_is_open_where_one_was_carried_out(self, scripted: Scripted, text: str) -> None:
        """Where another one that writes was answered before, it cannot be said that nothing was done."""
        with store_of(scripted.url) as store:
            scripted.say(Command.answer, error_line(text))
            with pytest.raises(redis.RedisError):
                store.apply_all([("a", FAILURE), ("b", FAILURE), ("c", Read())])

    def test_a_wrong_password_is_said_without_it(self, server: Server) -> None:
        """Nothing was carried out; no text has the password, nor a context that has it."""
        host = server.url.removeprefix("redis://")
        with store_of(f"redis://nobody:s3cr3t@{host}") as store:
            with pytest.raises(NotAppliedError) as caught:
                store.apply("grok", FAILURE)
            shown = "".join(traceback.format_exception(caught.value)) + repr(store)
            assert not any("s3cr3t" in f"{error} {error!r} {error.args}" for error in chain(caught.value))
            assert "s3cr3t" not in shown

    def test_a_server_without_memory_is_left(self, server: Server) -> None:
        """A server that has none for writes still answers who reads; of both, nothing was done."""
        with store_of(server.url) as store:
            server.client.flushall()
            store.apply("grok", FAILURE)
            server.client.config_set("maxmemory", 1)
            try:
                assert failures(store) == 1
                for operation in (FAILURE, CoolDown(None, SECOND, 0, moves_end=True)):
                    with pytest.raises(NotAppliedError, match="OutOfMemoryError"):
                        store.apply("grok", operation)
                with pytest.raises(NotAppliedError):
                    store.apply_all([("grok", Read()), ("other", FAILURE)])
            finally:
                server.client.config_set("maxmemory", 0)
            assert failures(store) == 1

    def test_a_replica_is_no_place_to_write(self, server: Server) -> None:
        """A server that has become a replica refuses, and nothing was done."""
        with store_of(server.url) as store:
            server.client.flushall()
            server.client.config_set("replica-read-only", "yes")
            server.client.replicaof("127.0.0.1", 1)
            try:
                with pytest.raises(NotAppliedError, match="ReadOnlyError"):
                    store.apply("grok", FAILURE)
            finally:
                server.client.replicaof("NO", "ONE")
            assert failures(store) == 0

    @pytest.mark.parametrize("forbidden", ["pexpire", "hset", "hgetall", "evalsha"])
    def test_a_user_who_may_not_leaves_nothing_behind(self, server: Server, forbidden: str) -> None:
        """Whatever command the script lacks, no key is left, least of all one that never expires."""
        server.client.flushall()
        server.client.script_flush()
        server.client.acl_setuser(
            "worker", enabled=True, nopass=True, keys=["*"], commands=["+@all", f"-{forbidden}"]
        )
        host = server.url.removeprefix("redis://")
        try:
            with store_of(f"redis://worker:any@{host}") as store, pytest.raises(NotAppliedError):
                store.apply("grok", FAILURE)
        finally:
            server.client.acl_deluser("worker")
        assert server.client.keys() == []

    def test_a_busy_server_says_so(self, server: Server) -> None:
        """While another script runs on and on, nothing is carried out."""
        name = "busy-reply-threshold"
        before = server.client.config_get(name)[name] or ""
        server.client.config_set(name, 1)
        runner = redis.Redis(port=server.port, socket_timeout=PATIENCE)

        def run() -> None:
            with contextlib.suppress(redis.ResponseError):
                runner.eval("while true do end", 0)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            with store_of(server.url) as store:
                assert "BUSY" in str(next(refusals_of(store)))
        finally:
            server.client.script_kill()
            thread.join(PATIENCE)
            runner.close()
            server.client.config_set(name, before)
        assert not thread.is_alive()


class TestAway:
    def test_nobody_there_is_said_at_once(self) -> None:
        """A refused connection has carried nothing."""
        with store_of(f"redis://127.0.0.1:{free_port()}") as store, pytest.raises(NotAppliedError) as caught:
            store.apply("grok", FAILURE)
        assert isinstance(caught.value.__cause__, redis.ConnectionError)

    def test_a_host_that_has_no_address_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name that leads nowhere, and one that is no name."""
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
        with store_of("redis://nowhere") as store, pytest.raises(NotAppliedError, match="has no address"):
            store.apply("grok", FAILURE)

    def test_the_next_address_is_tried(self, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a name with several addresses, the first that answers is taken."""
        port = scripted.server.server_address[1]
        addresses = [("127.0.0.1", free_port()), ("127.0.0.1", port)]
        rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: rows)
        with store_of(scripted.url) as store:
            assert store.apply("grok", Read()).record is None

    def test_a_socket_that_is_not_there_is_said(self) -> None:
        """Also one of the file system."""
        with store_of("unix:///nowhere/at/all.sock") as store, pytest.raises(NotAppliedError):
            store.apply("grok", FAILURE)

    def test_a_connection_that_is_lost_leaves_it_open(self, scripted: Scripted) -> None:
        """The request had been sent: it may have been carried out."""
        with store_of(scripted.url) as store:
            scripted.say(lambda _: None)
            with pytest.raises(redis.ConnectionError) as caught:
                store.apply("grok", FAILURE)
            assert len(scripted.commands) == 1
            assert len(chain(caught.value)) == 1
            scripted.say(Command.answer)
            assert store.apply("grok", Read()).record is None

    def test_a_connection_that_was_closed_meanwhile_is_replaced(self, scripted: Scripted) -> None:
        """A server that closes idle connections, or was started anew, is not taken to be away."""
        closing = threading.Event()
        with store_of(scripted.url) as store:
            store.apply("grok", Read())
            (connection,) = store._own_pool._available_connections  # type: ignore[union-attr]
            connection._sock.shutdown(socket.SHUT_RDWR)
            closing.set()
            assert store.apply("grok", Read()).record is None
            assert scripted.connections == 2


class TestSlow:
    def test_a_silent_server_leaves_it_open_when_the_time_is_over(self, scripted: Scripted) -> None:
        """One request, one wait; what comes late is not taken for the answer to the next."""
        with store_of(scripted.url, SHORT) as store:
            scripted.say(lambda _: b"")
            began = time.monotonic()
            with pytest.raises(redis.TimeoutError) as caught:
                store.apply("grok", FAILURE)
            assert time.monotonic() - began < SHORT + SLACK
            assert len(chain(caught.value)) == 1
        assert len(scripted.commands) == 1

    def test_an_answer_in_dribs_and_drabs_has_no_more_time(self, scripted: Scripted) -> None:
        """The limit is that of the whole, not of each piece."""
        pieces = []

        def drip(command: Command) -> bytes | None:
            handler_answer = command.answer()
            for byte in handler_answer[:-1]:
                pieces.append(byte)
                if scripted.is_over.wait(SHORT / 5):
                    break
            return None

        with store_of(scripted.url, SHORT) as store:
            scripted.say(drip)
            with pytest.raises(redis.TimeoutError):
                store.apply("grok", FAILURE)
        assert len(pieces) < 300

    def test_no_time_is_left_for_the_request_of_a_slow_connection(
        self, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What connecting has taken is lost for what follows."""
        readings = itertools.count()
        monkeypatch.setattr(BoundedConnection, "_now", lambda _: next(readings) * 0.6 * PATIENCE)
        with store_of(scripted.url) as store, pytest.raises(redis.TimeoutError):
            store.apply("grok", FAILURE)
        assert scripted.commands == []

    def test_time_that_is_over_is_over(self) -> None:
        """A socket that has no time left neither sends nor waits."""

        def remaining() -> float:
            raise TimeoutError("timed out")

        ours, theirs = socket.socketpair()
        with ours, theirs:
            bounded = BoundedSocket(ours, remaining)
            for step in (
                lambda: bounded.sendall(b"x"),
                lambda: bounded.recv(1),
                lambda: bounded.recv_into(bytearray(1)),
            ):
                with pytest.raises(TimeoutError):
                    step()
            bounded.settimeout(0)
            with pytest.raises(BlockingIOError):
                bounded.recv(1)
            theirs.sendall(b"xy")
            buffer = bytearray(2)
            assert bounded.recv_into(buffer) == 2
            assert bytes(buffer) == b"xy"

    def test_a_stopped_server_holds_a_caller_up_once(self, server: Server) -> None:
        """A process that was stopped takes connections and says nothing; when it goes on, all is in step."""
        with store_of(server.url, SHORT) as store, store_of(server.url) as patient:
            server.client.flushall()
            patient.apply("grok", FAILURE)
            os.kill(server.pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                with pytest.raises((redis.TimeoutError, NotAppliedError)):
                    store.apply("grok", FAILURE)
                assert time.monotonic() - began < SHORT + SLACK
            finally:
                os.kill(server.pid, signal.SIGCONT)
            assert failures(patient) in {1, 2}
            assert patient.apply("other", Read()).record is None


class TestOutOfStep:
    def test_an_answer_to_another_request_is_noticed(self, scripted: Scripted) -> None:
        """It leaves open what came of this one, and the connection is dropped."""
        with store_of(scripted.url) as store:
            scripted.say(lambda command: Command([*command[:4], b"0" * 16]).answer())
            with pytest.raises(redis.ConnectionError, match="the answer is one to another request"):
                store.apply("grok", FAILURE)
            scripted.say(Command.answer)
            assert store.apply("grok", Read()).record is None
            assert scripted.connections == 2

    @pytest.mark.parametrize(
        "answer", [b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"*0\r\n", b"*1\r\n$1\r\na\r\n", b"?\r\n"]
    )
    def test_what_is_no_answer_of_the_script_is_noticed(self, scripted: Scripted, answer: bytes) -> None:
        """So is what another server would say."""
        with store_of(scripted.url) as store:
            scripted.say(lambda _: answer)
            with pytest.raises(redis.RedisError):
                store.apply("grok", FAILURE)
            scripted.say(Command.answer)
            assert store.apply("grok", Read()).record is None

    @pytest.mark.parametrize("step", ["send_packed_command", "read_response"])
    def test_an_interruption_leaves_no_answer_behind(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        """After Ctrl-C anywhere in an exchange, the next one has its own answer."""
        with store_of(server.url) as store:
            server.client.flushall()
            for _ in range(3):
                store.apply("grok", FAILURE)
            (connection,) = store._own_pool._available_connections  # type: ignore[union-attr]
            genuine = getattr(connection, step)

            def interrupted(*args: Any, **kwargs: Any) -> Any:
                if step == "send_packed_command":
                    genuine(*args, **kwargs)  # sent, and then
                raise KeyboardInterrupt

            monkeypatch.setattr(connection, step, interrupted)
            with pytest.raises(KeyboardInterrupt):
                store.apply("grok", FAILURE)
            monkeypatch.undo()
            assert store.apply("other", Read()).record is None
            assert failures(store) in {3, 4}
