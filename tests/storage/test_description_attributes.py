"""The attributes of datasets, as other programs find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.descriptions import Description
from gym_h5record.storage.description_attributes import read_description, write_description

PICTURE = Description("Picture of each row", "", ("row", "height", "width", "channel"), "truecolor")
DESCRIPTIONS = [
    PICTURE,
    Description("Time since the recording began", "ns", ("row", "", "", "")),
    Description("Grüße"),
    Description(),
]


@pytest.fixture
def dataset() -> Iterator[h5py.Dataset]:
    with h5py.File("run.h5", "w", driver="core", backing_store=False) as file:
        yield file.create_dataset("x", (0, 8, 9, 3), "u1", chunks=(1, 8, 9, 3), maxshape=(None, 8, 9, 3))


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda each: each.text or "nothing")
def test_a_description_comes_back(description: Description, dataset: h5py.Dataset) -> None:
    write_description(dataset, description)
    assert read_description(dataset) == description


def test_h5py_shows_texts_and_labels(dataset: h5py.Dataset) -> None:
    write_description(dataset, Description("Time since the recording began", "ns", ("row", "", "", "")))
    assert (dataset.attrs["description"], dataset.attrs["unit"]) == ("Time since the recording began", "ns")
    assert [axis.label for axis in dataset.dims] == ["row", "", "", ""]


@pytest.mark.parametrize(("picture", "subclass"), [("truecolor", "TRUECOLOR"), ("grayscale", "GRAYSCALE")])
def test_a_picture_has_the_attributes_of_the_image_specification(
    picture: str, subclass: str, dataset: h5py.Dataset
) -> None:
    write_description(dataset, Description(picture=picture))
    expected = {
        "CLASS": b"IMAGE",
        "IMAGE_VERSION": b"1.2",
        "IMAGE_SUBCLASS": f"IMAGE_{subclass}".encode(),
        "INTERLACE_MODE": b"INTERLACE_PIXEL",
    }
    assert dict(dataset.attrs) == expected
    for name, text in expected.items():
        kind = h5py.h5a.open(dataset.id, name.encode()).get_type()
        assert not kind.is_variable_str()
        assert (kind.get_strpad(), kind.get_cset()) == (h5py.h5t.STR_NULLTERM, h5py.h5t.CSET_ASCII)
        assert kind.get_size() == len(text) + 1


CHANGES: dict[str, Callable[[h5py.Dataset], object]] = {
    "another-one": lambda dataset: dataset.attrs.update(note="by hand"),
    "a-number": lambda dataset: dataset.attrs.update(unit=3),
    "many-texts": lambda dataset: dataset.attrs.update(description=["a", "b"]),
    "another-image": lambda dataset: dataset.attrs.update(IMAGE_VERSION="1.3"),
    "half-an-image": lambda dataset: dataset.attrs.pop("CLASS"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_attributes_that_this_package_does_not_make_are_noticed(
    change: Callable[[h5py.Dataset], object], dataset: h5py.Dataset
) -> None:
    write_description(dataset, PICTURE)
    change(dataset)
    with pytest.raises((CorruptRecordingError, ValueError)):
        read_description(dataset)


def test_a_scale_is_noticed(dataset: h5py.Dataset) -> None:
    write_description(dataset, Description("Reward of the step from each row"))
    dataset.dims[0].attach_scale(dataset.parent.create_dataset("scale", data=np.arange(3)))
    with pytest.raises(CorruptRecordingError, match="attributes that this package does not make"):
        read_description(dataset)


def test_texts_that_a_user_has_changed_are_read_as_they_are(dataset: h5py.Dataset) -> None:
    write_description(dataset, PICTURE)
    dataset.attrs["description"] = "The left camera"
    dataset.dims[1].label = "y"
    assert read_description(dataset) == Description(
        "The left camera", "", ("row", "y", "width", "channel"), "truecolor"
    )
