"""Steps an environment up to a number of episodes or steps, and counts.

The loop knows neither the recorder nor the progress bar: it calls ``env.step`` and ``on_step``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

import gymnasium as gym

__all__ = ["Limits", "RolloutStats", "Stop", "rollout"]


@dataclass(frozen=True)
class Limits:
    """When a rollout ends: at the limit that it reaches first.

    Attributes:
        episodes: Number of episodes, None for no limit.
        steps: Number of steps, None for no limit.
    """

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
    """

    steps: int = 0
    ended: int = 0
    returns: list[float] = field(default_factory=list)
    start_s: float | None = None

    @property
    def incomplete(self) -> int:
        """Episodes that the environment has not ended."""
        return len(self.returns) - self.ended

    @property
    def seconds(self) -> float:
        """Seconds since the first reset returned, 0 before."""
        return 0.0 if self.start_s is None else monotonic() - self.start_s

    @property
    def steps_per_second(self) -> float:
        """Steps per second since the first reset returned."""
        seconds = self.seconds
        return self.steps / seconds if seconds else 0.0

    @property
    def mean_return(self) -> float:
        """Mean return of all episodes, NaN without episodes."""
        return sum(self.returns) / len(self.returns) if self.returns else float("nan")


class Stop(Protocol):
    """Tells the loop to end early, as ``Interrupts`` does.

    Attributes:
        requested: True once the loop has to end.
    """

    requested: bool


def rollout(
    env: gym.Env[Any, Any],
    policy: Callable[[Any], Any],
    limits: Limits,
    stats: RolloutStats,
    *,
    seed: int | None,
    stop: Stop,
    on_step: Callable[[RolloutStats], None] | None = None,
) -> None:
    """Step an environment up to the limits.

    Args:
        env: The environment.
        policy: Called with the observation, returns the action.
        limits: When to end.
        stats: Counted up; right even if the environment or the policy raises.
        seed: For the first reset.
        stop: Looked at before every step.
        on_step: Called after every step.
    """
    while limits.fraction(stats) < 1 and not stop.requested:
        _play_episode(env, policy, limits, stats, seed=seed, stop=stop, on_step=on_step)
        seed = None


def _play_episode(
    env: gym.Env[Any, Any],
    policy: Callable[[Any], Any],
    limits: Limits,
    stats: RolloutStats,
    *,
    seed: int | None,
    stop: Stop,
    on_step: Callable[[RolloutStats], None] | None,
) -> None:
    observation, _ = env.reset(seed=seed)
    if stats.start_s is None:
        stats.start_s = monotonic()
    returns = stats.returns
    returns.append(0.0)
    max_steps = float("inf") if limits.steps is None else limits.steps
    while stats.steps < max_steps and not stop.requested:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        stats.steps += 1
        returns[-1] += float(reward)
        has_ended = bool(terminated or truncated)
        stats.ended += has_ended
        if on_step is not None:
            on_step(stats)
        if has_ended:
            return
