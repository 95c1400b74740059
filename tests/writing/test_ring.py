"""``Ring``: where encoders write, in a recording of one environment and in a lane of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gym_h5record.format import nodes
from gym_h5record.format.schema import Schema
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_rows import CODES
from gym_h5record.writing.ring import Ring
from tests.writing import small_journal

OBSERVATION = nodes.Array("observations", np.dtype(np.float64), (2,))
ACTION = nodes.Scalar("actions", np.dtype(np.int64))
SCHEMA = Schema(OBSERVATION, ACTION, None, None)
NUM_LANES = 3


@pytest.fixture
def foreign() -> list[Any]:
    return []


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: list[Any]) -> Any:
    """Makes the ring of a lane, or that of a recording without lanes."""
    small_journal(monkeypatch, 8)

    def make(lane: int | None) -> Ring:
        schema = SCHEMA if lane is None else replace(SCHEMA, num_envs=NUM_LANES)
        journal = Journal.reserve(tmp_path / f"journal {lane}", 256, 4096)
        assert journal.lay_out({}, schema.ring_fields, len(schema.coded), 0, schema.num_envs)
        return Ring(journal, schema, lambda *noted: foreign.append(noted), lambda *_: None, lane=lane)

    return make


def test_a_column_without_lanes_has_a_slot_per_row(ring: Any) -> None:
    column = ring(None).column("observations")
    assert column.shape == (8, 2)


def test_the_column_of_a_lane_is_its_part_of_every_slot(ring: Any) -> None:
    lane = ring(1)
    column = lane.column("observations")
    assert column.shape == (8, 2)
    column[5] = [1, 2]
    slots = lane.journal.columns["observations"]
    assert slots.shape == (8, NUM_LANES, 2)
    assert slots[5].tolist() == [[0, 0], [1, 2], [0, 0]]


@pytest.mark.parametrize("lane", [None, 1])
def test_a_field_without_elements_has_no_column(lane: int | None, ring: Any) -> None:
    assert ring(lane).column("observations/nothing") is None


def test_the_codes_of_a_node_are_a_byte_for_each_slot(ring: Any) -> None:
    single = ring(None)
    own = single.codes(OBSERVATION)
    assert len(own) == 8
    own[5] = 7
    codes = single.journal.columns[CODES]
    assert codes.shape == (8, len(SCHEMA.coded))
    assert np.argwhere(codes == 7).tolist() == [[5, SCHEMA.code_index["observations"]]]


@pytest.mark.parametrize("lane", range(NUM_LANES))
def test_the_code_of_a_node_of_a_lane_is_that_of_this_lane(lane: int, ring: Any) -> None:
    of_lane = ring(lane)
    of_lane.codes(ACTION)[5] = 7
    codes = of_lane.journal.columns[CODES]
    assert np.argwhere(codes == 7).tolist() == [[5, lane, SCHEMA.code_index["actions"]]]


class Count(int):
    """A derived class."""


@pytest.mark.parametrize("lane", [None, 1])
def test_a_value_of_a_derived_class_is_taken_as_its_base_and_noted(
    lane: int | None, ring: Any, foreign: list[Any]
) -> None:
    value = Count(3)
    plain = ring(lane).plain("actions", value, int, float)
    assert (type(plain), plain, foreign) == (int, 3, [("actions", value, 3)])


def test_a_value_that_is_wanted_in_no_such_class_stays(ring: Any, foreign: list[Any]) -> None:
    value = Count(3)
    assert ring(None).plain("actions", value, dict) is value
    assert foreign == []


def test_stacks_are_shared_with_the_ring_of_a_larger_journal(ring: Any) -> None:
    first = ring(None)
    assert first.stacks == {}
    stacks = {"observations": object()}
    assert replace(first, stacks=stacks).stacks is stacks
