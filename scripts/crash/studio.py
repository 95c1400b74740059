"""An environment that gives a recorder everything it can record, and an agent that discards some of its episodes.

Observations of a custom space, arrays of rewards, infos with odd keys, pictures and texts of two cameras, extras: all
of them follow from the seed of the reset and the number of the step.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

__all__ = ["CAMERAS", "Fate", "Studio", "fate"]


class Fate(Enum):
    """What becomes of an episode."""

    KEPT = "kept"
    DISCARDED = "the agent calls discard_episode() after its last step"
    REFUSED = "keep says no when it ends"


def fate(seed: int) -> Fate:
    """The fate of the episode of a seed. The fourth of ten is discarded while it runs, see ``plays.play``."""
    if seed % 10 in (1, 4):
        return Fate.DISCARDED
    return Fate.REFUSED if seed % 10 in (6, 8) else Fate.KEPT


class Page(gym.Space[Any]):
    """Any value: a space that Gymnasium does not have."""

    def contains(self, x: Any) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Page)


class Studio(gym.Env[Any, Any]):
    """Shows, rewards and tells what follows from the seed of the reset and the number of the step."""

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 30}  # noqa: RUF012  # as Gymnasium has it
    observation_space = spaces.Dict({"step": spaces.Box(0, 2**62, (2,), np.int64), "page": Page()})
    action_space = spaces.Tuple((spaces.Discrete(5), spaces.Text(5, min_length=0)))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._seed = seed or 0
        self._step = 0
        return self._observe(), self._inform()

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._step += 1
        reward = np.array([float(action[0]), len(action[1]) / 7])
        return self._observe(), reward, self._step == 4 + self._seed % 5, False, self._inform()

    def extras(self) -> dict[str, Any]:
        """What the agent adds to the coming step."""
        extras: dict[str, Any] = {"value": self._step / 3, "logits": np.full(4, self._seed % 100 + self._step / 10)}
        if self._step % 2:
            extras["prompt"] = f"step {self._step}" * (self._seed % 4)
        return extras

    def picture(self) -> np.ndarray:
        """What the front camera shows: sixteen of them fill a compressed chunk."""
        picture = np.full((64, 64), self._step % 256, np.uint8)
        picture[:12] = np.random.default_rng([self._seed, self._step]).integers(0, 256, (12, 64))
        return picture

    def text(self) -> str:
        """What the other camera shows."""
        return "|#" * (self._step * 5 % 17)

    def _observe(self) -> dict[str, Any]:
        pages = [{"url": f"p{self._seed}", "ids": list(range(self._step % 3))}, None, ("a", 2**70, self._step)]
        return {"step": np.array([self._seed, self._step]), "page": pages[(self._seed + self._step) % len(pages)]}

    def _inform(self) -> dict[str, Any]:
        info: dict[Any, Any] = {"a/b": float(self._step), "": self._step, "ключ": "value" * (self._step % 2)}
        if self._step % 3 == 1:
            info |= {5: (self._step, None), "\ud800": np.arange(self._step)}
        return info


CAMERAS = {"front": lambda env: env.unwrapped.picture(), "over/head": lambda env: env.unwrapped.text()}
