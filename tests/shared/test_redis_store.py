"""The Redis store: its settings, its keys, its clients, and what it asks the server for."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
from collections.abc import Iterator
from typing import Any

import attrs
import fakeredis
import freezegun
import hypothesis
import pytest
import redis
import redis.asyncio
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from fallback_exec import InvalidConfigError
from fallback_exec.cooldown.operations import (
    KEPT,
    SECOND,
    Claim,
    Close,
    CoolDown,
    Fail,
    Operation,
    Read,
    Record,
    Reply,
)
from fallback_exec.cooldown.store import RecordUnusableError
from fallback_exec.redis import RedisCooldownStore, keys, script
from fork_children import in_child
from helpers import PATIENCE
from real_servers import Server

FAILURE = Fail(0, was_closed=True, fail_max=3, cooldown=60 * SECOND, reopenings=0)
STRICT: dict[str, Any] = {"socket_timeout": 0.05, "socket_connect_timeout": 0.05}


def no_retry() -> Retry:
    return Retry(NoBackoff(), 0)


@pytest.fixture
def emptied(server: Server) -> Server:
    """The server, without keys and scripts."""
    server.client.flushall()
    server.client.script_flush()
    return server


@pytest.fixture
def store(emptied: Server) -> Iterator[RedisCooldownStore]:
    """A store on the empty server, patient with a busy machine."""
    store = RedisCooldownStore(emptied.url, timeout=PATIENCE)
    yield store
    store.close()


def commands(server: Server) -> dict[str, int]:
    """Return how often each command has been called since the last time, by the server's own count."""
    stats: dict[str, dict[str, int]] = server.client.info("commandstats")
    server.client.config_resetstat()
    ours = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
    return {name: calls for name, calls in ours.items() if name not in {"config|resetstat", "info"}}


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"namespace": ""}, "namespace"),
            ({"namespace": 1}, "namespace"),
            ({"refresh_interval": 0}, "refresh_interval"),
            ({"timeout": -1}, "timeout"),
            ({"timeout": "1"}, "timeout"),
            ({"clock": "sundial"}, "clock"),
            ({"clock": None}, "clock"),
        ],
    )
    def test_bad_settings_are_named(self, settings: dict[str, Any], named: str) -> None:
        """A setting that cannot be used is named with its value."""
        with pytest.raises(InvalidConfigError) as caught:
            RedisCooldownStore("redis://localhost", **settings)
        assert caught.value.setting == named
        assert f"got {settings[named]!r}" in str(caught.value)

    def test_durations_may_be_timedeltas(self) -> None:
        """Both durations are seconds in the end."""
        store = RedisCooldownStore(
            "redis://localhost",
            refresh_interval=dt.timedelta(seconds=2),
            timeout=dt.timedelta(milliseconds=20),
        )
        assert (store.refresh_interval, store.timeout) == (2.0, 0.02)

    def test_the_constructor_asks_nobody(self) -> None:
        """A store is built where there is no server: nothing is opened, nor any name resolved."""
        assert repr(RedisCooldownStore("redis://nobody.invalid:1/3")) == (
            "RedisCooldownStore(namespace='fallback_exec', clock='server', refresh_interval=0.25, "
            "timeout=0.05)"
        )

    @pytest.mark.parametrize("copier", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_a_store_does_not_travel(self, copier: Any) -> None:
        """To pickle or copy a store is a TypeError that says what to do."""
        with pytest.raises(TypeError, match="build one in each process"):
            copier(RedisCooldownStore("redis://localhost"))


class TestURL:
    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("localhost:6379", "must be a URL that begins with"),
            ("http://localhost", "must be a URL that begins with"),
            ("", "must be a URL that begins with"),
            ("redis://localhost:port", "with numbers as its port"),
            ("redis://localhost/zero", "must have the number of a database"),
            ("redis://localhost?socket_timeout=1", "must not have the option socket_timeout"),
            ("redis://localhost?ssl_cert_reqs=none", "must begin with rediss://"),
            ("rediss://localhost?ssl_cert_reqs=never", "must have none, optional or required"),
            ("rediss://localhost?ssl_ca_certs=/nowhere", "must name certificates that can be loaded"),
            ("rediss://localhost?ssl_certfile=/nowhere", "must name certificates that can be loaded"),
            ("unix://?db=1", "must have a path"),
        ],
    )
    def test_a_url_that_cannot_be_used_is_refused(self, url: str, told: str) -> None:
        """What the URL must be is said, and shown is what it is."""
        with pytest.raises(InvalidConfigError, match=told) as caught:
            RedisCooldownStore(url)
        assert caught.value.setting == "url_or_client"

    @pytest.mark.parametrize(
        "url",
        [
            "http://user:s3cr3t@localhost",
            "redis://user:s3cr3t@localhost/zero",
            "redis://localhost?password=s3cr3t&x=1",
            "redis://user:s3cr3t@localhost:port",
            "redis://user:12#s3cr3t@localhost",
            "redis://user:12?s3cr3t@localhost",
            "redis://user:12/s3cr3t@localhost",
            "redis://user:s3cr3t@s3cr3t@localhost/zero",
            "rediss://user:s3cr3t@localhost?ssl_certfile=/nowhere&ssl_password=s3cr3t",
            "user:s3cr3t@localhost",
        ],
    )
    def test_no_credential_is_shown(self, url: str) -> None:
        """What refuses a URL shows nothing of the password, nor does anything that it is chained to."""
        with pytest.raises(InvalidConfigError) as caught:
            RedisCooldownStore(url)
        assert "s3cr3t" not in f"{caught.value!r} {caught.value}"
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_a_database_may_be_chosen(self, emptied: Server) -> None:
        """By the path or by the option `db`."""
        for url in (f"{emptied.url}/3", f"{emptied.url}?db=3"):
            store = RedisCooldownStore(url, timeout=PATIENCE)
            store.apply("grok", Close())
            store.close()
        assert emptied.client.info("keyspace")["db3"]["keys"] == 1
        assert list(emptied.client.info("keyspace")) == ["db3"]

    def test_a_user_and_a_password_may_be_given(self, emptied: Server) -> None:
        """A user who may do what the script does is enough; a wrong password says that nothing was done."""
        emptied.client.acl_setuser(
            "worker",
            enabled=True,
            passwords=["+p@ss:w%rd"],
            keys=["{fallback_exec:*"],
            commands=["+evalsha", "+eval", "+time", "+hgetall", "+hset", "+pexpire"],
        )
        host = emptied.url.removeprefix("redis://")
        try:
            store = RedisCooldownStore(f"redis://worker:p%40ss%3Aw%25rd@{host}", timeout=PATIENCE)
            assert store.apply("grok", FAILURE).record is not None
            store.close()
        finally:
            emptied.client.acl_deluser("worker")

    def test_a_socket_of_the_file_system_will_do(self, emptied: Server) -> None:
        """`unix://` leads to the same server."""
        store = RedisCooldownStore(f"unix://{emptied.path}", timeout=PATIENCE)
        store.apply("grok", FAILURE)
        store.close()
        assert emptied.client.exists("{fallback_exec:grok}")

    def test_a_closed_store_opens_again(self, store: RedisCooldownStore) -> None:
        """To close the connections is no end."""
        store.apply("grok", FAILURE)
        store.close()
        record = store.apply("grok", Read()).record
        assert record is not None
        assert record.failures == 1


class TestClients:
    @pytest.mark.parametrize("decode_responses", [False, True])
    @pytest.mark.parametrize("protocol", [2, 3])
    def test_a_client_is_used_as_it_is(self, emptied: Server, decode_responses: bool, protocol: int) -> None:
        """Whether it decodes or not, and by either protocol."""
        client = redis.Redis(
            port=emptied.port,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=no_retry(),
            decode_responses=decode_responses,
            protocol=protocol,
        )
        store = RedisCooldownStore(client, timeout=PATIENCE)
        assert store.apply("grok", FAILURE).record is not None
        reply = store.apply("grok", Claim("token", SECOND))
        assert reply.record is not None
        assert reply.record.failures == 1
        store.close()
        assert client.ping()
        client.close()

    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"socket_timeout": None}, "socket_timeout"),
            ({"socket_timeout": 1}, "socket_timeout"),
            ({"socket_connect_timeout": 1}, "socket_connect_timeout"),
            ({"retry": Retry(NoBackoff(), 1)}, "retry"),
            ({"retry": Retry(NoBackoff(), -1)}, "retry"),
            ({"retry_on_error": [redis.exceptions.ConnectionError], "retry": None}, "retry"),
            ({"health_check_interval": 9}, "health_check_interval"),
        ],
    )
    def test_a_client_that_would_hold_callers_up_is_refused(
        self, settings: dict[str, Any], named: str
    ) -> None:
        """The setting that would is named, and what to pass."""
        client = redis.Redis(**{**STRICT, "retry": no_retry(), **settings})
        with pytest.raises(InvalidConfigError, match=r"pass socket_timeout=0\.05") as caught:
            RedisCooldownStore(client)
        assert caught.value.setting == named

    def test_a_pool_that_waits_for_a_connection_must_not_wait_long(self) -> None:
        """A BlockingConnectionPool's own limit counts, too."""
        for timeout, is_refused in ((20, True), (None, True), (0.05, False)):
            pool = redis.BlockingConnectionPool(timeout=timeout, **STRICT, retry=no_retry())
            client = redis.Redis(connection_pool=pool)
            if is_refused:
                with pytest.raises(InvalidConfigError, match=r"must be at most 0\.05 seconds") as caught:
                    RedisCooldownStore(client)
                assert caught.value.setting == "timeout"
            else:
                RedisCooldownStore(client)

    def test_sentinels_must_not_hold_callers_up_either(self) -> None:
        """The clients of the Sentinels are checked as the master's is."""
        lax = Sentinel([("localhost", 1)], sentinel_kwargs={"socket_timeout": 9})
        strict = Sentinel([("localhost", 1)], sentinel_kwargs={**STRICT, "retry": no_retry()})
        with pytest.raises(InvalidConfigError, match="sentinel_kwargs"):
            RedisCooldownStore(lax.master_for("mine", **STRICT, retry=no_retry()))
        RedisCooldownStore(strict.master_for("mine", **STRICT, retry=no_retry()))

    def test_a_client_that_caches_is_refused(self) -> None:
        """What it remembers would stand between the store and its answers."""
        from redis.cache import CacheConfig

        client = redis.Redis(**STRICT, retry=no_retry(), protocol=3, cache_config=CacheConfig())
        with pytest.raises(InvalidConfigError) as caught:
            RedisCooldownStore(client)
        assert caught.value.setting == "cache_config"

    def test_anything_else_is_refused(self) -> None:
        """A client of asyncio, a pipeline, a pool, bytes: what it must be is said."""
        client = redis.Redis(**STRICT, retry=no_retry())
        others: list[Any] = [
            redis.asyncio.Redis(),
            client.pipeline(),
            client.connection_pool,
            b"redis://localhost",
            None,
        ]
        for other in others:
            with pytest.raises(InvalidConfigError, match="must be a URL, or a client of redis-py") as caught:
                RedisCooldownStore(other)
            assert caught.value.setting == "url_or_client"

    def test_fakeredis_needs_no_limits(self) -> None:
        """It opens no socket, so it is taken as it is; with the local clock it can be frozen."""
        client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        store = RedisCooldownStore(client, clock="local")
        with freezegun.freeze_time("2027-01-15") as frozen:
            first = store.apply("grok", FAILURE)
            frozen.tick(10)
            assert store.apply("grok", FAILURE).now == first.now + 10 * SECOND
        client.close()


class TestRoundTrips:
    def test_each_operation_is_one_command(self, store: RedisCooldownStore, emptied: Server) -> None:
        """Once the server knows the script, an operation is one EVALSHA and nothing else from outside."""
        store.apply("grok", Read())
        commands(emptied)
        for _ in range(10):
            store.apply("grok", Read())
        assert commands(emptied) == {"evalsha": 10, "hgetall": 10, "time": 10}

    def test_a_connection_begins_without_questions(self, store: RedisCooldownStore, emptied: Server) -> None:
        """A new connection says no hello, and does not introduce itself."""
        store.apply("grok", Read())
        store.close()
        commands(emptied)
        store.apply("grok", Read())
        assert commands(emptied) == {"evalsha": 1, "hgetall": 1, "time": 1}

    def test_several_operations_are_sent_at_once(self, store: RedisCooldownStore, emptied: Server) -> None:
        """All are read by the server before it answers the first: they came in one piece."""
        operations: list[tuple[str, Operation]] = [(f"p{i}", FAILURE) for i in range(20)]
        store.apply_all(operations)
        before = emptied.client.info("stats")["total_reads_processed"]
        store.apply_all(operations)
        after = emptied.client.info("stats")["total_reads_processed"]
        assert after - before == 2  # that of INFO is one of them

    def test_a_server_that_has_lost_the_script_is_told_once(
        self, store: RedisCooldownStore, emptied: Server
    ) -> None:
        """After SCRIPT FLUSH the script is sent whole with one operation of several."""
        emptied.client.script_flush()
        commands(emptied)
        replies = store.apply_all([(f"p{i}", FAILURE) for i in range(5)])
        assert all(isinstance(reply, Reply) and reply.record for reply in replies)
        counted = commands(emptied)
        assert (counted["eval"], counted["evalsha"], counted["hset"]) == (1, 9, 5)
        emptied.client.script_flush()
        reply = store.apply("p0", FAILURE)
        assert reply.record is not None
        assert reply.record.failures == 2


class TestKeys:
    @hypothesis.given(
        first=st.tuples(st.text(min_size=1), st.text(min_size=1)),
        second=st.tuples(st.text(min_size=1), st.text(min_size=1)),
    )
    def test_no_two_names_share_a_key(self, first: tuple[str, str], second: tuple[str, str]) -> None:
        """Namespaces and names lead to different keys if any of them differs."""
        assert (keys.key(*first) == keys.key(*second)) == (first == second)

    @hypothesis.given(
        name=st.text(st.characters(), min_size=1).map(lambda text: text * 30), namespace=st.text(min_size=1)
    )
    def test_a_key_is_one_hash_tag_of_plain_characters(self, name: str, namespace: str) -> None:
        """It is short, printable ASCII, and braces and the colon stand only in their places."""
        key = keys.key(namespace, name)
        assert key.isascii()
        assert key.isprintable()
        assert (key[0], key[-1], key.count("{"), key.count("}"), key.count(":")) == ("{", "}", 1, 1, 1)
        assert len(key) <= 3 + 2 * keys.LONGEST + 2 * 65

    def test_plain_names_can_be_read(self) -> None:
        """A plain name stands in the key as it is."""
        assert keys.key("prod", "gemini-2.5_pro") == "{prod:gemini-2.5_pro}"

    def test_long_names_with_the_same_beginning_differ(self) -> None:
        """Of a long name the beginning is kept, beside a digest of it all."""
        first, second = keys.key("a", "n" * 1000), keys.key("a", "n" * 1001)
        assert first != second
        assert first.startswith("{a:" + "n" * 64 + "#")

    def test_namespaces_are_apart(self, emptied: Server) -> None:
        """Providers of the same name in another namespace are others."""
        for namespace in ("a", "b"):
            store = RedisCooldownStore(emptied.url, namespace=namespace, timeout=PATIENCE)
            assert store.apply("grok", Read()).record is None
            store.apply("grok", FAILURE)
            store.close()
        assert sorted(emptied.client.keys()) == [b"{a:grok}", b"{b:grok}"]

    @pytest.mark.parametrize(
        ("operation", "seconds"),
        [
            (FAILURE, 0),
            (Close(), 0),
            (CoolDown(None, 7 * 86_400 * SECOND, 0, moves_end=True), 7 * 86_400),
            (Claim("token", 3600 * SECOND), 3600),
        ],
    )
    def test_every_key_expires(
        self, store: RedisCooldownStore, emptied: Server, operation: Operation, seconds: int
    ) -> None:
        """A day after the later of its last write and the ends that it holds, and not before."""
        for _ in range(2):
            reply = store.apply("grok", operation)
            assert reply.record is not None
            kept = emptied.client.pexpiretime("{fallback_exec:grok}") * 1000
            assert abs(kept - reply.record.expires(reply.record.version)) <= SECOND
            assert emptied.client.ttl("{fallback_exec:grok}") <= seconds + KEPT // SECOND + 1

    def test_reading_leaves_the_expiry(self, store: RedisCooldownStore, emptied: Server) -> None:
        """What changes nothing writes nothing."""
        store.apply("grok", FAILURE)
        emptied.client.pexpire("{fallback_exec:grok}", 50_000)
        store.apply("grok", Read())
        assert emptied.client.ttl("{fallback_exec:grok}") <= 50


def _garbage() -> list[dict[str, str]]:
    good = {name: str(value) for name, value in attrs.asdict(Record(version=5)).items()}
    bad: list[dict[str, str]] = [{"some": "hash"}]
    bad += [{name: value for name, value in good.items() if name != missing} for missing in good]
    bad += [{**good, "state": "ajar"}, {**good, "token": "a b"}, {**good, "token": "\x00"}]
    bad += [
        {**good, name: value} for name in ("until", "era") for value in ("", "1.5", "1e9", "nan", "9" * 18)
    ]
    return bad


class TestUnusableRecords:
    @pytest.mark.parametrize("garbage", _garbage())
    def test_a_hash_that_is_no_record_is_left_alone(
        self, store: RedisCooldownStore, emptied: Server, garbage: dict[str, str]
    ) -> None:
        """It concerns its provider alone, and is not overwritten."""
        key = "{fallback_exec:grok}"
        emptied.client.hset(key, mapping=dict(garbage.items()))
        for operation in (Read(), FAILURE, Close()):
            with pytest.raises(RecordUnusableError, match="is no record of cooldowns"):
                store.apply("grok", operation)
        assert emptied.client.hgetall(key) == {k.encode(): v.encode() for k, v in garbage.items()}
        assert emptied.client.ttl(key) == -1

    def test_a_key_that_is_no_hash_is_left_alone(self, store: RedisCooldownStore, emptied: Server) -> None:
        """Of several operations, the others are carried out."""
        emptied.client.set("{fallback_exec:b}", "text")
        first, second, third = store.apply_all([("a", FAILURE), ("b", FAILURE), ("c", FAILURE)])
        assert isinstance(second, RecordUnusableError)
        for reply in (first, third):
            assert isinstance(reply, Reply)
            assert reply.record is not None
        assert emptied.client.get("{fallback_exec:b}") == b"text"

    def test_fields_of_a_later_version_are_left(self, store: RedisCooldownStore, emptied: Server) -> None:
        """A record with more fields is one."""
        store.apply("grok", FAILURE)
        emptied.client.hset("{fallback_exec:grok}", "later", "x")
        reply = store.apply("grok", FAILURE)
        assert reply.record is not None
        assert reply.record.failures == 2
        assert emptied.client.hget("{fallback_exec:grok}", "later") == b"x"


class TestForks:
    def test_a_store_works_on_both_sides_of_a_fork(self, store: RedisCooldownStore) -> None:
        """The child has connections of its own, and the parent's are as they were."""
        failure = attrs.evolve(FAILURE, fail_max=9)
        store.apply("grok", failure)

        def count() -> int:
            record = store.apply("grok", failure).record
            return 0 if record is None else record.failures

        assert in_child(count) == 2
        assert count() == 3
        assert in_child(count) == 4


class TestClocks:
    def test_the_servers_clock_is_the_clock(self, store: RedisCooldownStore, emptied: Server) -> None:
        """Whatever time it is here."""
        seconds, _ = emptied.client.time()
        with freezegun.freeze_time("2001-01-01"):
            now = store.apply("grok", Read()).now
        assert abs(now // SECOND - seconds) < PATIENCE

    def test_the_script_is_the_one_that_is_packaged(self, store: RedisCooldownStore, emptied: Server) -> None:
        """The server knows it by the digest that is asked for."""
        store.apply("grok", Read())
        assert emptied.client.script_exists(script.DIGEST.decode()) == [True]
