"""Szip: HDF5's decoder gets nothing that it could read beyond, or leave undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.storage.hdf5.szip import SzipDecoder

ITEMS = np.random.default_rng(0).integers(0, 3, (8, 32, 32), np.uint8)


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[h5py.Dataset]:
    if not h5py.h5z.get_filter_info(h5py.h5z.FILTER_SZIP) & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED:
        pytest.skip("this HDF5 cannot write szip")
    with h5py.File(tmp_path / "szip.h5", "w") as file:
        yield file.create_dataset("x", data=ITEMS, chunks=ITEMS.shape, compression="szip")


def stored(dataset: h5py.Dataset) -> bytes:
    return bytes(dataset.id.read_direct_chunk((0, 0, 0))[1])


def test_a_chunk_comes_back_again_and_again(dataset: h5py.Dataset) -> None:
    decoder, data = SzipDecoder(dataset), stored(dataset)
    for _ in range(3):
        assert decoder.decode(data) == ITEMS.tobytes()


@pytest.mark.parametrize("size", [0, 1, 3, 4, 100])
def test_a_chunk_that_is_cut_short_is_refused(size: int, dataset: h5py.Dataset) -> None:
    with pytest.raises(ValueError, match=r"szip data (announces|is cut)"):
        SzipDecoder(dataset).decode(stored(dataset)[:size])


@pytest.mark.parametrize("size", [0, 1, ITEMS.nbytes - 1, ITEMS.nbytes + 1, (1 << 32) - 1])
def test_a_chunk_that_announces_another_size_is_refused(size: int, dataset: h5py.Dataset) -> None:
    with pytest.raises(ValueError, match="another size"):
        SzipDecoder(dataset).decode(size.to_bytes(4, "little") + stored(dataset)[4:])


def test_two_decoders_do_not_mix_up_their_chunks(dataset: h5py.Dataset) -> None:
    first, second = SzipDecoder(dataset), SzipDecoder(dataset)
    with pytest.raises(ValueError, match="cut short"):
        second.decode(stored(dataset)[:50])
    assert first.decode(stored(dataset)) == ITEMS.tobytes()
