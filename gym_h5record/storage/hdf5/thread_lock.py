"""Process-wide HDF5 lock; at interpreter exit only the exiting thread may still call HDF5.

At the end of a program Python stops the other threads wherever they are. A thread inside h5py then never releases
h5py's lock, and the main thread, which needs the lock to free the last h5py objects, waits for ever. HDF5 would also
close files that it reads through Python after Python has ended, and crash. Of 100 programs with three reading threads
50 hung and 7 crashed; now none of 300 does (docs/decisions/0009).
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import Any

import h5py
from h5py._objects import phil

from gym_h5record.errors import RecordingClosedError
from gym_h5record.storage.hdf5.crash_safe_file import abandon_all

__all__ = ["HDF5_LOCK", "open_through_python"]

HDF5_LOCK = phil
"""h5py's own lock, re-entrant. A thread that holds it is the only one in HDF5."""

# No fork while another thread is in HDF5: the child would have HDF5's half-changed state, and a lock that no thread
# releases. Newer versions of h5py do the same.
os.register_at_fork(before=phil.acquire, after_in_parent=phil.release, after_in_child=phil.release)

_GRACE_S = 0.02
"""Time for other threads to find their recordings closed and to end."""


class _End:
    thread: int | None = None  # the one that ends the program; None before the end


def open_through_python(file: Any, mode: str, **options: Any) -> h5py.File:
    """Let HDF5 read and write through a Python file object. ``mode`` and ``options`` are those of ``h5py.File``.

    Raises:
        RecordingClosedError: If the program is ending, in another thread.
    """
    with HDF5_LOCK:  # for the whole opening, so that _keep_hdf5 never finds a file half open
        if _End.thread not in (None, threading.get_ident()):
            raise RecordingClosedError("the program is ending: no recording is opened any more.")
        return h5py.File(file, mode, **options)


def _keep_hdf5() -> None:
    """Keep HDF5 from all other threads from now on, and close the files that they have open."""
    if len(sys._current_frames()) == 1:  # noqa: SLF001  # threading.enumerate misses threads made outside Python
        return
    _End.thread = threading.get_ident()
    time.sleep(_GRACE_S)
    HDF5_LOCK.acquire()
    abandon_all()
    for file in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        if file.get_access_plist().get_driver() == h5py.h5fd.fileobj_driver:
            with suppress(OSError, RuntimeError, ValueError):  # damaged files, to which nothing is to be written
                h5py.File(file).close()


# Finalizers run from the youngest to the oldest. This one, made at import, runs after those of all recordings and
# recorders, whose threads may need the lock to end.
weakref.finalize(_End, _keep_hdf5)
