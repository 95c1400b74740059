"""Episodes are chosen by number and told in one line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.errors import SelectionError
from gym_h5record.media.headlines import choose_episode, describe_end, headline


@pytest.fixture
def short_first(tmp_path: Path) -> Path:
    """Episode 0 has no step, episode 1 has one."""
    recorder = h5r.RecordToHDF5(gym.make("Painter-v0"), tmp_path / "run.h5", writer="inline")
    recorder.reset()
    recorder.reset()
    recorder.step(4)
    recorder.close()
    return tmp_path / "run.h5"


def test_without_a_number_the_first_episode_with_a_step_is_chosen(short_first: Path) -> None:
    with h5r.Recording(short_first) as recording:
        assert [choose_episode(recording, number).number for number in (None, 0, -1)] == [1, 0, 1]


def test_a_recording_without_steps_or_episodes_has_nothing_to_play(tmp_path: Path) -> None:
    recorder = h5r.RecordToHDF5(gym.make("Painter-v0"), tmp_path / "run.h5", writer="inline")
    recorder.reset()
    recorder.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        with pytest.raises(SelectionError, match="has no episode with a step"):
            choose_episode(recording, None)
        empty: Any = SimpleNamespace(episodes=[], path=recording.path)
        with pytest.raises(SelectionError, match="has no episodes"):
            choose_episode(empty, 0)


@pytest.mark.parametrize(
    ("terminated", "truncated", "text"),
    [
        (True, False, "terminated"),
        (False, True, "truncated"),
        (True, True, "terminated and truncated"),
        (False, False, "incomplete"),
    ],
)
def test_the_end_of_an_episode_in_words(terminated: bool, truncated: bool, text: str) -> None:
    episode: Any = SimpleNamespace(terminated=terminated, truncated=truncated)
    assert describe_end(episode) == text


def test_the_line_of_an_episode_has_its_length_return_end_and_seed(paintings: Path) -> None:
    with h5r.Recording(paintings) as recording:
        assert headline(recording[0]) == "episode 0: 7 steps, return 14, terminated, seed 0"


def test_an_episode_that_does_not_exist_is_told_with_those_that_do(paintings: Path) -> None:
    with (
        h5r.Recording(paintings) as recording,
        pytest.raises(SelectionError, match="has episodes 0 to 1, .* no episode 2"),
    ):
        choose_episode(recording, 2)
