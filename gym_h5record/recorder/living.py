"""The recorders of this process that have not been closed: for its end, its forks, and paths that are taken.

At the end of a program every recording is completed before h5py ends. Python calls exit functions from the youngest
to the oldest. The one of h5py is as old as its import, and the one for all finalizers is as old as the first of them,
perhaps one of torch. So a finalizer may run when h5py has ended. The exit function here is made the youngest
(docs/decisions/0013).
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from gym_h5record.errors import RecordingError, RecordingInUseError
from gym_h5record.notices import warn
from gym_h5record.storage.lock import is_locked
from gym_h5record.writing.claim import PATIENCE_S

__all__ = ["check_not_recorded", "close_when_dropped", "enroll"]

_POLL_S = 0.01
_GLANCE_S = 0.05  # a process that was killed gives its lock up a moment later


class _Recorder(Protocol):
    @property
    def recorded_path(self) -> Path | None:
        """The path while the recorder holds a recording, else None."""

    def abandon(self) -> None:
        """Stop recording in a forked child."""

    def complete(self) -> None:
        """Complete the file at the end of the program."""


class _Closable(Protocol):
    def close(self) -> None:
        """Complete the file."""


_recorders: weakref.WeakSet[_Recorder] = weakref.WeakSet()


def check_not_recorded(path: Path, *, waits: bool) -> None:
    """Check that no other recorder holds a path.

    Args:
        path: The recording, absolute, links resolved.
        waits: Whether to wait for the writer of a dead recorder, up to 2 s.

    Raises:
        RecordingInUseError: If another recorder of this process has the path, or another process locks it.
    """
    if any(each.recorded_path == path for each in list(_recorders)):
        raise RecordingInUseError(
            f"{path} belongs to another recorder of this program. Close that one first, or record to another path: "
            "every environment needs a path of its own."
        )
    deadline_s = time.monotonic() + (PATIENCE_S if waits else _GLANCE_S)
    while is_locked(path):
        if time.monotonic() >= deadline_s:
            raise RecordingInUseError(
                f"{path} is being recorded by another process, which holds its lock. Wait for it, or record to another "
                "path: every environment needs a path of its own."
            )
        time.sleep(_POLL_S)


def enroll(recorder: _Recorder) -> None:
    """Complete ``recorder`` at the end of the program, and abandon it in every forked child."""
    _recorders.add(recorder)


def close_when_dropped(owner: object, recorder: _Closable, stream: _Closable) -> weakref.finalize[Any, Any]:
    """Close ``recorder`` when ``owner`` is dropped.

    ``recorder`` may refer to ``owner``, perhaps by a trigger, so it is not kept alive here. In a reference cycle it has
    gone when ``owner`` is dropped. Then ``stream`` is closed, and ``keep`` is not asked about the last episode.
    """
    return weakref.finalize(owner, _close, weakref.ref(recorder), stream)


def _close(recorder: weakref.ref[_Closable], stream: _Closable) -> None:
    found = recorder()
    if found is None:
        stream.close()
    else:
        found.close()


def _prepare_end() -> None:
    """Make ``_complete_all`` the youngest exit function. Other threads may still record.

    h5py is loaded first: a recording whose writer process was killed needs it, and an exit function that h5py
    registers while exit functions run is never called. HDF5 then crashes.
    """
    if any(each.recorded_path is not None for each in list(_recorders)):
        import gym_h5record.writing.recovery  # noqa: F401  # loads h5py
    atexit.unregister(_complete_all)
    atexit.register(_complete_all)


def _complete_all() -> None:
    with ExitStack() as stack:  # calls all of them, whatever one raises
        for recorder in list(_recorders):
            stack.callback(_complete, recorder)


def _complete(recorder: _Recorder) -> None:
    try:
        recorder.complete()
    except RecordingError as error:  # Python would show the traceback of an exit function
        warn(str(error))


def _abandon_all() -> None:
    for recorder in list(_recorders):
        recorder.abandon()


os.register_at_fork(after_in_child=_abandon_all)
threading._register_atexit(_prepare_end)  # type: ignore[attr-defined]  # noqa: SLF001  # runs before exit functions do
