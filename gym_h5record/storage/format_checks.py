"""Is this HDF5 file a recording, and do its datasets hold what its schema says?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from gym_h5record.errors import CorruptRecordingError, FormatVersionError, NotARecordingError
from gym_h5record.format.lanes import MAX_LANES
from gym_h5record.format.names import FORMAT, FORMAT_VERSION, METADATA, METADATA_ATTRIBUTES, NUM_ENVS
from gym_h5record.format.nodes import Field
from gym_h5record.storage.hdf5.objects import READ_ERRORS, hdf5_errors_as_corrupt, read_attributes

__all__ = ["check_field", "check_format", "open_metadata"]


def check_format(file: h5py.File, path: Path) -> int | None:
    """Make sure that an HDF5 file is a recording of a version that this package reads.

    Returns:
        The lanes of a vector recording, None if it is none.

    Raises:
        NotARecordingError: If it is no recording.
        FormatVersionError: If its version is newer than this package.
    """
    try:
        found = read_attributes(file, "/", ("format", "format_version", NUM_ENVS))
    except CorruptRecordingError:
        raise
    except READ_ERRORS as error:
        raise NotARecordingError(f"{path} is a damaged HDF5 file: {error}") from error
    if found.get("format") != FORMAT:
        raise NotARecordingError(
            f"{path} is an HDF5 file but not a recording: "
            f"expected the attribute format={FORMAT!r}, found {found.get('format')!r:.80}."
        )
    version = found.get("format_version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise FormatVersionError(
            f"{path} has format_version {version!r:.80}, this gym_h5record reads up to {FORMAT_VERSION}. "
            "Upgrade it: pip install --upgrade gym_h5record"
        )
    num_envs = found.get(NUM_ENVS)
    if num_envs is not None and not (type(num_envs) is int and 1 <= num_envs <= MAX_LANES):
        raise CorruptRecordingError(f"{path} has {NUM_ENVS}={num_envs!r:.80}, expected 1 to {MAX_LANES}")
    return num_envs


def check_field(dataset: h5py.Dataset, field: Field) -> None:
    """Make sure that the items of a dataset have the dtype and the shape that the schema says, and are whole."""
    dtype, shape, chunks = dataset.dtype, dataset.shape, dataset.chunks  # h5py asks HDF5 for each, every time
    if dtype != field.dtype or shape[1:] != field.row_shape:
        raise CorruptRecordingError(
            f"/{field.name} has items of {dtype}{shape[1:]}, the schema says {field.dtype}{field.row_shape}"
        )
    if field.num_lanes is None and chunks is not None and chunks[1:] != shape[1:]:
        raise CorruptRecordingError(
            f"/{field.name} of shape {shape} has chunks {chunks}, which do not hold whole items"
        )


def open_metadata(file: h5py.File) -> dict[str, Any]:
    """The attributes of ``/metadata`` as Python values.

    Raises:
        CorruptRecordingError: If they cannot be read, or no recording has such attributes.
    """
    with hdf5_errors_as_corrupt(f"/{METADATA} cannot be read"):
        return read_attributes(file, METADATA, METADATA_ATTRIBUTES)
