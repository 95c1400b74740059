"""Episodes are chosen by number and played step by step."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.cli.output import summary
from gym_h5record.cli.playback import choose_episode, describe_end, play
from gym_h5record.cli.program import CommandError


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
        with pytest.raises(CommandError, match="has no episode with a step"):
            choose_episode(recording, None)
        empty: Any = SimpleNamespace(episodes=[], path=recording.path)
        with pytest.raises(CommandError, match="has no episodes"):
            choose_episode(empty, 0)


def test_an_episode_is_played_with_its_actions_up_to_the_limit(paintings: Path) -> None:
    with h5r.Recording(paintings) as recording:
        (observation, info), steps = play(paintings, recording.episodes[0], 3)
    assert (summary(observation), info) == ("[0 0.5]", {"brush": "new"})
    assert [(step.number, step.action, step.reward, step.total) for step in steps] == [
        (0, 0, 0.5, 0.5),
        (1, 1, 1.0, 1.5),
        (2, 2, 1.5, 3.0),
    ]
    assert steps[0].as_json() == {
        "step": 0,
        "action": 0,
        "reward": 0.5,
        "return": 0.5,
        "terminated": False,
        "truncated": False,
        "observation": "[1 0.5]",
        "info": {"paint": 1.0},
    }


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
