"""The columns of a table of steps: exact values, missing ones told from zeros, and everything left out is named."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError, RecordingWarning
from gym_h5record.format import nodes
from gym_h5record.format.names import link_name
from gym_h5record.reading import table_columns
from gym_h5record.reading.steps import Steps
from gym_h5record.reading.table_columns import StepTable, TableColumn, read_table
from gym_h5record.storage.column_reader import ColumnReader
from tests.lane_recordings import record_lanes
from tests.paintings import record_paintings
from tests.reading import NESTED, Reads, record
from tests.stacking import START, record_stacks
from tests.writing import Pen, make_schema, pair
from tests.zoo import SPACES_BY_ID, ZooEnv, every_space_by_name
from tests.zoo_recordings import zoo_recording

VALUES: list[dict[str, Any]] = [
    {"value": 0.5, "lives": 3, "grid": np.arange(2), "prompt": "go"},
    {"value": np.float32(0.1), "lives": 0, "grid": np.arange(2) + 2},
    {"value": float("nan"), "grid": np.arange(3)},
    {"value": 2.5, "lives": "many", "grid": np.arange(2) + 4},
    {},
]
"""Values of a step. The first has the columns ``value``, ``lives`` and ``grid``; two do not fit theirs."""


def table_of(steps: Steps, max_elements: int = 64) -> StepTable:
    """The table, without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        return read_table(steps._leaf_source, max_elements)


def columns_of(steps: Steps, max_elements: int = 64) -> dict[str, TableColumn]:
    return {column.name: column for column in table_of(steps, max_elements).columns}


def leaves(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The numbers and arrays of numbers in an observation, by path."""
    if isinstance(value, dict):
        taken: set[str] = set()
        for key, each in value.items():
            yield from leaves(f"{name}/{link_name(key, taken)}", each)
    elif isinstance(value, tuple):
        for key, each in enumerate(value):
            yield from leaves(f"{name}/{key}", each)
    else:
        yield name, np.asarray(value)


def is_ragged(space: gym.Space[Any]) -> bool:
    """Whether a space, or one within it, is not made of arrays and numbers."""
    if isinstance(space, spaces.Dict):
        return any(map(is_ragged, space.spaces.values()))
    if isinstance(space, spaces.Tuple):
        return any(map(is_ragged, space.spaces))
    return not isinstance(space, (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete))


@pytest.fixture
def keyed(tmp_path: Path) -> Path:
    """Two episodes of five steps, whose extras are ``VALUES``; so are the infos, but one step later."""
    path = tmp_path / "keyed.h5"
    with Pen(path, make_schema(infos=VALUES[:1], extras=VALUES[:1])) as pen:
        for _ in range(2):
            pen.begin(pair(0))
            for number, values in enumerate(VALUES):
                pen.step(pair(number), extras=values, info=values)
    return path


# Values -------------------------------------------------------------------------------------------


@pytest.mark.sampled(10)
@every_space_by_name
def test_every_leaf_has_its_values_or_is_named_as_left_out(name: str) -> None:
    space = SPACES_BY_ID[name]
    with h5r.Recording(zoo_recording(name).path) as recording:
        table = table_of(recording.steps)
        columns = {column.name: column for column in table.columns}
        for root, values in (("observations", recording.steps.observations), ("actions", recording.steps.actions)):
            found = [dict(leaves(root, value)) for value in values]
            for leaf in found[0]:
                column = columns.get(leaf)
                if column is None:
                    if not is_ragged(space):
                        assert leaf in table.left_out
                        assert not 0 < found[0][leaf].size <= 64
                    continue
                wanted = np.stack([each[leaf] for each in found])
                assert column.missing is None
                assert (column.values.shape, column.values.dtype) == (wanted.shape, column.values.dtype)
                assert column.values.tobytes() == wanted.astype(column.values.dtype).tobytes()
                assert (wanted == column.values).all()


def test_columns_agree_with_those_of_the_steps(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, rewards=(0.5, 2.0), length=20), (20, 3, 0, 20, 1))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        steps, columns = recording.steps, columns_of(recording.steps)
        for name in ("rewards", "terminations", "truncations", "dones", "times"):
            wanted = np.asarray(getattr(steps, name))
            assert (columns[name].values.dtype, columns[name].values.tobytes()) == (wanted.dtype, wanted.tobytes())
        assert columns["episode"].values.tolist() == steps.episodes.tolist()
        assert columns["step"].values.tolist() == steps.steps.tolist()
        assert [*columns][:3] == ["episode", "step", "observations/pair/0"]


def test_blocks_make_no_difference(keyed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5r.Recording(keyed) as recording:
        whole = table_of(recording.steps)
        monkeypatch.setattr(table_columns, "_BLOCK_STEPS", 3)
        parts = table_of(recording.steps)
    assert whole.left_out == parts.left_out
    for one, other in zip(whole.columns, parts.columns, strict=True):
        assert (one.name, one.values.tobytes()) == (other.name, other.values.tobytes())
        assert np.array_equal(one.missing, other.missing) if one.missing is not None else other.missing is None


def test_stacks_are_columns_whole(tmp_path: Path) -> None:
    orders = [*START, "slide", "repeat", "shape", "slide", "jump", "end slide", *START, "slide", "text", "slide"]
    record_stacks(tmp_path / "run.h5", orders)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        node = recording.schema.observation
        assert isinstance(node, nodes.Stack)
        column = columns_of(recording.steps, math.prod(node.shape))["observations"]
        fits = [np.shape(each) == node.shape for each in recording.steps.observations]
        assert column.missing is not None
        assert (~column.missing).tolist() == fits
        assert fits.count(False) == 2
        for at in np.flatnonzero(fits).tolist():
            assert column.values[at].tobytes() == recording.steps.observations[at].tobytes()
        assert "observations" in table_of(recording.steps, math.prod(node.shape) - 1).left_out


def test_episodes_may_be_in_any_order(keyed: Path) -> None:
    with h5r.Recording(keyed) as recording:
        columns = columns_of(recording[[1, 0, 1]].steps)
    assert columns["episode"].values.tolist() == [1] * 5 + [0] * 5 + [1] * 5
    assert columns["observations"].values[:, 0].tolist() == [0, 0, 1, 2, 3] * 3


# What is missing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "shift"), [("infos", 1), ("extras", 0)], ids=["infos", "extras"])
def test_a_key_that_a_step_has_not_is_missing_not_zero(group: str, shift: int, keyed: Path) -> None:
    with h5r.Recording(keyed) as recording:
        columns = columns_of(recording[1:].steps)
    rows = [{}, *VALUES][1 - shift : 6 - shift]
    for key in ("value", "lives", "grid"):
        column = columns[f"{group}/{key}"]
        assert column.missing is not None
        fits = [
            key in row and np.shape(row[key]) == column.values.shape[1:] and not isinstance(row[key], str)
            for row in rows
        ]
        assert (~column.missing).tolist() == fits
        for at in np.flatnonzero(fits).tolist():
            assert np.array_equal(column.values[at], rows[at][key], equal_nan=True)
    assert columns["extras/lives"].values[1] == 0
    assert not columns["extras/lives"].missing[1]  # type: ignore[index]


def test_values_that_do_not_fit_their_column_are_warned_of_and_counted(keyed: Path) -> None:
    with h5r.Recording(keyed) as recording:
        with pytest.warns(RecordingWarning, match="infos/lives 2, infos/grid 2, extras/lives 2, extras/grid 2"):
            table = read_table(recording.steps._leaf_source, 64)
        assert table.left_out["infos/lives"] == "2 values of another type or shape"
        assert "infos/value" not in table.left_out


def test_observations_and_rewards_that_do_not_fit_are_missing_too(tmp_path: Path) -> None:
    schema = make_schema(spaces.Dict(a=spaces.Discrete(3), b=spaces.Discrete(3)))
    with warnings.catch_warnings(), Pen(tmp_path / "run.h5", schema) as pen:
        warnings.simplefilter("ignore", RecordingWarning)
        pen.begin({"a": np.int64(1), "b": np.int64(2)})
        pen.step({"a": np.int64(1)}, reward=2**70 + 1)
        pen.step({"a": "one", "b": np.int64(1)}, reward=1.0)
        pen.step({"a": np.int64(1), "b": np.int64(2)}, reward=1.0)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        table = table_of(recording.steps)
        columns = {column.name: column for column in table.columns}
        missing = {name: column.missing.tolist() for name, column in columns.items() if column.missing is not None}
        assert missing == {
            "observations/a": [False, True, True],
            "observations/b": [False, True, False],
            "rewards": [True, False, False],
        }
        assert table.left_out["observations/a"] == "2 values of another type or shape"


def test_a_step_without_a_needed_value_is_an_error(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(3)), (9,))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        column = recording.schema.code_index["observations"]
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        codes = file["types"][:]
        codes[4, column] = 0
        file["types"][:] = codes
    with (
        h5r.Recording(tmp_path / "run.h5") as recording,
        pytest.raises(CorruptRecordingError, match="/observations row 4 has no value"),
    ):
        table_of(recording.steps)


# What is left out ---------------------------------------------------------------------------------


def test_what_is_left_out_is_named_with_its_reason(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, length=20, infos=lambda step: {"n": step, "d": {"a": 1}}), (5,))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        left_out = table_of(recording.steps).left_out
    assert left_out["observations/picture"] == "arrays (84, 84) of uint8: more than 64 elements"
    assert left_out["observations/empty"] == "arrays (0, 2) of float32: no element"
    assert left_out["observations/text"] == "values that vary in size, or have no column"
    assert left_out["infos"] == "values without a column, such as 'd', in 5 steps"


def test_frames_are_left_out_and_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record_paintings(tmp_path / "paintings.h5")
    reads = Reads(monkeypatch)
    with h5r.Recording(path) as recording:
        assert "frames" in table_of(recording.steps).left_out
    assert not any(field.startswith("frames") for field in reads.take())


def test_large_arrays_are_columns_if_asked_for_and_not_read_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Box(0, 255, (84, 84), np.uint8), spaces.Discrete(2)), (5,))
    reads = Reads(monkeypatch)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert "observations" not in columns_of(recording.steps, 84 * 84 - 1)
        assert "observations" not in reads.take()
        assert columns_of(recording.steps, 84 * 84)["observations"].values.shape == (5, 84, 84)


def test_no_steps_make_a_table_without_rows(keyed: Path) -> None:
    with h5r.Recording(keyed) as recording:
        columns = columns_of(recording[:0].steps)
    assert {len(column.values) for column in columns.values()} == {0}
    assert columns["extras/grid"].values.shape == (0, 2)


def test_no_memory_is_taken_for_more_rows_than_the_file_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Box(-1, 1, (64,), np.float64), spaces.Discrete(2)), (5,))

    def refuse(storage: ColumnReader, field: str, count: int) -> None:
        if (field, count) == ("actions", 5):
            raise CorruptRecordingError("it claims 5 items")

    monkeypatch.setattr(table_columns._LeafColumn, "make_room", lambda leaf, count: pytest.fail("memory is taken"))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        steps = recording.steps
        monkeypatch.setattr(ColumnReader, "check_stored", refuse)
        with pytest.raises(CorruptRecordingError, match="it claims 5 items"):
            table_of(steps)


def test_rows_of_lanes_are_counted_lane_by_lane(tmp_path: Path) -> None:
    with h5r.Recording(record_lanes(tmp_path / "run.h5", "box")) as recording:
        columns = columns_of(recording.steps)
        np.testing.assert_array_equal(columns["observations"].values, recording.steps.observations[:])
        np.testing.assert_array_equal(columns["times"].values, recording.steps.times)
