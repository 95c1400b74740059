"""The vector environment of a recording is made from the file, or taken from the user, and must be the recorded one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import gym_h5record as h5r
from gym_h5record.errors import EnvMismatchError, UnbuildableEnvError, UnsupportedEnvError
from gym_h5record.replay.vector_description import VectorDescription, described_vector
from gym_h5record.replay.vector_making import VECTOR_ADVICE, build_vector_env, vector_env_maker
from tests.replay.shared_lanes import SharedLanes, play_lanes, record_shared

STATISTICS = gym.wrappers.vector.RecordEpisodeStatistics


def cartpoles(num_envs: int = 2, mode: str = "vector_entry_point", **options: Any) -> Any:
    return gym.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode=mode, **options)


def record(envs: Any, path: Path) -> Path:
    recorded = h5r.vector.RecordToHDF5(envs, path, writer="inline")
    play_lanes(recorded, AutoresetMode.NEXT_STEP, 3, seed=7)
    recorded.close()
    return path


def built(path: Path, env: Any = None) -> Any:
    with h5r.Recording(path) as recording:
        described = described_vector(recording)
        assert described is not None
        return build_vector_env(recording, described, env)


def test_it_is_made_from_the_file_alone(tmp_path: Path) -> None:
    envs = built(record(cartpoles(3, max_episode_steps=9), tmp_path / "a.h5"))
    assert type(envs).__name__ == "CartPoleVectorEnv"
    assert (envs.num_envs, envs.max_episode_steps) == (3, 9)


def test_a_single_environment_in_a_vector_is_made_too(tmp_path: Path) -> None:
    assert built(record(cartpoles(1), tmp_path / "a.h5")).num_envs == 1


def test_arguments_that_are_no_json_come_back(tmp_path: Path) -> None:
    made = cartpoles(mode="sync", vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP})
    envs = built(record(made, tmp_path / "a.h5"))
    assert type(envs) is SyncVectorEnv
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def test_statistics_of_episodes_are_put_around_it_again(tmp_path: Path) -> None:
    assert type(built(record(STATISTICS(cartpoles()), tmp_path / "a.h5"))) is STATISTICS


def test_no_window_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(cartpoles(), tmp_path / "a.h5")
    with h5r.Recording(path) as recording:
        described = described_vector(recording)
        assert described is not None
        spec = str(described.spec).replace('"max_episode_steps": 500, "num', '"render_mode": "human", "num')
        assert "human" in spec
        told = VectorDescription(**{**vars(described), "spec": spec})
        assert build_vector_env(recording, told).render_mode is None


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: SharedLanes(AutoresetMode.NEXT_STEP), "SharedLanes cannot be made again: the file has no spec of it"),
        (
            lambda: gym.wrappers.vector.NormalizeReward(cartpoles()),
            "the arguments of its wrapper gymnasium.wrappers.vector.*:NormalizeReward are not in the file",
        ),
    ],
    ids=["no spec", "wrapper"],
)
def test_what_the_file_does_not_say_is_named_with_advice(make: Any, reason: str, tmp_path: Path) -> None:
    path = record(make(), tmp_path / "a.h5")
    with pytest.raises(UnbuildableEnvError, match=reason) as error:
        built(path)
    assert str(error.value).endswith(VECTOR_ADVICE)
    assert built(path, make).num_envs > 1


def test_a_spec_of_something_that_is_not_installed_says_so(tmp_path: Path) -> None:
    path = record(cartpoles(), tmp_path / "a.h5")
    with h5r.Recording(path) as recording:
        described = described_vector(recording)
        assert described is not None
        spec = str(described.spec).replace(
            "gymnasium.envs.classic_control.cartpole:CartPoleV", "nowhere.at_all:CartPoleV"
        )
        with pytest.raises(UnbuildableEnvError, match="No module named 'nowhere'"):
            build_vector_env(recording, VectorDescription(**{**vars(described), "spec": spec}))


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (lambda: cartpoles(3), "has 3 environments, 2 were recorded"),
        (
            lambda: cartpoles(mode="sync", vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}),
            "has the autoreset mode SAME_STEP, NEXT_STEP when recorded",
        ),
        (lambda: gym.make_vec("Acrobot-v1", num_envs=2), "its observation_space is"),
    ],
    ids=["number", "mode", "spaces"],
)
def test_another_environment_is_refused_and_closed(other: Any, difference: str, tmp_path: Path) -> None:
    path = record(cartpoles(), tmp_path / "a.h5")
    closed: list[int] = []

    def make() -> Any:
        envs = other()
        envs.close = lambda: closed.append(1)
        return envs

    with pytest.raises(EnvMismatchError, match=difference):
        built(path, make)
    assert closed == [1]


def test_a_single_environment_is_refused(tmp_path: Path) -> None:
    path = record(cartpoles(), tmp_path / "a.h5")
    with pytest.raises(
        UnsupportedEnvError, match="CartPoleVectorEnv steps its environments together: expected a gymna"
    ):
        built(path, lambda: gym.make("CartPole-v1"))


def test_a_recorder_of_the_user_records_nothing_of_it(tmp_path: Path) -> None:
    path = record(cartpoles(), tmp_path / "a.h5")
    envs = cartpoles()
    assert built(path, h5r.vector.RecordToHDF5(envs, tmp_path / "b.h5")) is envs
    assert not (tmp_path / "b.h5").exists()


# Which recordings are run together ----------------------------------------------------------------


def is_together(path: Path, env: Any = None) -> bool:
    with h5r.Recording(path) as recording:
        return vector_env_maker(recording, env) is not None


def test_lanes_of_their_own_are_run_together_only_if_the_user_says_so(tmp_path: Path) -> None:
    path = record(cartpoles(mode="sync"), tmp_path / "a.h5")
    assert not is_together(path)
    assert not is_together(path, lambda: gym.make("CartPole-v1"))
    assert not is_together(path, gym.make("CartPole-v1"))
    assert is_together(path, lambda: cartpoles(mode="sync"))
    assert is_together(path, cartpoles(mode="sync"))


def test_a_recording_of_one_environment_has_no_lanes(cartpole_path: Path) -> None:
    assert not is_together(cartpole_path)


def test_each_environment_that_was_made_is_closed(tmp_path: Path) -> None:
    path = record_shared(tmp_path / "a.h5", AutoresetMode.NEXT_STEP)
    made: list[Any] = []

    def make() -> Any:
        made.append(SharedLanes(AutoresetMode.NEXT_STEP))
        return made[-1]

    with h5r.Recording(path) as recording:
        maker = vector_env_maker(recording, make)
        assert maker is not None
        for _ in range(2):
            with maker.opened() as envs:
                assert not envs.closed
            assert envs.closed
    assert len(made) == 2


def test_an_async_environment_is_made_from_the_file(tmp_path: Path) -> None:
    envs = built(record(STATISTICS(cartpoles(1, mode="async")), tmp_path / "a.h5"))
    try:
        assert isinstance(envs.unwrapped, AsyncVectorEnv)
        assert np.shape(envs.reset(seed=1)[0]) == (1, 4)
    finally:
        envs.close()
