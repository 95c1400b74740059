"""Policies whose evaluation is known in advance, and recordings to evaluate them on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import spaces

import gym_h5record as h5r


class Replayer:
    """Has the recorded actions of these episodes, and gives them one after the other."""

    def __init__(self, path: Path, episodes: Sequence[int] | None = None) -> None:
        with h5r.Recording(path) as recording:
            numbers = range(recording.num_episodes) if episodes is None else episodes
            self._episodes = [list(recording.episodes[number].actions) for number in numbers]
        self._next = iter(())
        self.seen: list[list[Any]] = []

    def reset(self) -> None:
        self._next = iter(self._episodes[len(self.seen)])
        self.seen.append([])

    def __call__(self, observation: Any) -> Any:
        self.seen[-1].append(observation)
        return next(self._next)


class Counter(gym.Env[int, Any]):
    """Observes its own steps; any action will do; four steps an episode, unless it never ends."""

    def __init__(self, action_space: spaces.Space[Any], length: int | None = 4) -> None:
        self.observation_space = spaces.Discrete(10**6)
        self.action_space = action_space
        self._length = length
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return 0, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self._steps, 0.5, self._steps == self._length, False, {}


def record_actions(path: Path, space: spaces.Space[Any], episodes: Sequence[Sequence[Any]]) -> Path:
    """A recording of ``Counter`` with these actions; every episode is seeded."""
    recorder = h5r.RecordToHDF5(Counter(space), path, writer="inline")
    for number, actions in enumerate(episodes):
        recorder.reset(seed=number)
        for action in actions:
            recorder.step(action)
    recorder.close()
    return path
