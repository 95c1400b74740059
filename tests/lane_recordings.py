"""Vector recordings for tests of everything that reads them: of scripted environments, and of CartPole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import gym_h5record as h5r
from tests.made_once import made_once
from tests.scripted import NEVER, Scripted, actions_at, drive, functions

__all__ = ["LENGTHS", "Pictures", "record_cart_poles", "record_lanes", "record_with_extras"]

LENGTHS = ((1, 3), (4, 1, 2), (NEVER,), (2,))
"""The lengths of the episodes of each lane."""


@made_once
def record_lanes(
    path: Path,
    kind: str = "dict",
    mode: str = "NEXT_STEP",
    num_steps: int = 20,
    lengths: Any = LENGTHS,
    render_mode: str | None = None,
    **options: Any,
) -> Path:
    """Scripted environments, whose every value ``tests.scripted`` knows; ``"stacks"`` are of ``Pictures``."""
    makers = functions(kind, list(lengths), render_mode=render_mode) if kind != "stacks" else _stacked(lengths)
    envs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode[mode])
    recorded = h5r.vector.RecordToHDF5(envs, path, **{"writer": "inline", **options})
    drive(recorded, AutoresetMode[mode], num_steps)
    recorded.close()
    return path


@made_once
def record_with_extras(path: Path, num_steps: int = 6) -> Path:
    """Extras in columns of their own, and others as text."""
    envs = SyncVectorEnv(functions("box", list(LENGTHS)))
    recorded = h5r.vector.RecordToHDF5(envs, path, writer="inline")
    recorded.reset(seed=5)
    for step in range(num_steps):
        words = [f"{lane} {step}" for lane in range(4)]
        recorded.add_extras(value=np.arange(4) + step / 8, pair=np.full((4, 2), step, np.float32), words=words)
        recorded.step(actions_at(step, 4))
    recorded.close()
    return path


@made_once
def record_cart_poles(
    path: Path,
    num_steps: int = 40,
    num_envs: int = 3,
    seed: int = 1,
    vectorization_mode: str = "sync",
    has_statistics: bool = False,
) -> Path:
    """CartPole, whose environments can be made again; ``"vector_entry_point"`` steps them together."""
    envs: Any = gym.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode=vectorization_mode)
    envs = gym.wrappers.vector.RecordEpisodeStatistics(envs) if has_statistics else envs
    recorded = h5r.vector.RecordToHDF5(envs, path, writer="inline")
    recorded.action_space.seed(seed)
    recorded.reset(seed=seed)
    for _ in range(num_steps):
        recorded.step(recorded.action_space.sample())
    recorded.close()
    return path


class Pictures(Scripted):
    """Grey pictures, whose level tells lane and step."""

    def __init__(self, lane: int, lengths: tuple[int, ...]) -> None:
        super().__init__("box", lane, lengths)
        self.observation_space = spaces.Box(0, 255, (40, 40), np.uint8)

    def _observed(self) -> tuple[Any, dict[str, Any]]:
        return np.full((40, 40), 1 + self._lane * 60 + self._step, np.uint8), {}


def _stacked(lengths: Any) -> list[Any]:
    def make(lane: int) -> Any:
        return lambda: gym.wrappers.FrameStackObservation(Pictures(lane, lengths[lane]), 4)

    return [make(lane) for lane in range(len(lengths))]
