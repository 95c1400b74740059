"""The episode index: read as far as it is committed, once, and believed only where it can be true."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.lanes import address
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from tests.lane_recordings import record_lanes
from tests.reading import Reads, record, write_ones
from tests.zoo import ZooEnv


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes that terminated, were cut short, and had no step; do not change it."""
    where = tmp_path_factory.mktemp("index") / "run.h5"
    record(where, ZooEnv(spaces.Discrete(9), rewards=(0.1, 0.2, 0.7), length=10), [10, 4, 0, 10, 1])
    return where


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(path, tmp_path / "run.h5"))


def committed(path: Path) -> EpisodeIndex:
    return EpisodeIndex.committed(ColumnReader(Handle(path, Access.CLOSED)))


def test_episodes_are_where_the_rows_say(path: Path) -> None:
    index = committed(path)
    assert (index.num_episodes, index.num_rows) == (5, 30)
    assert [index.span(episode) for episode in range(5)] == [(0, 10), (11, 4), (16, 0), (17, 10), (28, 1)]
    assert (index.open_start, index.num_running) == (30, 0)


def test_rows_behind_the_last_episode_make_it_open(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file["commit"][1] = 4
    index = committed(copy)
    assert (index.open_start, index.num_running) == (28, 1)
    with h5py.File(copy, "r+") as file:
        file["commit"][1] = 0
    index = committed(copy)
    assert (index.open_start, index.num_running) == (0, 1)


def test_the_first_open_row_of_many_episodes_is_found_without_reading_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ones(tmp_path / "run.h5", 3000)
    index = committed(tmp_path / "run.h5")
    monkeypatch.setattr(EpisodeIndex, "column", lambda *_: pytest.fail("a whole column is read"))
    assert index.open_start == 6000


def test_a_later_index_reads_only_the_newest_entry_and_those_behind_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = committed(path)
    known = {name: whole.column(name)[:3] for name in ("starts", "lengths")}
    earlier = EpisodeIndex(whole.storage, 3, [17], known)
    ranges = []
    items = ColumnReader.items
    monkeypatch.setattr(
        ColumnReader, "items", lambda self, *asked: (ranges.append(asked), items(self, *asked))[1], raising=True
    )
    later = earlier.later()
    assert (later.num_episodes, later.num_rows) == (5, 30)
    assert later.column("lengths").tolist() == [10, 4, 0, 10, 1]
    assert later.column("lengths").tolist() == [10, 4, 0, 10, 1]
    assert ranges == [("commit", 0, 2), ("episodes/lengths", 2, 5)]


def test_a_column_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = committed(path)
    reads = Reads(monkeypatch)
    index.column("returns")
    assert reads.take() == {"episodes/returns"}
    index.column("returns")
    assert reads.take() == set()


def test_the_json_of_an_episode_is_its_own(path: Path, copy: Path) -> None:
    index = committed(path)
    assert [index.json(episode).get("options") for episode in range(3)] == [None, {"episode": (1,)}, {"episode": (2,)}]
    with h5py.File(copy, "r+") as file:
        file["episodes/json/ends"][0] = 10**9
    with pytest.raises(CorruptRecordingError, match="/episodes/json of episode 0 has 1000000000 bytes"):
        committed(copy).json(0)


@pytest.mark.parametrize(("rows", "episodes"), [(30, 31), (-1, 0), (30, -1), (31, 5), (30, 6)])
def test_a_commit_beyond_what_is_stored_is_corruption(rows: int, episodes: int, copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file["commit"][:2] = rows, episodes
    with pytest.raises(CorruptRecordingError):
        committed(copy)


@pytest.mark.parametrize(("name", "value"), [("starts", -1), ("starts", 34), ("lengths", -1), ("lengths", 10**12)])
def test_an_episode_that_claims_rows_that_are_not_there_is_corruption(
    name: str, value: int, path: Path, tmp_path: Path
) -> None:
    shutil.copy(path, tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file[f"episodes/{name}"][4] = value
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    assert episodes[3].length == 10
    with pytest.raises(CorruptRecordingError, match="episode 4"):
        episodes[4]


def test_spans_are_those_of_all_episodes_at_once(path: Path) -> None:
    index = committed(path)
    starts, lengths = index.spans
    assert [*zip(starts.tolist(), lengths.tolist(), strict=True)] == [index.span(episode) for episode in range(5)]


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("starts", -1, "episode 2 claims rows -1"),
        ("starts", 30, "episode 2 claims rows 30"),
        ("lengths", -1, "episode 2 claims"),
        ("lengths", 2**63 - 1, "episode 2 claims"),
        ("lengths", 13, "claims 38 steps in 5 episodes, more than 30 rows can hold"),
    ],
)
def test_spans_outside_of_the_rows_or_over_each_other_are_corruption(
    name: str, entry: int, message: str, copy: Path
) -> None:
    with h5py.File(copy, "r+") as file:
        file[f"episodes/{name}"][2] = entry
    with pytest.raises(CorruptRecordingError, match=message):
        _ = committed(copy).spans


def test_a_seed_in_the_json_is_a_number(copy: Path) -> None:
    with pytest.raises(CorruptRecordingError, match="lacks the seed of episode 0"):
        committed(copy).seed_in_json(0)


# Lanes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 4, 6])
def test_a_commit_of_another_number_of_lanes_is_corruption(count: int, tmp_path: Path) -> None:
    path = record_lanes(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        numbers = np.resize(file["commit"][:], count)
        del file["commit"]
        file["commit"] = numbers
    with pytest.raises(CorruptRecordingError, match=f"/commit has {count} numbers, those of 4 lanes are 5"):
        committed(path)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_a_commit_of_lanes_whose_rows_are_newer_than_its_episodes_is_read_again(count: int, tmp_path: Path) -> None:
    """The writer may be writing the numbers of a commit while they are read."""
    path = record_lanes(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file["commit"][-1] = count
    with pytest.raises(CorruptRecordingError, match=f"/commit claims {count} episodes, and .* rows of lane"):
        EpisodeIndex.committed(ColumnReader(Handle(path, Access.LIVE)))


def test_a_commit_of_lanes_whose_last_episode_still_runs_is_right(tmp_path: Path) -> None:
    path = record_lanes(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        *rows, episodes = file["commit"][:].tolist()
        file["commit"][-1] = episodes - 1
        start, length = (int(file[f"episodes/{name}"][episodes - 1]) for name in ("starts", "lengths"))
        lane = int(file["episodes/envs"][episodes - 1])
    index = EpisodeIndex.committed(ColumnReader(Handle(path, Access.LIVE)))
    assert index.num_rows == sum(rows)
    assert [each.tolist() for each in index.open_spans] == [[address(lane, start)], [length]]
