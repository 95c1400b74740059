"""Environments are made from an id, arguments and wrappers, or refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from gymnasium import wrappers

from gym_h5record.cli.environments import default_path, make_environment, quieten_atari
from gym_h5record.cli.program import CommandError
from tests.paintings import Painter


@pytest.mark.parametrize(
    ("env_id", "name"),
    [("CartPole-v1", "CartPole-v1.h5"), ("ALE/Pong-v5", "Pong-v5.h5"), ("package.envs:My-v0", "My-v0.h5")],
)
def test_a_recording_is_named_like_its_environment(env_id: str, name: str) -> None:
    assert default_path(env_id).name == name


def test_arguments_and_the_render_mode_reach_the_environment() -> None:
    env = make_environment("Painter-v0", {"length": 3}, render_mode="rgb_array", frame_stack=2)
    assert isinstance(env, wrappers.FrameStackObservation)
    assert isinstance(env.unwrapped, Painter)
    assert (env.unwrapped._length, env.unwrapped.render_mode) == (3, "rgb_array")
    assert env.observation_space.shape == (2, 2)


def test_an_environment_that_cannot_be_preprocessed_is_closed(
    monkeypatch: pytest.MonkeyPatch, painters_closed: list[Any]
) -> None:
    with pytest.raises(CommandError, match="cannot make Painter-v0: TypeError: .*frameskip=1"):
        make_environment("Painter-v0", {}, atari_preprocessing=True)
    monkeypatch.setattr("gymnasium.make", lambda *_, **__: Painter())
    with pytest.raises(CommandError, match="needs an Atari game, with an id such as ALE/Breakout-v5; Painter-v0 is no"):
        make_environment("Painter-v0", {}, atari_preprocessing=True)
    assert len(painters_closed) == 1


def test_ale_prints_no_banner(capfd: pytest.CaptureFixture[str]) -> None:
    ale_py = pytest.importorskip("ale_py")
    quieten_atari()
    ale_py.ALEInterface()
    assert capfd.readouterr() == ("", "")
