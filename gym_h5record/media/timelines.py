"""The rewards of many steps as a line of a few hundred points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.reading.steps import Steps
from gym_h5record.values.exact import reward_number

__all__ = ["RewardTimeline", "reward_timeline"]

_MAX_BINS = 500
_BLOCK_STEPS = 1 << 16
_MAX_COMPONENTS = 4


@dataclass(frozen=True)
class RewardTimeline:
    """Rewards in bins of steps that follow each other.

    Attributes:
        steps_per_bin: Steps of a bin; the last one may have fewer.
        steps: The number of the first step of each bin, ``(bins,)`` int64.
        mean: The mean of the finite rewards of each bin, ``(bins, components)`` float64; NaN if there is none.
        low: The lowest of them, likewise.
        high: The highest of them, likewise.
    """

    steps_per_bin: int
    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def reward_timeline(steps: Steps, max_bins: int = _MAX_BINS) -> RewardTimeline:
    """The rewards of steps, in one pass and in bounded memory. Of rewards that are arrays, the first four components.

    Args:
        steps: The steps.
        max_bins: The most bins.

    Raises:
        CorruptRecordingError: If a reward cannot be read.
    """
    per_bin = max(1, math.ceil(len(steps) / max_bins))
    firsts = np.arange(0, len(steps), per_bin)
    parts = [np.zeros((3, 0, 1))]
    block_steps = max(1, _BLOCK_STEPS // per_bin) * per_bin  # whole bins
    for first in range(0, len(steps), block_steps):
        rewards = _as_columns(steps.rewards[first : first + block_steps])
        parts.append(_of_bins(rewards, np.arange(0, len(rewards), per_bin)))
    mean, low, high = np.concatenate(parts[1:] or parts, axis=1)
    return RewardTimeline(per_bin, firsts, mean, low, high)


def _as_columns(rewards: Any) -> np.ndarray:
    """Rewards as ``(n, components)`` float64; what is no number is NaN."""
    if not isinstance(rewards, np.ndarray):  # some of them do not fit the column
        rewards = np.array([reward_number(each) for each in rewards], np.float64)
    flat: np.ndarray = rewards.astype(np.float64).reshape(len(rewards), -1)[:, :_MAX_COMPONENTS]
    return flat


def _of_bins(rewards: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Mean, lowest and highest of the finite rewards of each bin, ``(3, bins, components)``."""
    finite = np.isfinite(rewards)
    counts = np.add.reduceat(finite, begins, axis=0, dtype=np.int64)
    with np.errstate(all="ignore"):
        mean = np.add.reduceat(np.where(finite, rewards, 0.0), begins, axis=0) / counts
    low = np.minimum.reduceat(np.where(finite, rewards, np.inf), begins, axis=0)
    high = np.maximum.reduceat(np.where(finite, rewards, -np.inf), begins, axis=0)
    found: np.ndarray = np.where(counts > 0, np.stack([mean, low, high]), np.nan)
    return found
