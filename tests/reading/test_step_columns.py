"""Columns of steps are columns: what they have besides their values."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.values.exact import identical
from tests.reading import record
from tests.zoo import ZooEnv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    infos = lambda step: {"x": float(step)}  # noqa: E731
    record(tmp_path / "run.h5", ZooEnv(spaces.Box(0, 9, (2,), np.float32), infos=infos, length=9), [5, 0, 2])
    return tmp_path / "run.h5"


def test_shape_and_dtype_are_those_of_the_steps(path: Path) -> None:
    with h5r.Recording(path) as recording:
        column = recording.steps.observations
        assert (len(column), column.shape, column.dtype, column.ndim) == (7, (7, 2), np.float32, 2)
        assert isinstance(column, h5r.Column)
        assert np.asarray(column).shape == (7, 2)
        assert str(column) == "<StepColumn /observations shape=(7, 2) dtype=float32>"


def test_steps_out_of_range_are_an_index_error(path: Path) -> None:
    with h5r.Recording(path) as recording:
        for column in (recording.steps.observations, recording.steps.infos, recording.steps.infos["x"]):  # type: ignore[index]
            for index in (7, -8, [0, 7]):
                with pytest.raises(IndexError, match="out of range"):
                    column[index]


def test_a_column_survives_pickling(path: Path) -> None:
    with h5r.Recording(path) as recording:
        for column in (recording.steps.next_observations, recording.steps.infos["x"]):  # type: ignore[index]
            twin: Any = pickle.loads(pickle.dumps(column))
            assert identical(twin[:], column[:])


def test_bytes_say_nothing_about_steps(path: Path) -> None:
    with h5r.Recording(path) as recording:
        assert not recording.steps.rewards.surely_same(recording.steps.rewards, 0, 3)


def test_a_step_without_a_value_is_corruption_and_those_before_it_are_read(path: Path) -> None:
    with h5r.Recording(path) as recording:
        code = recording.schema.code_index["rewards"]
    with h5py.File(path, "r+") as file:
        file["types"][3, code] = 0
    with h5r.Recording(path) as recording:
        rewards = recording.steps.rewards
        assert [rewards[0], rewards[4]] == [recording[0].rewards[0], recording[0].rewards[4]]
        with pytest.raises(CorruptRecordingError, match="/rewards row 3 has no value"):
            rewards[3]
        with pytest.raises(CorruptRecordingError, match="/rewards row 3 has no value"):
            list(rewards)
