"""HDF5 and threads: one at a time, and when the program ends, only the one that ends it.

h5py has one lock for all of HDF5. Here it is also taken for longer than a call.

At the end of a program Python stops the other threads wherever they are. One that
is inside h5py then never lets go of the lock, and the main thread, which h5py
calls when the last of its objects go, would wait for ever; and HDF5 would close
what is still open through Python when there is no Python left.
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
"""Re-entrant. Whoever holds it is alone with HDF5."""

# No fork in the middle of a call: a child could neither go on with the file nor let go of it. Newer h5py does this too.
os.register_at_fork(before=phil.acquire, after_in_parent=phil.release, after_in_child=phil.release)

_GRACE_S = 0.02


class _End:
    """Of the program, once it has come."""

    thread: int | None = None


def open_through_python(file: Any, mode: str, **options: Any) -> h5py.File:
    """Let HDF5 read and write through a Python file object.

    Args:
        file: A binary file, as h5py's driver ``fileobj`` takes it.
        mode: As for ``h5py.File``.
        options: As for ``h5py.File``.

    Raises:
        RecordingClosedError: If the program is about to end, in another thread.
    """
    with HDF5_LOCK:  # while it opens a file, HDF5 has more than the file
        if _End.thread not in (None, threading.get_ident()):
            raise RecordingClosedError("the program is ending: no recording is opened any more.")
        return h5py.File(file, mode, **options)


def _keep_hdf5() -> None:
    """Keep HDF5 from all other threads from here on, and close what they have open."""
    if len(sys._current_frames()) == 1:  # noqa: SLF001  # of threads that others than Python have made, too
        return
    _End.thread = threading.get_ident()
    time.sleep(_GRACE_S)  # their recordings have been closed: most of them notice, and come to an end
    HDF5_LOCK.acquire()
    abandon_all()
    for file in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        if file.get_access_plist().get_driver() == h5py.h5fd.fileobj_driver:
            with suppress(OSError, RuntimeError, ValueError):  # of damaged files, of which nothing is to be written
                h5py.File(file).close()


# Finalizers run from the youngest to the oldest: this one after those of all recordings, and of all
# recorders, whose threads may need the lock to come to an end.
weakref.finalize(_End, _keep_hdf5)
