"""What the tests of the command line share: a way to call it, and an environment with pictures."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from click.testing import CliRunner, Result
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.cli import main

Cli = Callable[..., Result]


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


@pytest.fixture(autouse=True, scope="session")
def _painter() -> Iterator[None]:
    gym.register("Painter-v0", Painter)
    yield
    gym.registry.pop("Painter-v0")


@pytest.fixture
def painters_closed() -> list[Painter]:
    """Grows with every Painter that is closed."""
    Painter.closed.clear()
    return Painter.closed


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Call the command line in an empty directory, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))

    # Before click 8.2 stderr goes into stdout unless one objects.
    runner = CliRunner(**({"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}))

    def call(*arguments: object) -> Result:
        return runner.invoke(main, [str(each) for each in arguments])

    return call


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


@pytest.fixture(scope="session")
def paintings(tmp_path_factory: pytest.TempPathFactory, _painter: None) -> Path:
    """A recording of two episodes with frames; do not change it."""
    return record_paintings(tmp_path_factory.mktemp("paintings") / "paintings.h5", metadata={"agent_id": "hand"})
