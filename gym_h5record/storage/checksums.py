"""Checksums of a dataset, one for each of its chunks, in a dataset of their own: ``/checksums/<name>``.

For a block of items (those of one chunk) it holds the number of items that are covered, and the CRC-32, as zlib's, of
their bytes in memory, before compression. ``checksummed_reader`` and validation compare them (docs/decisions/0007).
A column with lanes has a checksum for each block of each lane, as a recording of that lane alone would have.
"""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
from isal import isal_zlib

from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field

__all__ = ["BlockChecksums", "LaneChecksums", "block_checksum", "checksum_field", "lane_checksums"]


def checksum_field(field: Field) -> Field:
    """The field for the checksums of another field; it has the lanes of that field."""
    return Field(f"{fmt.CHECKSUMS}/{field.name}", np.dtype(np.uint32), (2,), num_lanes=field.num_lanes)


def block_checksum(items: np.ndarray) -> tuple[int, int]:
    """The number of items of a block, and their CRC-32."""
    return len(items), isal_zlib.crc32(np.ascontiguousarray(items).data.cast("B")) if items.size else 0


def lane_checksums(items: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """The checksums of one block of some lanes.

    Args:
        items: Items of the block, ``(rows, lanes, *shape)``.
        covered: How many of its first items to cover in each lane, ``(lanes,)`` int64, at most ``rows``.

    Returns:
        The number of covered items of each lane, and their CRC-32, ``(lanes, 2)`` uint32.
    """
    found = np.zeros((len(covered), 2), np.uint32)
    by_lane = np.ascontiguousarray(items[: covered.max(initial=0)].swapaxes(0, 1))
    if by_lane.size:
        lane_bytes = by_lane.nbytes // len(by_lane)
        lanes = np.frombuffer(by_lane.data.cast("B"), f"V{lane_bytes}").tolist()  # a bytes object for each lane
        if covered.min() < by_lane.shape[1]:
            sizes = covered * (lane_bytes // by_lane.shape[1])
            lanes = [data[:size] for data, size in zip(lanes, sizes.tolist(), strict=True)]
        found[:, 0] = covered
        found[:, 1] = [*map(isal_zlib.crc32, lanes)]
    return found


class LaneChecksums:
    """Collects the checksums of the blocks of lanes that one call writes, so that they are written together."""

    def __init__(self) -> None:
        self._found: list[tuple[np.ndarray, int, np.ndarray]] = []  # lanes, block, their checksums

    def add(self, block: int, first_lane: int, covered: np.ndarray, items: np.ndarray) -> None:
        """Add the checksums of one block of some lanes.

        Args:
            block: The number of the block.
            first_lane: The first of the lanes.
            covered: See ``lane_checksums``; 0 for a lane whose checksum stays.
            items: See there.
        """
        lanes = np.flatnonzero(covered)
        if len(lanes) < items.shape[1]:
            items, covered = items[:, lanes], covered[lanes]
        self._found.append((first_lane + lanes, block, lane_checksums(items, covered)))

    def taken(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Everything added since the last call: lanes ``(n,)`` int64, blocks ``(n,)`` int64, checksums ``(n, 2)``."""
        found, self._found = self._found, []
        return (
            np.concatenate([np.empty(0, np.int64), *(lanes for lanes, _, _ in found)]),
            np.concatenate([np.empty(0, np.int64), *(np.full(len(lanes), block) for lanes, block, _ in found)]),
            np.concatenate([np.empty((0, 2), np.uint32), *(checksums for _, _, checksums in found)]),
        )


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
