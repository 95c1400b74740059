"""Counting agreement: the rules of the spaces, against plain sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_h5record.replay.evaluation.agreement import make_agreement_counter
from gym_h5record.replay.evaluation.reports import Agreement

PAIRS = st.lists(st.tuples(st.integers(-3, 5), st.integers(-3, 5)), max_size=40)
FLOATS = st.lists(st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 4), min_size=1, max_size=20)


def agreement(space: spaces.Space[Any], *pairs: tuple[Any, Any]) -> Agreement:
    counter = make_agreement_counter(space)
    for recorded, chosen in pairs:
        counter.add(recorded, chosen)
    return counter.agreement()


@given(PAIRS)
@settings(deadline=None)
def test_a_confusion_matrix_holds_every_pair_once(pairs: list[tuple[int, int]]) -> None:
    found = agreement(spaces.Discrete(3), *pairs)
    confusion = found.confusion
    assert (found.num_steps, found.equal) == (len(pairs), sum(a == b for a, b in pairs))
    assert sum(map(sum, confusion.counts)) == len(pairs)
    for row, recorded in enumerate(confusion.actions):
        for column, chosen in enumerate(confusion.actions):
            assert confusion.counts[row][column] == pairs.count((recorded, chosen))
    for score in confusion.scores:
        assert score.recorded == sum(a == score.action for a, _ in pairs)
        assert score.chosen == sum(b == score.action for _, b in pairs)
        assert score.equal == pairs.count((score.action, score.action))


@given(FLOATS)
@settings(deadline=None)
def test_errors_of_a_box_are_those_of_plain_sums(rows: list[tuple[float, ...]]) -> None:
    pairs = [(np.array(row[:2], np.float32), np.array(row[2:], np.float32)) for row in rows]
    error = agreement(spaces.Box(-1, 1, (2,), np.float32), *pairs).error
    apart = np.array([[abs(row[0] - row[2]), abs(row[1] - row[3])] for row in rows])
    for each, values in ((error, apart), *zip(error.dimensions, apart.T, strict=True)):
        assert each.mean_absolute == pytest.approx(values.mean())
        assert each.root_mean_square == pytest.approx(math.sqrt((values**2).mean()))
        assert each.maximum == values.max()
        assert {type(number) for number in (each.mean_absolute, each.root_mean_square, each.maximum)} == {float}


@pytest.mark.parametrize("chosen", [2, np.int64(2), np.uint8(2), np.array(2), np.array([2])])
def test_an_integer_is_equal_in_any_type(chosen: Any) -> None:
    found = agreement(spaces.Discrete(3), (np.int64(2), chosen))
    assert (found.equal, found.misfits) == (1, 0)
    assert [type(each) for each in found.confusion.actions] == [int]


@pytest.mark.parametrize("chosen", [None, 2.0, "2", np.array([2, 2]), np.array([0.1, 0.9])])
def test_what_is_no_integer_is_a_misfit_and_never_agrees(chosen: Any) -> None:
    found = agreement(spaces.Discrete(3), (2, chosen), (1, 1))
    assert (found.num_steps, found.equal, found.misfits) == (2, 1, 1)
    assert found.confusion.actions == (1,)


def test_a_recorded_misfit_agrees_with_its_like() -> None:
    assert agreement(spaces.Discrete(3), ("left", "left")) == agreement(spaces.Discrete(3), ("up", "up"))
    assert agreement(spaces.Discrete(3), ("left", "left")).equal == 1


def test_an_action_that_was_never_chosen_has_recall_but_no_precision() -> None:
    scores = agreement(spaces.Discrete(3), (0, 1), (0, 0), (2, 1)).confusion.scores
    assert [(each.recall, each.precision) for each in scores] == [(0.5, 1.0), (None, 0.0), (0.0, None)]


@pytest.mark.parametrize("space", [spaces.MultiDiscrete([3, 3]), spaces.MultiBinary(2)])
def test_arrays_of_integers_agree_if_all_elements_do(space: spaces.Space[Any]) -> None:
    recorded = np.array([1, 0])
    found = agreement(space, (recorded, [1, 0]), (recorded, np.array([1, 1], np.int8)), (recorded, 1))
    assert (found.num_steps, found.equal, found.misfits, found.confusion, found.error) == (3, 1, 1, None, None)


@pytest.mark.parametrize("chosen", [np.zeros((1, 2)), np.zeros(3), None, "far", [[1], [1, 2]], [1j, 0j]])
def test_what_is_not_of_a_boxs_shape_is_a_misfit_and_has_no_error(chosen: Any) -> None:
    found = agreement(spaces.Box(-1, 1, (2,)), (np.zeros(2, np.float32), chosen))
    assert (found.num_steps, found.equal, found.misfits, found.error) == (1, 0, 1, None)


def test_a_scalar_box_is_a_dimension_of_its_own() -> None:
    error = agreement(spaces.Box(-1, 1, ()), (np.array(0.5, np.float32), 0.25)).error
    assert (error.maximum, len(error.dimensions)) == (0.25, 1)


def test_numbers_of_unsigned_bytes_do_not_wrap_around() -> None:
    space = spaces.Box(0, 255, (1,), np.uint8)
    assert agreement(space, (np.array([1], np.uint8), np.array([2], np.uint8))).error.maximum == 1.0


def test_infinity_and_nan_are_no_error_where_they_are_equal() -> None:
    odd = np.array([np.inf, np.nan, 1.0])
    found = agreement(spaces.Box(-np.inf, np.inf, (3,), np.float64), (odd, odd.copy()))
    assert (found.equal, found.error.maximum) == (1, 0.0)
    apart = agreement(spaces.Box(-np.inf, np.inf, (3,), np.float64), (odd, np.zeros(3)))
    assert (apart.equal, apart.error.dimensions[0].maximum) == (0, math.inf)
    assert math.isnan(apart.error.dimensions[1].maximum)


def test_other_spaces_agree_in_type_and_every_bit() -> None:
    space = spaces.Dict(go=spaces.Discrete(2), far=spaces.Box(0, 1, (1,)))
    recorded = {"go": np.int64(1), "far": np.zeros(1, np.float32)}
    same = {"far": np.zeros(1, np.float32), "go": np.int64(1)}
    found = agreement(space, (recorded, same), (recorded, {**same, "go": 1}))
    assert (found.num_steps, found.equal, found.misfits) == (2, 1, 0)


def test_nothing_counted_has_no_rate() -> None:
    for space in (spaces.Discrete(2), spaces.Box(0, 1, (2,)), spaces.Text(3), spaces.MultiBinary(2)):
        assert agreement(space).rate is None
        assert agreement(space).error is None


def test_a_box_without_elements_agrees_without_an_error() -> None:
    found = agreement(spaces.Box(0, 1, (0,)), (np.zeros(0, np.float32), np.zeros(0, np.float32)))
    assert (found.equal, found.error) == (1, None)
