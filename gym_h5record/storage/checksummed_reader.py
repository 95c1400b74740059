"""Items of a recording with checksums: a block that does not match its checksum is not read."""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.storage.checksums import block_checksum
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.objects import has_group, open_dataset

__all__ = ["CheckedStorage"]


class CheckedStorage(ColumnReader):
    """A ``ColumnReader`` that compares every block with its checksum before it first reads from it.

    If the recording has no checksums, it compares nothing.

    Args:
        handle: The open file.
    """

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._has_checksums = has_group(handle.file, fmt.CHECKSUMS)
        self._sizes: dict[str, int] = {}  # by dataset: items in a block
        self._blocks: dict[tuple[str, int], bool] = {}  # blocks that have been compared: whether they match

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        """See ``ColumnReader``."""
        if start < stop:
            self._compare(field, start, stop)
        return super().items(field, start, stop)

    def row(self, field: str, row: int) -> np.ndarray:
        """See ``ColumnReader``."""
        self._compare(field, row, row + 1)
        return super().row(field, row)

    def __reduce__(self) -> tuple[Any, ...]:
        return CheckedStorage, (self._handle,)

    def _compare(self, field: str, start: int, stop: int) -> None:
        if not self._has_checksums or field == fmt.COMMIT:  # /commit has no checksums
            return
        size = self._size(field)
        for block in range(start // size, (stop - 1) // size + 1):
            is_good = self._blocks.get((field, block))
            if is_good is None:
                is_good = self._blocks[field, block] = self._is_good(field, block, size)
            if not is_good:
                raise CorruptRecordingError(
                    f"{self._handle.path}: /{field} items {block * size} to {block * size + size} "
                    "do not match their checksum"
                )

    def _size(self, field: str) -> int:
        """Items in a block of a dataset."""
        if field not in self._sizes:
            dataset = self.reading(field, lambda: open_dataset(self._handle.file, field))
            self._sizes[field] = int(dataset.chunks[0])
        return self._sizes[field]

    def _is_good(self, field: str, block: int, size: int) -> bool:
        try:
            kept = super().items(f"{fmt.CHECKSUMS}/{field}", block, block + 1)[0]
        except CorruptRecordingError:  # without a checksum there is nothing to compare
            return True
        covered, checksum = (int(each) for each in kept)
        if covered > size:
            return False
        return block_checksum(super().items(field, block * size, block * size + covered)) == (covered, checksum)
