"""HDF5 objects of a file that a stranger may have made, opened without believing it.

HDF5 reads whatever a file names: other files, devices, itself. Everything in
this package that reads an HDF5 file goes through here, and gets datasets and
attributes of the few kinds that a recording has, or ``CorruptRecordingError``.
What is in them is still anybody's; sizes are what was asked for.

The cases are those of ``tests/hostile``; the layout is that of ``docs/format.md``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gym_h5record.codecs import FILTERS
from gym_h5record.errors import CorruptRecordingError, FormatVersionError, NotARecordingError
from gym_h5record.format import FORMAT, FORMAT_VERSION, METADATA
from gym_h5record.limits import MAX_ATTRIBUTES, MAX_CHUNK_BYTES, MAX_TEXT_BYTES, UNCHECKED_BYTES
from gym_h5record.nodes import Field

__all__ = [
    "READ_ERRORS",
    "check_field",
    "check_format",
    "check_stored",
    "has_group",
    "is_same_object",
    "open_attribute",
    "open_dataset",
    "open_metadata",
]

READ_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError, OverflowError)
"""What h5py makes of a damaged file: nearly anything."""

_NUMBERS = (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
_BOOL_MEMBERS = 2


def check_format(file: h5py.File, path: Path) -> None:
    """Make sure that an HDF5 file is a recording of a version we know.

    Raises:
        NotARecordingError: If it is something else.
        FormatVersionError: If it is newer than this package.
    """
    try:
        found, version = (_attribute_or_none(file, name) for name in ("format", "format_version"))
    except CorruptRecordingError:
        raise
    except READ_ERRORS as error:
        raise NotARecordingError(f"{path} is a damaged HDF5 file: {error}") from error
    if found != FORMAT:
        raise NotARecordingError(
            f"{path} is an HDF5 file but not a recording: "
            f"expected the attribute format={FORMAT!r}, found {found!r:.80}."
        )
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise FormatVersionError(
            f"{path} has format_version {version!r:.80}, this gym_h5record reads up to {FORMAT_VERSION}. "
            "Upgrade it: pip install --upgrade gym_h5record"
        )


def open_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """The dataset of a recording at the path ``name``.

    Raises:
        CorruptRecordingError: If it is missing, not in this very file, or not
            stored as the datasets of a recording are.
    """
    try:
        dataset = _member(file, name)
        if not isinstance(dataset, h5py.h5d.DatasetID):
            raise CorruptRecordingError(f"/{name} is not a dataset")
        _check_type(name, dataset)
        _check_storage(name, dataset)
        return h5py.Dataset(dataset)
    except CorruptRecordingError:
        raise
    except READ_ERRORS as error:
        raise CorruptRecordingError(f"/{name} cannot be opened: {error}") from error


def check_field(dataset: h5py.Dataset, field: Field) -> None:
    """Make sure that a dataset holds what the schema says.

    Raises:
        CorruptRecordingError: If dtype or shape of its items are others.
    """
    if dataset.dtype != field.dtype or dataset.shape[1:] != field.shape:
        raise CorruptRecordingError(
            f"/{field.name} has items of {dataset.dtype}{dataset.shape[1:]}, the schema says {field.dtype}{field.shape}"
        )


def check_stored(dataset: h5py.Dataset, count: int, file_bytes: int) -> None:
    """Make sure that a dataset has ``count`` items, and has them in the file rather than as a claim.

    Args:
        dataset: From ``open_dataset``.
        count: Items that are about to be read at once, or said to be there.
        file_bytes: Size of the file.

    Raises:
        CorruptRecordingError: If it has fewer items, or chunks that are in no file of this size.
    """
    name = dataset.name
    if len(dataset) < count:
        raise CorruptRecordingError(f"{name} has {len(dataset)} items, {count} are needed")
    if count * math.prod(dataset.shape[1:]) * dataset.dtype.itemsize <= UNCHECKED_BYTES:
        return
    create = dataset.id.get_create_plist()
    stored_bytes = dataset.id.get_storage_size()
    if stored_bytes > file_bytes:
        raise CorruptRecordingError(f"{name} claims {stored_bytes} bytes of a file of {file_bytes}")
    if create.get_nfilters():
        stored = dataset.id.get_num_chunks() * dataset.chunks[0]
    else:
        stored = stored_bytes // (math.prod(dataset.shape[1:]) * dataset.dtype.itemsize)
    if stored < count:
        raise CorruptRecordingError(f"{name} stores {stored} items, {count} are claimed")


def has_group(file: h5py.File, name: str) -> bool:
    """Whether the file has the group ``name``, in this very file."""
    try:
        return isinstance(_member(file, name), h5py.h5g.GroupID)
    except READ_ERRORS:  # CorruptRecordingError is a ValueError
        return False


def is_same_object(file: h5py.File, name: str, other: str) -> bool:
    """Whether two paths are hard links to one object."""
    try:
        first, second = (h5py.h5o.get_info(_member(file, each)) for each in (name, other))
    except READ_ERRORS:
        return False
    return (first.fileno, first.addr) == (second.fileno, second.addr)


def open_metadata(file: h5py.File) -> dict[str, Any]:
    """The attributes of ``/metadata`` as Python values.

    Raises:
        CorruptRecordingError: If they cannot be read, or are none of a recording.
    """
    try:
        group = h5py.Group(_member(file, METADATA))
        number = h5py.h5a.get_num_attrs(group.id)
        if number > MAX_ATTRIBUTES:
            raise CorruptRecordingError(f"/{METADATA} has {number} attributes, at most {MAX_ATTRIBUTES} are read")
        names = [h5py.h5a.open(group.id, index=index).name.decode("utf-8") for index in range(number)]
        return {name: _attribute(group, name) for name in sorted(names)}
    except CorruptRecordingError:
        raise
    except READ_ERRORS as error:
        raise CorruptRecordingError(f"/{METADATA} cannot be read: {error}") from error


def open_attribute(file: h5py.File, name: str) -> Any:
    """An attribute of the root as a Python value.

    Raises:
        CorruptRecordingError: If it is missing, or neither a number nor text.
    """
    try:
        return _attribute(file, name)
    except CorruptRecordingError:
        raise
    except READ_ERRORS as error:
        raise CorruptRecordingError(f"the attribute {name!r} cannot be read: {error}") from error


def _member(file: h5py.File, name: str) -> Any:
    """The object at a path every step of which is a hard link: it cannot leave the file."""
    place = file.id
    for part in name.encode().split(b"/"):
        if not isinstance(place, h5py.h5g.GroupID) or not part or not place.links.exists(part):
            raise CorruptRecordingError(f"there is no /{name}")
        if place.links.get_info(part).type != h5py.h5l.TYPE_HARD:
            raise CorruptRecordingError(f"/{name} is not in this file: {part.decode()!r} is a soft or external link")
        place = h5py.h5o.open(place, part)
    return place


def _check_type(name: str, dataset: h5py.h5d.DatasetID) -> None:
    kind = dataset.get_type()
    is_bool = kind.get_class() == h5py.h5t.ENUM and kind.get_nmembers() == _BOOL_MEMBERS
    if not is_bool and kind.get_class() not in _NUMBERS:
        raise CorruptRecordingError(f"/{name} holds neither numbers nor booleans")
    if kind.dtype.kind not in "biuf" or kind.dtype.itemsize != kind.get_size():
        raise CorruptRecordingError(f"/{name} holds {kind.dtype}, which is no type of a recording")


def _check_storage(name: str, dataset: h5py.h5d.DatasetID) -> None:
    create = dataset.get_create_plist()
    if create.get_layout() != h5py.h5d.CHUNKED:
        raise CorruptRecordingError(f"/{name} is not chunked: contiguous, external and virtual data is not read")
    shape, chunk = dataset.shape, create.get_chunk()
    if not shape or len(chunk) != len(shape) or chunk[1:] != shape[1:] or min(chunk) < 1:
        raise CorruptRecordingError(f"/{name} of shape {shape} has chunks {chunk}, which do not hold whole items")
    chunk_bytes = math.prod(chunk) * dataset.get_type().get_size()
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise CorruptRecordingError(f"/{name} has chunks of {chunk_bytes} bytes, at most {MAX_CHUNK_BYTES} are read")
    filters = [create.get_filter(index)[0] for index in range(create.get_nfilters())]
    if len(filters) > 1 or not FILTERS.keys() >= {*filters}:
        raise CorruptRecordingError(f"/{name} has the filters {filters}, a recording has at most one of {[*FILTERS]}")


def _attribute_or_none(file: h5py.File, name: str) -> Any:
    return _attribute(file, name) if h5py.h5a.exists(file.id, name.encode()) else None


def _attribute(owner: h5py.Group, name: str) -> Any:
    attribute = h5py.h5a.open(owner.id, name.encode())
    kind, space = attribute.get_type(), attribute.get_space()
    if space.get_simple_extent_type() != h5py.h5s.SCALAR or attribute.get_storage_size() > MAX_TEXT_BYTES:
        raise CorruptRecordingError(f"the attribute {name!r} is no single value, or too large")
    if kind.get_class() not in (*_NUMBERS, h5py.h5t.STRING):
        raise CorruptRecordingError(f"the attribute {name!r} is neither a number nor text")
    value = owner.attrs[name]
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if isinstance(value, str) and len(value) > MAX_TEXT_BYTES:
        raise CorruptRecordingError(f"the attribute {name!r} has {len(value)} characters")
    return value.item() if isinstance(value, np.generic) else value
