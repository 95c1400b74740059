"""What a recorder holds on to while it records: lock, journal, and whoever drains it.

A session is opened at the first reset, laid out once the first values are
known, and closed once. It turns every failure of the writer into a
``WriterError`` in the stepping process, with the cause and the path.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_h5record.codecs import Codec
from gym_h5record.errors import (
    RecordingError,
    RecordingExistsError,
    RecordingPathError,
    WriterError,
)
from gym_h5record.journal import Control, Journal, RecorderState, WriterState, journal_path
from gym_h5record.layout import RecordingFile
from gym_h5record.lock import RecordingLock
from gym_h5record.schema import Schema
from gym_h5record.schema_json import schema_to_json
from gym_h5record.writer.drain import Drain
from gym_h5record.writer.recovery import PATIENCE_S, describe_error, finish, is_interrupted, open_drain, recover_locked

__all__ = ["Existing", "Options", "Session"]

_WATCH_INTERVAL_S = 0.002  # how soon a dead writer is noticed; a look costs a microsecond
_NAP_S = 0.0005
_WRITE_ERRORS = (OSError, RuntimeError)  # h5py raises either when a write fails


@dataclass(frozen=True)
class Options:
    """How to record.

    Attributes:
        path: The recording, absolute.
        mode: ``"x"``, ``"w"`` or ``"a"``.
        codec: Compression of a new file.
        in_process: Whether the stepping process drains the journal itself.
        flush_interval_s: How soon a reader sees a step.
    """

    path: Path
    mode: str
    codec: Codec
    in_process: bool
    flush_interval_s: float


@dataclass(frozen=True)
class Existing:
    """A recording that is being appended to."""

    schema: Schema
    rows: int
    metadata: Mapping[str, Any]


class Session:
    """One recording being made.

    Attributes:
        journal: The journal; it may be replaced by a larger one.
        existing: The recording that is appended to, or None.
        due_s: When to call ``tick`` next, on the monotonic clock.

    Raises:
        RecordingExistsError: If the file is there and the mode is ``"x"``.
        RecordingInUseError: If somebody else is recording to the path.
        RecordingPathError: If the journal cannot be made.
        WriterError: If the writer process does not start.
    """

    journal: Journal

    def __init__(self, options: Options, row_bytes: int, header_bytes: int) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._drain: Drain | None = None
        self._file: RecordingFile | None = None
        self._error: WriterError | None = None
        self._closed = False
        self.existing: Existing | None = None
        self.due_s = 0.0
        path = options.path
        try:
            self._lock = RecordingLock(path, patience_s=PATIENCE_S if options.mode == "a" else 0.0)
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise RecordingPathError(f"cannot record to {path}: {error.strerror}: {error.filename}") from error
        try:
            self._clear_path()
            self.journal = Journal.reserve(journal_path(path), row_bytes, header_bytes)
            if not options.in_process:
                self._start_process()
        except BaseException as error:
            self._give_up()
            if isinstance(error, OSError) and not isinstance(error, RecordingError):
                raise RecordingPathError(f"cannot make the journal {journal_path(path)}: {error.strerror}") from error
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
        }
        first_row = 0 if self.existing is None else self.existing.rows
        num_codes = len(schema.coded)
        row_bytes = num_codes + sum(field.item_bytes for field in schema.ring_fields)
        while not self.journal.lay_out(header, schema.ring_fields, num_codes, first_row):
            row_bytes *= 2  # the first values were larger than those of the reset
            self._replace_journal(Journal.reserve(self._spare_path, row_bytes, len(str(header)) * 2))
        self.tick()

    # While recording ------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due: notice a failed writer, or drain if nobody else does.

        Raises:
            WriterError: If the writer has failed.
        """
        now_s = time.monotonic()
        if self._options.in_process:
            if self.journal.is_laid_out and now_s >= self.due_s > 0:
                self._drain_here()
            self.due_s = now_s + self._options.flush_interval_s
        else:
            self.due_s = now_s + _WATCH_INTERVAL_S
        self._check()

    def make_room(self) -> int:
        """Wait until the ring has room for a row.

        Returns:
            The number of the first row there is no room for.
        """
        control, capacity_rows = self.journal.control, self.journal.capacity_rows
        while control[Control.HEAD] - control[Control.TAIL] >= capacity_rows:
            self._drain_or_nap()
        return control[Control.TAIL] + capacity_rows

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
        self._check()
        if self._options.in_process:
            self._drain_here()
            return
        control = self.journal.control
        head, events = control[Control.HEAD], control[Control.EVENTS]
        control[Control.FLUSH] += 1
        while control[Control.COMMITTED_HEAD] < head or control[Control.COMMITTED_EVENTS] < events:
            self._drain_or_nap()

    def close(self) -> None:
        """Commit everything, close the file, leave nothing beside it. May be called again.

        Raises:
            WriterError: If the writer failed and has not said so before. If it
                was killed, everything it left has been brought into the file.
        """
        if self._closed:
            return
        self._closed = True
        reported = self._error is not None
        try:
            if self._options.in_process:
                self._close_here()
            else:
                self._close_process()
        except WriterError:
            if not reported:
                raise
        finally:
            self._lock.release()

    def abandon(self) -> None:
        """Let go of everything without touching it: called in a forked child."""
        self._closed = True
        self._lock.forget()
        if self._file is not None:
            self._file.abandon()
        if self._process is not None and self._process.stdin is not None:
            os.close(self._process.stdin.fileno())
            self._process = None

    # Opening --------------------------------------------------------------------------------------

    def _clear_path(self) -> None:
        """Make sure that the mode allows what is about to happen."""
        path, mode = self._options.path, self._options.mode
        if mode == "x" and path.exists():
            raise RecordingExistsError(
                f'{path} exists and mode is "x". Choose another path, or mode="w" to replace it, or mode="a" to append.'
            )
        if mode == "x" and journal_path(path).exists():
            raise RecordingExistsError(
                f'an interrupted recording has left {journal_path(path)}. Record with mode="a" to bring it into '
                'the file and go on, or with mode="w" to throw it away.'
            )
        if mode == "w":
            journal_path(path).unlink(missing_ok=True)
        if mode == "a" and is_interrupted(path):
            recover_locked(path)
        if mode == "a" and path.exists():
            file = RecordingFile(path)
            self.existing = Existing(file.schema, file.rows, file.metadata())
            file.close()

    def _start_process(self) -> None:
        package = Path(__file__).parents[2]
        command = [sys.executable, "-m", "gym_h5record.writer.process"]
        arguments = [str(self._options.path), str(self._lock.descriptor), str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own module
            [*command, *arguments],
            stdin=subprocess.PIPE,
            pass_fds=[self._lock.descriptor],
            cwd=package,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # it multiplies nothing
            start_new_session=True,  # the terminal's Ctrl-C is for the recorder
        )
        while self.journal.control[Control.WRITER] == WriterState.STARTING:
            self._check()
            time.sleep(_NAP_S)

    def _give_up(self) -> None:
        """Undo what a failed opening has done so far."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if hasattr(self, "journal"):
            self.journal.path.unlink(missing_ok=True)
        self._lock.release()

    # The journal ----------------------------------------------------------------------------------

    @property
    def _spare_path(self) -> Path:
        path = journal_path(self._options.path)
        return path.with_name(f"{path.name}.new")

    def _blob_room(self) -> int:
        journal = self.journal
        return journal.blob_bytes - (journal.blob_head - journal.control[Control.BLOB_TAIL])

    def _grow(self, blob_bytes: int) -> None:
        """Replace the journal, all of it committed, by one with a larger ring of segments."""
        old = self.journal
        row_bytes = sum(column[0].nbytes for column in old.columns.values())
        new = Journal.reserve(self._spare_path, row_bytes, len(str(old.header)) * 2, blob_bytes=blob_bytes)
        new.copy_rows(old)
        self._replace_journal(new)

    def _replace_journal(self, new: Journal) -> None:
        """Put ``new`` in the place of the journal; the writer follows."""
        old = self.journal
        new.take_place(old.path)
        old.control[Control.MOVED] = 1
        self.journal = new
        if self._drain is not None:
            self._drain.journal = new
        while self._process is not None and new.control[Control.WRITER] == WriterState.STARTING:
            self._drain_or_nap()

    # Draining -------------------------------------------------------------------------------------

    def _drain_or_nap(self) -> None:
        """Bring the drain forward: run it, or wake the writer and wait a little."""
        if self._options.in_process:
            self._drain_here()
            return
        self._check()
        self._wake()
        time.sleep(_NAP_S)

    def _drain_here(self) -> None:
        try:
            if self._drain is None:
                self._drain, self._file = open_drain(self._options.path, self.journal)
            self._drain.run()
        except _WRITE_ERRORS as error:
            raise self._failed_here(error) from error

    def _wake(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                os.write(self._process.stdin.fileno(), b".")
            except BrokenPipeError:
                self._check()  # it has died; say why

    def _check(self) -> None:
        """Raise the error of the writer, if there is one."""
        if self._error is not None:
            raise self._error
        if self._process is None:
            return
        if self.journal.control[Control.WRITER] == WriterState.FAILED:
            self._process.wait()
            raise self._failed(self.journal.read_error())
        code = self._process.poll()
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise self._failed(f"the writer process {how}")

    def _failed_here(self, error: Exception) -> WriterError:
        if self._file is not None:
            self._file.abandon()
        return self._failed(describe_error(error))

    def _failed(self, cause: str) -> WriterError:
        path = self._options.path
        self._error = WriterError(
            f"recording to {path} has failed: {cause}. What was committed is in the file, the rest is kept in "
            f'{journal_path(path).name}; once the cause is gone, recording with mode="a" brings it into the file.'
        )
        return self._error

    # Closing --------------------------------------------------------------------------------------

    def _close_here(self) -> None:
        if self._error is not None:
            raise self._error
        if self.journal.is_laid_out:
            self._drain_here()
            if self._drain is not None and self._file is not None:
                try:
                    finish(self._drain, self._file)
                except _WRITE_ERRORS as error:
                    raise self._failed_here(error) from error
        self.journal.path.unlink()

    def _close_process(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self.journal.control[Control.RECORDER] = RecorderState.CLOSING
        self._wake_quietly()
        code = self._process.wait()
        if self.journal.control[Control.WRITER] == WriterState.DONE:
            return
        if code < 0 and journal_path(self._options.path).exists():
            self._recover_here(code)
        self._process.stdin = None
        self._check()

    def _wake_quietly(self) -> None:
        """Wake the writer by closing the pipe: it needs no more waking after this."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _recover_here(self, code: int) -> None:
        """The writer was killed, but its work is still there: do it."""
        try:
            recover_locked(self._options.path)
        except _WRITE_ERRORS as error:
            raise self._failed(f"the writer was killed by signal {-code}, then {describe_error(error)}") from error
        if self._error is None:
            self._error = WriterError(
                f"the writer process of {self._options.path} was killed by signal {-code} while recording. "
                "All steps have been brought into the file; only this error is left of it."
            )
        raise self._error
