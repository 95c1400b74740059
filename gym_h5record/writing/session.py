"""One recording being made: its lock, its journal, and the worker that drains the journal.

A session serves all lanes of a recording. ``open`` takes the path and starts the worker, ``reserve`` makes the journal,
``lay_out`` fixes the columns, ``close`` completes the file. The session turns every failure of the writer into a
``WriterError`` in the stepping process, with the cause and the path.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone

from gym_h5record.errors import RecordingPathError, WriterError
from gym_h5record.format.schema import Schema
from gym_h5record.format.schema_json import schema_to_json
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import journal_path, spare_path
from gym_h5record.writing.claim import acquire_lock, choose_worker, claim_path
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.left_journal import boot_id
from gym_h5record.writing.life import RecordingLife
from gym_h5record.writing.options import Existing, Options
from gym_h5record.writing.worker import Worker

__all__ = ["Session"]

_POPULATE_INTERVAL_S = 0.002


class Session(RecordingLife):
    """One recording being made. Making the object touches no file.

    Args:
        options: How to record.

    Attributes:
        existing: The recording that is appended to, or None.
        began_ns: When the recording began, on the monotonic clock: times are counted from here. Where it is appended
            to, the clock has run on since it began.
        began_at: The same instant, or when appending began, as ISO 8601 in UTC.
        journal: The journal, once it is reserved; a larger one may replace it.
        due_s: When to call ``tick`` next, on the monotonic clock.
    """

    journal: Journal
    _lock: RecordingLock
    _worker: Worker

    def __init__(self, options: Options) -> None:
        super().__init__(options.path)
        self.options = options
        self._hire = choose_worker(options)
        self.existing: Existing | None = None
        self.began_ns = 0
        self.began_at = ""
        self.due_s = 0.0
        self._watch_due_s = 0.0
        self._error: WriterError | None = None

    # From new to open -----------------------------------------------------------------------------

    def open(self, check: Callable[[Existing], None] | None = None) -> None:
        """Take the path and start the worker, without a journal; does nothing if the session is open.

        Args:
            check: Called with the recording that is appended to; raises if this must not be appended.

        Raises:
            RecordingClosedError: If ``close`` has been called, perhaps by another thread during this call.
            RecordingExistsError: If the file is there and the mode is ``"x"``.
            RecordingInUseError: If another recorder holds the path.
            RecordingPathError: If no file can be made at the path.
            WriterError: If the writer process cannot be started.
        """
        self.check_not_closing()
        if self.is_open:
            return
        try:
            with signals_held():  # so that ``_give_up`` always sees an acquired lock
                self._lock = acquire_lock(self.options)
            self._worker = self._hire(self._lock)
            self.existing = claim_path(self.options)
            if self.existing is not None and check is not None:
                check(self.existing)
            self._worker.start()
            self.began_ns = time.monotonic_ns() - (0 if self.existing is None else self.existing.elapsed_ns)
            self.began_at = datetime.now(timezone.utc).isoformat(timespec="microseconds")
            self.begin()
        except BaseException:
            self._give_up()
            raise

    def reserve(self, row_bytes: int, header_bytes: int) -> None:
        """Make the journal; does nothing if it has been made.

        Args:
            row_bytes: Size of a row, about.
            header_bytes: Largest size of the header.

        Raises:
            RecordingClosedError: If ``close`` has been called.
            RecordingPathError: If the journal cannot be made.
        """
        if self.has_journal:
            return
        try:
            with self.kept_open(), signals_held():  # ``close`` in another thread waits, so the worker knows the journal
                self.journal = self._reserved(row_bytes, header_bytes)
                self._worker.attach(self.journal)
        except BaseException:
            self._give_up()
            raise

    def lay_out(self, schema: Schema, fps: float, metadata: Mapping[str, str]) -> None:
        """Fix the columns; from here on rows can be written and are never lost.

        Args:
            schema: The columns of a new file. A file that is appended to keeps its own.
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
        row_bytes = (num_codes + sum(field.item_bytes for field in schema.ring_fields)) * (schema.num_envs or 1)
        while not self.journal.lay_out(header, schema.ring_fields, num_codes, first_row, schema.num_envs):
            row_bytes *= 2  # the first step had larger values than the reset
            self._replace_journal(self._reserved(row_bytes, 2 * len(json.dumps(header)), spare=True))
        self._watch_due_s = time.monotonic() + self._worker.watch_interval_s
        self.due_s = min(self._watch_due_s, time.monotonic() + _POPULATE_INTERVAL_S)

    @property
    def has_journal(self) -> bool:
        """Whether ``reserve`` has made the journal."""
        return "journal" in self.__dict__

    def _give_up(self) -> None:
        """Undo a failed ``open`` or ``reserve``. The next ``open`` starts from the beginning."""
        journal, worker, lock = (self.__dict__.pop(name, None) for name in ("journal", "_worker", "_lock"))
        if worker is not None:
            worker.cancel()
        if journal is not None:
            journal.path.unlink(missing_ok=True)
        if lock is not None:
            lock.release()
        self.take_back()

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
        """Wait until the ring has room for a row; returns the first row number without room."""
        control, usable_rows = self.journal.control, self.journal.usable_rows
        with self._remembering_failure():
            while control[Control.HEAD] - control[Control.TAIL] >= usable_rows:
                self._worker.urge()
        return control[Control.TAIL] + usable_rows

    def make_blob_room(self, num_bytes: int) -> int:
        """Wait until there is room for segments, or replace the journal by a larger one.

        Returns:
            The first position of the blob without room.
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

    def close(self) -> None:
        """Commit everything, close the file, leave nothing beside it. May be called again.

        After an interrupt the session still holds the recording, and the next call completes the work.

        Raises:
            WriterError: If the writer has failed, and no method has raised that before. If the writer was killed, all
                rows are in the file.
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
        """Drop the recording without touching its files: a forked child shares them with its parent."""
        self.end_in_child()
        if "_lock" in self.__dict__ and "_worker" in self.__dict__:
            self._lock.forget()
            self._worker.abandon()

    def _release(self) -> None:
        self.end()
        self.__dict__.pop("journal", None)  # 84 MB of mapped file, and its descriptor
        self._lock.release()

    @contextmanager
    def _remembering_failure(self) -> Iterator[None]:
        """Raise the first failure of the writer again in every later block: a failed writer does not come back."""
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
                path.unlink(missing_ok=True)  # a recorder that died while it made one has left it
            return Journal.reserve(path, row_bytes, header_bytes, blob_bytes=blob_bytes, num_rows=num_rows)
        except OSError as error:
            raise RecordingPathError(f"cannot make the journal {path}: {error.strerror}") from error

    def _blob_room(self) -> int:
        journal = self.journal
        return journal.blob_bytes - (journal.blob_head - journal.control[Control.BLOB_TAIL])

    def _grow(self, blob_bytes: int) -> None:
        """Replace the journal, whose rows are all committed, by one with a larger ring of segments."""
        old = self.journal
        row_bytes = sum(column[0].nbytes for column in old.columns.values())
        header_bytes = 2 * len(json.dumps(old.header))
        new = self._reserved(row_bytes, header_bytes, blob_bytes=blob_bytes, num_rows=old.capacity_rows, spare=True)
        new.copy_rows(old)
        self._replace_journal(new)

    def _replace_journal(self, new: Journal) -> None:
        """Put ``new`` in the place of the journal, and tell the worker."""
        with signals_held():  # an interrupt in between would let later rows go into the old journal, and be lost
            old = self.journal
            new.take_place(old.path)
            self.journal = new
            self._worker.attach(new)
            old.control[Control.MOVED] = 1
