"""A closed recording that has only what this package makes: it is known, and others are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.maintenance.masking import add_mask
from gym_h5record.storage.closed_recording import ClosedRecording
from gym_h5record.storage.handle import Handle
from tests.reading import record
from tests.zoo import ZooEnv

pytestmark = pytest.mark.compacted


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with linked frames and with infos, as it was closed; do not change it."""
    path = tmp_path_factory.mktemp("closed") / "run.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gym_h5record.writing.inline_worker.compact", lambda path: False)
        env = ZooEnv(spaces.Box(0, 255, (20, 30, 3), np.uint8), spaces.Discrete(3), length=40)
        record(path, env, [40, 3], frames="observation", checksum=True)
    return path


@pytest.fixture
def path(plain: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(plain, tmp_path / "run.h5"))


def test_it_knows_what_is_packed_and_what_is_copied(plain: Path) -> None:
    with closing(Handle(plain)) as handle:
        found = ClosedRecording(handle)
        assert [field.name for field in found.copied] == [fmt.OBSERVATIONS, fmt.DONES]
        counts = {field.name: count for field, count in found.packed.items()}
        assert (counts[fmt.REWARDS], counts["episodes/starts"]) == (45, 2)
        assert counts["episodes/json/values"] == len(handle.file["episodes/json/values"])
        assert found.has_checksums
        assert (found.commit.rows, found.commit.episodes) == (45, 2)


def test_it_knows_the_size_of_what_is_copied(plain: Path) -> None:
    names = (fmt.OBSERVATIONS, fmt.DONES, f"checksums/{fmt.OBSERVATIONS}", f"checksums/{fmt.DONES}")
    with closing(Handle(plain)) as handle:
        expected = sum(handle.file[name].id.get_storage_size() for name in names)
        assert ClosedRecording(handle).copied_bytes == expected > 0


def _another_chunk(file: h5py.File) -> None:
    old = file["dones"][:]
    del file["dones"]
    file.create_dataset("dones", data=old, chunks=(7,), maxshape=(None,))


def _unlinked(file: h5py.File) -> None:
    del file["frames"]
    file.copy("observations", "frames")


CHANGES: dict[str, Callable[[h5py.File], Any]] = {
    "a-dataset": lambda file: file.create_dataset("mine", data=1),
    "a-dataset-deep-in-it": lambda file: file.create_dataset("infos/json/mine", data=1),
    "a-dataset-among-the-checksums": lambda file: file.create_dataset("checksums/mine", data=1),
    "a-group": lambda file: file.create_group("mine"),
    "a-soft-link": lambda file: file.__setitem__("mine", h5py.SoftLink("/rewards")),
    "an-external-link": lambda file: file.__setitem__("mine", h5py.ExternalLink("other.h5", "/")),
    "an-attribute-of-the-root": lambda file: file.attrs.update(mine=1),
    "an-attribute-of-the-metadata": lambda file: file["metadata"].attrs.update(mine=1),
    "an-attribute-of-a-group": lambda file: file["infos/json"].attrs.update(mine=1),
    "an-attribute-of-a-dataset": lambda file: file["dones"].attrs.update(mine=1),
    "other-chunks": _another_chunk,
    "frames-of-their-own": _unlinked,
    "no-frames": lambda file: file.pop("frames"),
    "no-column": lambda file: file.pop("rewards"),
    "no-checksums-of-a-column": lambda file: file.pop("checksums/rewards"),
    "rows-that-are-not-there": lambda file: file["commit"].__setitem__(0, 46),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_recording_with_something_else_is_refused(change: Callable[[h5py.File], Any], path: Path) -> None:
    with h5py.File(path, "r+") as file:
        change(file)
    with closing(Handle(path)) as handle, pytest.raises(CorruptRecordingError):
        ClosedRecording(handle)


def test_masks_are_known_and_other_members_of_their_group_are_refused(path: Path) -> None:
    add_mask(path, "train", [1])
    with closing(Handle(path)) as handle:
        found = ClosedRecording(handle)
        assert {name: numbers.tolist() for name, numbers in found.masks.items()} == {"train": [1]}
    with h5py.File(path, "r+") as file:
        file["masks/mine"] = np.arange(3)
    with closing(Handle(path)) as handle, pytest.raises(CorruptRecordingError, match="/masks has"):
        ClosedRecording(handle)


def _behind(file: h5py.File) -> None:
    file["masks/train"][0] = 9


def _described(file: h5py.File) -> None:
    file["masks/train"].attrs["description"] = "mine"


def _unlisted(file: h5py.File) -> None:
    del file["metadata"].attrs["mask_names"]


@pytest.mark.parametrize("change", [_behind, _described, _unlisted])
def test_masks_that_this_package_does_not_make_are_refused(change: Callable[[h5py.File], None], path: Path) -> None:
    add_mask(path, "train", [1])
    with h5py.File(path, "r+") as file:
        change(file)
    with closing(Handle(path)) as handle, pytest.raises(CorruptRecordingError):
        ClosedRecording(handle)
