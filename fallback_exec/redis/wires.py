"""Sending requests and reading their answers: by one pool of connections, or by those of a cluster's nodes.

Connections are driven by hand, as redis-py's pipelines for a cluster send what has timed out a second time.
"""

from __future__ import annotations

import inspect
import threading
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import redis
from redis import exceptions
from redis.sentinel import SentinelConnectionPool

from fallback_exec.cooldown.operations import Reply
from fallback_exec.cooldown.store import RecordUnusableError
from fallback_exec.redis import failures
from fallback_exec.redis.script import Request

#: What came of one request: a reply; a `RecordUnusableError`; or another answer of the server's that says
#: that it was not carried out.
Outcome: TypeAlias = Reply | Exception

# Before redis-py 5.3, the pool has to be told a command.
_UNUSED = (
    ("EVALSHA",)
    if inspect.signature(redis.ConnectionPool.get_connection).parameters["command_name"].default
    is inspect.Parameter.empty
    else ()
)


class Wire(Protocol):
    """The way to where the records are."""

    @abstractmethod
    def exchange(self, requests: Sequence[Request]) -> list[Outcome]:
        """Send all and return what came of each, in order.

        Raises:
            NotDoneError: nothing was carried out.
            Exception: any of them may have been carried out.
        """

    @abstractmethod
    def renew(self) -> None:
        """Make new locks in a forked child, in which nobody would release those that were held."""


class PoolWire:
    """The way to one server, or to the master that Sentinels tell.

    Safe for concurrent use, and in a forked child: the pool opens new connections there.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def exchange(self, requests: Sequence[Request]) -> list[Outcome]:
        """Send all in one round trip; in two where the server does not know the script."""
        connection = self._connection()
        try:
            outcomes = _asked(connection, requests, [request.command() for request in requests])
            unknown = [i for i, each in enumerate(outcomes) if isinstance(each, exceptions.NoScriptError)]
            if unknown:
                # Once it has run it, the server knows it.
                commands = [requests[i].command(whole=i == unknown[0]) for i in unknown]
                again = _asked(connection, [requests[i] for i in unknown], commands)
                for i, outcome in zip(unknown, again, strict=True):
                    outcomes[i] = outcome
            if not all(isinstance(each, Reply | RecordUnusableError) for each in outcomes):
                # Another one may lead to the server that has taken over.
                connection.disconnect()
            return outcomes
        except BaseException:
            # An answer may be on its way, which nobody must take for theirs.
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)

    def renew(self) -> None:
        """Make new locks."""
        _renew(self._pool)
        if isinstance(self._pool, SentinelConnectionPool):
            for sentinel in self._pool.sentinel_manager.sentinels:
                _renew(sentinel.connection_pool)

    def _connection(self) -> Any:
        try:
            return self._pool.get_connection(*_UNUSED)
        except Exception as error:
            raise failures.NotDoneError(error) from None


class ClusterWire:
    """The ways to the nodes of a cluster. Safe for concurrent use."""

    def __init__(self, client: Any) -> None:
        self._client = client
        # Whether a node has failed since it was asked who has which slots.
        self._is_outdated = False

    def exchange(self, requests: Sequence[Request]) -> list[Outcome]:
        """Send to each node, one after the other, what is of its slots; in one round trip each."""
        nodes: dict[str, tuple[Any, list[int]]] = {}
        for i, node in enumerate(self._nodes(requests)):
            nodes.setdefault(node.name, (node, []))[1].append(i)
        outcomes: dict[int, Outcome] = {}
        for node, places in nodes.values():
            try:
                pool = self._client.get_redis_connection(node).connection_pool
                answered = PoolWire(pool).exchange([requests[i] for i in places])
            except failures.NotDoneError as error:
                self._is_outdated = True
                if not outcomes:
                    raise
                raise error.reason from None  # others were sent
            except Exception:
                self._is_outdated = True
                raise
            outcomes.update(zip(places, answered, strict=True))
        return [self._followed(requests[i], outcomes[i]) for i in range(len(requests))]

    def renew(self) -> None:
        """Make new locks."""
        clients = [node.redis_connection for node in self._client.get_nodes()]
        for client in filter(None, clients):  # who has been asked already
            _renew(client.connection_pool)

    def _nodes(self, requests: Sequence[Request]) -> list[Any]:
        try:
            if self._is_outdated:
                self._client.nodes_manager.initialize()
                self._is_outdated = False
            return [self._client.get_node_from_key(request.key) for request in requests]
        except Exception as error:
            raise failures.NotDoneError(error) from None

    def _followed(self, request: Request, outcome: Outcome) -> Outcome:
        """Return what comes of the request where the node has sent it on to another one."""
        if isinstance(outcome, exceptions.ClusterDownError):
            self._is_outdated = True
        if not isinstance(outcome, exceptions.AskError):  # of which MovedError is one
            return outcome
        try:
            return _outcome(request, self._client.execute_command(*request.command(whole=True)))
        except Exception as error:
            if failures.is_answer(error):
                return error
            raise


def wire(client: redis.Redis | redis.RedisCluster) -> Wire:
    """Return the way that the client goes."""
    return ClusterWire(client) if isinstance(client, redis.RedisCluster) else PoolWire(client.connection_pool)


def _renew(pool: Any) -> None:
    # A pool of redis-py 8.1 takes its inherited lock before it notices that it is in a child, and makes a
    # new one: test_a_thread_that_takes_a_connection_does_not_hinder_a_child.
    pool._lock = threading.RLock()
    pool._fork_lock = threading.RLock()
    # Each release is told by a dispatcher, under its lock. Before 5.3 there is none: the pool's, once more.
    getattr(pool, "_event_dispatcher", pool)._lock = threading.RLock()


def _asked(
    connection: Any, requests: Sequence[Request], commands: Sequence[tuple[Any, ...]]
) -> list[Outcome]:
    connection.send_packed_command(connection.pack_commands(commands))
    outcomes: list[Outcome] = []
    for request in requests:
        try:
            outcomes.append(_outcome(request, connection.read_response()))
        except Exception as error:
            if not failures.is_answer(error):
                raise
            outcomes.append(error)
            if not isinstance(error, exceptions.ResponseError):
                # redis-py has closed the connection; who says so to one says so to all.
                outcomes += [error] * (len(requests) - len(outcomes))
                break
    return outcomes


def _outcome(request: Request, answer: object) -> Outcome:
    try:
        return request.reply(answer)
    except RecordUnusableError as unusable:
        return unusable
