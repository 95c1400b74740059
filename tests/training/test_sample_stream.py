"""Samples of several batches are decoded at once, and each chunk once per epoch where the order follows the chunks."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.storage import dataset_reader
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.hdf5.chunk_reader import ChunkReader
from gym_h5record.training import kept_columns, sampling_plan
from tests.training.numbered import record_numbered, same_batches

PICTURE = (100, 100)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """400 steps with pictures, in four episodes."""
    path = tmp_path_factory.mktemp("stream") / "a.h5"
    space = spaces.Box(0, 255, PICTURE, np.uint8)
    with h5r.Writer(path, observation_space=space, action_space=spaces.Discrete(3)) as writer:
        for _ in range(4):
            writer.append_episode(
                observations=np.zeros((101, *PICTURE), np.uint8), actions=np.zeros(100, np.int64),
                rewards=np.zeros(100), terminations=None, truncations=None,
            )  # fmt: skip
    return path


@pytest.fixture
def takes(monkeypatch):
    """The datasets from which rows were taken, one entry a call."""
    monkeypatch.setattr(kept_columns, "_SMALL_BYTES", 0)  # else they are taken once only
    calls = []
    take = ColumnReader.take
    monkeypatch.setattr(ColumnReader, "take", lambda self, name, *more: calls.append(name) or take(self, name, *more))
    return calls


def test_rows_of_several_batches_are_taken_at_once(tmp_path, takes):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [50, 30])) as recording:
        sampler = recording.sampler(4)
        takes.clear()
        batches = [*sampler]
        assert len(batches) == 20
        assert takes.count("observations/number") == 1  # for observations and next_observations


def test_a_batch_by_its_number_takes_its_own_rows_only(tmp_path, takes):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [50, 30])) as recording:
        sampler = recording.sampler(4)
        takes.clear()
        for number in (3, 4):
            sampler.batch(number)
        assert takes.count("observations/number") == 2


@pytest.mark.sampled(2)
@pytest.mark.parametrize("ahead", [1, 40, 70, 1 << 16], ids=str)
@pytest.mark.parametrize("options", [{}, {"replace": True}], ids=str)
def test_batches_do_not_depend_on_how_many_are_decoded_at_once(tmp_path, monkeypatch, ahead, options):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [50, 30])) as recording:
        expected = [*recording.sampler(7, **options)]
        monkeypatch.setattr(sampling_plan, "_MOST_AHEAD", ahead)
        same_batches([*recording.sampler(7, **options)], expected)


def decoded_chunks(monkeypatch, sampler, name):
    """How often a chunk of a dataset is decoded in an epoch."""
    count = 0
    read = ChunkReader.read

    def counted(self, number):
        nonlocal count
        count += self._dataset.name == name
        return read(self, number)

    monkeypatch.setattr(ChunkReader, "read", counted)
    for _ in sampler:
        pass
    return count


def test_the_order_of_chunks_decodes_each_of_them_about_once_an_epoch(pictures, monkeypatch):
    monkeypatch.setattr(dataset_reader, "_KEPT_BYTES", 0)  # else the chunks of so few steps stay in memory
    monkeypatch.setattr(sampling_plan, "_AHEAD_BYTES", 100 * 20_000)
    with h5r.Recording(pictures) as recording:
        chunks = -(-404 // recording._index.storage.chunk_rows("observations"))
        by_chunk = decoded_chunks(monkeypatch, recording.sampler(10, order="chunk"), "/observations")
        uniform = decoded_chunks(monkeypatch, recording.sampler(10), "/observations")
    assert chunks <= by_chunk < 1.6 * chunks
    assert uniform > 2.5 * chunks


def test_samples_by_their_numbers_are_those_steps_whatever_the_order_of_the_epoch(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [5, 3])) as recording:
        for options in ({}, {"order": "chunk"}, {"seed": 9}):
            batch = recording.sampler(4, **options).stream.numbered(np.array([7, 0, 4, 0]))
            assert batch["episodes"].tolist() == [1, 0, 0, 0]
            assert batch["steps"].tolist() == [2, 0, 4, 0]


def test_batches_stay_as_they_are_while_later_ones_are_decoded_into_the_same_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_columns, "_SMALL_BYTES", 0)
    monkeypatch.setattr(sampling_plan, "_MOST_AHEAD", 8)  # two batches
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [50, 30])) as recording:
        batches = [(batch, copy.deepcopy(batch)) for batch in recording.sampler(4, seed=1)]
        other = recording.sampler(4, seed=1)
        alone = [other.batch(number) for number in range(len(batches))]
    same_batches([batch for batch, _ in batches], [as_given for _, as_given in batches])
    same_batches([batch for batch, _ in batches], alone)


def test_samples_by_number_do_not_disturb_those_that_were_decoded_ahead(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_columns, "_SMALL_BYTES", 0)
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [50, 30])) as recording:
        alone = [batch["rewards"] for batch in recording.sampler(4, seed=1)]
        sampler = recording.sampler(4, seed=1)
        for batch, expected in zip(sampler, alone, strict=True):
            np.testing.assert_array_equal(batch["rewards"], expected)
            sampler.stream.numbered(np.arange(5))


@pytest.mark.long
def test_threads_that_share_a_sampler_get_right_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_columns, "_SMALL_BYTES", 0)
    monkeypatch.setattr(sampling_plan, "_MOST_AHEAD", 8)  # two batches
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [50, 30])) as recording:
        expected = list(recording.sampler(4, seed=1))
        stream = recording.sampler(4, seed=1).stream

        def draw(first):
            return [stream.batch(0, at, at + 4, 80) for _ in range(30) for at in range(first, 80, 4)]

        with ThreadPoolExecutor(4) as threads:
            drawn = list(threads.map(draw, (0, 40, 20, 60)))
    for first, batches in zip((0, 40, 20, 60), drawn, strict=True):
        same_batches(batches, expected[first // 4 :] * 30)
