"""Values in a few words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_h5record.media.summaries import summary


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        (np.int8(3), "3"),
        (0.123456, "0.123"),
        (np.float32("nan"), "nan"),
        (np.array(5), "5"),
        (np.array([1, 2]), "[1 2]"),
        (np.array([], np.float32), "[]"),
        (np.zeros(9), "9 float64"),
        (np.zeros((2, 2), np.uint8), "2x2 uint8"),
        ((1, "a"), "(1 a)"),
        ({"x": {"y": 1}}, "x=y=1"),
        ({}, ""),
        (list(range(20)), "(0 1 2 3 4 5 6 7 ...)"),
    ],
)
def test_values_in_a_few_words(value: Any, text: str) -> None:
    assert summary(value) == text
