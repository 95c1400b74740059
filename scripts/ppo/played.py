"""What a training gave to its environments and got from them, and whether a recording holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper

import gym_h5record as h5r
from gym_h5record.values.exact import identical

from .training import Training, make_envs

__all__ = ["Noted", "Played", "check_file", "play"]

Lengths = list[list[int]]
"""The lengths of the episodes of each lane."""

_EXTRAS = ("log_prob", "value")
_COLUMNS = ("actions", "rewards", "terminations", "truncations", *_EXTRAS)


class Noted(VectorWrapper[Any, Any, Any, Any, Any]):
    """Notes what the agent gives and gets, in the episodes that a recording has to hold.

    Attributes:
        lanes: The episodes of each environment. An episode has a list for each column.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(envs)
        self.lanes: list[list[dict[str, list[Any]]]] = [[] for _ in range(envs.num_envs)]
        self._extras: dict[str, Any] = {}

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, and note the first observations."""
        observations, infos = self.env.reset(seed=seed, options=options)
        for lane in range(self.num_envs):
            self._begin(lane, observations)
        return observations, infos

    def add_extras(self, **extras: Any) -> None:
        """Take what belongs to the coming step."""
        self._extras = extras

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step, and note the outcome."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        outcome = (actions, rewards, terminations, truncations, *(self._extras[name] for name in _EXTRAS))
        for lane, episodes in enumerate(self.lanes):
            newest = episodes[-1]
            if any(newest["terminations"][-1:] + newest["truncations"][-1:]):  # this step has reset it
                self._begin(lane, observations)
                continue
            newest["observations"].append(observations[lane].copy())
            for name, values in zip(_COLUMNS, outcome, strict=True):
                newest[name].append(values[lane].copy())
        return observations, rewards, terminations, truncations, infos

    def lengths(self) -> Lengths:
        """How long the episodes are by now."""
        return [[len(each["actions"]) for each in episodes] for episodes in self.lanes]

    def _begin(self, lane: int, observations: Any) -> None:
        self.lanes[lane].append({"observations": [observations[lane].copy()], **{name: [] for name in _COLUMNS}})


@dataclass(frozen=True)
class Played:
    """What a recording has to hold.

    Attributes:
        noted: The episodes, perhaps with one vector step more.
        lengths: Which lengths of episodes the recording may have.
    """

    noted: Noted
    lengths: list[Lengths]


def play(seed: int, num_steps: int, acknowledged: int | None = None) -> Played:
    """Train without the recorder.

    Args:
        seed: The seed.
        num_steps: The length of the whole training.
        acknowledged: How many vector steps were acknowledged before a kill. The recording may have one more, which
            had returned and was not acknowledged yet. None for the whole training.
    """
    noted = Noted(make_envs())
    lengths: list[Lengths] = []
    for count in Training(noted, seed, num_steps).steps():
        if acknowledged is not None and count >= acknowledged:
            lengths.append(noted.lengths())
            if count > acknowledged:
                break
    noted.close()
    return Played(noted, lengths or [noted.lengths()])


def check_file(path: Path, played: Played) -> int:
    """Compare every value of every lane, bit for bit.

    Returns:
        The number of steps in the file.

    Raises:
        ValueError: If the file has other steps.
    """
    problems = h5r.validate(path, deep=True)
    with h5r.Recording(path) as recording:
        lanes = [list(recording.lane(lane)) for lane in range(recording.num_envs)]
        found = [[each.length for each in episodes] for episodes in lanes]
        if problems or found not in played.lengths:
            raise ValueError(f"{path}: {problems}; episodes of {found} steps, expected one of {played.lengths}")
        for episodes, wanted in zip(lanes, played.noted.lanes, strict=True):
            for episode, columns in zip(episodes, wanted, strict=False):
                _check_episode(episode, columns)
        return recording.num_steps


def _check_episode(episode: Any, columns: dict[str, list[Any]]) -> None:
    for name, values in columns.items():
        column = episode.extras[name] if name in _EXTRAS else getattr(episode, name)
        wanted = values[: episode.length + (name == "observations")]
        if wanted and not identical(np.asarray(column[:]), np.array(wanted)):
            raise ValueError(f"{name} of episode {episode.number}, lane {episode.env}: others than those played")
