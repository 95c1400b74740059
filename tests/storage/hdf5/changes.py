"""A crash-safe file, changes of every kind in it, and the death of its writer at any operation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gym_h5record.storage.hdf5.crash_safe_file import CrashSafeFile
from gym_h5record.storage.hdf5.redo_log import patch

OLD = bytes(range(256)) * 40
"""What is in the file, of three pages."""


class Killed(BaseException):
    """Stands for the end of the process."""


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[CrashSafeFile]:
    """A file that is closed in the end, whatever becomes of it."""
    file = CrashSafeFile(path, **options)
    try:
        yield file
    finally:
        file.close()


def put(file: CrashSafeFile, at: int, data: bytes) -> None:
    """Write somewhere."""
    file.seek(at)
    assert file.write(data) == len(data)


def get(file: CrashSafeFile, start: int, stop: int) -> bytes:
    """Read from somewhere."""
    file.seek(start)
    return file.read(stop - start)


def change(file: CrashSafeFile) -> bytes:
    """Changes of every kind; what the file is with all of them."""
    put(file, 5, b"five")
    put(file, 4000, b"x" * 300)  # over the end of a page
    put(file, 4100, b"the later one")
    put(file, len(OLD) - 3, b"over the end")
    put(file, len(OLD) + 20, b"behind a gap")
    new = bytearray(OLD.ljust(len(OLD) + 32, b"\0"))
    patch(
        memoryview(new), 0, [(5, b"five"), (4000, b"x" * 300), (4100, b"the later one"), (len(OLD) - 3, b"over the ")]
    )
    patch(memoryview(new), 0, [(len(OLD) - 3, b"over the end"), (len(OLD) + 20, b"behind a gap")])
    return bytes(new)


class Operations:
    """Counts what is done to files, and kills at one of them: before it, or when half of a write is done.

    Attributes:
        count: How many there have been.
        names: Which.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kill_at: int = 0, *, in_half: bool = False) -> None:
        self.count = 0
        self.names: list[str] = []
        self._kill_at = kill_at
        self._in_half = in_half
        for name in ("pwrite", "ftruncate", "fdatasync", "unlink"):
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            self.count += 1
            self.names.append(name)
            if self.count == self._kill_at:
                if self._in_half and name == "pwrite":
                    descriptor, data, offset = arguments
                    call(descriptor, data[: len(data) // 2], offset)
                raise Killed
            return call(*arguments, **more)

        return counted
