"""Recordings that follow a script, but for a few changes, for the tests of ``diff``."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from tests.made_once import made_once

Changes = dict[tuple[int, int, str], Any]
"""By episode, row and column: what takes the place of the value there."""

LENGTHS = (5, 40, 3)


class Scripted(gym.Env[Any, Any]):
    """What it gives follows from the episode and the step, but for a few changes."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, lengths: tuple[int, ...] = LENGTHS, changes: Changes | None = None, frames: bool = True) -> None:
        self.render_mode = "rgb_array" if frames else None
        self.observation_space = spaces.Dict(
            position=spaces.Box(-np.inf, np.inf, (3,), np.float32),
            picture=spaces.Box(0, 255, (84, 84), np.uint8),
            words=spaces.Sequence(spaces.Text(9)),
        )
        self.action_space = spaces.Discrete(7)
        self._lengths, self._changes = lengths, changes or {}
        self._episode, self._step = -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._episode, self._step = self._episode + 1, 0
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        at = self._step
        self._step += 1
        rewards, terminations, truncations = (
            self._value(name, value, at)
            for name, value in (
                ("rewards", at / 4),
                ("terminations", self._step == self._lengths[self._episode]),
                ("truncations", False),
            )
        )
        return self._observation(), rewards, terminations, truncations, self._info()

    def render(self) -> Any:
        return self._value("frames", np.full((6, 8, 3), self._step, np.uint8), self._step)

    def _observation(self) -> Any:
        k = self._step + 100 * self._episode
        position, picture = np.array([k, 0.25, 1], np.float32), np.full((84, 84), k % 256, np.uint8)
        value = {"position": position, "picture": picture, "words": ("a", str(k))}
        return self._value("observations", value, self._step)

    def _info(self) -> Any:
        info = {"k": self._step, "name": str(self._step), "array": np.arange(3) * 0.5}
        return self._value("infos", info, self._step)

    def _value(self, name: str, value: Any, step: int) -> Any:
        change = self._changes.get((self._episode, step, name))
        return value if change is None else change(copy.deepcopy(value)) if callable(change) else change


@made_once
def make(
    path: Path,
    changes: Changes | None = None,
    lengths: tuple[int, ...] = LENGTHS,
    *,
    has_frames: bool = True,
    seeds: dict[int, Any] | None = None,
    options: dict[int, Any] | None = None,
    **recorder_options: Any,
) -> Path:
    """Record the script; changes of actions are made here."""
    changes = changes or {}
    defaults = {"writer": "inline", "metadata": {"run": 1}}
    env = h5r.RecordToHDF5(Scripted(lengths, changes, has_frames), path, **{**defaults, **recorder_options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        for number, length in enumerate(lengths):
            env.reset(seed=(seeds or {}).get(number, number), options=(options or {}).get(number))
            for step in range(length):
                env.step(changes.get((number, step, "actions"), np.int64(step % 7)))
        env.close()
    return path


def put(name: str, index: Any, value: Any) -> Any:
    """A change of one element of an entry of a dict."""

    def change(found: Any) -> Any:
        if index is None:
            found[name] = value
        else:
            found[name][index] = value
        return found

    return change
