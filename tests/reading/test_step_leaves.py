"""The numeric leaves of steps, and which rows have a value of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError, RecordingWarning
from gym_h5record.format import names as fmt
from gym_h5record.reading.step_leaves import StepLeaf, StepLeaves
from tests.reading import NESTED, record
from tests.stacking import START, record_stacks
from tests.writing import Pen, make_schema, pair
from tests.zoo import ZooEnv


def leaf_of(leaves: StepLeaves, name: str) -> StepLeaf:
    return next(leaf for leaf in leaves.leaves if leaf.name == name)


def test_leaves_are_named_by_path_and_the_others_are_skipped_with_a_reason(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, spaces.Discrete(3), infos=lambda step: {"x": 1.5}))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        leaves = StepLeaves(recording.steps._leaf_source)
    assert {leaf.name: (leaf.shape, leaf.is_optional) for leaf in leaves.leaves} == {
        "observations/pair/0": ((), False),
        "observations/pair/1": ((2,), False),
        "observations/picture": ((84, 84), False),
        "actions": ((), False),
        "rewards": ((), False),
        "infos/x": ((), True),
    }
    assert leaf_of(leaves, "observations/picture").num_elements == 84 * 84
    assert leaves.skipped == {
        "observations/empty": "arrays (0, 2) of float32: no element",
        "observations/text": "values that vary in size, or have no column",
    }


def test_values_are_those_of_the_rows(tmp_path: Path) -> None:
    record_stacks(tmp_path / "run.h5", [*START, *["slide"] * 9, "end jump"])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        leaves = StepLeaves(recording.steps._leaf_source)
        rows = np.array([7, 0, 3])
        for name, column in (("observations", recording.rows.observations), ("rewards", recording.rows.rewards)):
            assert np.array_equal(leaves.values(leaf_of(leaves, name), rows), column[rows])


def test_rows_without_a_value_and_misfits_are_not_known(tmp_path: Path) -> None:
    schema = make_schema(infos=[{"x": 1.5}])
    with (
        Pen(tmp_path / "run.h5", schema) as pen,
        pytest.warns(RecordingWarning, match="which its column cannot hold"),
    ):
        pen.begin(pair(0), {"x": 1.0})
        pen.step(np.zeros(5), info={})
        pen.step(pair(1), info={"x": 2.0, "y": 1})
        pen.step(pair(1))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        leaves = StepLeaves(recording.steps._leaf_source)
        rows = np.arange(3)
        codes = leaves.codes(rows)
        known, misfits = leaves.known(leaf_of(leaves, "observations"), rows, codes)
        assert (known.tolist(), misfits) == ([True, False, True], 1)
        known, misfits = leaves.known(leaf_of(leaves, "infos/x"), rows, codes)
        assert (known.tolist(), misfits) == ([True, False, True], 0)
        assert leaves.has_text(fmt.INFOS, rows[::-1]).tolist() == [True, False, False]
        assert not leaves.has_text(fmt.EXTRAS, rows).any()


def test_a_row_without_an_action_is_corrupt(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(pair(0))
        pen.step(pair(1))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        leaves = StepLeaves(recording.steps._leaf_source)
        rows = np.arange(2)  # no step was taken from row 1
        with pytest.raises(CorruptRecordingError, match="/actions row 1 has no value, within an episode"):
            leaves.known(leaf_of(leaves, "actions"), rows, leaves.codes(rows))


def test_a_recording_without_infos_has_no_text(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(infos=None, extras=None)) as pen:
        pen.begin(pair(0))
        pen.step(pair(1))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        leaves = StepLeaves(recording.steps._leaf_source)
        assert leaves.has_text(fmt.INFOS, np.arange(2)).tolist() == [False, False]
