"""``JournalBytes``: the journal of an interrupted recording, whose bytes can be changed."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np

from gym_h5record.writing.journal_control import Control
from scripts.fuzz.sites import Site
from scripts.fuzz.subjects import SUBJECT
from tests.hostile.cases import plant

__all__ = ["HEADER_AT", "LAST", "PAGE", "JournalBytes"]

PAGE = 4096
HEADER_AT = 2 * PAGE
LAST = (1 << 64) - 1


class JournalBytes:
    """The journal of an interrupted recording: change ``data``, then ``save``.

    Args:
        site: Gets the interrupted recording.
        subject: Which recording.

    Attributes:
        data: The bytes of the journal.
        header: Its JSON header.
    """

    def __init__(self, site: Site, subject: str = SUBJECT) -> None:
        plant(site, subject, interrupted=True)
        self._path = site.beside(".journal")
        self.data = bytearray(self._path.read_bytes())
        self._header_bytes = self.word(Control.HEADER_BYTES)
        self.header: dict[str, Any] = json.loads(self.data[HEADER_AT : HEADER_AT + self._header_bytes])

    def word(self, number: int) -> int:
        """The value of a control word."""
        value: int = struct.unpack_from("<Q", self.data, 8 * number)[0]
        return value

    def set_word(self, number: int, value: int) -> None:
        """Change a control word."""
        struct.pack_into("<Q", self.data, 8 * number, value & LAST)

    def column(self, name: str) -> np.ndarray:
        """A column of the ring, as a view into ``data``."""
        at = HEADER_AT + -(-self._header_bytes // PAGE) * PAGE
        for each, dtype, shape in self.header["ring"]:
            count = self.header["capacity_rows"] * math.prod(shape)
            size = count * np.dtype(dtype).itemsize
            if each == name:
                found = np.frombuffer(memoryview(self.data)[at : at + size], dtype)
                return found.reshape(self.header["capacity_rows"], *shape)
            at = -(-(at + size) // 64) * 64
        raise KeyError(name)

    @property
    def blob_at(self) -> int:
        """Where the ring of segments begins."""
        at = HEADER_AT + -(-self._header_bytes // PAGE) * PAGE
        for _, dtype, shape in self.header["ring"]:
            at += self.header["capacity_rows"] * math.prod(shape) * np.dtype(dtype).itemsize
            at = -(-at // 64) * 64
        return at

    def save(self, header: Any = None) -> None:
        """Write the journal, with a new header if one is given."""
        if header is not None:
            text = (header if isinstance(header, bytes) else json.dumps(header).encode()).ljust(self._header_bytes)
            self.data[HEADER_AT : HEADER_AT + len(text)] = text
            self.set_word(Control.HEADER_BYTES, len(text))
        self._path.write_bytes(self.data)
