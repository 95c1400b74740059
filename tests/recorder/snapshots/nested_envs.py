"""Environments that keep their generators in helper objects, as environments of other packages do."""

from __future__ import annotations

import random
from typing import Any

import gymnasium as gym
import numpy as np


class NestedEnv(gym.Env[Any, Any]):
    """Draws a number at every step after the fifth. It uses no generator of Gymnasium's."""

    def __new__(cls, *_: Any, **__: Any) -> NestedEnv:
        """Give every environment spaces of its own: a sample leaves a generator in a space that others share."""
        env = super().__new__(cls)
        env.observation_space = gym.spaces.Box(-1, 1, (1,), np.float64)
        env.action_space = gym.spaces.Discrete(2)
        return env

    steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.seed(seed)
        self.steps = 0
        return np.zeros(1), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        drawn = self.draw() if self.steps > 5 else 0.0
        return np.array([drawn]), 0.0, False, self.steps >= 10, {}

    def seed(self, seed: int | None) -> None:
        """Seed the generators."""

    def draw(self) -> float:
        return 0.5


class Holder:
    """An object with any attributes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Replacing(NestedEnv):
    """A seeded reset replaces the generator of the game."""

    def __init__(self) -> None:
        self.game = Holder()
        self.seed(None)

    def seed(self, seed: int | None) -> None:
        self.game.rng = np.random.default_rng(seed)

    def draw(self) -> float:
        return float(self.game.rng.random())


class LikeMinAtar(NestedEnv):
    """The same ``RandomState`` at ``game.random`` and at ``game.env.random``."""

    def __init__(self) -> None:
        self.seed(None)

    def seed(self, seed: int | None) -> None:
        generator = np.random.RandomState(seed)
        self.game = Holder(random=generator, env=Holder(random=generator))

    def draw(self) -> float:
        return float(self.game.env.random.rand() + self.game.random.rand()) / 2


class LikeTetris(NestedEnv):
    """A randomizer that creates its generator in the first reset, and keeps it from then on."""

    def __init__(self) -> None:
        self.randomizer = Holder(rng=None, bag=[1, 2, 3, 4])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if self.randomizer.rng is None:
            self.seed(None)
        return super().reset(seed=seed, options=options)

    def seed(self, seed: int | None) -> None:
        self.randomizer.rng = np.random.default_rng(seed)

    def draw(self) -> float:
        bag = self.randomizer.rng.permutation(self.randomizer.bag)
        return float(bag[0] / 10 + self.randomizer.rng.random() / 2)


class InListsAndDicts(NestedEnv):
    """Generators in a list, in dicts and in a tuple."""

    def __init__(self) -> None:
        self.seed(None)

    def seed(self, seed: int | None) -> None:
        self.players = [Holder(rng=random.Random(seed)), (1, Holder(rng=random.Random(seed)))]
        self.rngs = {"wind": np.random.default_rng(seed), 7: np.random.default_rng(seed), (1, 2): random.Random(seed)}

    def draw(self) -> float:
        left, (_, right) = self.players
        drawn = [left.rng.random(), right.rng.random(), *(each.random() for each in self.rngs.values())]
        return float(sum(drawn)) / 10


class Slotted:
    """An object without a ``__dict__``."""

    __slots__ = ("rng", "unset")

    def __init__(self, seed: int | None) -> None:
        self.rng = random.Random(seed)


class WithSlots(NestedEnv):
    """A generator in a slot."""

    def __init__(self) -> None:
        self.seed(None)

    def seed(self, seed: int | None) -> None:
        self.dice = Slotted(seed)

    def draw(self) -> float:
        return self.dice.rng.random()


class Touchy:
    """An object that must not be asked for anything."""

    def __init__(self, seed: int | None) -> None:
        object.__getattribute__(self, "__dict__").update(rng=np.random.default_rng(seed), itself=self)

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")

    __setattr__ = __getattr__ = __eq__ = __hash__ = __len__ = __iter__ = __bool__ = None  # type: ignore[assignment]

    @property
    def forbidden(self) -> Any:
        raise AssertionError("a property was read")


class WithTouchy(NestedEnv):
    """A cycle, and an object whose methods and properties raise."""

    def __init__(self) -> None:
        self.seed(None)

    def seed(self, seed: int | None) -> None:
        self.world = Holder(touchy=Touchy(seed), env=self)

    def draw(self) -> float:
        rng: np.random.Generator = object.__getattribute__(self.world.touchy, "__dict__")["rng"]
        return float(rng.random())


class MakesItsGame(NestedEnv):
    """The first reset makes the game; only then it has a generator."""

    game: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if self.game is None:
            self.game = Holder(rng=np.random.default_rng(seed))
        return super().reset(seed=seed, options=options)

    def seed(self, seed: int | None) -> None:
        self.game.rng = np.random.default_rng(seed)

    def draw(self) -> float:
        return float(self.game.rng.random())


class Concealed(NestedEnv):
    """The generator is in a closure, where no snapshot finds it."""

    def __init__(self) -> None:
        self.seed(None)

    def seed(self, seed: int | None) -> None:
        rng = np.random.default_rng(seed)
        self._draw = lambda: float(rng.random())

    def draw(self) -> float:
        return self._draw()


FOUND = (Replacing, LikeMinAtar, LikeTetris, InListsAndDicts, WithSlots, WithTouchy)
"""Environments whose generators a snapshot has."""
