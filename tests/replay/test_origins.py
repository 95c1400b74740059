"""What an episode rests on: another recording, or what outlives a reset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import wrappers

import gym_h5record as h5r
from gym_h5record.replay.lineage import branches_off, survivor
from tests.replay.recordings import record


def test_only_a_first_bare_reset_of_a_branch_goes_on_with_another_recording(tmp_path: Path) -> None:
    parent = record(gym.make("CartPole-v1"), tmp_path / "run.h5")
    for number, (options, expected) in enumerate([({}, True), ({"seed": 3}, False), ({"options": {}}, False)]):
        path = tmp_path / f"{number}.h5"
        with h5r.RecordToHDF5(h5r.branch(parent, 1, 3)[0], path, writer="inline") as env:
            env.reset(**options)
            env.step(0)
            env.reset()
            env.step(0)
        with h5r.Recording(path) as recording:
            assert [branches_off(recording, number) for number in (0, 1)] == [expected, False]
    with h5r.Recording(parent) as recording:
        assert not branches_off(recording, 0)


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [
        (lambda env: env, ""),
        (wrappers.NormalizeReward, "the running statistics of NormalizeReward"),
        (wrappers.NormalizeObservation, "the running statistics of NormalizeObservation"),
    ],
    ids=["none", "rewards", "observations"],
)
def test_what_is_known_to_outlive_resets_is_named(wrap: Any, expected: str, tmp_path: Path) -> None:
    with h5r.Recording(record(wrap(gym.make("Pendulum-v1")), tmp_path / "run.h5")) as recording:
        assert survivor(recording) == expected
