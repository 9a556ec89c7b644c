"""What an execution may cost, in terms that do not depend on a clock or on the machine.

Time is measured by `tox -e bench`; these counts fail at the first call or allocation that is added.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType

import attrs
import pytest

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, Strategy, execute
from helpers import Vendor, VendorError, logger_with, vendors


@attrs.frozen
class Budget:
    """The most that something may cost.

    Attributes:
        functions: Calls of Python functions, `execute()` and `fn` among them.
        builtins: Calls of functions and methods that are written in C; a call of a class is none.
        blocks: Blocks of memory that live as long as the result does.
    """

    functions: int
    builtins: int
    blocks: int


# These may only be lowered. They are the same for all Pythons.
HEALTHY = {
    Strategy.PRIMARY_ONLY: Budget(functions=2, builtins=5, blocks=3),
    Strategy.FALLBACK: Budget(functions=3, builtins=6, blocks=3),  # DEBUG is asked about
    Strategy.ROUND_ROBIN: Budget(functions=3, builtins=7, blocks=3),  # the index counts
}
# What a list adds: it is copied, and its names are read, each time.
LIST = Budget(functions=1, builtins=3, blocks=0)
# What each provider more adds that is not reached, in a tuple and in a list.
UNREACHED = {
    tuple: Budget(functions=0, builtins=0, blocks=0),
    list: Budget(functions=0, builtins=1, blocks=0),
}
# What each provider more adds that is passed over, and the first of them: it reads the clock for all.
FIRST_SKIP = Budget(functions=1, builtins=3, blocks=3)
SKIP = Budget(functions=0, builtins=2, blocks=1)

# What a failure adds that starts no cooldown: it is counted without a call of the breaker.
FAILURE = Budget(functions=17, builtins=10, blocks=6)

# Results that are held at once. CPython keeps freed objects in stock, at most 2000 tuples of each length
# and fewer of all else: so many results use it up, and make what other threads allocate a small part.
RESULTS = 2000


def answer(provider: Vendor) -> str:
    """Be the `fn` that costs one call and keeps nothing, but an error where it fails."""
    if provider.name[0] == "f":
        raise VendorError
    return "answer"


def cost_of(
    strategy: Strategy,
    *,
    skips: int = 0,
    failures: int = 0,
    answering: int = 3,
    kind: type[Sequence[Vendor]] = tuple,
) -> Budget:
    """Return what an execution costs of a chain: some cool down, then some fail, then some answer."""
    cooling = [f"cooling-{number}" for number in range(skips)]
    failing = [f"failing-{number}" for number in range(failures)]
    tracker = BreakerCooldownTracker(fail_max=sys.maxsize)
    for name in cooling:
        tracker.cool_down(name, 3600)
    silent = logger_with(level=sys.maxsize)
    config = ExecuteConfig(strategy=strategy, cooldown=tracker, logger=silent)
    chain = kind(
        vendors(  # type: ignore[call-arg]  # a list or a tuple
            *cooling, *failing, *(f"answering-{number}" for number in range(answering))
        )
    )

    def work() -> object:
        return execute(chain, config, answer)

    for _ in range(RESULTS):  # until every provider is known, and the interpreter has adapted
        work()
    calls = calls_of(work)
    # One of the functions is `work()`.
    return Budget(functions=calls["call"] - 1, builtins=calls["c_call"], blocks=blocks_of(work))


def calls_of(work: Callable[[], object]) -> Counter[str]:
    """Return how many functions are called, `work` included: `call` in Python, `c_call` in C."""
    calls: Counter[str] = Counter()

    def count(_frame: FrameType, event: str, function: object) -> None:
        if function is not sys.setprofile:
            calls[event] += 1

    # Coverage measures by other means: its numbers and these do not meet.
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def blocks_of(make: Callable[[], object]) -> int:
    """Return how many blocks of memory are held by what `make` returns."""
    # What the interpreter has in stock goes into these, which live until it is counted.
    stock = [make() for _ in range(RESULTS)]
    held: list[object] = [None] * RESULTS
    before = sys.getallocatedblocks()
    for place in range(RESULTS):
        held[place] = make()
    blocks = sys.getallocatedblocks() - before
    assert len(stock) == len(held)
    return round(blocks / RESULTS)


def added(cost: Budget, base: Budget, things: int = 1) -> Budget:
    """Return what each of so many things adds to the cost `base`; a part of a call is a whole one."""
    more = {item: count - getattr(base, item) for item, count in attrs.asdict(cost).items()}
    return Budget(**{item: math.ceil(count / things) for item, count in more.items()})


def excess(cost: Budget, budget: Budget) -> dict[str, str]:
    """Return what is above the budget, in words."""
    limits = attrs.asdict(budget)
    counts = attrs.asdict(cost)
    return {item: f"{counts[item]}, at most {limits[item]}" for item in limits if counts[item] > limits[item]}


@pytest.mark.usefixtures("no_collector")
class TestHealthyPath:
    """An execution whose first provider answers."""

    @pytest.mark.parametrize("strategy", Strategy)
    def test_keeps_within_its_budget(self, strategy: Strategy) -> None:
        """Nothing is called, and no memory is kept, beyond what the strategy's budget has."""
        assert excess(cost_of(strategy), HEALTHY[strategy]) == {}

    @pytest.mark.parametrize("strategy", Strategy)
    def test_pays_for_a_list_with_its_check(self, strategy: Strategy) -> None:
        """What can change is checked each time, by one function and a call for each name."""
        assert excess(added(cost_of(strategy, kind=list), cost_of(strategy)), LIST) == {}

    @pytest.mark.parametrize("strategy", Strategy)
    @pytest.mark.parametrize("kind", UNREACHED)
    def test_pays_for_providers_that_are_not_reached_with_their_check_alone(
        self, strategy: Strategy, kind: type[Sequence[Vendor]]
    ) -> None:
        """A provider more that is not reached costs nothing in a tuple, the check of its name in a list."""
        more = added(cost_of(strategy, answering=13, kind=kind), cost_of(strategy, kind=kind), 10)
        assert excess(more, UNREACHED[kind]) == {}


@pytest.mark.usefixtures("no_collector")
class TestSkip:
    """A provider that is passed over."""

    def test_is_cheap_each_time(self) -> None:
        """The second and every later one cost the same few calls, and keep one row."""
        more = added(cost_of(Strategy.FALLBACK, skips=101), cost_of(Strategy.FALLBACK, skips=1), 100)
        assert excess(more, SKIP) == {}

    def test_reads_the_clock_the_first_time(self) -> None:
        """The first one reads the clock for all that follow it, and nobody else's budget has that."""
        more = added(cost_of(Strategy.FALLBACK, skips=1), cost_of(Strategy.FALLBACK))
        assert excess(more, FIRST_SKIP) == {}


@pytest.mark.usefixtures("no_collector")
class TestFailure:
    """A provider that fails without starting a cooldown."""

    def test_keeps_within_its_budget(self) -> None:
        """It is counted, told of and kept, by no call of pybreaker's."""
        more = added(cost_of(Strategy.FALLBACK, failures=2), cost_of(Strategy.FALLBACK, failures=1))
        assert excess(more, FAILURE) == {}


@pytest.mark.usefixtures("no_collector")
class TestCount:
    """What counts, so that a budget that is kept means something."""

    def test_sees_each_call(self) -> None:
        """A function in Python and one in C are told apart, and each call counts."""

        def work() -> None:
            len(repr(answer(Vendor("gemini"))))

        # work(), Vendor.__init__() and answer(); repr() and len().
        assert calls_of(work) == Counter(call=3, c_call=2, c_return=2, **{"return": 3})

    @pytest.mark.parametrize("size", [0, 1, 5])
    def test_sees_each_block(self, size: int) -> None:
        """A list and the objects in it count one block each, and the list's array one more."""
        blocks = 1 + size + (size > 0)
        assert blocks_of(lambda: [object() for _ in range(size)]) == blocks
