"""The redo log: changes that it has are made, whatever killed the writer, and a log that is not whole is ignored."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.hdf5.redo_log import logged_changes, patch, redo
from gym_h5record.storage.paths import redo_path
from tests.storage.hdf5.changes import OLD, Killed, Operations, change, opened, put


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "run.h5"
    target.write_bytes(OLD)
    return target


@pytest.mark.parametrize("in_half", [False, True], ids=["between", "within"])
def test_killed_at_any_operation_of_a_redo_another_one_makes_up_for_it(in_half: bool, path: Path) -> None:
    with opened(path) as file:
        new = change(file)
        file.sync()
        log = redo_path(path).read_bytes()
    for kill_at in range(1, 10):
        path.write_bytes(OLD + bytes(len(new) - len(OLD)))
        with path.open("r+b") as stream:  # was written at once
            stream.seek(len(OLD))
            stream.write(new[len(OLD) :])
        redo_path(path).write_bytes(log)
        with pytest.MonkeyPatch.context() as monkeypatch:
            Operations(monkeypatch, kill_at, in_half=in_half)
            try:
                redo(path)
            except Killed:
                assert redo_path(path).exists()
        redo(path)
        assert path.read_bytes() == new


def test_a_redo_of_what_has_been_done_changes_nothing(path: Path) -> None:
    with opened(path) as file:
        new = change(file)
        file.sync()
        put(file, len(new), b"appended since")
    assert redo(path)
    assert path.read_bytes() == new + b"appended since"
    assert not redo(path)


def test_changes_can_be_looked_at_without_making_them(path: Path) -> None:
    with opened(path) as file:
        new = change(file)
        file.sync()
    path.write_bytes(OLD + new[len(OLD) :])
    view = bytearray(path.read_bytes())
    patch(memoryview(view), 0, logged_changes(path))
    assert view == new
    assert path.read_bytes() == OLD + new[len(OLD) :]
    assert redo_path(path).exists()


def test_without_a_log_there_is_nothing_to_do(path: Path) -> None:
    assert logged_changes(path) == []
    assert not redo(path)


# Logs that are ignored or refused ----------------------------------------------------------------


@pytest.fixture
def interrupted(path: Path) -> Path:
    """A file of which only the log has the changes."""
    with opened(path) as file:
        new = change(file)
        file.sync()
    path.write_bytes(OLD + new[len(OLD) :])
    return path


def check_ignored(path: Path, log: bytes) -> None:
    """Fail unless a log has no effect."""
    redo_path(path).write_bytes(log)
    before = path.read_bytes()
    assert logged_changes(path) == []
    assert not redo(path)
    assert path.read_bytes() == before
    assert not redo_path(path).exists()


def test_a_log_that_is_cut_short_is_ignored(interrupted: Path) -> None:
    log = redo_path(interrupted).read_bytes()
    assert logged_changes(interrupted)
    for size in [*range(60), *range(60, len(log), 37), len(log) - 1]:
        check_ignored(interrupted, log[:size])
        check_ignored(interrupted, log[:size].ljust(len(log), b"\0"))


def test_a_log_with_a_wrong_byte_is_ignored(interrupted: Path) -> None:
    log = redo_path(interrupted).read_bytes()
    for at in [*range(60), *range(60, len(log), 37)]:
        check_ignored(interrupted, log[:at] + bytes([log[at] ^ 1]) + log[at + 1 :])


def test_a_shorter_log_over_a_longer_one_is_whole(path: Path) -> None:
    with opened(path) as file:
        put(file, 0, b"x" * 5000)
        file.sync()
        put(file, 0, b"short")
        file.sync()
    assert logged_changes(path) == [(0, b"short")]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(OLD[1:] + b"\0", id="as-long"),
        pytest.param(OLD[:-1], id="shorter"),
        pytest.param(OLD * 2, id="longer"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_log_is_not_applied_to_another_file_that_has_taken_the_place(other: bytes, interrupted: Path) -> None:
    interrupted.write_bytes(other)
    check_ignored(interrupted, redo_path(interrupted).read_bytes())


def test_a_log_stays_good_when_file_and_log_are_moved(interrupted: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    copy = tmp_path / "folder" / "other.h5"
    shutil.copy(interrupted, copy)
    shutil.copy(redo_path(interrupted), redo_path(copy))
    assert redo(copy)
    assert redo(interrupted)
    assert copy.read_bytes() == interrupted.read_bytes()


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_something_else_in_the_place_of_the_log_is_refused(kind: str, path: Path, tmp_path: Path) -> None:
    make: dict[str, Callable[[], None]] = {
        "link": lambda: redo_path(path).symlink_to(tmp_path / "elsewhere"),
        "fifo": lambda: os.mkfifo(redo_path(path)),
        "directory": redo_path(path).mkdir,
    }
    make[kind]()
    (tmp_path / "elsewhere").write_bytes(b"not ours")
    for operation in (redo, logged_changes):
        with pytest.raises(CorruptRecordingError, match=r"run\.h5\.redo is no log"):
            operation(path)
    assert path.read_bytes() == OLD
