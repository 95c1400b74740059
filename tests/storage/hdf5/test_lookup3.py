"""The checksum of HDF5's blocks."""

import h5py
import numpy as np
import pytest

from gym_h5record.storage.hdf5.lookup3 import lookup3_hash


@pytest.mark.parametrize(
    ("data", "checksum"),
    [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)],
    ids=["empty", "four-score"],
)
def test_checksum_agrees_with_the_published_values(data, checksum):
    assert lookup3_hash(data) == checksum


@pytest.mark.parametrize("libver", ["v108", "v110", "v114"])
def test_it_is_the_checksum_of_a_superblock(tmp_path, libver):
    with h5py.File(tmp_path / "a.h5", "w", libver=(libver, libver)) as file:
        file["data"] = np.arange(10)
    superblock = (tmp_path / "a.h5").read_bytes()[:48]
    assert lookup3_hash(superblock[:44]) == int.from_bytes(superblock[44:], "little")


@pytest.mark.parametrize("num_attributes", [1, 9], ids=["short", "long"])
def test_it_is_the_checksum_of_the_header_of_an_object(tmp_path, num_attributes):
    with h5py.File(tmp_path / "a.h5", "w", libver=("v110", "v110")) as file:
        group = file.create_group("group")
        group.attrs.update({str(number): np.arange(8) for number in range(num_attributes)})
    data = (tmp_path / "a.h5").read_bytes()
    at = data.rindex(b"OHDR")  # the group comes behind the root
    flags = data[at + 5]
    start = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    size_bytes = 1 << (flags & 3)
    end = start + size_bytes + int.from_bytes(data[start : start + size_bytes], "little")
    assert lookup3_hash(data[at:end]) == int.from_bytes(data[end : end + 4], "little")


def test_every_byte_counts_whatever_the_length():
    """Twelve bytes are mixed at a time, and the last up to twelve in another way."""
    for size in range(1, 40):
        data = bytes(range(size))
        changed = {lookup3_hash(data[:at] + b"\xff" + data[at + 1 :]) for at in range(size)}
        assert len(changed | {lookup3_hash(data), lookup3_hash(data + b"\0")}) == size + 2
