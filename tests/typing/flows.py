# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# mypy: warn-unused-ignores
"""The typing promises: checked by mypy and pyright, never run.

Types flow from the user's own provider class through `execute()` to the response, with no cast. What must be
refused stands in lines that are told to ignore an error: a checker that finds none complains of the comment.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from datetime import timedelta
from typing import assert_type

import attrs

from fallback_exec import (
    EXEMPT_PROVIDERS,
    AllProvidersFailedError,
    Attempt,
    BreakerCooldownTracker,
    CooldownTracker,
    Cooling,
    Deadline,
    DeadlineExceededError,
    ExecuteConfig,
    ExecuteResult,
    ExecutionCancelledError,
    FallbackExecError,
    InvalidConfigError,
    NamedProvider,
    NoProvidersError,
    Outcome,
    Permit,
    Provider,
    ProviderFailedError,
    RoundRobinIndex,
    StaleIfError,
    StandInError,
    Strategy,
    StreamResult,
    execute,
    execute_stream,
)
from fallback_exec.events import (
    AttemptFailed,
    AttemptSucceeded,
    CooldownStarted,
    Event,
    ExecutionFinished,
    ExecutionOutcome,
    Listener,
)
from fallback_exec.recorder import Recorder


class Picture:
    """What the vendors draw."""


class Plain:
    """A provider with a plain attribute."""

    def __init__(self, name: str) -> None:
        self.name = name

    def draw(self, prompt: str, timeout: float | None = None) -> Picture:
        """Draw a picture."""
        raise NotImplementedError(prompt, timeout)


@dataclasses.dataclass(frozen=True)
class FrozenData:
    """A provider that is a frozen dataclass."""

    name: str

    def describe(self) -> str:
        """Return a text."""
        return self.name


@attrs.frozen
class FrozenAttrs:
    """A provider that is a frozen attrs class."""

    name: str
    price: int


class Computed:
    """A provider whose name is a property."""

    @property
    def name(self) -> str:
        """The name."""
        return "computed"

    def words(self) -> Iterator[str]:
        """Return words."""
        yield self.name


class Client:
    """A client of an SDK, which has no name."""

    def complete(self, prompt: str) -> bytes:
        """Return an answer."""
        return prompt.encode()


class Nameless:
    """Not a provider."""


class WrongName:
    """Not a provider either."""

    name: int = 5


config = ExecuteConfig(strategy=Strategy.FALLBACK)

# The user's own class flows through, whatever kind of class it is.

plain = [Plain("grok"), Plain("gemini")]
drawn = execute(plain, config, lambda provider: provider.draw("a cat"))
assert_type(drawn, ExecuteResult[Picture])
assert_type(drawn.response, Picture)
assert_type(drawn.provider, str)
assert_type(drawn.latency, float)
assert_type(drawn.attempt_num, int)
assert_type(drawn.was_terminus, bool)
assert_type(drawn.attempts, tuple[Attempt, ...])

described = execute([FrozenData("grok")], config, lambda provider: provider.describe())
assert_type(described, ExecuteResult[str])

priced = execute((FrozenAttrs("grok", 5), FrozenAttrs("gemini", 7)), config, lambda provider: provider.price)
assert_type(priced, ExecuteResult[int])

streamed = execute(deque([Computed()]), config, lambda provider: provider.words())
assert_type(streamed, ExecuteResult[Iterator[str]])

completed = execute(
    [NamedProvider("openai", Client())], config, lambda provider: provider.client.complete("a cat")
)
assert_type(completed, ExecuteResult[bytes])

nothing = execute(plain, config, print)
assert_type(nothing, ExecuteResult[None])


def draw(provider: Plain) -> Picture:
    """Be a `fn` with a name."""
    return provider.draw("a cat")


def generate(provider: Provider) -> Generator[str, None, int]:
    """Be a `fn` for any provider that is a generator function."""
    yield provider.name
    return 1


assert_type(execute(plain, config, draw), ExecuteResult[Picture])
assert_type(execute(plain, config, generate), ExecuteResult[Generator[str, None, int]])

# Streams: the type of the items, whatever iterable `fn` returns.

spoken = execute_stream([Computed()], config, lambda provider: provider.words(), deadline=5)
assert_type(spoken, StreamResult[str])
assert_type(next(spoken), str)
assert_type(list(spoken), list[str])
assert_type(spoken.provider, str)
assert_type(spoken.attempt_num, int)
assert_type(spoken.was_terminus, bool)
assert_type(spoken.latency, float)
assert_type(spoken.attempts, tuple[Attempt, ...])
assert_type(spoken.outcome, Outcome | None)
with execute_stream(plain, config, generate) as generated:
    assert_type(generated, StreamResult[str])
    items: Iterator[str] = generated
generated.close()
assert_type(execute_stream(plain, config, lambda provider: [provider.draw("a cat")]), StreamResult[Picture])

# A union of two classes can be told apart within `fn`.

mixed: list[Plain | FrozenData] = [Plain("grok"), FrozenData("gemini")]


def draw_or_describe(provider: Plain | FrozenData) -> Picture | str:
    """Do what the provider can."""
    return provider.draw("a cat") if isinstance(provider, Plain) else provider.describe()


assert_type(execute(mixed, config, draw_or_describe), ExecuteResult[Picture | str])
assert_type(
    execute(mixed, config, lambda each: each.draw("a cat") if isinstance(each, Plain) else None),
    ExecuteResult[Picture | None],
)


def through(providers: Sequence[Provider]) -> ExecuteResult[str]:
    """Pass providers on of which nothing but the name is known."""
    return execute(providers, config, lambda provider: provider.name)


assert_type(through(plain), ExecuteResult[str])

# Deadlines: all three forms; the timeout fits where clients take one.

deadline = Deadline(5)
assert_type(deadline.timeout(2.5), float | None)
assert_type(deadline.remaining(), float)
assert_type(deadline.expired, bool)
assert_type(deadline.cancelled, bool)
execute(plain, config, lambda provider: provider.draw("a cat", timeout=deadline.timeout()), deadline=deadline)
execute(plain, config, draw, deadline=5)
execute(plain, config, draw, deadline=timedelta(seconds=5))
execute(plain, config, draw, deadline=None)
Deadline(timedelta(seconds=5)).timeout(timedelta(seconds=1))

# Settings: strings, adapters and None where they are meant.

ExecuteConfig()
ExecuteConfig(strategy="fallback", cooldown=BreakerCooldownTracker(3, 30.0), logger=logging.getLogger())
ExecuteConfig(strategy="", cooldown=None, round_robin_index=None)
ExecuteConfig(logger=logging.LoggerAdapter(logging.getLogger(), {"request": 7}))
assert_type(config.strategy, Strategy)
assert_type(config.cooldown, CooldownTracker | None)
assert_type(config.round_robin_index, RoundRobinIndex | None)
assert_type(RoundRobinIndex().next(), int)
assert_type(EXEMPT_PROVIDERS, set[str])
assert_type(NamedProvider("openai", Client()).client, Client)

# Errors: what they carry is known after `except`.

try:
    execute(plain, config, draw)
except AllProvidersFailedError as failure:
    assert_type(failure.retry_after, float | None)
    assert_type(failure.exceptions, tuple[Exception | ExceptionGroup[Exception], ...])
    assert_type(failure.attempts, tuple[Attempt, ...])
    assert_type(failure.attempts[0].provider, str)
    assert_type(failure.attempts[0].outcome, Outcome)
    assert_type(failure.attempts[0].error, Exception | None)
    assert_type(failure.attempts[0].latency, float)
    assert_type(failure.attempts[0].cooldown_remaining, float | None)
except ProviderFailedError as failure:
    assert_type(failure.provider, str)
    assert_type(failure.aborted, bool)
    assert_type(failure.__cause__, BaseException | None)
except (DeadlineExceededError, ExecutionCancelledError, NoProvidersError) as failure:
    assert_type(failure.attempts, tuple[Attempt, ...])
except InvalidConfigError as failure:
    assert_type(failure.setting, str)
except FallbackExecError as failure:
    assert_type(failure.attempts, tuple[Attempt, ...])

try:
    execute(plain, config, draw)
except* OSError as group:
    assert_type(group, ExceptionGroup[OSError])

timeouts: list[type[TimeoutError]] = [DeadlineExceededError]
values: list[type[ValueError]] = [NoProvidersError, InvalidConfigError]
groups: list[type[ExceptionGroup[Exception]]] = [AllProvidersFailedError]
assert_type(StandInError("openai.RateLimitError", "slow down").type_name, str)


# A tracker of the user's own: three methods, and more for those who want to know more.


class ThreeMethods(CooldownTracker):
    """The least that has to be written."""

    def is_available(self, name: str) -> bool:
        """Say yes."""
        return bool(name)

    def cooldown_remaining(self, name: str) -> float:
        """Say how long."""
        return float(len(name))

    def record_failure(self, name: str, error: Exception) -> bool:
        """Take note."""
        return bool(name) and error.args == ()


assert_type(ThreeMethods().acquire("grok", force=True), Permit | Cooling)
ExecuteConfig(cooldown=ThreeMethods())

# Old answers: of one type, by whatever key; the provider's class flows through as it does in `execute()`.

pictures: StaleIfError[Picture] = StaleIfError(ttl=300, copy=copy.deepcopy)
old_or_new = pictures.execute(
    ("a cat", 5), plain, config, lambda provider: provider.draw("a cat"), deadline=5
)
assert_type(old_or_new, ExecuteResult[Picture])
assert_type(old_or_new.response, Picture)
assert_type(old_or_new.is_stale, bool)
assert_type(old_or_new.age, float)
assert_type(drawn.is_stale, bool)
texts = StaleIfError[str](timedelta(minutes=5), maxsize=10, copy=str)
assert_type(texts.execute("key", [FrozenData("grok")], config, FrozenData.describe), ExecuteResult[str])
texts.forget(("any", "key"))
texts.clear()

# What must be refused.

execute([Nameless()], config, lambda each: each)  # type: ignore[type-var]
execute([WrongName()], config, lambda each: each)  # type: ignore[type-var]
execute([Plain("a"), Nameless()], config, print)  # type: ignore[type-var]
execute(Plain("grok"), config, draw)  # type: ignore[arg-type]
execute(iter(plain), config, draw)  # type: ignore[arg-type]
execute(plain, config, lambda each: each.paint())  # type: ignore[attr-defined]
execute([FrozenData("grok")], config, draw)  # type: ignore[arg-type]
execute_stream(plain, config, draw)  # type: ignore[arg-type]
execute_stream([Nameless()], config, lambda each: [each])  # type: ignore[type-var]
execute(plain, config, draw, deadline="5")  # type: ignore[arg-type]
execute(plain, config, draw, Deadline(5))  # type: ignore[call-arg]
execute(plain, "fallback", draw)  # type: ignore[arg-type]
ExecuteConfig(Strategy.FALLBACK)  # type: ignore[call-arg]
ExecuteConfig(cooldown="breaker")  # type: ignore[arg-type]
ExecuteConfig().strategy = Strategy.FALLBACK  # type: ignore[misc]
Deadline("5")  # type: ignore[arg-type]
deadline.cancelled = True  # type: ignore[misc]
NamedProvider(5, Client())  # type: ignore[arg-type]
texts.execute("key", plain, config, draw)  # type: ignore[arg-type]
texts.execute(["key"], [FrozenData("grok")], config, FrozenData.describe)  # type: ignore[arg-type]
texts.execute("key", [FrozenData("grok")], config, FrozenData.describe, 5)  # type: ignore[call-arg]
texts.execute("key", [Nameless()], config, str)  # type: ignore[type-var]
texts.forget(["key"])  # type: ignore[arg-type]
StaleIfError[str]("300")  # type: ignore[arg-type]
StaleIfError[str](300, 10, str)  # type: ignore[call-arg]
StaleIfError[str](300, copy=len)  # type: ignore[arg-type]
old_or_new.is_stale = False  # type: ignore[misc]
old_or_new.age = 0.0  # type: ignore[misc]


def listen(event: Event) -> None:
    """Narrow an event by its class; an attribute that some have not, or may not have, is no str."""
    assert_type(event.provider, str | None)
    match event:
        case AttemptSucceeded():
            assert_type(event.provider, str)
            assert_type(event.attempt_num, int)
            assert_type(event.error, BaseException | None)
        case AttemptFailed():
            assert_type(event.error, Exception)
            assert_type(event.cooldown_remaining, float | None)
        case CooldownStarted():
            assert_type(event.cooldown_remaining, float)
        case ExecutionFinished():
            assert_type(event.provider, str | None)
            assert_type(event.outcome, ExecutionOutcome)
        case _:
            pass


def of_listeners(recorder: Recorder) -> None:
    """Any callable that takes an event may listen, in any iterable."""
    assert_type(ExecuteConfig(listeners=[listen, recorder, print]).listeners, tuple[Listener, ...])
    ExecuteConfig(listeners=(listen for _ in range(2)))
    ExecuteConfig(listeners=listen)  # type: ignore[arg-type]
    ExecuteConfig(listeners=[of_listeners_too])  # type: ignore[list-item]


def of_listeners_too(event: Event, other: object) -> None:
    """Take more than an event."""
