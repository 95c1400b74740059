"""Items from the file and from memory are the same."""

import tracemalloc

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.storage import dataset_reader
from gym_h5record.training.item_store import ItemStore, Memory, runs_of
from tests.properties.strategies import PROFILE
from tests.training.numbered import record_numbered


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 10)), min_size=1), st.integers(0, 5))
@PROFILE
def test_runs_have_every_row_of_the_episodes_once_and_in_order(episodes, before):
    starts, lengths = (np.array(each) for each in zip(*episodes, strict=True))
    runs = runs_of(starts, lengths, before)
    rows = [row for low, high in zip(runs.starts, runs.stops, strict=True) for row in range(low, high)]
    assert rows == sorted({row for s, n in episodes for row in range(max(s - before, 0), s + n + 1)})
    assert len(runs) == len(rows)
    assert runs.positions(np.array(rows)).tolist() == list(range(len(rows)))
    for start in range(0, len(rows), 3):
        stop = min(start + 4, len(rows))
        assert [row for low, high in runs.between(start, stop) for row in range(low, high)] == rows[start:stop]


@pytest.fixture
def storage(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [5, 3, 7])) as recording:
        yield recording._index.storage


@pytest.mark.parametrize("way", ["from the file", "kept", "kept when needed"])
def test_items_are_found_for_several_arrays_of_rows(storage, way):
    store = ItemStore(storage)
    runs = runs_of(np.array([10, 0]), np.array([7, 5]))
    if way == "kept":
        store.keep("observations/number", runs)
    elif way == "kept when needed":
        store.keep_when_needed("observations/number", runs)
    one, other = np.array([[12, 0], [3, 12]]), np.array([5, 17])
    items, positions = store.find("observations/number", [one, other])
    assert (items[positions[0]] == one).all()  # the number of a row is its value
    assert (items[positions[1]] == other).all()
    assert (store.take("observations/number", one) == one).all()


def test_an_item_in_several_arrays_is_decoded_once(storage):
    items, _ = ItemStore(storage).find("actions", [np.array([3, 3, 1]), np.array([1, 2])])
    assert items.tolist() == [1, 2, 3]


def test_runs_that_are_kept_are_never_in_memory_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_reader, "_KEPT_BYTES", 0)  # else the last chunks count too
    space = spaces.Box(0, 255, (1 << 16,), np.uint8)
    with h5r.Writer(tmp_path / "a.h5", observation_space=space, action_space=spaces.Discrete(2)) as writer:
        for episode in range(8):
            writer.append_episode(
                observations=np.full((16, 1 << 16), episode, np.uint8), actions=np.zeros(15, np.int64),
                rewards=np.zeros(15), terminations=None, truncations=None,
            )  # fmt: skip
    with h5r.Recording(tmp_path / "a.h5") as recording:
        store = ItemStore(recording._index.storage)
        runs = runs_of(np.array([0, 32, 64, 96]), np.full(4, 15))
        tracemalloc.start()
        try:
            store.keep("observations", runs)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 1.75 * (len(runs) << 16)
        assert store.take("observations", np.array([15, 32, 79, 111]))[:, 0].tolist() == [0, 2, 4, 6]


def test_items_that_are_kept_when_needed_are_read_once_and_only_their_blocks(tmp_path, monkeypatch):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [3000] * 5)) as recording:
        storage = recording._index.storage
        size = storage.chunk_rows("actions")
        assert size < 5000
        store = ItemStore(storage)
        store.keep_when_needed("actions", runs_of(recording._index.spans[0], recording._index.spans[1]))
        reads = []
        items = type(storage).items
        monkeypatch.setattr(
            type(storage), "items", lambda self, field, *rows: reads.append(rows) or items(self, field, *rows)
        )
        assert store.take("actions", np.array([[1, 2], [5, 1]])).tolist() == [[1, 2], [5, 1]]
        assert reads == [(0, size)]
        wanted = np.array([2 * size + 1, 3])
        for _ in range(3):
            assert (store.take("actions", wanted) == wanted).all()
        assert reads == [(0, size), (2 * size, 3 * size)]


def test_memory_is_used_again_while_it_suffices(storage):
    store, memory = ItemStore(storage), Memory()
    first, _ = store.find("observations/number", [np.arange(4)], memory)
    second, positions = store.find("observations/number", [np.array([7, 5, 7])], memory)
    assert np.shares_memory(first, second)
    assert second[positions[0]].tolist() == [7, 5, 7]
    larger, positions = store.find("observations/number", [np.arange(12)], memory)
    assert not np.shares_memory(larger, first)
    assert larger[positions[0]].tolist() == list(range(12))
