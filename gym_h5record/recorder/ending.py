"""How recording ends: what the recorders of single environments and of lanes do in the same way.

``EndingStream`` completes or leaves a session, ``EndingRecorder`` does so for the wrapper. What is recorded before
that is told by their subclasses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar
from weakref import finalize

from gym_h5record.notices import OnceWarner, warn
from gym_h5record.recorder.living import close_when_dropped
from gym_h5record.recorder.on_error import ErrorPolicy
from gym_h5record.writing.lane_row_writer import LaneRowWriter
from gym_h5record.writing.row_writer import RowWriter
from gym_h5record.writing.session import Session

__all__ = ["EndingRecorder", "EndingStream"]

RowsT = TypeVar("RowsT", RowWriter, LaneRowWriter)
StreamT = TypeVar("StreamT", bound="EndingStream[Any]")


class EndingStream(ABC, Generic[RowsT]):
    """Rows on their way into a session. The first ones wait in the subclass until the columns are fixed.

    Args:
        session: The recording.

    Attributes:
        session: The recording.
        rows: Takes rows. None before the columns are fixed, and after ``release``.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rows: RowsT | None = None

    @abstractmethod
    def record_waiting(self) -> None:
        """Record what still waits for the first step."""

    @abstractmethod
    def drop_waiting(self) -> None:
        """Drop what still waits for the first step."""

    def close(self) -> None:
        """Record what still waits, and complete the file. May be called again."""
        try:
            if self.session.is_open:
                self.record_waiting()
        finally:
            self.session.begin_closing()
            self.release()
            self.session.close()

    def abandon(self) -> None:
        """Drop the session without touching its files: a forked child shares them with its parent."""
        self.session.abandon()
        self.release()

    def release(self) -> None:
        """Drop the writer of rows. A thread that still records gets ``RecordingClosedError``."""
        if self.rows is not None:
            self.rows.release()
        self.rows = None
        self.drop_waiting()


class EndingRecorder(ABC, Generic[StreamT]):
    """Decides what goes into a stream, and closes or leaves it.

    Args:
        stream: Where the steps go.
        on_error: The option of the recorder.

    Attributes:
        stream: Where the steps go; None once the recording is closed.
        errors: What to do when the writer has failed.
        extras: What the agent has added to the coming step, or None.
        notices: Warns of each thing once.
    """

    def __init__(self, stream: StreamT, on_error: str) -> None:
        self.stream: StreamT | None = stream
        self.errors = ErrorPolicy(on_error, self.close)
        self.extras: dict[str, Any] | None = None
        self.notices = OnceWarner()
        self._why_ended = "the recorder has been closed"  # said where ``stream`` is None
        self._finalizer: finalize[Any, Any] | None = None

    @abstractmethod
    def ask_keep_at_end(self) -> None:
        """Ask ``keep`` about the running episodes before the file is completed."""

    @abstractmethod
    def forget_rows(self) -> None:
        """Let go of the writer of rows."""

    def close_with(self, owner: object) -> None:
        """Complete the file when ``owner`` is dropped without ``close``."""
        if self.stream is not None:
            self._finalizer = close_when_dropped(owner, self, self.stream)

    @property
    def open_stream(self) -> StreamT | None:
        """The stream; None once the recording is closed, in this thread or in another one."""
        return None if self.stream is None or self.stream.session.is_closing else self.stream

    def drop_extras(self) -> None:
        """Before a reset: the step that the last extras belong to will not come."""
        if self.extras is not None:
            self.extras = None
            warn("reset() came before the step that the last extras belong to: they are not recorded.")

    def warn_of_end(self) -> None:
        """Warn that an episode begins which is not recorded, unless the warning of ``on_error`` has said it."""
        if not self.errors.has_given_up:
            self.notices.warn(f"{self._why_ended}: the episodes from here on are not recorded.")

    def close(self) -> None:
        """Ask ``keep`` about the running episodes, and complete the file. May be called again."""
        stream = self.stream
        if stream is None:
            return
        try:
            if not stream.session.is_closing:
                self.ask_keep_at_end()
        finally:
            self.forget_rows()
            try:
                stream.close()
            finally:
                if stream.session.is_closed:  # else it was interrupted: the next ``close``, or the finalizer, goes on
                    self._let_go()

    def abandon(self) -> None:
        """Stop recording without touching the file: called in a forked child, which shares it."""
        stream = self.stream
        self.forget_rows()
        self._why_ended = "this process is a forked child of the one that records"
        if stream is not None:
            self._let_go()
            stream.abandon()

    def _let_go(self) -> None:
        self.stream = None
        if self._finalizer is not None:
            self._finalizer.detach()
