"""An environment that stacks frames, by a script: stacks that slide, repeat, jump, or are something else altogether."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from tests.zoo import NAN_WITH_PAYLOAD, check_identical

MOVES = ("slide", "repeat", "jump", "fill", "shape", "dtype", "text", "parent")
"""What the next observation may be."""

START = ("reset fill", "slide")
"""After these two, the recorder knows that the stack slides."""

NESTS = ("", "dict", "tuple", "both")
"""Where the stack is in the observation."""

DTYPES = (np.uint8, np.int16, np.float16, np.float32, np.float64)

_PIXELS = {"u": [0, 1, 2, 255], "i": [0, -1, 7], "f": [0.0, -0.0, float("nan"), NAN_WITH_PAYLOAD, 1.5]}

scripts = st.lists(
    st.sampled_from(
        [
            *(*MOVES, "slide", "slide", "slide"),
            *("reset fill", "reset fill", "reset repeat", "reset shape", "reset parent"),
            *("end slide", "end slide", "end shape", "discard"),
        ]
    ),
    max_size=40,
).map(lambda orders: (*START, *orders))
"""Orders for ``Player``: a move is a step to it, behind ``reset`` a reset, behind ``end`` a last step."""


class StackingEnv(gym.Env[Any, Any]):
    """Shows what its attribute ``move`` names.

    Args:
        depth: Frames of a stack.
        dtype: Of the frames, which have 1,024 bytes each.
        nest: One of ``NESTS``.
        seed: Of the frames. There are few different ones.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  # as Gymnasium has it

    def __init__(self, depth: int = 4, dtype: Any = np.uint8, nest: str = "", seed: int = 0) -> None:
        self._dtype = np.dtype(dtype)
        self._shape = (depth, 2, 512 // self._dtype.itemsize)
        self._nest = nest
        self._random = np.random.default_rng(seed)
        low, high = (-np.inf, np.inf) if self._dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        self.observation_space = self._nested(spaces.Box(low, high, self._shape, dtype), spaces.Dict, spaces.Tuple)
        self.action_space = spaces.Discrete(3)
        self.move, self.is_last = "fill", False
        self._stack = self._jump()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self._observation(), 1.0, self.is_last, False, {}

    def _observation(self) -> Any:
        if self.move == "parent":
            return ["no tree"]
        if self.move in ("shape", "dtype", "text"):
            return self._nested({"shape": self._stack[1:], "dtype": self._stack != 0, "text": "none"}[self.move])
        if self.move == "jump":
            self._stack = self._jump()
        elif self.move == "fill":
            self._stack = np.repeat(self._jump()[:1], self._shape[0], axis=0)
        elif self.move == "slide":
            self._stack = np.concatenate([self._stack[1:], self._jump()[:1]])
        return self._nested(self._stack)

    def _jump(self) -> np.ndarray:
        frames = self._random.choice(_PIXELS[self._dtype.kind], (self._shape[0], 1, 1))
        return np.broadcast_to(frames, self._shape).astype(self._dtype)

    def _nested(self, stack: Any, dict_of: Any = dict, tuple_of: Any = tuple) -> Any:
        if self._nest == "dict":
            return dict_of({"a": self._beside(dict_of), "stack": stack})
        if self._nest == "tuple":
            return tuple_of((stack, self._beside(dict_of)))
        if self._nest == "both":
            return dict_of({"a": tuple_of((self._beside(dict_of), stack)), "stack": stack})
        return stack

    def _beside(self, dict_of: Any) -> Any:
        """What stands beside a stack: a number, or its space."""
        return np.int64(1) if dict_of is dict else spaces.Discrete(3)


class Player:
    """Follows scripts with a recorded ``StackingEnv``.

    Attributes:
        episodes: Copies of the observations of each recorded episode.
    """

    def __init__(self, env: Any) -> None:
        self.episodes: list[list[Any]] = []
        self._env = env
        self._is_over = self._is_discarded = False

    def perform(self, orders: Iterable[str]) -> list[list[Any]]:
        """Follow a script; returns the observations of all episodes so far."""
        for order in orders:
            *prefix, move = order.split()
            if move == "discard":
                self._discard()
                continue
            shown = self._env.unwrapped
            shown.move, shown.is_last = move, prefix == ["end"]
            if prefix == ["reset"]:
                self.episodes.append([copy.deepcopy(self._env.reset()[0])])
                self._is_over = self._is_discarded = False
            else:
                self._keep(self._env.step(0)[0])
                self._is_over = shown.is_last
        return self.episodes

    def _keep(self, observation: Any) -> None:
        if self._is_discarded:
            return
        if self._is_over:  # the agent steps on: a new episode begins with the last row of the one before
            self.episodes.append([self.episodes[-1][-1]])
        self.episodes[-1].append(copy.deepcopy(observation))

    def _discard(self) -> None:
        if not self._is_discarded:
            self._env.discard_episode()
            self.episodes.pop()
        self._is_discarded = True


def record_stacks(path: Path, orders: Iterable[str], env: StackingEnv | None = None, **options: Any) -> list[list[Any]]:
    """Record a script, of misfits as well, which the recorder warns of; returns the observations of each episode."""
    recorder = h5r.RecordToHDF5(StackingEnv() if env is None else env, path, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        try:
            return Player(recorder).perform(orders)
        finally:
            recorder.close()


def check_stacks(path: Path, episodes: Sequence[Sequence[Any]]) -> None:
    """Fail unless a recording has these observations, row by row and in slices."""
    with h5r.Recording(path) as recording:
        assert [len(each.observations) for each in recording.episodes] == [*map(len, episodes)]
        for number, expected in enumerate(episodes):
            column = recording.episodes[number].observations
            for at, value in enumerate(expected):
                check_identical(column[at], value, f"observation {at} of episode {number}")
            for start, stop, step in (
                (0, len(expected), 1),
                (1, len(expected), 2),
                (2, 7, 1),
                (len(expected) - 1, None, 1),
            ):
                batch = column[start:stop:step]
                for at, value in enumerate(expected[start:stop:step]):
                    check_identical(
                        entry(batch, at), value, f"entry {at} of [{start}:{stop}:{step}] of episode {number}"
                    )
        whole = recording.rows.observations[:]
        for at, value in enumerate(value for each in episodes for value in each):
            check_identical(entry(whole, at), value, f"entry {at} of all")


def entry(batch: Any, at: int) -> Any:
    """An entry of a batch of observations."""
    if isinstance(batch, dict):
        return {key: entry(each, at) for key, each in batch.items()}
    if isinstance(batch, tuple):
        return tuple(entry(each, at) for each in batch)
    return batch[at]
