"""A recording without rows: the HDF5 file with all its groups, datasets and attributes, made in memory.

A new recording begins with it, and so does the compaction of a closed one. Nothing is created in a file after that.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.claims import Commit, LaneCommit
from gym_h5record.format.descriptions import Description, describe
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.storage.checksums import checksum_field
from gym_h5record.storage.column_layout import Layout, create_column, recording_layout
from gym_h5record.storage.description_attributes import write_description
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.hdf5.thread_lock import open_through_python

__all__ = ["LIBVER", "recording_image"]

LIBVER = ("v110", "v110")
"""Every HDF5 since 1.10 (2016) reads the file: with the second value, HDF5 refuses to write anything newer."""

_PLAIN = make_codec(None)


def recording_image(
    schema: Schema,
    *,
    root: Mapping[str, Any],
    metadata: Mapping[str, Any],
    commit: Commit | LaneCommit,
    layout: Callable[[Field], Layout],
    description: Callable[[Field], Description] = describe,
    checksum: bool = False,
) -> memoryview:
    """The bytes of a recording without rows.

    Args:
        schema: The columns.
        root: The attributes of the root.
        metadata: The attributes of ``/metadata``.
        commit: The numbers of ``/commit`` and ``/positions``.
        layout: How a column is stored.
        description: What a column says about itself.
        checksum: Whether there are checksums of the chunks.
    """
    image = io.BytesIO()  # HDF5 may crash after a failed write: in memory none fails
    # Without a strategy for free space, HDF5 never uses the space of an old block again: a reader of the live file may
    # still be reading that block.
    with open_through_python(image, "w", libver=LIBVER, fs_strategy="none") as file:
        file.attrs.update(root)
        file.create_group(fmt.METADATA).attrs.update(metadata)
        for field in all_fields(schema):
            write_description(create_column(file, field, layout(field)), description(field))
            if checksum:
                checks = checksum_field(field)
                write_description(create_column(file, checks, recording_layout(checks, _PLAIN)), description(checks))
        if schema.linked_frames:
            file[fmt.FRAMES] = file[fmt.OBSERVATIONS]
        for name, numbers in commit.parts.items():
            # Chunked and unlimited as every dataset, although it never grows.
            dataset = create_column(file, Field(name, np.dtype(np.int64)), Layout(len(numbers)))
            dataset.id.set_extent((len(numbers),))
            dataset[:] = numbers
            write_description(dataset, description(Field(name, np.dtype(np.int64))))
    return image.getbuffer()
