"""Recordings to be run again: three episodes, the middle one cut short."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py

import gym_h5record as h5r

LENGTHS = (30, 12, 25)


def play(env: gym.Env[Any, Any], lengths: Sequence[int] = LENGTHS, seed: int | None = 7) -> None:
    """Episodes of at most so many steps with random actions; only the first reset is seeded."""
    env.action_space.seed(3)
    for number, length in enumerate(lengths):
        env.reset(seed=None if number else seed)
        for _ in range(length):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                break


def record(env: gym.Env[Any, Any], path: Path, seed: int | None = 7, **options: Any) -> Path:
    """A recording of an environment, closed."""
    recorder = h5r.RecordToHDF5(env, path, writer="inline", **options)
    play(recorder, seed=seed)
    recorder.close()
    return path


def tamper(path: Path, name: str, episode: int, row: int, change: Any) -> None:
    """Change one item of an uncompressed dataset, or an element of it, in place."""
    with h5py.File(path, "r+") as file:
        at = int(file["episodes/starts"][episode]) + row
        file[name][at] = change(file[name][at])
