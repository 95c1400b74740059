"""Type codes of lanes: a tick begins with the codes of the ticks before, and only what differs is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gym_h5record.format import nodes
from gym_h5record.format.schema import Schema
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_rows import CODES
from gym_h5record.writing.lane_codes import LaneCodes
from tests.writing import small_journal

OBSERVATION = nodes.Scalar("observations", np.dtype(np.int64))
ACTION = nodes.Scalar("actions", np.dtype(np.int64))
SCHEMA = replace(Schema(OBSERVATION, ACTION, None, None), num_envs=3)


class Codes(LaneCodes):
    """Codes with a journal of their own, eight slots of three lanes, full of 99."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal.reserve(path, 256, 4096)
        assert self.journal.lay_out({}, SCHEMA.ring_fields, len(SCHEMA.coded), 0, 3)
        self.journal.columns[CODES][...] = 99
        super().__init__(self.journal, SCHEMA)
        self.action = self.index(ACTION)

    def actions(self, slot: int) -> list[int]:
        """The codes of the actions of the lanes."""
        found: list[int] = self.journal.columns[CODES][slot, :, self.action].tolist()
        return found


@pytest.fixture
def codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Codes:
    small_journal(monkeypatch, 8)
    return Codes(tmp_path / "journal")


def test_the_place_of_a_code_is_that_of_the_schema(codes: Codes) -> None:
    assert codes.num_lanes == 3
    assert codes.index(OBSERVATION) == SCHEMA.code_index["observations"] != codes.action


def test_the_first_slot_begins_without_types(codes: Codes) -> None:
    codes.begin(0)
    assert codes.journal.columns[CODES][0].tolist() == [[0] * len(SCHEMA.coded)] * 3
    assert codes.actions(1) == [99] * 3


def test_a_code_of_all_lanes_is_that_of_later_slots_too(codes: Codes) -> None:
    codes.begin(0)
    codes.put(0, codes.action, 20)
    codes.begin(1)
    assert (codes.actions(0), codes.actions(1)) == ([20] * 3, [20] * 3)


def test_codes_of_single_lanes_are_not_those_of_later_slots(codes: Codes) -> None:
    codes.begin(0)
    codes.put(0, codes.action, 20)
    codes.put_one(0, 1, codes.action, 2)
    codes.begin(1)
    codes.put_each(1, codes.action, np.array([20, 0, 20], np.uint8))
    codes.begin(2)
    assert [codes.actions(slot) for slot in range(3)] == [[20, 2, 20], [20, 0, 20], [20] * 3]


def test_a_code_that_changes_is_written_to_its_slot_and_to_later_ones(codes: Codes) -> None:
    codes.begin(0)
    codes.put(0, codes.action, 20)
    codes.begin(1)
    codes.put(1, codes.action, 4)
    codes.begin(2)
    codes.put(2, codes.action, 4)
    assert [codes.actions(slot) for slot in range(3)] == [[20] * 3, [4] * 3, [4] * 3]


def test_a_step_may_be_of_a_slot_before_the_newest(codes: Codes) -> None:
    """Some lanes have been reset since: two slots wait for their step."""
    codes.begin(0)
    codes.begin(1)
    codes.put(0, codes.action, 20)
    codes.put(1, codes.action, 20)
    assert (codes.actions(0), codes.actions(1)) == ([20] * 3, [20] * 3)


def test_a_code_that_changes_in_an_earlier_slot_comes_into_the_newest_too(codes: Codes) -> None:
    codes.begin(0)
    codes.put(0, codes.action, 20)
    codes.begin(1)
    codes.put(0, codes.action, 4)
    codes.put(1, codes.action, 4)
    assert (codes.actions(0), codes.actions(1)) == ([4] * 3, [4] * 3)


def test_after_an_error_a_slot_gets_the_codes_of_the_step_that_comes_anew(codes: Codes) -> None:
    codes.begin(0)
    codes.put(0, codes.action, 20)
    codes.begin(1)
    codes.put_one(1, 2, codes.action, 2)  # of an action whose step raised
    codes.forget()
    codes.put(1, codes.action, 20)
    assert codes.actions(1) == [20] * 3
