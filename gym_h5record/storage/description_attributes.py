"""The attributes with which a dataset describes itself to people and other programs (``format.descriptions``)."""

from __future__ import annotations

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.descriptions import Description
from gym_h5record.format.names import DESCRIPTION_ATTRIBUTES
from gym_h5record.storage.hdf5.objects import read_texts

__all__ = ["read_description", "write_description"]

_TEXT, _UNIT, _LABELS, *_IMAGE_NAMES = DESCRIPTION_ATTRIBUTES
_ANY_TEXT_DTYPE = h5py.string_dtype()
_ANY_TEXT = h5py.h5t.py_create(_ANY_TEXT_DTYPE, logical=True)
_SCALAR = h5py.h5s.create(h5py.h5s.SCALAR)
_SUBCLASSES = {"truecolor": "IMAGE_TRUECOLOR", "grayscale": "IMAGE_GRAYSCALE"}


def _image_texts(picture: str) -> dict[str, str]:
    """The attributes of a picture, as the HDF5 Image and Palette Specification 1.2 has them."""
    return dict(zip(_IMAGE_NAMES, ("IMAGE", "1.2", _SUBCLASSES[picture], "INTERLACE_PIXEL"), strict=True))


def write_description(dataset: h5py.Dataset, description: Description) -> None:
    """Give a new dataset its attributes, as ``dataset.attrs`` and ``dataset.dims`` do in three times the time."""
    for name, text in ((_TEXT, description.text), (_UNIT, description.unit)):
        if text:
            attribute = h5py.h5a.create(dataset.id, name.encode(), _ANY_TEXT, _SCALAR)
            attribute.write(np.array(text, _ANY_TEXT_DTYPE))
    for axis, label in enumerate(description.labels[: dataset.id.rank]):
        if label:
            h5py.h5ds.set_label(dataset.id, axis, label.encode())
    if description.picture:
        for name, text in _image_texts(description.picture).items():
            _write_ascii(dataset, name, text)


def _write_ascii(dataset: h5py.Dataset, name: str, text: str) -> None:
    """Write a text of fixed length that ends with a zero byte. The specification of images demands this form."""
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(text) + 1)
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    attribute = h5py.h5a.create(dataset.id, name.encode(), kind, _SCALAR)
    attribute.write(np.array(text.encode(), f"S{len(text) + 1}"), kind)


def read_description(dataset: h5py.Dataset) -> Description:
    """The description of a dataset, from its attributes.

    Raises:
        CorruptRecordingError: If it has other attributes, or some that ``write_description`` does not make.
    """
    found = [name for name in DESCRIPTION_ATTRIBUTES if h5py.h5a.exists(dataset.id, name.encode())]
    texts = {name: read_texts(dataset, name) for name in found}
    labels = tuple(texts.pop(_LABELS, ()))
    (text,), (unit,) = texts.pop(_TEXT, [""]), texts.pop(_UNIT, [""])
    picture = next((each for each in _SUBCLASSES if texts == {k: [v] for k, v in _image_texts(each).items()}), "")
    if h5py.h5a.get_num_attrs(dataset.id) != len(found) or bool(texts) != bool(picture):
        raise CorruptRecordingError(f"{dataset.name} has attributes that this package does not make")
    return Description(text, unit, labels, picture)
