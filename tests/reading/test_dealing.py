"""Numbers are dealt out: each to one part at most, always in the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.errors import OptionError
from gym_h5record.reading.dealing import deal

PARTS = {"train": [6, 3, 4, 9, 0, 2, 8], "valid": [7, 5], "test": [1]}
"""What seed 7 makes of ten numbers."""


@given(
    st.integers(0, 200),
    st.lists(st.integers(0, 100), min_size=1, max_size=5),
    st.integers(0, 100),
    st.integers(0, 2**64),
)
def test_no_number_is_in_two_parts_and_parts_are_as_large_as_asked(
    count: int, weights: list[int], rest: int, seed: int
) -> None:
    total = sum(weights) + rest or 1
    fractions = {str(at): weight / total for at, weight in enumerate(weights)}
    parts = deal(np.arange(count) * 3, fractions, seed)
    assert list(parts) == list(fractions)
    dealt = np.concatenate(list(parts.values()))
    assert len(set(dealt.tolist())) == len(dealt)
    assert set(dealt.tolist()) <= set(range(0, 3 * count, 3))
    for name, part in parts.items():
        assert abs(len(part) - fractions[name] * count) <= 1
    if not rest and sum(weights):
        assert len(dealt) == count


def test_the_parts_are_those_of_every_version() -> None:
    parts = deal(np.arange(10), {"train": 0.7, "valid": 0.2, "test": 0.1}, 7)
    assert {name: part.tolist() for name, part in parts.items()} == PARTS
    assert deal(np.arange(10), {"train": 0.7}, 7)["train"].tolist() == PARTS["train"]
    assert deal(np.arange(10), {"train": 0.7}, 8)["train"].tolist() != PARTS["train"]


@pytest.mark.parametrize(
    "fractions",
    [{"a": 1.5}, {"a": -0.1}, {"a": 0.6, "b": 0.5}, {"a": float("nan")}, {"a": 10**400}, {"a": "half"}, [0.8, 0.2]],
    ids=["1.5", "-0.1", "1.1", "nan", "huge", "text", "list"],
)
def test_fractions_that_cannot_be_are_refused(fractions: Any) -> None:
    with pytest.raises(OptionError, match="fractions from 0 to 1 that sum to at most 1"):
        deal(np.arange(10), fractions, 0)


@pytest.mark.parametrize("seed", [-1, 1.5, None], ids=str)
def test_a_seed_that_is_no_natural_number_is_refused(seed: Any) -> None:
    with pytest.raises(OptionError, match="not negative"):
        deal(np.arange(10), {"a": 1.0}, seed)
