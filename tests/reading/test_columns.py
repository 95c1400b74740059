"""Columns: sequences as NumPy and Python know them, reading no more than is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.values.exact import identical
from tests.reading import NESTED, Reads, record, write_ones
from tests.zoo import ZooEnv

LENGTH = 23


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> h5r.Recording:
    """One episode of a Dict of many things, with infos."""
    path = tmp_path_factory.mktemp("columns") / "run.h5"
    infos = lambda step: {"step": step, "text": str(step)}  # noqa: E731
    record(path, ZooEnv(NESTED, spaces.Discrete(5), rewards=(0.5, 2.0), length=99, infos=infos), [LENGTH])
    return h5r.Recording(path)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> h5r.Recording:
    """Row r observes [r]."""
    path = tmp_path_factory.mktemp("columns") / "ones.h5"
    write_ones(path, 3000)
    return h5r.Recording(path)


# Like any sequence -------------------------------------------------------------------------------


def test_lengths_are_those_of_the_format(recording: h5r.Recording) -> None:
    episode = recording.episodes[0]
    for name, length in {"observations": 24, "infos": 24, "actions": 23, "rewards": 23, "terminations": 23}.items():
        assert len(getattr(episode, name)) == length
        assert isinstance(getattr(episode, name), Sequence)


def test_negative_numbers_count_from_the_end(numbers: h5r.Recording) -> None:
    column = numbers.observations
    assert (column[-1][0], column[-6000][0], column[np.int64(-2)][0]) == (5999, 0, 5998)
    assert numbers.episodes[7].observations[-1][0] == 15


@pytest.mark.parametrize("index", [6000, -6001, 10**30, -(10**30), np.int64(6000)], ids=repr)
def test_an_index_out_of_range_says_what_there_is(index: int, numbers: h5r.Recording) -> None:
    with pytest.raises(IndexError, match=rf"{index}.*6000 rows"):
        numbers.observations[index]
    with pytest.raises(IndexError, match=rf"{index}.*2 rows"):
        numbers.episodes[7].observations[index]


@pytest.mark.parametrize(
    "index", [1.0, "0", None, (0,), [0, 1], np.array([0, 1])], ids=lambda each: type(each).__name__
)
def test_an_index_of_another_type_is_an_error_as_in_a_list(index: Any, numbers: h5r.Recording) -> None:
    with pytest.raises((TypeError, AttributeError)):
        numbers.observations[index]


def test_an_episode_never_shows_rows_of_its_neighbours(numbers: h5r.Recording) -> None:
    episode = numbers.episodes[7]
    assert [row[0] for row in episode.observations] == [14, 15]
    assert [float(reward) for reward in episode.rewards] == [14]
    assert episode.observations[:99][:, 0].tolist() == [14, 15]
    assert episode.observations[-99:99][:, 0].tolist() == [14, 15]
    with pytest.raises(IndexError):
        episode.rewards[1]


SLICES = [
    slice(*bounds)
    for bounds in itertools.product((None, 0, 3, -4, 99, -99), (None, 0, 7, -2, 99, -99), (None, 1, 3, -1, -4, 99))
]


def test_slices_are_those_of_a_list(numbers: h5r.Recording) -> None:
    rows, column = list(range(20)), numbers.observations
    column = type(column)(column._decoder, column._node, 100, 20)
    for each in SLICES:
        found = column[each]
        assert found.shape == (len(rows[each]), 1), each
        assert (found[:, 0] - 100).tolist() == rows[each], each


def test_slices_of_trees_are_those_of_a_list(recording: h5r.Recording) -> None:
    column = recording.observations
    rows = [column[row] for row in range(len(column))]
    for each in (slice(None), slice(3, 19, 5), slice(None, None, -1), slice(-2, 1, -7), slice(4, 4)):
        found, expected = column[each], rows[each]
        assert found.keys() == set(NESTED.spaces)
        assert isinstance(found["pair"], tuple)
        assert found["picture"].shape == (len(expected), 84, 84)
        assert found["empty"].shape == (len(expected), 0, 2)
        assert found["text"] == [row["text"] for row in expected]
        for at, row in enumerate(expected):
            assert np.array_equal(found["picture"][at], row["picture"])
            assert found["pair"][0][at] == row["pair"][0]
            assert np.array_equal(found["pair"][1][at], row["pair"][1])


def test_slices_of_infos_are_lists(recording: h5r.Recording) -> None:
    infos = recording.episodes[0].infos
    for each in (slice(2, 9, 3), slice(None, None, -1), slice(5, 5), slice(-3, None)):
        assert infos[each] == [{"step": step, "text": str(step)} for step in list(range(24))[each]]


def test_iteration_may_be_nested_and_reversed(numbers: h5r.Recording) -> None:
    column = numbers.episodes[5].observations
    assert [(float(a[0]), float(b[0])) for a in column for b in column] == [(10, 10), (10, 11), (11, 10), (11, 11)]
    assert [float(row[0]) for row in reversed(column)] == [11, 10]
    first, second = iter(column), iter(column)
    assert next(first)[0] == next(second)[0] == 10


def test_membership_count_and_index_work_for_numbers(recording: h5r.Recording) -> None:
    rewards = recording.episodes[0].rewards
    assert 0.5 in rewards
    assert 9.0 not in rewards
    assert rewards.count(2.0) == LENGTH // 2
    assert rewards.index(2.0) == 1


def test_unpacking_works(numbers: h5r.Recording) -> None:
    first, second = numbers.episodes[2].observations
    assert (first[0], second[0]) == (4, 5)


# Like an array -----------------------------------------------------------------------------------


def test_shape_and_dtype_are_known_without_reading(
    recording: h5r.Recording, numbers: h5r.Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(monkeypatch)
    assert (numbers.observations.shape, numbers.observations.dtype) == ((6000, 1), np.float64)
    assert (numbers.rewards.shape, numbers.rewards.dtype) == ((6000,), np.float64)
    assert (numbers.terminations.shape, numbers.terminations.dtype) == ((6000,), np.bool_)
    assert (numbers.actions.shape, numbers.actions.dtype) == ((6000,), np.int64)
    assert (recording.observations.shape, recording.observations.dtype) == ((24,), object)
    assert reads.take() == set()


def test_numpy_takes_a_column_as_an_array(numbers: h5r.Recording) -> None:
    column = numbers.episodes[3].observations
    assert np.asarray(column).tolist() == [[6], [7]]
    assert np.array(column, np.float32).dtype == np.float32
    assert np.stack(column).tolist() == [[6], [7]]
    assert np.mean(column) == 6.5
    assert np.concatenate([numbers.episodes[0].rewards, numbers.episodes[1].rewards]).tolist() == [0, 2]


def test_an_array_of_a_column_is_the_callers_own(numbers: h5r.Recording) -> None:
    array = np.asarray(numbers.episodes[3].observations)
    array[:] = -1
    assert numbers.episodes[3].observations[0][0] == 6


def test_the_text_of_a_column_says_what_it_is(recording: h5r.Recording, numbers: h5r.Recording) -> None:
    assert str(numbers.observations) == "<Column /observations shape=(6000, 1) dtype=float64>"
    assert str(recording.infos) == "<Infos of 24 rows>"


# No more than is asked for -----------------------------------------------------------------------


def test_a_row_is_read_from_its_own_columns_only(recording: h5r.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    episode = recording.episodes[0]
    reads = Reads(monkeypatch)
    episode.actions[3]
    assert reads.take() == {"types", "actions"}
    episode.rewards[:]
    assert reads.take() == {"types", "rewards"}
    episode.infos[2]
    assert reads.take() == {"types", "infos/step", "infos/json/ends", "infos/json/values"}
    episode.observations  # noqa: B018
    len(episode.observations)
    assert reads.take() == set()


def test_one_leaf_of_a_batch_does_not_cost_the_others(numbers: h5r.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Reads(monkeypatch)
    for row in range(2000, 2010):
        numbers.observations[row]
    assert reads.take() == {"types", "observations"}


def test_columns_of_an_episode_are_the_same_objects(recording: h5r.Recording) -> None:
    episode = recording.episodes[0]
    assert episode.observations is episode.observations
    assert episode.infos is episode.infos


def test_values_of_a_slice_and_single_values_agree(recording: h5r.Recording) -> None:
    episode = recording.episodes[0]
    assert identical([float(reward) for reward in episode.rewards], episode.rewards[:].tolist())
    assert identical([int(action) for action in episode.actions], episode.actions[:].tolist())
