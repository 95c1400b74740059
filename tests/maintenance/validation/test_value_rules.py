"""Type codes: which ones a node may have, and which numbers a type can have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_h5record.format import nodes
from gym_h5record.format.names import NUMPY_SCALARS, TypeCode
from gym_h5record.maintenance.validation.value_rules import allowed_codes, fits_type

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
