"""Good recordings, and ways to spoil them through h5py, for the tests of validation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.writing import journal
from tests.zoo import ZooEnv, play

OBSERVATIONS = spaces.Dict(
    picture=spaces.Box(0, 255, (84, 84), np.uint8),  # compressed, sixteen in a chunk
    vector=spaces.Box(-1, 1, (3,), np.float32),
    number=spaces.Discrete(9, start=-2),
    bits=spaces.MultiBinary(3),
    grid=spaces.MultiDiscrete([3, 4]),
    words=spaces.Sequence(spaces.Text(9, min_length=1)),
    graph=spaces.Graph(spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(3)),
    choice=spaces.OneOf([spaces.Text(4), spaces.Discrete(5)]),
)
ACTIONS = spaces.Tuple((spaces.Discrete(3), spaces.Text(5), spaces.Box(-2, 2, (2,), np.float32)))
LENGTHS = (9, 4, 0, 9, 7)
"""Steps of the episodes of ``record``; the environment ends those of 9 steps."""

STARTS = (0, 10, 15, 16, 26)
LAST_ROWS = (9, 14, 15, 25, 33)
REWARDS = (1.5, 2, np.float32(0.1), True, np.int64(-7), 2**53 + 1)
"""Of many types, one of which is an exception, all of them finite."""


def infos(step: int) -> dict[str, Any]:
    """A key with a column of its own, and one without."""
    return {"lives": 3 - step % 3} | ({"note": (step,)} if step % 2 else {})


def zoo_env(observations: gym.Space[Any] = OBSERVATIONS, actions: gym.Space[Any] | None = ACTIONS) -> ZooEnv:
    """An environment that gives nothing validation would have to mention."""
    return ZooEnv(observations, actions, rewards=REWARDS, infos=infos)


def record(path: Path, env: gym.Env[Any, Any], lengths: Sequence[int] = LENGTHS, **options: Any) -> Path:
    """Record episodes of an environment, with a journal that is made quickly."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # of the exceptions among the rewards
        patch.setattr(journal, "_MAX_BYTES", 1 << 20)
        recorder = h5r.RecordToHDF5(env, path, writer="inline", **options)
        play(recorder, lengths)
        recorder.close()
    return path


@contextmanager
def spoiling(path: Path) -> Iterator[h5py.File]:
    """The recording, to be changed."""
    with h5py.File(path, "r+") as file:
        yield file


def code_column(path: Path, name: str) -> int:
    """The column of ``/types`` of a node."""
    with h5py.File(path) as file:
        return schema_from_json(file["metadata"].attrs["schema"]).code_index[name]


def found(path: Path, *, deep: bool = True) -> list[tuple[str, str]]:
    """Codes and places of all problems."""
    return [(each.code, each.place) for each in h5r.validate(path, deep=deep)]


def only_problem(path: Path, *, deep: bool = True) -> h5r.Problem:
    """The problem, of which there must be one."""
    (problem,) = h5r.validate(path, deep=deep)
    return problem
