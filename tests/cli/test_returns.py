"""Mean returns: numbers or arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gym_h5record.cli.returns import mean_return, mean_return_text
from tests.treasures import RETURNS
from tests.zoo import check_identical

PAIR = np.array([0.5, -2.0])


def test_a_mean_is_a_number_an_array_or_none() -> None:
    assert mean_return([]) is None
    check_identical(mean_return([1.0, 2.0]), 1.5, "mean")
    check_identical(mean_return(np.array([1.0, 2.0])), 1.5, "mean")
    check_identical(mean_return([PAIR, 3 * PAIR]), 2 * PAIR, "mean")
    assert mean_return(np.array(RETURNS)).tolist() == pytest.approx([19 / 3, -1.3 / 3])


def test_a_mean_says_how_many_episodes_it_leaves_out() -> None:
    assert mean_return_text([1.0, 2.0], 0) == "mean return 1.5"
    assert mean_return_text([PAIR, 3 * PAIR], 1_000) == "mean return [1, -4] without 1,000 incomplete"
    assert mean_return_text([], 1) == "no complete episode"


def test_infinities_that_cancel_out_are_nan_without_a_warning() -> None:
    assert math.isnan(mean_return([math.inf, -math.inf]))
