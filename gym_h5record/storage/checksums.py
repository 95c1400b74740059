"""Checksums of a dataset, one for each of its chunks, in a dataset of their own: ``/checksums/<name>``.

For a block of items (those of one chunk) it holds the number of items that are covered, and the CRC-32, as zlib's, of
their bytes in memory, before compression. ``checksummed_reader`` and validation compare them (docs/decisions/0007).
"""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
from isal import isal_zlib

from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field

__all__ = ["BlockChecksums", "block_checksum", "checksum_field"]


def checksum_field(field: Field) -> Field:
    """The field for the checksums of another field."""
    return Field(f"{fmt.CHECKSUMS}/{field.name}", np.dtype(np.uint32), (2,))


def block_checksum(items: np.ndarray) -> tuple[int, int]:
    """The number of items of a block, and their CRC-32."""
    return len(items), isal_zlib.crc32(np.ascontiguousarray(items).data.cast("B")) if items.size else 0


class BlockChecksums:
    """Writes the checksums of one dataset into ``dataset``, one for each block of ``block_items`` items."""

    def __init__(self, dataset: h5py.Dataset, block_items: int) -> None:
        self._dataset = dataset
        self._block_items = block_items
        self._newest = 0, np.empty(0)  # the block written last: number of its first item, and its items

    def update(self, start: int, items: np.ndarray, read: Callable[[int, int], np.ndarray]) -> None:
        """Renew the checksums of the blocks to which ``items``, at least one, have been written from ``start`` on.

        Earlier items of the first block come from ``read(start, stop)``, unless they were written last.
        """
        size = self._block_items
        first = start // size * size
        if first < start:  # the block has earlier items
            known, before = self._newest
            if known != first or len(before) < start - first:
                before = read(first, start)
            items = np.concatenate([before[: start - first], items], dtype=items.dtype)  # keeps the byte order
        blocks = [items[low : low + size] for low in range(0, len(items), size)]
        number = first // size
        if number + len(blocks) > len(self._dataset):
            self._dataset.id.set_extent((number + len(blocks), 2))
        self._dataset[number : number + len(blocks)] = np.array([block_checksum(block) for block in blocks], np.uint32)
        self._newest = first + size * (len(blocks) - 1), blocks[-1].copy()

    def flush(self) -> None:
        """Hand everything written to the operating system."""
        self._dataset.flush()
