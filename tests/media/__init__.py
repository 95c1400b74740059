"""Recordings with pictures of every kind, for the tests of pictures, videos and plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

import gym_h5record as h5r
from tests.made_once import made_once

__all__ = ["opened", "record_observations"]


@made_once
def record_observations(path: Path, shape: tuple[int, ...], dtype: str = "uint8", length: int = 4) -> Path:
    """Record an episode whose observations are arrays without frames; that of step k is full of k."""
    space = spaces.Box(0, 100, shape, np.dtype(dtype).type)
    with h5r.Writer(
        path, observation_space=space, action_space=spaces.Discrete(9), fps=10.0, writer="inline"
    ) as writer:
        writer.begin_episode(np.zeros(shape, dtype))
        for step in range(1, length + 1):
            writer.append(step, np.full(shape, step, dtype), 1.5, step == length, False)
    return path


def opened(path: Path) -> Any:
    """The first episode of a recording, and what reads its values."""
    episode = h5r.Recording(path)[0]
    return episode, episode._decoder
