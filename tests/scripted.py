"""Environments whose every value is written by hand, and what recordings of their lanes must hold.

An observation tells its lane, episode and step, so that a row in the wrong place shows. ``expected_episodes`` follows
the documentation of Gymnasium's autoreset modes, and no code of this package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from tests.custom_spaces import Anything

NEVER = 10**9
"""The length of an episode that does not end."""

SPACES: dict[str, gym.Space[Any]] = {
    "box": spaces.Box(-1000, 1000, (3,), np.float32),
    "numbers": spaces.Box(-1000, 1000, (), np.float64),
    "discrete": spaces.Discrete(10_000),
    "binary": spaces.MultiBinary(3),
    "dict": spaces.Dict({"at": spaces.Box(-1000, 1000, (3,), np.float32), "number": spaces.Discrete(10_000)}),
    "tuple": spaces.Tuple((spaces.Discrete(10_000), spaces.Text(40))),
    "text": spaces.Text(40),
    "sequence": spaces.Sequence(spaces.Discrete(10_000)),
    "custom": Anything(),
}


def value(kind: str, lane: int, episode: int, step: int) -> Any:
    """The observation of a lane after some steps of an episode."""
    number = 1000 * lane + 10 * episode + step % 10
    if kind == "box":
        return np.array([lane, episode, step], np.float32)
    if kind == "numbers":
        return np.array(number / 8, np.float64)
    if kind == "discrete":
        return np.int64(number)
    if kind == "binary":
        return np.array([lane % 2, episode % 2, step % 2], np.int8)
    if kind == "dict":
        return {"at": np.array([lane, episode, step], np.float32), "number": np.int64(number)}
    if kind == "tuple":
        return (np.int64(number), f"{lane}x{episode}x{step}")
    if kind == "sequence":
        return tuple(np.int64(number) for _ in range(step % 3))
    return {"place": [lane, episode], "step": step} if kind == "custom" else f"{lane}x{episode}x{step}"


def info(lane: int, episode: int, step: int) -> dict[str, Any]:
    """The info that comes with it: keys come and go."""
    found: dict[str, Any] = {"place": np.array([lane, episode, step])}
    if step % 2:
        found["odd"] = np.float64(step + lane / 4)
    if (step + lane) % 3 == 0:
        found["words"] = f"lane {lane}"
    return found


def reward(lane: int, episode: int, step: int) -> float:
    """The reward of the step that leads there."""
    return lane + episode / 8 + step / 64


class Scripted(gym.Env[Any, Any]):
    """An environment of a lane; its episodes have the given lengths, in turn."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012  # Gymnasium's interface

    def __init__(self, kind: str, lane: int, lengths: tuple[int, ...], render_mode: str | None = None) -> None:
        self.observation_space = SPACES[kind]
        self.action_space = spaces.Discrete(100)
        self.render_mode = render_mode
        self._kind, self._lane, self._lengths = kind, lane, lengths
        self._episode, self._step = -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._episode, self._step = self._episode + 1, 0
        return self._observed()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._step += 1
        is_over = self._step >= self._lengths[self._episode % len(self._lengths)]
        observation, its_info = self._observed()
        outcome = (is_over and self._episode % 2 == 0, is_over and self._episode % 2 == 1)
        return observation, reward(self._lane, self._episode, self._step), *outcome, its_info

    def render(self) -> np.ndarray:
        return picture(self._lane, self._episode, self._step)

    def _observed(self) -> tuple[Any, dict[str, Any]]:
        place = (self._lane, self._episode, self._step)
        return value(self._kind, *place), info(*place)


def picture(lane: int, episode: int, step: int) -> np.ndarray:
    """The picture of a lane after some steps of an episode."""
    return np.full((4, 6, 3), (lane, episode, step % 256), np.uint8)


@dataclass
class Expected:
    """An episode that a recording must have."""

    lane: int
    number: int
    length: int = 0
    actions: list[int] = field(default_factory=list)
    is_over: bool = False

    def places(self) -> list[tuple[int, int, int]]:
        """Lane, episode and step of each row."""
        return [(self.lane, self.number, step) for step in range(self.length + 1)]


def functions(kind: str, lengths: list[tuple[int, ...]], **options: Any) -> list[Any]:
    """What a vector environment makes its environments with, one for each tuple of lengths."""
    return [partial(Scripted, kind, lane, each, **options) for lane, each in enumerate(lengths)]


def actions_at(step: int, num_lanes: int) -> np.ndarray:
    """The actions of a step."""
    return (np.arange(num_lanes) + 7 * step) % 100


def drive(envs: Any, mode: AutoresetMode, num_steps: int, start: int = 0) -> None:
    """Step vector environments; in ``DISABLED`` mode, reset those whose episode has ended before the next step."""
    if not start:
        envs.reset(seed=5)
    over = np.zeros(envs.num_envs, np.bool_)
    for step in range(start, start + num_steps):
        if mode is AutoresetMode.DISABLED and over.any():
            envs.reset(options={"reset_mask": over})
        _, _, terminations, truncations, _ = envs.step(actions_at(step, envs.num_envs))
        over = terminations | truncations


def expected_episodes(lengths: list[tuple[int, ...]], mode: AutoresetMode, num_steps: int) -> list[Expected]:
    """The episodes that ``drive`` makes, in the order in which they end; then those that do not end, by lane."""
    ended: list[tuple[int, int, Expected]] = []
    running = []
    for lane, its_lengths in enumerate(lengths):
        episode = Expected(lane, 0)
        for step in range(num_steps):
            if episode.is_over:
                episode = Expected(lane, episode.number + 1)
                if mode is AutoresetMode.NEXT_STEP:
                    continue  # this step resets, and takes no action
            episode.actions.append(int(actions_at(step, len(lengths))[lane]))
            episode.length += 1
            if episode.length == its_lengths[episode.number % len(its_lengths)]:
                episode.is_over = True
                ended.append((step, lane, episode))
                if mode is AutoresetMode.SAME_STEP:
                    episode = Expected(lane, episode.number + 1)
        if not episode.is_over:
            running.append(episode)
    return [episode for *_, episode in sorted(ended, key=lambda each: each[:2])] + running
