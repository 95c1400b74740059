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
from gym_h5record.media.returns import with_reward, zero_return

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
        returns: One per episode, a number or an array; the last episode may still be running.
        first_s: When the first step returned, on the monotonic clock.
        last_s: When the last step returned.
    """

    steps: int = 0
    ended: int = 0
    returns: list[Any] = field(default_factory=list)
    first_s: float = 0.0
    last_s: float = 0.0

    @property
    def incomplete(self) -> int:
        """Episodes that the environment has not ended."""
        return len(self.returns) - self.ended

    @property
    def complete_returns(self) -> list[Any]:
        """The returns of the episodes that the environment has ended: all but perhaps the last."""
        return self.returns[: self.ended]

    @property
    def seconds(self) -> float:
        """Seconds from the return of the first step to that of the last one.

        So neither the start of the recorder and its writer counts, nor the first reset, nor the first step, which fixes
        the columns.
        """
        return self.last_s - self.first_s

    @property
    def steps_per_second(self) -> float | None:
        """Steps per second in these seconds, which the first step is not part of; None before the second step."""
        return (self.steps - 1) / self.seconds if self.seconds else None


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
    no_return: Any = 0.0
    while limits.fraction(stats) < 1 and not stop.requested:
        observation, _ = env.reset(seed=seed)
        seed, has_ended = None, False
        stats.returns.append(no_return)
        while not has_ended and stats.steps < max_steps and not stop.requested:
            observation, reward, terminated, truncated, _ = env.step(policy(observation))
            stats.last_s = monotonic()
            if not stats.steps:
                stats.first_s = stats.last_s
                no_return = stats.returns[-1] = zero_return(reward)
            stats.steps += 1
            stats.returns[-1] = with_reward(stats.returns[-1], reward)
            has_ended = bool(terminated or truncated)
            stats.ended += has_ended
            if on_step is not None:
                on_step(stats)
