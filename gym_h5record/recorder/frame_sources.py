"""Where the picture of a row comes from.

There are three sources: the observation, if it is the picture for certain; the result of ``render``; and the list of
an environment with a ``*_list`` render mode. Recording renders nothing unless the environment was made to render
pictures, and the user's ``render`` returns the same frames as without recording.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces, wrappers

from gym_h5record.errors import OptionError, RenderModeError
from gym_h5record.options import check_one_of

__all__ = ["FRAMES_OPTIONS", "FrameSource", "choose_frame_source", "observation_is_picture"]

FRAMES_OPTIONS = ("auto", "render", "observation", False)

# These wrappers change neither the observation nor the rendered picture.
_TRANSPARENT = (
    "PassiveEnvChecker",
    "OrderEnforcing",
    "TimeLimit",
    "RecordEpisodeStatistics",
    "RecordVideo",
    "RecordToHDF5",
    "RenderCollection",
    "HumanRendering",
    "TransformAction",
    "ClipAction",
    "RescaleAction",
    "StickyAction",
    "TransformReward",
    "ClipReward",
    "NormalizeReward",
)
_TRUSTED_MODULES = ("gymnasium.wrappers.", "gym_h5record.")


@dataclass
class FrameSource:
    """Gives the picture of the newest observation; this class itself gives none.

    ``kind`` is ``"render"`` if a picture is captured for each row, ``"observation"`` if the observations are the
    pictures, ``"none"`` if there are none.
    """

    env: gym.Env[Any, Any]
    kind: str = "none"

    def capture(self) -> Any:
        """The picture, ``(H, W, 3)`` uint8."""
        return None

    def render(self) -> Any:
        """The result of the user's ``render()``."""
        return self.env.render()


class RenderedFrames(FrameSource):
    """Renders an ``rgb_array`` environment once per row."""

    def capture(self) -> Any:
        return self.env.render()


@dataclass
class CollectedFrames(FrameSource):
    """Reads the newest frame of ``RenderCollection``, which renders every step itself."""

    collection: wrappers.RenderCollection[Any, Any] = field(kw_only=True)

    def capture(self) -> Any:
        frames = self.collection.frame_list
        return frames[-1] if frames else None


@dataclass
class ListedFrames(FrameSource):
    """Takes the frames that the environment itself collects, and keeps them for the user's ``render``."""

    _taken: list[Any] = field(default_factory=list)

    def capture(self) -> Any:
        self._taken += self.env.render() or []
        return self._taken[-1] if self._taken else None

    def render(self) -> Any:
        taken, self._taken = self._taken, []
        return taken + list(self.env.render() or [])


def choose_frame_source(env: gym.Env[Any, Any], frames: str | Literal[False]) -> FrameSource:
    """The frame source for the recorder's option ``frames``; an error if the environment has no such pictures."""
    check_one_of("frames", frames, FRAMES_OPTIONS)
    if frames is False:
        return FrameSource(env)
    if frames == "observation":
        if not _is_picture_space(env.observation_space):
            raise OptionError(
                f'frames="observation" needs observations that are pictures, Box(0, 255, (H, W, 3), uint8); '
                f"this environment has {env.observation_space}."
            )
        return FrameSource(env, "observation")
    if frames == "auto" and observation_is_picture(env):
        return FrameSource(env, "observation")
    mode = env.render_mode
    if mode == "rgb_array":
        return RenderedFrames(env, "render")
    if mode == "rgb_array_list":
        collection = _find_collection(env)
        if collection is None:
            return ListedFrames(env, "render")
        return CollectedFrames(env, "render", collection=collection)
    if frames == "render":
        raise RenderModeError(
            f'frames="render" needs an environment that renders pictures; its render_mode is {mode!r}. '
            'Make it with render_mode="rgb_array".'
        )
    return FrameSource(env)


def observation_is_picture(env: gym.Env[Any, Any]) -> bool:
    """Whether every observation is bit for bit the picture that ``render`` would return.

    This holds for RGB observations of ALE, inside wrappers that change neither observation nor picture.
    """
    while isinstance(env, gym.Wrapper):
        if type(env).__name__ not in _TRANSPARENT or not type(env).__module__.startswith(_TRUSTED_MODULES):
            return False
        env = env.env
    is_ale = type(env).__module__ == "ale_py.env" and type(env).__name__ == "AtariEnv"
    return is_ale and getattr(env, "_obs_type", None) == "rgb" and _is_picture_space(env.observation_space)


def _is_picture_space(space: Any) -> bool:
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3


def _find_collection(env: gym.Env[Any, Any]) -> wrappers.RenderCollection[Any, Any] | None:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, wrappers.RenderCollection):
            return env
        env = env.env
    return None
