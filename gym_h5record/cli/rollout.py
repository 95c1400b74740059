"""Steps an environment up to a number of episodes or steps, and counts.

The loop knows neither the recorder nor the progress bar: it calls ``env.step`` and ``on_step``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import gymnasium as gym

from gym_h5record.cli.interrupts import Interrupts

__all__ = ["Limits", "RolloutStats", "roll_out"]


@dataclass(frozen=True)
class Limits:
    """A rollout ends at the limit that it reaches first; None is no limit."""

    episodes: int | None = None
    steps: int | None = None

    def fraction(self, stats: RolloutStats) -> float:
        """How much of the rollout is done, from 0 to 1."""
        episodes = stats.ended / self.episodes if self.episodes else 0.0
        steps = stats.steps / self.steps if self.steps else 0.0
        return min(1.0, max(episodes, steps))


@dataclass
class RolloutStats:
    """The counts of a rollout, after each step.

    Attributes:
        steps: Steps taken.
        ended: Episodes that the environment has ended.
        returns: One per episode; the last episode may still be running.
        start_s: When the first reset returned, on the monotonic clock; None before.
        end_s: When the recorder was closed; None before.
    """

    steps: int = 0
    ended: int = 0
    returns: list[float] = field(default_factory=list)
    start_s: float | None = None
    end_s: float | None = None

    @property
    def incomplete(self) -> int:
        """Episodes that the environment has not ended."""
        return len(self.returns) - self.ended

    @property
    def seconds(self) -> float:
        """Seconds from the first reset until now, or until the recorder was closed; 0 without a reset."""
        if self.start_s is None:
            return 0.0
        return (monotonic() if self.end_s is None else self.end_s) - self.start_s

    @property
    def steps_per_second(self) -> float:
        """Steps per second since the first reset returned."""
        seconds = self.seconds
        return self.steps / seconds if seconds else 0.0


def roll_out(
    env: gym.Env[Any, Any],
    policy: Callable[[Any], Any],
    limits: Limits,
    stats: RolloutStats,
    *,
    seed: int | None,
    stop: Interrupts,
    on_step: Callable[[RolloutStats], None] | None = None,
) -> None:
    """Step an environment up to the limits, or until ``stop`` is requested.

    The counts in ``stats`` are right even if the environment or the policy raises. Only the first reset is seeded.
    """
    max_steps = float("inf") if limits.steps is None else limits.steps
    while limits.fraction(stats) < 1 and not stop.requested:
        observation, _ = env.reset(seed=seed)
        seed, has_ended = None, False
        if stats.start_s is None:
            stats.start_s = monotonic()
        stats.returns.append(0.0)
        while not has_ended and stats.steps < max_steps and not stop.requested:
            observation, reward, terminated, truncated, _ = env.step(policy(observation))
            stats.steps += 1
            stats.returns[-1] += float(reward)
            has_ended = bool(terminated or truncated)
            stats.ended += has_ended
            if on_step is not None:
                on_step(stats)
