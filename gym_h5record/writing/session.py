"""One recording being made: its lock, its journal, and the worker that drains the journal.

A session serves all lanes of a recording. ``open`` takes the path and starts the worker, ``reserve`` makes the journal,
``lay_out`` fixes the columns, ``close`` completes the file. The session turns every failure of the writer into a
``WriterError`` in the stepping process, with the cause and the path.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum

from gym_h5record.errors import RecordingClosedError, RecordingPathError, WriterError
from gym_h5record.format.schema import Schema
from gym_h5record.format.schema_json import schema_to_json
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import journal_path, spare_path
from gym_h5record.writing.claim import acquire_lock, claim_path, hire_worker
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import Control
from gym_h5record.writing.left_journal import boot_id
from gym_h5record.writing.options import Existing, Options
from gym_h5record.writing.worker import Worker

__all__ = ["Session"]

_POPULATE_INTERVAL_S = 0.002


class _Life(Enum):
    """How far a recording has come. This is the only place that says whether it is closed."""

    NEW = 0
    OPEN = 1
    CLOSING = 2  # ``close`` has begun; after an interrupt another call goes on
    CLOSED = 3


class Session:
    """One recording being made. Making the object touches no file.

    Args:
        options: How to record.

    Attributes:
        existing: The recording that is appended to, or None.
        journal: The journal, once it is reserved; a larger one may replace it.
        due_s: When to call ``tick`` next, on the monotonic clock.
    """

    journal: Journal
    _lock: RecordingLock
    _worker: Worker

    def __init__(self, options: Options) -> None:
        self.options = options
        self.existing: Existing | None = None
        self.due_s = 0.0
        self._life = _Life.NEW
        self._changing_life = threading.RLock()
        self._watch_due_s = 0.0
        self._error: WriterError | None = None

    # From new to open -----------------------------------------------------------------------------

    def open(self, check: Callable[[Existing], None] | None = None) -> None:
        """Take the path and start the worker; does nothing if that is done. The journal is not there yet.

        Args:
            check: Called with the recording that is appended to; raises if it must not be.

        Raises:
            RecordingClosedError: If ``close`` has been called, perhaps meanwhile by another thread.
            RecordingExistsError: If the file is there and the mode is ``"x"``.
            RecordingInUseError: If another recorder holds the path.
            RecordingPathError: If no file can be made at the path.
            WriterError: If the writer process cannot be started.
        """
        self.check_not_closing()
        if self._life is not _Life.NEW:
            return
        try:
            with signals_held():  # an interrupt between taking the lock and keeping it would leave it locked
                self._lock = acquire_lock(self.options)
            self._worker = hire_worker(self.options, self._lock)
            self.existing = claim_path(self.options)
            if self.existing is not None and check is not None:
                check(self.existing)
            self._worker.start()
            with self._changing_life:
                self.check_not_closing()
                self._life = _Life.OPEN
        except BaseException:
            self._give_up()
            raise

    def reserve(self, row_bytes: int, header_bytes: int) -> None:
        """Make the journal; does nothing if that is done.

        Args:
            row_bytes: What a row takes, about.
            header_bytes: What the header takes, at most.

        Raises:
            RecordingPathError: If the journal cannot be made.
        """
        if self.has_journal:
            return
        try:
            with signals_held():
                self.journal = self._reserved(row_bytes, header_bytes)
            self._worker.attach(self.journal)
        except BaseException:
            self._give_up()
            raise

    def lay_out(self, schema: Schema, fps: float, metadata: Mapping[str, str]) -> None:
        """Fix the columns; from here on rows can be written and are never lost.

        Args:
            schema: The columns; ignored in favour of the file's when appending.
            fps: Frames per second, NaN if unknown.
            metadata: Text attributes of a new file.
        """
        schema = schema if self.existing is None else self.existing.schema
        header = {
            "journal_id": str(uuid.uuid4()),
            "creates": self.existing is None,
            "replaces": self.options.mode == "w",
            "schema": schema_to_json(schema),
            "codec": [self.options.codec.name, self.options.codec.opts],
            "fps": fps,
            "metadata": dict(metadata),
            "flush_interval_s": self.options.flush_interval_s,
            "durability": self.options.durability,
            "checksum": self.options.checksum,
            "boot_id": boot_id(),
        }
        first_row = 0 if self.existing is None else self.existing.rows
        num_codes = len(schema.coded)
        row_bytes = num_codes + sum(field.item_bytes for field in schema.ring_fields)
        while not self.journal.lay_out(header, schema.ring_fields, num_codes, first_row):
            row_bytes *= 2  # the first values were larger than those of the reset
            self._replace_journal(self._reserved(row_bytes, 2 * len(json.dumps(header)), spare=True))
        self._watch_due_s = time.monotonic() + self._worker.watch_interval_s
        self.due_s = min(self._watch_due_s, time.monotonic() + _POPULATE_INTERVAL_S)

    @property
    def has_journal(self) -> bool:
        """Whether the journal has been reserved."""
        return "journal" in self.__dict__

    def _give_up(self) -> None:
        """Undo what a failed opening has done so far; another ``open`` begins anew."""
        journal, worker, lock = (self.__dict__.pop(name, None) for name in ("journal", "_worker", "_lock"))
        if worker is not None:
            worker.cancel()
        if journal is not None:
            journal.path.unlink(missing_ok=True)
        if lock is not None:
            lock.release()
        if self._life is _Life.OPEN:
            self._life = _Life.NEW

    # While recording ------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due: notice a failed writer, drain if the worker is inline, populate the journal.

        Raises:
            WriterError: If the writer has failed.
        """
        self.check_not_closing()
        if not self.has_journal:
            return
        now_s = time.monotonic()
        with self._remembering_failure():
            if now_s >= self._watch_due_s:
                self._worker.watch()
                self._watch_due_s = time.monotonic() + self._worker.watch_interval_s
        is_populated = self.journal.populate()
        self.due_s = self._watch_due_s if is_populated else min(self._watch_due_s, now_s + _POPULATE_INTERVAL_S)

    def make_room(self) -> int:
        """Wait until the ring has room for a row.

        Returns:
            The number of the first row there is no room for.
        """
        control, usable_rows = self.journal.control, self.journal.usable_rows
        with self._remembering_failure():
            while control[Control.HEAD] - control[Control.TAIL] >= usable_rows:
                self._worker.urge()
        return control[Control.TAIL] + usable_rows

    def make_blob_room(self, num_bytes: int) -> int:
        """Wait until there is room for segments, or replace the journal by a larger one.

        Returns:
            The first position of the blob there is no room for.
        """
        if num_bytes > self._blob_room():
            self.flush()
        if num_bytes > self._blob_room():
            self._grow(2 * (num_bytes + self.journal.blob_bytes))
        return self.journal.control[Control.BLOB_TAIL] + self.journal.blob_bytes

    def flush(self) -> None:
        """Return once everything so far is committed in the HDF5 file.

        Raises:
            WriterError: If the writer has failed.
        """
        self.check_not_closing()
        if self.has_journal:
            with self._remembering_failure():
                self._worker.flush()

    # From open to closed --------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether ``open`` has done its work and ``close`` has not been called."""
        return self._life is _Life.OPEN

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` has done its work."""
        return self._life is _Life.CLOSED

    @property
    def is_closing(self) -> bool:
        """Whether ``close`` has been called, whether it is done or not."""
        return self._life in (_Life.CLOSING, _Life.CLOSED)

    def check_not_closing(self) -> None:
        """Check that the recording goes on.

        At the end of a program its main thread closes what another thread may still be recording.

        Raises:
            RecordingClosedError: If ``close`` has been called.
        """
        if self.is_closing:
            raise RecordingClosedError(f"{self.options.path} has been closed: nothing is recorded any more.")

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Run the block while no other thread can begin to close the recording.

        Raises:
            RecordingClosedError: If ``close`` has been called before.
        """
        with self._changing_life:
            self.check_not_closing()
            yield

    def begin_closing(self) -> None:
        """From here on no row is accepted. Waits for a ``kept_open`` of another thread."""
        with self._changing_life:
            if not self.is_closing:
                self._life = _Life.CLOSED if self._life is _Life.NEW else _Life.CLOSING

    def close(self) -> None:
        """Commit everything, close the file, leave nothing beside it. May be called again.

        After an interrupt the recording is still ours, and the next call goes on from there.

        Raises:
            WriterError: If the writer failed and has not said so before. If it
                was killed, everything it left has been brought into the file.
        """
        self.begin_closing()
        if self.is_closed:
            return
        reported = self._error is not None
        try:
            if not (reported and self.options.in_process):
                self._worker.finish()
        except WriterError:
            self._release()
            if not reported:
                raise
        else:
            self._release()

    def abandon(self) -> None:
        """Let go of everything without touching it: called in a forked child."""
        self._changing_life = threading.RLock()  # a thread of the parent may hold the other one
        was, self._life = self._life, _Life.CLOSED
        if was in (_Life.OPEN, _Life.CLOSING):
            self._lock.forget()
            self._worker.abandon()

    def _release(self) -> None:
        self._life = _Life.CLOSED
        self._lock.release()

    @contextmanager
    def _remembering_failure(self) -> Iterator[None]:
        """A writer that has failed once has failed for good."""
        if self._error is not None:
            raise self._error
        try:
            yield
        except WriterError as error:
            self._error = error
            raise

    # The journal ----------------------------------------------------------------------------------

    def _reserved(
        self, row_bytes: int, header_bytes: int, *, blob_bytes: int = 0, num_rows: int = 0, spare: bool = False
    ) -> Journal:
        path = (spare_path if spare else journal_path)(self.options.path)
        try:
            if spare:
                path.unlink(missing_ok=True)  # of a recorder that died while making it
            return Journal.reserve(path, row_bytes, header_bytes, blob_bytes=blob_bytes, num_rows=num_rows)
        except OSError as error:
            raise RecordingPathError(f"cannot make the journal {path}: {error.strerror}") from error

    def _blob_room(self) -> int:
        journal = self.journal
        return journal.blob_bytes - (journal.blob_head - journal.control[Control.BLOB_TAIL])

    def _grow(self, blob_bytes: int) -> None:
        """Replace the journal, all of it committed, by one with a larger ring of segments."""
        old = self.journal
        row_bytes = sum(column[0].nbytes for column in old.columns.values())
        header_bytes = 2 * len(json.dumps(old.header))
        new = self._reserved(row_bytes, header_bytes, blob_bytes=blob_bytes, num_rows=old.capacity_rows, spare=True)
        new.copy_rows(old)
        self._replace_journal(new)

    def _replace_journal(self, new: Journal) -> None:
        """Put ``new`` in the place of the journal; the worker follows."""
        with signals_held():  # rows that go into the old one from here on would be lost
            old = self.journal
            new.take_place(old.path)
            self.journal = new
            self._worker.attach(new)
            old.control[Control.MOVED] = 1
