"""Which bytes of a journal are a row: how large its rings are, and where each column lies, by its JSON header.

``plan_header`` decides this for the space there is; ``map_rings`` checks a header, which may be damaged, and finds the
columns. The layout in bytes is that of ``docs/durability.md``: a page of control words, a page for the writer's error,
the header, one array per ring field with a slot per row, and a ring of bytes for segments.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.limits import MAX_ITEM_BYTES, MAX_METADATA_BYTES, MAX_NODES, num_elements
from gym_h5record.values.exact import storable
from gym_h5record.writing.journal_control import HEADER_AT, PAGE_BYTES

__all__ = [
    "ALIGNMENT_BYTES",
    "BLOB_ENDS",
    "CODES",
    "FLAGS",
    "MAX_CAPACITY_ROWS",
    "MIN_CAPACITY_ROWS",
    "Rings",
    "map_rings",
    "own_fields",
    "plan_header",
    "recorded_header",
    "round_up",
]

ALIGNMENT_BYTES = 64
MAX_CAPACITY_ROWS = 1 << 16
MIN_CAPACITY_ROWS = 8

FLAGS = "journal/flags"
CODES = "journal/codes"
BLOB_ENDS = "journal/blob_ends"

_MAX_HEADER_BYTES = 2 * MAX_METADATA_BYTES
_CAPACITIES = [1 << power for power in range(MAX_CAPACITY_ROWS.bit_length())]
_LAYOUT_KEYS = ("ring", "capacity_rows", "blob_bytes", "first_row", "size_bytes")


@dataclass(frozen=True)
class Rings:
    """A journal's header and the memory that it describes.

    Attributes:
        header: The header as it was written.
        columns: Ring columns by field name, each ``(capacity_rows, *shape)``.
        capacity_rows: Slots of the ring, a power of two.
        blob: The ring of bytes for segments.
    """

    header: dict[str, Any]
    columns: dict[str, np.ndarray]
    capacity_rows: int
    blob: memoryview


def own_fields(num_codes: int, num_lanes: int | None = None) -> list[Field]:
    """The ring fields that every journal has before those of the schema.

    Args:
        num_codes: Columns of type codes.
        num_lanes: Lanes of a vector recording, None if it is none.
    """
    lanes = () if num_lanes is None else (num_lanes,)
    return [
        Field(FLAGS, np.dtype(np.uint8), lanes),
        Field(CODES, np.dtype(np.uint8), (*lanes, num_codes)),
        Field(BLOB_ENDS, np.dtype(np.uint64)),
    ]


def plan_header(
    header: dict[str, Any], ring: Sequence[Field], first_row: int, size_bytes: int, blob_bytes: int, max_rows: int
) -> bytes | None:
    """Write a header for a journal of a given size, with as many slots as fit.

    Args:
        header: JSON content for the writer that drains the journal.
        ring: All ring fields.
        first_row: Number of the first row.
        size_bytes: Size of the journal.
        blob_bytes: Room for segments.
        max_rows: Slots at most, a power of two.

    Returns:
        The text of the header, None if ``MIN_CAPACITY_ROWS`` slots do not fit.
    """
    described = [[field.name, field.dtype.str, list(field.shape)] for field in ring]
    layout = {"ring": described, "first_row": first_row, "size_bytes": size_bytes}
    # The two numbers that are not known yet have at most as many digits as these.
    widest = json.dumps({**header, **layout, "capacity_rows": max_rows, "blob_bytes": size_bytes}).encode()
    room = size_bytes - HEADER_AT - round_up(len(widest), PAGE_BYTES) - blob_bytes - len(ring) * ALIGNMENT_BYTES
    fitting = room // sum(field.item_bytes for field in ring)
    if fitting < MIN_CAPACITY_ROWS:
        return None
    capacity_rows = min(max_rows, 1 << (fitting.bit_length() - 1))
    text = json.dumps({**header, **layout, "capacity_rows": capacity_rows, "blob_bytes": blob_bytes}).encode()
    return text.ljust(len(widest))  # the columns start behind the pages of the widest header


def recorded_header(rings: Rings) -> tuple[dict[str, Any], list[Field]]:
    """The arguments of ``plan_header`` for a larger journal of the same rows.

    Returns:
        The header without its layout, and the ring fields.
    """
    header = {name: value for name, value in rings.header.items() if name not in _LAYOUT_KEYS}
    return header, [Field(name, np.dtype(dtype), tuple(shape)) for name, dtype, shape in rings.header["ring"]]


def map_rings(mapped: memoryview, header_bytes: int, path: Path) -> Rings:
    """Find the columns of a mapped journal by its header.

    Args:
        mapped: The whole journal.
        header_bytes: Size of its header.
        path: Where the journal lies, for the message of an error.

    Raises:
        CorruptRecordingError: If the header makes no sense.
    """
    try:
        return _mapped_rings(mapped, header_bytes)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise CorruptRecordingError(f"the header of {path} cannot be read: {error!r:.200}") from error


def _mapped_rings(mapped: memoryview, header_bytes: int) -> Rings:
    if header_bytes > _MAX_HEADER_BYTES:
        raise ValueError(f"a header of {header_bytes} bytes")
    header = json.loads(bytes(mapped[HEADER_AT : HEADER_AT + header_bytes]))
    capacity_rows, blob_bytes = int(header["capacity_rows"]), int(header["blob_bytes"])
    if capacity_rows not in _CAPACITIES or blob_bytes < 1 or len(header["ring"]) > MAX_NODES:
        raise ValueError(f"a ring of {capacity_rows} rows and {blob_bytes} bytes")
    columns: dict[str, np.ndarray] = {}
    at = HEADER_AT + round_up(header_bytes, PAGE_BYTES)
    for name, dtype_text, shape in header["ring"]:
        dtype = np.dtype(dtype_text)
        if not storable(dtype) or num_elements(shape) * dtype.itemsize > MAX_ITEM_BYTES:
            raise ValueError(f"items of {dtype}{shape!r:.80}")
        column = np.frombuffer(mapped, dtype, capacity_rows * num_elements(shape), at)
        columns[name] = column.reshape(capacity_rows, *shape)
        at = round_up(at + column.nbytes, ALIGNMENT_BYTES)
    if max(at + blob_bytes, header["size_bytes"]) > len(mapped):
        raise ValueError(f"{header['size_bytes']} bytes are needed, there are {len(mapped)}")
    return Rings(header, columns, capacity_rows, mapped[at : at + blob_bytes])


def round_up(number: int, unit: int) -> int:
    """The smallest multiple of ``unit`` that is at least ``number``."""
    return -(-number // unit) * unit
