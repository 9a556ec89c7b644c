"""The Redis store with Sentinel, on a Cluster, and by TLS."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry
from redis.sentinel import Sentinel

from fallback_exec import InvalidConfigError
from fallback_exec.cooldown.operations import SECOND, Close, Fail, Operation, Read, Reply
from fallback_exec.cooldown.store import NotAppliedError, RecordUnusableError
from fallback_exec.redis import RedisCooldownStore, keys
from helpers import PATIENCE, held
from real_servers import (
    HOST,
    Server,
    TLSProxy,
    cluster,
    free_port,
    master_known_by,
    replication,
    sentinel,
    until,
)

FAILURE = Fail(0, was_closed=True, fail_max=99, cooldown=60 * SECOND, reopenings=0)
PATIENT: dict[str, Any] = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
NAMES = [f"provider {i}" for i in range(20)]
BEFORE_6 = int(redis.__version__.partition(".")[0]) < 6


def no_retry() -> Retry:
    return Retry(NoBackoff(), 0)


def failures(store: RedisCooldownStore, name: str = "grok") -> int:
    record = store.apply(name, Read()).record
    return 0 if record is None else record.failures


class TestSentinel:
    def test_the_store_follows_a_failover(self, tmp_path: Path) -> None:
        """When the old master says that it is none any more, the next exchange finds the new one."""
        with sentinel(tmp_path) as (master, replica, watcher):
            settings = {**PATIENT, "retry": no_retry()}
            manager = Sentinel([(HOST, watcher.port)], sentinel_kwargs=settings)
            client = manager.master_for("mine", **settings)
            store = RedisCooldownStore(client, timeout=PATIENCE)
            assert failures(store) == 0
            store.apply("grok", FAILURE)
            master.client.wait(1, int(PATIENCE * 1000))
            until(lambda: watcher.client.sentinel_failover("mine"), "a replica that is good enough")
            until(lambda: replication(replica)["role"] == "master", "a new master")
            until(lambda: replication(master)["role"] == "slave", "an old master that knows")
            until(lambda: master_known_by(watcher)["port"] == replica.port, "a Sentinel that says")
            errors = []
            for _ in range(3):
                try:
                    store.apply("grok", FAILURE)
                except NotAppliedError as error:
                    errors.append(error)
            assert len(errors) <= 1
            assert failures(store) == 1 + 3 - len(errors)
            assert replica.client.exists(keys.key("fallback_exec", "grok"))
            client.close()
            for each in manager.sentinels:
                each.close()

    def test_a_child_waits_for_no_lock_that_was_held_at_its_fork(self) -> None:
        """Neither for one of the master's connections nor for one of a Sentinel's."""
        settings = {"socket_timeout": 0.05, "socket_connect_timeout": 0.05, "retry": no_retry()}
        manager = Sentinel([(HOST, free_port())], sentinel_kwargs=settings)
        master = manager.master_for("mine", **settings)
        store = RedisCooldownStore(master)
        pools = [each.connection_pool for each in (master, *manager.sentinels)]
        with held(pools[0]._lock), held(pools[1]._lock):
            store._renew_after_fork()  # as a child does
            with pytest.raises(NotAppliedError, match="MasterNotFoundError"):
                store.apply("grok", FAILURE)

    def test_no_sentinel_is_no_master(self) -> None:
        """Where nobody tells the master, nothing was carried out."""
        settings = {"socket_timeout": 0.05, "socket_connect_timeout": 0.05, "retry": no_retry()}
        manager = Sentinel([(HOST, free_port())], sentinel_kwargs=settings)
        store = RedisCooldownStore(manager.master_for("mine", **settings))
        with pytest.raises(NotAppliedError, match="MasterNotFoundError"):
            store.apply("grok", FAILURE)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Three masters of a cluster."""
    with cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


def cluster_client(nodes: list[Server], **settings: Any) -> redis.RedisCluster:
    strict = {"cluster_error_retry_attempts": 0} if BEFORE_6 else {"retry": no_retry()}
    startup = [ClusterNode(HOST, node.port) for node in nodes]
    return redis.RedisCluster(startup_nodes=startup, **{**PATIENT, **strict, **settings})


@pytest.fixture
def client(nodes: list[Server]) -> Iterator[redis.RedisCluster]:
    """A client of the empty cluster."""
    for node in nodes:
        node.client.flushall()
        node.client.script_flush()
    client = cluster_client(nodes)
    yield client
    client.close()


def slot(nodes: list[Server], name: str) -> tuple[int, Server]:
    """Return the slot of a provider, and the node that has it."""
    number = int(nodes[0].client.execute_command("CLUSTER KEYSLOT", keys.key("fallback_exec", name)))
    for node in nodes:
        for first, last, owner, *_ in node.client.execute_command("CLUSTER SLOTS"):
            if first <= number <= last and int(owner[1]) == node.port:
                return number, node
    raise AssertionError


def node_id(node: Server) -> str:
    told = node.client.execute_command("CLUSTER MYID")
    return str(told.decode() if isinstance(told, bytes) else told)


class TestCluster:
    def test_each_provider_is_kept_by_the_node_of_its_slot(
        self, nodes: list[Server], client: redis.RedisCluster
    ) -> None:
        """Several operations go to their nodes, and their replies come in their order."""
        store = RedisCooldownStore(client, timeout=PATIENCE)
        operations: list[tuple[str, Operation]] = [(name, FAILURE) for name in NAMES]
        for _ in range(2):
            store.apply_all(operations)
        store.apply(NAMES[3], FAILURE)
        replies = store.apply_all([(name, Read()) for name in NAMES])
        counts = [reply.record.failures for reply in replies if isinstance(reply, Reply) and reply.record]
        assert counts == [2, 2, 2, 3, *[2] * 16]
        sizes = [node.client.dbsize() for node in nodes]
        assert sum(sizes) == len(NAMES)
        assert min(sizes) > 0

    def test_a_child_waits_for_no_lock_that_was_held_at_its_fork(self, client: redis.RedisCluster) -> None:
        """For none of any node's connections."""
        store = RedisCooldownStore(client, timeout=PATIENCE)
        store.apply_all([(name, FAILURE) for name in NAMES])
        with contextlib.ExitStack() as locks:
            for node in client.get_nodes():
                locks.enter_context(held(client.get_redis_connection(node).connection_pool._lock))
            store._renew_after_fork()  # as a child does
            store.apply_all([(name, FAILURE) for name in NAMES])
        assert [failures(store, name) for name in NAMES] == [2] * len(NAMES)

    @pytest.mark.parametrize("decode_responses", [False, True])
    @pytest.mark.usefixtures("client")
    def test_a_moved_slot_is_followed(self, nodes: list[Server], decode_responses: bool) -> None:
        """While a slot moves, and when it has moved, nothing is lost and nothing done twice."""
        with contextlib.closing(cluster_client(nodes, decode_responses=decode_responses)) as client:
            store = RedisCooldownStore(client, timeout=PATIENCE)
            store.apply_all([(name, FAILURE) for name in NAMES])
            number, source = slot(nodes, NAMES[0])
            target = next(node for node in nodes if node is not source)
            ours, theirs = node_id(source), node_id(target)
            target.client.execute_command("CLUSTER SETSLOT", number, "IMPORTING", ours)
            source.client.execute_command("CLUSTER SETSLOT", number, "MIGRATING", theirs)
            key = keys.key("fallback_exec", NAMES[0])
            source.client.migrate(HOST, target.port, key, 0, int(PATIENCE * 1000))
            store.apply_all([(name, FAILURE) for name in NAMES])  # asks there, for this once
            for node in (target, source, *nodes):
                node.client.execute_command("CLUSTER SETSLOT", number, "NODE", theirs)
            store.apply_all([(name, FAILURE) for name in NAMES])
            store.apply(NAMES[0], FAILURE)
            assert [failures(store, name) for name in NAMES] == [4, *[3] * 19]
            assert target.client.exists(key)

    def test_an_unusable_record_concerns_its_provider_alone(
        self, nodes: list[Server], client: redis.RedisCluster
    ) -> None:
        """The others, on whatever node, have their replies."""
        store = RedisCooldownStore(client, timeout=PATIENCE)
        client.set(keys.key("fallback_exec", NAMES[5]), "text")
        replies = store.apply_all([(name, FAILURE) for name in NAMES])
        assert [i for i, reply in enumerate(replies) if isinstance(reply, RecordUnusableError)] == [5]

    def test_a_node_that_was_asked_in_vain_is_asked_for_no_more(self, tmp_path: Path) -> None:
        """A node that is gone leaves it open where others were asked before; then the slots are asked for."""
        with cluster(tmp_path) as nodes, contextlib.closing(cluster_client(nodes)) as client:
            store = RedisCooldownStore(client, timeout=PATIENCE)
            store.apply_all([(name, FAILURE) for name in NAMES])
            homes = {name: slot(nodes, name)[1] for name in NAMES}
            gone = homes[NAMES[0]]
            other = next(name for name in NAMES if homes[name] is not gone)
            gone.client.close()
            gone.stop()
            with pytest.raises(NotAppliedError):
                store.apply_all([(NAMES[0], FAILURE), (other, FAILURE)])
            assert failures(store, other) == 1
            with pytest.raises(redis.ConnectionError):
                store.apply_all([(other, FAILURE), (NAMES[0], FAILURE)])
            assert failures(store, other) == 2

    def test_a_redirection_that_leads_nowhere_leaves_it_open(
        self, nodes: list[Server], client: redis.RedisCluster
    ) -> None:
        """Where it leads to a node that refuses, nothing was carried out."""
        store = RedisCooldownStore(client, timeout=PATIENCE)
        number, source = slot(nodes, "grok")
        target = next(node for node in nodes if node is not source)
        source.client.execute_command("CLUSTER SETSLOT", number, "MIGRATING", node_id(target))
        try:
            with pytest.raises(redis.exceptions.ClusterError, match="TTL exhausted"):
                store.apply("grok", FAILURE)  # each of the two sends it to the other
            target.client.execute_command("CLUSTER SETSLOT", number, "IMPORTING", node_id(source))
            target.client.config_set("maxmemory", 1)
            with pytest.raises(NotAppliedError, match="OutOfMemoryError"):
                store.apply("grok", FAILURE)
        finally:
            target.client.config_set("maxmemory", 0)
            for node in (source, target):
                node.client.execute_command("CLUSTER SETSLOT", number, "STABLE")
        assert failures(store) == 0

    def test_a_node_that_is_silent_leaves_it_open(self, nodes: list[Server]) -> None:
        """It was sent. Nothing is sent again, neither to it nor to another one."""
        short = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}
        with contextlib.closing(cluster_client(nodes, **short)) as client:
            store = RedisCooldownStore(client, timeout=0.2)
            store.apply("grok", Close())
            _, home = slot(nodes, "grok")
            home.client.config_resetstat()
            os.kill(home.pid, signal.SIGSTOP)
            try:
                with pytest.raises(redis.TimeoutError):
                    store.apply("grok", FAILURE)
            finally:
                os.kill(home.pid, signal.SIGCONT)
            until(lambda: "cmdstat_evalsha" in home.client.info("commandstats"), "the request, read late")
            assert home.client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1

    def test_a_cluster_that_is_gone_is_said(self, tmp_path: Path) -> None:
        """Where nobody tells the slots any more, nothing was carried out."""
        with cluster(tmp_path) as nodes, contextlib.closing(cluster_client(nodes)) as client:
            store = RedisCooldownStore(client, timeout=PATIENCE)
            store.apply("grok", FAILURE)
            for node in nodes:
                node.stop()
            for _ in range(2):
                with pytest.raises(NotAppliedError):
                    store.apply("grok", FAILURE)

    def test_a_cluster_that_is_down_says_so(self, tmp_path: Path) -> None:
        """Nothing was carried out; when it is up again, all goes on."""
        with cluster(tmp_path) as nodes, contextlib.closing(cluster_client(nodes)) as client:
            store = RedisCooldownStore(client, timeout=PATIENCE)
            number, home = slot(nodes, "grok")
            store.apply("grok", FAILURE)
            free = next(n for n in range(number + 1, number + 9) if slot_is_of(home, n))
            for node in nodes:
                node.client.execute_command("CLUSTER DELSLOTS", free)
            until(lambda: b"cluster_state:fail" in raw_info(home), "a cluster without a slot")
            with pytest.raises(NotAppliedError):
                store.apply("grok", FAILURE)
            home.client.execute_command("CLUSTER ADDSLOTS", free)
            until(lambda: all(b"cluster_state:ok" in raw_info(node) for node in nodes), "a cluster again")
            assert failures(store) == 1

    def test_a_client_that_repeats_is_refused(self, nodes: list[Server]) -> None:
        """So is one whose nodes may be waited for."""
        lax = {"cluster_error_retry_attempts": 3} if BEFORE_6 else {"retry": Retry(NoBackoff(), 3)}
        for settings, named in ((lax, "retries"), ({"socket_timeout": 2 * PATIENCE}, "socket_timeout")):
            with contextlib.closing(cluster_client(nodes, **settings)) as client:
                with pytest.raises(InvalidConfigError, match="RedisCluster") as caught:
                    RedisCooldownStore(client, timeout=PATIENCE)
                assert caught.value.setting == named

    def test_a_pipeline_is_no_client(self, client: redis.RedisCluster) -> None:
        """It would only collect what it is asked for."""
        with pytest.raises(InvalidConfigError, match="must be a URL, or a client of redis-py"):
            RedisCooldownStore(client.pipeline(), timeout=PATIENCE)


def raw_info(node: Server) -> bytes:
    told = node.client.execute_command("CLUSTER INFO")
    return told if isinstance(told, bytes) else f"cluster_state:{told['cluster_state']}".encode()


def slot_is_of(node: Server, number: int) -> bool:
    rows = node.client.execute_command("CLUSTER SLOTS")
    return any(first <= number <= last and int(owner[1]) == node.port for first, last, owner, *_ in rows)


class TestTLS:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> trustme.CA:
        """Whoever signs certificates; its own is in `ca.pem`."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        return authority

    @pytest.fixture
    def proxy(self, server: Server, authority: trustme.CA) -> Iterator[TLSProxy]:
        """The server by TLS; it wants a certificate, too."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(HOST).configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        server.client.flushall()
        proxy = TLSProxy(server.port, context)
        yield proxy
        proxy.close()

    @pytest.mark.parametrize(
        "options", ["?ssl_ca_certs={ca}", "?ssl_cert_reqs=none", "?ssl_ca_certs={ca}&ssl_certfile={own}"]
    )
    def test_a_server_may_be_reached_by_tls(
        self, proxy: TLSProxy, authority: trustme.CA, tmp_path: Path, options: str
    ) -> None:
        """With a certificate that is checked, or not, and with one of our own."""
        own = tmp_path / "own.pem"
        authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(str(own))
        query = options.format(ca=tmp_path / "ca.pem", own=own)
        store = RedisCooldownStore(f"rediss://{HOST}:{proxy.port}{query}", timeout=PATIENCE)
        store.apply("grok", FAILURE)
        assert failures(store) == 1
        store.close()

    @pytest.mark.parametrize("url", ["rediss://{host}:{port}", "rediss://localhost:{port}?ssl_ca_certs={ca}"])
    def test_a_certificate_that_is_not_trusted_is_refused(
        self, proxy: TLSProxy, tmp_path: Path, url: str
    ) -> None:
        """Nothing is sent to a server of an unknown authority, or of another name."""
        store = RedisCooldownStore(
            url.format(host=HOST, port=proxy.port, ca=tmp_path / "ca.pem"), timeout=PATIENCE
        )
        with pytest.raises(NotAppliedError, match="CERTIFICATE_VERIFY_FAILED"):
            store.apply("grok", FAILURE)

    def test_the_certificates_are_read_once(self, proxy: TLSProxy, tmp_path: Path) -> None:
        """A store has one context: to read them for each connection would take a good part of its time."""
        ca = tmp_path / "ca.pem"
        store = RedisCooldownStore(f"rediss://{HOST}:{proxy.port}?ssl_ca_certs={ca}", timeout=PATIENCE)
        ca.unlink()
        for _ in range(2):
            store.apply("grok", FAILURE)
            store.close()
