"""Plays an episode of a recording step by step with ``ReplayFromHDF5``, for ``commands/replay.py`` to print."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_h5record.media.returns import running_returns
from gym_h5record.media.summaries import summary
from gym_h5record.reading.episodes import Episode
from gym_h5record.replay.environment import ReplayFromHDF5

__all__ = ["Step", "play"]


@dataclass(frozen=True)
class Step:
    """One step of the replay: its action, and what ``step`` returned.

    Attributes:
        number: Number of the step, from 0.
        total: Sum of the rewards of the episode, this step included: a number, or an array if rewards are arrays.
    """

    number: int
    action: Any
    observation: Any
    reward: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    total: Any

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: the observation only in a few words, because it may be a picture."""
        return {
            "step": self.number,
            "action": self.action,
            "reward": self.reward,
            "return": self.total,
            "terminated": self.terminated,
            "truncated": self.truncated,
            "observation": summary(self.observation),
            "info": self.info,
        }


def play(path: Path, episode: Episode, limit: int | None) -> tuple[tuple[Any, dict[str, Any]], list[Step]]:
    """Play an episode with the recorded actions, up to a number of steps; the result of the reset and the steps."""
    steps, totals = [], running_returns(episode, limit)
    # "raise": the actions come from the file, so a mismatch would be a bug of this package.
    with ReplayFromHDF5(path, [episode.number], on_mismatch="raise") as env:
        reset = env.reset()
        for number, action in enumerate(itertools.islice(episode.actions, limit)):
            observation, reward, terminated, truncated, info = env.step(action)
            flags = bool(terminated), bool(truncated)
            steps.append(Step(number, action, observation, reward, *flags, info, totals[number + 1]))
    return reset, steps
