"""A recording as HDF5 is shown it, closed by its writer or not."""

from __future__ import annotations

import gc
import io
import os
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.errors import NotARecordingError
from gym_h5record.format import names as fmt
from gym_h5record.storage.hdf5.guarded_file import GuardedFile
from gym_h5record.storage.hdf5.objects import READ_ERRORS
from gym_h5record.storage.hdf5.superblock import SUPERBLOCK_BYTES, clear_write_flags
from tests.leftovers import closed, contents, left_pairs, mark_torn
from tests.writing import Pen, write_pairs
from tests.zoo import open_descriptors

pytestmark = pytest.mark.timeout(60)  # HDF5 reads damaged metadata for longer if it is let


def everything(file: h5py.File) -> dict[str, bytes]:
    """All datasets of a file, to the bit."""
    found: dict[str, bytes] = {}
    file.visititems(
        lambda name, each: found.update({name: each[:].tobytes()}) if isinstance(each, h5py.Dataset) else None
    )
    return found


def read_all(path: Path) -> dict[str, bytes]:
    with GuardedFile(path) as guarded, h5py.File(guarded) as file:
        return everything(file)


def torn(folder: Path) -> Path:
    """A file that is marked as being written."""
    path = left_pairs(folder, [300, 2], [])
    mark_torn(path)
    return path


def test_hdf5_itself_refuses_such_a_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="already open for write"):
        h5py.File(torn(tmp_path))


def test_it_reads_like_the_file_with_a_mended_superblock(tmp_path: Path) -> None:
    path = torn(tmp_path)
    with GuardedFile(path) as guarded, h5py.File(guarded) as file:
        found = everything(file)
        attributes = dict(file[fmt.METADATA].attrs)
    clear_write_flags(path)
    with h5py.File(path) as file:
        assert found == everything(file)
        assert attributes == dict(file[fmt.METADATA].attrs)


def test_all_bytes_but_the_superblock_are_those_of_the_file(tmp_path: Path) -> None:
    path = torn(tmp_path)
    data = path.read_bytes()
    with GuardedFile(path) as guarded:
        shown = bytearray(len(data))
        assert guarded.readinto(shown) == len(data)
    assert shown[SUPERBLOCK_BYTES:] == data[SUPERBLOCK_BYTES:]
    assert (data[11], shown[11]) == (5, 0)
    clear = bytearray(data[:SUPERBLOCK_BYTES])
    assert shown[:11] == clear[:11]


def test_a_closed_file_is_read_as_well(tmp_path: Path) -> None:
    path = closed(tmp_path)
    with GuardedFile(path) as guarded, h5py.File(guarded) as file, h5py.File(path) as plain:
        assert everything(file) == everything(plain)


def test_nothing_is_written_and_no_lock_is_taken(tmp_path: Path) -> None:
    path = torn(tmp_path)
    path.chmod(0o444)
    before = contents(path.parent)
    with GuardedFile(path) as guarded, h5py.File(guarded) as file:
        assert not guarded.writable()
        with pytest.raises((NotImplementedError, io.UnsupportedOperation)):
            guarded.write(b"x")
        with pytest.raises((OSError, ValueError, KeyError, RuntimeError)):
            file.create_dataset("more", (3,), "f8")
        everything(file)
    assert contents(path.parent) == before


def test_a_writer_may_go_on_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Pen(path) as pen:
        write_pairs(pen, [3])
        pen.flush()
        with GuardedFile(path) as guarded, h5py.File(guarded) as file:
            assert file[fmt.COMMIT][:].tolist() == [4, 1]
            write_pairs(pen, [2000], first_row=4)
            pen.flush()
        with GuardedFile(path) as guarded, h5py.File(guarded) as file:
            assert file[fmt.COMMIT][:].tolist() == [2005, 2]
            assert file[fmt.REWARDS][4:2004].tolist() == np.arange(4.0, 2004).tolist()


# Where one reads -------------------------------------------------------------------------------------


def test_a_little_behind_the_end_there_are_zeros(tmp_path: Path) -> None:
    path = closed(tmp_path)
    size = path.stat().st_size
    with GuardedFile(path) as guarded:
        buffer = bytearray(b"x" * 100)
        guarded.seek(size - 10)
        assert guarded.readinto(buffer) == 100
        assert bytes(buffer) == path.read_bytes()[-10:] + bytes(90)
        assert guarded.tell() == size + 90


@pytest.mark.parametrize(("start", "count"), [(-10, 1 << 20), (0, 1), (1 << 40, 7)])
def test_what_is_far_behind_the_end_is_an_error(start: int, count: int, tmp_path: Path) -> None:
    path = closed(tmp_path)
    with GuardedFile(path) as guarded:
        guarded.seek(path.stat().st_size + start)
        with pytest.raises(OSError, match="are not in the file"):
            guarded.readinto(bytearray(count))


def test_the_end_is_farther_away_than_the_file_will_ever_be_large(tmp_path: Path) -> None:
    path = closed(tmp_path)
    with GuardedFile(path) as guarded:
        assert guarded.seek(0, os.SEEK_END) > 1 << 50
        assert guarded.seek(5) == guarded.tell() == 5
        assert guarded.seek(3, os.SEEK_CUR) == 8
        assert (guarded.readable(), guarded.seekable()) == (True, True)


def test_changes_are_seen_in_place_of_what_is_in_the_file(tmp_path: Path) -> None:
    path = closed(tmp_path)
    data = bytearray(path.read_bytes())
    changes = [(1000, b"first"), (1003, b"second"), (len(data) - 2, b"over the end")]
    with GuardedFile(path, changes) as guarded:
        shown = bytearray(len(data) + 20)
        guarded.readinto(shown)
        assert shown[1000:1009] == b"firsecond"
        assert shown[len(data) - 2 : len(data) + 10] == b"over the end"
        part = bytearray(4)
        guarded.seek(1002)
        guarded.readinto(part)
        assert part == b"rsec"
    assert path.read_bytes() == bytes(data)


def test_a_change_of_the_superblock_is_seen_without_its_flags_as_well(tmp_path: Path) -> None:
    path = torn(tmp_path)
    with GuardedFile(path, [(0, path.read_bytes()[:SUPERBLOCK_BYTES])]) as guarded, h5py.File(guarded) as file:
        assert everything(file)


# Damage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"a text", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(500), b"\x89HDF\r\n\x1a\n\x09" + bytes(500)],
    ids=["empty", "text", "short", "version-0", "version-9"],
)
def test_what_has_no_superblock_of_ours_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(content)
    with pytest.raises(NotARecordingError, match="superblock"):
        GuardedFile(tmp_path / "run.h5")


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FileNotFoundError):
            GuardedFile(tmp_path / "run.h5")
        gc.collect()


@pytest.mark.parametrize("step", range(7))
def test_damaged_metadata_is_an_error_at_once_not_a_hang(step: int, tmp_path: Path) -> None:
    """In SWMR mode HDF5 would read it a hundred times, and pause in between."""
    path = torn(tmp_path)
    data = bytearray(path.read_bytes())
    for at in range(SUPERBLOCK_BYTES + step, len(data), 7):
        data[at] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(READ_ERRORS):
        read_all(path)


def test_a_file_that_ends_amid_its_metadata_is_an_error_at_once(tmp_path: Path) -> None:
    path = torn(tmp_path)
    os.truncate(path, 200)
    with pytest.raises(READ_ERRORS):
        read_all(path)


# Descriptors -----------------------------------------------------------------------------------------


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    path = torn(tmp_path)
    (tmp_path / "text").write_bytes(b"a text")
    before = open_descriptors()
    for _ in range(3):
        guarded = GuardedFile(path)
        assert os.fstat(guarded.fileno()).st_ino == path.stat().st_ino
        guarded.close()
        guarded.close()
        assert guarded.closed
        with pytest.raises(NotARecordingError):
            GuardedFile(tmp_path / "text")
    assert open_descriptors() == before


def test_an_opening_that_fails_closes_its_descriptor_once(tmp_path: Path) -> None:
    """Otherwise it would be closed again when it is collected, and be that of another file by then."""
    (tmp_path / "text").write_bytes(b"a text")
    with pytest.raises(NotARecordingError) as caught:
        GuardedFile(tmp_path / "text")
    others = [os.open(tmp_path / "text", os.O_RDONLY) for _ in range(5)]
    del caught
    gc.collect()
    for each in others:
        os.fstat(each)
        os.close(each)


def test_descriptors_are_not_inherited(tmp_path: Path) -> None:
    with GuardedFile(closed(tmp_path)) as guarded:
        assert not os.get_inheritable(guarded.fileno())
