"""Errors that lie, raise, have no end, or are none: `classify_error()` has a verdict on each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classify.shaped import answered, of_google, quota, shaped
from fallback_exec import Verdict, classify_error

FAILURE = Verdict.failure()
COOL_DOWN = Verdict.cool_down()
LONG = Verdict.cool_down(3600)

#: All attributes that are ever read.
READ = (
    "status_code",
    "response",
    "status",
    "code",
    "type",
    "body",
    "details",
    "headers",
    "trailing_metadata",
)


class Spite(Exception):
    """What must not come out."""


def spiteful(*_: object, **__: object) -> Any:
    """Raise whatever is asked."""
    raise Spite


class SpitefulError(Exception):
    """Raises whatever attribute is read, even its class."""

    def __getattribute__(self, name: str) -> Any:
        raise Spite

    __bool__ = __hash__ = __eq__ = __str__ = __repr__ = spiteful


class SpitefulInt(int):
    __index__ = __int__ = __eq__ = __hash__ = __le__ = __ge__ = __bool__ = spiteful


class SpitefulStr(str):
    __str__ = __eq__ = __hash__ = __len__ = __bool__ = lower = strip = encode = __contains__ = spiteful


class SpitefulBytes(bytes):
    decode = __eq__ = __hash__ = __len__ = __bool__ = spiteful


class SpitefulDict(dict[Any, Any]):
    get = items = __getitem__ = __iter__ = __contains__ = __len__ = __bool__ = spiteful


class SpitefulList(list[Any]):
    __getitem__ = __iter__ = __contains__ = __len__ = __bool__ = spiteful


class LyingClass:
    """Says that it is an int, and raises when it is asked twice."""

    asked = 0

    @property  # type: ignore[misc]  # that is the lie
    def __class__(self) -> type:
        self.asked += 1
        if self.asked > 1:
            raise Spite
        return int

    __getattr__ = spiteful


#: Made for each test: pytest looks at what it is given.
LIES: dict[str, Callable[[], object]] = {
    "class": LyingClass,
    "int": lambda: SpitefulInt(429429),
    "str": lambda: SpitefulStr("junk"),
    "bytes": lambda: SpitefulBytes(b"junk"),
    "dict": lambda: SpitefulDict(error=1),
    "list": lambda: SpitefulList(["junk"]),
    "error": SpitefulError,
    "raises": lambda: spiteful,
    "returns a liar": lambda: LyingClass,
    "type": lambda: type,
    "mock": mock.Mock,
    "magic mock": mock.MagicMock,
    "response": lambda: SimpleNamespace(
        headers=LyingClass(), status_code=LyingClass(), get=spiteful, items=spiteful
    ),
}


class TestLiars:
    def test_that_raise_whatever_is_asked(self) -> None:
        """Nothing is known of them."""
        assert classify_error(SpitefulError()) == FAILURE

    @pytest.mark.parametrize("name", READ)
    def test_that_raise_once(self, name: str) -> None:
        """A property that raises hides nothing but itself."""
        kind = type("HalfSpitefulError", (Exception,), {"status_code": 401, "code": 401})
        setattr(kind, name, property(spiteful))
        assert classify_error(kind()) == LONG

    @pytest.mark.parametrize("name", READ)
    @pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
    def test_in_one_attribute(self, name: str, lie: Callable[[], object]) -> None:
        """What is no sign is none, whatever it says of itself."""
        assert classify_error(shaped(**{name: lie()})) == FAILURE

    def test_whose_methods_raise(self) -> None:
        """GRPC calls and headers that cannot be asked say nothing."""
        assert classify_error(shaped(code=spiteful, details=str, status=401)) == LONG
        assert classify_error(answered(429, SimpleNamespace(get=spiteful, items=spiteful))) == COOL_DOWN
        listed = SimpleNamespace(get=spiteful, items=lambda: [("retry-after", "7")])
        assert classify_error(answered(429, listed)) == Verdict.cool_down(7)

    def test_that_are_subclasses_of_built_in_types(self) -> None:
        """They are read as what they are: none of their methods is called."""
        code, key = SpitefulStr("insufficient_quota"), SpitefulInt(429)
        assert classify_error(shaped(status_code=key)) == COOL_DOWN
        assert classify_error(shaped(type=code)) == LONG
        assert classify_error(shaped(body=SpitefulDict(error=SpitefulDict(type=code)))) == Verdict.cool_down(
            3600
        )
        listed = SpitefulList([SpitefulDict(quota("PerDay"))])
        assert classify_error(shaped(details=SpitefulDict(details=listed))) == LONG
        for value in (SpitefulStr("7"), SpitefulBytes(b"7"), SpitefulInt(7)):
            assert classify_error(answered(429, {"retry-after": value})) == Verdict.cool_down(7)
            for name in (SpitefulStr("Retry-After"), SpitefulBytes(b"Retry-After")):
                assert classify_error(answered(429, [(name, value)])) == Verdict.cool_down(7)

    @pytest.mark.parametrize(
        "nothing", [None, 429, "429", object(), Exception, mock.Mock(), mock.MagicMock()]
    )
    def test_that_are_no_errors(self, nothing: Any) -> None:
        """There is a verdict even on what is no exception."""
        assert classify_error(nothing) == FAILURE

    def test_of_a_metaclass_that_raises(self) -> None:
        """Neither its hash, nor its names are asked for."""

        class Metaclass(type):
            __hash__ = __eq__ = __getattribute__ = __instancecheck__ = __subclasscheck__ = spiteful

        class AuthenticationError(Exception, metaclass=Metaclass):
            pass

        error = BaseException.__new__(AuthenticationError)
        assert classify_error(error) == LONG

    def test_that_interrupt_are_let_through(self) -> None:
        """Ctrl-C while an attribute is read is not swallowed."""

        class InterruptedReadError(Exception):
            @property
            def status_code(self) -> int:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            classify_error(InterruptedReadError())


class TestEndless:
    def test_bodies(self) -> None:
        """A body that contains itself."""
        body: dict[str, Any] = {"type": "junk"}
        body["error"] = body["details"] = body["violations"] = body
        parts: list[Any] = [body]
        parts.append(parts)
        assert classify_error(answered(429, body=body)) == COOL_DOWN
        body["details"] = body["violations"] = parts
        assert classify_error(answered(429, body=parts)) == COOL_DOWN

    def test_lists_are_read_up_to_a_limit(self) -> None:
        """What stands behind the first sixteen is not looked at."""
        assert classify_error(of_google(*["junk"] * 15, quota("PerDay"))) == LONG
        assert classify_error(of_google(*["junk"] * 16, quota("PerDay"))) == COOL_DOWN

    def test_depths_are_not_gone_into(self) -> None:
        """Signs stand where vendors put them; elsewhere they are the caller's own words."""
        deep: Any = {"type": "billing_error"}
        for _ in range(10**5):
            deep = {"error": deep, "details": [deep]}
        assert classify_error(answered(429, body=deep)) == COOL_DOWN
        # Taken apart from outside: Python's own way to free it is as deep as it is.
        while "error" in deep:
            deep, deep["details"] = deep.pop("error"), []

    def test_attributes(self) -> None:
        """An object whose every attribute is such an object."""

        class Endless:
            def __getattr__(self, name: str) -> Endless:
                return self

            def __call__(self, *_: object) -> Endless:
                return self

            def __iter__(self) -> Iterator[Endless]:
                while True:
                    yield self

        error: Any = Endless()
        assert classify_error(error) == FAILURE
        assert classify_error(answered(429, Endless(), body=Endless(), details=Endless())) == COOL_DOWN


def test_the_end_of_the_stack_is_a_failure() -> None:
    """Where nothing can be called any more, there is still a verdict, or the caller's own RecursionError."""
    verdicts = []
    errors = []

    def descend() -> None:
        try:
            verdicts.append(classify_error(answered(429)))
            descend()
        except RecursionError:
            errors.append(1)
            raise

    limit = sys.getrecursionlimit()
    with pytest.raises(RecursionError):
        descend()
    assert sys.getrecursionlimit() == limit
    assert verdicts[0] == COOL_DOWN
    assert FAILURE in verdicts
    assert {each.kind for each in verdicts} == {"cool_down", "failure"}


KEYS = ["error", "details", "violations", "quotaId", "code", "type", "retryDelay", "Error", "Code"]

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.floats()
    | st.text(max_size=12)
    | st.binary(max_size=12)
    | st.sampled_from(["insufficient_quota", "billing_x", "PerDay", "7s", "retry-after", "UNKNOWN"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "details", "violations", "quotaId", "code", "type", "retryDelay", "Error"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
        | st.builds(lambda value: lambda *_: value, inner)
        | st.builds(
            lambda value: SimpleNamespace(headers=value, status_code=value, name=value, get=value), inner
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(READ), junk), st.sampled_from(["Error", "InvalidURL", "NoRegion"]))
def test_junk_has_a_verdict(attributes: dict[str, Any], name: str) -> None:
    """Whatever stands in the attributes, there is a verdict, the same each time."""
    error = shaped(name, **attributes)
    verdict = classify_error(error)
    assert type(verdict) is Verdict
    assert verdict.seconds is None or 0.0 < verdict.seconds <= 3600.0
    assert classify_error(error) == verdict
