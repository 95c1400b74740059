"""Rules for whole columns: type codes of a node, numbers of a type, and items of a space."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.format import nodes
from gym_h5record.format.column_planning import contains, plan_space
from gym_h5record.format.names import NUMPY_SCALARS, TypeCode, numpy_scalar_code
from gym_h5record.maintenance.validation.value_rules import (
    allowed_codes,
    children_spaces,
    fits_type,
    make_inside,
    takes_all,
)
from tests.custom_spaces import Grid, grids_registered, registered
from tests.zoo import SPACES, samples

BYTE = np.dtype(np.uint8)


@pytest.mark.parametrize(
    ("node", "codes"),
    [
        (nodes.Array("a", BYTE, (2,)), {1, 255}),
        (nodes.Scalar("a", BYTE), {3, 4, 5, *range(16, 28), 255}),
        (nodes.Text("a"), {2, 255}),
        (nodes.DictOf("a", ()), {2, 255}),
        (nodes.TupleOf("a", ()), {2, 255}),
        (nodes.Opaque("a"), {255}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_node_has_the_codes_of_its_kind(node: nodes.Node, codes: set[int]) -> None:
    assert set(np.flatnonzero(allowed_codes(node)).tolist()) == codes


NAN = float("nan")
NUMPY = {scalar: TypeCode.NUMPY + k for k, scalar in enumerate(NUMPY_SCALARS)}


@pytest.mark.parametrize(
    ("items", "dtype", "code", "fits"),
    [
        ([1, 0.5, NAN, np.inf, -0.0], np.float64, TypeCode.INT, [1, 0, 0, 0, 1]),
        ([1, 0.5, NAN, np.inf], np.float64, TypeCode.FLOAT, [1, 1, 1, 1]),
        ([1, 0, 0.5, 2, NAN], np.float64, TypeCode.BOOL, [1, 1, 0, 0, 0]),
        ([1, 0, 2, -1], np.int64, TypeCode.BOOL, [1, 1, 0, 0]),
        ([2**53, 2**53 + 1, 2**63 - 1], np.int64, TypeCode.FLOAT, [1, 0, 0]),
        ([0.5, 0.1, NAN, np.inf, 1e300], np.float64, NUMPY[np.float32], [1, 0, 1, 1, 0]),
        ([0, 255, 256, -1], np.int64, NUMPY[np.uint8], [1, 1, 0, 0]),
        ([0, 2**63, 2**64 - 1], np.uint64, NUMPY[np.int64], [1, 0, 0]),
        ([0, -1], np.int64, NUMPY[np.uint64], [1, 0]),
        ([0, 1e30, NAN, -1.5], np.float64, NUMPY[np.int8], [1, 0, 0, 0]),
        ([True, False], np.bool_, TypeCode.INT, [1, 1]),
        ([True, False], np.bool_, NUMPY[np.bool_], [1, 1]),
    ],
)
def test_a_number_fits_a_type_that_has_exactly_it(items: list[Any], dtype: Any, code: int, fits: list[int]) -> None:
    assert fits_type(np.array(items, dtype), code).astype(int).tolist() == fits


# Spaces: whole columns are judged as Gymnasium judges single values --------------------------------------

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


def test_only_single_values_tell_of_a_registered_class_whatever_it_is_derived_from() -> None:
    class Branch(spaces.Dict):
        pass

    grid, branch = nodes.Array("a", np.dtype(np.uint8), (3, 3)), Branch(a=spaces.Discrete(2))
    assert make_inside(grid, Grid(3)) is not None
    assert children_spaces(plan_space(branch, "a"), branch) is not None
    with grids_registered(), registered(Branch, lambda space: None, lambda json: branch):
        assert make_inside(grid, Grid(3)) is None
        assert children_spaces(nodes.DictOf("a", (("a", grid),)), branch) is None


def test_a_space_that_fails_says_nothing() -> None:
    class Failing(spaces.Discrete):
        def contains(self, x: Any) -> bool:
            raise ZeroDivisionError

    assert contains(Failing(2), 5)


@pytest.mark.parametrize(
    ("node", "space", "expected"),
    [
        (nodes.Array("x", np.dtype(np.uint8), (2,)), spaces.Box(0, 255, (2,), np.uint8), True),
        (nodes.Array("x", np.dtype(np.uint8), (2,)), None, True),
        (nodes.Array("x", np.dtype(np.uint8), (2,)), spaces.Box(0, 254, (2,), np.uint8), False),
        (nodes.Array("x", np.dtype(np.uint8), (2,)), spaces.Box(0, 255, (3,), np.uint8), False),
        (nodes.Array("x", np.dtype(np.float32), (2,)), None, False),  # it may be NaN
        (nodes.Array("x", np.dtype(np.bool_), (2,)), None, False),
        (nodes.Scalar("x", np.dtype(np.int64)), None, False),
    ],
    ids=["pictures", "no space", "a bound", "another shape", "floats", "booleans", "a number"],
)
def test_only_columns_in_which_no_value_can_be_wrong_take_all(node: nodes.Node, space: Any, *, expected: bool) -> None:
    assert takes_all(node, space) is expected
