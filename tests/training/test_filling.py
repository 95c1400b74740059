"""Items that are decoded when they are first needed."""

import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.training.filling import Filling
from gym_h5record.training.runs import runs_of
from tests.training.numbered import record_numbered


def test_items_are_read_once_and_only_their_blocks(tmp_path, monkeypatch):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [3000] * 5)) as recording:
        storage = recording._index.storage
        size = storage.chunk_rows("observations/number")
        assert size < 5000
        runs = runs_of(recording._index.spans[0], recording._index.spans[1])
        kept = np.full(len(runs), -1)
        filling = Filling(storage, "observations/number", runs, kept)
        reads = []
        items = type(storage).items
        monkeypatch.setattr(
            type(storage), "items", lambda self, field, *rows: reads.append(rows) or items(self, field, *rows)
        )
        filling.need(np.array([[1, 2], [5, 1]]))
        assert kept[[1, 2, 5]].tolist() == [1, 2, 5]
        assert reads == [(0, size)]
        for _ in range(3):
            filling.need(np.array([2 * size + 1, 3]))
        assert kept[2 * size + 1] == 2 * size + 1
        assert reads == [(0, size), (2 * size, 3 * size)]
        assert kept[size : 2 * size].tolist() == [-1] * size
        filling.decode()
        assert (kept == np.arange(len(runs))).all()
        assert len(reads) == -(-len(runs) // size)


def test_an_item_that_cannot_be_read_is_asked_for_again(tmp_path, monkeypatch):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [5])) as recording:
        storage = recording._index.storage
        runs = runs_of(np.array([0]), np.array([5]))
        filling = Filling(storage, "observations/number", runs, np.empty(len(runs), np.int64))
        with monkeypatch.context() as patch:
            patch.setattr(type(storage), "items", lambda *_: (_ for _ in ()).throw(CorruptRecordingError("damaged")))
            for _ in range(2):
                with pytest.raises(CorruptRecordingError, match="damaged"):
                    filling.need(np.array([1]))
        filling.need(np.array([1]))
