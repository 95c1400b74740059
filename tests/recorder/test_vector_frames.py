"""Pictures of lanes: which source is chosen, and that each lane gets the picture of its environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from gym_h5record.errors import OptionError, RecordingWarning, RenderModeError
from gym_h5record.recorder.vector_frames import VectorFrames, choose_vector_frames

PICTURE = spaces.Box(0, 255, (4, 6, 3), np.uint8)


class Rendering(VectorEnv[Any, Any, Any]):
    """Renders pictures whose level is the environment and the number of the call."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012  # Gymnasium's interface

    def __init__(self, render_mode: Any = "rgb_array", space: Any = None, num_pictures: int = 3) -> None:
        self.num_envs = 3
        self.single_observation_space = spaces.Discrete(3) if space is None else space
        self.render_mode = render_mode
        self.num_pictures, self.num_renders = num_pictures, 0

    def render(self) -> Any:
        self.num_renders += 1
        return tuple(np.full((2, 2, 3), 10 * env + self.num_renders, np.uint8) for env in range(self.num_pictures))


def levels(pictures: Any) -> list[Any]:
    return [None if each is None else int(each[0, 0, 0]) for each in pictures]


def test_each_lane_gets_the_picture_of_its_environment() -> None:
    assert levels(VectorFrames(Rendering(), "render", [2, 0]).capture()) == [21, 1]


def test_the_environments_are_rendered_once_for_a_row_also_where_the_user_renders() -> None:
    env = Rendering()
    frames = VectorFrames(env, "render", [0])
    assert levels(frames.capture()) == levels(frames.capture()) == [1]
    assert levels(frames.render()) == [1, 11, 21]
    assert env.num_renders == 1


def test_a_second_picture_for_the_user_is_a_new_one_as_the_first_may_have_been_changed() -> None:
    frames = VectorFrames(Rendering(), "render", [0])
    frames.capture()
    frames.render()
    assert levels(frames.render()) == [2, 12, 22]


def test_pictures_are_forgotten_when_the_environments_change() -> None:
    frames = VectorFrames(Rendering(), "render", [0, 1])
    frames.capture()
    frames.forget()
    assert levels(frames.capture()) == [2, 12]


@pytest.mark.parametrize("pictures", [0, 2, 4])
def test_pictures_of_fewer_or_more_environments_are_none_and_the_user_hears_of_it_once(pictures: int) -> None:
    frames = VectorFrames(Rendering(num_pictures=pictures), "render", [0, 2])
    with pytest.warns(RecordingWarning, match="does not give a picture of each environment") as heard:
        for _ in range(2):
            assert frames.capture() == [None, None]
            frames.forget()
    assert len(heard) == 1


def test_a_camera_is_called_with_the_environments_and_gives_each_lane_its_picture() -> None:
    seen: list[Any] = []

    def front(envs: Any) -> list[np.ndarray]:
        seen.append(envs)
        return [np.full((2, 2, 3), env, np.uint8) for env in range(3)]

    env = Rendering()
    frames = choose_vector_frames(env, {"front": front}, [2, 0])
    found = frames.capture()
    assert found is not None
    assert [int(each["front"][0, 0, 0]) for each in found] == [2, 0]
    assert seen == [env]
    assert (frames.kind, frames.captures, frames.camera_names) == ("cameras", True, ("front",))


@pytest.mark.parametrize(
    ("env", "option", "kind"),
    [
        (Rendering(), "auto", "render"),
        (Rendering(), "render", "render"),
        (Rendering(), False, "none"),
        (Rendering(None), "auto", "none"),
        (Rendering("human"), "auto", "none"),
        (Rendering(None, PICTURE), "observation", "observation"),
        (Rendering(None, PICTURE), "auto", "none"),  # it is not known whether they are what it renders
    ],
    ids=["auto", "render", "off", "no mode", "human", "observation", "pictures"],
)
def test_the_source_is_that_of_the_option_and_the_environment(env: Any, option: Any, kind: str) -> None:
    frames = choose_vector_frames(env, option, [0])
    assert (frames.kind, frames.captures) == (kind, kind == "render")
    assert kind == "render" or frames.capture() is None


def test_options_that_the_environment_cannot_serve_are_refused() -> None:
    with pytest.raises(RenderModeError, match="its render_mode is None"):
        choose_vector_frames(Rendering(None), "render", [0])
    with pytest.raises(OptionError, match=r"pictures, Box\(0, 255, \(H, W, 3\), uint8\)"):
        choose_vector_frames(Rendering(), "observation", [0])
    with pytest.raises(OptionError, match="frames"):
        choose_vector_frames(Rendering(), "all", [0])


def test_atari_observations_are_their_own_pictures() -> None:
    pytest.importorskip("ale_py")
    import gymnasium as gym

    envs = SyncVectorEnv([lambda: gym.make("ale_py:ALE/Pong-v5", obs_type="rgb")])
    assert choose_vector_frames(envs, "auto", [0]).kind == "observation"
    envs.close()
