"""Strategies and the index of the rotation; what they do to an execution stands in test_execution.py."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from collections.abc import Callable

import pytest

from fallback_exec import ExecuteConfig, RoundRobinIndex, Strategy, _forks, execute
from helpers import PATIENCE, forked_child_finishes, in_thread, in_threads, meddle_at_each_line, vendors

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
# What Python 3.12 and later say of every fork beside a running thread; that it goes well is the test.
forks_beside_threads = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


class TestStrategy:
    """The names of the strategies."""

    def test_values_are_those_of_the_go_code(self) -> None:
        """The three values, in the order of the Go code's switch."""
        assert [strategy.value for strategy in Strategy] == ["primary_only", "fallback", "round_robin"]

    def test_is_a_string(self) -> None:
        """A strategy prints, compares and formats as its value."""
        assert [*Strategy] == ["primary_only", "fallback", "round_robin"]
        assert str(Strategy.FALLBACK) == f"{Strategy.FALLBACK}" == "fallback"
        assert Strategy("fallback") is Strategy.FALLBACK

    def test_survives_a_journey(self) -> None:
        """A strategy that was pickled is the same object."""
        assert pickle.loads(pickle.dumps(Strategy.FALLBACK)) is Strategy.FALLBACK


class TestRoundRobinIndex:
    """A counter that many threads and configs share."""

    def test_counts_from_zero(self) -> None:
        """The numbers are 0, 1, 2 and so on; each index has its own."""
        index = RoundRobinIndex()
        assert [index.next() for _ in range(4)] == [0, 1, 2, 3]
        assert RoundRobinIndex().next() == 0

    @pytest.mark.usefixtures("fast_switching")
    def test_hands_out_each_number_once(self) -> None:
        """Threads that ask at the same moment get different numbers, and none is left out."""
        index = RoundRobinIndex()
        numbers = in_threads(8, lambda _: [index.next() for _ in range(500)])
        assert sorted(number for each in numbers for number in each) == list(range(4000))
        assert all(each == sorted(each) for each in numbers)

    def test_two_threads_at_any_step_get_two_numbers(self) -> None:
        """Whatever step of `next()` a thread has come to, another one that asks gets another number."""

        def scene() -> tuple[Callable[[], set[int]], Callable[[], object]]:
            index, others = RoundRobinIndex(), list[int]()
            other = threading.Thread(target=lambda: others.append(index.next()), daemon=True)

            def meddle() -> None:
                other.start()
                other.join(0.02)  # it gets its number at once, or waits for a lock that is held here

            def work() -> set[int]:
                number = index.next()
                if other.ident is not None:
                    other.join(PATIENCE)
                return {number, *others}

            return work, meddle

        assert all(numbers == {0, 1} for numbers in meddle_at_each_line(scene))

    @pytest.mark.parametrize(
        "duplicate", [pickle.dumps, copy.copy, copy.deepcopy], ids=lambda each: each.__name__
    )
    def test_cannot_be_duplicated(self, duplicate: Callable[[object], object]) -> None:
        """Two of them would not share the rotation, which is said clearly."""
        with pytest.raises(TypeError, match=r"^a RoundRobinIndex cannot be pickled or copied"):
            duplicate(RoundRobinIndex())

    @needs_fork
    @forks_beside_threads
    def test_works_in_a_child_wherever_a_thread_of_the_parent_was(self) -> None:
        """A fork while another thread is inside `next()`, wherever, leaves the child a working index."""

        def scene() -> tuple[Callable[[], int], Callable[[], object]]:
            index = RoundRobinIndex()
            return index.next, lambda: finished.append(in_thread(lambda: forked_child_finishes(index.next)))

        finished: list[bool] = []
        assert meddle_at_each_line(scene)[0] == 0
        assert finished == [True] * len(finished)

    @needs_fork
    @forks_beside_threads
    def test_goes_on_in_a_child_from_where_it_was(self) -> None:
        """A child counts on for itself, and the parent does not notice."""
        index = RoundRobinIndex()
        index.next()

        def work() -> None:
            assert [index.next(), index.next()] == [1, 2]

        assert forked_child_finishes(work)
        assert index.next() == 1

    @needs_fork
    @forks_beside_threads
    def test_a_config_of_the_parent_rotates_in_a_child(self) -> None:
        """A config with its default index goes on in a child that was forked within an execution."""
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN)
        chain = vendors("grok", "gemini")

        def work() -> None:
            assert execute(chain, config, lambda provider: provider.name).response == "gemini"

        result = execute(chain, config, lambda _: in_thread(lambda: forked_child_finishes(work)))
        assert result.response is True

    def test_goes_on_when_its_lock_is_renewed(self) -> None:
        """What runs in a child after a fork loses no number; run here, where coverage sees it."""
        index = RoundRobinIndex()
        index.next()
        _forks._renew_all()
        assert index.next() == 1

    def test_is_not_kept_alive_by_the_hook_for_forks(self) -> None:
        """Indexes may be built and dropped without end."""
        before = len(_forks._owners)
        for _ in range(100):
            RoundRobinIndex()
        assert len(_forks._owners) == before
