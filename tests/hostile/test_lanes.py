"""Damaged and hostile vector recordings: one clear error, ``validate`` names the place, and nothing hangs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from tests.hostile.lanes import attribute, both, dataset, gone, item, schema
from tests.lane_recordings import record_lanes

pytestmark = [pytest.mark.timeout(20), pytest.mark.compacted]

Change = Callable[[h5py.File], object]
LANES = 4


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_lanes(tmp_path_factory.mktemp("lanes") / "run.h5", "tuple")


CASES: dict[str, tuple[Change, str, str]] = {
    # name: (change, what the error says, where validate finds it)
    "num_envs is 0": (attribute(0), "num_envs=0, expected 1 to 16384", "/"),
    "num_envs is negative": (attribute(-1), "num_envs=-1, expected 1 to 16384", "/"),
    "num_envs is huge": (attribute(1 << 40), "num_envs=1099511627776, expected 1 to 16384", "/"),
    "num_envs is beyond int64": (attribute(np.uint64(2**64 - 1)), "expected 1 to 16384", "/"),
    "num_envs is a text": (attribute("4"), "num_envs='4', expected 1 to 16384", "/"),
    "num_envs is a float": (attribute(4.0), "num_envs=4.0, expected 1 to 16384", "/"),
    "num_envs is a list": (attribute([4, 4]), "'num_envs' is no single value", "/"),
    "num_envs is less than the schema says": (attribute(3), r"bool\(4,\), the schema says bool\(3,\)|numbers, those of 3 lanes", "/metadata"),
    "num_envs is more than the schema says": (attribute(5), "/commit has 5 numbers, those of 5 lanes are 6", "/metadata"),
    "num_envs is missing": (lambda file: file.attrs.__delitem__("num_envs"), "the schema says|its schema says", "/metadata"),
    "the schema says fewer": (schema(3), "num_envs=4, its schema says 3", "/metadata"),
    "the schema says nothing": (schema(None), "num_envs=4, its schema says None|schema in /metadata cannot be read", "/metadata"),
    "the schema says 0": (schema(0), "up to 16384 lanes, not 0", "/metadata"),
    "the schema says a text": (schema("4"), "up to 16384 lanes, not '4'", "/metadata"),
    "the schema says far too many": (schema(10**30), "up to 16384 lanes, not 1000", "/metadata"),
    "both say fewer": (both(3), "/commit has 5 numbers, those of 3 lanes are 4", "/commit"),
    "both say 16384": (both(1 << 14), "/commit has 5 numbers, those of 16384 lanes are 16385", "/commit"),
    "commit is short": (dataset("commit", np.array([5, 5, 2])), "/commit has 3 numbers, those of 4 lanes are 5", "/commit"),
    "commit is long": (dataset("commit", np.array([5, 5, 5, 5, 5, 2])), "/commit has 6 numbers", "/commit"),
    "commit is empty": (dataset("commit", np.empty(0, np.int64)), "/commit has 0 numbers", "/commit"),
    "commit has negative rows": (item("commit", 0, -1), "/commit claims -1 rows", "/commit"),
    "commit has more rows than bytes": (item("commit", 0, 1 << 61), "more than .* bytes can hold", "/commit"),
    "commit has rows whose sum is beyond int64": (item("commit", slice(0, 4), 1 << 62), "/commit claims 18446744073709551.* rows", "/commit"),
    "commit has rows that a lane has not": (item("commit", 2, 1000), "items, 1000 are needed", "/commit"),
    "commit has more episodes than rows": (item("commit", 4, 1 << 40), "/commit claims", "/commit"),
    "a lane is negative": (item("episodes/envs", 1, -1), "episode 1 is of lane -1, there are 4", "/episodes/envs"),
    "a lane is beyond": (item("episodes/envs", 1, LANES), "episode 1 is of lane 4, there are 4", "/episodes/envs"),
    "a lane is huge": (item("episodes/envs", 1, 1 << 62), "episode 1 is of lane 4611686018427387904", "/episodes/envs"),
    "lanes are missing": (gone("episodes/envs"), "there is no /episodes/envs", "/episodes/envs"),
    "lanes are floats": (dataset("episodes/envs", np.zeros(23)), "the schema says int64", "/episodes/envs"),
    "lanes are few": (dataset("episodes/envs", np.zeros(2, np.int64)), "/episodes/envs has 2 items", "/episodes/envs"),
    "a start is beyond the lane": (item("episodes/starts", 1, 10**6), "episode 1 claims rows 1000000", "/episodes episode 0 lane 3"),
    "a start is in the next lane": (item("episodes/starts", 1, 1 << 40), "episode 1 claims rows 1099511627776", "/episodes episode 0 lane 3"),
    "a start is negative": (item("episodes/starts", 1, -3), "episode 1 claims rows -3", "/episodes episode 0 lane 3"),
    "a length is beyond the lane": (item("episodes/lengths", 1, 1 << 62), "episode 1 claims rows 0 to 461", "/episodes episode 0 lane 3"),
    "a column has fewer lanes": (dataset("rewards", np.zeros((21, 3))), r"the schema says float64\(4,\)", "/rewards lane 0"),
    "a column has no lanes": (dataset("rewards", np.zeros(21)), r"the schema says float64\(4,\)", "/rewards lane 0"),
    "a column has no lane at all": (dataset("rewards", np.zeros((21, 0))), "is no list of items", "/rewards lane 0"),
    "a column is short": (dataset("rewards", np.zeros((3, 4))), "/rewards has 3 items in each of 4 lanes", "/rewards lane 0"),
}  # fmt: skip


every_case = pytest.mark.parametrize("name", CASES)


def made(name: str, lanes: Path, folder: Path) -> Path:
    path = Path(shutil.copy(lanes, folder / "run.h5"))
    with h5py.File(path, "r+") as file:
        CASES[name][0](file)
    return path


def read_all(path: Path) -> None:
    with h5r.Recording(path) as recording:
        for episode in recording:
            episode.to_dict()
        for _ in recording.iter_batches(16):
            pass


@every_case
def test_reading_it_is_one_clear_error_and_validate_names_the_place(name: str, lanes: Path, tmp_path: Path) -> None:
    path, (_, message, place) = made(name, lanes, tmp_path), CASES[name]
    with pytest.raises(CorruptRecordingError, match=message):
        read_all(path)
    problems = h5r.validate(path, deep=True)
    assert any(f"{each.place} ".startswith(f"{place} ") for each in problems if each.severity is h5r.Severity.ERROR)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", [*CASES][::3])
def test_repair_saves_what_can_be_read(name: str, lanes: Path, tmp_path: Path) -> None:
    path = made(name, lanes, tmp_path)
    report = h5r.repair(path, salvage=tmp_path / "saved.h5")
    assert (report.found, report.ok) == ("damaged", False)
    if report.salvaged is not None:
        assert not h5r.validate(report.salvaged, deep=True)
        with h5r.Recording(report.salvaged) as saved:
            assert saved.num_rows == report.readable.rows


def test_many_lanes_in_a_small_file_are_opened_at_once(tmp_path: Path) -> None:
    path = record_lanes(tmp_path / "run.h5", "numbers", lengths=((3,),) * 64, num_steps=1)
    with h5py.File(path, "r+") as file:
        both(1 << 14)(file)
        del file["commit"]
        file["commit"] = np.ones((1 << 14) + 1, np.int64)
    with pytest.raises(CorruptRecordingError, match=r"the schema says bool\(16384,\)"):
        read_all(path)
