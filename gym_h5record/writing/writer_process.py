"""The writer process: drains the journal until the recorder closes or dies.

``ProcessWorker`` starts it as ``python -m gym_h5record.writing.writer_process``. It opens the HDF5 file; the recorder
does not. The two share the mapped journal, the descriptor of the lock, and a pipe. The first byte in the pipe says that
the journal is there, each later one means "look at the journal now".
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path

from gym_h5record.storage.compaction import compact
from gym_h5record.storage.lock import RecordingLock, occupy_standard_streams
from gym_h5record.storage.paths import has_journal, journal_path
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.drains import AnyDrain
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control, RecorderState, WriterState, is_unfinished
from gym_h5record.writing.recovery import finish, open_drain
from gym_h5record.writing.worker import LOCK_GONE
from gym_h5record.writing.write_failures import describe_error

__all__ = ["main"]

# Short enough for a ring of RGB frames, long enough not to disturb the recorder: docs/performance.md
_POLL_S = 0.02
# Rows that came so fast that they filled a quarter of the ring may go on to come: the recorder then fills the next
# quarter while this process drains one, instead of the whole ring and then waiting.
_CROWDED_POLL_S = 0.005
_CROWDED_S = 0.5


class _Writer:
    def __init__(self, path: Path, recorder_pid: int, pipe: int) -> None:
        self._path = path
        self._recorder_pid = recorder_pid
        self._pipe = pipe
        self._pipe_has_ended = False
        self._committed_at_s = time.monotonic()
        self._flushes = 0
        self._crowded_until_s = self._committed_at_s
        self._drain: AnyDrain | None = None
        self._file: RecordingFile | None = None
        self.journal = Journal.open(journal_path(path))

    def run(self) -> None:
        """Drain until the recorder closes or ends, then complete the file."""
        self.journal.control[Control.WRITER] = WriterState.READY
        while True:
            # Ask first, then drain: so this drain sees all that the recorder wrote before it ended.
            ending = self._is_closing or not self.recorder_waits
            self._follow_move()
            if self.journal.is_laid_out:
                self._drain_if_due()
            if ending:
                break
            self._wait()
        is_drained = self._drain is not None and self._file is not None
        if self._drain is not None and self._file is not None:
            finish(self._drain, self._file)
        self.journal.path.unlink()
        self.journal.control[Control.WRITER] = WriterState.DONE
        if is_drained:
            compact(self._path)  # the recording is complete, and stays so if this process is killed now

    def fail(self, error: Exception) -> None:
        """Write the error into the journal for the recorder. The file stays as the last commit left it."""
        if self._file is not None:
            self._file.discard()
        self.journal.write_error(describe_error(error))

    @property
    def recorder_waits(self) -> bool:
        """Whether the recorder lives, and so releases the lock. After its death this process has another parent."""
        return os.getppid() == self._recorder_pid and (self._is_closing or not self._pipe_has_ended)

    @property
    def _is_closing(self) -> bool:
        return self.journal.control[Control.RECORDER] == RecorderState.CLOSING

    def _follow_move(self) -> None:
        if self.journal.control[Control.MOVED]:
            self.journal = Journal.open(journal_path(self._path))
            self.journal.control[Control.WRITER] = WriterState.READY
            if self._drain is not None:
                self._drain.journal = self.journal

    def _drain_if_due(self) -> None:
        if self._drain is None:
            self.journal.read_header()
            self._drain, self._file = open_drain(self._path, self.journal)
            self._interval_s = float(self.journal.header["flush_interval_s"])
        control = self.journal.control
        new_rows = control[Control.HEAD] - control[Control.COMMITTED_HEAD]
        pending = new_rows or control[Control.EVENTS] != control[Control.COMMITTED_EVENTS]
        asked = control[Control.FLUSH] != self._flushes
        crowded = new_rows and (new_rows * 4 >= self.journal.capacity_rows or self.journal.blob_is_crowded)
        now_s = time.monotonic()
        if asked or crowded or (pending and now_s - self._committed_at_s >= self._interval_s):
            self._flushes = control[Control.FLUSH]
            self._drain.run()
            self._committed_at_s = now_s
            if crowded:
                self._crowded_until_s = now_s + _CROWDED_S

    def _wait(self) -> None:
        poll_s = _CROWDED_POLL_S if time.monotonic() < self._crowded_until_s else _POLL_S
        if select.select([self._pipe], [], [], poll_s)[0] and not os.read(self._pipe, 4096):
            self._pipe_has_ended = True  # the recorder has closed its end, or has been replaced by ``exec``


def main(argv: list[str]) -> int:
    """Run the writer of a recording.

    Args:
        argv: Path of the recording, descriptor of its lock, process number of the recorder.

    Returns:
        The exit code: 0, ``LOCK_GONE``, or 1 after an error, which is then in the journal.
    """
    path, descriptor, recorder_pid = Path(argv[0]), int(argv[1]), int(argv[2])
    # A signal that stops the recorder must not stop this process: it ends when all rows are in the file.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    occupy_standard_streams()
    lock = RecordingLock(path, descriptor)
    if not lock.is_current:
        return LOCK_GONE  # the recorder gave up while this process loaded; another recorder may have the path now
    pipe = sys.stdin.fileno()
    if not os.read(pipe, 1) and not _has_journal(path):  # the recorder has ended, or given up
        if os.getppid() != recorder_pid:
            lock.release()
        return 0
    writer = _Writer(path, recorder_pid, pipe)
    try:
        writer.run()
    except Exception as error:  # noqa: BLE001  # every error goes to the recorder, which raises it
        writer.fail(error)
        return 1
    finally:
        if not writer.recorder_waits:
            lock.release()
    return 0


def _has_journal(path: Path) -> bool:
    return has_journal(path) and not is_unfinished(journal_path(path))


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # the files are closed; to free all modules first takes Python 15 ms
