"""The names of classes, and the telling words in them."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from cachetools import LRUCache

from fallback_exec import _forks


def mro_of(value: object) -> tuple[type, ...]:
    """Return the class of an object and its bases, most derived first, whatever they say of themselves."""
    mro: tuple[type, ...] = type.__dict__["__mro__"].__get__(type(value))
    return mro


class WordFinder:
    """Finds which of some words the names of an object's class and of its bases contain.

    Safe for concurrent use, also from a finalizer or a signal handler that comes while it is in use, and in
    a forked child. It remembers the classes that it met last, at most `maxsize`, and keeps them alive.
    """

    def __init__(self, words: Iterable[str], maxsize: int = 1024) -> None:
        self._words = frozenset(words)
        self._maxsize = maxsize
        self._renew_after_fork()
        _forks.renew_after_fork(self)

    def __call__(self, value: object) -> frozenset[str]:
        """Return the words."""
        lock = self._lock
        # Nobody waits: to look at the names again takes no longer, and who holds the lock may be further up
        # on the stack of this very thread.
        if not lock.acquire(blocking=False):
            return self._words_in(value)
        try:
            # By identity, so that no `__hash__` or `__eq__` of a user's runs under the lock. The class stands
            # beside its words: while it is remembered, no other can have its identity.
            _, words = self._known.get(id(type(value)), (None, None))
            if words is None:
                words = self._words_in(value)
                self._known[id(type(value))] = (type(value), words)
            return words
        finally:
            lock.release()

    def _words_in(self, value: object) -> frozenset[str]:
        names = [type.__dict__["__name__"].__get__(each) for each in mro_of(value)]
        # As str has it: a class may be named by a string of a class of its own.
        return frozenset(word for word in self._words if any(str.__contains__(name, word) for name in names))

    def _renew_after_fork(self) -> None:
        # A thread of the parent may have been about to write: what is known is renewed with its lock.
        self._lock = threading.Lock()
        # Guarded by `_lock`: even a look at an LRUCache moves its entries about.
        self._known: LRUCache[int, tuple[type, frozenset[str]]] = LRUCache(self._maxsize)
