"""Is this HDF5 file a recording, and do its datasets hold what its schema says?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from gym_h5record.errors import CorruptRecordingError, FormatVersionError, NotARecordingError
from gym_h5record.format.names import FORMAT, FORMAT_VERSION, METADATA, METADATA_ATTRIBUTES
from gym_h5record.format.nodes import Field
from gym_h5record.limits import MAX_METADATA_BYTES
from gym_h5record.storage.hdf5.objects import READ_ERRORS, _attribute, _member

__all__ = ["check_field", "check_format", "open_metadata"]


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


def check_field(dataset: h5py.Dataset, field: Field) -> None:
    """Make sure that a dataset holds what the schema says.

    Raises:
        CorruptRecordingError: If dtype or shape of its items are others.
    """
    if dataset.dtype != field.dtype or dataset.shape[1:] != field.shape:
        raise CorruptRecordingError(
            f"/{field.name} has items of {dataset.dtype}{dataset.shape[1:]}, the schema says {field.dtype}{field.shape}"
        )


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


def _attribute_or_none(file: h5py.File, name: str) -> Any:
    return _attribute(file, name) if h5py.h5a.exists(file.id, name.encode()) else None
