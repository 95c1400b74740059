"""``writer="inline"``: the stepping process drains the journal between two steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gym_h5record.errors import RecordingClosedError, RecordingError
from gym_h5record.storage.compaction import compact
from gym_h5record.storage.hdf5.thread_lock import HDF5_LOCK
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.drains import AnyDrain
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.recovery import finish, open_drain
from gym_h5record.writing.write_failures import WRITE_ERRORS, describe_error, writer_error

__all__ = ["InlineWorker"]


class InlineWorker:
    """A ``Worker`` that drains when ``watch``, ``flush`` or ``urge`` is called.

    Args:
        path: The recording.
        flush_interval_s: How often ``watch`` wants to be called.
    """

    def __init__(self, path: Path, flush_interval_s: float) -> None:
        self.watch_interval_s = flush_interval_s
        self._path = path
        self._journal: Journal | None = None  # None before ``attach`` and after ``finish``
        self._drain: AnyDrain | None = None
        self._file: RecordingFile | None = None

    def start(self) -> None:
        """See ``Worker``."""

    def attach(self, journal: Journal) -> None:
        """See ``Worker``."""
        self._journal = journal
        if self._drain is not None:
            self._drain.journal = journal

    def watch(self) -> None:
        """See ``Worker``."""
        if self._journal is not None and self._journal.is_laid_out:
            self.flush()

    def flush(self) -> None:
        """See ``Worker``."""
        with HDF5_LOCK:
            journal = self._journal
            if journal is None:  # another thread has called ``finish``: opening the file again would make a new one
                raise RecordingClosedError(f"{self._path} has been closed: nothing is recorded any more.")
            with self._letting_go_on_failure():
                self._opened(journal)[0].run()

    def urge(self) -> None:
        """See ``Worker``."""
        self.flush()

    def finish(self) -> None:
        """See ``Worker``."""
        # The main thread at the end of the program, or a signal handler, may call it while another thread is in it.
        with HDF5_LOCK, signals_held():
            journal = self._journal
            if journal is None:
                return
            is_laid_out = journal.is_laid_out
            if is_laid_out:
                with self._letting_go_on_failure():
                    finish(*self._opened(journal))
            self._journal = None
            try:
                journal.path.unlink()
            except OSError as error:  # for example, the directory has been removed
                raise writer_error(self._path, describe_error(error)) from error
            if is_laid_out:
                compact(self._path)

    def cancel(self) -> None:
        """See ``Worker``."""

    def abandon(self) -> None:
        """See ``Worker``."""
        if self._file is not None:
            self._file.discard()  # else HDF5 closes the file after the interpreter has ended, and crashes

    def _opened(self, journal: Journal) -> tuple[AnyDrain, RecordingFile]:
        if self._drain is None or self._file is None:
            self._drain, self._file = open_drain(self._path, journal)
        return self._drain, self._file

    @contextmanager
    def _letting_go_on_failure(self) -> Iterator[None]:
        with HDF5_LOCK, signals_held():  # one drain at a time, and no fork during a drain
            try:
                yield
            except BaseException as error:
                # HDF5's objects in memory may be half changed. The next drain opens the file as recovery does.
                if self._file is not None:
                    self._file.discard()
                self._drain = self._file = None
                if isinstance(error, (*WRITE_ERRORS, RecordingError)):
                    raise writer_error(self._path, describe_error(error)) from error
                raise
