"""What each column takes, as HDF5 stores it."""

from __future__ import annotations

from pathlib import Path

import ale_py
import gymnasium as gym
import h5py
import pytest

import gym_h5record as h5r
from gym_h5record.errors import NotARecordingError
from gym_h5record.storage.usage import ColumnUsage, column_usage
from tests.paintings import record_paintings

gym.register_envs(ale_py)


def test_figures_are_those_of_hdf5(paintings: Path) -> None:
    columns = {column.name: column for column in column_usage(paintings)}
    with h5py.File(paintings) as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert sorted(columns) == sorted(names)
        for name, column in columns.items():
            assert column.shape == file[name].shape
            assert column.dtype == str(file[name].dtype)
            assert column.chunk_rows == file[name].chunks[0]
            assert column.stored_bytes == file[name].id.get_storage_size()
            assert column.raw_bytes == file[name].nbytes
    assert columns["frames"].filter == "gzip"
    assert columns["rewards"].filter == "gzip"  # behind shuffle
    assert columns["dones"].filter is None


def test_names_come_in_order(paintings: Path) -> None:
    names = [column.name for column in column_usage(paintings)]
    assert names == sorted(names)


def test_a_linked_dataset_is_counted_once_under_the_name_of_the_observations(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    env = h5r.RecordToHDF5(gym.make("ALE/Breakout-v5"), path)
    env.reset(seed=0)
    env.step(0)
    env.close()
    columns = {column.name: column for column in column_usage(path)}
    assert "frames" not in columns
    assert columns["observations"].aliases == ("frames",)


def test_links_in_circles_and_out_of_the_file_are_not_followed(tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (2,))
    before = column_usage(path)
    with h5py.File(path, "r+") as file:
        file["circle"] = file["/"]
        file["episodes/circle"] = file["episodes"]
        file["outside"] = h5py.ExternalLink("other.h5", "/")
        file["nowhere"] = h5py.SoftLink("/not/there")
    assert column_usage(path) == before


def test_datasets_of_other_people_are_left_alone(tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (2,))
    before = column_usage(path)
    with h5py.File(path, "r+") as file:
        file["scalar"] = 3.0
        file["null"] = h5py.Empty("f4")
        file.create_dataset("shuffled", (10,), "i4", chunks=(5,), shuffle=True, compression="lzf")
    assert column_usage(path) == before


def test_the_ratio_is_raw_to_stored() -> None:
    assert ColumnUsage("x", (8,), "int64", 8, "gzip", stored_bytes=16, raw_bytes=64).ratio == 4.0


def test_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(NotARecordingError, match="not a recording"):
        column_usage(tmp_path / "other.h5")


def test_masks_are_columns_too_unless_their_names_cannot_be_read(tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (2, 3))
    h5r.add_mask(path, "train", [1])
    assert next(column for column in column_usage(path) if column.name == "masks/train").shape == (1,)
    with h5py.File(path, "r+") as file:
        file["metadata"].attrs["mask_names"] = "?"
    assert "masks/train" not in {column.name for column in column_usage(path)}
