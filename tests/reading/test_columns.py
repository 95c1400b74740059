"""Columns: sequences as NumPy and Python know them, reading no more than is asked for."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError, RecordingWarning
from gym_h5record.values.exact import identical
from tests.reading import NESTED, PICTURE, Reads, damage_chunk, record, write_ones
from tests.writing import Pen, make_schema, pair
from tests.zoo import ZooEnv

pytestmark = pytest.mark.compacted

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


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> h5r.Recording:
    """Two episodes of pictures, several in a chunk."""
    path = tmp_path_factory.mktemp("columns") / "pictures.h5"
    record(path, ZooEnv(PICTURE, spaces.Discrete(5), rewards=(0.5, 2.0), length=99), [7, LENGTH])
    return h5r.Recording(path)


# Like any sequence -------------------------------------------------------------------------------


def test_lengths_are_those_of_the_format(recording: h5r.Recording) -> None:
    episode = recording.episodes[0]
    for name, length in {"observations": 24, "infos": 24, "actions": 23, "rewards": 23, "terminations": 23}.items():
        assert len(getattr(episode, name)) == length
        assert isinstance(getattr(episode, name), Sequence)


def test_negative_numbers_count_from_the_end(numbers: h5r.Recording) -> None:
    column = numbers.rows.observations
    assert (column[-1][0], column[-6000][0], column[np.int64(-2)][0]) == (5999, 0, 5998)
    assert numbers.episodes[7].observations[-1][0] == 15


@pytest.mark.parametrize("index", [6000, -6001, 10**30, -(10**30), np.int64(6000)], ids=repr)
def test_an_index_out_of_range_says_what_there_is(index: int, numbers: h5r.Recording) -> None:
    with pytest.raises(IndexError, match=rf"{index}.*6000 rows"):
        numbers.rows.observations[index]
    with pytest.raises(IndexError, match=rf"{index}.*2 rows"):
        numbers.episodes[7].observations[index]


@pytest.mark.parametrize("index", [1.0, "0", None, True, {0}], ids=lambda each: type(each).__name__)
def test_an_index_of_another_type_is_an_error_as_in_a_list(index: Any, numbers: h5r.Recording) -> None:
    with pytest.raises(TypeError, match="a Column of 2 rows"):
        numbers.episodes[3].observations[index]


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
    rows, column = list(range(20)), numbers.rows.observations
    column = type(column)(column._decoder, column._node, 100, 20)
    for each in SLICES:
        found = column[each]
        assert found.shape == (len(rows[each]), 1), each
        assert (found[:, 0] - 100).tolist() == rows[each], each


def test_slices_of_trees_are_those_of_a_list(recording: h5r.Recording) -> None:
    column = recording.rows.observations
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
    assert (numbers.rows.observations.shape, numbers.rows.observations.dtype) == ((6000, 1), np.float64)
    assert (numbers.rows.rewards.shape, numbers.rows.rewards.dtype) == ((6000,), np.float64)
    assert (numbers.rows.terminations.shape, numbers.rows.terminations.dtype) == ((6000,), np.bool_)
    assert (numbers.rows.actions.shape, numbers.rows.actions.dtype) == ((6000,), np.int64)
    assert (recording.rows.observations.shape, recording.rows.observations.dtype) == ((24,), object)
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
    assert str(numbers.rows.observations) == "<Column /observations shape=(6000, 1) dtype=float64>"
    assert str(recording.rows.infos) == "<Infos of 24 rows>"


@pytest.mark.parametrize("name", ["ndim", "size", "nbytes"])
def test_a_column_is_as_large_as_its_array(name: str, numbers: h5r.Recording) -> None:
    episode = numbers.episodes[3]
    for column in (episode.observations, episode.rewards, episode.terminations):
        assert getattr(column, name) == getattr(column[:], name)


def test_lists_masks_and_further_axes_are_those_of_an_array(pictures: h5r.Recording) -> None:
    column = pictures.episodes[1].observations
    array = np.stack([*column])
    for index in (
        [3, -1, 3],
        array[:, 0, 0] > 99,
        (slice(2, 9), slice(34, 80)),
        (..., 0),
        (4, slice(None), 0),
        (4, 2, 1),
    ):
        assert identical(column[index], array[index])


def test_a_part_of_the_rows_does_not_keep_the_rest_in_memory(pictures: h5r.Recording) -> None:
    column = pictures.episodes[1].observations
    for index in ((slice(2, 9), 0), ([1, 2], 0), (slice(2, 9), [0, 1]), (3, 0)):
        assert column[index].base is None or column[index].base.nbytes == column[index].nbytes


def test_the_array_of_a_column_has_the_dtype_that_is_wanted_and_is_a_copy(numbers: h5r.Recording) -> None:
    column = numbers.episodes[3].observations
    assert identical(np.asarray(column, np.int8), np.array([[6], [7]], np.int8))
    assert identical(np.array(column, object, copy=True), np.array([[6.0], [7.0]], object))
    with pytest.raises(
        ValueError, match=r"/observations .* is read from a file, so that an array of it is always a copy"
    ):
        column.__array__(copy=False)


def test_values_that_vary_in_size_are_an_array_of_objects(tmp_path: Path) -> None:
    space = spaces.Sequence(spaces.Discrete(9))
    record(tmp_path / "run.h5", ZooEnv(space, spaces.Text(3), length=99), [5])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        for column in (recording.episodes[0].observations, recording.episodes[0].actions):
            array = np.asarray(column)
            assert (array.shape, array.dtype) == (column.shape, object)
            assert identical(array.tolist(), column[:])
        assert np.asarray(recording.episodes[0].actions, "U9").tolist() == recording.episodes[0].actions[:]


def test_numbers_that_do_not_fit_make_an_array_of_objects(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema()) as pen, pytest.warns(RecordingWarning, match="its column cannot hold"):
        pen.begin(pair(0))
        for reward in (0.5, 2**70 + 1):
            pen.step(pair(1), reward=reward)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        rewards: Any = recording.episodes[0].rewards
        assert identical(rewards[:], [0.5, 2**70 + 1])
        assert identical(np.asarray(rewards).tolist(), [0.5, 2**70 + 1])
        assert identical(np.asarray(rewards, np.float64), np.array([0.5, 2.0**70]))
        with pytest.raises(TypeError, match="some values are missing or do not fit"):
            np.from_dlpack(rewards)
        with pytest.raises(TypeError, match="has no further axes in these rows: some values"):
            rewards[:, None]
        assert identical(rewards[:1, None], np.array([[0.5]]))


DICTS = r"its values are dicts; take rows first and then a key, as in column\[:\]\['picture'\]"


@pytest.mark.parametrize(
    "take", [np.asarray, np.from_dlpack, lambda column: column[2:4, 0], lambda column: column["text"]]
)
def test_dicts_are_no_array_and_the_error_says_what_to_do(take: Callable[[Any], Any], recording: h5r.Recording) -> None:
    with pytest.raises(TypeError, match=f"^<Column /observations .*: {DICTS}$"):
        take(recording.episodes[0].observations)


def test_tuples_are_no_array_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Tuple((spaces.Discrete(2), PICTURE)), length=9), [2])
    with h5r.Recording(tmp_path / "run.h5") as recording, pytest.raises(TypeError, match=r"as in column\[:\]\[0\]$"):
        np.asarray(recording.episodes[0].observations)


def test_a_method_of_arrays_is_refused_with_how_to_get_there(numbers: h5r.Recording) -> None:
    rewards: Any = numbers.episodes[3].rewards
    with pytest.raises(
        AttributeError, match=r"/rewards .* has no 'sum', but arrays have: read rows first, column\[:\].sum$"
    ):
        rewards.sum()
    with pytest.raises(AttributeError, match="'Column' object has no attribute 'total'"):
        rewards.total()
    assert not hasattr(rewards, "mean")
    assert not hasattr(rewards, "__array_interface__")


def test_a_column_can_be_copied_and_pickled(numbers: h5r.Recording) -> None:
    column = numbers.episodes[3].observations
    for twin in (copy.copy(column), pickle.loads(pickle.dumps(column))):
        assert identical(twin[:], column[:])


# Of other libraries ------------------------------------------------------------------------------


def no_single_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, columns are read as a whole or not at all."""
    for name in ("_one", "__iter__"):
        monkeypatch.setattr(h5r.Column, name, lambda *_: pytest.fail("read row by row"))


def test_the_columns_memory_is_handed_over_by_dlpack(pictures: h5r.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    episode = pictures.episodes[1]
    expected = [np.asarray(column) for column in (episode.observations, episode.rewards, episode.terminations)]
    no_single_rows(monkeypatch)
    for column, array in zip((episode.observations, episode.rewards, episode.terminations), expected, strict=True):
        assert column.__dlpack_device__() == (1, 0)
        assert identical(np.from_dlpack(column).copy(), array)


def test_dlpack_is_refused_where_it_would_need_another_device_or_no_copy(numbers: h5r.Recording) -> None:
    for options in ({"copy": False}, {"dl_device": (2, 0)}):
        with pytest.raises(BufferError, match="is read from a file, into new memory of the processor"):
            numbers.episodes[3].rewards.__dlpack__(**options)  # type: ignore[arg-type]


def test_torch_reads_a_column_at_once(pictures: h5r.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    episode = pictures.episodes[1]
    expected = {name: getattr(episode, name)[:] for name in ("observations", "rewards", "terminations", "actions")}
    no_single_rows(monkeypatch)
    for make in (torch.as_tensor, torch.tensor, torch.asarray):
        for name, array in expected.items():
            assert identical(make(getattr(episode, name)).numpy(), array)
    assert torch.as_tensor(episode.rewards, dtype=torch.float32).dtype == torch.float32


def test_torch_says_why_dicts_are_no_tensor(recording: h5r.Recording) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=DICTS):
        torch.as_tensor(recording.episodes[0].observations)


# Row by row --------------------------------------------------------------------------------------


def test_iteration_gives_padding_and_the_open_row_as_none(numbers: h5r.Recording) -> None:
    decoder, schema = numbers.rows.rewards._decoder, numbers.schema
    padded = h5r.Column(decoder, schema.reward, 2, 4)
    assert identical([*padded], [2.0, None, 4.0, None])
    is_open = h5r.Column(decoder, schema.reward, 2, 3, is_open=True)
    assert identical([*is_open], [2.0, None, None])
    assert identical(is_open[[2, 0]], np.array([0.0, 2.0]))
    assert identical(is_open[::-1], np.array([0.0, 0.0, 2.0]))


def test_iteration_gives_the_rows_before_a_damaged_one(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(PICTURE, spaces.Discrete(3), length=99), [40])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        expected = recording.episodes[0].observations[:]
    damage_chunk(tmp_path / "run.h5", "observations", lambda data: data[:20] + b"\xff" * (len(data) - 20), chunk=1)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        rows = iter(recording.episodes[0].observations)
        chunk = 16
        assert identical(np.stack([next(rows) for _ in range(chunk)]), expected[:chunk])
        with pytest.raises(CorruptRecordingError, match=r"run\.h5"):
            next(rows)


def test_iteration_finds_that_a_row_within_an_episode_has_no_value(tmp_path: Path) -> None:
    write_ones(tmp_path / "run.h5", 3)
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["types"][2] = 0
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert next(iter(recording.episodes[0].rewards)) == 0.0
        with pytest.raises(CorruptRecordingError, match="/rewards row 2 has no value, within an episode"):
            next(iter(recording.episodes[1].rewards))


def test_an_array_of_iteration_is_the_callers_own(pictures: h5r.Recording) -> None:
    column = pictures.episodes[1].observations
    for row in column:
        assert row.base is None
        row[:] = 0
    assert column[3].any()


# No more than is asked for -----------------------------------------------------------------------


def test_a_row_is_read_from_its_own_columns_only(recording: h5r.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Reads(monkeypatch)
    episode = h5r.Recording(recording.path).episodes[0]
    reads.take()
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
    column = h5r.Recording(numbers.path).rows.observations
    reads.take()
    for row in range(2000, 2010):
        column[row]
    assert reads.take() == {"types", "observations"}


def test_columns_of_an_episode_are_the_same_objects(recording: h5r.Recording) -> None:
    episode = recording.episodes[0]
    assert episode.observations is episode.observations
    assert episode.infos is episode.infos


def test_values_of_a_slice_and_single_values_agree(recording: h5r.Recording) -> None:
    episode = recording.episodes[0]
    assert identical([float(reward) for reward in episode.rewards], episode.rewards[:].tolist())
    assert identical([int(action) for action in episode.actions], episode.actions[:].tolist())
