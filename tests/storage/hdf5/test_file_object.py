"""What HDF5 reads through: bytes of a file, with changes that are not in their places, block by block."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_h5record.storage.hdf5.file_object import FileObject
from tests.zoo import open_descriptors

OLD = bytes(range(100))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FileObject]:
    (tmp_path / "a").write_bytes(OLD)
    with FileObject(
        os.open(tmp_path / "a", os.O_RDONLY), 200, [(10, b"aaaa"), (12, b"bb"), (98, b"over the end")]
    ) as file:
        yield file


def test_changes_are_seen_in_their_order_and_the_file_elsewhere(file: FileObject) -> None:
    assert file.read(20) == OLD[:10] + b"aabb" + OLD[14:20]
    file.seek(11)
    assert file.read(2) == b"ab"


def test_behind_the_end_there_are_changes_and_zeros(file: FileObject) -> None:
    file.seek(97)
    assert file.read(20) == OLD[97:98] + b"over the end" + bytes(7)
    assert file.tell() == 117


def test_one_moves_as_in_any_file(file: FileObject) -> None:
    assert file.seek(7) == file.tell() == 7
    assert file.seek(3, os.SEEK_CUR) == 10
    assert file.seek(-1, os.SEEK_END) == 199  # of the size that HDF5 is told
    assert file.readable()
    assert file.seekable()


def test_a_block_that_hdf5_cannot_bear_is_an_error_and_one_stays_where_one_was(
    file: FileObject, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(OLD[:50] + b"MDCI" + bytes(100))
    file.seek(50)
    with pytest.raises(OSError, match="damaged file"):
        file.read(20)
    assert file.tell() == 50
    file.seek(51)
    assert file.read(3) == b"DCI"


def test_it_closes_its_descriptor_once(tmp_path: Path) -> None:
    before = open_descriptors()
    (tmp_path / "a").write_bytes(OLD)
    file = FileObject(os.open(tmp_path / "a", os.O_RDONLY), 100)
    file.close()
    other = os.open(tmp_path / "a", os.O_RDONLY)  # gets the same number
    file.close()
    os.fstat(other)
    os.close(other)
    assert file.closed
    assert open_descriptors() == before
