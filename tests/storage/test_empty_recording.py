"""A recording without rows: what is in it, by itself and on request."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pytest

from gym_h5record.format.claims import Commit
from gym_h5record.format.descriptions import Description, describe
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import all_fields
from gym_h5record.storage.column_layout import Layout, packed_layout, recording_layout
from gym_h5record.storage.description_attributes import read_description
from gym_h5record.storage.empty_recording import recording_image
from gym_h5record.storage.hdf5.codecs import make_codec
from tests.writing import EVERYTHING, make_schema

SCHEMA = make_schema(EVERYTHING, infos=[{"x": 1.5, "note": "text"}])


def layout(field: Field) -> Layout:
    return recording_layout(field, make_codec("gzip"))


def opened(**more: Any) -> h5py.File:
    given: dict[str, Any] = {"root": {}, "metadata": {}, "commit": Commit(0, 0), "layout": layout}
    return h5py.File(io.BytesIO(recording_image(SCHEMA, **{**given, **more})), "r")


def test_every_column_has_the_layout_that_is_asked_for() -> None:
    def packed(field: Field) -> Layout:
        return packed_layout(field) or layout(field)

    for asked in (layout, packed):
        with opened(layout=asked) as file:
            assert all(asked(field).matches(file[field.name]) for field in all_fields(SCHEMA))


def test_every_dataset_describes_itself() -> None:
    with opened(checksum=True) as file:
        names: list[str] = []
        file.visititems(lambda name, each: names.append(name) if isinstance(each, h5py.Dataset) else None)
        for name in names:
            assert file[name].attrs["description"], name
            assert file[name].dims[0].label, name
        for field in all_fields(SCHEMA):
            assert read_description(file[field.name]) == describe(field)


def test_descriptions_may_be_others() -> None:
    with opened(description=lambda field: Description(f"this is {field.name}")) as file:
        assert file["rewards"].attrs["description"] == "this is rewards"
        assert file["commit"].attrs["description"] == "this is commit"


def test_attributes_and_the_commit_are_those_that_are_given() -> None:
    with opened(root={"fps": np.float64(30)}, metadata={"run_id": "7"}, commit=Commit(5, 2, head=5)) as file:
        assert (file.attrs["fps"], file["metadata"].attrs["run_id"]) == (30.0, "7")
        assert file["commit"][:].tolist() == [5, 2]
        assert 5 in file["positions"][:].tolist()


@pytest.mark.parametrize("checksum", [False, True])
def test_checksums_are_there_on_request(checksum: bool) -> None:
    with opened(checksum=checksum) as file:
        assert ("checksums/rewards" in file) is checksum
