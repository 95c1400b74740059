"""Values of leaves: stacks of frames are those of the recording, wherever they begin anew."""

import pathlib
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Array, Stack
from gym_h5record.training import Noise
from gym_h5record.training.gathering import SlidingStacks, find_values
from gym_h5record.training.item_store import ItemStore
from tests.properties.strategies import PROFILE
from tests.stacking import START, record_stacks
from tests.training.numbered import check_transitions

MOVES = ("slide", "slide", "slide", "repeat", "jump", "fill", "reset fill", "reset repeat", "end slide", "end jump")
SCRIPT = (
    *START,
    *["slide"] * 7,
    "jump",
    "slide",
    "reset fill",
    "slide",
    "end slide",
    "slide",
    "slide",
    "slide",
    "jump",
)


def read_stacks(recording, rows):
    """Stacks of several arrays of rows, read together."""
    node = recording.schema.observation
    assert isinstance(node, Stack)
    return [each.batch(0, len(each.positions)) for each in find_values(ItemStore(recording._index.storage), node, rows)]


@given(st.lists(st.sampled_from(MOVES), max_size=25), st.data())
@settings(PROFILE, max_examples=15)
def test_stacks_of_any_rows_are_those_of_the_recording(moves, data):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "stacks.h5"
        record_stacks(path, (*START, *moves), writer="inline")
        with h5r.Recording(path) as recording:
            expected = recording.rows.observations[:]
            rows = data.draw(st.lists(st.integers(0, len(expected) - 1), min_size=1, max_size=8))
            one, other = np.array(rows), np.array([rows, rows[::-1]])
            found = read_stacks(recording, [one, other])
    assert (found[0] == expected[one]).all()
    assert (found[1] == expected[other]).all()


@given(st.lists(st.sampled_from(MOVES), max_size=25))
@settings(PROFILE, max_examples=15)
def test_stacks_and_those_one_step_later_are_views_of_the_same_frames_where_they_slide(moves):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "stacks.h5"
        record_stacks(path, (*START, *moves), writer="inline")
        with h5r.Recording(path) as recording:
            expected = recording.rows.observations[:]
            rows = np.arange(len(expected) - 1)[::-1]
            node = recording.schema.observation
            stacks = SlidingStacks(*find_values(ItemStore(recording._index.storage), node, [rows, rows + 1]))
    for at, row in enumerate(rows.tolist()):
        slides = (expected[row + 1, :-1] == expected[row, 1:]).all()
        found = stacks.batch(at, at + 1)
        if found is None:
            continue  # a stack may look as if it slid, and be one that the recorder began anew
        assert slides
        assert np.shares_memory(*found)
        assert (found[0] == expected[row]).all()
        assert (found[1] == expected[row + 1]).all()


def test_batches_of_which_all_stacks_slide_are_views_and_the_others_are_not(tmp_path):
    record_stacks(tmp_path / "stacks.h5", (*START, *["slide"] * 7, "jump", *["slide"] * 4))
    with h5r.Recording(tmp_path / "stacks.h5") as recording:
        stacks = {}
        for batch in recording.sampler(1):
            both = batch["observations"], batch["next_observations"]
            step = int(batch["steps"][0])
            stacks[step] = np.shares_memory(*both)
            check_transitions(recording, batch)
        assert stacks == {step: step != 8 for step in range(13)}
        for options in ({"transforms": [Noise("rewards", 1.0)]}, {"n_step": 2}, {"columns": ["observations"]}):
            batch = recording.sampler(1, **options).batch(0)
            assert not np.shares_memory(batch["observations"], batch.get("next_observations", np.empty(0)))
            assert batch["observations"].flags.c_contiguous


def test_batches_are_parts_of_what_was_found(tmp_path):
    record_stacks(tmp_path / "stacks.h5", SCRIPT)
    with h5r.Recording(tmp_path / "stacks.h5") as recording:
        expected = recording.rows.observations[:]
        rows = np.arange(len(expected))[::-1].copy()
        (values,) = find_values(ItemStore(recording._index.storage), recording.schema.observation, [rows])
        for start in range(0, len(rows), 4):
            assert (values.batch(start, start + 4) == expected[rows[start : start + 4]]).all()


def test_a_frame_is_decoded_once_however_many_stacks_it_is_in(tmp_path):
    record_stacks(tmp_path / "stacks.h5", (*START, *["slide"] * 20))
    with h5r.Recording(tmp_path / "stacks.h5") as recording:
        rows = np.arange(10, 15)
        one, other = find_values(ItemStore(recording._index.storage), recording.schema.observation, [rows, rows + 1])
    assert one.items is other.items
    assert len(one.items) == 9  # the frames of rows 7 to 15


def test_a_list_of_earlier_frames_of_another_length_is_corruption(tmp_path, monkeypatch):
    record_stacks(tmp_path / "stacks.h5", SCRIPT)
    with h5r.Recording(tmp_path / "stacks.h5") as recording:
        store, node = ItemStore(recording._index.storage), recording.schema.observation
        take = store.take
        monkeypatch.setattr(store, "take", lambda field, rows: take(field, rows) + (rows > 4))
        with pytest.raises(CorruptRecordingError, match="row 5 has 1 earlier frames, expected 3 or none"):
            find_values(store, node, [np.array([6])])


def test_a_first_row_without_earlier_frames_is_corruption(tmp_path, monkeypatch):
    record_stacks(tmp_path / "stacks.h5", SCRIPT)
    with h5r.Recording(tmp_path / "stacks.h5") as recording:
        store, node = ItemStore(recording._index.storage), recording.schema.observation
        monkeypatch.setattr(store, "take", lambda field, rows: np.zeros_like(rows))
        with pytest.raises(CorruptRecordingError, match="row 0 lacks the earlier frames"):
            find_values(store, node, [np.array([1])])


def test_an_array_without_elements_needs_no_dataset():
    node = Array("observations", np.dtype(np.int16), (2, 0))
    (values,) = find_values(ItemStore(None), node, [np.array([5, 7])])
    assert values.batch(0, 2).shape == (2, 2, 0)
