"""A recording and its selections say the same about their file."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.errors import RecordingClosedError
from tests.reading import record

FACTS = ("path", "schema", "metadata", "fps", "num_envs", "env_spec", "observation_space", "action_space")


def test_a_selection_has_the_facts_of_its_recording(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", gym.make("CartPole-v1"), [3, 3])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        for each in (recording[:1], recording[:2].select([0])):
            assert [getattr(each, name) == getattr(recording, name) for name in FACTS] == [True] * len(FACTS)


def test_leaving_a_selection_closes_the_recording(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", gym.make("CartPole-v1"), [3])
    recording = h5r.Recording(tmp_path / "run.h5")
    with recording.select("length > 0") as some:
        assert some.num_episodes == 1
    with pytest.raises(RecordingClosedError):
        _ = recording[0].observations[0]
