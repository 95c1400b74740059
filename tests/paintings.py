"""``Painter-v0``: an environment whose pictures need no library, and recordings of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

import gym_h5record as h5r


class Painter(gym.Env[np.ndarray, int]):
    """Every frame has a colour of its own, rewards are half the step's number, rendering needs no library."""

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
    """Record episodes of Painter of these lengths, action k % 5 at step k."""
    for number, length in enumerate(lengths):
        env = gym.make("Painter-v0", render_mode="rgb_array", length=length)
        recorder = h5r.RecordToHDF5(env, path, mode="a" if number else "w", writer="inline", metadata=metadata)
        metadata = None  # an appended recording keeps what it began with
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message=".* keeps the env_spec it began with"
            )  # its painter's was shorter
            recorder.reset(seed=number)
        for step in range(length):
            recorder.step(step % 5)
        recorder.close()
    return path
