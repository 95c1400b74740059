"""The end of a program in which other threads still read.

Python then stops such a thread wherever it is. Inside h5py it never lets go of
h5py's lock, and the main thread, which h5py calls when the last of its objects
go, would wait for ever; what it has just opened would be closed by HDF5 when
there is no Python left to read it with.
"""

from __future__ import annotations

import os
import threading

import h5py
from h5py._objects import phil  # h5py's one lock, which has no public name

from gym_h5record.reader.unclosed_file import UnclosedFile

__all__ = ["open_unclosed", "take_over"]

_NAME = f"<{UnclosedFile.__module__}.{UnclosedFile.__qualname__} ".encode()

# HDF5 has more than the file while it opens one: the end waits for that.
_opening = threading.RLock()
os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_opening.release)


def open_unclosed(file: UnclosedFile) -> h5py.File:
    """Let HDF5 read from a file, until it is closed or the program ends."""
    with _opening:
        return h5py.File(file, "r")


def take_over() -> None:
    """Let other threads end their calls of h5py, and begin no more; close what they have open."""
    if threading.active_count() == 1:
        return
    _opening.acquire()  # for good, both
    phil.acquire()
    for file in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        if h5py.h5f.get_name(file).startswith(_NAME):
            h5py.File(file).close()
