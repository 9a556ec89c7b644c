"""Keeping what a process knows of shared cooldowns fresh, with few questions."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack

from fallback_exec import _checks, _clock, _forks
from fallback_exec.cooldown.eras import Memory
from fallback_exec.cooldown.exchange import AwayError, Exchange
from fallback_exec.cooldown.sharing import LONG_AGO, SharedMemory
from fallback_exec.cooldown.turns import Turn

#: Up to how many providers a refresh asks for all that are known, so that one that is seldom called is fresh
#: when it is. Of more, for those alone that somebody has asked for since the last one.
ALL = 128


class Following:
    """Refreshes memories before they are trusted: at most one refresh an interval, done by one caller.

    While one caller asks, those whose knowledge has just become stale go on with it; those who know nothing,
    or nothing recent, wait, for as long as the store's `timeout` at most.

    Safe for concurrent use.
    """

    def __init__(self, exchange: Exchange, known: dict[str, Memory]) -> None:
        self._exchange = exchange
        self._known = known
        store = exchange.store
        interval = _checks.positive_seconds("shared.refresh_interval", store.refresh_interval)
        self._interval = dt.timedelta(seconds=interval)
        self._patience = _checks.positive_seconds("shared.timeout", store.timeout)
        # Of the caller who refreshes.
        self._turn = Turn()
        _forks.renew_after_fork(self)

    def refresh(self, memory: SharedMemory, at: dt.datetime) -> None:
        """Have what is known of the provider be fresh at that time, if the store answers."""
        if self._exchange.is_shut():
            return
        if memory.is_ahead():
            if not memory.is_probing_alone() and not (memory.is_unusable and memory.is_fresh(at)):
                with memory.asking.taken(self._patience) as is_mine:
                    if is_mine and memory.is_ahead():
                        self._ask_for([memory])
        elif memory.read_at is LONG_AGO:
            with memory.asking.taken(self._patience) as is_mine:
                if is_mine and memory.read_at is LONG_AGO:
                    self._ask_for([memory])
        else:
            is_recent = memory.is_fresh(at - self._interval)
            with self._turn.taken(0.0 if is_recent else self._patience) as is_mine:
                if is_mine and not memory.is_fresh(at):
                    self._ask_for(self._wanted(memory))

    def _wanted(self, memory: SharedMemory) -> list[SharedMemory]:
        """Return whom to ask for beside the one that is stale."""
        known = [each for each in self._known.copy().values() if isinstance(each, SharedMemory)]
        are_few = len(known) <= ALL
        wanted = [each for each in known if are_few or each.is_wanted or each is memory]
        for each in wanted:
            each.is_wanted = False
        return wanted

    def _ask_for(self, memories: list[SharedMemory]) -> None:
        """Ask for all of them in one round trip; who is asking for one of them already is left to it."""
        with ExitStack() as held:
            asked = []
            for memory in memories:
                if held.enter_context(memory.asking.taken()):
                    asked.append(memory)
            at = _clock.now()
            questions = [(memory, *memory.question()) for memory in asked]
            try:
                replies = self._exchange.apply_all(
                    [(memory.provider, operation) for memory, operation, _ in questions]
                )
            except AwayError as away:
                if not away.is_doubtful:
                    for memory, operation, _ in questions:
                        memory.not_asked(operation)
                return
            for (memory, operation, take), reply in zip(questions, replies, strict=True):
                memory.read_at, memory.stale_at = at, at + self._interval
                memory.is_unusable = reply is None
                if reply is None:
                    memory.not_asked(operation)
                else:
                    take(reply)

    def _renew_after_fork(self) -> None:
        self._turn = Turn()
