"""The environments to record: every row of them follows from the seed of its episode.

In its life number ``n``, a recorder plays the episodes with the seeds ``n * LIFE, n * LIFE + 1, ...``.
The seed of an episode is in the file, so each episode in a file can be played again and compared.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .studio import CAMERAS, Fate, Studio, fate

__all__ = [
    "ENVIRONMENTS",
    "LIFE",
    "Moment",
    "Play",
    "fate_of",
    "has_fates",
    "make_env",
    "play",
    "recorder_options",
    "rehearse",
]

LIFE = 1_000_000
"""The number of seeds that one life may use."""

ENVIRONMENTS = ("CartPole-v1", "FrozenLake-v1", "ALE/Breakout-v5", "Ragged", "Studio")
"""In this order: small rows, many episodes, large compressed chunks, values that vary in size, and everything that can
be recorded, with some episodes discarded."""

_HUGE_NOTE = "x" * 150_000  # a small journal has to grow for it


class Ragged(gym.Env[Any, Any]):
    """Shows texts, sequences and pictures that follow from the seed of the reset and the number of the step."""

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 30}  # noqa: RUF012  # as Gymnasium has it
    observation_space = spaces.Dict(
        {
            "step": spaces.Box(0, 2**62, (2,), np.int64),
            "text": spaces.Text(60, min_length=0),
            "points": spaces.Sequence(spaces.Box(-10, 10, (2,), np.float32)),
            "views": spaces.Sequence(spaces.Box(0, 255, (64, 64), np.uint8)),
            "picture": spaces.Box(0, 255, (64, 64), np.uint8),
        }
    )
    action_space = spaces.Dict({"move": spaces.Discrete(3), "say": spaces.Text(6, min_length=0)})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._seed = seed or 0
        self._step = 0
        return self._observe(), {"score": 0.0}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._step += 1
        score = float(action["move"] + len(action["say"]))
        info: dict[str, Any] = {"score": score, "said": action["say"]}
        if self._seed % 3 == 2 and self._step == 5:
            info["note"] = _HUGE_NOTE
        # float64 cannot hold this whole number: it is stored in /exceptions.
        reward = 2**53 + 1 if self._step % 11 == 7 else score
        return self._observe(), reward, self._step == 9 + self._seed % 7, False, info

    def _observe(self) -> dict[str, Any]:
        chance = np.random.default_rng([self._seed, self._step])
        picture = np.full((64, 64), self._step % 256, np.uint8)
        picture[:12] = chance.integers(0, 256, (12, 64))
        return {
            "step": np.array([self._seed, self._step]),
            "text": "ab" * (self._step * 7 % 23),
            "points": tuple(chance.uniform(-10, 10, (self._step % 4, 2)).astype(np.float32)),
            "views": tuple(picture[::-1] for _ in range(self._step * self._step % 3)),
            "picture": picture,
        }


@dataclass(frozen=True)
class Moment:
    """The results of a reset (``action`` is None), or the action, its extras and the results of a step."""

    action: Any
    observation: Any
    info: dict[str, Any]
    reward: Any = None
    terminated: Any = None
    truncated: Any = None
    extras: Any = None


@dataclass
class Play:
    """Everything that passed in an episode, by the names of ``Episode``; no frames or extras if there are none."""

    observations: list[Any] = field(default_factory=list)
    infos: list[Any] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    rewards: list[Any] = field(default_factory=list)
    terminations: list[Any] = field(default_factory=list)
    truncations: list[Any] = field(default_factory=list)
    frames: list[Any] = field(default_factory=list)
    extras: list[Any] = field(default_factory=list)


def has_fates(name: str) -> bool:
    """Whether some episodes of an environment are discarded."""
    return name == "Studio"


def fate_of(name: str, seed: int) -> Fate:
    """What becomes of the episode of a seed."""
    return fate(seed) if has_fates(name) else Fate.KEPT


def recorder_options(name: str) -> dict[str, Any]:
    """Options of ``RecordToHDF5`` that an environment needs."""
    if name != "Studio":
        return {}
    return {"frames": CAMERAS, "keep": lambda summary: fate(summary.seed) is not Fate.REFUSED}


def make_env(name: str) -> gym.Env[Any, Any]:
    """One of ``ENVIRONMENTS``."""
    if name == "Ragged":
        return Ragged()
    if name == "Studio":
        return Studio()
    if name.startswith("ALE/"):
        import ale_py

        gym.register_envs(ale_py)
    return gym.make(name)


def play(env: gym.Env[Any, Any], seed: int) -> Iterator[Moment]:
    """Play the episode of a seed. Every fifth one is left after seven steps."""
    observation, info = env.reset(seed=seed)
    env.action_space.seed(seed)
    yield Moment(None, observation, info)
    for count in itertools.count(1):
        action = env.action_space.sample()
        kept, extras = copy.deepcopy(action), None
        if isinstance(env.unwrapped, Studio):
            extras = env.unwrapped.extras()
            if hasattr(env, "add_extras"):  # it is recorded
                env.add_extras(**extras)
        observation, reward, terminated, truncated, info = env.step(action)
        yield Moment(kept, observation, info, reward, terminated, truncated, extras)
        if terminated or truncated or (seed % 5 == 4 and count == 7):
            return


@lru_cache(maxsize=24)
def rehearse(name: str, seed: int) -> Play:
    """Play the episode of a seed without recording it, and keep everything."""
    played, env = Play(), _stage(name)
    for moment in play(env, seed):
        played.observations.append(copy.deepcopy(moment.observation))
        played.infos.append(copy.deepcopy(moment.info))
        if name == "Studio":
            played.frames.append({key: camera(env) for key, camera in CAMERAS.items()})
        if moment.action is not None:
            played.actions.append(moment.action)
            played.rewards.append(moment.reward)
            played.terminations.append(moment.terminated)
            played.truncations.append(moment.truncated)
            if moment.extras is not None:
                played.extras.append(moment.extras)
    return played


@lru_cache
def _stage(name: str) -> gym.Env[Any, Any]:
    return make_env(name)
