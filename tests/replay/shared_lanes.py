"""A vector environment whose lanes share one generator, in every autoreset mode, and recordings of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

import gym_h5record as h5r


class SharedLanes(VectorEnv[Any, Any, Any]):
    """Walks of all lanes with numbers of one generator; a walk ends beyond 4, and is cut off after 8 steps."""

    def __init__(self, mode: AutoresetMode, num_envs: int = 3) -> None:
        self.metadata = {"autoreset_mode": mode}
        self.num_envs = num_envs
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.single_action_space = gym.spaces.Discrete(3)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._mode = mode
        self._places, self._steps = np.zeros(num_envs), np.zeros(num_envs)
        self._is_over = np.zeros(num_envs, np.bool_)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, np.bool_))
        self._restart(mask)
        scale = (options or {}).get("scale", 1.0)
        self._places[mask] *= scale
        return self._observed(), {"begins": self._places.copy(), "_begins": mask}

    def step(self, actions: Any) -> Any:
        over = self._is_over if self._mode is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, np.bool_)
        if self._mode is AutoresetMode.DISABLED and self._is_over.any():
            raise RuntimeError("a lane has ended")
        moves = actions + self.np_random.random(self.num_envs)
        self._places[~over] += moves[~over]
        self._steps[~over] += 1
        self._restart(over)
        rewards = np.where(over, 0.0, moves)
        terminations, truncations = self._places > 4, self._steps >= 8
        self._is_over = terminations | truncations
        infos = {"moved": moves, "_moved": ~over}
        if self._mode is AutoresetMode.SAME_STEP and self._is_over.any():
            ended = self._is_over.copy()
            infos = {"final_obs": self._observed(), "final_info": infos, "_final_info": ended}
            self._restart(ended)
        return self._observed(), rewards, terminations, truncations, infos

    def _restart(self, mask: np.ndarray) -> None:
        self._places[mask] = self.np_random.random(mask.sum())
        self._steps[mask] = 0
        self._is_over = self._is_over & ~mask

    def _observed(self) -> np.ndarray:
        return np.stack([self._places, self._steps], 1)


def record_shared(
    path: Path,
    mode: AutoresetMode,
    num_steps: int = 25,
    make: Callable[..., Any] = SharedLanes,
    seed: int | None = 7,
    **options: Any,
) -> Path:
    """A recording: the first reset is seeded, one of all lanes without seeds comes after two thirds of the steps."""
    envs = h5r.vector.RecordToHDF5(make(mode), path, writer="inline", compression=None, **options)
    play_lanes(envs, mode, num_steps, seed)
    envs.close()
    return path


def play_lanes(envs: Any, mode: AutoresetMode, num_steps: int, seed: Any) -> None:
    """Random actions; in ``DISABLED`` mode, lanes that have ended are reset before the next step."""
    envs.action_space.seed(3)
    envs.reset(seed=seed)
    for step in range(num_steps):
        if step == 2 * num_steps // 3:
            envs.reset(options={"scale": 0.5})
        _, _, terminations, truncations, _ = envs.step(envs.action_space.sample())
        over = terminations | truncations
        if mode is AutoresetMode.DISABLED and over.any():
            envs.reset(options={"reset_mask": over})


def tamper_lane(path: Path, name: str, episode: int, row: int, change: Any) -> None:
    """Change one item of a lane's uncompressed dataset, or an element of it, in place."""
    with h5py.File(path, "r+") as file:
        at = int(file["episodes/starts"][episode]) + row
        lane = int(file["episodes/envs"][episode])
        file[name][at, lane] = change(file[name][at, lane])
