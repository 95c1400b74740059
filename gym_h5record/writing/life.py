"""How far a recording has come, from new to closed: the only place that says whether it is closed.

At the end of a program its main thread closes what another thread may still be recording; after an interrupt ``close``
is called again. So there is a state between open and closed, and a lock around every change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from gym_h5record.errors import RecordingClosedError

__all__ = ["RecordingLife"]


class _State(Enum):
    NEW = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


class RecordingLife:
    """The state of one recording that is being made.

    Args:
        path: The recording, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = _State.NEW
        self._changing = threading.RLock()

    @property
    def is_open(self) -> bool:
        """Whether rows are accepted."""
        return self._state is _State.OPEN

    @property
    def is_closing(self) -> bool:
        """Whether closing has begun, whether it is done or not."""
        return self._state in (_State.CLOSING, _State.CLOSED)

    @property
    def is_closed(self) -> bool:
        """Whether closing is done."""
        return self._state is _State.CLOSED

    def check_not_closing(self) -> None:
        """Check that the recording goes on.

        Raises:
            RecordingClosedError: If closing has begun.
        """
        if self.is_closing:
            raise RecordingClosedError(f"{self._path} has been closed: nothing is recorded any more.")

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Run the block while no other thread can begin to close the recording.

        Raises:
            RecordingClosedError: If closing has begun before.
        """
        with self._changing:
            self.check_not_closing()
            yield

    def begin(self) -> None:
        """From new to open.

        Raises:
            RecordingClosedError: If closing has begun.
        """
        with self.kept_open():
            self._state = _State.OPEN

    def take_back(self) -> None:
        """From open to new, when opening has failed half way."""
        with self._changing:
            if self.is_open:
                self._state = _State.NEW

    def begin_closing(self) -> None:
        """From here on no row is accepted. Waits until no other thread is in ``kept_open``."""
        with self._changing:
            if not self.is_closing:
                self._state = _State.CLOSING if self.is_open else _State.CLOSED

    def end(self) -> None:
        """To closed."""
        self._state = _State.CLOSED

    def end_in_child(self) -> None:
        """To closed, in a forked child: a thread of the parent may have held the lock for ever."""
        self._changing = threading.RLock()
        self._state = _State.CLOSED
