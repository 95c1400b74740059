"""The datasets of ``/masks`` in an open HDF5 file, and the attribute that lists them."""

from __future__ import annotations

import json

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.descriptions import describe
from gym_h5record.format.masks import mask_field, mask_names
from gym_h5record.storage.column_layout import create_column, recording_layout
from gym_h5record.storage.description_attributes import write_description
from gym_h5record.storage.format_checks import check_field, open_metadata
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.hdf5.objects import has_group, has_link, open_dataset

__all__ = ["create_mask", "put_mask"]

_PLAIN = make_codec(None)


def create_mask(file: h5py.File, name: str, numbers: np.ndarray) -> None:
    """Create the dataset of a mask in a file that has none of its name."""
    field = mask_field(name)
    dataset = create_column(file, field, recording_layout(field, _PLAIN))
    _fill(dataset, numbers)
    write_description(dataset, describe(field))


def put_mask(file: h5py.File, name: str, numbers: np.ndarray) -> None:
    """Add a mask to a recording, or replace the one of its name.

    Raises:
        CorruptRecordingError: If its place is taken by something that is no mask.
    """
    names = mask_names(open_metadata(file))
    field = mask_field(name)
    if name in names:
        dataset = open_dataset(file, field.name)
        check_field(dataset, field)
        if dataset.maxshape == (None,):
            _fill(dataset, numbers)
            return
        del file[field.name]  # another program has stored it in another way
    elif has_link(file, fmt.MASKS) and (not has_group(file, fmt.MASKS) or has_link(file, field.name)):
        raise CorruptRecordingError(f"/{field.name} cannot be made: something that is no mask is in its place")
    create_mask(file, name, numbers)
    file[fmt.METADATA].attrs[fmt.MASK_NAMES] = json.dumps([*names, *([] if name in names else [name])])


def _fill(dataset: h5py.Dataset, numbers: np.ndarray) -> None:
    dataset.id.set_extent((len(numbers),))
    if len(numbers):
        dataset[:] = numbers
