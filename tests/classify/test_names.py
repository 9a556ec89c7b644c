"""Words in the names of classes: what is remembered, in threads, in children, and from odd places."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from classify.shaped import shaped
from fallback_exec.classify.names import WordFinder
from fork_children import in_child
from helpers import PATIENCE

WORDS = {"Timeout", "Connect"}


class CountingFinder(WordFinder):
    """Writes down how often it looked at names."""

    looks = 0

    def _words_in(self, value: object) -> frozenset[str]:
        self.looks += 1
        return super()._words_in(value)


class ConnectBaseError(Exception):
    pass


class TimeoutLeafError(ConnectBaseError):
    pass


class TestWords:
    def test_are_those_of_the_class_and_its_bases(self) -> None:
        """Anywhere in a name, with that case."""
        find = WordFinder(WORDS)
        assert find(TimeoutLeafError()) == {"Timeout", "Connect"}
        assert find(ConnectBaseError()) == {"Connect"}
        assert find(shaped("ReadtimeoutError")) == set()
        assert find(None) == set()

    def test_are_those_that_were_asked_for(self) -> None:
        """Finders know nothing of each other."""
        assert WordFinder({"Leaf"})(TimeoutLeafError()) == {"Leaf"}
        assert WordFinder(())(TimeoutLeafError()) == set()


class TestMemory:
    def test_a_class_is_looked_at_once(self) -> None:
        """Its names are remembered for all its objects."""
        find = CountingFinder(WORDS)
        assert [find(TimeoutLeafError()) for _ in range(3)] == [WORDS] * 3
        assert find.looks == 1
        assert find(ConnectBaseError()) == {"Connect"}
        assert find.looks == 2

    def test_is_bounded(self) -> None:
        """Of many classes, the last ones are remembered; the others can go."""
        find = CountingFinder(WORDS, maxsize=8)
        errors = [shaped(f"Timeout{number}") for number in range(100)]
        kinds = [weakref.ref(type(error)) for error in errors]
        assert all(find(error) == {"Timeout"} for error in errors)
        looks = find.looks
        assert find(errors[-1]) == find(errors[-8]) == {"Timeout"}
        assert find.looks == looks
        assert find(errors[-9]) == {"Timeout"}
        assert find.looks == looks + 1
        del errors
        gc.collect()
        assert sum(kind() is not None for kind in kinds) == 8

    def test_takes_no_new_class_for_an_old_one(self) -> None:
        """Identities are used again, but not those of classes that are remembered."""
        find = WordFinder(WORDS, maxsize=4)
        for number in range(200):
            assert find(shaped(f"Timeout{number}")) == {"Timeout"}
            assert find(shaped(f"Other{number}")) == set()
            gc.collect(0)

    def test_runs_nothing_of_the_class(self) -> None:
        """What a metaclass says of equality, hashes and names is not asked."""

        class Metaclass(type):
            def __hash__(cls) -> int:
                raise AssertionError("hashed")

            def __eq__(cls, other: object) -> bool:
                raise AssertionError("compared")

            def __getattribute__(cls, name: str) -> object:
                raise AssertionError(f"asked for {name}")

        class TimeoutOfAMetaclass(Exception, metaclass=Metaclass):
            pass

        find = WordFinder(WORDS)
        error = BaseException.__new__(TimeoutOfAMetaclass)
        assert find(error) == find(error) == {"Timeout"}

    def test_takes_names_as_they_are(self) -> None:
        """A name may be a text of a class of its own."""

        class Name(str):
            def __contains__(self, other: object) -> bool:
                raise AssertionError("asked")

        error = shaped()
        type(error).__name__ = Name("TimeoutError")
        assert WordFinder(WORDS)(error) == {"Timeout"}


class HeldFinder(WordFinder):
    """Does something while it is in use."""

    act: Callable[[], object] = staticmethod(lambda: None)

    def _words_in(self, value: object) -> frozenset[str]:
        self.act()
        return super()._words_in(value)


class TestWhileInUse:
    def test_nobody_waits(self) -> None:
        """Another thread finds out for itself while the lock is held."""
        find = HeldFinder(WORDS)
        held, leave = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            assert leave.wait(PATIENCE)

        find.act = hold
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(find, TimeoutLeafError())
            assert held.wait(PATIENCE)
            find.act = lambda: None
            assert find(ConnectBaseError()) == {"Connect"}
            leave.set()
            assert first.result(PATIENCE) == WORDS

    def test_the_same_thread_may_come_back(self) -> None:
        """As from a finalizer or a signal handler."""
        find = HeldFinder(WORDS)
        inner: list[frozenset[str]] = []

        def come_back() -> None:
            find.act = lambda: None
            inner.append(find(ConnectBaseError()))

        find.act = come_back
        assert find(TimeoutLeafError()) == WORDS
        assert inner == [{"Connect"}]

    def test_an_error_inside_gives_the_lock_back(self) -> None:
        """The next one finds it free, and is remembered."""
        find = HeldFinder(WORDS)

        def interrupt() -> None:
            raise KeyboardInterrupt

        find.act = interrupt
        with pytest.raises(KeyboardInterrupt):
            find(TimeoutLeafError())
        find.act = lambda: None
        assert find(TimeoutLeafError()) == WORDS
        find.act = interrupt
        assert find(TimeoutLeafError()) == WORDS

    @pytest.mark.usefixtures("fast_switching")
    def test_many_threads_find_the_same(self) -> None:
        """Of more classes than are remembered, each thread finds all words, and the bound holds."""
        find = CountingFinder(WORDS, maxsize=8)
        errors = [shaped(f"Timeout{number}") for number in range(32)]
        barrier = threading.Barrier(8)

        def look() -> bool:
            barrier.wait(PATIENCE)
            return all(find(error) == {"Timeout"} for _ in range(100) for error in errors)

        with ThreadPoolExecutor(8) as pool:
            looks_of_each = [pool.submit(look) for _ in range(8)]
            assert all(each.result(PATIENCE) for each in looks_of_each)
        looks = find.looks
        for error in errors[-8:] * 2:
            find(error)
        assert find.looks <= looks + 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_a_child_remembers_anew() -> None:
    """A fork while another thread is inside leaves the child a lock that is free, and an empty memory."""
    find = CountingFinder(WORDS)
    find(TimeoutLeafError())
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with find._lock:
            held.set()
            assert leave.wait(PATIENCE)

    def in_the_child() -> list[int]:
        looks = []
        for _ in range(2):
            assert find(TimeoutLeafError()) == WORDS
            looks.append(find.looks)
        return looks

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(PATIENCE)
    try:
        assert in_child(in_the_child) == [2, 2]
    finally:
        leave.set()
        thread.join(PATIENCE)
