"""Small items in records are those of the file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.training.runs import runs_of
from gym_h5record.training.small_items import SmallItems
from tests.properties.strategies import PROFILE
from tests.training.numbered import record_numbered

FIELDS = ("observations/number", "actions", "rewards", "dones")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = record_numbered(tmp_path_factory.mktemp("small") / "a.h5", [5, 3, 7, 1])
    with h5r.Recording(path) as recording:
        yield recording


@given(st.lists(st.integers(0, 7), min_size=1), st.booleans(), st.data())
@PROFILE
def test_the_values_of_any_rows_are_those_of_the_file(recording, steps, has_all, data):
    storage = recording._index.storage
    small = SmallItems(storage, FIELDS, runs_of(np.array([10, 0]), np.array([7, 5])))
    if has_all:
        small.decode()
    rows = 10 + np.array(steps)
    records = small.at(rows)
    values = {field: small.values(field, records) for field in FIELDS}
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    for field, found in values.items():
        expected = storage.take(field, rows[start:stop])
        assert found.batch(start, stop).tobytes() == expected.tobytes()
        assert found.batch(start, stop).dtype == expected.dtype


def test_values_of_a_batch_are_new_contiguous_arrays(recording):
    small = SmallItems(recording._index.storage, FIELDS, runs_of(np.array([0]), np.array([5])))
    values = small.values("rewards", small.at(np.arange(4)))
    one, other = values.batch(0, 3), values.batch(0, 3)
    assert one.flags.c_contiguous
    one[:] = np.nan
    assert not np.isnan(other).any()
    assert not np.isnan(values.batch(0, 3)).any()


def test_records_of_windows_have_their_shape(recording):
    small = SmallItems(recording._index.storage, FIELDS, runs_of(np.array([0]), np.array([5])))
    rows = np.arange(3)[:, None] + np.arange(2)
    assert small.values("observations/number", small.at(rows)).batch(0, 3).tolist() == rows.tolist()


def test_what_is_kept_is_known_by_its_name(recording):
    small = SmallItems(recording._index.storage, ["actions"], runs_of(np.array([0]), np.array([5])))
    assert "actions" in small
    assert "rewards" not in small
