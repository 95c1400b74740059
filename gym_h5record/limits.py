"""How large the parts of a recording may be, for whoever writes one and whoever reads one.

A file can claim anything in a few bytes. What is within these limits is read,
whatever it costs; what is beyond is refused before memory is taken for it.
"""

from __future__ import annotations

__all__ = [
    "MAX_CHUNK_BYTES",
    "MAX_DEPTH",
    "MAX_ITEM_BYTES",
    "MAX_METADATA_BYTES",
    "MAX_NODES",
    "MAX_TEXT_BYTES",
    "MAX_VALUES",
    "MIN_FILTERED_ITEM_BYTES",
    "UNCHECKED_BYTES",
]

MAX_CHUNK_BYTES = 128 << 20
"""One chunk in memory; a frame of 8K RGB video has 95 MiB."""

MAX_ITEM_BYTES = MAX_CHUNK_BYTES
"""One item of a column: it cannot be larger than its chunk."""

MAX_TEXT_BYTES = 32 << 20
"""One text attribute: a space with bounds of its own for each of a million elements has 11 MiB."""

MAX_METADATA_BYTES = 2 * MAX_TEXT_BYTES
"""All text attributes together."""

MIN_FILTERED_ITEM_BYTES = 256
"""Items that are smaller are not compressed: a kilobyte of chunks cannot stand for a million episodes."""

UNCHECKED_BYTES = 16 << 20
"""Up to here, items are read without asking whether the file really stores as many."""
