"""The superblock: read, judged and mended as HDF5 itself would."""

import os
import signal
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest

from gym_h5record.storage.hdf5.lookup3 import lookup3_hash
from gym_h5record.storage.hdf5.superblock import SIGNATURE, Superblock, clear_write_flags, is_torn, read_superblock

OPEN_FOR_WRITING, OPEN_FOR_SWMR = 0x01, 0x04

_WRITER = """
    import os, signal, sys
    import h5py, numpy as np
    path, swmr = sys.argv[1], sys.argv[2] == "swmr"
    file = h5py.File(path, "w", libver=("v110", "v110"), locking=False)
    data = file.create_dataset("data", (0, 1000), np.int64, maxshape=(None, 1000), chunks=(1, 1000))
    file.flush()
    if swmr:
        file.swmr_mode = True
    for row in range(200):
        data.resize((row + 1, 1000))
        data[row] = row
        data.flush()
    file.flush()
    data.resize((300, 1000))  # never flushed: no reader was promised these
    os.kill(os.getpid(), signal.SIGKILL)
"""


def make(path, *, libver=("v110", "v110"), items=10):
    """An HDF5 file that was closed as it should be."""
    with h5py.File(path, "w", libver=libver) as file:
        file["data"] = np.arange(items)
    return path


def make_torn(path, how="swmr"):
    """An HDF5 file whose writer was killed after 200 rows had been flushed."""
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(_WRITER), str(path), how], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    return path


def check_has_data(path):
    """Fail unless HDF5 opens the file and finds every row that was flushed."""
    with h5py.File(path, "r") as file:
        assert len(file["data"]) >= 200
        np.testing.assert_array_equal(file["data"][:200], np.repeat(np.arange(200)[:, None], 1000, 1))


def has_valid_checksum(path):
    """Whether the superblock of a file has the checksum of its bytes."""
    block = path.read_bytes()[:48]
    return int.from_bytes(block[44:], "little") == lookup3_hash(block[:44])


def patch(path, at, data):
    """Overwrite bytes of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


# The checksum -------------------------------------------------------------------------------------


@pytest.mark.parametrize("libver", ["v108", "v110", "v112", "v114"])
@pytest.mark.parametrize("items", [0, 1, 1000, 100_000])
def test_checksum_agrees_with_hdf5(tmp_path, libver, items):
    path = make(tmp_path / "a.h5", libver=(libver, libver), items=items)
    assert read_superblock(path).version in (2, 3)
    assert has_valid_checksum(path)


@pytest.mark.parametrize("at", [8, 11, 12, 20, 28, 36, 43, 44, 47])
def test_a_changed_byte_shows_in_the_checksum(tmp_path, at):
    path = make(tmp_path / "a.h5")
    byte = path.read_bytes()[at]
    patch(path, at, bytes([byte ^ (1 if at == 8 else 0xFF)]))  # version 3 becomes 2, which has a checksum too
    assert not has_valid_checksum(path)


# Reading ------------------------------------------------------------------------------------------


def test_closed_file_says_so(tmp_path):
    path = make(tmp_path / "a.h5")
    size_bytes = path.stat().st_size
    assert read_superblock(path) == Superblock(3, 0, size_bytes, size_bytes=size_bytes)
    assert not is_torn(path)


def test_path_may_be_text(tmp_path):
    path = str(make(tmp_path / "a.h5"))
    assert read_superblock(path).version == 3
    assert not is_torn(path)
    clear_write_flags(path)


@pytest.mark.parametrize(
    ("swmr", "flags"), [(False, OPEN_FOR_WRITING), (True, OPEN_FOR_WRITING | OPEN_FOR_SWMR)], ids=["plain", "swmr"]
)
def test_open_file_shows_who_has_it(tmp_path, swmr, flags):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.flush()
        if swmr:
            file.swmr_mode = True
        assert read_superblock(path).flags == flags
        assert is_torn(path)
    assert not is_torn(path)


@pytest.mark.parametrize("content", [b"", b"text", SIGNATURE, SIGNATURE + bytes(20), b"\0" * 512], ids=range(5))
def test_what_is_not_hdf5_has_no_superblock(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert read_superblock(path) is None
    assert not is_torn(path)


def test_superblock_behind_a_user_block_is_not_looked_for(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512):
        pass
    assert read_superblock(tmp_path / "a.h5") is None


def test_old_superblock_is_recognised_and_left_alone(tmp_path):
    path = make(tmp_path / "a.h5", libver="earliest")
    assert read_superblock(path).version == 0
    assert not is_torn(path)


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_superblock(tmp_path / "missing")


@pytest.mark.parametrize("change", [-1, 1, 100])
def test_size_other_than_announced_is_torn(tmp_path, change):
    path = make(tmp_path / "a.h5")
    os.truncate(path, path.stat().st_size + change)
    assert is_torn(path)


# Mending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["swmr", "plain"])
def test_file_of_a_killed_writer_opens_after_mending_and_has_its_data(tmp_path, how):
    path = make_torn(tmp_path / "a.h5", how)
    assert is_torn(path)
    with pytest.raises(OSError, match="[Uu]nable"):
        h5py.File(path, "r+", libver=("v110", "v110"))
    clear_write_flags(path)
    assert not is_torn(path)
    assert has_valid_checksum(path)
    check_has_data(path)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        file["data"][0] = 0
        file["more"] = np.arange(1000)
    check_has_data(path)
    assert not is_torn(path)


def test_mending_twice_changes_nothing_more(tmp_path):
    path = make_torn(tmp_path / "a.h5")
    clear_write_flags(path)
    mended = path.read_bytes()
    clear_write_flags(path)
    assert path.read_bytes() == mended


def test_mending_a_closed_file_changes_nothing(tmp_path):
    path = make(tmp_path / "a.h5")
    before = path.read_bytes()
    clear_write_flags(path)
    assert path.read_bytes() == before


def test_mending_changes_only_the_superblock(tmp_path):
    path = make_torn(tmp_path / "a.h5")
    before = path.read_bytes()
    clear_write_flags(path)
    after = path.read_bytes()
    assert after[:9] == before[:9]
    assert after[48 : len(before)] == before[48:]


def test_stale_end_of_file_moves_to_the_end_and_cuts_nothing_off(tmp_path):
    path = make_torn(tmp_path / "a.h5")
    size_bytes = path.stat().st_size
    patch(path, 28, (2048).to_bytes(8, "little"))  # what a writer killed early leaves
    clear_write_flags(path)
    assert path.stat().st_size == size_bytes == read_superblock(path).end_of_file
    check_has_data(path)


def test_file_shorter_than_announced_is_extended(tmp_path):
    path = make(tmp_path / "a.h5")
    size_bytes = path.stat().st_size
    patch(path, 28, (size_bytes + 4096).to_bytes(8, "little"))
    clear_write_flags(path)
    assert path.stat().st_size == size_bytes + 4096 == read_superblock(path).end_of_file
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["data"], np.arange(10))


def test_wrong_checksum_is_renewed(tmp_path):
    path = make(tmp_path / "a.h5")
    patch(path, 44, b"\0\0\0\0")
    assert not has_valid_checksum(path)
    clear_write_flags(path)
    assert has_valid_checksum(path)
    with h5py.File(path) as file:
        assert "data" in file
