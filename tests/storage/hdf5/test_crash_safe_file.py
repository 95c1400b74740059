"""A file is as one sync or the next left it, wherever its writer is killed or the power is cut off."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gym_h5record.storage.hdf5 import crash_safe_file
from gym_h5record.storage.hdf5.crash_safe_file import CrashSafeFile
from gym_h5record.storage.hdf5.redo_log import logged_changes, redo
from gym_h5record.storage.hdf5.superblock import read_superblock
from gym_h5record.storage.paths import redo_path
from tests.storage.hdf5.changes import OLD, Killed, Operations, change, get, opened, put
from tests.zoo import open_descriptors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "run.h5"
    target.write_bytes(OLD)
    return target


# What HDF5 sees ----------------------------------------------------------------------------------


def test_what_is_written_is_read_before_it_is_in_its_place(path: Path) -> None:
    with opened(path) as file:
        new = change(file)
        assert get(file, 0, len(new)) == new
        assert get(file, 4050, 4120) == new[4050:4120]
        assert path.read_bytes()[: len(OLD)] == OLD


def test_a_later_write_counts_more_than_an_earlier_one(path: Path) -> None:
    with opened(path) as file:
        put(file, 10, b"aaaa")
        put(file, 12, b"bbbb")
        put(file, 11, b"c")
        assert get(file, 9, 17) == OLD[9:10] + b"acbbbb" + OLD[16:17]
        file.sync()
    assert path.read_bytes()[9:17] == OLD[9:10] + b"acbbbb" + OLD[16:17]


def test_what_lies_behind_the_end_is_written_at_once(path: Path) -> None:
    with opened(path) as file:
        put(file, len(OLD) - 2, b"inside, and outside")
        assert path.read_bytes() == OLD + b"side, and outside"


def test_there_are_zeros_behind_the_end(path: Path) -> None:
    with opened(path) as file:
        assert get(file, len(OLD) - 1, len(OLD) + 3) == OLD[-1:] + bytes(3)
        put(file, len(OLD) + 2, b"x")
        assert get(file, len(OLD) - 1, len(OLD) + 4) == OLD[-1:] + b"\0\0x\0"


def test_a_write_moves_on_as_in_any_file(path: Path) -> None:
    with opened(path) as file:
        file.seek(3)
        file.write(b"abc")
        file.write(b"def")
        assert file.tell() == 9
        assert file.seek(0, os.SEEK_END) == len(OLD)
        assert file.seek(-4, os.SEEK_CUR) == len(OLD) - 4
        assert get(file, 3, 9) == b"abcdef"
        assert file.readable()
        assert file.writable()
        assert file.seekable()


@pytest.mark.parametrize("size", [0, 5000, len(OLD), 20_000])
def test_it_gets_its_size_with_the_next_sync(size: int, path: Path) -> None:
    with opened(path) as file:
        file.seek(size)
        assert file.truncate() == size
        assert file.seek(0, os.SEEK_END) == size
        assert path.stat().st_size == len(OLD)
        file.sync()
    assert path.read_bytes() == OLD[:size].ljust(size, b"\0")


def test_what_is_changed_behind_the_new_end_is_given_up(path: Path) -> None:
    with opened(path) as file:
        put(file, 4990, b"over the new end")
        put(file, 6000, b"behind it")
        put(file, 7, b"before it")
        file.truncate(5000)
        file.sync()
        assert logged_changes(path) == [(4990, b"over the n"), (7, b"before it")]
    assert path.read_bytes() == OLD[:7] + b"before it" + OLD[16:4990] + b"over the n"


def test_writing_again_after_a_sync_is_another_change(path: Path) -> None:
    with opened(path) as file:
        put(file, len(OLD), b"new")
        file.sync()
        put(file, len(OLD), b"NEW")
        assert path.read_bytes()[len(OLD) :] == b"new"
        file.sync()
    assert path.read_bytes()[len(OLD) :] == b"NEW"


def test_hdf5_writes_through_it(path: Path) -> None:
    with h5py.File(path, "w", libver="v110") as plain:
        plain.create_dataset("x", (0,), "i8", chunks=(512,), maxshape=(None,))
    crash_safe = CrashSafeFile(path)
    file = h5py.File(crash_safe, "r+", libver=("v110", "v110"))
    for number in range(1, 4):
        file["x"].resize(number * 1000, axis=0)
        file["x"][(number - 1) * 1000 :] = np.arange((number - 1) * 1000, number * 1000)
        file.flush()
        crash_safe.sync()
        with h5py.File(path, "r", swmr=True, locking=False) as live:  # marked as being written, and for whom
            assert live["x"][:].tolist() == list(range(number * 1000))
    file.close()
    crash_safe.finish()
    superblock = read_superblock(path)
    assert superblock is not None
    assert superblock.flags == 0
    assert superblock.end_of_file == path.stat().st_size
    with h5py.File(path) as plain:
        assert plain["x"][:].tolist() == list(range(3000))


# The order of things -----------------------------------------------------------------------------


def test_a_power_cut_is_survived_by_waiting_for_the_data_then_the_log_then_the_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations = Operations(monkeypatch)
    with opened(path) as file:
        change(file)
        operations.names.clear()
        file.sync()
        log, changes = ["pwrite", "fdatasync"], [*["pwrite"] * 4, "ftruncate", "fdatasync"]
        assert operations.names == ["fdatasync", *log, *changes]


def test_the_death_of_a_process_is_survived_without_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = Operations(monkeypatch)
    with opened(path, survives_power_cut=False) as file:
        change(file)
        file.finish()
    assert "fdatasync" not in operations.names


def test_a_sync_of_nothing_writes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = Operations(monkeypatch)
    with opened(path) as file:
        file.sync()
        operations.names.clear()
        file.sync()
        assert operations.names == ["fdatasync"]


# Dying -------------------------------------------------------------------------------------------


def count_operations(path: Path) -> int:
    """How many there are in a sync of ``change``."""
    with pytest.MonkeyPatch.context() as monkeypatch, opened(path) as file:
        change(file)
        operations = Operations(monkeypatch)
        file.sync()
        return operations.count


@pytest.mark.parametrize("in_half", [False, True], ids=["between", "within"])
def test_killed_at_any_operation_of_a_sync_there_is_the_old_file_or_the_new_one(in_half: bool, path: Path) -> None:
    found = []
    for kill_at in range(1, count_operations(path) + 2):
        path.write_bytes(OLD)
        with pytest.MonkeyPatch.context() as monkeypatch, opened(path) as file:
            new = change(file)
            Operations(monkeypatch, kill_at, in_half=in_half)
            with suppress(Killed):
                file.sync()
        redo(path)
        content = path.read_bytes()
        assert content == new or content[: len(OLD)] == OLD  # there may be something behind the end
        assert not redo_path(path).exists()
        found.append(content == new)
    assert found == sorted(found)
    assert {*found} == {False, True}


@pytest.mark.parametrize("in_half", [False, True], ids=["between", "within"])
def test_killed_at_any_operation_of_a_sync_a_file_with_a_tail_is_never_of_the_size_it_claims(
    in_half: bool, path: Path
) -> None:
    found = []
    for kill_at in range(1, count_operations(path) + 3):
        path.write_bytes(OLD)
        with pytest.MonkeyPatch.context() as monkeypatch, opened(path, tail_bytes=8) as file:
            file.sync()
            assert len(path.read_bytes()) == len(OLD) + 8
            new = change(file)
            Operations(monkeypatch, kill_at, in_half=in_half)
            with suppress(Killed):
                file.sync()
        killed = path.read_bytes()
        is_new_at_the_start = killed[5] != OLD[5]  # where the superblock would be
        assert len(killed) > (len(new) if is_new_at_the_start else len(OLD))
        redo(path)
        content = path.read_bytes()
        is_new = content[: len(new)] == new
        assert is_new or content[: len(OLD)] == OLD
        assert len(content) > (len(new) if is_new else len(OLD))
        found.append(is_new)
    assert found == sorted(found)
    assert {*found} == {False, True}


def test_the_tail_is_cut_off_in_the_end_and_nothing_else(path: Path) -> None:
    file = CrashSafeFile(path, tail_bytes=8)
    new = change(file)
    file.sync()
    assert path.read_bytes() == new + bytes(8)
    put(file, len(new), b"more")
    file.sync()
    assert path.read_bytes() == new + b"more" + bytes(8)
    assert file.seek(0, os.SEEK_END) == len(new) + 4  # HDF5 is not told
    file.finish()
    assert path.read_bytes() == new + b"more"


def test_the_tail_stays_if_the_file_is_given_up(path: Path) -> None:
    file = CrashSafeFile(path, tail_bytes=8)
    file.sync()
    file.abandon()
    file.finish()
    assert path.read_bytes() == OLD + bytes(8)


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_something_else_in_the_place_of_the_log_is_not_written_to(kind: str, path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"not ours")
    if kind == "link":
        redo_path(path).symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(redo_path(path))
    with opened(path) as file:
        new = change(file)
        file.finish()
    assert path.read_bytes() == new
    assert (tmp_path / "elsewhere").read_bytes() == b"not ours"


# The end -----------------------------------------------------------------------------------------


def test_the_end_leaves_the_file_alone_and_whole(path: Path) -> None:
    before = open_descriptors()
    file = CrashSafeFile(path)
    assert redo_path(path).exists()
    new = change(file)
    file.finish()
    file.close()
    assert path.read_bytes() == new
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert open_descriptors() == before


def test_an_abandoned_file_is_never_touched_again(path: Path) -> None:
    with opened(path) as file:
        change(file)
        before = path.read_bytes()
        file.abandon()
        put(file, 3, b"after that")
        put(file, 50_000, b"or behind it")
        assert get(file, 3, 13) == b"after that"
        file.truncate(3)
        file.sync()
        file.finish()
    assert path.read_bytes() == before
    assert before[: len(OLD)] == OLD


def test_an_abandoned_file_keeps_the_log_of_a_sync_that_failed(path: Path) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch, opened(path) as file:
        new = change(file)
        Operations(monkeypatch, kill_at=5)  # among the changes
        with pytest.raises(Killed):
            file.sync()
        monkeypatch.undo()
        file.abandon()
        file.finish()
    assert redo(path)
    assert path.read_bytes() == new


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every write fail from here on."""

    def fail(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(crash_safe_file.os, "pwrite", fail)


def test_a_full_disk_is_an_error_of_sync_not_of_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as file:
        fill_disk(monkeypatch)
        put(file, 0, b"is kept")
        assert file.failure is None
        put(file, len(OLD) - 2, b"is not written")
        assert file.failure is not None
        assert file.failure.errno == errno.ENOSPC
        monkeypatch.undo()
        put(file, 20, b"is too late")
        assert get(file, 20, 31) == b"is too late"  # the writer does not notice
        assert get(file, len(OLD) - 2, len(OLD) + 12) == b"is not written"
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                file.sync()
        with pytest.raises(OSError, match="No space left"):
            file.finish()
    assert path.read_bytes() == OLD


def test_a_disk_too_full_for_the_log_is_an_error_of_sync(path: Path) -> None:
    with opened(path) as file:
        put(file, 0, b"is kept")
        with pytest.MonkeyPatch.context() as monkeypatch:
            fill_disk(monkeypatch)
            with pytest.raises(OSError, match="No space left"):
                file.sync()
        assert path.read_bytes() == OLD
        file.sync()  # there is room again
    assert path.read_bytes()[:7] == b"is kept"


def test_hdf5_closes_a_file_on_a_full_disk_as_if_nothing_were_wrong(path: Path) -> None:
    with h5py.File(path, "w", libver="v110") as plain:
        plain.create_dataset("x", (0,), "i8", chunks=(512,), maxshape=(None,))
    before = path.read_bytes()
    crash_safe = CrashSafeFile(path)
    file = h5py.File(crash_safe, "r+", libver=("v110", "v110"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        fill_disk(monkeypatch)
        file["x"].resize(100_000, axis=0)
        file["x"][:] = 1
        file.flush()
        assert file["x"][99_999] == 1
        file.close()
        with pytest.raises(OSError, match="No space left"):
            crash_safe.finish()
    assert path.read_bytes()[: len(before)] == before


def test_a_log_that_cannot_be_made_leaves_no_descriptor(path: Path) -> None:
    redo_path(path).mkdir()
    before = open_descriptors()
    with pytest.raises(OSError, match=r"run\.h5\.redo"):
        CrashSafeFile(path)
    assert open_descriptors() == before


def test_a_file_that_is_not_there_is_an_error_and_leaves_no_log(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CrashSafeFile(tmp_path / "run.h5")
    assert list(tmp_path.iterdir()) == []
