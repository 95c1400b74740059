"""Limits: how large the parts of a recording may be."""

from __future__ import annotations

from typing import Any

import pytest

from gym_h5record import limits
from gym_h5record.limits import MAX_RANK, num_elements


@pytest.mark.parametrize(("shape", "count"), [([], 1), ((), 1), ([0, 1 << 40], 0), ([210, 160, 3], 100_800)])
def test_the_elements_of_a_shape_are_counted(shape: Any, count: int) -> None:
    assert num_elements(shape) == count


@pytest.mark.parametrize(
    "shape",
    [None, 7, "210", [2.0], [True], ["2"], [[2]], [-1], [1 << 63], [1] * (MAX_RANK + 1), {"a": 1}],
    ids=repr,
)
def test_a_value_that_is_no_shape_is_refused(shape: Any) -> None:
    with pytest.raises(ValueError, match="expected the shape"):
        num_elements(shape)


def test_a_refused_shape_is_not_quoted_in_full() -> None:
    with pytest.raises(ValueError, match="expected the shape") as caught:
        num_elements(["x" * 10_000])
    assert len(str(caught.value)) < 200


def test_the_limits_of_writing_are_within_those_of_reading() -> None:
    assert limits.MAX_ITEM_BYTES <= limits.MAX_CHUNK_BYTES <= limits.MAX_VALUE_BYTES
    assert limits.MAX_TEXT_BYTES < limits.MAX_HEAP_BYTES <= limits.MAX_METADATA_BYTES
