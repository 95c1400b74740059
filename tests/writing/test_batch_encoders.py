"""Encoders of batches: whole arrays where they fit, lane by lane where they do not, and always the exact value."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.format import nodes
from gym_h5record.format.column_planning import plan_keys, plan_space
from gym_h5record.format.names import TypeCode, numpy_scalar_code
from gym_h5record.format.schema import Schema
from gym_h5record.values.exact import identical
from gym_h5record.writing.batch_encoders import make_batch_encoder, make_keys_encoder
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_rows import CODES
from gym_h5record.writing.lane_codes import LaneCodes
from tests.writing import small_journal

NUM_LANES = 3
ARRAY, VALUE, INT64 = 1, 2, 20
ACTION = nodes.Scalar("actions", np.dtype(np.int64))


class Batches:
    """The encoder of observations of a space, with a ring of its own.

    Attributes:
        given: What the encoders of single lanes were given: node, lane and value.
    """

    def __init__(self, path: Path, node: nodes.Node, space: Any) -> None:
        schema = replace(Schema(node, ACTION, None, None), num_envs=NUM_LANES)
        self.schema = schema
        self.journal = Journal.reserve(path, 1024, 4096)
        assert self.journal.lay_out({}, schema.ring_fields, len(schema.coded), 0, NUM_LANES)
        self.given: list[tuple[str, int, Any]] = []
        self._codes = LaneCodes(self.journal, schema)
        self._encode = make_batch_encoder(node, space, self.journal.columns, self._codes, self._lane_encoder, {})

    def _lane_encoder(self, node: nodes.Node, lane: int) -> Any:
        return lambda slot, value: self.given.append((node.name, lane, value))

    def encode(self, batch: Any, lanes: Any = range(NUM_LANES), slot: int = 2) -> list[tuple[str, int, Any]]:
        self.given.clear()
        self._codes.begin(slot)
        self._encode(slot, batch, lanes)
        return self.given

    def column(self, name: str = "observations") -> Any:
        return self.journal.columns[name][2]

    def codes(self, name: str = "observations") -> list[int]:
        found: list[int] = self.journal.columns[CODES][2, :, self.schema.code_index[name]].tolist()
        return found


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    small_journal(monkeypatch, 8)
    return lambda space, node=None: Batches(
        tmp_path / "journal", plan_space(space, "observations") if node is None else node, space
    )


def test_the_codes_of_these_tests_are_those_of_the_format() -> None:
    assert (ARRAY, VALUE) == (TypeCode.ARRAY, TypeCode.VALUE)
    assert numpy_scalar_code(np.int64) == INT64


# Arrays --------------------------------------------------------------------------------------------

BOX = spaces.Box(-9, 9, (2,), np.float32)


def test_an_array_that_fits_is_copied_as_a_whole(make: Any) -> None:
    batches, batch = make(BOX), np.arange(6, dtype=np.float32).reshape(3, 2)
    assert batches.encode(batch) == []
    assert batches.column().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert batches.codes() == [ARRAY] * 3


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((3, 2), np.float64),
        np.zeros((3, 1), np.float32),
        [np.zeros(2, np.float32)] * 3,
        np.ma.zeros((3, 2), np.float32),
    ],
    ids=["type", "shape", "list", "subclass"],
)
def test_an_array_that_does_not_fit_goes_lane_by_lane(batch: Any, make: Any) -> None:
    given = make(BOX).encode(batch, [0, 2])
    assert [(name, lane) for name, lane, _ in given] == [("observations", 0), ("observations", 2)]
    assert all(type(value) is type(batch[0]) and np.array_equal(value, batch[0]) for _, _, value in given)


def test_an_array_without_elements_has_a_code_and_no_column(make: Any) -> None:
    batches = make(spaces.Box(0, 1, (0,), np.float32))
    assert batches.encode(np.zeros((3, 0), np.float32)) == []
    assert batches.codes() == [ARRAY] * 3


def test_boxes_without_axes_are_arrays_and_other_numbers_are_not(make: Any, tmp_path: Path) -> None:
    box = make(spaces.Box(0, 9, (), np.float64))
    assert box.encode(np.array([1.0, 2, 3])) == []
    assert box.codes() == [ARRAY] * 3
    number = Batches(tmp_path / "other", nodes.Array("observations", np.dtype(np.float64), ()), None)
    assert [value for _, _, value in number.encode(np.array([1.0, 2, 3]))] == [1, 2, 3]


# Numbers -------------------------------------------------------------------------------------------


def test_numbers_of_the_type_of_the_column_are_copied_as_a_whole(make: Any) -> None:
    batches = make(spaces.Discrete(9))
    assert batches.encode(np.array([4, 5, 6])) == []
    assert (batches.column().tolist(), batches.codes()) == ([4, 5, 6], [INT64] * 3)


@pytest.mark.parametrize(
    ("column", "given"),
    [
        (np.float64, np.float32),
        (np.float64, np.int32),
        (np.float64, np.uint8),
        (np.int64, np.int8),
        (np.int64, np.bool_),
    ],
    ids=lambda kind: kind.__name__,
)
def test_numbers_of_a_type_that_the_column_holds_exactly_keep_it_as_their_code(
    column: Any, given: Any, make: Any
) -> None:
    batches = make(None, nodes.Scalar("observations", np.dtype(column)))
    assert batches.encode(np.array([0, 1, 1], given)) == []
    assert (batches.column().tolist(), batches.codes()) == ([0, 1, 1], [numpy_scalar_code(given)] * 3)


@pytest.mark.parametrize(
    ("column", "batch"),
    [
        (np.float64, np.array([1, 2, 3], np.int64)),
        (np.float32, np.array([1.5, 2, 3], np.float64)),
        (np.float64, np.array([1, np.nan, 3], np.float32)),
        (np.int64, np.array([1, 2, 3], np.uint64)),
        (np.int64, np.array([1, 2])),
        (np.int64, [1, 2, 3]),
        (np.int64, np.array([1, "a", None], object)),
    ],
    ids=["wide integers", "wide floats", "nan", "unsigned", "too few", "list", "objects"],
)
def test_numbers_that_might_change_go_lane_by_lane(column: Any, batch: Any, make: Any) -> None:
    batches = make(None, nodes.Scalar("observations", np.dtype(column)))
    given = batches.encode(batch, [0, 1])
    assert [lane for _, lane, _ in given] == [0, 1]
    assert all(value is batch[lane] or identical(value, batch[lane]) for _, lane, value in given)


# Trees and other values ----------------------------------------------------------------------------

TREE = spaces.Dict({"at": BOX, "more": spaces.Tuple((spaces.Discrete(9), spaces.Text(9)))})


def tree(**more: Any) -> dict[str, Any]:
    return {"at": np.ones((3, 2), np.float32), "more": (np.array([1, 2, 3]), ("a", "b", "c")), **more}


def test_trees_are_copied_part_by_part_and_texts_lane_by_lane(make: Any) -> None:
    batches = make(TREE)
    assert batches.encode(tree(), [1, 2]) == [("observations/more/1", 1, "b"), ("observations/more/1", 2, "c")]
    assert batches.column("observations/at").tolist() == [[1, 1]] * 3
    assert batches.column("observations/more/0").tolist() == [1, 2, 3]
    assert batches.codes() == batches.codes("observations/more") == [VALUE] * 3


def test_an_ordered_batch_is_a_tree_like_any_other(make: Any) -> None:
    batches = make(TREE)
    assert [lane for _, lane, _ in batches.encode(OrderedDict(tree()))] == [0, 1, 2]
    assert batches.codes() == [VALUE] * 3


def test_a_dict_with_other_keys_goes_lane_by_lane_with_them(make: Any) -> None:
    batches = make(spaces.Dict({"at": spaces.Discrete(9)}))
    given = batches.encode({"at": np.array([1, 2, 3]), "new": {"x": ("a", "b", "c")}, "all": 0.5}, [0, 2])
    assert [(name, lane) for name, lane, _ in given] == [("observations", 0), ("observations", 2)]
    assert identical(given[1][2], {"at": np.int64(3), "new": {"x": "c"}, "all": 0.5})


def test_a_batch_that_is_no_tree_gives_each_lane_its_entry(make: Any) -> None:
    values = [{"at": 1}, None, "two"]
    assert make(TREE).encode(values) == [("observations", lane, value) for lane, value in enumerate(values)]


def test_ragged_values_go_lane_by_lane(make: Any) -> None:
    given = make(spaces.Sequence(spaces.Discrete(9))).encode(((1,), (), (2, 3)), [0, 2])
    assert given == [("observations", 0, (1,)), ("observations", 2, (2, 3))]


def test_stacks_have_an_encoder_of_their_own(make: Any) -> None:
    class Stacks:
        def encode(self, *given: Any) -> None:
            self.given = given

    stacks: Any = Stacks()
    node = nodes.Array("observations", np.dtype(np.float32), (2,))
    encode = make_batch_encoder(node, BOX, {}, make(BOX)._codes, lambda *_: None, {"observations": stacks})  # type: ignore[arg-type,return-value]
    encode(2, "batch", [1])
    assert stacks.given == (2, "batch", [1])


# Infos and extras ----------------------------------------------------------------------------------


class Keys:
    """The encoder of infos, with a ring of its own."""

    def __init__(self, path: Path, first: dict[Any, Any]) -> None:
        observation = nodes.Scalar("observations", np.dtype(np.int64))
        self.schema = replace(Schema(observation, ACTION, None, plan_keys("infos", [first])), num_envs=NUM_LANES)
        self.journal = Journal.reserve(path, 1024, 4096)
        assert self.journal.lay_out({}, self.schema.ring_fields, len(self.schema.coded), 0, NUM_LANES)
        for name, column in self.journal.columns.items():
            column[...] = 99 if name != CODES else 0
        self.rest: dict[int, Any] = {}
        self._codes = LaneCodes(self.journal, self.schema)
        self._encode = make_keys_encoder(
            self.schema.infos or (), self.journal.columns, self._codes, self.rest.__setitem__
        )

    def encode(self, infos: Any, lanes: Any = range(NUM_LANES)) -> dict[str, list[tuple[Any, int]]]:
        """The value and code of each lane, by key."""
        self.rest.clear()
        self._codes.begin(2)
        self._encode(2, infos, lanes)
        found = {}
        for each in self.schema.infos or ():
            codes = self.journal.columns[CODES][2, :, self.schema.code_index[each.node.name]].tolist()
            values = self.journal.columns[each.node.name][2].tolist()
            found[str(each.key)] = list(zip(values, codes, strict=True))
        return found


FIRST = {"lives": np.int64(3), "at": np.zeros(2), "x": np.float64(0)}
MASK = np.array([True, False, True])
GONE = {"lives": [(0, 0)] * 3, "at": [([0, 0], 0)] * 3, "x": [(0, 0)] * 3}


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    small_journal(monkeypatch, 8)
    return Keys(tmp_path / "journal", FIRST)


def test_keys_of_all_lanes_are_copied_as_a_whole(keys: Keys) -> None:
    found = keys.encode({"lives": np.array([1, 2, 3]), "at": np.ones((3, 2)), "x": np.zeros(3)})
    assert found["lives"] == [(1, INT64), (2, INT64), (3, INT64)]
    assert found["at"] == [([1, 1], ARRAY)] * 3
    assert keys.rest == {}


def test_lanes_without_a_key_get_no_value_and_not_what_the_batch_has_there(keys: Keys) -> None:
    found = keys.encode({"lives": np.array([1, 7, 3]), "_lives": MASK, "at": np.ones((3, 2)), "_at": MASK})
    assert found["lives"] == [(1, INT64), (0, 0), (3, INT64)]
    assert found["at"] == [([1, 1], ARRAY), ([0, 0], 0), ([1, 1], ARRAY)]
    assert found["x"] == [(0, 0)] * 3


def test_keys_that_are_gone_leave_nothing_and_may_come_back(keys: Keys) -> None:
    keys.encode({"lives": np.array([1, 2, 3])})
    assert keys.encode({}) == GONE
    assert keys.encode({"lives": np.array([4, 5, 6])})["lives"] == [(4, INT64), (5, INT64), (6, INT64)]


def test_other_keys_are_the_rest_of_the_lanes_that_have_them(keys: Keys) -> None:
    words = np.array(["a", None, "c"], object)
    found = keys.encode({"lives": np.array([1, 2, 3]), "word": words, "_word": MASK, "all": ["x", "y", "z"]}, [1, 2])
    assert found["lives"] == [(1, INT64), (2, INT64), (3, INT64)]
    assert keys.rest == {1: {"all": "y"}, 2: {"word": "c", "all": "z"}}


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, None, "c"], object),
        [1, 2, 3],
        np.array([1.5, 2, 3]),
        np.ones((3, 1), np.int64),
        np.ones(4, np.int64),
        5,
    ],
    ids=["objects", "list", "floats", "axes", "too many", "one for all"],
)
def test_values_that_do_not_fit_their_column_are_rest_in_this_tick_only(values: Any, keys: Keys) -> None:
    assert keys.encode({"lives": values}) == GONE
    expected = {lane: {"lives": values[lane] if np.shape(values)[:1] == (3,) else values} for lane in range(3)}
    assert identical(keys.rest, expected)
    assert keys.encode({"lives": np.array([1, 2, 3])})["lives"] == [(1, INT64), (2, INT64), (3, INT64)]
    assert keys.rest == {}


def test_a_value_that_does_not_fit_keeps_its_mask(keys: Keys) -> None:
    keys.encode({"lives": np.array(["a", None, "c"], object), "_lives": MASK})
    assert keys.rest == {0: {"lives": "a"}, 2: {"lives": "c"}}


def test_numbers_of_a_narrower_type_keep_it_as_their_code(keys: Keys) -> None:
    found = keys.encode({"x": np.array([1, 2, 3], np.float32), "_x": MASK})
    code = numpy_scalar_code(np.float32)
    assert found["x"] == [(1, code), (0, 0), (3, code)]


def test_infos_in_infos_are_rest_with_their_own_masks(keys: Keys) -> None:
    keys.encode({"episode": {"r": np.array([1.5, 0, 2.5]), "_r": MASK}, "_episode": MASK})
    assert identical(keys.rest, {lane: {"episode": {"r": np.float64(lane + 1.5 - lane / 2)}} for lane in (0, 2)})


def test_infos_that_are_no_dict_are_the_rest_of_every_lane(keys: Keys) -> None:
    keys.encode({"lives": np.array([1, 2, 3])})
    assert keys.encode("text", [0, 2]) == GONE
    assert keys.rest == {0: "text", 2: "text"}


def test_keys_that_are_no_text_are_rest(keys: Keys) -> None:
    keys.encode({1: np.array([4, 5, 6]), None: ("a", "b", "c")}, [1])
    assert identical(keys.rest, {1: {1: np.int64(5), None: "b"}})
