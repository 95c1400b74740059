"""``writer="process"``: the recorder's end of the writer process.

The other end is ``gym_h5record.writing.writer_process``. They share the control words of the journal and a pipe: a byte
in the pipe means "look at the journal now", its end means "the recorder has ended".
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gym_h5record.errors import RecordingClosedError, WriterError
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control, RecorderState, WriterState
from gym_h5record.writing.worker import LOCK_GONE
from gym_h5record.writing.write_failures import WRITE_ERRORS, describe_error, writer_error

__all__ = ["ProcessWorker"]

_WATCH_INTERVAL_S = 0.01  # a dead writer is noticed this soon; a check takes 1 us, 15 where steps take milliseconds
_NAP_S = 0.0005


class ProcessWorker:
    """A ``Worker`` that has a process of its own drain the journal.

    Args:
        path: The recording.
        lock: Its lock. The process inherits it, so that the recording stays locked until both have ended.
    """

    watch_interval_s = _WATCH_INTERVAL_S

    def __init__(self, path: Path, lock: RecordingLock) -> None:
        self._path = path
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._journal: Journal | None = None  # None before ``attach``

    def start(self) -> None:
        """See ``Worker``. The process loads for 0.2 s. If it cannot load, ``watch`` raises."""
        if not sys.executable:
            raise self._not_started("Python does not know its own program: sys.executable is empty")
        try:
            with signals_held(), _signals_blocked():  # an interrupt would leave a process that is not in ``_process``
                self._process = self._started(sys.executable)
        except OSError as error:
            raise self._not_started(describe_error(error)) from error

    def attach(self, journal: Journal) -> None:
        """See ``Worker``."""
        self._journal = journal
        with suppress(BrokenPipeError):  # the process has ended already: ``watch`` reports it
            self._wake()

    def _started(self, interpreter: str) -> subprocess.Popen[bytes]:
        # Not multiprocessing: its daemonic processes, such as DataLoader workers, may not start such children.
        return subprocess.Popen(  # noqa: S603  # our own interpreter, our own module
            [
                *(interpreter, "-m", "gym_h5record.writing.writer_process"),
                *(str(self._path), str(self._lock.descriptor), str(os.getpid())),
            ],
            stdin=subprocess.PIPE,
            pass_fds=[self._lock.descriptor],
            cwd=Path(__file__).parents[2],  # -m looks here first, and so finds this package
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # it multiplies no matrices
            start_new_session=True,  # Ctrl-C in the terminal reaches the recorder only
        )

    def _not_started(self, cause: str) -> WriterError:
        return WriterError(
            f"the writer process of {self._path} cannot be started: {cause}. "
            'With writer="inline" the recorder needs no other process.'
        )

    def watch(self) -> None:
        """See ``Worker``."""
        process, journal = self._process, self._journal
        if process is None or journal is None:
            return
        if journal.control[Control.WRITER] == WriterState.FAILED:
            process.wait()
            raise writer_error(self._path, journal.read_error())
        if _has_ended(process.pid):
            how = _ended(process.wait())
            if journal.control[Control.WRITER] == WriterState.STARTING:
                raise self._not_started(f"it {how}")
            raise writer_error(self._path, f"the writer process {how}")

    def flush(self) -> None:
        """See ``Worker``."""
        if self._journal is None:
            return
        control = self._journal.control
        head, events = control[Control.HEAD], control[Control.EVENTS]
        control[Control.FLUSH] += 1
        while control[Control.COMMITTED_HEAD] < head or control[Control.COMMITTED_EVENTS] < events:
            self.urge()

    def urge(self) -> None:
        """See ``Worker``."""
        self.watch()
        with suppress(BrokenPipeError):  # the process has just ended: the next ``watch`` says why
            self._wake()
        time.sleep(_NAP_S)

    def finish(self) -> None:
        """See ``Worker``. If the writer was killed, this process drains the journal before it raises."""
        process, journal = self._process, self._journal
        if process is None or process.stdin is None:
            return
        if journal is not None:
            journal.control[Control.RECORDER] = RecorderState.CLOSING
        process.stdin.close()
        # Not Popen.wait: it waits with a lock held, and a signal handler that closes the recording would wait for that
        # lock for ever.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with signals_held():
            code = process.wait()
        if journal is None or journal.control[Control.WRITER] == WriterState.DONE:
            self._journal = None
            return
        if journal.control[Control.WRITER] == WriterState.FAILED or not journal.path.exists():
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
            self._process.returncode = 0  # the process is a child of the parent: Popen must not wait for it
        self._process = None

    def _wake(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        if self._process.stdin.closed:  # another thread has called ``finish``
            raise RecordingClosedError(f"{self._path} has been closed: nothing is recorded any more.")
        os.write(self._process.stdin.fileno(), b".")

    def _recovered(self, code: int) -> WriterError:
        from gym_h5record.writing.recovery import recover_locked  # loads h5py: 55 ms, for a writer that was killed only

        try:
            recover_locked(self._path)
        except WRITE_ERRORS as error:
            return writer_error(self._path, f"the writer process {_ended(code)}, then {describe_error(error)}")
        return WriterError(
            f"the writer process of {self._path} {_ended(code)} while recording. All steps are in the file."
        )


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block SIGINT and SIGTERM. A process started in the block inherits that, so neither kills it while it loads."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _has_ended(pid: int) -> bool:
    # Not Popen.poll: an interrupt within it may leave its lock taken, and Popen.wait would wait for that for ever.
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True  # other code of this process has waited for it


def _ended(code: int) -> str:
    if code == LOCK_GONE:
        return "found its lock file gone, perhaps with the directory"
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
