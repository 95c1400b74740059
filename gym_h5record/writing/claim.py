"""Claiming a path before anything is recorded there: take the lock, make the worker, check or remove old files.

Only ``mode="a"`` and ``writer="inline"`` load h5py here, which takes 55 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from gym_h5record.errors import RecordingError, RecordingExistsError, RecordingInUseError, RecordingPathError
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import journal_path, redo_path
from gym_h5record.writing.journal_control import has_rows
from gym_h5record.writing.options import Existing, Options, exists_error
from gym_h5record.writing.process_worker import ProcessWorker
from gym_h5record.writing.worker import Worker

__all__ = ["PATIENCE_S", "acquire_lock", "choose_worker", "claim_path"]

PATIENCE_S = 2.0
"""How long to wait for the writer of a dead recorder to finish its work."""


def acquire_lock(options: Options) -> RecordingLock:
    """Lock the path.

    Raises:
        RecordingInUseError: If another recorder holds the lock.
        RecordingPathError: If the lock file cannot be made.
    """
    path = options.path
    try:
        return RecordingLock(path, patience_s=PATIENCE_S if options.mode == "a" else 0.0)
    except RecordingInUseError:
        raise
    except OSError as error:
        raise RecordingPathError(f"cannot record to {path}: {error.strerror}: {error.filename}") from error


def choose_worker(options: Options) -> Callable[[RecordingLock], Worker]:
    """The function that makes the worker that the options ask for.

    A recorder calls this when it is made. At the end of a program finalizers run from the youngest to the oldest, and
    the one of ``gym_h5record.storage.hdf5.thread_lock`` has to run after that of the recorder.
    """
    if not options.in_process:
        return partial(ProcessWorker, options.path)
    from gym_h5record.writing.inline_worker import InlineWorker  # loads h5py

    return lambda lock: InlineWorker(options.path, options.flush_interval_s)


def claim_path(options: Options) -> Existing | None:
    """Check that the mode allows a recording at the path, and remove the journal and redo log of an earlier recorder.

    The caller holds the lock.

    Returns:
        The recording to append to, or None if a new one is to be made.

    Raises:
        RecordingExistsError: If the file, or a journal with rows, is there and the mode is ``"x"``.
        RecordingError: If the recording cannot be appended to.
        RecordingPathError: If the files at the path cannot be read or removed.
    """
    path = options.path
    try:
        if options.mode == "a":
            from gym_h5record.writing.recovery import existing_recording  # loads h5py

            return existing_recording(path)
        if options.mode == "x":
            _check_free(path)
        for leftover in (journal_path(path), redo_path(path)):
            leftover.unlink(missing_ok=True)
    except RecordingError:
        raise
    except OSError as error:
        raise RecordingPathError(f"cannot record to {path}: {error}") from error
    return None


def _check_free(path: Path) -> None:
    if path.exists():
        raise exists_error(path)
    if has_rows(journal_path(path)):
        raise RecordingExistsError(
            f'an interrupted recording has left {journal_path(path)}. Record with mode="a" to bring its steps into '
            'the file and append to them, or with mode="w" to delete them.'
        )
