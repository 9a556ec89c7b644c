"""Whose turn it is: one thread's at a time, and nobody's whose hold is gone."""

from __future__ import annotations

import threading

from fallback_exec.cooldown.turns import Turn
from helpers import PATIENCE, in_thread


def is_free(turn: Turn, patience: float = 0.0) -> bool:
    """Return whether another thread may take it."""

    def take() -> bool:
        with turn.taken(patience) as is_mine:
            return is_mine

    return in_thread(take)


class TestTurn:
    def test_is_one_thread_s(self) -> None:
        """Until it is over, also where others would wait for a while."""
        turn = Turn()
        with turn.taken() as is_mine:
            assert is_mine
            assert not is_free(turn)
            assert not is_free(turn, 0.001)
        assert is_free(turn)

    def test_is_taken_again_on_top(self) -> None:
        """By what runs within it, which does not end it."""
        turn = Turn()
        with turn.taken():
            with turn.taken() as is_mine:
                assert is_mine
            assert not is_free(turn)
        assert is_free(turn)

    def test_is_waited_for(self) -> None:
        """Who waits has it when it is over."""
        turn = Turn()
        is_waiting = threading.Event()
        had: list[bool] = []

        def wait() -> None:
            is_waiting.set()
            with turn.taken(PATIENCE) as is_mine:
                had.append(is_mine)

        waiting = threading.Thread(target=wait)
        with turn.taken():
            waiting.start()
            assert is_waiting.wait(PATIENCE)
        waiting.join(PATIENCE)
        assert had == [True]

    def test_is_nobody_s_whose_hold_is_gone(self) -> None:
        """As that of one who was interrupted before it could be given back."""
        turn = Turn()
        hold, _ = turn._take()
        assert not is_free(turn)
        del hold
        assert is_free(turn)

    def test_ends_with_an_error(self) -> None:
        """Also while somebody keeps that, and so its frames."""
        turn = Turn()
        try:
            with turn.taken():
                raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            kept = error
        assert is_free(turn)
        assert kept.__traceback__ is not None
