"""``DeepSea``, an environment whose rewards are arrays of two numbers, and recordings of an agent that adds extras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import h5py
import numpy as np
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.format.schema_json import schema_from_json, schema_to_json
from tests.made_once import made_once

DEPTHS = (1, 2, 3, 5)
"""How deep the treasure of each column lies; it is worth the square of its depth, and half a coin."""

ACTIONS = (0, 0, 1, 1, 1)
"""0 moves to the next column, 1 dives: the agent finds the third treasure, with the fifth step."""

RETURNS = ([9.5, -0.5], [0.0, -0.1 - 0.1 - 0.1], [9.5, -0.5])
"""Of the episodes of ``record_treasures``; the second one is incomplete."""


class DeepSea(gym.Env[np.ndarray, int]):
    """A submarine looks for treasures. A reward is an array: what was found, and the time that it took.

    Args:
        dtype: The dtype of the rewards.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": [], "render_fps": 4}

    def __init__(self, dtype: Any = np.float64) -> None:
        self.observation_space = spaces.Box(0, 10, (2,), np.int32)
        self.action_space = spaces.Discrete(2)
        self.reward_space = spaces.Box(-1, 100, (2,), dtype)
        self._place = np.zeros(2, np.int32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._place[:] = 0
        return self._place, {"current": self.np_random.random()}

    def step(self, action: int) -> tuple[np.ndarray, np.ndarray, bool, bool, dict[str, Any]]:
        column, depth = self._place
        self._place[:] = (column, depth + 1) if action else (min(column + 1, len(DEPTHS) - 1), depth)
        found = self._place[1] == DEPTHS[self._place[0]]
        reward = np.array([found * (self._place[1] ** 2 + 0.5), -0.1], self.reward_space.dtype)
        return self._place, reward, bool(found), False, {"current": self.np_random.random()}


def extras(step: int) -> dict[str, Any]:
    """What the agent knows: a number, an array, and text in every other step."""
    known: dict[str, Any] = {"log_prob": -0.25 * step, "values": np.array([step, 0.5], np.float32)}
    return known | ({"prompt": f"dive {step}?"} if step % 2 else {})


@made_once
def record_treasures(path: Path, lengths: tuple[int, ...] = (5, 3, 5), dtype: Any = np.float64, **options: Any) -> Path:
    """Record episodes of ``DeepSea``, each of the first ``ACTIONS``, with extras."""
    env = h5r.RecordToHDF5(DeepSea(dtype), path, **{"writer": "inline", **options})
    for number, length in enumerate(lengths):
        env.reset(seed=number)
        for step in range(length):
            env.add_extras(**extras(step))
            env.step(ACTIONS[step])
    env.close()
    return path


def without_extras(path: Path) -> Path:
    """Make a recording one of an earlier version, which had no ``/extras``."""
    with h5py.File(path, "r+") as file:
        attributes = file["metadata"].attrs
        old = schema_from_json(attributes["schema"])
        codes = [old.code_index[column.node.name] for column in old.extras or ()]
        attributes["schema"] = schema_to_json(replace(old, extras=None))
        rows, kept = file["types"].chunks[0], np.delete(file["types"][:], codes, axis=1)
        del file["extras"], file["types"]
        width = kept.shape[1]
        file.create_dataset("types", data=kept, chunks=(rows, width), maxshape=(None, width))
    return path


def dive(observation: np.ndarray) -> int:
    """The policy that finds the first treasure."""
    return 1


@contextmanager
def registered() -> Iterator[str]:
    """Let ``gymnasium.make`` know the environment; gives its id. Gymnasium's checker warns of rewards like these."""
    gym.register("DeepSea-v0", DeepSea, disable_env_checker=True)
    try:
        yield "DeepSea-v0"
    finally:
        gym.registry.pop("DeepSea-v0")
