"""The pools of connections that a store asks through: built from a URL, or checked if they are the user's."""

from __future__ import annotations

import inspect
import re
import ssl
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import redis
from redis._parsers import _RESP2Parser
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, parse_url
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from fallback_exec.errors import InvalidConfigError
from fallback_exec.redis.connections import BoundedConnection, BoundedTLSConnection, BoundedUnixConnection

#: What a user may pass instead of a URL.
Client: TypeAlias = "redis.Redis | redis.RedisCluster"

_SETTING = "url_or_client"
_KIND = (
    "must be a URL, or a client of redis-py: a Redis, also that of Sentinel.master_for(), or a RedisCluster, "
    "and neither of redis.asyncio nor a pipeline"
)

# What a URL may say. The rest of what redis-py reads in it would work against the store's limits.
_PLACE = {"host", "port", "path", "db", "username", "password", "client_name", "connection_class"}
_TLS = {
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
}
# A host, its port and a path without a further part; or the path of a socket.
_PLAIN_PLACE = re.compile(r"(?:[\w.-]*|\[[\w.:]*\])(?::\d+)?(?:/\w*)?|(?:/[\w.-]+)+")

_CERT_REQS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def pool_from_url(url: str, timeout: float) -> redis.ConnectionPool:
    """Return a pool whose exchanges take `timeout` seconds at most and are never repeated. Opens nothing."""
    settings = _parsed(url)
    tls = {name: settings.pop(name) for name in _TLS & settings.keys()}
    connection_class = settings.pop("connection_class", None)
    if connection_class is redis.UnixDomainSocketConnection:
        connection_class = BoundedUnixConnection
    elif connection_class is not None:
        connection_class = BoundedTLSConnection
        settings["context"] = _context(url, tls)
        tls = {}
    else:
        connection_class = BoundedConnection
    if tls:
        raise _refused(url, f"must begin with rediss:// to have the option {min(tls)}")
    return redis.ConnectionPool(
        connection_class=connection_class,  # pyright: ignore[reportArgumentType]  # one by TCP, to redis-py
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        protocol=2,  # 3 begins with a question of its own
        # Not that of hiredis, which takes what TLS 1.3 sends after its handshake for an answer nobody awaits,
        # so that no new connection is ever fit for use: test_a_server_may_be_reached_by_tls, with hiredis.
        parser_class=_RESP2Parser,
        **_anonymous(),
        **settings,
    )


def _parsed(url: str) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = parse_url(url)
        parts = urlsplit(url)
    except ValueError:
        settings, parts = {}, None  # its text may have a part of the password
    if parts is None:
        raise _refused(
            url,
            "must be a URL that begins with redis://, rediss:// or unix://, with numbers as its port and db",
        )
    if "#" in url or "@" in parts.query:  # of a password, the rest of which would be taken for the host
        raise _refused(url, "must have # and ? in a password as %23 and %3F")
    unknown = settings.keys() - _PLACE - _TLS
    if unknown:
        raise _refused(
            url, f"must not have the option {min(unknown)}; pass a client for what the store does not set"
        )
    path = parts.path.strip("/")
    if parts.scheme == "unix":
        if not path:
            raise _refused(url, "must have a path")
    elif path and not (path.isascii() and path.isdigit()):
        raise _refused(url, "must have the number of a database as its path, or none")
    return settings


def _context(url: str, tls: dict[str, Any]) -> ssl.SSLContext:
    failure = ""
    context = ssl.create_default_context()
    reqs = _CERT_REQS.get(tls.get("ssl_cert_reqs", "required"))
    if reqs is None:
        raise _refused(url, "must have none, optional or required as its ssl_cert_reqs")
    checks_hostname = tls.get("ssl_check_hostname", True)
    context.check_hostname = bool(checks_hostname) and reqs != ssl.CERT_NONE
    context.verify_mode = reqs
    try:
        if "ssl_ca_certs" in tls or "ssl_ca_path" in tls:
            context.load_verify_locations(tls.get("ssl_ca_certs"), tls.get("ssl_ca_path"))
        if "ssl_certfile" in tls:
            context.load_cert_chain(tls["ssl_certfile"], tls.get("ssl_keyfile"), tls.get("ssl_password"))
    except OSError as error:
        failure = str(error)
    if failure:
        raise _refused(url, f"must name certificates that can be loaded ({failure})")
    return context


def _refused(url: str, rule: str) -> InvalidConfigError:
    return InvalidConfigError(_SETTING, f"{_scheme(url)}{_place(url)}", rule)


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return f"{scheme}://" if separator and scheme.isalpha() else ""


def _place(url: str) -> str:
    """Return where the URL leads, as far as it is certain that no credential is in it.

    Those stand before the last @, and may stand in the query. One that nobody has encoded may have an @ of
    its own, and what follows that is taken for a place.
    """
    before, _, query = url.partition("?")
    place = before.rpartition("@")[2].rpartition("://")[2]
    is_certain = "#" not in url and "@" not in query and _PLAIN_PLACE.fullmatch(place)
    return place if is_certain else "***"


def _anonymous() -> dict[str, None]:
    """Return what keeps a connection from introducing itself, which takes two more round trips."""
    known = inspect.signature(AbstractConnection.__init__).parameters
    return {"driver_info": None} if "driver_info" in known else {"lib_name": None, "lib_version": None}


def checked(client: object, timeout: float) -> Client:
    """Return the client if its every wait is bounded by `timeout` and it repeats nothing.

    Raises:
        InvalidConfigError: it is something else, or does not; names the setting.
    """
    if isinstance(client, redis.RedisCluster) and not hasattr(client, "command_stack"):
        retries = _retries_of_cluster(client)
        if retries:
            raise _lax("retries", retries, timeout, where="RedisCluster")
        for node in list(client.get_nodes())[:1]:
            _check(client.get_redis_connection(node).connection_pool, timeout, where="RedisCluster")
        return client
    if isinstance(client, redis.Redis) and not hasattr(client, "command_stack"):
        pool = client.connection_pool
        _check(pool, timeout, where="client")
        if isinstance(pool, SentinelConnectionPool):
            for sentinel in pool.sentinel_manager.sentinels:
                _check(sentinel.connection_pool, timeout, where="Sentinel's sentinel_kwargs")
        return client
    raise InvalidConfigError(_SETTING, client, _KIND)


def _retries_of_cluster(client: redis.RedisCluster) -> int:
    # Up to redis-py 5, `retry` is that of its nodes.
    attempts = getattr(client, "cluster_error_retry_attempts", None)
    return _retries(client.retry) if attempts is None else int(attempts)


def _retries(retry: Any) -> int:
    # Up to redis-py 5, a Retry does not tell.
    return int(retry.get_retries() if hasattr(retry, "get_retries") else retry._retries)


def _check(pool: redis.ConnectionPool, timeout: float, *, where: str) -> None:
    if getattr(pool, "cache", None) is not None:
        raise InvalidConfigError("cache_config", pool.cache, f"must not be set for the {where} of a store")
    if isinstance(pool, redis.BlockingConnectionPool):
        waits = pool.timeout
        if waits is None or waits > timeout:
            raise _lax("timeout", waits, timeout, where="BlockingConnectionPool")
    # What a connection makes of the settings and of the defaults of its version; it opens nothing.
    connection = pool.connection_class(**pool.connection_kwargs)
    if type(connection).__module__.partition(".")[0] == "fakeredis":
        return  # it opens no socket, and takes no socket_connect_timeout
    for name in ("socket_timeout", "socket_connect_timeout"):
        seconds = getattr(connection, name)
        if seconds is None or seconds > timeout:
            raise _lax(name, seconds, timeout, where=where)
    if connection.health_check_interval:
        raise _lax("health_check_interval", connection.health_check_interval, timeout, where=where)
    retries = _retries(connection.retry)
    if retries:
        raise _lax("retry", retries, timeout, where=where)


def _lax(setting: str, value: object, timeout: float, *, where: str) -> InvalidConfigError:
    rule = (
        f"of the {where} would hold callers up; pass socket_timeout={timeout:g}, "
        f"socket_connect_timeout={timeout:g}, retry=Retry(NoBackoff(), 0), health_check_interval=0"
    )
    if where == "RedisCluster":
        rule += ", before redis-py 6 also cluster_error_retry_attempts=0"
    elif where == "BlockingConnectionPool":
        rule = f"of the {where} must be at most {timeout:g} seconds"
    return InvalidConfigError(setting, value, rule)
