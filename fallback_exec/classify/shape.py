"""What an error shows of itself, whatever library it comes from.

Libraries are told apart by shape: their error classes differ from version to version, and none of them is a
dependency. An error is not to be trusted. Its attributes may raise when they are read, lie about their
class, or have no end. So all that is read here is guarded, asked for its type and bounded in number, and
nothing is read that would be fetched first: a body is looked at only where the SDK has parsed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeGuard, cast

import attrs

#: How many headers are looked at one by one. `http.client` takes no more than this many.
MOST_HEADERS = 100

#: How many members of a list in a body are looked at. Google lists fewer.
MOST_LISTED = 16

#: How many characters a code or the id of a quota has. What is longer is none.
LONGEST_CODE = 200


@attrs.frozen
class Shape:
    """The signs by which the table of rules tells errors apart.

    Attributes:
        status: The HTTP status, from 100 to 599; None: the error has none.
        grpc: The name of the gRPC status code; empty: the error is none of gRPC's.
        aws: botocore's code of the error; empty: there is none.
        codes: The vendor's own codes and types of the error, and Google's reasons of it, in no order.
        quotas: The ids of the Google quotas that were used up.
        words: The telling words in the names of the error's class and its bases.
    """

    status: int | None = None
    grpc: str = ""
    aws: str = ""
    codes: tuple[str, ...] = ()
    quotas: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()


def shape_of(error: object, words: frozenset[str] = frozenset()) -> Shape:
    """Return the signs of an error; `words` are those in the names of its class."""
    return Shape(
        status_of(error),
        _text(attribute(_called(_grpc_method(error, "code")), "name")),
        _text(_member(_member(attribute(error, "response"), "Error"), "Code")),
        tuple(_codes(error)),
        tuple(_quotas(error)),
        words,
    )


def attribute(owner: object, name: str) -> object:
    """Return an attribute; None where there is none, and where it cannot be read."""
    try:
        value: object = getattr(owner, name, None)
    except Exception:  # a property may raise what it likes
        return None
    return value


def status_of(error: object) -> int | None:
    """Return the HTTP status of an error, from 100 to 599, None where it has none."""
    response = attribute(error, "response")
    candidates = (
        attribute(error, "status_code"),
        # Not where the response is true: those of requests are false when the status is an error's.
        attribute(response, "status_code"),
        # twilio's `code` is a number of the vendor's, Google's `status` is a text: the number of the two.
        attribute(error, "status"),
        attribute(error, "code"),
        _member(_member(response, "ResponseMetadata"), "HTTPStatusCode"),
    )
    return next((int.__index__(each) for each in candidates if is_status(each)), None)


def header_values(error: object, name: str) -> Iterator[object]:
    """Yield what stands under a header's name, wherever the error keeps headers; `name` is in lower case."""
    response = attribute(error, "response")
    places = (
        attribute(response, "headers"),
        attribute(error, "headers"),
        _member(_member(response, "ResponseMetadata"), "HTTPHeaders"),
        _called(_grpc_method(error, "trailing_metadata")),
    )
    for headers in places:
        if headers is not None:
            # Most mappings of headers know their names in any case: that finds one among millions.
            yield _called(attribute(headers, "get"), name)
            yield from _values_one_by_one(headers, name)


def retry_delays(error: object) -> Iterator[object]:
    """Yield what Google says in the body of how long to wait."""
    return (_member(each, "retryDelay") for each in _details(error))


def _called(function: object, *arguments: object) -> object:
    """Return what a function returns; None where it is none, and where it raises."""
    if not _is_callable(function):
        return None
    try:
        return function(*arguments)
    except Exception:  # as above
        return None


def _is_callable(value: object) -> TypeGuard[Callable[..., object]]:
    return callable(value)


def _grpc_method(error: object, name: str) -> object:
    """Return a method of an error that is also a gRPC call; None for any other error."""
    if callable(attribute(error, "code")) and (
        callable(attribute(error, "trailing_metadata")) or callable(attribute(error, "details"))
    ):
        return attribute(error, name)
    return None


# From here on types are asked for with `type()`, and read with the methods of the built-in types:
# `isinstance()` believes what an object says of itself, and a subclass may answer differently each time.


def is_status(value: object) -> TypeGuard[int]:
    """Return whether a value is an HTTP status."""
    # A bool is an int, too, and below the least of them.
    return issubclass(type(value), int) and 100 <= int.__index__(cast("int", value)) <= 599


def _is_dict(value: object) -> TypeGuard[dict[object, object]]:
    return issubclass(type(value), dict)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return issubclass(type(value), list)


def _is_text(value: object) -> TypeGuard[str]:
    return issubclass(type(value), str)


def _text(value: object) -> str:
    """Return a code as a plain text; empty where it is none."""
    return str.__str__(value) if _is_text(value) and str.__len__(value) <= LONGEST_CODE else ""


def _member(value: object, key: str) -> object:
    """Return what a dict holds; None where it does not, and where it is no dict."""
    return _called(dict.get, value, key) if _is_dict(value) else None


def _listed(value: object) -> Iterator[object]:
    """Yield the first members of a list."""
    return islice(list.__iter__(value), MOST_LISTED) if _is_list(value) else iter(())


def _bodies(error: object) -> Iterator[object]:
    """Yield the parts of a parsed body that may tell of the error: it, what it lists, `error` in these."""
    for name in ("body", "details"):
        body = attribute(error, name)
        for part in (body, *_listed(body)):
            yield part
            yield _member(part, "error")


def _codes(error: object) -> Iterator[str]:
    values = chain(
        (attribute(error, "code"), attribute(error, "type")),
        (_member(part, key) for part in _bodies(error) for key in ("code", "type")),
        (_member(detail, "reason") for detail in _details(error)),
    )
    return filter(None, map(_text, values))


def _details(error: object) -> Iterator[object]:
    return (detail for part in _bodies(error) for detail in _listed(_member(part, "details")))


def _quotas(error: object) -> Iterator[str]:
    violations = (each for detail in _details(error) for each in _listed(_member(detail, "violations")))
    return filter(None, (_text(_member(each, "quotaId")) for each in violations))


def _values_one_by_one(headers: object, name: str) -> Iterator[object]:
    pairs = _called(attribute(headers, "items"))
    try:
        # gRPC's metadata are pairs without a mapping around them.
        for pair in islice(cast("Iterable[Any]", headers if pairs is None else pairs), MOST_HEADERS):
            key, value = pair
            if _lower(key) == name:
                yield value
    except Exception:  # whatever that was, it has no more headers
        return


def _lower(key: object) -> str:
    if issubclass(type(key), bytes):
        key = bytes.decode(cast("bytes", key), "latin-1")
    return str.lower(key) if _is_text(key) else ""
