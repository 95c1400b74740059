"""``Painter-v0``, an environment that renders without a library, and recordings of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

import gym_h5record as h5r


class Painter(gym.Env[np.ndarray, int]):
    """Paints a colour for each step, and rewards it with half its number. Rendering needs no library.

    Args:
        render_mode: As in Gymnasium.
        length: Steps of an episode.
        fail_at: The number of the step that raises, None for none.
        lacks: A library that ``reset`` reports as missing, None for none.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 25}
    closed: ClassVar[list[Painter]] = []

    def __init__(
        self, render_mode: str | None = None, length: int = 7, fail_at: int | None = None, lacks: str | None = None
    ) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0, 1000, (2,), np.float32)
        self.action_space = spaces.Discrete(5)
        self._length, self._fail_at, self._lacks = length, fail_at, lacks
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

    def render(self) -> np.ndarray:  # type: ignore[override]
        frame = np.full((12, 16, 3), 255, np.uint8)
        frame[2:10, 2:14] = (self._steps % 256, 100, 200)
        return frame

    def close(self) -> None:
        self.closed.append(self)

    def _observe(self) -> np.ndarray:
        return np.array([self._steps, 0.5], np.float32)


def record_paintings(path: Path, lengths: tuple[int, ...] = (7, 3), metadata: dict[str, Any] | None = None) -> Path:
    """Record episodes of ``Painter`` with these lengths. The action at step k is k % 5."""
    for number, length in enumerate(lengths):
        env = gym.make("Painter-v0", render_mode="rgb_array", length=length)
        recorder = h5r.RecordToHDF5(env, path, mode="a" if number else "w", writer="inline", metadata=metadata)
        metadata = None  # an appended recording keeps the metadata of its first recorder
        with warnings.catch_warnings():
            # Appending keeps the env_spec of the first painter, which has another length.
            warnings.filterwarnings("ignore", message=".* keeps the env_spec it began with")
            recorder.reset(seed=number)
        for step in range(length):
            recorder.step(step % 5)
        recorder.close()
    return path
