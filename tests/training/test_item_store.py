"""Items from the file and from memory are the same."""

import tracemalloc

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.storage import dataset_reader
from gym_h5record.training.item_store import ItemStore, Memory
from gym_h5record.training.runs import runs_of
from tests.training.numbered import record_numbered


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


def test_memory_is_used_again_while_it_suffices(storage):
    store, memory = ItemStore(storage), Memory()
    first, _ = store.find("observations/number", [np.arange(4)], memory)
    second, positions = store.find("observations/number", [np.array([7, 5, 7])], memory)
    assert np.shares_memory(first, second)
    assert second[positions[0]].tolist() == [7, 5, 7]
    larger, positions = store.find("observations/number", [np.arange(12)], memory)
    assert not np.shares_memory(larger, first)
    assert larger[positions[0]].tolist() == list(range(12))
