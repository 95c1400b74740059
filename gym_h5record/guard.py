"""HDF5 objects of a file that a stranger may have made, opened without believing it.

HDF5 reads whatever a file names: other files, devices, itself. Everything in
this package that reads an HDF5 file goes through here, and gets datasets and
attributes of the few kinds that a recording has, or ``CorruptRecordingError``.
What is in them is still anybody's; sizes are what was asked for.

The layout is that of ``docs/format.md``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gym_h5record.codecs import FILTERS
from gym_h5record.errors import CorruptRecordingError, FormatVersionError, NotARecordingError
from gym_h5record.format import FORMAT, FORMAT_VERSION, METADATA, METADATA_ATTRIBUTES
from gym_h5record.limits import (
    MAX_CHUNK_BYTES,
    MAX_METADATA_BYTES,
    MAX_TEXT_BYTES,
    MIN_FILTERED_ITEM_BYTES,
    UNCHECKED_BYTES,
)
from gym_h5record.nodes import Field
from gym_h5record.schema import storable

__all__ = [
    "READ_ERRORS",
    "check_field",
    "check_format",
    "check_stored",
    "chunk_buffer",
    "has_group",
    "is_same_object",
    "open_attribute",
    "open_dataset",
    "open_metadata",
    "read_stored_chunk",
    "stored_items",
]

READ_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError, OverflowError)
"""What h5py makes of a damaged file: nearly anything."""

_NUMBERS = (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
_INDEX_ENTRY_BYTES = 8  # the address of a chunk
_SPARE_BYTES = 64 << 10  # what a compressed chunk may have beside an eighth more than its items


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
    """Make sure that a dataset has ``count`` items, and can have them in the file rather than as a claim.

    HDF5 is not asked how much it stores: it walks through an index of chunks to
    tell, which may say that it has 2^32 entries.

    Args:
        dataset: From ``open_dataset``.
        count: Items that are about to be read at once, or said to be there.
        file_bytes: Size of the file.

    Raises:
        CorruptRecordingError: If it has fewer items, or a file of this size cannot have as many, or the
            last of them is not there.
    """
    name = dataset.name
    if len(dataset) < count:
        raise CorruptRecordingError(f"{name} has {len(dataset)} items, {count} are needed")
    if count * _item_bytes(dataset) <= UNCHECKED_BYTES:
        return
    chunks = -(-count // dataset.chunks[0])
    if chunks * _least_chunk_bytes(dataset) > file_bytes:
        raise CorruptRecordingError(f"{name} claims {count} items, which cannot be in a file of {file_bytes} bytes")
    if not _has_chunk(dataset, chunks - 1):
        raise CorruptRecordingError(f"{name} claims {count} items, the last of which are not in the file")


def stored_items(dataset: h5py.Dataset, file_bytes: int) -> int:
    """How many items a dataset has in the file, whatever it claims, as they were written one after the other.

    Args:
        dataset: From ``open_dataset``.
        file_bytes: Size of the file.
    """
    rows = int(dataset.chunks[0])
    low, high = 0, min(-(-len(dataset) // rows), file_bytes // _least_chunk_bytes(dataset))
    if high and _has_chunk(dataset, high - 1):  # then others may be missing, and their rows alone
        low = high
    while low < high:  # chunks before low are there
        middle = (low + high) // 2
        if _has_chunk(dataset, middle):
            low = middle + 1
        else:
            high = middle
    return min(len(dataset), low * rows)


def chunk_buffer(dataset: h5py.Dataset) -> np.ndarray:
    """Memory that any chunk of a dataset fits into as it is stored, unless it is larger than it may be."""
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    return np.empty(chunk_bytes * 9 // 8 + _SPARE_BYTES, np.uint8)


def read_stored_chunk(dataset: h5py.Dataset, first: tuple[int, ...], buffer: np.ndarray) -> tuple[int, memoryview]:
    """A chunk as it is stored, and the mask of the filters that were left out.

    Args:
        dataset: From ``open_dataset``.
        first: Where the chunk begins, along each axis.
        buffer: From ``chunk_buffer``: what it is read to.

    Raises:
        OSError, RuntimeError, ValueError: If it is not there, or larger than any compressed chunk.
    """
    mask, data = dataset.id.read_direct_chunk(first, out=buffer)
    return int(mask), data


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
        found: dict[str, Any] = {}
        # Never are all that there are listed by HDF5: it would read them, of any size.
        left_bytes = MAX_METADATA_BYTES
        for name in sorted(METADATA_ATTRIBUTES):
            if h5py.h5a.exists(group.id, name.encode()):
                found[name] = _attribute(group, name)
                left_bytes -= len(found[name]) if isinstance(found[name], str) else 0
            if left_bytes < 0:
                raise CorruptRecordingError(f"/{METADATA} has more than {MAX_METADATA_BYTES} bytes of text")
    except CorruptRecordingError:
        raise
    except READ_ERRORS as error:
        raise CorruptRecordingError(f"/{METADATA} cannot be read: {error}") from error
    return found


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
    dtype = kind.dtype
    if kind.get_class() not in _NUMBERS and dtype.kind != "b":  # booleans are an enumeration, to HDF5
        raise CorruptRecordingError(f"/{name} holds neither numbers nor booleans")
    # HDF5 knows numbers of any number of bits, and what it makes of them is not what is stored.
    if not storable(dtype) or not kind.equal(h5py.h5t.py_create(dtype, logical=True)):
        raise CorruptRecordingError(f"/{name} holds {dtype} of an odd form, which is no type of a recording")


def _check_storage(name: str, dataset: h5py.h5d.DatasetID) -> None:
    create = dataset.get_create_plist()
    if create.get_layout() != h5py.h5d.CHUNKED:
        raise CorruptRecordingError(f"/{name} is not chunked: contiguous, external and virtual data is not read")
    shape, chunk = dataset.shape, create.get_chunk()
    if not shape or len(chunk) != len(shape) or chunk[1:] != shape[1:] or min(chunk) < 1:
        raise CorruptRecordingError(f"/{name} of shape {shape} has chunks {chunk}, which do not hold whole items")
    if dataset.get_space().get_simple_extent_dims(maxdims=True) != (h5py.h5s.UNLIMITED, *shape[1:]):
        raise CorruptRecordingError(f"/{name} cannot grow along its first axis, as all columns of a recording can")
    chunk_bytes = math.prod(chunk) * dataset.get_type().get_size()
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise CorruptRecordingError(f"/{name} has chunks of {chunk_bytes} bytes, at most {MAX_CHUNK_BYTES} are read")
    if create.get_fill_time() == h5py.h5d.FILL_TIME_NEVER:
        raise CorruptRecordingError(f"/{name} leaves undefined what was never written")
    filters = [create.get_filter(index)[0] for index in range(create.get_nfilters())]
    if len(filters) > 1 or not FILTERS.keys() >= {*filters}:
        raise CorruptRecordingError(f"/{name} has the filters {filters}, a recording has at most one of {[*FILTERS]}")
    if filters and chunk_bytes // chunk[0] < MIN_FILTERED_ITEM_BYTES:
        raise CorruptRecordingError(
            f"/{name} is compressed, but only items of {MIN_FILTERED_ITEM_BYTES} bytes or more are in a recording"
        )


def _item_bytes(dataset: h5py.Dataset) -> int:
    return int(math.prod(dataset.shape[1:]) * dataset.dtype.itemsize)


def _least_chunk_bytes(dataset: h5py.Dataset) -> int:
    """What a chunk takes in the file at least."""
    is_filtered = dataset.id.get_create_plist().get_nfilters() > 0
    return _INDEX_ENTRY_BYTES if is_filtered else int(dataset.chunks[0]) * _item_bytes(dataset)


def _has_chunk(dataset: h5py.Dataset, number: int) -> bool:
    try:
        rows, *others = dataset.chunks
        read_stored_chunk(dataset, (number * rows, *(0 for _ in others)), chunk_buffer(dataset))
    except READ_ERRORS:
        return False
    return True


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
