"""Filters are undone in their order, each of them once, and what is damaged is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.hdf5.codecs import FLETCHER32, GZIP, LZF, NBIT, SHUFFLE, SZIP
from gym_h5record.storage.hdf5.filters import ChunkFilters, check_filters, filters_of, largest_chunk

ITEMS = np.arange(30, dtype=np.int32)
CHAINS = {
    "nothing": [],
    "gzip": [GZIP],
    "lzf": [LZF],
    "shuffle": [SHUFFLE],
    "checksum": [FLETCHER32],
    "all bits": [NBIT],
    "shuffle, gzip": [SHUFFLE, GZIP],
    "shuffle, lzf": [SHUFFLE, LZF],
    "shuffle, gzip, checksum": [SHUFFLE, GZIP, FLETCHER32],
    "checksum, shuffle, gzip": [FLETCHER32, SHUFFLE, GZIP],
    "checksum, gzip": [FLETCHER32, GZIP],
}


def make(path: Path, filters: list[int]) -> h5py.File:
    """A file with a dataset ``x`` that has these filters, in this order."""
    file = h5py.File(path, "w")
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk((30,))
    values = {SHUFFLE: (4,), GZIP: (4,), SZIP: (32, 8)}
    for number in filters:
        create.set_filter(number, h5py.h5z.FLAG_OPTIONAL, values.get(number, ()))
    space = h5py.h5s.create_simple((30,), (h5py.h5s.UNLIMITED,))
    h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_INT32, space, create))[:] = ITEMS
    file.flush()
    return file


def stored(file: h5py.File) -> tuple[int, bytes]:
    mask, data = file["x"].id.read_direct_chunk((0,))
    return mask, bytes(data)


@pytest.mark.parametrize("chain", CHAINS)
def test_what_hdf5_has_filtered_is_undone(chain: str, tmp_path: Path) -> None:
    with make(tmp_path / "a.h5", CHAINS[chain]) as file:
        check_filters("x", filters_of(file["x"].id.get_create_plist()), file["x"].dtype.itemsize)
        filters = ChunkFilters(file["x"])
        assert bytes(filters.decode(*stored(file))) == ITEMS.tobytes()
        assert filters.is_any == bool(CHAINS[chain])
        assert filters.filter_id == next((number for number in CHAINS[chain] if number in (GZIP, LZF)), 0)


def test_filters_that_were_left_out_are_not_undone(tmp_path: Path) -> None:
    with make(tmp_path / "a.h5", [SHUFFLE, GZIP]) as file:
        assert bytes(ChunkFilters(file["x"]).decode(0b11, ITEMS.tobytes())) == ITEMS.tobytes()


@pytest.mark.parametrize("chain", ["nothing", "shuffle", "gzip", "checksum", "shuffle, gzip, checksum"])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + bytes(4), lambda data: b""])
def test_data_of_another_size_is_refused(chain: str, change: Any, tmp_path: Path) -> None:
    with make(tmp_path / "a.h5", CHAINS[chain]) as file:
        mask, data = stored(file)
        filters = ChunkFilters(file["x"])
        try:
            found = filters.decode(mask, change(data))
        except ValueError:  # CorruptRecordingError is one
            return
        assert bytes(found) == ITEMS.tobytes()  # what follows the end of gzip data means nothing
        assert chain == "gzip"


def test_every_changed_byte_is_found_by_a_fletcher_checksum(tmp_path: Path) -> None:
    with make(tmp_path / "a.h5", [FLETCHER32]) as file:
        mask, data = stored(file)
        filters = ChunkFilters(file["x"])
        for at in range(len(data)):
            changed = data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :]
            with pytest.raises(CorruptRecordingError, match="Fletcher-32"):
                filters.decode(mask, changed)


@pytest.mark.parametrize(
    "filters",
    [
        [(6, ())],
        [(GZIP, ()), (GZIP, ())],
        [(GZIP, ()), (LZF, ())],
        [(SHUFFLE, (8,))],
        [(SHUFFLE, ())],
        [(NBIT, (8, 0, 3))],
        [(SHUFFLE, (4,)), (SZIP, ())],
        [(99999, ())],
    ],
    ids=str,
)
def test_filters_that_cannot_be_undone_are_refused(filters: Any) -> None:
    with pytest.raises(CorruptRecordingError, match="/x"):
        check_filters("x", filters, 4)


def test_a_chunk_may_be_a_little_larger_than_its_items() -> None:
    assert 100_000 < largest_chunk(100_000) < 200_000
    assert 100 < largest_chunk(0) < 100_000
