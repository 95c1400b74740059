"""HDF5 objects of an untrusted file: those of a recording are opened, others are refused."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.names import FORMAT, FORMAT_VERSION
from gym_h5record.limits import MAX_CHUNK_BYTES, MAX_TEXT_BYTES
from gym_h5record.storage.hdf5 import objects
from tests.storage.hdf5.test_block_checks import reseal

ROWS = 100


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "run.h5", "w", libver=("v110", "v110")) as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.create_dataset("group/data", data=np.arange(ROWS), chunks=(10,), maxshape=(None,))
        yield file


# Datasets -------------------------------------------------------------------------------------------


def test_a_dataset_is_opened_by_its_path(file: h5py.File) -> None:
    assert objects.open_dataset(file, "group/data")[:].tolist() == [*range(ROWS)]


LINKS: dict[str, Callable[[h5py.File], object]] = {
    "a soft link": lambda file: file.__setitem__("link", h5py.SoftLink("/group/data")),
    "an external link": lambda file: file.__setitem__("link", h5py.ExternalLink("other.h5", "/data")),
    "a path through a soft link": lambda file: file.__setitem__("link", h5py.SoftLink("/group")),
}


@pytest.mark.parametrize("words", LINKS)
def test_only_hard_links_are_followed(file: h5py.File, words: str) -> None:
    LINKS[words](file)
    name = "link/data" if "through" in words else "link"
    with pytest.raises(CorruptRecordingError, match="soft or external link"):
        objects.open_dataset(file, name)


def test_two_hard_links_are_the_same_object(file: h5py.File) -> None:
    file["twin"] = file["group/data"]
    file["other"] = 1
    assert objects.is_same_object(file, "twin", "group/data")
    assert not objects.is_same_object(file, "other", "group/data")
    assert not objects.is_same_object(file, "nothing", "group/data")


@pytest.mark.parametrize("name", ["nothing", "group/nothing", "group/data/deeper", "group//data", "", "group"])
def test_what_is_no_dataset_is_refused(file: h5py.File, name: str) -> None:
    with pytest.raises(CorruptRecordingError):
        objects.open_dataset(file, name)


USUAL = {"shape": (10,), "dtype": "f8", "chunks": (5,), "maxshape": (None,)}
WIDE = {"shape": (10, 99), "chunks": (5, 99), "maxshape": (None, 99)}
ODD = {
    "with chunks across items": {"shape": (10, 2, 4), "chunks": (5, 2, 2), "maxshape": (None, 2, 4)},
    "of an enumeration": {"dtype": h5py.enum_dtype({"a": 0, "b": 1}, "i8")},
    "of texts": {"dtype": h5py.string_dtype()},
    "of fixed texts": {"dtype": "S8"},
    "of complex numbers": {"dtype": "c16"},
    "of structs": {"dtype": [("a", "f8"), ("b", "i4")]},
    "of references": {"dtype": h5py.ref_dtype},
    "with a filter that drops bits": {"scaleoffset": 2},
    "of small items, compressed in large chunks": {"compression": 1, "chunks": (8193,), "maxshape": (None,)},
}


UNUSUAL = {
    "contiguous": {"chunks": None, "maxshape": None},
    "of fixed size": {"maxshape": (10,)},
    "with two filters": {**WIDE, "compression": 1, "fletcher32": True},
    "with shuffle in front of another filter": {**WIDE, "compression": "lzf", "shuffle": True},
    "with shuffle alone": {"shuffle": True},
    "of small items, with another filter": {"compression": "lzf"},
    "with checksums of HDF5": {"fletcher32": True},
}


@pytest.mark.parametrize("words", UNUSUAL)
def test_a_dataset_that_another_tool_has_rewritten_is_opened(file: h5py.File, words: str) -> None:
    file.create_dataset("odd", **{**USUAL, **UNUSUAL[words]})
    assert len(objects.open_dataset(file, "odd")) == 10


@pytest.mark.parametrize("words", ODD)
def test_a_dataset_that_no_recording_has_is_refused(file: h5py.File, words: str) -> None:
    file.create_dataset("odd", **{**USUAL, **ODD[words]})
    with pytest.raises(CorruptRecordingError, match="/odd"):
        objects.open_dataset(file, "odd")


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("chunks", [5, 8192])
def test_small_items_may_be_compressed_with_gzip_and_shuffled(file: h5py.File, chunks: int, shuffle: bool) -> None:
    file.create_dataset("small", **{**USUAL, "compression": 1, "shuffle": shuffle, "chunks": (chunks,)})
    assert objects.open_dataset(file, "small").shape == (10,)


def test_bytes_shuffled_by_another_size_than_that_of_an_element_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.create_dataset("odd", **{**USUAL, "compression": 1, "shuffle": True})
    data = bytearray(path.read_bytes())
    shuffle = struct.pack("<3HI", 2, 1, 1, 8)  # filter, flags, number of values, bytes of an element
    at = data.index(shuffle) + len(shuffle) - 4
    data[at : at + 4] = struct.pack("<I", 4)
    path.write_bytes(reseal(data))
    with h5py.File(path) as file, pytest.raises(CorruptRecordingError, match="shuffled by"):
        objects.open_dataset(file, "odd")


def test_chunks_that_are_too_large_are_refused(file: h5py.File) -> None:
    rows = MAX_CHUNK_BYTES // 8 + 1
    file.create_dataset("large", (0,), "f8", chunks=(rows,), maxshape=(None,))
    with pytest.raises(CorruptRecordingError, match="chunks of"):
        objects.open_dataset(file, "large")


# Groups and attributes ------------------------------------------------------------------------------


def test_a_group_is_in_this_very_file_or_not_there(file: h5py.File) -> None:
    file["link"] = h5py.SoftLink("/group")
    assert objects.has_group(file, "group")
    assert not any(objects.has_group(file, name) for name in ("link", "nothing", "group/data"))


def test_attributes_are_python_values(file: h5py.File) -> None:
    file.attrs["fps"] = np.float64(30)
    assert objects.open_attribute(file, "format") == FORMAT
    assert objects.open_attribute(file, "fps") == 30.0


ODD_ATTRIBUTES: dict[str, object] = {
    "an array": np.zeros(3),
    "empty": h5py.Empty("f8"),
    "a struct": np.zeros((), [("a", "f8")]),
    "a text that is too large": "x" * (MAX_TEXT_BYTES + 1),
    "bytes that are no UTF-8": np.bytes_(b"\xff\xfe"),
}


@pytest.mark.parametrize("words", ODD_ATTRIBUTES)
def test_attributes_that_no_recording_has_are_refused(file: h5py.File, words: str) -> None:
    file.attrs["odd"] = ODD_ATTRIBUTES[words]
    with pytest.raises(CorruptRecordingError, match="odd"):
        objects.open_attribute(file, "odd")


def test_attributes_are_read_by_name_and_others_left_out(file: h5py.File) -> None:
    attributes = file["group"].attrs
    attributes["a"], attributes["b"], attributes["c"] = "text", np.int64(3), np.zeros(5)
    assert objects.read_attributes(file, "group", ("b", "a", "nothing")) == {"a": "text", "b": 3}
    assert objects.read_attributes(file, "/", ("format",)) == {"format": FORMAT}
    with pytest.raises(CorruptRecordingError, match="'c' is no single value"):
        objects.read_attributes(file, "group", ("a", "c"))
    with pytest.raises(CorruptRecordingError, match="there is no /nothing"):
        objects.read_attributes(file, "nothing", ("a",))
    with pytest.raises(objects.READ_ERRORS):
        objects.read_attributes(file, "group/data", ("a",))


def test_texts_of_a_dataset_are_one_or_one_for_each_axis(file: h5py.File) -> None:
    data = file["group/data"]
    data.attrs["one"], data.attrs["bytes"], data.attrs["list"] = "text", np.bytes_(b"text"), ["a"]
    assert [objects.read_texts(data, name) for name in ("one", "bytes", "list")] == [["text"], ["text"], ["a"]]
    data.attrs["number"], data.attrs["many"] = 3, ["a", "b"]
    file["type"] = np.dtype("S4")
    data.attrs.create("elsewhere", b"text", dtype=file["type"])
    for name in ("number", "many", "nothing", "elsewhere"):
        with pytest.raises(objects.READ_ERRORS):
            objects.read_texts(data, name)


# Names ----------------------------------------------------------------------------------------------


def test_a_name_may_be_there_without_a_dataset_that_can_be_opened(file: h5py.File) -> None:
    file["link"] = h5py.SoftLink("/nothing")
    assert all(objects.has_link(file, name) for name in ("link", "group", "group/data"))
    assert not any(
        objects.has_link(file, name) for name in ("nothing", "group/nothing", "nothing/deeper", "group/data/x")
    )
    assert objects.has_link(file, "link/data")  # its group is there, wherever it leads
