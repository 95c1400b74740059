"""The shuffle filter outside of HDF5: HDF5 reads what we write, and we read what HDF5 writes."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from gym_h5record.storage.hdf5.codecs import GZIP, decode_chunk
from gym_h5record.storage.hdf5.shuffle import shuffle_and_compress, unshuffled

DTYPES = ["u1", "?", "<f2", "<i4", ">i4", "<f8"]


def items(dtype: str, count: int = 512) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (count, 3)).cumsum(axis=0).astype(dtype)


def dataset(file: h5py.File, dtype: str) -> h5py.Dataset:
    return file.create_dataset(
        "x", (512, 3), dtype, chunks=(512, 3), compression="gzip", shuffle=np.dtype(dtype).itemsize > 1
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_hdf5_reads_what_we_write(dtype: str) -> None:
    with h5py.File("run.h5", "w", driver="core", backing_store=False) as file:
        found = dataset(file, dtype)
        found.id.write_direct_chunk((0, 0), shuffle_and_compress(items(dtype)))
        assert found[:].tobytes() == items(dtype).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_we_read_what_hdf5_writes(dtype: str) -> None:
    with h5py.File("run.h5", "w", driver="core", backing_store=False) as file:
        written = dataset(file, dtype)
        written[:] = items(dtype)
        file.flush()
        _, data = written.id.read_direct_chunk((0, 0))
    assert unshuffled(decode_chunk(GZIP, data, items(dtype).nbytes), np.dtype(dtype).itemsize) == items(dtype).tobytes()


def test_only_the_order_of_the_bytes_changes() -> None:
    assert unshuffled(b"\x01\x02\x03\x11\x12\x13", 2) == b"\x01\x11\x02\x12\x03\x13"


def test_numbers_that_are_close_to_each_other_become_much_smaller() -> None:
    times = (25_000 * np.arange(4096) + np.random.default_rng(0).integers(0, 4096, 4096)).astype(np.int64)
    assert len(shuffle_and_compress(times)) < times.nbytes / 2.5


def test_rows_that_are_not_contiguous_are_written_in_their_order() -> None:
    every_other = items("<f8", 1024)[::2]
    data = shuffle_and_compress(every_other)
    assert unshuffled(decode_chunk(GZIP, data, every_other.nbytes), 8) == every_other.tobytes()
