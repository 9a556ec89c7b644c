"""Renewal of locks in a forked child.

A child inherits every lock as it was at the fork, also those that a thread of the parent held; that
thread does not exist in the child, so nobody would ever release them.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class HasLocks(Protocol):
    """Anything that must be renewed in a child."""

    def _renew_after_fork(self) -> None: ...


# By identity: owners may be of a user's class that compares by value.
_owners: weakref.WeakValueDictionary[int, HasLocks] = weakref.WeakValueDictionary()


def renew_after_fork(owner: HasLocks) -> None:
    """Have `owner._renew_after_fork()` called in every child that is forked while `owner` lives."""
    _owners[id(owner)] = owner


def _renew_all() -> None:
    # Not values(): a finalizer that builds an owner meanwhile would end its iteration.
    for reference in _owners.valuerefs():
        owner = reference()
        if owner is not None:
            owner._renew_after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not where the platform does not fork
    os.register_at_fork(after_in_child=_renew_all)
