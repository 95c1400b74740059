"""The newest steps in memory: each at its number, and no more than memory may hold."""

from __future__ import annotations

import numpy as np
import pytest

from gym_h5record.training.newest_steps import NewestSteps

LAYOUT = [((2,), np.dtype(np.float32)), ((), np.dtype(np.int64))]  # 16 bytes


def filled(count: int, most_steps: int = 1000, most_bytes: int = 16 * 5, begin: int = 0) -> NewestSteps:
    steps = NewestSteps(LAYOUT, most_steps, most_bytes, begin)
    for number in range(begin, begin + count):
        steps.put([np.full(2, number), -number])
    return steps


@pytest.mark.parametrize(
    ("steps", "first"),
    [
        (filled(0), 0),
        (filled(3), 0),
        (filled(5), 0),
        (filled(13), 8),
        (filled(3, begin=11), 11),
        (filled(7, begin=11), 13),
        (filled(7, most_steps=2), 5),
        (filled(7, most_bytes=1), 6),
    ],
    ids=["none", "few", "full", "around", "later", "later, around", "steps", "one step at least"],
)
def test_the_first_is_the_oldest_that_memory_holds(steps: NewestSteps, first: int) -> None:
    assert steps.first == first


@pytest.mark.parametrize("count", [3, 5, 6, 23])
def test_each_number_gives_its_step(count: int) -> None:
    steps = filled(count, begin=7)
    numbers = np.random.default_rng(0).integers(steps.first, 7 + count, 50)
    pairs, single = steps.get(numbers)
    np.testing.assert_array_equal(pairs, np.repeat(numbers[:, None], 2, 1).astype(np.float32), strict=True)
    np.testing.assert_array_equal(single, -numbers, strict=True)


@pytest.mark.parametrize("number", [1, 7])
def test_other_numbers_are_an_index_error(number: int) -> None:
    with pytest.raises(IndexError, match="only the steps 2 to 7 are in memory"):
        filled(7).get(np.array([3, number]))


def test_what_is_given_out_stays_as_it_was() -> None:
    steps = filled(5)
    (pairs, _) = steps.get(np.array([0]))
    steps.put([np.full(2, 5), -5])
    assert pairs.tolist() == [[0, 0]]
