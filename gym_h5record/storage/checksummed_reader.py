"""Items of a recording with checksums: a block that does not match its checksum is not read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.lanes import lane_begin, lane_of, row_of
from gym_h5record.format.nodes import Field
from gym_h5record.storage.checksums import block_checksum, checksum_field
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
        # Whether blocks that have been compared match. A block is known by its lane and its number, as an address.
        self._blocks: dict[tuple[str, int], bool] = {}

    def expect(self, fields: Iterable[Field]) -> None:
        """See ``ColumnReader``; the checksums of these fields are expected too."""
        fields = list(fields)
        super().expect([*fields, *map(checksum_field, fields)])

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        if start < stop:
            self._compare(field, start, stop)
        return super().items(field, start, stop)

    def check(self, field: str, start: int, stop: int) -> None:
        if start < stop:
            self._compare(field, start, stop)
        super().check(field, start, stop)

    def take(self, field: str, indices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        for row in np.unique(indices).tolist():
            self._compare(field, row, row + 1)
        return super().take(field, indices, out)

    def item(self, field: str, row: int) -> Any:
        self._compare(field, row, row + 1)
        return super().item(field, row)

    def _compare(self, field: str, start: int, stop: int) -> None:
        if not self._has_checksums or field in (fmt.COMMIT, fmt.POSITIONS):  # these have none
            return
        begin, where = 0, ""
        if self._has_lanes(field):
            start += row_of(start + 1) == 0  # the end before the first item of a lane is not in the file
            begin = lane_begin(start)
            where = f" of lane {lane_of(begin)}"
        size = self.chunk_rows(field)
        last = min(stop - begin, self.length(field))  # to read items behind the last one is an error anyway
        for block in range((start - begin) // size, -(-last // size)):
            at = begin + block
            if (field, at) not in self._blocks:
                self._blocks[field, at] = self._is_good(field, at, size)
            if not self._blocks[field, at]:
                raise CorruptRecordingError(
                    f"{self._handle.path}: /{field} items {block * size} to {block * size + size}{where} "
                    "do not match their checksum"
                )

    def _is_good(self, field: str, at: int, size: int) -> bool:
        try:
            kept = super().items(f"{fmt.CHECKSUMS}/{field}", at, at + 1)[0]
        except CorruptRecordingError:  # without a checksum there is nothing to compare
            return True
        covered, checksum = (int(each) for each in kept)
        lane, block = (lane_of(at), row_of(at)) if self._has_lanes(field) else (0, at)
        first = block * size
        if covered > min(size, self.length(field) - first):
            return False
        if self._has_lanes(field):  # as they are stored: ends are no addresses there
            items = self.block(field, first, first + covered, lane, 1)[:, 0]
        else:
            items = super().items(field, first, first + covered)
        return block_checksum(items) == (covered, checksum)

    def _has_lanes(self, field: str) -> bool:
        return field in self._fields and self._fields[field].num_lanes is not None
