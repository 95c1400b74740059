"""Golden recordings: one for each format version, made once. All later versions must read the same values."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

import gym_h5record as h5r
from gym_h5record.format.names import FORMAT_VERSION
from gym_h5record.values.tagged_json import loads
from tests.zoo import check_identical

GOLDEN = sorted(Path(__file__).parent.glob("v*.h5"))


def test_every_format_version_has_a_golden_file() -> None:
    assert [path.stem for path in GOLDEN] == [f"v{version}" for version in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_recording_has_the_recorded_values(path: Path) -> None:
    with h5r.Recording(path) as recording:
        episodes = loads(path.with_suffix(".json").read_text())
        assert recording.num_episodes == len(episodes)
        for episode, expected in zip(recording.episodes, episodes, strict=True):
            for name, values in expected.items():
                column = getattr(episode, name)
                assert len(column) == len(values)
                for at, value in enumerate(values):
                    check_identical(column[at], value, f"{name}[{at}] of episode {episode.number}")
        assert [each.complete for each in recording.episodes] == [True, False, True]
        assert [each.seed for each in recording.episodes] == [1, 2, 3]
        assert recording.episodes[1].options == {"n": (2,)}
        assert recording.rows.frames is not None
        assert [int(frame[0, 0, 0]) for frame in recording.rows.frames] == [0, 1, 2, 3, 4, 5, 0, 1, 2, 0, 1, 2, 3, 4, 5]
        assert recording.metadata["user"] == {"note": (1, "ß")}
        assert recording.fps == 12.0


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_recording_can_be_read_with_plain_h5py(path: Path) -> None:
    with h5py.File(path) as file:
        rows, episodes = file["commit"][:]
        starts, lengths = file["episodes/starts"][:episodes], file["episodes/lengths"][:episodes]
        assert rows == lengths.sum() + episodes
        for start, length in zip(starts, lengths, strict=True):
            assert len(file["observations/box"][start : start + length]) == length
            assert not file["dones"][start + length]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_recording_replays(path: Path) -> None:
    env = h5r.ReplayFromHDF5(path, on_mismatch="raise")
    for expected in loads(path.with_suffix(".json").read_text()):
        env.reset()
        for action, reward in zip(expected["actions"], expected["rewards"], strict=True):
            check_identical(env.step(action)[1], reward, "reward")
    env.close()
