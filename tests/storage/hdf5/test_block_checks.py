"""HDF5's own blocks: those of recordings pass, those that HDF5 cannot bear do not."""

from __future__ import annotations

import io
import re
import struct
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest

from gym_h5record import RecordToHDF5
from gym_h5record.errors import RecordingError
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5.block_checks import check_block
from gym_h5record.storage.hdf5.lookup3 import lookup3_hash
from tests.leftovers import closed

GOLDEN = Path(__file__).parents[2] / "golden"
SIZES = {b"BTHD": 38 - 4, b"FRHP": 142, b"EAHD": 72 - 4}
"""Blocks that a recording has, and how many bytes come before the checksum."""


def blocks(data: bytes, signature: bytes) -> list[bytes]:
    """All of a kind in a file, checksums included."""
    size, found, at = SIZES[signature], [], data.find(signature)
    while at >= 0:
        block = data[at : at + size + 4]
        found += [block] if struct.unpack("<I", block[-4:])[0] == lookup3_hash(block[:-4]) else []
        at = data.find(signature, at + 1)
    return found


def changed(block: bytes, at: int, new: bytes) -> bytes:
    """With a checksum that fits."""
    return sealed(block[:at] + new + block[at + len(new) : -4])


def sealed(block: bytes) -> bytes:
    return block + struct.pack("<I", lookup3_hash(block))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return closed(tmp_path_factory.mktemp("good")).read_bytes()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.h5")), ids=lambda path: path.stem)
def test_all_blocks_of_recordings_of_earlier_versions_pass(path: Path) -> None:
    for signature in SIZES:
        for block in blocks(path.read_bytes(), signature):
            check_block(memoryview(block))


@pytest.mark.parametrize("signature", SIZES)
def test_a_recording_has_such_blocks(signature: bytes, good: bytes) -> None:
    assert blocks(good, signature)
    for block in blocks(good, signature):
        check_block(memoryview(block))
        check_block(memoryview(block + bytes(400)))  # HDF5 reads more than it needs


@pytest.mark.parametrize(
    ("signature", "at", "new"),
    [
        pytest.param(b"BTHD", 6, bytes(4), id="tree-nodes-of-nothing"),
        pytest.param(b"BTHD", 6, b"\xff\xff\xff\xff", id="tree-huge-nodes"),
        pytest.param(b"BTHD", 10, bytes(2), id="tree-records-of-nothing"),
        pytest.param(b"BTHD", 10, b"\xff\xff", id="tree-records-larger-than-nodes"),
        pytest.param(b"BTHD", 12, b"\xff\xff", id="tree-depth"),
        pytest.param(b"BTHD", 14, b"\x00\x00", id="tree-never-splits"),
        pytest.param(b"BTHD", 24, b"\xff\xff", id="tree-root-overflows"),
        pytest.param(b"FRHP", 5, b"\xff\xff", id="heap-long-names"),
        pytest.param(b"FRHP", 22, bytes(8), id="heap-large-objects-nowhere"),
        pytest.param(b"FRHP", 110, b"\xff\xff", id="heap-width"),
        pytest.param(b"FRHP", 110, bytes(2), id="heap-no-width"),
        pytest.param(b"FRHP", 112, bytes(8), id="heap-blocks-of-nothing"),
        pytest.param(b"FRHP", 120, (1 << 40).to_bytes(8, "little"), id="heap-huge-blocks"),
        pytest.param(b"FRHP", 128, b"\xff\xff", id="heap-addresses"),
        pytest.param(b"FRHP", 140, b"\xff\xff", id="heap-rows"),
        pytest.param(b"EAHD", 6, b"\x00", id="index-entries-of-nothing"),
        pytest.param(b"EAHD", 7, b"\xff", id="index-bits"),
        pytest.param(b"EAHD", 8, b"\xff", id="index-first-entries"),
        pytest.param(b"EAHD", 9, b"\x00", id="index-blocks-of-nothing"),
        pytest.param(b"EAHD", 10, b"\x80", id="index-pointers"),
        pytest.param(b"EAHD", 11, b"\x3f", id="index-pages"),
    ],
)
def test_what_hdf5_cannot_bear_is_refused(signature: bytes, at: int, new: bytes, good: bytes) -> None:
    block = changed(blocks(good, signature)[0], at, new)
    assert block not in blocks(good, signature)
    with pytest.raises(OSError, match="damaged file"):
        check_block(memoryview(block))


@pytest.mark.parametrize("signature", [b"BTHD", b"EAHD", b"GCOL", b"FRHP", b"OHDR", b"OCHK"])
def test_data_that_begin_like_a_block_by_chance_pass(signature: bytes) -> None:
    text = signature + b" is how this text begins, " * 20
    for size in (4, 5, 20, len(text)):
        check_block(memoryview(text[:size]))


def test_a_compressed_heap_of_attributes_is_refused(good: bytes) -> None:
    block = blocks(good, b"FRHP")[0]
    longer = block[:7] + (30).to_bytes(2, "little") + block[9:-4] + bytes(12 + 30 + 4)
    with pytest.raises(OSError, match="damaged file"):
        check_block(memoryview(changed(longer, 7, (30).to_bytes(2, "little"))))
    check_block(memoryview(longer[:-30]))  # it is not all there yet


@pytest.mark.parametrize("size", [1 << 21, 1 << 51])
def test_a_header_with_a_part_of_absurd_size_is_refused(size: int) -> None:
    part = struct.pack("<BHBQQ", 16, 16, 0, 4096, size)
    check_block(memoryview(sealed(b"OHDR\x02\x00" + bytes([len(part)]) + part)[:-1]))  # it is not all there yet
    for begin in (b"OHDR\x02\x00" + bytes([len(part)]), b"OCHK"):
        check_block(memoryview(sealed(begin + part[:-8] + (1000).to_bytes(8, "little"))))
        with pytest.raises(OSError, match="damaged file"):
            check_block(memoryview(sealed(begin + part)))


def test_a_header_of_absurd_size_is_refused() -> None:
    with pytest.raises(OSError, match="a header of"):
        check_block(memoryview(b"OHDR\x02\x03" + (1 << 50).to_bytes(8, "little") + bytes(500)))


def test_a_file_with_such_a_block_is_an_error_of_ours(good: bytes, tmp_path: Path) -> None:
    """Of the group of attributes, whose size of a node HDF5 divides by."""
    data, path = bytearray(good), tmp_path / "run.h5"
    for block in blocks(good, b"BTHD"):
        at = data.find(block)
        data[at : at + len(block)] = changed(block, 6, bytes(4))
    path.write_bytes(data)
    for access in (Access.CLOSED, Access.DAMAGED):
        with pytest.raises(RecordingError, match=r"run\.h5|cannot be read"):
            Handle(path, access).metadata()


def test_an_attribute_that_is_said_to_be_shared_is_refused(tmp_path: Path) -> None:
    env = RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", writer="inline")
    env.reset()
    env.close()
    data = (tmp_path / "run.h5").read_bytes()
    at = data.index(b"BTLF\x00\x08")  # attributes by name
    leaf = data[at : at + 512]
    size = next(
        size for size in range(6 + 17, 509) if leaf[size : size + 4] == struct.pack("<I", lookup3_hash(leaf[:size]))
    )
    check_block(memoryview(leaf))
    mutant = bytearray(leaf)
    mutant[6 + 17 * 2 + 8] |= 0x02
    check_block(memoryview(bytes(mutant)))  # HDF5 notices itself that the checksum is wrong
    mutant[size : size + 4] = struct.pack("<I", lookup3_hash(bytes(mutant[:size])))
    with pytest.raises(OSError, match="an attribute that is said to be shared"):
        check_block(memoryview(bytes(mutant)))


# Attributes: how long they say they are -------------------------------------------------------------

LENGTH = 4321  # which nothing else has
TOO_LONG = (1 << 32) - 1


class Spy(io.BytesIO):
    """Looks at every block that HDF5 reads."""

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        check_block(memoryview(buffer).cast("B"))
        return count


def reseal(data: bytes | bytearray) -> bytes:
    """Headers with checksums that fit what is in them now."""
    mutant, at = bytearray(data), data.find(b"OHDR\x02")
    while at >= 0:
        flags = mutant[at + 5]
        start = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        stop = start + (1 << (flags & 3))
        stop += int.from_bytes(mutant[start:stop], "little")
        mutant[stop : stop + 4] = struct.pack("<I", lookup3_hash(bytes(mutant[at:stop])))
        at = data.find(b"OHDR\x02", at + 1)
    return bytes(mutant)


NAME = b"env_name\0"
VARIABLE_LENGTH = bytes.fromhex("19010100 10000000 10000000 01000000")
"""The type of a text, up to the size of a character."""


def say_length(data: bytearray, at: int, said: int) -> None:
    data[said : said + 4] = struct.pack("<I", TOO_LONG)


def leave_name_open(data: bytearray, at: int, said: int) -> None:
    """HDF5 does not look at the last byte of a name."""
    say_length(data, at, said)
    data[at + len(NAME) - 1] = ord("X")


def widen_characters(data: bytearray, at: int, said: int) -> None:
    end = data.index(VARIABLE_LENGTH, at) + len(VARIABLE_LENGTH)
    data[end - 4 : end] = struct.pack("<I", 1 << 20)


def nest(data: bytearray, at: int, said: int) -> None:
    """Texts of texts: how long the inner ones are stands elsewhere."""
    data[data.index(VARIABLE_LENGTH, at) + 8] = VARIABLE_LENGTH[0]


def set_reserved_byte(data: bytearray, at: int, said: int) -> None:
    """HDF5 ignores it, of attributes of version 1."""
    say_length(data, at, said)
    if data[at - 8] == 1:
        data[at - 7] = 0xFF


@pytest.mark.parametrize("lie", [None, say_length, leave_name_open, widen_characters, nest, set_reserved_byte])
@pytest.mark.parametrize("num_others", [0, 20], ids=["in-the-header", "in-a-heap"])
@pytest.mark.parametrize("libver", ["earliest", "v110"])
def test_an_attribute_that_says_it_is_too_long_is_refused_before_hdf5_reads_it(
    libver: str, num_others: int, lie: Callable[[bytearray, int, int], None] | None
) -> None:
    """HDF5 would take 4 GiB."""
    whole = io.BytesIO()
    with h5py.File(whole, "w", libver=libver) as file:
        group = file.create_group("metadata")
        for number in range(num_others):
            group.attrs[f"other_{number}"] = "text"
        group.attrs["env_name"] = "x" * LENGTH
    data = bytearray(whole.getvalue())
    (said,) = (
        data.index(reference)
        for found in re.finditer(b"GCOL", data)
        if (reference := struct.pack("<IQ", LENGTH, found.start())) in data
    )
    if lie is not None:
        lie(data, data.rindex(NAME, 0, said), said)

    def read() -> str:
        with h5py.File(Spy(reseal(data)), "r") as file:
            return str(file["metadata"].attrs["env_name"])

    if lie is None:
        assert read() == "x" * LENGTH
    else:
        with pytest.raises((OSError, RuntimeError, KeyError)) as caught:
            read()
        assert "a damaged file: an attribute of" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("number", [0, 1, 2, None])
@pytest.mark.parametrize("libver", ["earliest", "v110"])
def test_of_a_list_of_texts_none_may_say_that_it_is_too_long(libver: str, number: int | None) -> None:
    whole = io.BytesIO()
    with h5py.File(whole, "w", libver=libver) as file:
        dataset = file.create_dataset("x", (3, 3, 3), "u1", chunks=(1, 3, 3))
        for axis, label in zip(dataset.dims, ("a" * 33, "b" * 44, "c" * 55), strict=True):
            axis.label = label
    data = bytearray(whole.getvalue())
    if number is not None:
        heap = data.index(b"GCOL")
        at = data.index(struct.pack("<IQ", (33, 44, 55)[number], heap))
        data[at : at + 4] = struct.pack("<I", TOO_LONG)

    def read() -> list[str]:
        with h5py.File(Spy(reseal(data)), "r") as file:
            return [len(text) for text in file["x"].attrs["DIMENSION_LABELS"]]

    if number is None:
        assert read() == [33, 44, 55]
    else:
        with pytest.raises((OSError, RuntimeError, KeyError)) as caught:
            read()
        assert "a damaged file: an attribute of" in "".join(traceback.format_exception(caught.value))


def test_users_may_give_attributes_with_usual_names_to_their_objects() -> None:
    whole = io.BytesIO()
    with h5py.File(whole, "w", libver="v110") as file:
        group = file.create_group("mine")
        file["type"] = np.dtype("i4")
        group.attrs.create("unit", 3, dtype=file["type"])
        numbers = np.empty((), object)
        numbers[()] = np.array([1, 2, 3], np.int32)
        group.attrs.create("description", numbers, dtype=h5py.vlen_dtype(np.int32))
        group.attrs["CLASS"] = np.arange(4)
    with h5py.File(Spy(whole.getvalue()), "r") as file:
        assert file["mine"].attrs["unit"] == 3
        assert file["mine"].attrs["description"].tolist() == [1, 2, 3]


def test_an_image_of_the_metadata_in_which_no_block_could_be_looked_at_is_refused() -> None:
    with pytest.raises(OSError, match="an image"):
        check_block(memoryview(b"MDCI" + bytes(100)))


def test_an_attribute_whose_type_is_elsewhere_is_refused() -> None:
    whole = io.BytesIO()
    with h5py.File(whole, "w", libver="v110") as file:
        file["type"] = np.dtype("i4")
        file.attrs.create("fps", 3, dtype=file["type"])
    with pytest.raises((OSError, RuntimeError)), h5py.File(Spy(whole.getvalue()), "r") as file:
        file.attrs["fps"]


def test_what_others_keep_beside_a_recording_does_no_harm() -> None:
    whole = io.BytesIO()
    with h5py.File(whole, "w", libver="v110") as file:
        file["type"] = np.dtype("i4")
        file.attrs.create("my_number", 3, dtype=file["type"])
        file.attrs.create("my_texts", ["a", "b"], dtype=h5py.string_dtype())
    with h5py.File(Spy(whole.getvalue()), "r") as file:
        assert file.attrs["my_number"] == 3
        assert len(file.attrs["my_texts"]) == 2


@pytest.mark.parametrize("step", [0, 1, 3, 8])
def test_data_with_what_begins_like_an_attribute_pass(step: int) -> None:
    begin = struct.pack("<HH4xBBHHH", 12, 40, 1, 1, 5, 8, 8)
    small = np.array([12, 5, 6, 7, 0x0102, 2, 30, 40, 97] * 9, "<i2").tobytes()
    for data in (
        small,
        *(begin + rest for rest in (bytes(40), b"1bc\0" + b"\xff" * 40, b"abcd\0" + bytes(3), b"abcd\0")),
    ):
        check_block(memoryview(bytes(step) + data * 3))
        check_block(memoryview(data[8:]))
        check_block(memoryview(b"FHDB" + data))
