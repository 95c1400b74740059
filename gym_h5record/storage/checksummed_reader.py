"""Items of a recording with checksums: a block that does not match its checksum is not read."""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.storage.checksums import block_checksum
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.objects import has_group

__all__ = ["ChecksummedReader"]


class ChecksummedReader(ColumnReader):
    """A ``ColumnReader`` that compares every block with its checksum before it first reads from it.

    If the recording has no checksums, it compares nothing.
    """

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._has_checksums = has_group(handle.file, fmt.CHECKSUMS)
        self._blocks: dict[tuple[str, int], bool] = {}  # blocks that have been compared: whether they match

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        if start < stop:
            self._compare(field, start, stop)
        return super().items(field, start, stop)

    def check(self, field: str, start: int, stop: int) -> None:
        if start < stop:
            self._compare(field, start, stop)
        super().check(field, start, stop)

    def take(self, field: str, indices: np.ndarray) -> np.ndarray:
        for row in np.unique(indices).tolist():
            self._compare(field, row, row + 1)
        return super().take(field, indices)

    def item(self, field: str, row: int) -> Any:
        self._compare(field, row, row + 1)
        return super().item(field, row)

    def _compare(self, field: str, start: int, stop: int) -> None:
        if not self._has_checksums or field in (fmt.COMMIT, fmt.POSITIONS):  # these have none
            return
        size = self.chunk_rows(field)
        for block in range(start // size, (stop - 1) // size + 1):
            if (field, block) not in self._blocks:
                self._blocks[field, block] = self._is_good(field, block, size)
            if not self._blocks[field, block]:
                raise CorruptRecordingError(
                    f"{self._handle.path}: /{field} items {block * size} to {block * size + size} "
                    "do not match their checksum"
                )

    def _is_good(self, field: str, block: int, size: int) -> bool:
        try:
            kept = super().items(f"{fmt.CHECKSUMS}/{field}", block, block + 1)[0]
        except CorruptRecordingError:  # without a checksum there is nothing to compare
            return True
        covered, checksum = (int(each) for each in kept)
        if covered > size:
            return False
        return block_checksum(super().items(field, block * size, block * size + covered)) == (covered, checksum)
