"""Choosing an episode of a recording, and playing it step by step.

The steps come from ``ReplayFromHDF5``, as anybody would use it. Printing and
pictures are made elsewhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_h5record.cli.output import summary
from gym_h5record.cli.program import CommandError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.replay.environment import ReplayFromHDF5

__all__ = ["Reset", "Step", "choose_episode", "describe_end", "play", "reward_number"]


@dataclass(frozen=True)
class Reset:
    """What the replay's ``reset`` gave."""

    observation: Any
    info: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"observation": summary(self.observation), "info": self.info}


@dataclass(frozen=True)
class Step:
    """What the replay's ``step`` was given, and what it gave.

    Attributes:
        number: From 1 on.
        total: Sum of the rewards up to here.
    """

    number: int
    action: Any
    observation: Any
    reward: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    total: float

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: observations in a few words, they may be pictures."""
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


def choose_episode(recording: Recording, number: int | None) -> Episode:
    """An episode by its number, negative ones from the end; None for the first one with a step.

    Raises:
        CommandError: If there is none.
    """
    episodes, name = recording.episodes, recording.path
    if number is None:
        for episode in episodes:
            if episode.length:
                return episode
        raise CommandError(f"{name} has no episode with a step: nothing to replay.")
    if not episodes:
        raise CommandError(f"{name} has no episodes.")
    if not -len(episodes) <= number < len(episodes):
        raise CommandError(f"{name} has episodes 0 to {len(episodes) - 1}, there is no episode {number}.")
    return episodes[number]


def play(path: Path, episode: Episode, limit: int | None) -> tuple[Reset, list[Step]]:
    """Play an episode by giving the replay the actions that were recorded.

    Args:
        path: The recording.
        episode: One of its episodes.
        limit: How many steps at most, None for all.
    """
    # What was recorded must fit what was recorded: a mismatch would be a bug.
    with closing(ReplayFromHDF5(path, [episode.number], on_mismatch="raise")) as env:
        reset = Reset(*env.reset())
        return reset, list(_steps(env, itertools.islice(episode.actions, limit)))


def _steps(env: ReplayFromHDF5, actions: Iterator[Any]) -> Iterator[Step]:
    total = 0.0
    for number, action in enumerate(actions, 1):
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward_number(reward)
        yield Step(number, action, observation, reward, bool(terminated), bool(truncated), info, total)


def reward_number(reward: Any) -> float:
    """What a reward adds to the return: nothing, as in the file's own returns, if it is no number."""
    try:
        return float(reward)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def describe_end(episode: Episode) -> str:
    """How an episode ended, in a word or three."""
    ends = [name for name, is_so in (("terminated", episode.terminated), ("truncated", episode.truncated)) if is_so]
    return " and ".join(ends) or "incomplete"
