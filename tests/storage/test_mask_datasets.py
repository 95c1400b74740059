"""The datasets of masks in an open file: any HDF5 program can read them, and nothing else is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.mask_datasets import create_mask, put_mask
from tests.reading import record
from tests.zoo import ZooEnv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(9)), [1] * 5)
    return tmp_path / "run.h5"


def test_a_mask_is_a_plain_dataset_that_says_what_it_is(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        put_mask(file, "train", np.array([0, 3]))
        put_mask(file, "none", np.array([], np.int64))
    with h5py.File(path) as file:
        dataset = file["masks/train"]
        assert dataset[:].tolist() == [0, 3]
        assert (dataset.dtype, dataset.maxshape, dataset.compression) == (np.int64, (None,), None)
        assert dataset.attrs["description"] == "Numbers of the episodes of a named subset"
        assert dataset.dims[0].label == "number"
        assert file["masks/none"].shape == (0,)
        assert json.loads(file["metadata"].attrs["mask_names"]) == ["train", "none"]


def test_a_mask_is_replaced_in_its_place(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        for numbers in ([0, 3], [1], [0, 1, 2, 3], []):
            put_mask(file, "train", np.array(numbers, np.int64))
            assert file["masks/train"][:].tolist() == numbers
        assert json.loads(file["metadata"].attrs["mask_names"]) == ["train"]


def test_a_mask_that_another_program_has_stored_otherwise_is_replaced_too(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        put_mask(file, "train", np.array([0, 3]))
        del file["masks/train"]
        file["masks/train"] = np.array([0, 3])
        put_mask(file, "train", np.array([1]))
        assert file["masks/train"][:].tolist() == [1]
        assert file["masks/train"].maxshape == (None,)


def test_a_mask_is_created_without_being_listed(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        create_mask(file, "train", np.array([2]))
        assert file["masks/train"][:].tolist() == [2]
        assert "mask_names" not in file["metadata"].attrs


def _group(file: h5py.File) -> None:
    file.create_group("masks/train")


def _foreign(file: h5py.File) -> None:
    file["masks/train"] = np.arange(3)


def _dataset(file: h5py.File) -> None:
    file["masks"] = np.arange(3)


def _link(file: h5py.File) -> None:
    file["masks"] = h5py.SoftLink("/episodes")


@pytest.mark.parametrize("spoil", [_group, _foreign, _dataset, _link])
def test_what_is_no_mask_is_not_overwritten(spoil: object, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        spoil(file)  # type: ignore[operator]
        with pytest.raises(CorruptRecordingError, match="something that is no mask is in its place"):
            put_mask(file, "train", np.array([0]))
        assert "mask_names" not in file["metadata"].attrs


def test_names_that_cannot_be_read_stay(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["metadata"].attrs["mask_names"] = "?"
        with pytest.raises(CorruptRecordingError, match="mask_names cannot be read"):
            put_mask(file, "train", np.array([0]))
