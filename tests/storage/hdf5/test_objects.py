"""HDF5 objects of a file that a stranger may have made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError, FormatVersionError, NotARecordingError
from gym_h5record.format.names import FORMAT, FORMAT_VERSION
from gym_h5record.format.nodes import Field
from gym_h5record.limits import MAX_CHUNK_BYTES, MAX_TEXT_BYTES
from gym_h5record.storage import format_checks
from gym_h5record.storage.hdf5 import chunks, objects

PATH = Path("run.h5")
ROWS = 100


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "run.h5", "w", libver=("v110", "v110")) as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.create_dataset("group/data", data=np.arange(ROWS), chunks=(10,), maxshape=(None,))
        yield file


# Format ---------------------------------------------------------------------------------------------


def test_a_recording_is_told_by_its_format(file: h5py.File) -> None:
    format_checks.check_format(file, PATH)


def test_another_hdf5_file_is_no_recording(file: h5py.File) -> None:
    file.attrs["format"] = "another"
    with pytest.raises(NotARecordingError, match="found 'another'"):
        format_checks.check_format(file, PATH)
    del file.attrs["format"]
    with pytest.raises(NotARecordingError, match="found None"):
        format_checks.check_format(file, PATH)


@pytest.mark.parametrize("version", [0, -1, FORMAT_VERSION + 1, 1.0, "1"])
def test_another_version_is_refused(file: h5py.File, version: object) -> None:
    file.attrs["format_version"] = version
    with pytest.raises(FormatVersionError):
        format_checks.check_format(file, PATH)


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
    "contiguous": {"chunks": None, "maxshape": None},
    "of fixed size": {"maxshape": (10,)},
    "with chunks across items": {"shape": (10, 4), "chunks": (5, 2), "maxshape": (None, 4)},
    "of an enumeration": {"dtype": h5py.enum_dtype({"a": 0, "b": 1}, "i8")},
    "of texts": {"dtype": h5py.string_dtype()},
    "of fixed texts": {"dtype": "S8"},
    "of complex numbers": {"dtype": "c16"},
    "of structs": {"dtype": [("a", "f8"), ("b", "i4")]},
    "of references": {"dtype": h5py.ref_dtype},
    "with two filters": {**WIDE, "compression": 1, "shuffle": True},
    "of small items, compressed": {"compression": 1},
    "with checksums of HDF5": {"fletcher32": True},
}


@pytest.mark.parametrize("words", ODD)
def test_a_dataset_that_no_recording_has_is_refused(file: h5py.File, words: str) -> None:
    file.create_dataset("odd", **{**USUAL, **ODD[words]})
    with pytest.raises(CorruptRecordingError, match="/odd"):
        objects.open_dataset(file, "odd")


def test_chunks_that_are_too_large_are_refused(file: h5py.File) -> None:
    rows = MAX_CHUNK_BYTES // 8 + 1
    file.create_dataset("large", (0,), "f8", chunks=(rows,), maxshape=(None,))
    with pytest.raises(CorruptRecordingError, match="chunks of"):
        objects.open_dataset(file, "large")


def test_a_field_must_be_what_the_schema_says(file: h5py.File) -> None:
    dataset = objects.open_dataset(file, "group/data")
    format_checks.check_field(dataset, Field("group/data", np.dtype(np.int64)))
    for field in (Field("group/data", np.dtype(np.float64)), Field("group/data", np.dtype(np.int64), (3,))):
        with pytest.raises(CorruptRecordingError, match="the schema says"):
            format_checks.check_field(dataset, field)


# What is stored -------------------------------------------------------------------------------------


def test_more_items_than_there_are_cannot_be_needed(file: h5py.File) -> None:
    dataset = objects.open_dataset(file, "group/data")
    chunks.check_stored(dataset, ROWS, 10_000)
    with pytest.raises(CorruptRecordingError, match="101 are needed"):
        chunks.check_stored(dataset, ROWS + 1, 10_000)


def test_items_that_are_only_claimed_are_not_there(file: h5py.File) -> None:
    file["group/data"].resize(1 << 40, axis=0)
    dataset = objects.open_dataset(file, "group/data")
    with pytest.raises(CorruptRecordingError, match="cannot be in a file"):
        chunks.check_stored(dataset, 1 << 40, 10_000)
    with pytest.raises(CorruptRecordingError, match="not in the file"):
        chunks.check_stored(dataset, 1 << 40, 1 << 50)
    assert chunks.stored_items(dataset, 10_000) == ROWS


def test_a_chunk_is_read_as_it_is_stored(file: h5py.File) -> None:
    dataset = objects.open_dataset(file, "group/data")
    mask, data = chunks.read_stored_chunk(dataset, (30,), chunks.chunk_buffer(dataset))
    assert mask == 0
    assert np.frombuffer(data, np.int64).tolist() == [*range(30, 40)]


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


def test_metadata_has_the_attributes_that_are_known(file: h5py.File) -> None:
    attributes = file.create_group("metadata").attrs
    attributes["env_name"], attributes["another"], attributes["total_steps"] = "Env-v0", "x", 7
    assert format_checks.open_metadata(file) == {"env_name": "Env-v0", "total_steps": 7}


def test_metadata_that_is_too_large_together_is_refused(file: h5py.File) -> None:
    attributes = file.create_group("metadata").attrs
    for name in ("user", "versions", "env_spec"):
        attributes[name] = "x" * (MAX_TEXT_BYTES - 1)
    with pytest.raises(CorruptRecordingError, match="more than"):
        format_checks.open_metadata(file)


def test_without_metadata_there_is_an_error(file: h5py.File) -> None:
    with pytest.raises(CorruptRecordingError, match="metadata"):
        format_checks.open_metadata(file)
