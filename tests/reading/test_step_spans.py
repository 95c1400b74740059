"""The row of every step, by arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from gym_h5record.reading.step_spans import StepSpans


def expected(numbers: list[int], starts: list[int], lengths: list[int]) -> list[tuple[int, int, int]]:
    """Row, episode and number in the episode of every step, one by one."""
    return [(s + k, n, k) for n, s, length in zip(numbers, starts, lengths, strict=True) for k in range(length)]


@pytest.mark.parametrize(
    ("numbers", "starts", "lengths"),
    [
        ([0, 1, 2], [0, 4, 10], [3, 5, 2]),
        ([0, 1, 2, 3, 4], [0, 1, 2, 5, 6], [0, 0, 2, 0, 1]),
        ([5, 2, 2], [100, 7, 7], [2, 3, 3]),
        ([3], [12], [0]),
        ([], [], []),
    ],
    ids=["in order", "without steps", "any order and twice", "no step", "no episode"],
)
def test_steps_are_those_of_the_episodes_one_behind_the_other(
    numbers: list[int], starts: list[int], lengths: list[int]
) -> None:
    spans = StepSpans(*(np.array(each, np.int64) for each in (numbers, starts, lengths)))
    steps = np.arange(spans.num_steps)
    found = [spans.rows(steps), spans.episodes(steps), spans.steps_in_episode(steps)]
    assert [*zip(*(each.tolist() for each in found), strict=True)] == expected(numbers, starts, lengths)
    assert [spans.row(step) for step in steps.tolist()] == found[0].tolist()
    assert {each.dtype for each in found} == {np.dtype(np.int64)}


def test_steps_may_be_asked_for_in_any_order() -> None:
    spans = StepSpans(np.array([0, 1]), np.array([0, 4]), np.array([3, 5]))
    steps = np.array([7, 0, 3, 3])
    assert spans.rows(steps).tolist() == [8, 0, 4, 4]
    assert spans.steps_in_episode(steps).tolist() == [4, 0, 0, 0]
