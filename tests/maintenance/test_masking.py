"""``add_mask``: episodes get a name in a closed recording, and keep it."""

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
from gym_h5record.errors import (
    CorruptRecordingError,
    InterruptedRecordingError,
    RecordingInUseError,
    RecordingNotFoundError,
    RecordingPathError,
    SelectionError,
    WriterError,
)
from gym_h5record.storage import mask_writer
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.state import State, recording_state
from tests.reading import record
from tests.writing import Pen, pair
from tests.zoo import ZooEnv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(9), rewards=(0.5, 1.0), length=10), [10, 4, 0, 10])
    return tmp_path / "run.h5"


def masks(path: Path) -> dict[str, list[int]]:
    with h5r.Recording(path) as recording:
        return {name: numbers.tolist() for name, numbers in recording.masks.items()}


@pytest.mark.parametrize(
    ("episodes", "numbers"),
    [
        ([3, 0, 3], [0, 3]),
        ("complete", [0, 3]),
        (lambda episode: episode.length < 5, [1, 2]),
        (np.arange(4) > 1, [2, 3]),
        ([-1], [3]),
        ([], []),
    ],
    ids=["numbers", "condition", "function", "booleans", "negative", "none"],
)
def test_any_episodes_that_can_be_selected_get_the_name(episodes: Any, numbers: list[int], path: Path) -> None:
    h5r.add_mask(path, "some", episodes)
    assert masks(path) == {"some": numbers}
    with h5r.Recording(path) as recording:
        assert recording.select("some").numbers.tolist() == numbers
    assert h5r.validate(path, deep=True) == []
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]


def test_the_parts_of_a_split_get_their_names(path: Path) -> None:
    with h5r.Recording(path) as recording:
        parts = recording.split({"train": 0.5, "valid": 0.5}, seed=1)
        for name, part in parts.items():
            h5r.add_mask(path, name, part)
        assert recording.masks == {}  # as it was opened
    assert masks(path) == {name: part.numbers.tolist() for name, part in parts.items()}


def test_episodes_of_another_recording_are_refused(path: Path, tmp_path: Path) -> None:
    other = shutil.copy(path, tmp_path / "other.h5")
    with h5r.Recording(other) as recording, pytest.raises(SelectionError, match=r"episodes of .*other\.h5, not of"):
        h5r.add_mask(path, "some", recording[:2])


@pytest.mark.parametrize("name", ["", "a/b", "-a", "x" * 65, None, 3, "complete", "length"], ids=repr)
def test_a_name_that_cannot_be_is_refused(name: Any, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(SelectionError, match="no name for a mask|a mask cannot be called"):
        h5r.add_mask(path, name, [0])
    assert path.read_bytes() == before


def test_a_name_that_is_taken_is_refused_unless_it_may_be_replaced(path: Path) -> None:
    h5r.add_mask(path, "train", [0])
    with pytest.raises(SelectionError, match=r"has a mask 'train' already: choose another name, or replace=True"):
        h5r.add_mask(path, "train", [1])
    h5r.add_mask(path, "train", [1, 2], replace=True)
    h5r.add_mask(path, "other", [3], replace=True)
    assert masks(path) == {"train": [1, 2], "other": [3]}


def test_more_masks_than_the_format_allows_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_h5record.maintenance.masking.MAX_MASKS", 1)
    h5r.add_mask(path, "train", [0])
    h5r.add_mask(path, "train", [1], replace=True)
    with pytest.raises(SelectionError, match="has 1 masks, and no file has more"):
        h5r.add_mask(path, "valid", [0])


def test_episodes_that_are_not_there_are_refused(path: Path) -> None:
    with pytest.raises(SelectionError, match="there is no episode 4"):
        h5r.add_mask(path, "train", [4])


# Which files -------------------------------------------------------------------------------------------


def test_a_live_recording_is_refused(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(pair(0))
        pen.step(pair(1))
        pen.flush()
        with pytest.raises(RecordingInUseError):
            h5r.add_mask(tmp_path / "run.h5", "train", [0])
    h5r.add_mask(tmp_path / "run.h5", "train", [0])
    assert masks(tmp_path / "run.h5") == {"train": [0]}


def test_a_recorder_that_has_just_taken_the_path_is_respected(path: Path) -> None:
    lock = RecordingLock(path)
    try:
        with pytest.raises(RecordingInUseError):
            h5r.add_mask(path, "train", [0])
    finally:
        lock.release()
    assert masks(path) == {}


def test_an_interrupted_recording_is_refused(path: Path) -> None:
    path.with_name("run.h5.journal").write_bytes(b"")
    with pytest.raises(InterruptedRecordingError, match="repair"):
        h5r.add_mask(path, "train", [0])


def test_a_recording_that_is_not_there_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(RecordingNotFoundError):
        h5r.add_mask(tmp_path / "run.h5", "train", [0])
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_other_names_is_refused(path: Path, tmp_path: Path) -> None:
    os.link(path, tmp_path / "other.h5")
    with pytest.raises(RecordingPathError, match="hard links"):
        h5r.add_mask(path, "train", [0])


def test_through_a_symbolic_link_the_file_itself_is_changed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.h5").symlink_to(path)
    h5r.add_mask(tmp_path / "link.h5", "train", [0])
    assert (tmp_path / "link.h5").is_symlink()
    assert masks(path) == {"train": [0]}


def test_a_damaged_mask_must_be_replaced_first(path: Path) -> None:
    h5r.add_mask(path, "train", [0])
    with h5py.File(path, "r+") as file:
        file["masks/train"][0] = 9
    with pytest.raises(CorruptRecordingError, match="names episode 9"):
        h5r.add_mask(path, "valid", [0])


@pytest.mark.parametrize("copied_bytes", [1 << 30, 0], ids=["by a copy", "in place"])
def test_a_full_disk_is_a_writer_error_and_the_recording_stays(
    copied_bytes: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite, left = os.pwrite, [3]

    def fail(*arguments: Any) -> int:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(*arguments)

    monkeypatch.setattr(mask_writer, "_COPIED_BYTES", copied_bytes)
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(WriterError, match="mask 'train' cannot be written to .*No space left"):
        h5r.add_mask(path, "train", [0])
    monkeypatch.undo()
    assert recording_state(path) is State.CLOSED
    assert masks(path) == {}
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]
    h5r.add_mask(path, "train", [0])
    assert masks(path) == {"train": [0]}


# What becomes of masks ---------------------------------------------------------------------------------


@pytest.mark.compacted
def test_appending_keeps_masks_and_so_does_the_compaction_behind_it(path: Path) -> None:
    h5r.add_mask(path, "train", [0, 3])
    inode = path.stat().st_ino
    record(path, ZooEnv(spaces.Discrete(9), rewards=(0.5, 1.0), length=10), [10] * 200, mode="a")
    assert path.stat().st_ino != inode  # compacted
    assert masks(path) == {"train": [0, 3]}
    with h5r.Recording(path) as recording:
        assert recording.num_episodes == 204
    assert h5r.validate(path, deep=True) == []


def test_repair_keeps_masks(path: Path) -> None:
    h5r.add_mask(path, "train", [0, 3])
    with path.open("ab") as file:
        file.write(b"12345678")  # as a recorder that appends leaves it
    assert recording_state(path) is State.INTERRUPTED
    assert h5r.repair(path).ok
    assert masks(path) == {"train": [0, 3]}


def test_what_is_salvaged_has_no_masks_as_its_episodes_may_have_other_numbers(path: Path, tmp_path: Path) -> None:
    h5r.add_mask(path, "train", [0, 3])
    with h5py.File(path, "r+") as file:
        file["types"][2, :] = 77
    report = h5r.repair(path, salvage=tmp_path / "saved.h5")
    assert report.salvaged is not None
    assert masks(tmp_path / "saved.h5") == {}
    with h5r.Recording(tmp_path / "saved.h5") as recording:
        assert "mask_names" not in recording.metadata
    assert h5r.validate(tmp_path / "saved.h5", deep=True) == []


def test_masks_are_no_difference(path: Path, tmp_path: Path) -> None:
    other = shutil.copy(path, tmp_path / "other.h5")
    h5r.add_mask(path, "train", [0, 3])
    report = h5r.diff(path, other)
    assert (report.ok, report.metadata) == (True, ())
