"""CRC-32 of the items of a dataset, one for each of its chunks.

Kept in a dataset of its own, ``/checksums/<name>``: for every block of items,
how many of them are covered, and the CRC-32 (zlib's) of their bytes as they are
in memory, before compression. ``gym_h5record.maintenance.validation`` compares.
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
    """The field that holds the checksums of another."""
    return Field(f"{fmt.CHECKSUMS}/{field.name}", np.dtype(np.uint32), (2,))


def block_checksum(items: np.ndarray) -> tuple[int, int]:
    """How many items a block has, and their CRC-32."""
    return len(items), isal_zlib.crc32(np.ascontiguousarray(items).data.cast("B")) if items.size else 0


class BlockChecksums:
    """The checksums of one dataset that is being written.

    Args:
        dataset: Where they are kept.
        block_items: Items in a block.
    """

    def __init__(self, dataset: h5py.Dataset, block_items: int) -> None:
        self._dataset = dataset
        self._block_items = block_items
        self._newest = 0, np.empty(0)  # first item of the block written last, and its items

    def update(self, start: int, items: np.ndarray, read: Callable[[int, int], np.ndarray]) -> None:
        """Take note of items that have been written.

        Args:
            start: Number of the first.
            items: At least one.
            read: Gives items that are in the dataset, from the first to behind the last.
        """
        size = self._block_items
        first = start // size * size
        if first < start:  # the block has begun before
            known, before = self._newest
            if known != first or len(before) < start - first:
                before = read(first, start)
            items = np.concatenate([before[: start - first], items], dtype=items.dtype)  # byte order included
        blocks = [items[low : low + size] for low in range(0, len(items), size)]
        number = first // size
        if number + len(blocks) > len(self._dataset):
            self._dataset.id.set_extent((number + len(blocks), 2))
        self._dataset[number : number + len(blocks)] = np.array([block_checksum(block) for block in blocks], np.uint32)
        self._newest = first + size * (len(blocks) - 1), blocks[-1].copy()

    def flush(self) -> None:
        """Hand everything written to the operating system."""
        self._dataset.flush()
