"""A descriptor is closed when no thread reads from it any more, and never before."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gym_h5record.errors import RecordingClosedError
from gym_h5record.storage.hdf5 import descriptor as module
from gym_h5record.storage.hdf5.descriptor import Descriptor


def open_file(path: Path, content: bytes = b"0123456789") -> Descriptor:
    path.write_bytes(content)
    return Descriptor(os.open(path, os.O_RDONLY))


def test_bytes_are_read_from_any_place_and_fewer_at_the_end(tmp_path: Path) -> None:
    file = open_file(tmp_path / "a")
    assert [file.read(3, 2), file.read(5, 8), file.read(5, 20)] == [b"234", b"89", b""]


@pytest.mark.parametrize("offset", [1 << 63, 1 << 70])
def test_no_file_has_bytes_beyond_the_largest_offset(offset: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no file"):
        open_file(tmp_path / "a").read(1, offset)


def test_nothing_is_read_after_close_and_close_may_be_called_twice(tmp_path: Path) -> None:
    file = open_file(tmp_path / "a")
    number = file.fileno()
    file.close()
    file.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    for read in (lambda: file.read(1, 0), file.fileno):
        with pytest.raises(RecordingClosedError):
            read()


def test_a_thread_that_reads_keeps_the_file_open_until_it_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, pread = open_file(tmp_path / "a"), os.pread
    number, is_reading, is_closed, found = file.fileno(), threading.Event(), threading.Event(), []

    def slow_pread(descriptor: int, size: int, offset: int) -> bytes:
        is_reading.set()
        is_closed.wait(10)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(module.os, "pread", slow_pread)
    thread = threading.Thread(target=lambda: found.append(file.read(4, 0)))
    thread.start()
    is_reading.wait(10)
    file.close()
    os.fstat(number)  # still open
    is_closed.set()
    thread.join()
    assert found == [b"0123"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
