"""Notes everything that this process does to the files of a folder, and its syncs.

The tape looks at the files after each call of the operating system that Python makes. Writes by HDF5's own
code, and stores into mapped files, are seen at the next look.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from .history import FileHistory, History

__all__ = ["Tape"]

_CHANGES = ("open", "ftruncate", "truncate", "rename", "replace", "unlink", "remove", "posix_fallocate")
_SYNCS = ("fsync", "fdatasync")
_pread, _open, _close, _pwrite, _fsync = os.pread, os.open, os.close, os.pwrite, os.fsync


class Tape:
    """A context manager that notes what happens in a folder while its block runs.

    Args:
        folder: The folder. Its files at the beginning of the block count as synced.

    Attributes:
        history: Everything that has happened.
    """

    def __init__(self, folder: Path) -> None:
        self.history = History()
        self._folder = folder
        self._files: dict[int, tuple[int, FileHistory]] = {}  # by inode; the descriptor keeps it from being reused
        self._names: dict[str, int] = {}
        self._patches: list[Any] = []

    def look(self, kind: str) -> None:
        """Note all changes in the folder."""
        self.history.happen(kind)
        found = {}
        for entry in os.scandir(self._folder):
            inode = entry.inode()
            if inode not in self._files:
                descriptor = _open(entry.path, os.O_RDONLY)
                self._files[inode] = descriptor, self.history.new_file()
            found[entry.name] = inode
        for name in {*found, *self._names}:
            if found.get(name) != self._names.get(name):
                self.history.rename(name, self._files[found[name]][1] if name in found else None)
        self._names = found
        for inode in set(found.values()):
            self._read(inode)

    def __enter__(self) -> Tape:
        self.look("the beginning")
        self.history.sync_everything()
        for name in _CHANGES:
            self._patch(os, name, self._watched(name, getattr(os, name)))
        for name in _SYNCS:
            self._patch(os, name, self._syncing(name, getattr(os, name)))
        self._patch(os, "pwrite", self._pwrite)
        self._patch(mmap, "mmap", self._map_class())
        return self

    def __exit__(self, *error: object) -> None:
        self.look("the end")
        for patch in reversed(self._patches):
            patch.stop()
        for descriptor, _ in self._files.values():
            _close(descriptor)

    def _patch(self, owner: Any, name: str, stand_in: Any) -> None:
        patch = mock.patch.object(owner, name, stand_in)
        patch.start()
        self._patches.append(patch)

    def _read(self, inode: int) -> None:
        descriptor, file = self._files[inode]
        file.see(self.history.now, _pread(descriptor, os.fstat(descriptor).st_size, 0))

    # Stand-ins for calls of the operating system --------------------------------------------------

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **more: Any) -> Any:
            result = call(*arguments, **more)
            if name != "open" or arguments[1] & (os.O_CREAT | os.O_TRUNC):
                self.look(name)
            return result

        return watched

    def _pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        written = _pwrite(descriptor, data, offset)
        inode = os.fstat(descriptor).st_ino
        if inode in self._files:
            self.history.happen("pwrite")
            self._read(inode)
        return written

    def _syncing(self, name: str, call: Callable[[int], None]) -> Callable[[int], None]:
        def syncing(descriptor: int) -> None:
            status = os.fstat(descriptor)
            with self._sync(name):
                call(descriptor)
            if stat.S_ISDIR(status.st_mode):
                self.history.sync_names()
            elif status.st_ino in self._files:
                self._files[status.st_ino][1].sync(self.history.now)

        return syncing

    def _map_class(self) -> type[mmap.mmap]:
        tape = self

        class Mapped(mmap.mmap):
            """A mapped file that notes its ``flush``."""

            inode: int

            def __new__(cls, descriptor: int, length: int, **more: Any) -> Mapped:
                mapped = super().__new__(cls, descriptor, length, **more)
                mapped.inode = os.fstat(descriptor).st_ino if descriptor >= 0 else -1
                return mapped

            def flush(self, offset: int = 0, size: int | None = None, **more: Any) -> None:
                size = len(self) - offset if size is None else size
                with tape._sync("msync"):  # this class is a part of the tape
                    super().flush(offset, size, **more)
                if self.inode in tape._files:
                    tape._files[self.inode][1].sync(tape.history.now, offset, offset + size)

        return Mapped

    @contextmanager
    def _sync(self, name: str) -> Iterator[None]:
        """Note a sync. A file has been synced as it was when the sync began."""
        self.look(f"{name} begins")
        yield
        self.history.happen(f"{name} ends")
