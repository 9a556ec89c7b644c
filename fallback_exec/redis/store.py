"""The store of cooldowns in Redis or Valkey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NoReturn

from fallback_exec import _checks, _forks
from fallback_exec._checks import Seconds
from fallback_exec._text import name_text
from fallback_exec.cooldown.operations import Operation, Read, Reply
from fallback_exec.cooldown.store import (
    CooldownStore,
    NotAppliedError,
    RecordUnusableError,
    microseconds_now,
)
from fallback_exec.errors import InvalidConfigError
from fallback_exec.redis import client, failures, keys, wires
from fallback_exec.redis.client import Client
from fallback_exec.redis.script import Request


class RedisCooldownStore(CooldownStore):
    """Keeps cooldowns in Redis (6 or later) or Valkey, for all processes that use the same namespace.

    Each provider has one key, a hash, which expires a day after its last cooldown. Each operation is one
    command: a script that the server carries out at one moment of its own clock. The constructor opens
    nothing, and the store may be built before a fork. Safe for concurrent use.

    An answer that the server refuses with an error says that nothing was carried out, and is raised as
    `NotAppliedError`; so is a connection that cannot be had. A time limit, or a connection that is lost, is
    raised as redis-py's `TimeoutError` or `ConnectionError`: the operation may have been carried out. No text
    has a credential in it. Nothing is ever sent a second time.

    Args:
        url_or_client: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database; its
            options may be `db`, `client_name` and `ssl_...` (`cert_reqs`, `check_hostname`, `ca_certs`,
            `ca_path`, `certfile`, `keyfile`, `password`). Or a client of yours: `redis.Redis`, that of
            `Sentinel.master_for()`, or `redis.RedisCluster`, whose time limits are at most `timeout` and
            which repeats nothing.
        namespace: Whose cooldowns these are; providers of the same name in another one are others.
        refresh_interval: See `CooldownStore`; seconds or a timedelta.
        timeout: For how long an exchange may take, from connecting to the answer; seconds or a timedelta. The
            default, 0.05, is some hundred times what a server nearby needs. To resolve a host's name takes
            as long as it takes. With a client of yours each step is bounded by itself: connecting, each
            command of the handshake, each Sentinel, each node of a cluster that is asked for the slots.
        clock: `"server"`: hosts' clocks need not agree. `"local"`: that of this process, which can be frozen
            for tests.

    Raises:
        InvalidConfigError: a setting cannot be used, or the client's.
    """

    def __init__(
        self,
        url_or_client: str | Client,
        *,
        namespace: str = "fallback_exec",
        refresh_interval: Seconds = 0.25,
        timeout: Seconds = 0.05,
        clock: Literal["server", "local"] = "server",
    ) -> None:
        self.namespace = _checks.name("namespace", namespace)
        self.refresh_interval = _checks.positive_seconds("refresh_interval", refresh_interval)
        self.timeout = _checks.positive_seconds("timeout", timeout)
        if clock not in {"server", "local"}:
            raise InvalidConfigError("clock", clock, "must be 'server' or 'local'")
        self.clock = clock
        self._own_pool = None
        if isinstance(url_or_client, str):
            self._own_pool = client.pool_from_url(url_or_client, self.timeout)
            self._wire: wires.Wire = wires.PoolWire(self._own_pool)
        else:
            self._wire = wires.wire(client.checked(url_or_client, self.timeout))
        _forks.renew_after_fork(self)

    def apply(self, name: str, operation: Operation) -> Reply:
        """Carry out one operation on the record of one provider, in one round trip."""
        (answer,) = self.apply_all([(name, operation)])
        if isinstance(answer, Reply):
            return answer
        raise answer

    def apply_all(self, operations: Sequence[tuple[str, Operation]]) -> list[Reply | NotAppliedError]:
        """Carry out several operations in one round trip; on a cluster in one to each node."""
        if not operations:
            return []
        now = microseconds_now() if self.clock == "local" else None
        requests = [Request(keys.key(self.namespace, name), operation, now) for name, operation in operations]
        try:
            return self._answers(requests)
        except failures.NotDoneError as error:
            failure: Exception = failures.not_applied(error.reason)
        except Exception as error:
            failure = failures.shown(error)
        try:
            raise failure  # here, where it has no context
        finally:
            del failure  # which holds this frame

    def _answers(self, requests: list[Request]) -> list[Reply | NotAppliedError]:
        outcomes = self._wire.exchange(requests)
        answers: list[Reply | NotAppliedError] = []
        refusal: Exception | None = None
        for outcome in outcomes:
            if isinstance(outcome, Reply | RecordUnusableError):
                answers.append(outcome)
            else:
                refusal = outcome
        if refusal is None:
            return answers
        # A server without memory, or a replica, still answers who only reads.
        if all(
            isinstance(request.operation, Read)
            for request, outcome in zip(requests, outcomes, strict=True)
            if isinstance(outcome, Reply)
        ):
            raise failures.NotDoneError(refusal)
        raise refusal

    def close(self) -> None:
        """Close the connections that the store has opened by its URL. It opens new ones when asked again."""
        if self._own_pool is not None:
            self._own_pool.disconnect()

    def _renew_after_fork(self) -> None:
        self._wire.renew()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(namespace={name_text(self.namespace)!r}, clock={self.clock!r}, "
            f"refresh_interval={self.refresh_interval:g}, timeout={self.timeout:g})"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a RedisCooldownStore has connections and cannot be pickled or copied: build one in each process"
        )
