"""Addresses: the rows and items of every lane of a vector recording in one numbering.

A vector recording has a lane axis behind the first axis of its datasets, and each lane has rows of its own. Everything
above ``storage`` counts rows and ragged items by their address, ``lane << 40 | row``. So a column, a sampler or a
validator needs no lane: the rows of an episode follow each other as in a recording of a single environment, where the
address of a row is its number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["LANE_BITS", "MAX_LANES", "address", "lane_begin", "lane_of", "row_of"]

LANE_BITS = 40
"""Bits of the row in an address: a lane with more than 10^12 rows would take a year at 30,000 steps a second."""

MAX_LANES = 1 << 14
"""Lanes of a recording: a row of all of them is one chunk of a column at least."""

_ROW = (1 << LANE_BITS) - 1


def address(lane: Any, row: Any) -> Any:
    """The address of a row, or the addresses of an array of rows, int64."""
    return lane * (_ROW + 1) + row


def lane_of(at: Any) -> Any:
    """The lane of an address, or those of an array of addresses."""
    return at >> LANE_BITS


def row_of(at: Any) -> Any:
    """The row of an address within its lane, or those of an array of addresses."""
    return at & _ROW


def lane_begin(at: int | np.int64) -> int:
    """The address of the first row of the lane that an address is in."""
    return int(at) & ~_ROW
