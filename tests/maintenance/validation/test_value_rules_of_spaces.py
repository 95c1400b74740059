"""Whole columns compared with their space, as Gymnasium compares single values."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.format import nodes
from gym_h5record.format.names import TypeCode, numpy_scalar_code
from gym_h5record.format.planning import contains, plan_space
from gym_h5record.maintenance.validation.value_rules import children_spaces, make_inside
from tests.zoo import SPACES, samples

FIXED = [(name, space) for name, space in SPACES if isinstance(space, (spaces.Box, spaces.Discrete))] + [
    (name, space) for name, space in SPACES if isinstance(space, (spaces.MultiDiscrete, spaces.MultiBinary))
]
RNG = np.random.default_rng(0)


def strangers(space: gym.Space[Any]) -> list[Any]:
    """Values of the dtype and shape of a space, many of which are not in it."""
    if isinstance(space, spaces.Discrete):
        info = np.iinfo(space.dtype)
        near = range(max(int(space.start) - 2, info.min), min(int(space.start + space.n) + 2, info.max))
        return [space.dtype.type(number) for number in [info.min, info.max, *near[:9], *near[-9:]]]
    found = []
    for _ in range(30):
        data = RNG.integers(0, 256, int(np.prod(space.shape)) * space.dtype.itemsize, np.uint8)
        if space.dtype.kind == "b":
            data &= 1
        found.append(np.nan_to_num(data.view(space.dtype).reshape(space.shape)))
        found.append(RNG.integers(0, 3, space.shape).astype(space.dtype))
    return found


@pytest.mark.parametrize(("name", "space"), FIXED, ids=[name for name, _ in FIXED])
def test_a_column_is_judged_as_gymnasium_judges_its_values(name: str, space: gym.Space[Any]) -> None:
    values = samples(space, 5) + strangers(space)
    inside = make_inside(plan_space(space, "a"), space)
    assert inside is not None
    codes = [TypeCode.ARRAY if isinstance(each, np.ndarray) else numpy_scalar_code(type(each)) for each in values]
    judged = inside(np.stack(values), np.array(codes, np.uint8)).tolist()
    assert judged == [contains(space, each) for each in values]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (TypeCode.INT, int),
        (TypeCode.BOOL, bool),
        (TypeCode.FLOAT, float),
        (16, np.bool_),
        (17, np.int8),
        (20, np.int64),
    ],
)
def test_types_are_judged_as_well(code: int, kind: Any) -> None:
    space = spaces.Discrete(2, dtype=np.int32)
    inside = make_inside(nodes.Scalar("a", np.dtype(np.int64)), space)
    assert inside is not None
    judged = inside(np.array([0, 1, 7]), np.full(3, code, np.uint8)).tolist()
    assert judged == [contains(space, kind(0)), contains(space, kind(1)), False]


@pytest.mark.parametrize(
    "space",
    [spaces.Box(0, 1, (3,), np.float32), spaces.MultiDiscrete([2, 2, 2]), spaces.MultiBinary(3)],
    ids=lambda space: type(space).__name__,
)
def test_columns_of_another_shape_are_outside(space: gym.Space[Any]) -> None:
    inside = make_inside(nodes.Array("a", space.dtype, (2,)), space)
    assert inside is not None
    assert not inside(np.zeros((4, 2), space.dtype), np.ones(4, np.uint8)).any()


def test_columns_of_a_wider_type_are_outside() -> None:
    inside = make_inside(nodes.Array("a", np.dtype(np.float64), (3,)), spaces.Box(0, 1, (3,), np.float32))
    assert inside is not None
    assert not inside(np.zeros((4, 3)), np.ones(4, np.uint8)).any()


def test_only_single_values_tell_of_other_spaces() -> None:
    assert make_inside(nodes.Text("a"), spaces.Text(3)) is None
    assert make_inside(nodes.Scalar("a", np.dtype(np.float32)), spaces.Box(0, 1, (), np.float32)) is None


def test_children_have_the_spaces_of_their_keys() -> None:
    space = spaces.Dict(b=spaces.Discrete(2), a=spaces.Text(3))
    node = plan_space(space, "a")
    assert children_spaces(node, space) == tuple(space[key] for key, _ in node.items)
    assert children_spaces(node, spaces.Dict(b=spaces.Discrete(2))) is None
    assert children_spaces(node, spaces.Discrete(2)) is None
    assert children_spaces(node, None) is None
    pair = spaces.Tuple((spaces.Discrete(2), spaces.Text(3)))
    assert children_spaces(plan_space(pair, "a"), pair) == pair.spaces
    assert children_spaces(plan_space(pair, "a"), spaces.Tuple((spaces.Discrete(2),))) is None


def test_a_space_that_fails_says_nothing() -> None:
    class Failing(spaces.Discrete):
        def contains(self, x: Any) -> bool:
            raise ZeroDivisionError

    assert contains(Failing(2), 5)
