"""``Painter-v0``, an environment that renders pictures of every kind without a library, and recordings of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from tests.made_once import made_once


class Painter(gym.Env[np.ndarray, int]):
    """Paints a colour for each step, and rewards it with half its number. Rendering needs no library.

    Args:
        render_mode: As in Gymnasium.
        length: Steps of an episode.
        fail_at: The number of the step that raises, None for none.
        lacks: A library that ``reset`` reports as missing, None for none.
        repaints: The step after which it paints as after the next one, None for none.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": ["rgb_array", "ansi", "depth_array", "rgbd_tuple"],
        "render_fps": 25,
    }
    closed: ClassVar[list[Painter]] = []

    def __init__(
        self,
        render_mode: str | None = None,
        length: int = 7,
        fail_at: int | None = None,
        lacks: str | None = None,
        repaints: int | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0, 1000, (2,), np.float32)
        self.action_space = spaces.Discrete(5)
        self._length, self._fail_at, self._lacks, self._repaints = length, fail_at, lacks, repaints
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        if self._lacks:
            raise gym.error.DependencyNotInstalled(f"{self._lacks} is not installed, run pip install {self._lacks}")
        self._steps = 0
        return self._observe(), {"brush": "new"}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        if self._steps == self._fail_at:
            raise ZeroDivisionError("out of paint")
        return self._observe(), self._steps / 2, self._steps == self._length, False, {"paint": 1 / self._steps}

    def render(self) -> Any:
        return self.picture(self.render_mode or "rgb_array")

    def picture(self, mode: str) -> Any:
        """A picture as in this render mode. It tells how many steps were taken."""
        steps = self._steps + (self._steps == self._repaints)
        if mode == "ansi":
            return f"\N{ARTIST PALETTE} {steps * '/'}\n"
        depth = np.full((12, 16), steps / 7, np.float32)
        if mode == "depth_array":
            return depth
        frame = np.full((12, 16, 3), 255, np.uint8)
        frame[2:10, 2:14] = (steps % 256, 100, 200)
        return (frame, depth) if mode == "rgbd_tuple" else frame

    def close(self) -> None:
        self.closed.append(self)

    def _observe(self) -> np.ndarray:
        return np.array([self._steps, 0.5], np.float32)


MODES = ("rgb_array", "ansi", "depth_array", "rgbd_tuple")

CAMERAS: dict[str, Callable[[Any], Any]] = {
    "map/text": lambda env: env.unwrapped.picture("ansi"),
    "depth": lambda env: env.unwrapped.picture("depth_array"),
    "front": lambda env: env.unwrapped.picture("rgb_array"),
    "wrist": lambda env: env.unwrapped.picture("rgbd_tuple"),
}
"""A camera for each kind of picture."""

FRAMES: dict[str, dict[str, Any]] = {
    **{mode: {"render_mode": mode} for mode in MODES},
    **{f"{mode}_list": {"render_mode": f"{mode}_list"} for mode in MODES},
    "cameras": {"frames": CAMERAS},
}
"""Arguments of ``record_paintings`` for each kind of frames."""

every_kind_of_frames = pytest.mark.parametrize("kind", FRAMES)


def expected_frame(kind: str, step: int) -> Any:
    """The frame that ``record_paintings(**FRAMES[kind])`` records after so many steps."""
    painter = Painter()
    painter._steps = step
    if kind == "cameras":
        return {name: camera(painter) for name, camera in CAMERAS.items()}
    return painter.picture(kind.removesuffix("_list"))


@made_once
def record_paintings(
    path: Path,
    lengths: tuple[int, ...] = (7, 3),
    metadata: dict[str, Any] | None = None,
    *,
    render_mode: str | None = None,
    frames: Any = "auto",
    repaints: int | None = None,
) -> Path:
    """Record episodes of ``Painter`` with these lengths. The action at step k is k % 5.

    Without other ``frames``, the render mode is ``"rgb_array"``.
    """
    arguments = {} if repaints is None else {"repaints": repaints}
    mode = "rgb_array" if frames == "auto" and render_mode is None else render_mode
    for number, length in enumerate(lengths):
        env = gym.make("Painter-v0", render_mode=mode, length=length, **arguments)
        recorder = h5r.RecordToHDF5(
            env, path, mode="a" if number else "w", frames=frames, writer="inline", metadata=metadata
        )
        metadata = None  # an appended recording keeps the metadata of its first recorder
        with warnings.catch_warnings():
            # Appending keeps the env_spec of the first painter, which has another length.
            warnings.filterwarnings("ignore", message=".* keeps the env_spec it began with")
            recorder.reset(seed=number)
        for step in range(length):
            recorder.step(step % 5)
        recorder.close()
    return path
