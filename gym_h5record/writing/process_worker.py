"""``writer="process"``: the recorder's end of the writer process.

The other end is ``gym_h5record.writing.writer_process``. The two share the journal's
control words; a byte in the pipe means "look now", its end means "no more".
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from gym_h5record.errors import RecordingClosedError, WriterError
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import Control, RecorderState, WriterState
from gym_h5record.writing.recovery import recover_locked
from gym_h5record.writing.worker import WRITE_ERRORS, describe_error, writer_error

__all__ = ["ChildWorker"]


_WATCH_INTERVAL_S = 0.002  # how soon a dead writer is noticed; a look costs a microsecond
_NAP_S = 0.0005


class ChildWorker:
    """A ``Worker`` in a process of its own.

    Args:
        path: The recording.
        lock: Its lock, which the process is to hold as well.
    """

    watch_interval_s = _WATCH_INTERVAL_S

    def __init__(self, path: Path, lock: RecordingLock) -> None:
        self._path = path
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, journal: Journal) -> None:
        """See ``Worker``."""
        if not sys.executable:
            raise self._not_started("Python does not know its own program: sys.executable is empty")
        try:
            with signals_held():
                self._process = self._started(sys.executable)
        except OSError as error:
            raise self._not_started(describe_error(error)) from error
        self.follow(journal)
        while journal.control[Control.WRITER] == WriterState.STARTING:
            self.urge()

    def _started(self, interpreter: str) -> subprocess.Popen[bytes]:
        # A subprocess, not multiprocessing: daemonic workers may have no children of that kind.
        return subprocess.Popen(  # noqa: S603  # our own interpreter, our own module
            [
                *(interpreter, "-m", "gym_h5record.writing.writer_process"),
                *(str(self._path), str(self._lock.descriptor), str(os.getpid())),
            ],
            stdin=subprocess.PIPE,
            pass_fds=[self._lock.descriptor],
            cwd=Path(__file__).parents[2],  # where this very package is found
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # it multiplies nothing
            start_new_session=True,  # the terminal's Ctrl-C is for the recorder
        )

    def _not_started(self, cause: str) -> WriterError:
        return WriterError(
            f"the writer process of {self._path} cannot be started: {cause}. "
            'With writer="inline" the recording needs no process of its own.'
        )

    def follow(self, journal: Journal) -> None:
        """See ``Worker``."""
        self._journal = journal

    def watch(self) -> None:
        """See ``Worker``."""
        if self._process is None:
            return
        if self._journal.control[Control.WRITER] == WriterState.FAILED:
            self._process.wait()
            raise writer_error(self._path, self._journal.read_error())
        if _has_ended(self._process.pid):
            raise writer_error(self._path, f"the writer process {_ended(self._process.wait())}")

    def flush(self) -> None:
        """See ``Worker``."""
        control = self._journal.control
        head, events = control[Control.HEAD], control[Control.EVENTS]
        control[Control.FLUSH] += 1
        while control[Control.COMMITTED_HEAD] < head or control[Control.COMMITTED_EVENTS] < events:
            self.urge()

    def urge(self) -> None:
        """See ``Worker``."""
        self.watch()
        self._wake()
        time.sleep(_NAP_S)

    def finish(self) -> None:
        """See ``Worker``. If the writer was killed, its work is done here before that is raised."""
        if self._process is None or self._process.stdin is None:
            return
        self._journal.control[Control.RECORDER] = RecorderState.CLOSING
        self._process.stdin.close()
        # Not Popen.wait: a handler of a signal that closes the recording as well would wait for its lock for ever.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with signals_held():
            code = self._process.wait()
        if self._journal.control[Control.WRITER] == WriterState.DONE:
            return
        if self._journal.control[Control.WRITER] == WriterState.FAILED or not self._journal.path.exists():
            self.watch()
        raise self._recovered(code)

    def cancel(self) -> None:
        """See ``Worker``."""
        if self._process is not None and self._process.stdin is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()

    def abandon(self) -> None:
        """See ``Worker``."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.returncode = 0  # it is not our child: do not wait for it
        self._process = None

    def _wake(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        if self._process.stdin.closed:  # by another thread
            raise RecordingClosedError(f"{self._path} has been closed: nothing is recorded any more.")
        try:
            os.write(self._process.stdin.fileno(), b".")
        except BrokenPipeError:
            self.watch()  # it has died; say why

    def _recovered(self, code: int) -> WriterError:
        try:
            recover_locked(self._path)
        except WRITE_ERRORS as error:
            return writer_error(self._path, f"the writer process {_ended(code)}, then {describe_error(error)}")
        return WriterError(
            f"the writer process of {self._path} {_ended(code)} while recording. "
            "All steps have been brought into the file; only this error is left of it."
        )


def _has_ended(pid: int) -> bool:
    # Not Popen.poll: an interrupt in the middle of it leaves a lock for which Popen.wait would wait for ever.
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True  # somebody else has waited for it


def _ended(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
