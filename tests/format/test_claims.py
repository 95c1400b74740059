"""Commit: claims that cannot be true are refused, and committed items are counted along their parents."""

import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.claims import check_commit, check_span, committed_items, read_commit
from gym_h5record.format.nodes import Field

I64 = np.dtype(np.int64)

FIELDS = {
    field.name: field
    for field in (
        Field("rewards", np.dtype(np.float64)),
        Field("x/ends", I64, is_ends=True),
        Field("x/values/ends", I64, parent="x/ends", is_ends=True),
        Field("x/values/values", np.dtype(np.uint8), parent="x/values/ends"),
        Field("episodes/starts", I64),
        Field("episodes/json/ends", I64, is_ends=True),
        Field("episodes/json/values", np.dtype(np.uint8), parent="episodes/json/ends"),
    )
}
ENDS = {"x/ends": [2, 2, 5], "x/values/ends": [1, 1, 4, 4, 9], "episodes/json/ends": [7]}


def reader_of(numbers):
    """Reads the numbers of a commit as a file has them."""
    datasets = {"commit": np.array(numbers[:2]), "positions": np.array(numbers[2:])}
    return lambda name, start, stop: datasets[name][start:stop]


@pytest.mark.parametrize(("num_rows", "num_episodes"), [(0, 0), (1, 0), (1, 1), (9, 3)])
def test_a_commit_that_can_be_true_passes(num_rows, num_episodes):
    check_commit(num_rows, num_episodes)


@pytest.mark.parametrize(("num_rows", "num_episodes"), [(0, 1), (2, 3), (-1, 0), (5, -1), (-2, -1)])
def test_a_commit_that_cannot_be_true_is_corruption_with_its_numbers(num_rows, num_episodes):
    with pytest.raises(CorruptRecordingError, match=f"/commit claims {num_rows} rows and {num_episodes} episodes"):
        check_commit(num_rows, num_episodes)


@pytest.mark.parametrize("numbers", [[0] * 7, [9, 3, 2, 40, 51, 44, 7], [9, 3, 2, 40, 51, 51, 9]])
def test_the_numbers_of_a_commit_that_can_be_true_become_integers_of_python(numbers):
    commit = read_commit(reader_of(numbers), None)
    assert list(commit) == numbers
    assert {type(each) for each in commit} == {int}


@pytest.mark.parametrize(
    "numbers",
    [
        *([2, 3, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0, 0], [2, 1, -1, 0, 0, 0, 0], [2, 1, 0, -1, 0, 0, 0]),
        *([2, 1, 0, 0, -1, -1, 0], [2, 1, 0, 0, 4, 5, 0], [2, 1, 0, 0, 4, 4, 3], [2, 1, 0, 0, 4, 4, -1]),
    ],
)
def test_the_numbers_of_a_commit_that_contradict_each_other_are_corruption(numbers):
    with pytest.raises(CorruptRecordingError, match="/commit"):
        read_commit(reader_of(numbers), None)


@pytest.mark.parametrize(("start", "length"), [(0, 0), (0, 9), (9, 0), (3, 6)])
def test_an_episode_within_the_rows_passes(start, length):
    check_span(4, start, length, 10)


@pytest.mark.parametrize(("start", "length"), [(-1, 3), (0, -1), (0, 10), (10, 0), (3, 7), (10**30, 0)])
def test_an_episode_outside_of_the_rows_is_corruption_with_its_number(start, length):
    with pytest.raises(CorruptRecordingError, match=f"episode 4 claims rows {start} to .* has 10"):
        check_span(4, start, length, 10)


@pytest.mark.parametrize(
    ("name", "num_rows", "items"),
    [
        ("rewards", 3, 3),
        ("x/ends", 2, 2),
        ("x/values/ends", 0, 0),
        ("x/values/ends", 3, 5),
        ("x/values/values", 1, 1),
        ("x/values/values", 2, 1),
        ("x/values/values", 3, 9),
        ("episodes/starts", 3, 1),
        ("episodes/json/ends", 3, 1),
        ("episodes/json/values", 3, 7),
    ],
)
def test_items_are_counted_by_the_ends_of_their_parents(name, num_rows, items):
    counted = committed_items(FIELDS[name], FIELDS, num_rows, 1, lambda field, at: ENDS[field][at])
    assert counted == items


def test_without_rows_and_episodes_no_ends_are_read():
    for field in FIELDS.values():
        assert committed_items(field, FIELDS, 0, 0, lambda *_: pytest.fail("there is no item to read")) == 0
