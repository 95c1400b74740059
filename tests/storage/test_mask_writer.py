"""Masks are written so that a kill at any write, sync, rename or truncation leaves a recording with or without them."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.storage import mask_writer
from gym_h5record.storage.mask_writer import write_mask
from gym_h5record.storage.state import State, recording_state
from tests.reading import record
from tests.zoo import ZooEnv

CALLS = ("pwrite", "ftruncate", "fsync", "fdatasync", "replace", "unlink")
"""What changes a file, its name or the disk."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(9)), [3, 0, 2])
    h5r.add_mask(tmp_path / "run.h5", "old", [1])
    return tmp_path / "run.h5"


@pytest.fixture(params=[1 << 30, 0], ids=["by a copy", "in place"])
def is_copied(request: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(mask_writer, "_COPIED_BYTES", request.param)
    return bool(request.param)


def masks(path: Path) -> dict[str, list[int]]:
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [3, 0, 2]
        return {name: numbers.tolist() for name, numbers in recording.masks.items()}


def write_and_die(path: Path, at: int) -> bool:
    """Write a mask in a child that ends before the call number ``at``; say whether it came to its end."""
    child = os.fork()
    if not child:
        left = [at]

        def dying(call: Any) -> Any:
            def run(*arguments: Any, **options: Any) -> Any:
                if not left[0]:
                    os._exit(9)
                left[0] -= 1
                return call(*arguments, **options)

            return run

        for name in CALLS:
            setattr(os, name, dying(getattr(os, name)))
        try:
            write_mask(path, "new", np.array([0, 2]))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_mask_is_written(is_copied: bool, path: Path) -> None:
    inode = path.stat().st_ino
    write_mask(path, "new", np.array([0, 2]))
    assert masks(path) == {"old": [1], "new": [0, 2]}
    assert (path.stat().st_ino != inode) == is_copied
    write_mask(path, "new", np.array([1]))
    assert masks(path) == {"old": [1], "new": [1]}
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]
    assert h5r.validate(path, deep=True) == []
    with h5py.File(path) as file:  # any HDF5 program opens it
        assert file["masks/new"][:].tolist() == [1]


@pytest.mark.long
def test_a_kill_at_any_instant_leaves_the_recording_with_the_mask_or_without_it(is_copied: bool, path: Path) -> None:
    """A call that changes no byte, as ``fsync``, leaves the files of the one before: they are inspected once."""
    found: list[dict[str, list[int]]] = []
    left, at, is_over = None, 0, False
    while not is_over:
        place = path.parent / str(at)
        place.mkdir()
        copy = Path(shutil.copy(path, place / "run.h5"))
        is_over = write_and_die(copy, at)
        at += 1
        before, left = left, {each.name: each.read_bytes() for each in place.iterdir()}
        if left == before:
            found.append(found[-1])
            continue
        if recording_state(copy) is State.INTERRUPTED:
            assert not is_copied
            assert h5r.repair(copy).ok
        found.append(masks(copy))
        assert [each for each in h5r.validate(copy, deep=True) if each.code != "left-behind"] == []
    assert len(found) > (4 if is_copied else 10)
    changes = [found.index({"old": [1], "new": [0, 2]})]
    assert found == [{"old": [1]}] * changes[0] + [{"old": [1], "new": [0, 2]}] * (len(found) - changes[0])


def test_a_full_disk_leaves_a_small_recording_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match="No space left"):
        write_mask(path, "new", np.array([0]))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]


def test_a_copy_has_the_permissions_of_the_file(path: Path) -> None:
    path.chmod(0o640)
    write_mask(path, "new", np.array([0]))
    assert path.stat().st_mode & 0o777 == 0o640
