"""Stepping an environment until there is enough, and counting.

The loop knows nothing of recording and little of progress: it asks the clock,
and says so when it is time to show something. Nothing else happens per step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

import gymnasium as gym

__all__ = ["Limits", "RolloutStats", "Watch", "rollout"]


@dataclass(frozen=True)
class Limits:
    """When to stop: at whichever comes first, None for no limit.

    Attributes:
        episodes: So many episodes.
        steps: So many steps.
    """

    episodes: int | None = None
    steps: int | None = None

    def fraction(self, tally: RolloutStats) -> float:
        """How much is done, from 0 to 1."""
        episodes = tally.ended / self.episodes if self.episodes else 0.0
        steps = tally.steps / self.steps if self.steps else 0.0
        return min(1.0, max(episodes, steps))


@dataclass
class RolloutStats:
    """What has happened so far.

    Attributes:
        steps: Steps taken.
        ended: Episodes that the environment has ended.
        returns: One per episode, the last one may not have ended.
        start_s: When the first reset had returned, on the monotonic clock.
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
        """Seconds since the first reset had returned."""
        return 0.0 if self.start_s is None else monotonic() - self.start_s

    @property
    def steps_per_second(self) -> float:
        """Steps per second since then."""
        seconds = self.seconds
        return self.steps / seconds if seconds else 0.0

    @property
    def mean_return(self) -> float:
        """Mean over all episodes, NaN if there are none."""
        return sum(self.returns) / len(self.returns) if self.returns else float("nan")


class Watch(Protocol):
    """Whoever shows the progress.

    Attributes:
        due_s: When to call ``show`` next, on the monotonic clock.
    """

    due_s: float

    def show(self, tally: RolloutStats) -> None:
        """Show what has happened so far, and set ``due_s`` anew."""


class Stop(Protocol):
    """Whoever may want the loop to end early."""

    requested: bool


def rollout(
    env: gym.Env[Any, Any],
    policy: Callable[[Any], Any],
    limits: Limits,
    tally: RolloutStats,
    *,
    seed: int | None,
    stop: Stop,
    watch: Watch,
) -> None:
    """Step an environment up to the limits.

    Args:
        env: The environment.
        policy: Called with the observation, returns the action.
        limits: When to stop.
        tally: Counts; up to date whenever and however this ends.
        seed: For the first reset.
        stop: Looked at before every step.
        watch: Told about the progress.
    """
    while limits.fraction(tally) < 1 and not stop.requested:
        _play_episode(env, policy, limits, tally, seed=seed, stop=stop, watch=watch)
        seed = None


def _play_episode(
    env: gym.Env[Any, Any],
    policy: Callable[[Any], Any],
    limits: Limits,
    tally: RolloutStats,
    *,
    seed: int | None,
    stop: Stop,
    watch: Watch,
) -> None:
    observation, _ = env.reset(seed=seed)
    if tally.start_s is None:
        tally.start_s = monotonic()
    returns = tally.returns
    returns.append(0.0)
    max_steps = float("inf") if limits.steps is None else limits.steps
    while tally.steps < max_steps and not stop.requested:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        tally.steps += 1
        returns[-1] += float(reward)
        if terminated or truncated:
            tally.ended += 1
            return
        if monotonic() >= watch.due_s:
            watch.show(tally)
