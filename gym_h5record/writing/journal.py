"""The journal: a ring of rows in a mapped file beside the recording.

The stepping process copies rows into it and counts up ``HEAD``; whoever drains
it counts up ``TAIL`` once the rows are committed in the HDF5 file. The file
outlives both processes, so what is between the two is never lost. Nothing here
knows HDF5 or environments.

Layout: a page of control words, a page for the writer's error, a JSON header,
one array per ring field with a slot per row, and a ring of bytes for segments,
the parts of a row whose size varies.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.names import RowFlag
from gym_h5record.format.nodes import Field
from gym_h5record.limits import MAX_ITEM_BYTES, MAX_METADATA_BYTES, MAX_NODES, MAX_VALUE_BYTES, num_elements
from gym_h5record.storage.paths import open_regular
from gym_h5record.values.exact import storable
from gym_h5record.writing.journal_format import HEADER_AT, MAGIC, Control, Segment, WriterState, unpack_segments

__all__ = ["BLOB_ENDS", "CODES", "FLAGS", "Journal"]


_PAGE = 4096
_ERROR_AT = _PAGE
_ALIGNMENT_BYTES = 64
_MAX_CAPACITY_ROWS = 1 << 16
_MIN_CAPACITY_ROWS = 8
_MAX_BYTES = 64 << 20  # 64 MiB: half a second of RGB Atari
_MIN_BLOB_BYTES = 1 << 20
_MAX_HEADER_BYTES = 2 * MAX_METADATA_BYTES
_CAPACITIES = [1 << power for power in range(_MAX_CAPACITY_ROWS.bit_length())]

FLAGS = "journal/flags"  # ring columns that every journal has, beside those of the schema
CODES = "journal/codes"
BLOB_ENDS = "journal/blob_ends"

_OWN_COLUMNS = 3
_HEADER_TYPES: dict[str, Any] = {"journal_id": str, "creates": bool, "replaces": bool, "schema": str}
_HEADER_TYPES |= {"codec": list, "fps": (float, int), "metadata": dict}
_LAYOUT_KEYS = ("ring", "capacity_rows", "blob_bytes", "first_row", "size_bytes")


class Journal:
    """A mapped journal; ``reserve`` makes one, ``open`` finds one.

    Attributes:
        path: Where it lies.
        control: The control words, indexed by ``Control``.
        header: What ``lay_out`` was given, empty before.
        columns: Ring columns by field name, each ``(capacity_rows, *shape)``.
        capacity_rows: Slots of the ring, a power of two.
    """

    def __init__(self, path: Path, descriptor: int, *, populate: bool = False) -> None:
        self.path = path
        flags = mmap.MAP_SHARED | (getattr(mmap, "MAP_POPULATE", 0) if populate else 0)
        status = os.fstat(descriptor)
        size_bytes, self._stored_bytes = status.st_size, status.st_blocks * 512
        if size_bytes < HEADER_AT:
            raise CorruptRecordingError(f"{path} is no journal: it has only {size_bytes} bytes")
        self._map = memoryview(mmap.mmap(descriptor, size_bytes, flags=flags))
        self.control = self._map[:_PAGE].cast("Q")
        self.header: dict[str, Any] = {}
        self.columns: dict[str, np.ndarray] = {}
        self.capacity_rows = 0
        self._blob = self._map[:0]
        self._blob_reserved = _MIN_BLOB_BYTES

    @classmethod
    def reserve(
        cls, path: Path, row_bytes: int, header_bytes: int, *, blob_bytes: int = 0, num_rows: int = 0
    ) -> Journal:
        """Make a journal with room for rows of about ``row_bytes``, not laid out yet.

        The disk blocks are allocated, so that a full disk is an error here and
        not a bus error when a row is copied.

        Args:
            path: Where.
            row_bytes: What the slots of a row take.
            header_bytes: What the header takes, at most.
            blob_bytes: Room for segments, at least.
            num_rows: Room for rows, at least, if ``row_bytes`` is exact.

        Raises:
            OSError: If there is no room or no permission.
        """
        ring_bytes = min(_MAX_BYTES, _MAX_CAPACITY_ROWS * (row_bytes + 256))
        ring_bytes = max(ring_bytes, 2 * _MIN_CAPACITY_ROWS * (row_bytes + 4096))
        if num_rows:
            ring_bytes = max(ring_bytes, num_rows * row_bytes + MAX_NODES * _ALIGNMENT_BYTES)
        blob_bytes = max(blob_bytes, ring_bytes // 4, _MIN_BLOB_BYTES)
        size_bytes = HEADER_AT + _round_up(header_bytes, _PAGE) + _round_up(ring_bytes + blob_bytes, _PAGE)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            journal = cls(path, descriptor, populate=True)  # no page faults in step()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        # Mapping only reads the pages in; the first write to each would still be a fault, inside a step().
        np.frombuffer(journal._map, np.uint8)[::_PAGE] = 0
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

    @property
    def is_laid_out(self) -> bool:
        """Whether the header has been written."""
        return self.control[Control.HEADER_BYTES] != 0

    @property
    def mask(self) -> int:
        """``row & mask`` is the slot of a row."""
        return self.capacity_rows - 1

    @property
    def blob_bytes(self) -> int:
        """Size of the ring of segments."""
        return len(self._blob)

    def lay_out(self, header: dict[str, Any], fields: Iterable[Field], num_codes: int, first_row: int) -> bool:
        """Write the header and give every field its place.

        Args:
            header: JSON content for whoever drains the journal.
            fields: The ring fields.
            num_codes: Columns of type codes.
            first_row: Number of the first row, that is rows already in the file.

        Returns:
            False if the space reserved does not do; then nothing has changed.

        Raises:
            RuntimeError: If it has been laid out already: rows would be lost.
        """
        if self.is_laid_out:
            raise RuntimeError(f"{self.path} has been laid out already")
        ring = [
            Field(FLAGS, np.dtype(np.uint8)),
            Field(CODES, np.dtype(np.uint8), (num_codes,)),
            Field(BLOB_ENDS, np.dtype(np.uint64)),
            *fields,
        ]
        described = [[field.name, field.dtype.str, list(field.shape)] for field in ring]
        room = len(self._map) - HEADER_AT
        layout = {"ring": described, "capacity_rows": _MAX_CAPACITY_ROWS, "blob_bytes": room, "first_row": first_row}
        layout["size_bytes"] = len(self._map)
        text = json.dumps({**header, **layout}).encode()
        room -= _round_up(len(text), _PAGE)
        row_bytes = sum(field.item_bytes for field in ring)
        blob_bytes = self._blob_reserved
        fitting = (room - blob_bytes - len(ring) * _ALIGNMENT_BYTES) // row_bytes
        if fitting < _MIN_CAPACITY_ROWS:
            return False
        capacity_rows = min(_MAX_CAPACITY_ROWS, 1 << (fitting.bit_length() - 1))
        layout |= {"capacity_rows": capacity_rows, "blob_bytes": blob_bytes}
        text = json.dumps({**header, **layout}).encode().ljust(len(text))  # the columns start behind its pages
        self._map[HEADER_AT : HEADER_AT + len(text)] = text
        self.control[Control.HEAD] = self.control[Control.TAIL] = first_row
        self.control[Control.COMMITTED_HEAD] = first_row
        survives_power_cut = header.get("durability") == "power"
        if survives_power_cut:
            self._sync(HEADER_AT + len(text))
        self.control[Control.HEADER_BYTES] = len(text)  # last: from here on it can be drained
        if survives_power_cut:
            self._sync(_PAGE)
        self.read_header()
        return True

    def _sync(self, num_bytes: int) -> None:
        """Sync the first bytes: from the beginning, for pages of the machine may be larger than ours."""
        mapped: Any = self._map.obj
        mapped.flush(0, num_bytes)

    def check_positions(self) -> None:
        """Make sure that what is to be drained lies in the rings: for a journal that is not our own.

        Raises:
            CorruptRecordingError: If it does not.
        """
        for name, kind in _HEADER_TYPES.items():
            if name in self.header and not isinstance(self.header[name], kind):
                raise CorruptRecordingError(f"the header of {self.path} has {name}={self.header[name]!r:.80}")
        head, tail, first = self.control[Control.HEAD], self.control[Control.TAIL], self.header["first_row"]
        if type(first) is not int or not 0 <= first <= tail <= head < 1 << 62 or head - tail > self.capacity_rows:
            raise CorruptRecordingError(f"{self.path} claims rows {tail} to {head} of a ring of {self.capacity_rows}")
        ends = [self.blob_start(tail)] + [int(self.columns[BLOB_ENDS][row & self.mask]) for row in range(tail, head)]
        if ends != sorted(ends) or ends[-1] - ends[0] > len(self._blob):
            raise CorruptRecordingError(f"{self.path} claims segments that do not follow each other")
        used_bytes = ends[-1] - ends[0] + (head - tail) * sum(column[0].nbytes for column in self.columns.values())
        if used_bytes > self._stored_bytes + MAX_VALUE_BYTES:  # a copy may have holes where there are zeros
            raise CorruptRecordingError(f"{self.path} claims {used_bytes} bytes, and has {self._stored_bytes}")
        for name, column in self.columns.items():
            is_bool = column.dtype.kind == "b" and head > tail
            if is_bool and self.take(name, tail, head).view(np.uint8).max(initial=0) > 1:
                raise CorruptRecordingError(f"{self.path} has booleans for /{name} that are neither true nor false")

    def read_header(self) -> None:
        """Map the columns as the header describes them.

        Raises:
            CorruptRecordingError: If the header makes no sense.
        """
        header_bytes = self.control[Control.HEADER_BYTES]
        try:
            if header_bytes > _MAX_HEADER_BYTES:
                raise ValueError(f"a header of {header_bytes} bytes")
            self.header = json.loads(bytes(self._map[HEADER_AT : HEADER_AT + header_bytes]))
            self.capacity_rows, blob_bytes = int(self.header["capacity_rows"]), int(self.header["blob_bytes"])
            if self.capacity_rows not in _CAPACITIES or blob_bytes < 1 or len(self.header["ring"]) > MAX_NODES:
                raise ValueError(f"a ring of {self.capacity_rows} rows and {blob_bytes} bytes")
            at = HEADER_AT + _round_up(header_bytes, _PAGE)
            for name, dtype_text, shape in self.header["ring"]:
                dtype = np.dtype(dtype_text)
                if not storable(dtype) or num_elements(shape) * dtype.itemsize > MAX_ITEM_BYTES:
                    raise ValueError(f"items of {dtype}{shape!r:.80}")
                column = np.frombuffer(self._map, dtype, self.capacity_rows * num_elements(shape), at)
                self.columns[name] = column.reshape(self.capacity_rows, *shape)
                at = _round_up(at + column.nbytes, _ALIGNMENT_BYTES)
            if max(at + blob_bytes, self.header["size_bytes"]) > len(self._map):
                raise ValueError(f"{self.header['size_bytes']} bytes are needed, there are {len(self._map)}")
            self._blob = self._map[at : at + blob_bytes]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise CorruptRecordingError(f"the header of {self.path} cannot be read: {error!r:.200}") from error

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

    @property
    def usable_rows(self) -> int:
        """How many rows may wait: one slot is kept for the end of the segments before them."""
        return self.capacity_rows - 1

    def copy_rows(self, other: Journal) -> None:
        """Lay this journal out like ``other`` and copy all rows not released, and the one begun.

        Raises:
            CorruptRecordingError: If this journal is smaller.
        """
        header = {name: value for name, value in other.header.items() if name not in _LAYOUT_KEYS}
        ring = [
            Field(name, np.dtype(dtype), tuple(shape)) for name, dtype, shape in other.header["ring"][_OWN_COLUMNS:]
        ]
        num_codes = other.columns[CODES].shape[1]
        is_laid_out = self.lay_out(header, ring, num_codes, other.header["first_row"])
        if not is_laid_out or self.blob_bytes < other.blob_bytes or self.capacity_rows < other.capacity_rows:
            raise CorruptRecordingError(f"{self.path} has no room for the rows of {other.path}")
        head, tail = other.control[Control.HEAD], other.control[Control.TAIL]
        for row in range(max(tail - 1, 0), head + 1):
            for name, column in self.columns.items():
                column[row & self.mask] = other.columns[name][row & other.mask]
        start, stop = other.control[Control.BLOB_TAIL], other.blob_head
        self.write_blob(start, other.read_blob(start, stop))
        for word in (Control.HEAD, Control.EVENTS, Control.FLUSH, Control.TAIL, Control.BLOB_TAIL):
            self.control[word] = other.control[word]
        for word in (Control.COMMITTED_HEAD, Control.COMMITTED_EVENTS):
            self.control[word] = other.control[word]

    def take_place(self, path: Path) -> None:
        """Rename this journal to ``path``."""
        self.path.replace(path)
        self.path = path

    # Rows -------------------------------------------------------------------------------------

    def slots(self, start: int, stop: int) -> list[slice]:
        """The slots of rows ``start`` to ``stop``: one run, or two around the end of the ring."""
        capacity, first = self.capacity_rows, start & self.mask
        if first + stop - start <= capacity:
            return [slice(first, first + stop - start)]
        return [slice(first, capacity), slice(0, first + stop - start - capacity)]

    def take(self, name: str, start: int, stop: int) -> np.ndarray:
        """A copy of rows of a ring column."""
        return np.concatenate([self.columns[name][slots] for slots in self.slots(start, stop)])

    def last_rows(self, start: int, stop: int) -> np.ndarray:
        """Which rows are the last of their episode, as far as rows before ``stop`` tell."""
        flags = self.take(FLAGS, start, stop)
        last: np.ndarray = (flags & RowFlag.LAST) != 0
        last[:-1] |= (flags[1:] & RowFlag.FIRST) != 0
        return last

    # Segments ---------------------------------------------------------------------------------

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
            CorruptRecordingError: If they do not fit in there.
        """
        return unpack_segments(self.read_blob(start, stop))

    # The writer's error -----------------------------------------------------------------------

    def write_error(self, text: str) -> None:
        """Leave a message for the recorder and mark the writer as failed."""
        data = text.encode("utf-8", "replace")[: _PAGE - 8]
        self._map[_ERROR_AT : _ERROR_AT + 8] = struct.pack("<Q", len(data))
        self._map[_ERROR_AT + 8 : _ERROR_AT + 8 + len(data)] = data
        self.control[Control.WRITER] = WriterState.FAILED

    def read_error(self) -> str:
        """The message of ``write_error``."""
        (size_bytes,) = struct.unpack_from("<Q", self._map, _ERROR_AT)
        return bytes(self._map[_ERROR_AT + 8 : _ERROR_AT + 8 + min(size_bytes, _PAGE - 8)]).decode("utf-8", "replace")


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
