"""What a recorder holds on to while it records: lock, journal, and whoever drains it.

A session is opened at the first reset, laid out once the first values are
known, and closed once. It turns every failure of the writer into a
``WriterError`` in the stepping process, with the cause and the path.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gym_h5record.errors import RecordingError, RecordingInUseError, RecordingPathError, WriterError
from gym_h5record.format.schema import Schema
from gym_h5record.format.schema_json import schema_to_json
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import journal_path, spare_path
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.inline_worker import InlineWorker
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import Control
from gym_h5record.writing.left_journal import boot_id
from gym_h5record.writing.options import Options
from gym_h5record.writing.process_worker import ChildWorker
from gym_h5record.writing.recovery import PATIENCE_S, Existing, _clear_path
from gym_h5record.writing.worker import Worker

__all__ = ["Session"]


class Session:
    """One recording being made.

    Attributes:
        journal: The journal; it may be replaced by a larger one.
        existing: The recording that is appended to, or None.
        is_closed: Whether ``close`` has done its work.
        due_s: When to call ``tick`` next, on the monotonic clock.

    Raises:
        RecordingExistsError: If the file is there and the mode is ``"x"``.
        RecordingInUseError: If somebody else is recording to the path.
        RecordingPathError: If the journal cannot be made.
        WriterError: If the writer process does not start.
    """

    journal: Journal
    _lock: RecordingLock
    _worker: Worker

    def __init__(self, options: Options, row_bytes: int, header_bytes: int) -> None:
        self._options = options
        self._error: WriterError | None = None
        self.is_closed = False
        self.existing: Existing | None = None
        self.due_s = 0.0
        try:
            with signals_held():  # what has been made is to be known to whoever gives it up
                self._lock = self._acquired()
            self._worker = self._hired()
            self.existing = self._existing()
            with signals_held():
                self.journal = self._reserve(row_bytes, header_bytes)
            self._worker.start(self.journal)
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
            "replaces": self._options.mode == "w",
            "schema": schema_to_json(schema),
            "codec": [self._options.codec.name, self._options.codec.opts],
            "fps": fps,
            "metadata": dict(metadata),
            "flush_interval_s": self._options.flush_interval_s,
            "durability": self._options.durability,
            "checksum": self._options.checksum,
            "boot_id": boot_id(),
        }
        first_row = 0 if self.existing is None else self.existing.rows
        num_codes = len(schema.coded)
        row_bytes = num_codes + sum(field.item_bytes for field in schema.ring_fields)
        while not self.journal.lay_out(header, schema.ring_fields, num_codes, first_row):
            row_bytes *= 2  # the first values were larger than those of the reset
            self._replace_journal(self._reserve(row_bytes, 2 * len(json.dumps(header)), spare=True))
        self.due_s = time.monotonic() + self._worker.watch_interval_s

    # While recording ------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due: notice a failed writer, or drain if nobody else does.

        Raises:
            WriterError: If the writer has failed.
        """
        with self._remembering_failure():
            self._worker.watch()
        self.due_s = time.monotonic() + self._worker.watch_interval_s

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
        with self._remembering_failure():
            self._worker.flush()

    def close(self) -> None:
        """Commit everything, close the file, leave nothing beside it. May be called again.

        After an interrupt the recording is still ours, and the next call goes on where it was.

        Raises:
            WriterError: If the writer failed and has not said so before. If it
                was killed, everything it left has been brought into the file.
        """
        if self.is_closed:
            return
        reported = self._error is not None
        try:
            if not (reported and self._options.in_process):
                self._worker.finish()
        except WriterError:
            self._release()
            if not reported:
                raise
        else:
            self._release()

    def _release(self) -> None:
        self.is_closed = True
        self._lock.release()

    def abandon(self) -> None:
        """Let go of everything without touching it: called in a forked child."""
        self.is_closed = True
        self._lock.forget()
        self._worker.abandon()

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

    def _acquired(self) -> RecordingLock:
        path = self._options.path
        try:
            return RecordingLock(path, patience_s=PATIENCE_S if self._options.mode == "a" else 0.0)
        except RecordingInUseError:
            raise
        except OSError as error:
            raise RecordingPathError(f"cannot record to {path}: {error.strerror}: {error.filename}") from error

    def _hired(self) -> Worker:
        path = self._options.path
        if self._options.in_process:
            return InlineWorker(path, self._options.flush_interval_s)
        return ChildWorker(path, self._lock)

    def _existing(self) -> Existing | None:
        path = self._options.path
        try:
            return _clear_path(path, self._options.mode)
        except RecordingError:
            raise
        except OSError as error:
            raise RecordingPathError(f"cannot record to {path}: {error}") from error

    # The journal ----------------------------------------------------------------------------------

    def _reserve(
        self, row_bytes: int, header_bytes: int, *, blob_bytes: int = 0, num_rows: int = 0, spare: bool = False
    ) -> Journal:
        path = (spare_path if spare else journal_path)(self._options.path)
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
        new = self._reserve(row_bytes, header_bytes, blob_bytes=blob_bytes, num_rows=old.capacity_rows, spare=True)
        new.copy_rows(old)
        self._replace_journal(new)

    def _replace_journal(self, new: Journal) -> None:
        """Put ``new`` in the place of the journal; the worker follows."""
        with signals_held():  # rows that go into the old one from here on would be lost
            old = self.journal
            new.take_place(old.path)
            self.journal = new
            self._worker.follow(new)
            old.control[Control.MOVED] = 1

    def _give_up(self) -> None:
        """Undo what a failed opening has done so far."""
        if hasattr(self, "_worker"):
            self._worker.cancel()
        if hasattr(self, "journal"):
            self.journal.path.unlink(missing_ok=True)
        if hasattr(self, "_lock"):
            self._lock.release()
