"""Where the picture of a row comes from.

There are four sources: the observation, if it is the picture for certain; the result of ``render``; the list of an
environment with a ``*_list`` render mode; and the user's cameras. Recording renders nothing unless the environment was
made to render pictures, and the user's ``render`` returns the same frames as without recording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces, wrappers

from gym_h5record.errors import OptionError, RenderModeError
from gym_h5record.format.frame_planning import FRAME_KINDS
from gym_h5record.notices import warn
from gym_h5record.options import check_one_of
from gym_h5record.recorder.cameras import Cameras

__all__ = [
    "FRAMES_OPTIONS",
    "RENDER_MODES",
    "FrameSource",
    "choose_frame_source",
    "is_picture_space",
    "observation_is_picture",
]

FRAMES_OPTIONS = ("auto", "render", "observation", False)

RENDER_MODES = ("rgb_array", "ansi", "depth_array", "rgbd_tuple", "cameras")
"""Render modes whose pictures can be recorded, also with ``_list`` behind them; ``"cameras"`` is a replay's."""

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

    Attributes:
        env: The environment.
        kind: ``"render"`` if a picture is rendered for each row, ``"cameras"`` if cameras take it, ``"observation"`` if
            the observations are the pictures, ``"none"`` if there are none.
    """

    env: gym.Env[Any, Any]
    kind: str = "none"

    @property
    def captures(self) -> bool:
        """Whether ``capture`` gives pictures."""
        return self.kind in FRAME_KINDS

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The names of the cameras, none for other kinds."""
        return ()

    def capture(self) -> Any:
        """The picture of the environment as it is now. Until ``forget``, it is taken once."""
        return None

    def forget(self) -> None:
        """Drop the picture: the environment is about to change."""

    def render(self) -> Any:
        """The result of the user's ``render()``."""
        return self.env.render()


@dataclass
class RenderedFrames(FrameSource):
    """Renders once per row, also where the user renders too: rendering again may give another picture."""

    _captured: tuple[Any] | None = field(default=None, init=False)

    def capture(self) -> Any:
        if self._captured is None:
            self._captured = (self.env.render(),)
        return self._captured[0]

    def forget(self) -> None:
        self._captured = None

    def render(self) -> Any:
        captured, self._captured = self._captured, None  # the user may change it, so it is given once
        return self.env.render() if captured is None else captured[0]


@dataclass
class CollectedFrames(FrameSource):
    """Looks at the newest frame of ``RenderCollection``, which renders every step itself.

    A ``RecordVideo`` between it and the recorder takes the frames out of the collection, and keeps them in its history
    until the user renders.

    Attributes:
        collection: The collection.
        videos: The ``RecordVideo`` wrappers around it, the innermost first.
    """

    collection: wrappers.RenderCollection[Any, Any] = field(kw_only=True)
    videos: tuple[wrappers.RecordVideo[Any, Any], ...] = field(kw_only=True)

    def capture(self) -> Any:
        for frames in (self.collection.frame_list, *(video.render_history for video in self.videos)):
            if frames:
                return frames[-1]
        return None


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


@dataclass
class CameraFrames(FrameSource):
    """Calls the user's cameras once per row."""

    cameras: Cameras = field(kw_only=True)
    _captured: dict[str, Any] | None = field(default=None, init=False)

    @property
    def camera_names(self) -> tuple[str, ...]:
        return tuple(self.cameras)

    def capture(self) -> Any:
        if self._captured is None:
            self._captured = self.cameras.take(self.env)
        return self._captured

    def forget(self) -> None:
        self._captured = None


def choose_frame_source(
    env: gym.Env[Any, Any], frames: str | Literal[False] | Mapping[str, Callable[[Any], Any]]
) -> FrameSource:
    """The frame source for the recorder's option ``frames``; an error if the environment has no such pictures.

    Warns if the environment renders something that cannot be recorded.
    """
    if isinstance(frames, Mapping):
        return CameraFrames(env, "cameras", cameras=frames if isinstance(frames, Cameras) else Cameras(frames))
    check_one_of("frames", frames, FRAMES_OPTIONS)
    if frames is False:
        return FrameSource(env)
    if frames == "observation":
        if not is_picture_space(env.observation_space):
            raise OptionError(
                f'frames="observation" needs observations that are pictures, Box(0, 255, (H, W, 3), uint8); '
                f"this environment has {env.observation_space}."
            )
        return FrameSource(env, "observation")
    if frames == "auto" and observation_is_picture(env):
        return FrameSource(env, "observation")
    return _rendered(env, is_demanded=frames == "render")


def _rendered(env: gym.Env[Any, Any], *, is_demanded: bool) -> FrameSource:
    """The frame source for the render mode of an environment."""
    mode = env.render_mode
    if mode in RENDER_MODES:
        return RenderedFrames(env, "render")
    if mode is not None and mode.removesuffix("_list") in RENDER_MODES:
        return _collected_frames(env) or ListedFrames(env, "render")
    if is_demanded:
        raise RenderModeError(
            f'frames="render" needs an environment that renders pictures; its render_mode is {mode!r}. '
            'Make it with render_mode="rgb_array", or "ansi", "depth_array" or "rgbd_tuple".'
        )
    if mode not in (None, "human"):
        warn(
            f"render_mode {mode!r} gives no pictures that can be recorded, so that no frames are recorded. Pass "
            'frames={"name": function}, where function(env) returns a picture, or frames=False to record none.'
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
    return is_ale and getattr(env, "_obs_type", None) == "rgb" and is_picture_space(env.observation_space)


def is_picture_space(space: Any) -> bool:
    """Whether every value of a space is an RGB picture."""
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3


def _collected_frames(env: gym.Env[Any, Any]) -> CollectedFrames | None:
    outermost = env
    videos: list[wrappers.RecordVideo[Any, Any]] = []
    while isinstance(env, gym.Wrapper):
        if isinstance(env, wrappers.RenderCollection):
            return CollectedFrames(outermost, "render", collection=env, videos=tuple(reversed(videos)))
        if isinstance(env, wrappers.RecordVideo):
            videos.append(env)
        env = env.env
    return None
