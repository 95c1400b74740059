"""Stacks: where they are planned, and how they are put together again from any rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.format import nodes
from gym_h5record.format.column_planning import plan_columns, plan_space
from gym_h5record.format.stacks import plan_stacks, read_stacks
from tests.properties.strategies import PROFILE
from tests.zoo import NAN_WITH_PAYLOAD, ForeignArray, check_identical

FRAME = (32, 32)

# Planning ---------------------------------------------------------------------------------------------


def stack(*numbers: float, dtype: Any = np.uint8, frame: tuple[int, ...] = FRAME) -> np.ndarray:
    return np.array([np.full(frame, number, dtype) for number in numbers])


def planned(first: np.ndarray, second: Any) -> nodes.Node:
    """The plan of values that begin with these two."""
    node = nodes.Array("x", first.dtype, first.shape)
    return plan_stacks(node, first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (stack(0, 0, 0, 1), stack(0, 0, 1, 2)),
        (stack(5, 5, 5, 5), stack(5, 5, 5, 5)),
        (stack(1, 2), stack(2, 1)),
        (stack(3, 3, 3), stack(3, 3, 4)),
        (stack(*range(64)), stack(*range(1, 65))),
        (stack(0, 0, 1, frame=(2, 3, 256)), stack(0, 1, 2, frame=(2, 3, 256))),
        (stack(float("nan"), 1, dtype=np.float32), stack(1, float("nan"), dtype=np.float32)),
        (stack(0.0, NAN_WITH_PAYLOAD, dtype=np.float64), stack(NAN_WITH_PAYLOAD, 1, dtype=np.float64)),
    ],
    ids=["padded", "still", "two", "three", "most", "colours", "nan", "payload"],
)
def test_an_array_that_slides_is_a_stack(first: np.ndarray, second: np.ndarray) -> None:
    assert planned(first, second) == nodes.Stack("x", first.dtype, first.shape)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (stack(0, 0, 0, 1), stack(0, 0, 2, 3)),
        (stack(0, 1, 2), stack(0, 1, 2)),
        (stack(7, 7, 7), stack(7, 7, 7)),  # may be a grey picture whose channels come first
        (stack(0), stack(0)),
        (stack(*range(65)), stack(*range(1, 66))),
        (stack(0, 1, frame=(1024,)), stack(1, 2, frame=(1024,))),
        (stack(0, 1, frame=(31, 33)), stack(1, 2, frame=(31, 33))),
        (stack(0.0, 0.0, dtype=np.float32), stack(-0.0, 1, dtype=np.float32)),
        (stack(0, 1), stack(1, 2, dtype=np.int8)),
        (stack(0, 1), stack(1, 2, 3)),
        (stack(0, 1), ForeignArray(stack(1, 2))),
        (stack(0, 1), None),
    ],
    ids=["jumps", "stays", "grey", "single", "deep", "rows", "small", "zero-sign", "dtype", "shape", "foreign", "none"],
)
def test_another_array_is_no_stack(first: np.ndarray, second: Any) -> None:
    assert planned(first, second) == nodes.Array("x", first.dtype, first.shape)


def test_stacks_in_a_tree_are_planned_one_by_one() -> None:
    box = spaces.Box(0, 255, (2, *FRAME), np.uint8)
    space = spaces.Dict(a=box, b=spaces.Tuple((box, spaces.Discrete(2), box)), c=spaces.Sequence(box))
    first = {"a": stack(0, 1), "b": (stack(0, 1), np.int64(0), stack(0, 1)), "c": (stack(0, 1),)}
    second = {"a": stack(1, 2), "b": (stack(2, 3), np.int64(0), stack(1, 1)), "c": (stack(1, 2),)}
    node = plan_stacks(plan_space(space, "x", first), first, second)
    assert [(each.name, type(each).__name__) for each in node.walk()] == [
        *(("x", "DictOf"), ("x/a", "Stack"), ("x/b", "TupleOf"), ("x/b/0", "Array"), ("x/b/1", "Scalar")),
        *(("x/b/2", "Stack"), ("x/c", "Sequence")),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": stack(0, 1)}, {"b": stack(1, 2)}),
        ({"b": stack(0, 1)}, {"b": stack(1, 2)}),
        ((stack(0, 1),) * 3, (stack(1, 2),) * 3),
        ([stack(0, 1)], [stack(1, 2)]),
        (None, None),
    ],
    ids=["other key", "other keys", "longer", "list", "none"],
)
def test_values_that_do_not_fit_their_tree_are_no_stacks(first: Any, second: Any) -> None:
    box = spaces.Box(0, 255, (2, *FRAME), np.uint8)
    for space in (spaces.Dict(a=box), spaces.Tuple((box, box))):
        node = plan_space(space, "x", first)
        assert not [each for each in plan_stacks(node, first, second).walk() if isinstance(each, nodes.Stack)]


def test_a_picture_that_is_the_frame_of_the_row_is_no_stack() -> None:
    """``/frames`` is another name of its dataset."""
    picture = np.zeros((40, 400, 3), np.uint8)
    box = spaces.Box(0, 255, picture.shape, np.uint8)
    for frames, kind in (("observation", nodes.Array), ("none", nodes.Stack)):
        schema = plan_columns(
            (picture, {}, None),
            (box, spaces.Discrete(2)),
            frames,
            (0, {}, picture, 0.0, {}),
            infos=True,
            times=True,
            warn=pytest.fail,
        )
        assert type(schema.observation) is kind


# Reading ----------------------------------------------------------------------------------------------


class Stored:
    """Stacks of small frames as a file has them: a row has earlier frames if it does not continue the one before."""

    def __init__(self, stacks: np.ndarray, restarts: set[int]) -> None:
        self.node = nodes.Stack("x", stacks.dtype, stacks.shape[1:])
        counts, earlier = [], [stacks[:0, 0]]
        for row, each in enumerate(stacks):
            slides = row > 0 and row not in restarts and each[:-1].tobytes() == stacks[row - 1, 1:].tobytes()
            counts.append(0 if slides else len(each) - 1)
            earlier.append(each[:0] if slides else each[:-1])
        self.fields = {
            "x/newest": stacks[:, -1].copy(),
            "x/earlier/ends": np.cumsum(counts),
            "x/earlier/values": np.concatenate(earlier),
        }
        self.asked: list[tuple[str, int]] = []

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        assert 0 <= start <= stop <= len(self.fields[field])
        self.asked.append((field, stop - start))
        return self.fields[field][start:stop].copy()


def sliding(depth: int, rows: int, jumps: tuple[int, ...] = ()) -> np.ndarray:
    """Stacks of numbered frames of two pixels; at a jump, all frames are new."""
    stacks, number = np.zeros((rows, depth, 2), np.int64), 0
    for row in range(rows):
        if row in (0, *jumps):
            stacks[row] = np.arange(number, number + 2 * depth).reshape(depth, 2)
            number += 2 * depth
        else:
            stacks[row, :-1], stacks[row, -1] = stacks[row - 1, 1:], number
            number += 2
    return stacks


@PROFILE
@given(st.integers(2, 5), st.integers(1, 20), st.sets(st.integers(0, 19)), st.sets(st.integers(0, 19)))
def test_any_rows_of_any_stacks_are_put_together(depth: int, rows: int, jumps: set[int], restarts: set[int]) -> None:
    stacks = sliding(depth, rows, tuple(jumps))
    stored = Stored(stacks, restarts)
    for start in range(rows + 1):
        for stop in range(start, rows + 1):
            check_identical(read_stacks(stored.node, stored, start, stop), stacks[start:stop], f"{start} to {stop}")


def test_a_row_within_an_episode_needs_no_more_than_its_frames() -> None:
    stored = Stored(sliding(4, 100, (50,)), set())
    read_stacks(stored.node, stored, 70, 71)
    assert stored.asked == [("x/newest", 4), ("x/earlier/ends", 4)]
    stored.asked.clear()
    read_stacks(stored.node, stored, 3, 4)  # of row 0, the newest frame only
    assert stored.asked == [("x/newest", 4), ("x/earlier/ends", 4)]


def test_the_stacks_belong_to_the_caller() -> None:
    stored = Stored(sliding(3, 9), set())
    found = read_stacks(stored.node, stored, 2, 8)
    found[:] = -1
    check_identical(read_stacks(stored.node, stored, 2, 8), sliding(3, 9)[2:8], "read again")
    assert found.flags.c_contiguous


LARGEST, SMALLEST = (1 << 63) - 1, -(1 << 63)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ([3, 3, 3, 3, 5, 5], r"row 4 has 2 earlier frames, expected 3 or none"),
        ([3, 3, 3, 3, 9, 9], r"row 4 has 6 earlier frames"),
        ([3, 3, 3, 3, 2, 2], r"row 4 has -1 earlier frames"),
        ([3, 3, 3, 0, 0, 0], r"row 3 has -3 earlier frames"),
        ([0, 0, 0, 3, 3, 3], r"row 0 lacks the earlier frames of its stack"),
        ([-3, -3, 0, 0, 0, 0], r"row 0 has -3 earlier frames"),
        ([LARGEST] * 6, r"row 0 has 9223372036854775807 earlier frames"),
        ([3, 3, 3, LARGEST, SMALLEST + 1, 6], r"row 3 has \d+ earlier frames"),
    ],
)
def test_ends_that_contradict_the_stacks_are_refused(ends: list[int], message: str) -> None:
    stored = Stored(sliding(4, 6), set())
    stored.fields["x/earlier/ends"] = np.array(ends)
    with pytest.raises(ValueError, match=message):
        read_stacks(stored.node, stored, 0, 6)
