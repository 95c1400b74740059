"""The encoder of stacks: the newest frame goes into the ring, the earlier ones only where the stack does not slide."""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.format import nodes
from gym_h5record.format.names import TypeCode
from gym_h5record.values.exact import foreign_array
from gym_h5record.writing.encoders import Encoder, OnMisfit, Segments, make_encoder
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.ring import Ring

__all__ = ["StackEncoder"]


class _Stack:
    """The stack of a row, as bits: NaNs are compared as such."""

    def __init__(self, node: nodes.Stack) -> None:
        self.row = -1
        self.bits = np.zeros(node.shape, f"u{node.dtype.itemsize}")

    def take(self, bits: np.ndarray, row: int) -> None:
        self.row = -1  # until all bits are there: an interrupt may come in between
        self.bits[...] = bits
        self.row = row


class StackEncoder:
    """Encodes the stacks of one node, each with regard to that of the row before. Rows are counted as in the journal.

    A row without earlier frames continues the row before. So a row whose value is no such array has earlier frames too,
    all of them zero.

    Args:
        node: The node.
    """

    def __init__(self, node: nodes.Stack) -> None:
        self._node = node
        self._newest, self._other = _Stack(node), _Stack(node)  # two, as the newest row may never be published
        self._first_row = 0  # of the episode

    def bind(self, ring: Ring, on_misfit: OnMisfit, segments: Segments) -> None:
        """From now on, write to this ring.

        Args:
            ring: Where the slots are.
            on_misfit: Called with every value that does not fit.
            segments: Earlier frames are appended here.
        """
        self._control = ring.journal.control
        self._frames = ring.journal.columns[self._node.newest.name]
        self._codes = ring.codes(self._node)
        self._note_foreign, self._on_misfit, self._segments = ring.note_foreign, on_misfit, segments

    @property
    def ragged_fields(self) -> list[str]:
        """Names of the fields of earlier frames."""
        return [field.name for field in self._node.earlier.fields()]

    def restart(self) -> None:
        """The next row is the first of an episode."""
        self._first_row = self._control[Control.HEAD]

    def encode(self, slot: int, value: Any) -> None:
        """See ``Encoder``."""
        if not self._fits(value):
            array = foreign_array(value)
            if not self._fits(array):
                self._frames[slot] = 0
                self._codes[slot] = self._on_misfit(self._node.name, value)
                self.skip()
                return
            self._note_foreign(self._node.name, value, array)
            value = array
        self._codes[slot] = TypeCode.ARRAY
        self._frames[slot] = value[-1]
        row, newest, before = self._control[Control.HEAD], self._newest, self._other
        if newest.row != row:  # else ``newest`` is this very row, which has not been published
            newest, before = before, newest
            self._newest, self._other = newest, before
        bits = value.view(newest.bits.dtype)
        is_next = self._first_row <= before.row == row - 1
        if not is_next or not (bits[:-1] == before.bits[1:]).all():
            self._keep_earlier(bits)
        newest.take(bits, row)

    def skip(self) -> None:
        """The row has no stack: its value, or one that it is a part of, does not fit."""
        self._keep_earlier(np.zeros_like(self._newest.bits))

    def repeat(self) -> None:
        """The row repeats the one before. It gets the earlier frames of its stack."""
        row, kept, other = self._control[Control.HEAD], self._newest, self._other
        if kept.row != row - 1:
            kept, other = other, kept
        if kept.row != row - 1:
            self.skip()
            return
        self._keep_earlier(kept.bits)
        other.take(kept.bits, row)
        self._newest, self._other = other, kept

    def _fits(self, value: Any) -> bool:
        node = self._node
        return type(value) is np.ndarray and value.dtype == node.dtype and value.shape == node.shape

    def _keep_earlier(self, stack: np.ndarray) -> None:
        earlier = self._node.earlier
        self._segments += [
            (earlier.ends, np.int64(len(stack) - 1).tobytes()),
            (earlier.item.name, stack[:-1].tobytes()),
        ]


def _make(node: nodes.Stack, ring: Ring, on_misfit: OnMisfit, segments: Segments) -> Encoder:
    encoder = ring.stacks.get(node.name) or StackEncoder(node)
    encoder.bind(ring, on_misfit, segments)
    ring.stacks[node.name] = encoder
    return encoder.encode


make_encoder.register(nodes.Stack, _make)
