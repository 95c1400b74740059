"""HDF5 objects of an untrusted file: only the kinds that a recording has are opened.

A file may name other files, devices or itself, and HDF5 opens them. Everything in this package that reads an HDF5 file
opens its objects here. The values read through these objects are still untrusted: only their dtype, shape and size
have been checked. The layout of a recording is in ``docs/format.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.limits import (
    MAX_CHUNK_BYTES,
    MAX_METADATA_BYTES,
    MAX_PACKED_CHUNK_BYTES,
    MAX_TEXT_BYTES,
    MIN_FILTERED_ITEM_BYTES,
)
from gym_h5record.storage.hdf5.codecs import FILTERS
from gym_h5record.storage.hdf5.filters import check_filters, filters_of
from gym_h5record.values.exact import storable

__all__ = [
    "READ_ERRORS",
    "StorageLayout",
    "filter_ids",
    "has_group",
    "has_link",
    "hdf5_errors_as_corrupt",
    "is_same_object",
    "open_attribute",
    "open_dataset",
    "read_attributes",
    "read_texts",
    "storage_layout",
]

READ_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError, OverflowError)
"""What h5py raises for a damaged file. ``CorruptRecordingError`` is one of them, as a ``ValueError``."""

_NUMBERS = (h5py.h5t.INTEGER, h5py.h5t.FLOAT)


@dataclass(frozen=True)
class StorageLayout:
    """How the items of a dataset are stored.

    Attributes:
        is_chunked: Whether in chunks, as those of a recording are.
        is_compact: Whether in the header of the dataset.
        offset: Where they are otherwise, None if nowhere.
    """

    is_chunked: bool = False
    is_compact: bool = False
    offset: int | None = None


@contextmanager
def hdf5_errors_as_corrupt(message: str) -> Iterator[None]:
    """Turn any of the ``READ_ERRORS`` from the block into a ``CorruptRecordingError`` with this message."""
    try:
        yield
    except RecordingError:
        raise
    except READ_ERRORS as error:
        raise CorruptRecordingError(f"{message}: {error}") from error


def open_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """The dataset of a recording at the path ``name``.

    Raises:
        CorruptRecordingError: If it is missing, not in this very file, or not stored as the datasets of a recording
            are.
    """
    with hdf5_errors_as_corrupt(f"/{name} cannot be opened"):
        dataset = _member(file, name)
        if not isinstance(dataset, h5py.h5d.DatasetID):
            raise CorruptRecordingError(f"/{name} is not a dataset")
        kind = dataset.get_type()
        _check_type(name, kind)
        _check_storage(name, dataset, kind.get_size())
        return h5py.Dataset(dataset)


def filter_ids(dataset: h5py.h5d.DatasetID) -> list[int]:
    """The numbers of the filters of a dataset, in their order."""
    return [number for number, _ in filters_of(dataset.get_create_plist())]


def has_group(file: h5py.File, name: str) -> bool:
    """Whether the file itself has the group ``name``."""
    try:
        return isinstance(_member(file, name), h5py.h5g.GroupID)
    except READ_ERRORS:
        return False


def has_link(file: h5py.File, name: str) -> bool:
    """Whether the name ``name`` exists in its group, wherever the link leads; True if the group is damaged."""
    group, _, link = name.rpartition("/")
    if group and not is_same_object(file, group, group):
        return has_link(file, group)
    try:
        place = file[group or "/"].id
        return isinstance(place, h5py.h5g.GroupID) and bool(place.links.exists(link.encode()))
    except READ_ERRORS:
        return True


def is_same_object(file: h5py.File, name: str, other: str) -> bool:
    """Whether two paths are hard links to one object."""
    try:
        first, second = (h5py.h5o.get_info(_member(file, each)) for each in (name, other))
    except READ_ERRORS:
        return False
    return (first.fileno, first.addr) == (second.fileno, second.addr)


def open_attribute(file: h5py.File, name: str) -> Any:
    """An attribute of the root as a Python value.

    Raises:
        CorruptRecordingError: If it is missing, or neither a number nor text.
    """
    with hdf5_errors_as_corrupt(f"the attribute {name!r} cannot be read"):
        return _attribute(file, name)


def read_attributes(file: h5py.File, group: str, names: Iterable[str]) -> dict[str, Any]:
    """Attributes of a group, ``"/"`` for the root, as Python values, without those that it does not have.

    Only these names are asked for. To list all attributes, HDF5 would read all of them, of any size.

    Raises:
        READ_ERRORS: If HDF5 cannot read them, one is neither a number nor text, or all together are too large.
    """
    owner = file if group == "/" else h5py.Group(_member(file, group))
    found: dict[str, Any] = {}
    left_bytes = MAX_METADATA_BYTES
    for name in sorted(names):
        if h5py.h5a.exists(owner.id, name.encode()):
            found[name] = _attribute(owner, name)
            left_bytes -= len(found[name]) if isinstance(found[name], str) else 0
        if left_bytes < 0:
            raise CorruptRecordingError(f"/{group} has more than {MAX_METADATA_BYTES} bytes of text")
    return found


def read_texts(dataset: h5py.Dataset, name: str) -> list[str]:
    """The texts of an attribute of a dataset: one, or a list with one for each axis.

    Raises:
        READ_ERRORS: If HDF5 cannot read them, or they are no such texts.
    """
    attribute = h5py.h5a.open(dataset.id, name.encode())
    kind, shape = attribute.get_type(), attribute.shape
    is_text = kind.get_class() == h5py.h5t.STRING and (shape == () or shape == (dataset.ndim,)) and not kind.committed()
    if not is_text or attribute.get_storage_size() > MAX_TEXT_BYTES:
        raise CorruptRecordingError(f"the attribute {name!r} of {dataset.name} is no text, or too large")
    texts = np.atleast_1d(_values(attribute)).tolist()
    return [each.decode("utf-8") if isinstance(each, bytes) else each for each in texts]


def _member(file: h5py.File, name: str) -> Any:
    """The object at a path of hard links only. Such a path does not leave the file."""
    root, path = file.id, b""
    for part in name.encode().split(b"/"):
        path = path + b"/" + part if path else part
        if not part or not root.links.exists(path):
            raise CorruptRecordingError(f"there is no /{name}")
        if root.links.get_info(path).type != h5py.h5l.TYPE_HARD:
            raise CorruptRecordingError(f"/{name} is not in this file: {part.decode()!r} is a soft or external link")
    return h5py.h5o.open(root, path)


def _check_type(name: str, kind: h5py.h5t.TypeID) -> None:
    dtype = kind.dtype
    if kind.get_class() not in _NUMBERS and dtype.kind != "b":  # HDF5 stores booleans as an enumeration
        raise CorruptRecordingError(f"/{name} holds neither numbers nor booleans")
    # HDF5 has numbers of any number of bits. h5py gives them a NumPy dtype of another width.
    if not storable(dtype) or not kind.equal(_type_of(dtype)):
        raise CorruptRecordingError(f"/{name} holds {dtype} in a form that no recording has")


@cache
def _type_of(dtype: np.dtype) -> h5py.h5t.TypeID:
    return h5py.h5t.py_create(dtype, logical=True)


def _check_storage(name: str, dataset: h5py.h5d.DatasetID, element_bytes: int) -> None:
    create = dataset.get_create_plist()  # once: h5py takes 5 us to make it
    layout = _layout(dataset, create)  # first: to find the shape of virtual data, HDF5 opens the files that it names
    shape = dataset.shape
    if not shape or 0 in shape[1:]:
        raise CorruptRecordingError(f"/{name} of shape {shape} is no list of items")
    if not layout.is_chunked:
        return
    chunk = create.get_chunk()
    # Lanes may be in different chunks: ``check_field`` knows whether the second axis is that of lanes.
    has_whole_items = len(chunk) == len(shape) and chunk[2:] == shape[2:] and (len(chunk) < 2 or chunk[1] <= shape[1])
    if not has_whole_items or min(chunk) < 1:
        raise CorruptRecordingError(f"/{name} of shape {shape} has chunks {chunk}, which do not hold whole items")
    item_bytes = math.prod(chunk[1:]) * element_bytes
    chunk_bytes = chunk[0] * item_bytes
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise CorruptRecordingError(f"/{name} has chunks of {chunk_bytes} bytes, at most {MAX_CHUNK_BYTES} are read")
    if create.get_fill_time() == h5py.h5d.FILL_TIME_NEVER:
        raise CorruptRecordingError(f"/{name} leaves items undefined that were never written")
    filters = filters_of(create)
    check_filters(name, filters, element_bytes)
    _check_small_items(name, [number for number, _ in filters], chunk_bytes, item_bytes)


def storage_layout(dataset: h5py.h5d.DatasetID) -> StorageLayout:
    """How the items of a dataset are stored.

    Raises:
        CorruptRecordingError: If they are in other files or datasets.
    """
    return _layout(dataset, dataset.get_create_plist())


def _layout(dataset: h5py.h5d.DatasetID, create: h5py.h5p.PropDCID) -> StorageLayout:
    layout = create.get_layout()
    if layout == h5py.h5d.CHUNKED:
        return StorageLayout(is_chunked=True)
    if layout not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) or create.get_external_count():
        raise CorruptRecordingError(
            f"{h5py.Dataset(dataset).name} has its items in another file or dataset: they are not read"
        )
    return StorageLayout(is_compact=layout == h5py.h5d.COMPACT, offset=dataset.get_offset())


def _check_small_items(name: str, filters: list[int], chunk_bytes: int, item_bytes: int) -> None:
    """Refuse compressed chunks of small items that would take much memory for one item."""
    if not FILTERS.keys() & {*filters} or item_bytes >= MIN_FILTERED_ITEM_BYTES:
        return
    if chunk_bytes > MAX_PACKED_CHUNK_BYTES:
        raise CorruptRecordingError(
            f"/{name} has items of {item_bytes} bytes, and chunks of {chunk_bytes} bytes with the filters {filters}; a "
            f"recording compresses such items in chunks of at most {MAX_PACKED_CHUNK_BYTES} bytes"
        )


def _attribute(owner: h5py.Group, name: str) -> Any:
    attribute = h5py.h5a.open(owner.id, name.encode())
    kind, space = attribute.get_type(), attribute.get_space()
    if space.get_simple_extent_type() != h5py.h5s.SCALAR or attribute.get_storage_size() > MAX_TEXT_BYTES:
        raise CorruptRecordingError(f"the attribute {name!r} is no single value, or too large")
    if kind.get_class() not in (*_NUMBERS, h5py.h5t.STRING):
        raise CorruptRecordingError(f"the attribute {name!r} is neither a number nor text")
    value: Any = _values(attribute)[()]
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if isinstance(value, str) and len(value) > MAX_TEXT_BYTES:
        raise CorruptRecordingError(f"the attribute {name!r} has {len(value)} characters")
    return value.item() if isinstance(value, np.generic) else value


def _values(attribute: h5py.h5a.AttrID) -> np.ndarray:
    """The values of an attribute, which ``dataset.attrs`` would open a second time."""
    values: np.ndarray = np.empty(attribute.shape, attribute.dtype)
    attribute.read(values)
    return values
