"""The type codes of all lanes in the ring. They rarely change from tick to tick, so a tick copies those before it."""

from __future__ import annotations

import numpy as np

from gym_h5record.format.nodes import Node
from gym_h5record.format.schema import Schema
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_rows import CODES

__all__ = ["LaneCodes"]


class LaneCodes:
    """Writes type codes of batches.

    Args:
        journal: Where the slots are.
        schema: The columns.

    Attributes:
        num_lanes: How many lanes there are.
    """

    def __init__(self, journal: Journal, schema: Schema) -> None:
        self._codes = journal.columns[CODES]
        self._index = schema.code_index
        self._usual = np.zeros(self._codes.shape[1:], np.uint8)
        self._known = [0] * self._codes.shape[2]
        self.num_lanes = int(self._codes.shape[1])
        self._begun = -1  # the slot that has the usual codes

    def begin(self, slot: int) -> None:
        """Give a slot the codes that the last ticks had."""
        self._codes[slot] = self._usual
        self._begun = slot

    def forget(self) -> None:
        """The step of the newest slot comes anew: an error has cut it short, and its codes may be of single lanes."""
        self._begun = -1

    def index(self, node: Node) -> int:
        """The place of the code of a node."""
        return self._index[node.name]

    def put(self, slot: int, index: int, code: int) -> None:
        """Give the value of every lane the same code."""
        if self._known[index] != code:
            self._known[index] = code
            self._usual[:, index] = code
            if slot != self._begun:  # which now lacks this code
                self._begun = -1
        elif slot == self._begun:
            return
        self._codes[slot, :, index] = code

    def put_one(self, slot: int, lane: int, index: int, code: int) -> None:
        """Give the value of one lane a code."""
        self._codes[slot, lane, index] = code

    def put_each(self, slot: int, index: int, codes: np.ndarray) -> None:
        """Give the value of each lane its code, ``(lanes,)`` uint8."""
        self._codes[slot, :, index] = codes
