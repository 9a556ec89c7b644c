"""Asking a store that may be away, without being held up by it more than once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from fallback_exec import _forks, _log
from fallback_exec._clock import Countdown
from fallback_exec._text import Redact, class_name
from fallback_exec.cooldown.operations import CLOSED, HALF_OPEN, OPEN, Operation, Read, Record, Reply
from fallback_exec.cooldown.store import CooldownStore, NotAppliedError, RecordUnusableError

#: For how many seconds nobody asks after a store has failed once. As short as a restart takes.
FIRST_PAUSE = 0.5

#: For how many seconds at most, after each further failure has doubled the pause. One caller in fifteen
#: seconds bears the store's time limit, then.
LONGEST_PAUSE = 15.0

# No number of a record is as large, by far: of microseconds, some three thousand years.
_TOO_LARGE = 10**17


class AwayError(Exception):
    """The store was not asked, or has not answered.

    Attributes:
        is_doubtful: Whether it may have carried out the operation all the same.
    """

    def __init__(self, *, is_doubtful: bool) -> None:
        super().__init__("the store of cooldowns is away")
        self.is_doubtful = is_doubtful


class Gate:
    """Whether the store may be asked now: after a failure by nobody for a while, then by one caller.

    Safe for concurrent use; looking takes no lock.
    """

    def __init__(self) -> None:
        # Both are written under `_lock`. While there is a pause, the store is away.
        self._pause: Countdown | None = None
        self._seconds = 0.0
        self._lock = threading.RLock()

    def is_shut(self) -> bool:
        """Return whether a pause runs."""
        pause = self._pause
        return pause is not None and pause.remaining() > 0

    def enter(self) -> Countdown | None:
        """Return the pause that this caller is to end, None where there is none.

        Raises:
            AwayError: a pause runs, or somebody else was first to try after it.
        """
        pause = self._pause
        if pause is None:
            return None
        with self._lock:
            if self._pause is not pause or pause.remaining():
                raise AwayError(is_doubtful=False)
            # The others stay out meanwhile. One who is interrupted leaves the next try to somebody else.
            self._pause = Countdown(self._seconds)
            return self._pause

    def answered(self, entered: Countdown | None) -> bool:
        """Take an answer. Returns True when the store was away until now."""
        if entered is None:
            return False
        with self._lock:
            is_back = self._pause is entered
            if is_back:
                self._pause, self._seconds = None, 0.0
            return is_back

    def failed(self, entered: Countdown | None) -> bool:
        """Take a failure. Returns True when the store was not away until now."""
        with self._lock:
            if self._pause is not entered:
                return False  # of many that were under way, one begins the pause
            self._seconds = min(LONGEST_PAUSE, 2 * self._seconds) or FIRST_PAUSE
            self._pause = Countdown(self._seconds)
            return entered is None


class Exchange:
    """Passes operations to the store, and says in one line of log that it went away, or came back.

    Safe for concurrent use; the store is asked under no lock.
    """

    def __init__(self, store: CooldownStore, redact: Redact) -> None:
        self.store = store
        self._log = _log.Log(_log.default_logger, redact)
        self._gate = Gate()
        # What was said last; whether an answer that had written nothing said so; and whether a write was
        # refused after that: of a full server, which answers those who look, it is not said again and again.
        # Written under `_lock`.
        self._is_away = self._has_only_looked = self._takes_no_writes = False
        # Whose record was found to be unusable, so that it is said once. Guarded by `_lock`.
        self._unusable: set[str] = set()
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    def is_shut(self) -> bool:
        """Return whether it is of no use to ask now."""
        return self._gate.is_shut()

    def apply(self, name: str, operation: Operation) -> Reply:
        """Carry out one operation.

        Raises:
            AwayError: the store was not asked, or has not answered.
        """
        try:
            (reply,) = self._pass([operation], lambda: [_checked(self.store.apply(name, operation))])
        except RecordUnusableError as error:
            self._note_unusable(name, error)
            raise AwayError(is_doubtful=False) from None
        self._note_usable(name)
        assert isinstance(reply, Reply)  # noqa: S101  # for the type checker
        return reply

    def apply_all(self, operations: Sequence[tuple[str, Operation]]) -> list[Reply | None]:
        """Carry out several operations. Returns their replies, None for a record that is unusable.

        Raises:
            AwayError: the store was not asked, or has not answered.
        """
        answers = self._pass(
            [operation for _, operation in operations],
            lambda: _all_checked(self.store.apply_all(operations), len(operations)),
        )
        replies: list[Reply | None] = []
        for (name, _), answer in zip(operations, answers, strict=True):
            if isinstance(answer, Reply):
                self._note_usable(name)
                replies.append(answer)
            else:
                self._note_unusable(name, answer)
                replies.append(None)
        return replies

    def _pass(
        self, operations: Sequence[Operation], ask: Callable[[], list[Reply | NotAppliedError]]
    ) -> list[Reply | NotAppliedError]:
        entered = self._gate.enter()
        try:
            answers = ask()
        except RecordUnusableError:
            self._welcome(entered, has_written=False)
            raise
        except Exception as error:
            is_refused = isinstance(error, NotAppliedError)
            if self._gate.failed(entered):
                looks = all(isinstance(operation, Read) for operation in operations)
                self._say_away(error, is_refused_write=is_refused and not looks)
            raise AwayError(is_doubtful=not is_refused) from None
        self._welcome(entered, has_written=any(map(_has_written, answers)))
        return answers

    def _say_away(self, error: Exception, *, is_refused_write: bool) -> None:
        with self._lock:
            is_news = not self._is_away
            self._is_away = True
            self._takes_no_writes = self._takes_no_writes or (is_refused_write and self._has_only_looked)
        if is_news:
            self._log.emit(_log.STORE_AWAY, error)

    def _welcome(self, entered: Countdown | None, *, has_written: bool) -> None:
        self._gate.answered(entered)
        if not self._is_away and not (has_written and self._has_only_looked):
            return
        with self._lock:
            is_news = self._is_away and (has_written or not self._takes_no_writes)
            if is_news or has_written:
                self._is_away = self._takes_no_writes = False
                self._has_only_looked = not has_written
        if is_news:
            self._log.emit(_log.STORE_BACK)

    def _note_unusable(self, name: str, error: Exception) -> None:
        with self._lock:
            is_new = name not in self._unusable
            self._unusable.add(name)
        if is_new:
            self._log.emit(_log.RECORD_UNUSABLE, name, error)

    def _note_usable(self, name: str) -> None:
        if name in self._unusable:
            with self._lock:
                self._unusable.discard(name)

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()
        self._gate = Gate()


def _has_written(answer: Reply | NotAppliedError) -> bool:
    """Return whether the operation has written: a version is then at least as high as the time."""
    return isinstance(answer, Reply) and answer.record is not None and answer.record.version >= answer.now


def _checked(answer: object) -> Reply:
    """Return a store's answer, which is the user's word, if it is a reply.

    What is none is as good as no answer, and raised where the store's own errors are.
    """
    if isinstance(answer, Reply) and type(answer.now) is int and _is_sound(answer.record):
        return answer
    raise TypeError(f"the store has answered with a {class_name(answer)} that is no reply")


def _all_checked(answers: Iterable[object], count: int) -> list[Reply | NotAppliedError]:
    checked: list[Reply | NotAppliedError] = [
        each if isinstance(each, NotAppliedError) else _checked(each) for each in answers
    ]
    if len(checked) != count:
        raise TypeError(f"the store has given {len(checked)} answers to {count} questions")
    return checked


def _is_sound(record: object) -> bool:
    if record is None:
        return True
    if not isinstance(record, Record) or record.state not in (CLOSED, OPEN, HALF_OPEN):
        return False
    numbers = (record.failures, record.reopenings, record.until, record.era, record.version, record.lease)
    return all(type(each) is int and abs(each) < _TOO_LARGE for each in numbers)
