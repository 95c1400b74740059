"""``make_env``: the recorded environment, made from the file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec, WrapperSpec

import gym_h5record as h5r
from gym_h5record.errors import EnvMismatchError, UnbuildableEnvError
from gym_h5record.reading import env_making
from tests.reading import record
from tests.zoo import ZooEnv


class Window(gym.Env[Any, Any]):
    """Renders in every mode, and says how it was made."""

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 30}  # noqa: RUF012
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None, size: int = 3) -> None:
        self.render_mode, self.is_closed = render_mode, False
        self.observation_space = spaces.Discrete(size)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.int64(0), {}

    def step(self, action: Any) -> Any:
        return np.int64(1), 0.0, False, False, {}

    def render(self) -> Any:
        return np.zeros((4, 4, 3), np.uint8)

    def close(self) -> None:
        CLOSED.append(self)


CLOSED: list[Window] = []


def of_window(**kwargs: Any) -> EnvSpec:
    return EnvSpec("Test/Window-v0", f"{__name__}:Window", kwargs=kwargs)


def recorded(path: Path, env: gym.Env[Any, Any]) -> h5r.Recording:
    record(path / "run.h5", env, [3])
    return h5r.Recording(path / "run.h5")


def test_it_does_what_the_recorded_one_did(tmp_path: Path) -> None:
    played = record(tmp_path / "run.h5", gym.make("CartPole-v1", max_episode_steps=7), [7])
    with h5r.Recording(tmp_path / "run.h5") as recording, recording.make_env() as env:
        assert env.spec is not None
        assert env.spec.max_episode_steps == 7
        observations = [env.reset(seed=played[0].seed)[0]]
        observations += [env.step(action)[0] for action in recording[0].actions]
        assert np.array_equal(observations, recording[0].observations[:])


def test_a_selection_makes_it_too(tmp_path: Path) -> None:
    with recorded(tmp_path, gym.make("CartPole-v1")) as recording, recording[:1].make_env() as env:
        assert env.observation_space == recording.observation_space


def test_of_a_window_that_was_recorded_pictures_are_rendered(tmp_path: Path) -> None:
    recording = recorded(tmp_path, gym.make(of_window(render_mode="rgb_array")))
    spec = env_making._headless(of_window(render_mode="human"), renders=True)
    assert spec.kwargs == {"render_mode": "rgb_array"}
    assert recording.metadata["frames"] == "render"


@pytest.mark.parametrize(("given", "mode"), [({}, "rgb_array"), ({"render_mode": "human"}, "human")], ids=["", "human"])
def test_a_window_opens_only_if_it_is_asked_for(given: dict[str, str], mode: str, tmp_path: Path) -> None:
    recording = recorded(tmp_path, gym.make(of_window(render_mode="rgb_array")))
    with recording.make_env(**given) as env:
        assert env.render_mode == mode


def test_a_window_around_it_is_left_out() -> None:
    spec = of_window(render_mode="rgb_array")
    spec.additional_wrappers = (
        WrapperSpec("HumanRendering", "gymnasium.wrappers.rendering:HumanRendering", {}),
        WrapperSpec("TimeLimit", "gymnasium.wrappers:TimeLimit", {"max_episode_steps": 3}),
    )
    assert [each.name for each in env_making._headless(spec, renders=False).additional_wrappers] == ["TimeLimit"]
    assert len(spec.additional_wrappers) == 2
    assert spec.kwargs == {"render_mode": "rgb_array"}


def test_without_a_spec_it_is_said_what_to_do(tmp_path: Path) -> None:
    recording = recorded(tmp_path, ZooEnv(spaces.Discrete(3), length=3))
    with pytest.raises(UnbuildableEnvError, match=r"the file has no spec of it: .*; make it yourself, with gymnasium"):
        recording.make_env()


def test_an_error_of_the_environment_is_told(tmp_path: Path) -> None:
    recording = recorded(tmp_path, gym.make(of_window()))
    with pytest.raises(UnbuildableEnvError, match=r"TypeError: .*unknown.*; make it yourself"):
        recording.make_env(unknown=1)


def test_an_argument_that_changes_a_space_is_refused_and_nothing_stays_open(tmp_path: Path) -> None:
    recording = recorded(tmp_path, gym.make(of_window()))
    CLOSED.clear()
    with pytest.raises(EnvMismatchError, match=r"its observation_space is Discrete\(5\), Discrete\(3\) when recorded"):
        recording.make_env(size=5)
    assert len(CLOSED) == 1
