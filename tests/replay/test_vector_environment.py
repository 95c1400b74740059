"""A recording of lanes is played back as the vector environment that was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import gym_h5record as h5r
from gym_h5record.errors import ActionMismatchError, OptionError, ReplayError
from gym_h5record.values.exact import identical
from tests.scripted import actions_at, drive, functions, picture

LENGTHS = [(1, 3), (4, 1, 2), (9,), (2,)]
MODES = list(AutoresetMode)
MODE_IDS = [mode.name for mode in MODES]


def record(path: Path, kind: str, mode: AutoresetMode, num_steps: int, **options: Any) -> Path:
    envs: Any = SyncVectorEnv(functions(kind, LENGTHS, **options), autoreset_mode=mode)
    envs = h5r.vector.RecordToHDF5(envs, path, writer="inline", frames="render" if options else False)
    drive(envs, mode, num_steps)
    envs.close()
    return path


@pytest.mark.sampled(5)
@pytest.mark.parametrize("kind", ["box", "dict", "tuple", "discrete"])
@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
def test_every_batch_is_as_it_was(kind: str, mode: AutoresetMode, tmp_path: Path) -> None:
    envs = h5r.vector.ReplayFromHDF5(record(tmp_path / "lanes.h5", kind, mode, 20), on_mismatch="raise")
    live = SyncVectorEnv(functions(kind, LENGTHS), autoreset_mode=mode)
    assert envs.num_envs == 4
    assert envs.metadata["autoreset_mode"] is mode
    assert envs.single_observation_space == live.single_observation_space
    assert identical(envs.reset(seed=1), live.reset(seed=1))
    over = np.zeros(4, np.bool_)
    for step in range(18):
        if mode is AutoresetMode.DISABLED and over.any():
            replies = [each.reset(options={"reset_mask": over.copy()}) for each in (envs, live)]
            assert identical(*replies)
        actions = actions_at(step, 4)
        if mode is AutoresetMode.NEXT_STEP:
            actions = np.where(over, 0, actions)  # the environments ignore these
        played, real = envs.step(actions), live.step(actions)
        assert identical(played, real)
        over = real[2] | real[3]
    envs.close()


def test_another_action_than_the_recorded_one_is_an_error_if_that_is_wanted(tmp_path: Path) -> None:
    path = record(tmp_path / "lanes.h5", "box", AutoresetMode.NEXT_STEP, 9)
    envs = h5r.vector.ReplayFromHDF5(path, on_mismatch="raise")
    envs.reset()
    with pytest.raises(ActionMismatchError):
        envs.step(actions_at(0, 4) + 1)
    envs.close()


@pytest.mark.parametrize("num_envs", [1, 3, 6])
def test_episodes_are_dealt_out_to_another_number_of_environments(num_envs: int, tmp_path: Path) -> None:
    path = record(tmp_path / "lanes.h5", "box", AutoresetMode.SAME_STEP, 30)
    envs = h5r.vector.ReplayFromHDF5(path, num_envs)
    observations, _ = envs.reset()
    with h5r.Recording(path) as recording:
        playable = [each for each in recording if each.length]
        firsts = [each.observations[0] for each in playable[:num_envs]]
        np.testing.assert_array_equal(observations, firsts)
        lengths = [each.length for each in playable]
    ended = 0
    for _ in range(max(lengths)):
        _, _, terminations, truncations, _ = envs.step(envs.action_space.sample())
        ended += int((terminations | truncations).sum())
    assert ended >= num_envs
    envs.close()


def test_a_recording_of_one_environment_is_played_by_several(cartpole_path: Path) -> None:
    envs = h5r.vector.ReplayFromHDF5(cartpole_path, 2, autoreset_mode="SameStep")
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observations, _ = envs.reset()
    with h5r.Recording(cartpole_path) as recording:
        np.testing.assert_array_equal(observations, [recording[0].observations[0], recording[1].observations[0]])
    envs.close()


def test_recorded_pictures_are_rendered(tmp_path: Path) -> None:
    path = record(tmp_path / "lanes.h5", "box", AutoresetMode.NEXT_STEP, 9, render_mode="rgb_array")
    envs = h5r.vector.ReplayFromHDF5(path)
    envs.reset()
    envs.step(actions_at(0, 4))
    pictures: Any = envs.render()
    np.testing.assert_array_equal(pictures, [picture(lane, 0, 1) for lane in range(4)])
    envs.close()


def test_a_lane_without_a_step_cannot_be_played(tmp_path: Path) -> None:
    envs = h5r.vector.RecordToHDF5(SyncVectorEnv(functions("box", LENGTHS)), tmp_path / "lanes.h5", writer="inline")
    envs.reset()
    envs.close()
    with pytest.raises(ReplayError, match="for lane 0"):
        h5r.vector.ReplayFromHDF5(tmp_path / "lanes.h5")


@pytest.mark.parametrize(
    "options", [{"num_envs": 0}, {"num_envs": 1.5}, {"autoreset_mode": "never"}], ids=["none", "half", "mode"]
)
def test_options_that_make_no_sense_are_refused(options: Any, cartpole_path: Path) -> None:
    with pytest.raises(OptionError):
        h5r.vector.ReplayFromHDF5(cartpole_path, **options)


def test_spaces_of_which_gymnasium_makes_no_batches_are_a_sentence(tmp_path: Path) -> None:
    space = gym.spaces.Text(3, min_length=0, charset="")
    with h5r.Writer(tmp_path / "texts.h5", observation_space=space, action_space=gym.spaces.Discrete(2)) as writer:
        writer.begin_episode("")
        writer.append(0, "", 0.0, True, False)
    with pytest.raises(ReplayError, match=r"texts.h5: Gymnasium cannot make batches of its spaces \(.*ReplayFromHDF5"):
        h5r.vector.ReplayFromHDF5(tmp_path / "texts.h5")
    assert h5r.ReplayFromHDF5(tmp_path / "texts.h5").reset()[0] == ""


class Grown(gym.Env[Any, Any]):
    """Its observation at the second step has another shape than its space."""

    observation_space = gym.spaces.Box(0, 9, (2,), np.int64)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return np.zeros(2, np.int64), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return np.zeros(1 + self._steps, np.int64), 0.0, self._steps == 3, False, {}


def test_an_observation_outside_of_its_space_is_a_sentence_that_names_the_way_out(tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(Grown(), tmp_path / "grown.h5", writer="inline")
    env.reset()
    with pytest.warns(h5r.errors.RecordingWarning, match="observation"):
        for _ in range(3):
            env.step(0)
    env.close()
    envs = h5r.vector.ReplayFromHDF5(tmp_path / "grown.h5")
    envs.reset()
    envs.step([0])
    with pytest.raises(
        ReplayError, match=r"grown.h5 has an observation that is not in its space.*ReplayFromHDF5 plays"
    ):
        envs.step([0])
    envs.close()
    one = h5r.ReplayFromHDF5(tmp_path / "grown.h5")
    one.reset()
    assert [one.step(0)[0].shape for _ in range(3)] == [(2,), (3,), (4,)]
