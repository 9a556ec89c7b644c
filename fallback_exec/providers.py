"""Providers: what is tried, and which of them never cool down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import attrs

from fallback_exec import _checks
from fallback_exec._text import brief, masked_repr
from fallback_exec.errors import InvalidConfigError, NoProvidersError

ClientT = TypeVar("ClientT")
P = TypeVar("P", bound="Provider")

#: Names of providers whose failures never start a cooldown: those that are paid per use and have no
#: rate limit. Read at every failure, so a change holds at once; shared by the whole process.
EXEMPT_PROVIDERS: set[str] = {"laozhang"}


class Provider(Protocol):
    """Any object with a name: that is all the library asks of a provider.

    Declared as a read-only property, so that a frozen class fits as well as a plain attribute.
    """

    @property
    def name(self) -> str:
        """The name, not empty, under which cooldowns and logs know the provider."""
        ...


def _check_name(_provider: object, _field: attrs.Attribute[str], value: str) -> None:
    _checks.name("name", value)


@attrs.frozen
class NamedProvider(Generic[ClientT]):
    """Gives a name to an SDK's client that has none: `NamedProvider("openai", OpenAI())`.

    Attributes:
        name: The provider's name, not empty.
        client: The client, to be used inside `fn` as `provider.client`.
    """

    name: str = attrs.field(validator=_check_name, repr=masked_repr)
    client: ClientT = attrs.field(repr=masked_repr)


def check_providers(providers: Sequence[P]) -> tuple[tuple[P, ...], list[str]]:
    """Return the providers and their names as they are at this moment.

    The attempts go by these copies: a list, or a name, that another thread changes meanwhile does no harm.

    Raises:
        NoProvidersError: there are none.
        InvalidConfigError: not a sequence, or one of them has no usable name.
    """
    plain = type(providers) is list or type(providers) is tuple
    chain = tuple(providers) if plain else _read_sequence(providers)
    if not chain:
        raise NoProvidersError(f"no providers: providers must hold at least one, got {brief(providers)}")
    names = []
    for provider in chain:
        try:
            name = provider.name
        except Exception as error:
            raise _bad_name(chain, provider, "must be an object with a name") from error
        if type(name) is not str or not name:
            name = _plain_name(chain, provider, name)
        names.append(name)
    return chain, names


def _read_sequence(providers: Sequence[P]) -> tuple[P, ...]:
    rule = "must be a sequence of providers, such as a list"
    try:
        if isinstance(providers, Sequence) and not isinstance(providers, (str, bytes, bytearray)):
            return tuple(providers)
    except Exception as error:
        raise InvalidConfigError("providers", providers, rule) from error
    raise InvalidConfigError("providers", providers, rule)


def _plain_name(chain: Sequence[object], provider: object, name: object) -> str:
    try:
        return _checks.name("name", name)
    except InvalidConfigError:
        rule = f"must have a non-empty string as its name, not {brief(name)}"
        raise _bad_name(chain, provider, rule) from None


def _bad_name(chain: Sequence[object], provider: object, rule: str) -> InvalidConfigError:
    position = next(index for index, each in enumerate(chain) if each is provider)
    return InvalidConfigError(f"providers[{position}]", provider, rule)
