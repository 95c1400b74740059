"""Which HDF5 files are recordings, and which datasets are those of a schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError, FormatVersionError, NotARecordingError
from gym_h5record.format.names import FORMAT, FORMAT_VERSION
from gym_h5record.format.nodes import Field
from gym_h5record.limits import MAX_TEXT_BYTES
from gym_h5record.storage.format_checks import check_field, check_format, open_metadata
from gym_h5record.storage.hdf5.objects import open_dataset

PATH = Path("run.h5")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "run.h5", "w", libver=("v110", "v110")) as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.create_dataset("group/data", data=np.arange(100), chunks=(10,), maxshape=(None,))
        yield file


def test_a_recording_is_told_by_its_format(file: h5py.File) -> None:
    check_format(file, PATH)


def test_another_hdf5_file_is_no_recording(file: h5py.File) -> None:
    file.attrs["format"] = "another"
    with pytest.raises(NotARecordingError, match="found 'another'"):
        check_format(file, PATH)
    del file.attrs["format"]
    with pytest.raises(NotARecordingError, match="found None"):
        check_format(file, PATH)


@pytest.mark.parametrize("version", [0, -1, FORMAT_VERSION + 1, 1.0, "1"])
def test_another_version_is_refused(file: h5py.File, version: object) -> None:
    file.attrs["format_version"] = version
    with pytest.raises(FormatVersionError):
        check_format(file, PATH)


def test_a_field_must_be_what_the_schema_says(file: h5py.File) -> None:
    dataset = open_dataset(file, "group/data")
    check_field(dataset, Field("group/data", np.dtype(np.int64)))
    for field in (Field("group/data", np.dtype(np.float64)), Field("group/data", np.dtype(np.int64), (3,))):
        with pytest.raises(CorruptRecordingError, match="the schema says"):
            check_field(dataset, field)


def test_metadata_has_the_attributes_that_are_known(file: h5py.File) -> None:
    attributes = file.create_group("metadata").attrs
    attributes["env_name"], attributes["another"], attributes["total_steps"] = "Env-v0", "x", 7
    assert open_metadata(file) == {"env_name": "Env-v0", "total_steps": 7}


@pytest.mark.long
def test_metadata_that_is_too_large_together_is_refused(file: h5py.File) -> None:
    attributes = file.create_group("metadata").attrs
    for name in ("user", "versions", "env_spec"):
        attributes[name] = "x" * (MAX_TEXT_BYTES - 1)
    with pytest.raises(CorruptRecordingError, match="more than"):
        open_metadata(file)


def test_without_metadata_there_is_an_error(file: h5py.File) -> None:
    with pytest.raises(CorruptRecordingError, match="metadata"):
        open_metadata(file)
