"""A file that HDF5 fills before it has its name, and a disk that is full meanwhile."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gym_h5record.storage.hdf5 import new_file
from gym_h5record.storage.hdf5.new_file import NewFile
from gym_h5record.storage.hdf5.superblock import read_superblock

NUMBERS = np.arange(100_000)


def fill(path: Path, then: Callable[[NewFile], Any] = NewFile.check) -> None:
    path.touch()
    with closing(NewFile(path)) as stream:
        with h5py.File(stream, "w") as file:
            for name in ("one", "other"):
                file.create_dataset(name, data=NUMBERS, chunks=(1000,))
        then(stream)


def test_hdf5_reads_the_file_when_it_is_closed(tmp_path: Path) -> None:
    fill(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert np.array_equal(file["other"][:], NUMBERS)


def test_the_file_has_the_size_that_its_superblock_says(tmp_path: Path) -> None:
    fill(tmp_path / "run.h5")
    superblock = read_superblock(tmp_path / "run.h5")
    assert superblock is None or not superblock.is_torn


@pytest.mark.parametrize("allowed", [0, 1, 7, 60, 150])
def test_hdf5_is_not_told_that_the_disk_is_full_but_we_are(
    allowed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all, calls = new_file.write_all, []

    def write(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) > allowed:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(*arguments)

    def check(stream: NewFile) -> None:
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                stream.check()

    monkeypatch.setattr(new_file, "write_all", write)
    fill(tmp_path / "run.h5", check)
    assert len(calls) == allowed + 1  # nothing is written after a failure


def test_what_could_not_be_written_can_still_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(new_file, "write_all", write)
    (tmp_path / "run.h5").touch()
    with closing(NewFile(tmp_path / "run.h5")) as stream:
        with h5py.File(stream, "w", rdcc_nbytes=0) as file:
            dataset = file.create_dataset("x", data=NUMBERS, chunks=(1000,))
            assert np.array_equal(dataset[:], NUMBERS)
        assert (tmp_path / "run.h5").stat().st_size == 0
