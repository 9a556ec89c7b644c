"""Values of labels that come from outside: bounded in number and length, and safe to show."""

from __future__ import annotations

import threading

from fallback_exec import _forks
from fallback_exec._text import name_text

#: How many names have series of their own. A provider has some 35 series in 10 KB of memory for each
#: executor, the histogram's for the most part: 3,500 series and 1 MB for all of them. No chain is as long.
MAX_NAMES = 100

#: The longest value, in characters. Names of vendors, models and regions in one are shorter.
MAX_LENGTH = 100

#: The value that stands for all names beyond `MAX_NAMES`.
OTHER = "other"


class LabelValues:
    """Which value stands for which name. The first `MAX_NAMES` names have their own, for as long as it lives.

    Safe for concurrent use; looking takes no lock.
    """

    def __init__(self) -> None:
        # Read without a lock. Written under `_lock`: of two threads that want the last place, one has it.
        self._known: dict[str, str] = {}
        self._lock = threading.RLock()
        _forks.renew_after_fork(self)

    def __getitem__(self, name: str) -> str:
        value = self._known.get(name)
        return self._meet(name) if value is None else value

    def _meet(self, name: str) -> str:
        if len(self._known) < MAX_NAMES:
            # Cut when it is masked: half of a credential would not be known as one.
            value = name_text(name)
            if len(value) > MAX_LENGTH:
                value = value[: MAX_LENGTH - 1] + "…"
            with self._lock:
                if len(self._known) < MAX_NAMES:
                    self._known.setdefault(name, value)
        # Also where there is no place left: another thread may have given it the last one meanwhile.
        return self._known.get(name, OTHER)

    def _renew_after_fork(self) -> None:
        self._lock = threading.RLock()
