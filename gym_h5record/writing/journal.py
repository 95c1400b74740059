"""The journal: a ring of rows in a mapped file beside the recording.

The stepping process copies rows into it and counts up ``HEAD``. The writer counts up ``TAIL`` when it has committed
rows in the HDF5 file. The journal outlives both processes, so the rows between the two are never lost.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.limits import MAX_NODES
from gym_h5record.storage.paths import open_regular
from gym_h5record.writing.journal_control import (
    COPIED_WORDS,
    HEADER_AT,
    MAGIC,
    PAGE_BYTES,
    Control,
    WriterState,
    pack_error,
    unpack_error,
)
from gym_h5record.writing.journal_rows import (
    ALIGNMENT_BYTES,
    BLOB_ENDS,
    CODES,
    MAX_CAPACITY_ROWS,
    MIN_CAPACITY_ROWS,
    Rings,
    map_rings,
    own_fields,
    plan_header,
    recorded_header,
    round_up,
)
from gym_h5record.writing.segments import Segment, unpack_segments

__all__ = ["Journal"]

_MAX_CAPACITY_ROWS = MAX_CAPACITY_ROWS
_MAX_BYTES = 64 << 20  # 64 MiB: half a second of RGB Atari
_MIN_BLOB_BYTES = 1 << 20

# Pages are made before a row needs them: a page fault in ``step`` takes 2.5 us a page, 60 us for an RGB frame of Atari.
_FIRST_POPULATED_BYTES = 4 << 20  # 2 ms, within the first reset
_POPULATED_BYTES = 512 << 10  # 0.25 ms, at a tick
_MADV_POPULATE_WRITE = 23  # Linux 5.14; Python's mmap names it from 3.14 on


class Journal:
    """A mapped journal. ``reserve`` makes one, ``open`` maps an existing one.

    Attributes:
        path: The file.
        control: The control words, indexed by ``Control``.
        header: The header that ``lay_out`` wrote, empty before.
        columns: Ring columns by field name, each ``(capacity_rows, *shape)``.
        capacity_rows: Slots of the ring, a power of two.
        stored_bytes: Bytes on the disk when it was mapped; fewer than its size if the file has holes.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        status = os.fstat(descriptor)
        size_bytes, self.stored_bytes = status.st_size, status.st_blocks * 512
        if size_bytes < HEADER_AT:
            raise CorruptRecordingError(f"{path} is no journal: it has only {size_bytes} bytes")
        self._file = mmap.mmap(descriptor, size_bytes, flags=mmap.MAP_SHARED)
        self._map = memoryview(self._file)
        self.control = self._map[:PAGE_BYTES].cast("Q")
        self._blob_reserved = _MIN_BLOB_BYTES
        self._populated_bytes = size_bytes
        self._set_rings(Rings({}, {}, 0, self._map[:0]))

    @classmethod
    def reserve(
        cls, path: Path, row_bytes: int, header_bytes: int, *, blob_bytes: int = 0, num_rows: int = 0
    ) -> Journal:
        """Make a journal with room for rows of about ``row_bytes``, not laid out yet.

        This allocates the disk blocks: a full disk raises here, and causes no bus error when a row is copied.

        Args:
            path: The file to make.
            row_bytes: Size of a row's slots.
            header_bytes: Largest size of the header.
            blob_bytes: Least room for segments.
            num_rows: Least room for rows, if ``row_bytes`` is exact.

        Raises:
            OSError: If there is no room or no permission.
        """
        ring_bytes = min(_MAX_BYTES, _MAX_CAPACITY_ROWS * (row_bytes + 256))
        ring_bytes = max(ring_bytes, 2 * MIN_CAPACITY_ROWS * (row_bytes + 4096))
        if num_rows:
            ring_bytes = max(ring_bytes, num_rows * row_bytes + MAX_NODES * ALIGNMENT_BYTES)
        blob_bytes = max(blob_bytes, ring_bytes // 4, _MIN_BLOB_BYTES)
        size_bytes = HEADER_AT + round_up(header_bytes, PAGE_BYTES) + round_up(ring_bytes + blob_bytes, PAGE_BYTES)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            journal = cls(path, descriptor)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        journal._populated_bytes = 0
        journal.populate(_FIRST_POPULATED_BYTES)
        journal._blob_reserved = blob_bytes
        journal.control[Control.MAGIC] = MAGIC
        return journal

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Map an existing journal, laid out or not.

        Raises:
            FileNotFoundError: If there is none.
            CorruptRecordingError: If the file is no journal.
        """
        descriptor = open_regular(path, os.O_RDWR)
        try:
            journal = cls(path, descriptor)
        except OSError as error:
            raise CorruptRecordingError(f"{path} cannot be mapped: {error.strerror}") from error
        finally:
            os.close(descriptor)
        if journal.control[Control.MAGIC] != MAGIC:
            raise CorruptRecordingError(f"{path} is no journal of gym_h5record")
        if journal.is_laid_out:
            journal.read_header()
        return journal

    def populate(self, num_bytes: int = _POPULATED_BYTES) -> bool:
        """Have the kernel allocate the next pages of the mapping; returns whether all of them are allocated."""
        start, size_bytes = self._populated_bytes, len(self._map)
        if start < size_bytes:
            num_bytes = min(num_bytes, size_bytes - start)
            try:
                self._file.madvise(_MADV_POPULATE_WRITE, start, num_bytes)
            except OSError:  # a kernel before 5.14: each row causes its own page faults
                num_bytes = size_bytes - start
            self._populated_bytes += num_bytes
        return self._populated_bytes == size_bytes

    # The header -------------------------------------------------------------------------------

    @property
    def is_laid_out(self) -> bool:
        """Whether the header has been written."""
        return self.control[Control.HEADER_BYTES] != 0

    def lay_out(
        self,
        header: dict[str, Any],
        fields: Iterable[Field],
        num_codes: int,
        first_row: int,
        num_lanes: int | None = None,
    ) -> bool:
        """Write the header and give every field its place.

        Args:
            header: JSON content for the writer that drains the journal.
            fields: The ring fields. With lanes, a slot has all lanes of a tick.
            num_codes: Columns of type codes.
            first_row: Number of the first row: the count of rows that are in the file already.
            num_lanes: Lanes of a vector recording, None if it is none.

        Returns:
            False if the reserved space is too small; the journal is then unchanged.

        Raises:
            RuntimeError: If it has been laid out before; its rows would be lost.
        """
        if self.is_laid_out:
            raise RuntimeError(f"{self.path} has been laid out already")
        slots = [replace(each, shape=each.row_shape, num_lanes=None) for each in fields]
        ring = [*own_fields(num_codes, num_lanes), *slots]
        text = plan_header(header, ring, first_row, len(self._map), self._blob_reserved, _MAX_CAPACITY_ROWS)
        if text is None:
            return False
        self._map[HEADER_AT : HEADER_AT + len(text)] = text
        self.control[Control.HEAD] = self.control[Control.TAIL] = first_row
        self.control[Control.COMMITTED_HEAD] = first_row
        survives_power_cut = header.get("durability") == "power"
        if survives_power_cut:
            self._sync(HEADER_AT + len(text))
        self.control[Control.HEADER_BYTES] = len(text)  # last: from here on it can be drained
        if survives_power_cut:
            self._sync(PAGE_BYTES)
        self.read_header()
        return True

    def read_header(self) -> None:
        """Map the columns as the header describes them.

        Raises:
            CorruptRecordingError: If the header makes no sense.
        """
        self._set_rings(map_rings(self._map, self.control[Control.HEADER_BYTES], self.path))

    def _set_rings(self, rings: Rings) -> None:
        self._rings = rings
        self.header, self.columns, self.capacity_rows = rings.header, rings.columns, rings.capacity_rows
        self._blob = rings.blob

    def _sync(self, num_bytes: int) -> None:
        """Sync the first bytes. The range begins at 0, because the kernel's pages may be larger than ``PAGE_BYTES``."""
        self._file.flush(0, num_bytes)

    # A larger journal -------------------------------------------------------------------------

    def copy_rows(self, other: Journal) -> None:
        """Lay this journal out like ``other``, and copy the rows that are not released and the row in the making.

        Raises:
            CorruptRecordingError: If this journal is smaller.
        """
        header, ring = recorded_header(other._rings)
        *lanes, num_codes = other.columns[CODES].shape[1:]
        own = len(own_fields(num_codes))
        is_laid_out = self.lay_out(header, ring[own:], num_codes, other.header["first_row"], *lanes)
        if not is_laid_out or self.blob_bytes < other.blob_bytes or self.capacity_rows < other.capacity_rows:
            raise CorruptRecordingError(f"{self.path} has no room for the rows of {other.path}")
        head, tail = other.control[Control.HEAD], other.control[Control.TAIL]
        for row in range(max(tail - 1, 0), head + 1):
            for name, column in self.columns.items():
                column[row & self.mask] = other.columns[name][row & other.mask]
        start, stop = other.control[Control.BLOB_TAIL], other.blob_head
        self.write_blob(start, other.read_blob(start, stop))
        for word in COPIED_WORDS:
            self.control[word] = other.control[word]

    def take_place(self, path: Path) -> None:
        """Rename this journal to ``path``."""
        self.path.replace(path)
        self.path = path

    # Rows -------------------------------------------------------------------------------------

    @property
    def mask(self) -> int:
        """``row & mask`` is the slot of a row."""
        return self.capacity_rows - 1

    @property
    def usable_rows(self) -> int:
        """How many rows may wait. The slot before them stays: it says where their segments begin."""
        return self.capacity_rows - 1

    def slots(self, start: int, stop: int) -> list[slice]:
        """The slots of rows ``start`` to ``stop``: one run, or two around the end of the ring."""
        capacity, first = self.capacity_rows, start & self.mask
        if first + stop - start <= capacity:
            return [slice(first, first + stop - start)]
        return [slice(first, capacity), slice(0, first + stop - start - capacity)]

    def take(self, name: str, start: int, stop: int) -> np.ndarray:
        """A copy of rows of a ring column."""
        return np.concatenate([self.columns[name][slots] for slots in self.slots(start, stop)])

    # Segments ---------------------------------------------------------------------------------

    @property
    def blob_bytes(self) -> int:
        """Size of the ring of segments."""
        return len(self._blob)

    @property
    def blob_is_crowded(self) -> bool:
        """Whether a quarter of the ring of segments is in use."""
        return (self.blob_head - self.control[Control.BLOB_TAIL]) * 4 >= len(self._blob)

    @property
    def blob_head(self) -> int:
        """Where the segments of the newest row end."""
        return self.blob_start(self.control[Control.HEAD])

    def blob_start(self, row: int) -> int:
        """Where the segments of a row that is still in the ring begin."""
        return 0 if row == self.header["first_row"] else int(self.columns[BLOB_ENDS][(row - 1) & self.mask])

    def write_blob(self, at: int, data: bytes) -> None:
        """Copy ``data`` to position ``at`` of the endless sequence of blob bytes."""
        start = at % len(self._blob)
        first = data[: len(self._blob) - start]
        self._blob[start : start + len(first)] = first
        if len(first) < len(data):
            self._blob[: len(data) - len(first)] = data[len(first) :]

    def read_blob(self, start: int, stop: int) -> bytes:
        """Blob bytes ``start`` to ``stop``."""
        first = start % len(self._blob)
        data = bytes(self._blob[first : first + stop - start])
        return data + bytes(self._blob[: stop - start - len(data)])

    def read_segments(self, start: int, stop: int) -> Iterator[Segment]:
        """The segments in blob bytes ``start`` to ``stop``.

        Raises:
            CorruptRecordingError: If a segment runs over ``stop``.
        """
        return unpack_segments(self.read_blob(start, stop))

    # The writer's error -----------------------------------------------------------------------

    def write_error(self, text: str) -> None:
        """Write a message for the recorder, and mark the writer as failed."""
        self._map[PAGE_BYTES : 2 * PAGE_BYTES] = pack_error(text)
        self.control[Control.WRITER] = WriterState.FAILED

    def read_error(self) -> str:
        """The message of ``write_error``."""
        return unpack_error(self._map[PAGE_BYTES : 2 * PAGE_BYTES])
