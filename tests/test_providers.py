"""Providers: what counts as one; what `execute()` refuses stands in test_execution.py."""

from __future__ import annotations

import dataclasses
import enum
import pickle
from collections import namedtuple
from typing import Any

import attrs
import pytest

import fallback_exec
from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    ExecuteConfig,
    InvalidConfigError,
    NamedProvider,
    Provider,
    Strategy,
    execute,
)
from helpers import Records, Vendor, VendorError, error_of, logger_with, replying, vendors


@dataclasses.dataclass(frozen=True)
class FrozenData:
    """A provider that is a frozen dataclass."""

    name: str


@attrs.frozen
class FrozenAttrs:
    """A provider that is a frozen attrs class."""

    name: str


class Computed:
    """A provider whose name is a property."""

    @property
    def name(self) -> str:
        return "grok"


class Plain:
    """A provider whose class has the name."""

    name = "grok"


class Model(enum.Enum):
    """Providers that are the members of an enum, which have names anyway."""

    grok = 1


Tuple = namedtuple("Tuple", ["name"])  # noqa: PYI024  # as some still write them


class TestProvider:
    """Any object with a name."""

    @pytest.mark.parametrize(
        "provider",
        [
            FrozenData("grok"),
            FrozenAttrs("grok"),
            Computed(),
            Plain,
            Plain(),
            Model.grok,
            Tuple("grok"),
            Vendor("grok"),
        ],
        ids=lambda each: getattr(each, "__name__", type(each).__name__),
    )
    def test_needs_nothing_but_a_name(self, provider: Provider) -> None:
        """However the attribute comes about, it makes a provider; even a class is one."""
        result = execute([provider], ExecuteConfig(), lambda each: each)
        assert (result.provider, result.response) == ("grok", provider)

    @pytest.mark.parametrize(
        "name", [" ", "0", "Größe", "人工知能", "a b", "%s", "x" * 10_000], ids=lambda name: name[:9]
    )
    def test_may_have_any_name_but_an_empty_one(self, name: str) -> None:
        """A name is text: what it says does not matter."""
        assert execute(vendors(name), ExecuteConfig(), lambda _: None).provider == name

    def test_a_name_may_be_of_a_subclass_of_str(self, records: Records) -> None:
        """A member of an enum of strings reads as its value, in the result, texts, logs and cooldowns."""

        class Name(str, enum.Enum):  # noqa: UP042  # its members print as `Name.GROK`, which is the point
            GROK = "grok"

        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with(records))
        replies = replying(grok=VendorError("down"))
        failure = error_of(AllProvidersFailedError, vendors(Name.GROK), config, replies)
        primary = ExecuteConfig(logger=logger_with(records))
        texts = [
            str(failure),
            *records.lines,
            str(execute(vendors(Name.GROK), primary, lambda _: 1).provider),
        ]
        assert [text for text in texts if "Name" in text] == []
        assert tracker.is_available("grok") is False

    def test_is_known_by_the_name_that_was_checked(self) -> None:
        """A name that changes during the call, to one that would be refused even, does no harm."""
        chain = vendors("grok", "gemini")

        def fn(provider: Vendor) -> str:
            chain[1].name = None  # type: ignore[assignment]  # on purpose
            if provider is chain[0]:
                raise VendorError
            return "a cat"

        config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=BreakerCooldownTracker())
        result = execute(chain, config, fn)
        assert (result.response, result.provider) == ("a cat", "gemini")


class TestNamedProvider:
    """Gives a name to a client that has none."""

    def test_has_the_name_and_the_client(self) -> None:
        """The client is the very object, for `fn` to use."""
        client = Vendor("inner")
        provider = NamedProvider("grok", client)
        result = execute([provider], ExecuteConfig(), lambda each: each.client)
        assert (provider.name, result.provider) == ("grok", "grok")
        assert result.response is client

    @pytest.mark.parametrize("name", ["", None, 5, b"grok", True, ["grok"]], ids=repr)
    def test_refuses_a_bad_name(self, name: Any) -> None:
        """The name is checked when the provider is built."""
        with pytest.raises(InvalidConfigError, match="name must be a non-empty string") as caught:
            NamedProvider(name, object())
        assert caught.value.setting == "name"
        assert repr(name) in str(caught.value)

    def test_is_immutable(self) -> None:
        """Its cooldown is known by the name, which therefore does not change."""
        provider = NamedProvider("grok", "client")
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            provider.name = "gemini"  # type: ignore[misc]  # on purpose

    def test_equal_ones_are_equal(self) -> None:
        """It is a value: the same name and the same client make the same provider."""
        assert NamedProvider("grok", "client") == NamedProvider("grok", "client")
        assert NamedProvider("grok", "client") != NamedProvider("grok", "other")
        assert len({NamedProvider("grok", "client"), NamedProvider("grok", "client")}) == 1

    def test_survives_a_journey(self) -> None:
        """It can be sent to a process pool if its client can."""
        assert pickle.loads(pickle.dumps(NamedProvider("grok", "client"))) == NamedProvider("grok", "client")


class TestExemptProviders:
    """`EXEMPT_PROVIDERS` itself; what it does to an execution stands in test_execution.py."""

    def test_is_a_set_of_names_at_package_level(self) -> None:
        """Whoever imports the name gets the set that counts, and may change it."""
        assert isinstance(fallback_exec.EXEMPT_PROVIDERS, set)
        assert sorted(fallback_exec.EXEMPT_PROVIDERS) == ["laozhang"]

    def test_may_be_emptied(self, exempt_providers: set[str]) -> None:
        """Without a name in it, everybody cools down."""
        exempt_providers.clear()
        tracker = BreakerCooldownTracker(fail_max=1)
        config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker)
        error_of(AllProvidersFailedError, vendors("laozhang"), config, replying(laozhang=VendorError()))
        assert tracker.is_available("laozhang") is False
