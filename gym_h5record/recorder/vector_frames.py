"""Where the pictures of the lanes of a vector environment come from: ``frame_sources`` for batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from gymnasium.vector import VectorEnv

from gym_h5record.errors import OptionError, RenderModeError
from gym_h5record.notices import warn
from gym_h5record.options import check_one_of
from gym_h5record.recorder.cameras import Cameras
from gym_h5record.recorder.frame_sources import FRAMES_OPTIONS, RENDER_MODES, is_picture_space, observation_is_picture
from gym_h5record.recorder.vector_facts import single_envs

__all__ = ["VectorFrames", "choose_vector_frames"]


class VectorFrames:
    """Gives a picture of each recorded environment; none unless the kind is ``"render"`` or ``"cameras"``.

    It renders once per row, also where the user renders too: rendering again may give other pictures.

    Args:
        env: The vector environment.
        kind: As of ``FrameSource``.
        lanes: The environments that are recorded.
        cameras: The cameras.

    Attributes:
        kind: As of ``FrameSource``.
        camera_names: The names of the cameras.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], kind: str, lanes: Sequence[int], cameras: Cameras | None = None
    ) -> None:
        self.kind = kind
        self.camera_names = () if cameras is None else tuple(cameras)
        self._env, self._lanes, self._cameras = env, lanes, cameras
        self._rendered: tuple[Any] | None = None
        self._has_warned = False

    @property
    def captures(self) -> bool:
        """Whether ``capture`` gives pictures."""
        return self.kind in ("render", "cameras")

    def capture(self) -> list[Any] | None:
        """The pictures of the recorded environments as they are now."""
        if self._cameras is not None:
            taken = {name: camera(self._env) for name, camera in self._cameras.items()}
            return [{name: pictures[lane] for name, pictures in taken.items()} for lane in self._lanes]
        if self.kind != "render":
            return None
        if self._rendered is None:
            self._rendered = (self._env.render(),)
        pictures = self._rendered[0]
        if pictures is None or len(pictures) != self._env.num_envs:
            if not self._has_warned:
                self._has_warned = True
                warn(f"render() of {self._env} does not give a picture of each environment: their frames are None.")
            return [None] * len(self._lanes)
        return [pictures[lane] for lane in self._lanes]

    def forget(self) -> None:
        """Drop the pictures: the environments are about to change."""
        self._rendered = None

    def render(self) -> Any:
        """The result of the user's ``render()``."""
        rendered, self._rendered = self._rendered, None  # the user may change it
        return self._env.render() if rendered is None else rendered[0]


def choose_vector_frames(
    env: VectorEnv[Any, Any, Any],
    frames: str | Literal[False] | Mapping[str, Callable[[Any], Any]],
    lanes: Sequence[int],
) -> VectorFrames:
    """The frame source for the recorder's option ``frames``; an error if the environment has no such pictures."""
    if isinstance(frames, Mapping):
        return VectorFrames(env, "cameras", lanes, frames if isinstance(frames, Cameras) else Cameras(frames))
    check_one_of("frames", frames, FRAMES_OPTIONS)
    if frames is False:
        return VectorFrames(env, "none", lanes)
    if frames == "observation":
        if not is_picture_space(env.single_observation_space):
            raise OptionError(
                'frames="observation" needs observations that are pictures, Box(0, 255, (H, W, 3), uint8); '
                f"these environments have {env.single_observation_space}."
            )
        return VectorFrames(env, "observation", lanes)
    envs = single_envs(env)
    if frames == "auto" and env is env.unwrapped and envs is not None and all(map(observation_is_picture, envs)):
        return VectorFrames(env, "observation", lanes)
    if env.render_mode in RENDER_MODES:
        return VectorFrames(env, "render", lanes)
    if frames == "render":
        raise RenderModeError(
            f'frames="render" needs a vector environment that renders pictures; its render_mode is {env.render_mode!r}'
        )
    return VectorFrames(env, "none", lanes)
