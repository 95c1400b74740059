"""Where the picture of a row comes from, without disturbing the environment.

Three sources: the observation itself where it provably is the picture, what
``render`` returns, or what a ``*_list`` environment has collected. Nothing is
rendered that the user has not asked for, and no frame is taken from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np
from gymnasium import spaces, wrappers

from gym_h5record.errors import OptionError, RenderModeError

__all__ = ["FRAMES_OPTIONS", "FrameSource", "choose_frame_source", "observation_is_picture"]


FRAMES_OPTIONS = ("auto", "render", "observation", False)

# Wrappers that hand observation and rendering through as they are.
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


class FrameSource(Protocol):
    """Gives the picture that belongs to the newest observation."""

    kind: str

    def capture(self) -> Any:
        """The picture, ``(H, W, 3)`` uint8."""

    def render(self) -> Any:
        """What the user's ``render()`` has to return."""


@dataclass
class NoFrames:
    """Nothing is captured; ``kind`` says whether the observations are the frames."""

    env: gym.Env[Any, Any]
    kind: str = "none"

    def capture(self) -> Any:
        return None

    def render(self) -> Any:
        return self.env.render()


@dataclass
class RenderedFrames:
    """An ``rgb_array`` environment renders once per row."""

    env: gym.Env[Any, Any]
    kind: str = "render"

    def capture(self) -> Any:
        return self.env.render()

    def render(self) -> Any:
        return self.env.render()


@dataclass
class CollectedFrames:
    """``RenderCollection`` has rendered already: look at its newest frame."""

    env: gym.Env[Any, Any]
    collection: wrappers.RenderCollection[Any, Any]
    kind: str = "render"

    def capture(self) -> Any:
        frames = self.collection.frame_list
        return frames[-1] if frames else None

    def render(self) -> Any:
        return self.env.render()


@dataclass
class ListedFrames:
    """An environment with a list mode of its own: keep what we take for the user."""

    env: gym.Env[Any, Any]
    kind: str = "render"
    _taken: list[Any] = field(default_factory=list)

    def capture(self) -> Any:
        self._taken += self.env.render() or []
        return self._taken[-1] if self._taken else None

    def render(self) -> Any:
        taken, self._taken = self._taken, []
        return taken + list(self.env.render() or [])


def choose_frame_source(env: gym.Env[Any, Any], frames: str | Literal[False]) -> FrameSource:
    """The frame source for the recorder's option ``frames``.

    Args:
        env: The environment that is wrapped.
        frames: ``"auto"``, ``"render"``, ``"observation"`` or False.

    Raises:
        OptionError: If the option is another, or observations are no pictures.
        RenderModeError: If frames are demanded and the environment renders none.
    """
    if frames is not False and (not isinstance(frames, str) or frames not in FRAMES_OPTIONS):
        known = ", ".join(repr(option) for option in FRAMES_OPTIONS)
        raise OptionError(f"frames: expected one of {known}, got {frames!r}")
    if frames is False:
        return NoFrames(env)
    if frames == "observation":
        if not _is_picture_space(env.observation_space):
            raise OptionError(
                f'frames="observation" needs observations that are pictures, Box(0, 255, (H, W, 3), uint8); '
                f"this environment has {env.observation_space}."
            )
        return NoFrames(env, "observation")
    if frames == "auto" and observation_is_picture(env):
        return NoFrames(env, "observation")
    mode = env.render_mode
    if mode == "rgb_array":
        return RenderedFrames(env)
    if mode == "rgb_array_list":
        collection = _find_collection(env)
        return ListedFrames(env) if collection is None else CollectedFrames(env, collection)
    if frames == "render":
        raise RenderModeError(
            f'frames="render" needs an environment that renders pictures; its render_mode is {mode!r}. '
            'Make it with render_mode="rgb_array".'
        )
    return NoFrames(env)


def observation_is_picture(env: gym.Env[Any, Any]) -> bool:
    """Whether every observation is, bit for bit, what ``render`` would return.

    True for RGB observations of ALE under wrappers that change neither.
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
