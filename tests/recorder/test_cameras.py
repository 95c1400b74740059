"""The user's cameras: what is accepted, and that they are never copied."""

import copy
import re

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.recorder.cameras import Cameras


class Renderer:
    """A camera that cannot be copied, such as one of a simulator's renderers."""

    def take(self, env):
        return f"a picture of {env}"

    def __deepcopy__(self, memo):
        raise TypeError("a renderer cannot be copied")


def test_every_camera_is_called_with_the_environment():
    cameras = Cameras({"front": Renderer().take, "wrist": lambda env: env * 2})
    assert cameras.take("env") == {"front": "a picture of env", "wrist": "envenv"}


def test_a_copy_has_the_same_cameras():
    cameras = Cameras({"front": Renderer().take})
    assert copy.deepcopy({"frames": cameras})["frames"] is cameras


def test_the_spec_of_a_recorder_has_its_cameras_and_harms_no_recorder_around_it(tmp_path):
    take = Renderer().take
    inner = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "a.h5", frames={"front": take}, writer="inline")
    env = h5r.RecordToHDF5(gym.wrappers.ClipReward(inner, 0, 1), tmp_path / "b.h5", writer="inline")
    (of_inner, _, _) = env.spec.additional_wrappers
    assert of_inner.kwargs["frames"] == {"front": take}
    env.reset(seed=0)
    for _ in range(5):
        env.step(0)
    env.close()
    with h5r.Recording(tmp_path / "a.h5") as first, h5r.Recording(tmp_path / "b.h5") as second:
        assert first.rows.frames[3] == {"front": take(inner.env)}
        assert [each.name for each in second.env_spec.additional_wrappers] == ["ClipReward"]
        assert second.rows.frames is None
    assert h5r.verify(tmp_path / "b.h5").ok


def test_cameras_added_later_are_none_of_the_recorders():
    given = {"front": len}
    cameras = Cameras(given)
    given["wrist"] = len
    assert list(cameras) == ["front"]


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        ({}, "frames: the dict has no camera; frames=False stores no frames."),
        ({"": len}, "frames: a camera is named ''; expected text that is not empty."),
        ({1: len}, "frames: a camera is named 1; expected text"),
        ({b"front": len}, "frames: a camera is named b'front'; expected text"),
        ({"front": len, "wrist": "rgb_array"}, "frames: the camera 'wrist' is 'rgb_array'; expected a function"),
        ({"front": None}, "frames: the camera 'front' is None; expected a function"),
    ],
)
def test_what_is_no_camera_is_refused(cameras, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        Cameras(cameras)
