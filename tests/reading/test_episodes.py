"""Episodes: what the environment did from one reset to the next."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.names import Origin
from tests.reading import Reads, record, write_ones
from tests.writing import Pen, pair
from tests.zoo import Played, ZooEnv, check_recorded


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes that terminated, were cut short, and had no step; do not change it."""
    where = tmp_path_factory.mktemp("episodes") / "run.h5"
    record(where, ZooEnv(spaces.Discrete(9), rewards=(0.1, 0.2, 0.7), length=10), [10, 4, 0, 10, 1])
    return where


@pytest.fixture
def episodes(path: Path) -> Any:
    return h5r.Recording(path).episodes


def test_the_list_is_a_sequence(episodes: Any) -> None:
    assert len(episodes) == 5
    assert [episode.number for episode in episodes] == [0, 1, 2, 3, 4]
    assert [episode.number for episode in reversed(episodes)] == [4, 3, 2, 1, 0]
    assert [(a.number, b.number) for a in episodes[:2] for b in episodes[:2]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (episodes[-1].number, episodes[np.int64(1)].number) == (4, 1)


@pytest.mark.parametrize(
    "each",
    [
        slice(None),
        slice(1, 3),
        slice(None, None, 2),
        slice(None, None, -1),
        slice(-2, None),
        slice(9, 3),
        slice(4, 0, -3),
    ],
    ids=str,
)
def test_slices_are_lists_of_episodes_that_keep_their_numbers(each: slice, episodes: Any) -> None:
    part = episodes[each]
    assert type(part) is type(episodes)
    assert [episode.number for episode in part] == list(range(5))[each]
    assert len(part) == len(list(range(5))[each])
    assert [episode.number for episode in part[::-1]] == list(range(5))[each][::-1]


@pytest.mark.parametrize("index", [5, -6, 10**20], ids=str)
def test_an_index_out_of_range_says_how_many_there_are(index: int, episodes: Any) -> None:
    with pytest.raises(IndexError, match=rf"{index}.*5"):
        episodes[index]
    with pytest.raises(IndexError, match=r"2.*there are 2"):
        episodes[1:3][2]


@pytest.mark.parametrize("index", [1.0, "0", None, (0,), [0, [1]]], ids=repr)
def test_an_index_of_another_type_is_an_error(index: Any, episodes: Any) -> None:
    with pytest.raises(TypeError):
        episodes[index]


def test_episodes_say_what_happened(episodes: Any) -> None:
    assert [episode.length for episode in episodes] == [len(episode) for episode in episodes] == [10, 4, 0, 10, 1]
    assert [episode.start for episode in episodes] == [0, 11, 16, 17, 28]
    assert [episode.terminated for episode in episodes] == [True, False, False, True, False]
    assert [episode.truncated for episode in episodes] == [False] * 5
    assert [episode.complete for episode in episodes] == [True, False, False, True, False]
    assert [episode.seed for episode in episodes] == [0, None, 2, None, 4]
    assert [episode.options for episode in episodes] == [None, *({"episode": (number,)} for number in range(1, 5))]
    assert [episode.episode_id for episode in episodes] == [0, 1, 2, 3, 4]
    assert {episode.origin for episode in episodes} == {Origin.RESET}
    assert {episode.env for episode in episodes} == {0}


def test_total_rewards_are_sums_of_the_rewards(episodes: Any) -> None:
    for episode in episodes:
        assert episode.total_reward == sum((float(reward) for reward in episode.rewards), 0.0)


def test_truncation_is_told_from_termination(tmp_path: Path) -> None:
    flags = [(True, False), (False, True), (True, True), (False, False)]
    with Pen(tmp_path / "run.h5") as pen:
        for terminated, truncated in flags:
            pen.begin(pair(0))
            pen.step(pair(1), terminated=terminated, truncated=truncated)
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    assert [(episode.terminated, episode.truncated) for episode in episodes] == flags
    assert [(episode.terminations[-1], episode.truncations[-1]) for episode in episodes] == flags
    assert [str(episode).rpartition(", ")[2] for episode in episodes] == [
        *("terminated>", "truncated>", "terminated>", "incomplete>")
    ]


def test_the_texts_say_what_they_are(episodes: Any) -> None:
    assert str(episodes) == "<EpisodeList of 5 episodes>"
    assert str(episodes[1]) == "<Episode 1: 4 steps, total reward 1.1, incomplete>"


def test_values_are_python_values(episodes: Any) -> None:
    first = episodes[0]
    kinds = {
        "length": int,
        "start": int,
        "number": int,
        "env": int,
        "episode_id": int,
        "total_reward": float,
        "seed": int,
    }
    kinds |= {"terminated": bool, "truncated": bool, "complete": bool}
    for name, kind in kinds.items():
        assert type(getattr(first, name)) is kind, name


def test_what_was_not_recorded_is_none(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(9)), [3], infos=False, frames=False)
    recording = h5r.Recording(tmp_path / "run.h5")
    assert (
        recording.rows.infos
        is recording.rows.frames
        is recording.episodes[0].infos
        is recording.episodes[0].frames
        is None
    )


def test_every_episode_has_exactly_what_was_played(tmp_path: Path) -> None:
    played: list[Played] = record(tmp_path / "run.h5", lengths=[20, 0, 7, 20, 1, 0])
    check_recorded(h5r.Recording(tmp_path / "run.h5"), played)


def test_a_recording_without_episodes_has_an_empty_list(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5"):
        pass
    recording = h5r.Recording(tmp_path / "run.h5")
    assert list(recording.episodes) == []
    assert list(recording.episodes[::-1]) == []
    with pytest.raises(IndexError, match="there are 0"):
        recording.episodes[0]
    with pytest.raises(IndexError):
        recording.episodes[-1]


def test_making_the_list_reads_nothing_and_an_episode_reads_where_it_lies(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = h5r.Recording(path)
    reads = Reads(monkeypatch)
    episodes = recording.episodes
    assert len(episodes[1:]) == 4
    assert reads.take() == set()
    episode = episodes[3]
    assert reads.take() == {"episodes/starts", "episodes/lengths"}
    assert episodes[4].length == 1
    assert reads.take() == set()  # the index is read once
    assert episode.complete
    assert reads.take() == {"episodes/complete"}


def test_a_hundred_thousand_episodes_are_found_at_once(tmp_path: Path) -> None:
    write_ones(tmp_path / "run.h5", 100_000)
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    for number in (0, 99_999, 50_000, 12_345):
        episode = episodes[number]
        assert (episode.start, episode.seed, episode.total_reward) == (2 * number, number, 2.0 * number)
        assert [float(row[0]) for row in episode.observations] == [2 * number, 2 * number + 1]
    assert len(episodes[::7]) == 14_286


def test_an_origin_that_no_version_has_is_corruption(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["episodes/origins"][0] = 77
    with pytest.raises(CorruptRecordingError):
        h5r.Recording(tmp_path / "run.h5").episodes[0].origin  # noqa: B018


def test_an_episode_survives_pickling(episodes: Any) -> None:
    episode = pickle.loads(pickle.dumps(episodes[3]))
    assert (episode.number, episode.length, episode.total_reward) == (3, 10, episodes[3].total_reward)
    assert episode.observations[:].tolist() == episodes[3].observations[:].tolist()
