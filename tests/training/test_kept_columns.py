"""What is kept in memory gives the same batches, and never takes more than was allowed."""

import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError, OptionError
from gym_h5record.storage import dataset_reader
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.hdf5.descriptor import Descriptor
from gym_h5record.training.item_store import ItemStore
from gym_h5record.training.kept_columns import keep_columns
from gym_h5record.training.sampled_columns import choose_columns
from gym_h5record.training.step_source import StepSource
from tests.stacking import START, StackingEnv, record_stacks
from tests.training.numbered import record_numbered, same_batches

SCRIPT = (*START, *["slide"] * 9, "jump", "slide", "end slide", "slide", "slide", "reset fill", *["slide"] * 9)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "stacks.h5"
    record_stacks(path, SCRIPT, StackingEnv(nest="both"))
    return path


@pytest.mark.parametrize("cache", ["low_dim", "compressed", "all"])
@pytest.mark.parametrize("episodes", [[0, 1, 2], [1], [2, 0]], ids=str)
def test_batches_are_the_same_whatever_is_kept(stacks, episodes, cache):
    with h5r.Recording(stacks) as recording:
        selection = recording.select(episodes)
        same_batches([*selection.sampler(2, cache=cache)], [*selection.sampler(2)])


@pytest.mark.parametrize("episodes", [[0, 1, 2], [1]], ids=str)
def test_nothing_is_read_any_more_when_everything_is_kept(stacks, monkeypatch, episodes):
    with h5r.Recording(stacks) as recording:
        sampler = recording.select(episodes).sampler(2, cache="all")
        for name in ("take", "items", "item"):
            monkeypatch.delattr(ColumnReader, name)
        assert len([*sampler]) == len(sampler)


def test_only_small_items_are_kept_as_low_dim(stacks, monkeypatch):
    fields = set()
    with h5r.Recording(stacks) as recording:
        sampler = recording.sampler(3, cache="low_dim")
        take = ColumnReader.take
        monkeypatch.setattr(ColumnReader, "take", lambda self, name, *more: fields.add(name) or take(self, name, *more))
        assert len([*sampler]) == len(sampler)
    assert {name.rpartition("/")[2] for name in fields} == {"newest", "values"}


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_a_compressed_chunk_is_read_from_the_file_once(tmp_path, monkeypatch, compression):
    monkeypatch.setattr(dataset_reader, "_KEPT_BYTES", 0)  # else the last chunks are not read again anyway
    offsets = []
    read = Descriptor.read
    monkeypatch.setattr(Descriptor, "read", lambda self, size, at: offsets.append(at) or read(self, size, at))
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [500] * 20, compression=compression)) as recording:
        columns = ["observations/number", "actions", "rewards"]
        sampler = recording.sampler(100, cache="compressed", columns=columns)
        assert len([*sampler]) == 100
        assert len(offsets) > 10
        offsets.clear()
        assert len([*sampler]) == 100
        assert offsets == []


def test_compressed_chunks_are_kept_as_far_as_there_is_room(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [500] * 20, compression="gzip")) as recording:
        storage = recording._index.storage.keeping_stored(3000)
        rows = np.arange(10_020)
        assert (storage.take("observations/number", rows) == rows).all()
        assert (storage.take("observations/number", rows) == rows).all()
        assert 1000 < storage._stored.num_bytes <= 3000
        expected = [*recording.sampler(64, seed=1)]
        same_batches([*recording.sampler(64, seed=1, cache="compressed", memory_bytes=60_000)], expected)


def test_compressed_chunks_are_forgotten_when_the_file_is_opened_anew(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [50], compression="gzip")) as recording:
        storage = recording._index.storage.keeping_stored(1 << 20)
        storage.take("rewards", np.arange(50))
        assert storage._stored.num_bytes > 0
        recording._index.storage._handle.renew()
        assert storage.take("rewards", np.arange(0)).shape == (0,)
        assert storage._stored.num_bytes == 0


@pytest.mark.parametrize("cache", [None, "compressed"])
def test_small_items_are_read_once_if_there_is_room_for_them(stacks, monkeypatch, cache):
    fields = []
    for name in ("take", "items"):
        read = getattr(ColumnReader, name)
        monkeypatch.setattr(
            ColumnReader, name, lambda self, field, *rows, read=read: fields.append(field) or read(self, field, *rows)
        )
    with h5r.Recording(stacks) as recording:
        sampler = recording.sampler(3, cache=cache)
        assert len([*sampler]) == len(sampler)
        fields.clear()
        assert len([*sampler]) == len(sampler)
        assert {name.rpartition("/")[2] for name in fields} == {"newest", "values"}


def test_small_items_take_an_eighth_of_the_memory_at_most(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [50, 30])) as recording:
        file, index = recording._file, recording._index
        source = StepSource(file, index, recording.numbers)
        columns, _ = choose_columns(recording.schema, None)
        # 82 rows: three flags of 1 byte, an observation of 8 and 8 bytes, an action and a reward of 8
        for memory_bytes, expected in ((8 * 2870, 2870), (8 * 2869, 2870 - 82 * 8), (8 * 246, 246), (0, 0)):
            store = ItemStore(index.storage)
            assert keep_columns(store, source, columns, None, memory_bytes) == expected


def test_a_budget_that_is_too_small_is_an_error_that_says_by_how_much(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [50, 30])) as recording:
        # 82 rows with an observation of 8 and 8 bytes, an action, a reward and three flags
        with pytest.raises(OptionError, match="cache='all' takes 2,870 bytes, more than memory_bytes=2,869"):
            recording.sampler(2, cache="all", memory_bytes=2869)
        assert len(recording.sampler(2, cache="all", memory_bytes=20_000)) == 40


def test_earlier_frames_count_in_the_budget(stacks):
    with h5r.Recording(stacks) as recording:
        frames = len(recording.rows) * 2 * 1024  # two stacks in an observation
        with pytest.raises(OptionError, match="cache='all' takes"):
            recording.sampler(2, cache="all", memory_bytes=frames + 3 * 1024)


def test_kept_items_are_not_those_of_a_batch(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [5, 3])) as recording:
        sampler = recording.sampler(8, cache="all")
        first = sampler.batch(0)
        first["observations"]["at"][:] = np.nan
        first["rewards"][:] = np.nan
        first["episodes"][:] = -1
        assert not np.isnan(sampler.batch(0)["observations"]["at"]).any()
        assert not np.isnan(sampler.batch(0)["rewards"]).any()
        assert (sampler.batch(0)["episodes"] >= 0).all()


@pytest.mark.parametrize("row", [0, 7, -1])
def test_wrong_ends_of_earlier_frames_are_found_when_they_are_kept(stacks, monkeypatch, row):
    items = ColumnReader.items

    def damaged(self, field, start, stop):
        found = items(self, field, start, stop)
        if field == "observations/stack/earlier/ends":
            found[row] += 1
        return found

    with h5r.Recording(stacks) as recording:
        monkeypatch.setattr(ColumnReader, "items", damaged)
        with pytest.raises(CorruptRecordingError, match="/observations/stack/earlier/ends has wrong ends"):
            recording.sampler(2, cache="all")
